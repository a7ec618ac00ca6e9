//! Values as MessagePack, and back.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::decoder::Decoder;
use super::encoder::Encoder;
use super::format::{CodecFault, Kind, NIL, check_shape};
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

/// Appends a value of which it is not known whether it is an `Option`. Nothing (`None`, `()`) takes no bytes, as an outer
/// `None` takes none.
pub(crate) fn encode_any_within<T: Serialize>(
    limit: usize,
    value: &T,
    bytes: &mut Vec<u8>,
) -> Result<Kind, CodecFault> {
    let start = bytes.len();
    let kind = encode_value_within(limit, value, bytes)?;
    if bytes[start..] == [NIL] {
        bytes.truncate(start);
        return Ok(Kind::None);
    }
    Ok(kind)
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

/// The value that [`encode_any_within`] encoded as `kind` and `bytes`, or that another of these functions did.
pub(crate) fn decode_any<T: DeserializeOwned>(kind: Kind, bytes: &[u8]) -> Result<T, CodecFault> {
    match (kind, bytes) {
        (Kind::None, []) => decode_value(Kind::Value, &[NIL]),
        // The content of a `Some`: a `T` that is an `Option` would come back as `None`.
        (Kind::Value, [NIL]) | (Kind::None, _) => Err(CodecFault::WrongKind),
        (Kind::Value, _) => decode_value(kind, bytes),
    }
}

/// The `Option` whose content was encoded as `kind` and `bytes`.
pub fn decode_option<T: DeserializeOwned>(kind: Kind, bytes: &[u8]) -> Result<Option<T>, CodecFault> {
    match kind {
        Kind::Value => decode_value(kind, bytes).map(Some),
        Kind::None if bytes.is_empty() => Ok(None),
        Kind::None => Err(CodecFault::WrongKind),
    }
}
