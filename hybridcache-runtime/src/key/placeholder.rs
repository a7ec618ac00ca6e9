//! The placeholders of a template, `"user:{id}"`.
//!
//! A placeholder takes any type that implements `Display`. Most are integers and strings, and formatting those would
//! cost more than the rest of a hit, so they take a faster path that writes the same text. Method resolution chooses
//! the path of a type (autoref-based specialization, David Tolnay): `(&&Placeholder(&id)).__hc_write(&mut key)` takes
//! the first of these traits that fits. In a generic function, where only `Display` is known, it takes the second.

use std::fmt;

use super::cache_key::CacheKey;
use super::text::KeyBuf;

/// A value that fills a placeholder.
#[doc(hidden)]
#[derive(Debug)]
pub struct Placeholder<'a, T: ?Sized>(pub &'a T);

/// The upper rung: writes without formatting.
#[doc(hidden)]
pub trait WritePlain {
    fn __hc_write(&self, key: &mut KeyBuf);
}

impl<T: Plain + ?Sized> WritePlain for &Placeholder<'_, T> {
    #[inline]
    fn __hc_write(&self, key: &mut KeyBuf) {
        self.0.write_part(key);
    }
}

/// The lower rung. It fits every type, and only its method requires `Display`, so that the compiler names the missing
/// trait and does not report "no method `__hc_write`".
#[doc(hidden)]
pub trait WriteDisplayed {
    type Value: ?Sized;

    fn __hc_write(&self, key: &mut KeyBuf)
    where
        Self::Value: Displayed;
}

impl<T: ?Sized> WriteDisplayed for Placeholder<'_, T> {
    type Value = T;

    fn __hc_write(&self, key: &mut KeyBuf)
    where
        T: Displayed,
    {
        key.display(self.0);
    }
}

/// Types whose text by [`CacheKey`] is their escaped `Display`.
#[doc(hidden)]
pub trait Plain: CacheKey + fmt::Display {}

macro_rules! plain {
    ($($plain:ty)*) => {$(
        impl Plain for $plain {}
    )*};
}
plain!(u8 u16 u32 u64 u128 usize i8 i16 i32 i64 i128 isize bool char str String);

impl<T: Plain + ?Sized> Plain for &T {}

/// `Display` under another name, so that it can have its own compiler message.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot fill a placeholder of a template: it has no `Display`",
    label = "has no `Display`",
    note = "a placeholder takes what implements `Display`; a tuple, `key = (a, b)`, takes what implements `CacheKey`, \
            such as `Option`, lists and `#[derive(CacheKey)]` types"
)]
pub trait Displayed: fmt::Display {}

#[diagnostic::do_not_recommend]
impl<T: fmt::Display + ?Sized> Displayed for T {}
