//! How each type writes itself into a key.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::marker::PhantomData;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::num::NonZero;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use super::text::KeyBuf;

/// A type whose values can be part of a cache key.
///
/// Derive it for your own structs and enums. Write it by hand only if a shorter text identifies the value:
///
/// ```
/// # use hybridcache_runtime as hybridcache;
/// use hybridcache::{CacheKey, KeyBuf};
///
/// struct Sku { code: String, display_name: String }
///
/// impl CacheKey for Sku {
///     fn write_key(&self, key: &mut KeyBuf) {
///         key.text(&self.code); // the name follows from the code
///     }
/// }
///
/// let mut key = KeyBuf::new();
/// (7, Some(Sku { code: "A 1".into(), display_name: "Anvil".into() })).write_key(&mut key);
/// assert_eq!(key.as_str(), "(7,+A%201)");
/// ```
///
/// # The texts
///
/// | type | text |
/// |---|---|
/// | integers, `NonZero`, `bool` | `7`, `-7`, `true` |
/// | strings, `char` | escaped: letters, digits and `-_.~` stay, any other byte is `%XX` |
/// | `Option` | `-` for `None`, `+` and the value for `Some` |
/// | tuples, structs | `(a,b)` |
/// | enums | `Variant`, `Variant(a,b)` |
/// | slices, arrays, `Vec` | `2[a,b]`, the number of items first |
/// | the same of `u8` | `2x0aff`, the number of bytes first |
/// | `BTreeSet`, `BTreeMap` | as a list of the items, or of pairs, in their order |
/// | `Duration` | `1.500000000`, seconds and nanoseconds |
/// | `IpAddr` and its kinds | as displayed, escaped |
/// | `SocketAddr` | `(ip,port)`, for IPv6 `(ip,port,flow info,scope)` |
/// | references, `Box`, `Arc`, `Rc`, `Cow` | that of what is in it |
/// | `uuid::Uuid` (feature `uuid`) | as displayed, hyphenated |
/// | dates and times of `chrono`, `jiff` and `time` (features of these names) | as displayed, escaped; a time with an offset or a zone by its instant, in UTC |
///
/// # Why no two values of one type share a text
///
/// *Closed:* in every text the brackets are balanced, and commas occur inside brackets only. Texts of single values
/// have neither, because the escape leaves none of `( ) [ ] ,` in them. The composite forms add both only around closed
/// texts.
///
/// *Injective:* by induction over the type. Each single value has a text of its own. A composite can be taken apart in
/// one way only: the commas directly inside its brackets are its own, because the texts between them are closed. The
/// number of parts is fixed by the type for a tuple, struct or variant, and is written first for a sequence, so that no
/// items (`0[]`) and one empty string (`1[]`) differ. The variants of an `Option` or an enum differ in what comes
/// first.
///
/// A manual implementation keeps this property if it gives unequal values unequal texts, and writes only through
/// [`KeyBuf`] and `write_key`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be part of a cache key",
    label = "has no `CacheKey`",
    note = "derive it with `#[derive(CacheKey)]`; if it has a `Display` that tells its values apart, write it into a template, \
            `key = \"{{id}}\"`; convert the argument with `key = ..`; or leave it out with `skip(..)`",
    note = "`uuid`, `chrono`, `jiff` and `time` are features of `hybridcache` that implement it for the types of these crates; \
            a `HashMap` or a `HashSet` has no order: take a `BTreeMap` or a `BTreeSet`",
    note = "floats have none on purpose: `0.1 + 0.2` and `0.3` would be two keys, and `NaN` is not even equal to \
            itself; round to an integer, or say `key = value.to_bits()`"
)]
pub trait CacheKey {
    /// Writes the text of this value.
    fn write_key(&self, key: &mut KeyBuf);

    /// Writes the text of an argument or of a placeholder. It has this type in each key of the function.
    #[doc(hidden)]
    #[inline]
    fn write_part(&self, key: &mut KeyBuf) {
        self.write_key(key);
    }

    /// Writes the text of several values. Lets bytes have a shorter text than a list of numbers.
    #[doc(hidden)]
    fn write_slice_key(items: &[Self], key: &mut KeyBuf)
    where
        Self: Sized,
    {
        write_list(items.iter(), key);
    }
}

/// Writes a key expression, or one part of a key.
#[doc(hidden)]
#[inline]
pub fn key_part<T: CacheKey + ?Sized>(part: &T, key: &mut KeyBuf) {
    part.write_part(key);
}

