//! The operations on a value's type that the engine needs: put a value into an entry, encode it, decode it.

use std::any::{Any, TypeId};
use std::marker::PhantomData;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::entry::{Entry, Meta};
use crate::shared::wire::codec::{self, CodecError};
use crate::shared::wire::envelope::Kind;

/// A value whose type is erased.
pub(crate) type AnyValue = dyn Any + Send + Sync;

/// The functions of one type. They let the engine be compiled once, and not once per type.
#[doc(hidden)]
#[derive(Debug)]
pub struct ValueType {
    value_type: fn() -> TypeId,
    size: usize,
    seal: fn(Box<AnyValue>, Meta) -> Option<Arc<Entry>>,
    codec: Option<Codec>,
    least: fn(&AnyValue) -> usize,
}

type Encode = fn(&AnyValue, usize, &mut Vec<u8>) -> Result<Kind, CodecError>;
type Decode = fn(Kind, &[u8], Meta) -> Result<Arc<Entry>, CodecError>;
type ComesBack = fn(&AnyValue, Kind, &[u8]) -> Result<bool, CodecError>;

#[derive(Clone, Copy, Debug)]
struct Codec {
    encode: Encode,
    decode: Decode,
    comes_back: ComesBack,
}

impl ValueType {
    pub(crate) fn value_type(&self) -> TypeId {
        (self.value_type)()
    }

    /// Whether values of this type may leave the process.
    pub(crate) fn is_shared(&self) -> bool {
        self.codec.is_some()
    }

    pub(crate) fn size(&self) -> usize {
        self.size
    }

    /// `None` where the value is of another type.
    pub(crate) fn seal(&self, value: Box<AnyValue>, meta: Meta) -> Option<Arc<Entry>> {
        (self.seal)(value, meta)
    }

    /// A lower bound of the encoded length, as far as it is known without encoding.
    pub(crate) fn least(&self, value: &AnyValue) -> usize {
        (self.least)(value)
    }

    /// The same type with a better lower bound.
    #[cfg(feature = "http")]
    pub(crate) const fn knowing(self, least: fn(&AnyValue) -> usize) -> Self {
        Self { least, ..self }
    }

    /// Appends the encoded value to `bytes`. Fails if they would become longer than `limit`.
    pub(crate) fn encode(&self, value: &AnyValue, limit: usize, bytes: &mut Vec<u8>) -> Result<Kind, CodecError> {
        let codec = self.codec.ok_or(CodecError::WrongKind)?;
        (codec.encode)(value, limit, bytes)
    }

    /// Whether decoding the bytes gives the same value again.
    pub(crate) fn comes_back(&self, value: &AnyValue, kind: Kind, bytes: &[u8]) -> Result<bool, CodecError> {
        let codec = self.codec.ok_or(CodecError::WrongKind)?;
        (codec.comes_back)(value, kind, bytes)
    }

    pub(crate) fn decode(&self, kind: Kind, bytes: &[u8], meta: Meta) -> Result<Arc<Entry>, CodecError> {
        let codec = self.codec.ok_or(CodecError::WrongKind)?;
        (codec.decode)(kind, bytes, meta)
    }
}

/// The [`ValueType`]s of `V`.
pub(crate) struct Typed<V>(PhantomData<V>);

impl<V: Send + Sync + 'static> Typed<V> {
    pub(crate) const MEMORY: ValueType =
        ValueType { value_type: TypeId::of::<V>, size: size_of::<V>(), seal: seal::<V>, codec: None, least };
}

impl<V: Serialize + DeserializeOwned + Send + Sync + 'static> Typed<V> {
    pub(crate) const SHARED: ValueType = ValueType {
        codec: Some(Codec {
            encode: |value, limit, bytes| codec::encode_value_within(limit, typed::<V>(value)?, bytes),
            decode: |kind, bytes, meta| Ok(entry(codec::decode_value::<V>(kind, bytes)?, meta)),
            comes_back: |value, kind, bytes| {
                codec::is_same(typed::<V>(value)?, &codec::decode_value::<V>(kind, bytes)?)
            },
        }),
        ..Self::MEMORY
    };
}

impl<U: Serialize + DeserializeOwned + Send + Sync + 'static> Typed<Option<U>> {
    /// Encodes the outer `Option` outside of the payload, where `Some(None)` and `Some(())` would turn into `None`.
    pub(crate) const SHARED_OPTION: ValueType = ValueType {
        codec: Some(Codec {
            encode: |value, limit, bytes| codec::encode_option_within(limit, typed::<Option<U>>(value)?, bytes),
            decode: |kind, bytes, meta| Ok(entry(codec::decode_option::<U>(kind, bytes)?, meta)),
            comes_back: |value, kind, bytes| {
                codec::is_same(typed::<Option<U>>(value)?, &codec::decode_option::<U>(kind, bytes)?)
            },
        }),
        ..Self::MEMORY
    };
}

/// The lower bound for the types that large values usually have: each byte takes at least one byte.
fn least(value: &AnyValue) -> usize {
    let text = value.downcast_ref().map(String::len).or(value.downcast_ref().map(|text: &Arc<str>| text.len()));
    let bytes =
        || value.downcast_ref().map(Vec::<u8>::len).or(value.downcast_ref().map(|bytes: &Arc<[u8]>| bytes.len()));
    let shared = || value.downcast_ref().map(|bytes: &Arc<Vec<u8>>| bytes.len());
    text.or_else(bytes).or_else(shared).unwrap_or(0)
}

fn seal<V: Send + Sync + 'static>(value: Box<AnyValue>, meta: Meta) -> Option<Arc<Entry>> {
    value.downcast::<V>().ok().map(|value| entry(*value, meta))
}

fn entry<V: Send + Sync + 'static>(value: V, meta: Meta) -> Arc<Entry> {
    Arc::new(Entry { meta, value })
}

fn typed<V: 'static>(value: &AnyValue) -> Result<&V, CodecError> {
    value.downcast_ref().ok_or(CodecError::WrongKind)
}
