//! Values as MessagePack, and back.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::decoder::Decoder;
use super::encoder::Encoder;
use super::format::{CodecFault, Kind, check_shape};
use super::trace;

/// Appends a value to `bytes`. On an error, part of it may have been appended.
pub fn encode_value<T: Serialize + ?Sized>(value: &T, bytes: &mut Vec<u8>) -> Result<Kind, CodecFault> {
    encode_value_within(usize::MAX, value, bytes)
}

/// Like [`encode_value`], but fails as soon as `bytes` would be longer than `limit`.
pub(crate) fn encode_value_within<T: Serialize + ?Sized>(
    limit: usize,
    value: &T,
    bytes: &mut Vec<u8>,
) -> Result<Kind, CodecFault> {
    value.serialize(&mut Encoder::new(bytes, limit))?;
    Ok(Kind::Value)
}

/// Appends the content of an `Option` to `bytes`.
#[cfg(test)]
pub(crate) fn encode_option<T: Serialize>(value: &Option<T>, bytes: &mut Vec<u8>) -> Result<Kind, CodecFault> {
    match value {
        Some(value) => encode_value(value, bytes),
        None => Ok(Kind::None),
    }
}

/// Whether the decoded copy equals the encoded value, as far as their `Serialize` shows.
pub(crate) fn is_same<T: Serialize + ?Sized>(value: &T, copy: &T) -> Result<bool, CodecFault> {
    trace::is_same(value, copy)
}

/// The value that [`encode_value`] encoded as `kind` and `bytes`.
pub fn decode_value<T: DeserializeOwned>(kind: Kind, bytes: &[u8]) -> Result<T, CodecFault> {
    if kind != Kind::Value {
        return Err(CodecFault::WrongKind);
    }
    check_shape(bytes)?;
    T::deserialize(&mut Decoder::new(bytes))
}

/// The `Option` whose content was encoded as `kind` and `bytes`.
pub fn decode_option<T: DeserializeOwned>(kind: Kind, bytes: &[u8]) -> Result<Option<T>, CodecFault> {
    match kind {
        Kind::Value => decode_value(kind, bytes).map(Some),
        Kind::None if bytes.is_empty() => Ok(None),
        Kind::None => Err(CodecFault::WrongKind),
    }
}
