//! The operations on a value's type that the engine needs: put a value into an entry, encode it, decode it.

use std::any::{Any, TypeId};
use std::marker::PhantomData;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::entry::{Entry, Meta};
use crate::shared::wire::codec::{self, Codec, CodecFault, MessagePack};
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
    codec: Option<Functions>,
    least: fn(&AnyValue) -> usize,
}

pub(crate) type Encode = fn(&AnyValue, usize, &mut Vec<u8>) -> Result<Kind, CodecFault>;
type Decode = fn(Kind, &[u8], Meta) -> Result<Arc<Entry>, CodecFault>;
type ComesBack = fn(&AnyValue, Kind, &[u8]) -> Result<bool, CodecFault>;

/// The functions of a codec for one type.
#[derive(Clone, Copy, Debug)]
struct Functions {
    id: u8,
    /// Every value is compared with its copy, not only the first one of a function.
    is_lossy: bool,
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

    /// The number of the codec in an envelope.
    pub(crate) fn codec(&self) -> Option<u8> {
        self.codec.map(|codec| codec.id)
    }

    /// Whether an earlier value that came back unchanged says nothing about the next one.
    pub(crate) fn is_lossy(&self) -> bool {
        self.codec.is_some_and(|codec| codec.is_lossy)
    }

    /// Appends the encoded value to `bytes`. Fails if they would become longer than `limit`.
    pub(crate) fn encode(&self, value: &AnyValue, limit: usize, bytes: &mut Vec<u8>) -> Result<Kind, CodecFault> {
        let codec = self.codec.ok_or(CodecFault::WrongKind)?;
        (codec.encode)(value, limit, bytes)
    }

    #[cfg(feature = "inspector")]
    pub(crate) fn encoder(&self) -> Option<(u8, Encode)> {
        self.codec.map(|codec| (codec.id, codec.encode))
    }

    /// Whether decoding the bytes gives the same value again.
    pub(crate) fn comes_back(&self, value: &AnyValue, kind: Kind, bytes: &[u8]) -> Result<bool, CodecFault> {
        let codec = self.codec.ok_or(CodecFault::WrongKind)?;
        (codec.comes_back)(value, kind, bytes)
    }

    pub(crate) fn decode(&self, kind: Kind, bytes: &[u8], meta: Meta) -> Result<Arc<Entry>, CodecFault> {
        let codec = self.codec.ok_or(CodecFault::WrongKind)?;
        (codec.decode)(kind, bytes, meta)
    }
}

/// The [`ValueType`]s of `V`.
pub(crate) struct Typed<V>(PhantomData<V>);

impl<V: Send + Sync + 'static> Typed<V> {
    pub(crate) const MEMORY: ValueType =
        ValueType { value_type: TypeId::of::<V>, size: size_of::<V>(), seal: seal::<V>, codec: None, least };
}

impl<V: Send + Sync + 'static> Typed<V> {
    pub(crate) const fn coded<C: Codec<V>>() -> ValueType {
        let functions = Functions {
            id: codec::id::<V, C>(),
            is_lossy: C::__LOSSY,
            encode: |value, limit, bytes| C::__encode_within(limit, typed::<V>(value)?, bytes).map(|()| Kind::Value),
            decode: |kind, bytes, meta| Ok(entry(decode::<V, C>(kind, bytes)?, meta)),
            comes_back: |value, kind, bytes| C::__is_same(typed::<V>(value)?, &decode::<V, C>(kind, bytes)?, bytes),
        };
        ValueType { codec: Some(functions), ..Self::MEMORY }
    }
}

impl<V: Serialize + DeserializeOwned + Send + Sync + 'static> Typed<V> {
    /// With the default codec.
    pub(crate) const SHARED: ValueType = Self::coded::<MessagePack>();

    /// With the default codec, for callers that are generic over their value. What they store, functions with the
    /// attribute can read, and the other way round.
    pub(crate) const SHARED_ANY: ValueType = ValueType {
        codec: Some(Functions {
            id: codec::id::<V, MessagePack>(),
            is_lossy: false,
            encode: |value, limit, bytes| codec::encode_any_within(limit, typed::<V>(value)?, bytes),
            decode: |kind, bytes, meta| Ok(entry(codec::decode_any::<V>(kind, bytes)?, meta)),
            comes_back: |value, kind, bytes| codec::is_same(typed::<V>(value)?, &codec::decode_any::<V>(kind, bytes)?),
        }),
        ..Self::MEMORY
    };
}

impl<U: Send + Sync + 'static> Typed<Option<U>> {
    /// Encodes the outer `Option` outside of the payload, where a codec could lose `Some(None)` or `Some(())`.
    pub(crate) const fn coded_option<C: Codec<U>>() -> ValueType {
        let functions = Functions {
            id: codec::id::<U, C>(),
            is_lossy: C::__LOSSY,
            encode: |value, limit, bytes| match typed::<Option<U>>(value)? {
                Some(value) => C::__encode_within(limit, value, bytes).map(|()| Kind::Value),
                None => Ok(Kind::None),
            },
            decode: |kind, bytes, meta| Ok(entry(decode_option::<U, C>(kind, bytes)?, meta)),
            comes_back: |value, kind, bytes| match (typed::<Option<U>>(value)?, decode_option::<U, C>(kind, bytes)?) {
                (Some(value), Some(copy)) => C::__is_same(value, &copy, bytes),
                (None, None) => Ok(true),
                _ => Ok(false),
            },
        };
        ValueType { codec: Some(functions), ..Self::MEMORY }
    }
}

fn decode<T, C: Codec<T>>(kind: Kind, bytes: &[u8]) -> Result<T, CodecFault> {
    match kind {
        Kind::Value => C::__decode(bytes),
        Kind::None => Err(CodecFault::WrongKind),
    }
}

fn decode_option<T, C: Codec<T>>(kind: Kind, bytes: &[u8]) -> Result<Option<T>, CodecFault> {
    match kind {
        Kind::Value => C::__decode(bytes).map(Some),
        Kind::None if bytes.is_empty() => Ok(None),
        Kind::None => Err(CodecFault::WrongKind),
    }
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

fn typed<V: 'static>(value: &AnyValue) -> Result<&V, CodecFault> {
    value.downcast_ref().ok_or(CodecFault::WrongKind)
}
