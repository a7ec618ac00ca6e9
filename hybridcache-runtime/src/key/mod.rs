//! The canonical text of the arguments: it distinguishes the calls of one function.
//!
//! The text is printable ASCII and injective: two lists of arguments of the same types give the same text only if they
//! are equal. [`CacheKey`] says how each type writes its text, and why the text is injective. [`placeholder`] handles
//! the placeholders of a template.

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