macro_rules! integers {
    ($($integer:ty)*) => {$(
        #[diagnostic::do_not_recommend]
        impl CacheKey for $integer {
            #[inline]
            fn write_key(&self, key: &mut KeyBuf) {
                key.push(itoa::Buffer::new().format(*self).as_bytes());
            }

            #[inline]
            fn write_part(&self, key: &mut KeyBuf) {
                #[allow(unused_comparisons, reason = "for the types that have a sign")]
                key.number(*self as u64, *self < 0);
            }
        }
    )*};
}
integers!(u16 u32 u64 usize i8 i16 i32 i64 isize);

macro_rules! long_integers {
    ($($integer:ty)*) => {$(
        #[diagnostic::do_not_recommend]
        impl CacheKey for $integer {
            fn write_key(&self, key: &mut KeyBuf) {
                key.push(itoa::Buffer::new().format(*self).as_bytes());
            }
        }
    )*};
}
long_integers!(u128 i128);

#[diagnostic::do_not_recommend]
impl CacheKey for u8 {
    #[inline]
    fn write_key(&self, key: &mut KeyBuf) {
        key.push(itoa::Buffer::new().format(*self).as_bytes());
    }

    fn write_slice_key(items: &[Self], key: &mut KeyBuf) {
        items.len().write_key(key);
        key.push(b"x");
        // The display of encoded bytes comes in chunks and allocates nothing. Hex digits need no escape.
        key.display(&data_encoding::HEXLOWER.encode_display(items));
    }
}

macro_rules! non_zero {
    ($($integer:ty)*) => {$(
        #[diagnostic::do_not_recommend]
        impl CacheKey for NonZero<$integer> {
            #[inline]
            fn write_key(&self, key: &mut KeyBuf) {
                self.get().write_key(key);
            }
        }
    )*};
}
non_zero!(u8 u16 u32 u64 u128 usize i8 i16 i32 i64 i128 isize);

#[diagnostic::do_not_recommend]
impl CacheKey for bool {
    #[inline]
    fn write_key(&self, key: &mut KeyBuf) {
        key.push(if *self { b"true" } else { b"false" });
    }
}

#[diagnostic::do_not_recommend]
impl CacheKey for str {
    #[inline]
    fn write_key(&self, key: &mut KeyBuf) {
        key.text(self);
    }

    #[inline]
    fn write_part(&self, key: &mut KeyBuf) {
        key.string(self);
    }
}

#[diagnostic::do_not_recommend]
impl CacheKey for String {
    #[inline]
    fn write_key(&self, key: &mut KeyBuf) {
        key.text(self);
    }

    #[inline]
    fn write_part(&self, key: &mut KeyBuf) {
        key.string(self);
    }
}

#[diagnostic::do_not_recommend]
impl CacheKey for char {
    fn write_key(&self, key: &mut KeyBuf) {
        key.text(self.encode_utf8(&mut [0; 4]));
    }
}

#[diagnostic::do_not_recommend]
impl<T: CacheKey> CacheKey for Option<T> {
    #[inline]
    fn write_key(&self, key: &mut KeyBuf) {
        match self {
            None => key.push(b"-"),
            Some(value) => {
                key.push(b"+");
                value.write_key(key);
            }
        }
    }
}

#[diagnostic::do_not_recommend]
impl<T: CacheKey> CacheKey for [T] {
    fn write_key(&self, key: &mut KeyBuf) {
        T::write_slice_key(self, key);
    }
}

/// Writes a list of items that are not in a slice.
fn write_list<T: CacheKey>(items: impl ExactSizeIterator<Item = T>, key: &mut KeyBuf) {
    items.len().write_key(key);
    key.push(b"[");
    for (nth, item) in items.enumerate() {
        if nth > 0 {
            key.push(b",");
        }
        item.write_key(key);
    }
    key.push(b"]");
}

#[diagnostic::do_not_recommend]
impl<T: CacheKey> CacheKey for BTreeSet<T> {
    fn write_key(&self, key: &mut KeyBuf) {
        write_list(self.iter(), key);
    }
}

#[diagnostic::do_not_recommend]
impl<K: CacheKey, V: CacheKey> CacheKey for BTreeMap<K, V> {
    fn write_key(&self, key: &mut KeyBuf) {
        write_list(self.iter(), key);
    }
}

#[diagnostic::do_not_recommend]
impl<T: CacheKey, const N: usize> CacheKey for [T; N] {
    fn write_key(&self, key: &mut KeyBuf) {
        T::write_slice_key(self, key);
    }
}

