//! All that an expansion of the attribute may name. Not for people: it changes without notice.
#![allow(missing_docs, reason = "for expansions only")]

pub use crate::function::{Instance, Site};
pub use crate::global::installed;
pub use crate::handle::entry;
pub use crate::key::{KeyBuf, Placeholder, key_part};
pub use crate::load::{Begin, Cold, begin};
pub use crate::load_arg::{LoadArg, sendable, sendable_value};
pub use crate::policy::{Lifetimes, constant_timeout};
pub use crate::settings::Settings;
pub use crate::shape::Probe;

/// The method calls by which the compiler is asked what a type can do.
pub mod ladder {
    pub use crate::key::ladder::{WriteDisplayed as _, WritePlain as _};
    pub use crate::shape::{
        CloneRung as _, NoCacheRung as _, OwnRung as _, PlainReturns as _, ShareRung as _,
    };
}

/// What `Err(NoCache(value))` is rewritten to.
pub fn not_stored<T, E>(value: T) -> Result<T, E> {
    crate::scope::no_cache();
    Ok(value)
}
