//! All that an expansion of the attribute may name. It is no public interface, and changes without notice.
#![allow(missing_docs, reason = "for expansions only")]

pub use crate::cache::installed::installed;
pub use crate::call::args::{LoadArg, sendable, sendable_value};
pub use crate::call::entry::entry;
pub use crate::call::evict::{Eviction, Verdict, Written};
pub use crate::call::settings::Settings;
pub use crate::call::shape::{Probe, Unchecked, never};
pub use crate::call::{Begin, MustLoad, SlowPath, begin};
pub use crate::entry::constants::{
    constant_err_ttl, constant_jitter, constant_min_cost, constant_none_ttl, constant_refresh_ahead,
    constant_soft_timeout, constant_timeout,
};
pub use crate::entry::freshness::RefreshAhead;
pub use crate::entry::lifetimes::{Lifetimes, Part};
pub use crate::function::{Instance, Site, TypeTag};
pub use crate::key::{KeyBuf, Placeholder, key_part};

/// The traits whose method calls ask the compiler what a type can do (autoref specialization).
pub mod ladder {
    pub use crate::call::evict::WrittenPlain as _;
    pub use crate::call::settings::{Coded as _, Exact as _};
    pub use crate::call::shape::{
        CloneRung as _, FitRung as _, MisfitRung as _, NoCacheRung as _, OwnRung as _, PlainReturns as _,
        ShareRung as _, TellRung as _,
    };
    pub use crate::key::placeholder::{WriteDisplayed as _, WritePlain as _};
}

/// Names the codec of a function.
pub const fn codec<C>() -> crate::call::settings::CodecMarker<C> {
    std::marker::PhantomData
}

/// The expression that replaces `Err(NoCache(value))`.
pub fn not_stored<T, E>(value: T) -> Result<T, E> {
    crate::engine::scope::no_cache();
    Ok(value)
}

/// A type for each value of a constant parameter.
pub mod constant {
    macro_rules! constants {
        ($($ty:ident)*) => {$(
            #[allow(non_camel_case_types, reason = "called as the type of its parameter")]
            #[derive(Debug)]
            pub struct $ty<const VALUE: ::core::primitive::$ty>;
        )*};
    }
    constants!(u8 u16 u32 u64 u128 usize i8 i16 i32 i64 i128 isize bool char);
}

/// For fuzzing.
pub mod wire {
    pub use crate::shared::wire::codec::{Kind, decode_option, decode_value, encode_value};
    pub use crate::shared::wire::envelope::{decode, encode};
}