#[diagnostic::do_not_recommend]
impl<T: CacheKey> CacheKey for Vec<T> {
    fn write_key(&self, key: &mut KeyBuf) {
        T::write_slice_key(self, key);
    }
}

macro_rules! pointers {
    ($($pointer:ty),*) => {$(
        #[diagnostic::do_not_recommend]
        impl<T: CacheKey + ?Sized> CacheKey for $pointer {
            #[inline]
            fn write_key(&self, key: &mut KeyBuf) {
                (**self).write_key(key);
            }

            #[inline]
            fn write_part(&self, key: &mut KeyBuf) {
                (**self).write_part(key);
            }
        }
    )*};
}
pointers!(&T, &mut T, Box<T>, Rc<T>, Arc<T>);

#[diagnostic::do_not_recommend]
impl<T: CacheKey + ToOwned + ?Sized> CacheKey for Cow<'_, T> {
    fn write_key(&self, key: &mut KeyBuf) {
        (**self).write_key(key);
    }
}

macro_rules! tuples {
    ($(($($first:ident $($other:ident)*)?))*) => {$(
        #[diagnostic::do_not_recommend]
        impl<$($first: CacheKey, $($other: CacheKey),*)?> CacheKey for ($($first, $($other,)*)?) {
            #[inline]
            #[allow(non_snake_case, reason = "one name for a part's type and the part")]
            fn write_key(&self, key: &mut KeyBuf) {
                let ($($first, $($other,)*)?) = self;
                key.push(b"(");
                $(
                    $first.write_key(key);
                    $(
                        key.push(b",");
                        $other.write_key(key);
                    )*
                )?
                key.push(b")");
            }

            #[inline]
            #[allow(non_snake_case, reason = "one name for a part's type and the part")]
            fn write_part(&self, key: &mut KeyBuf) {
                let ($($first, $($other,)*)?) = self;
                key.template("(");
                $(
                    $first.write_part(key);
                    $(
                        key.template(",");
                        $other.write_part(key);
                    )*
                )?
                key.template(")");
            }
        }
    )*};
}
tuples! {
    ()
    (A)
    (A B)
    (A B C)
    (A B C D)
    (A B C D E)
    (A B C D E F)
    (A B C D E F G)
    (A B C D E F G H)
    (A B C D E F G H I)
    (A B C D E F G H I J)
    (A B C D E F G H I J K)
    (A B C D E F G H I J K L)
}

/// As a field of a generic struct.
#[diagnostic::do_not_recommend]
impl<T: ?Sized> CacheKey for PhantomData<T> {
    fn write_key(&self, key: &mut KeyBuf) {
        ().write_key(key);
    }
}

#[diagnostic::do_not_recommend]
impl CacheKey for Ordering {
    fn write_key(&self, key: &mut KeyBuf) {
        key.push(match self {
            Self::Less => b"Less",
            Self::Equal => b"Equal",
            Self::Greater => b"Greater",
        });
    }
}

#[diagnostic::do_not_recommend]
impl CacheKey for Duration {
    fn write_key(&self, key: &mut KeyBuf) {
        key.display(&format_args!("{}.{:09}", self.as_secs(), self.subsec_nanos()));
    }
}

macro_rules! displayed {
    ($($address:ty)*) => {$(
        #[diagnostic::do_not_recommend]
        impl CacheKey for $address {
            fn write_key(&self, key: &mut KeyBuf) {
                key.display(self);
            }
        }
    )*};
}
displayed!(Ipv4Addr Ipv6Addr IpAddr);
#[cfg(feature = "uuid")]
displayed!(uuid::Uuid);

#[diagnostic::do_not_recommend]
impl CacheKey for SocketAddrV4 {
    fn write_key(&self, key: &mut KeyBuf) {
        (self.ip(), self.port()).write_key(key);
    }
}

#[diagnostic::do_not_recommend]
impl CacheKey for SocketAddrV6 {
    /// Not the displayed text: it omits the flow information, in which two addresses can differ.
    fn write_key(&self, key: &mut KeyBuf) {
        (self.ip(), self.port(), self.flowinfo(), self.scope_id()).write_key(key);
    }
}

#[diagnostic::do_not_recommend]
impl CacheKey for SocketAddr {
    fn write_key(&self, key: &mut KeyBuf) {
        match self {
            Self::V4(address) => address.write_key(key),
            Self::V6(address) => address.write_key(key),
        }
    }
}
