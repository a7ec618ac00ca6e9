//! Values as bytes: MessagePack, with the names of fields.
//!
//! Without the names, a type whose fields changed places would decode to a wrong value. What MessagePack cannot tell apart is told by
//! extensions, whose types are 1 to 3:
//!
//! | type | data | stands for |
//! |---|---|---|
//! | 1 | n, one byte | nothing (`None`, `()`) in n times `Some`: else `Some(None)` would come back as `None` |
//! | 2, 3 | 16 bytes, big endian | an `i128`, a `u128`: else they would be bytes |
//!
//! An outer `Option` is the [`Kind`] of the entry, so that a `None` takes no bytes. Values are told that the format is for people to
//! read, as JSON is: serde takes what it has to look at first (untagged and flattened types) for that in any format, and an
//! `IpAddr` in there would be written one way and read another.

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

/// The same, which ends where `bytes` would be longer than `limit`.
pub(crate) fn encode_value_within<T: Serialize + ?Sized>(
    limit: usize,
    value: &T,
    bytes: &mut Vec<u8>,
) -> Result<Kind, CodecError> {
    value.serialize(&mut Encoder::new(bytes, limit))?;
    Ok(Kind::Value)
}

/// Appends what is in an `Option` to `bytes`.
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

/// Whether a copy that was decoded is the value that was encoded, as far as the two say of themselves.
pub(crate) fn is_same<T: Serialize + ?Sized>(value: &T, copy: &T) -> Result<bool, CodecError> {
    trace::is_same(value, copy)
}

/// The value that [`encode_value`] gave `kind` and `bytes` for.
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
