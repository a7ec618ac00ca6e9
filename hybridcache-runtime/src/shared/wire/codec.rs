//! The bytes of values: MessagePack, with the names of fields.
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

mod decoder;
mod encoder;
mod format;
#[cfg(test)]
mod tests;
mod trace;

use decoder::Decoder;
use encoder::Encoder;
use format::check_shape;
pub use format::{CodecError, Kind};

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Appends a value to `bytes`. On an error, part of it may have been appended.
pub fn encode_value<T: Serialize + ?Sized>(value: &T, bytes: &mut Vec<u8>) -> Result<Kind, CodecError> {
    encode_value_within(usize::MAX, value, bytes)
}

/// Like [`encode_value`], but fails as soon as `bytes` would be longer than `limit`.
pub(crate) fn encode_value_within<T: Serialize + ?Sized>(
    limit: usize,
    value: &T,
    bytes: &mut Vec<u8>,
) -> Result<Kind, CodecError> {
    value.serialize(&mut Encoder::new(bytes, limit))?;
    Ok(Kind::Value)
}

/// Appends the content of an `Option` to `bytes`.
pub(crate) fn encode_option_within<T: Serialize>(
    limit: usize,
    value: &Option<T>,
    bytes: &mut Vec<u8>,
) -> Result<Kind, CodecError> {
    match value {
        Some(value) => encode_value_within(limit, value, bytes),
        None => Ok(Kind::None),
    }
}

#[cfg(test)]
pub(crate) fn encode_option<T: Serialize>(value: &Option<T>, bytes: &mut Vec<u8>) -> Result<Kind, CodecError> {
    encode_option_within(usize::MAX, value, bytes)
}

/// Whether the decoded copy equals the encoded value, as far as their `Serialize` shows.
pub(crate) fn is_same<T: Serialize + ?Sized>(value: &T, copy: &T) -> Result<bool, CodecError> {
    trace::is_same(value, copy)
}

/// The value that [`encode_value`] encoded as `kind` and `bytes`.
pub fn decode_value<T: DeserializeOwned>(kind: Kind, bytes: &[u8]) -> Result<T, CodecError> {
    if kind != Kind::Value {
        return Err(CodecError::WrongKind);
    }
    check_shape(bytes)?;
    T::deserialize(&mut Decoder::new(bytes))
}

/// The `Option` whose content was encoded as `kind` and `bytes`.
pub fn decode_option<T: DeserializeOwned>(kind: Kind, bytes: &[u8]) -> Result<Option<T>, CodecError> {
    match kind {
        Kind::Value => decode_value(kind, bytes).map(Some),
        Kind::None if bytes.is_empty() => Ok(None),
        Kind::None => Err(CodecError::WrongKind),
    }
}
