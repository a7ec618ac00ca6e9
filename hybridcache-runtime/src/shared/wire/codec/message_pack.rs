//! MessagePack as a codec.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::contract::{Codec, CodecError};
use super::format::{CodecFault, Kind};
use super::plain::{decode_value, encode_value_within, is_same};

/// MessagePack with the names of fields, the default. Codec 1.
///
/// Every value of serde's data model comes back as it was, nested options and integers of 128 bits included.
///
/// ```
/// # use hybridcache_runtime as hybridcache;
/// use hybridcache::{Codec, MessagePack};
///
/// let mut bytes = Vec::new();
/// MessagePack::encode(&"seven".to_owned(), &mut bytes)?;
/// let text: String = MessagePack::decode(&bytes)?;
/// assert_eq!(text, "seven");
/// # Ok::<(), hybridcache::CodecError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct MessagePack;

impl<T: Serialize + DeserializeOwned> Codec<T> for MessagePack {
    const ID: u8 = 1;
    const __BUILT_IN: bool = true;

    fn encode(value: &T, bytes: &mut Vec<u8>) -> Result<(), CodecError> {
        Ok(Self::__encode_within(usize::MAX, value, bytes)?)
    }

    fn decode(bytes: &[u8]) -> Result<T, CodecError> {
        Ok(Self::__decode(bytes)?)
    }

    fn __encode_within(limit: usize, value: &T, bytes: &mut Vec<u8>) -> Result<(), CodecFault> {
        encode_value_within(limit, value, bytes).map(|_| ())
    }

    fn __decode(bytes: &[u8]) -> Result<T, CodecFault> {
        decode_value(Kind::Value, bytes)
    }

    fn __is_same(value: &T, copy: &T, _: &[u8]) -> Result<bool, CodecFault> {
        is_same(value, copy)
    }
}
