//! What tells two calls of one function apart: the canonical text of the arguments.
//!
//! The text is printable ASCII and injective: two lists of arguments of the same types give the same text only if
//! they are equal. [`CacheKey`] says how each type writes itself, and why that holds; [`placeholder`] does the
//! placeholders of a template.

mod cache_key;
#[cfg(any(feature = "chrono", feature = "jiff", feature = "time"))]
mod dates;
pub mod placeholder;
#[cfg(test)]
mod tests;
mod text;

pub use cache_key::{CacheKey, key_part};
pub use placeholder::Placeholder;
pub use text::KeyBuf;
pub(crate) use text::SHORT;
