//! The bytes of values: [`contract`] says what a codec is. The default is MessagePack, with the names of fields.
//!
//! Without the names, a type whose fields changed places would decode to a wrong value. Extensions of the types 1 to 3
//! distinguish values that MessagePack alone cannot distinguish:
//!
//! | type | data | stands for |
//! |---|---|---|
//! | 1 | n, one byte | nothing (`None`, `()`) in n times `Some`: else `Some(None)` would come back as `None` |
//! | 2, 3 | 16 bytes, big endian | an `i128`, a `u128`: else they would be bytes |
//!
//! An outer `Option` is the [`Kind`] of the entry, so that a `None` takes no bytes. The format reports that it is
//! human-readable, as JSON is. serde assumes that for the untagged and flattened types that it has to buffer first, in
//! any format, and otherwise an `IpAddr` in such a type would be written in one form and read in another.

mod contract;
mod decoder;
mod encoder;
mod format;
#[cfg(feature = "json")]
mod json;
mod message_pack;
mod plain;
mod raw;
#[cfg(test)]
mod tests;
mod trace;

pub(crate) use contract::id;
pub use contract::{Codec, CodecError};
pub use format::{CodecFault, Kind};
#[cfg(feature = "json")]
pub use json::Json;
pub use message_pack::MessagePack;
#[cfg(test)]
pub(crate) use plain::encode_option;
pub(crate) use plain::{decode_any, encode_any_within, is_same};
pub use plain::{decode_option, decode_value, encode_value};
pub use raw::Raw;
