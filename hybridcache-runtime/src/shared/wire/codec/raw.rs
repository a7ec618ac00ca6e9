//! Bytes as they are.

use super::contract::{Codec, CodecError};
use super::format::CodecFault;

/// Bytes as they are, for functions that return `Vec<u8>` or `Bytes`. Codec 4.
///
/// Other programs read them without a decoder, and `Bytes` needs no serde. (A `Vec<u8>` under [`MessagePack`](crate::MessagePack) is an array of
/// numbers: bytes from 128 on take two.)
///
/// ```
/// # use hybridcache_runtime as hybridcache;
/// use hybridcache::{Codec, Raw};
///
/// let mut bytes = Vec::new();
/// Raw::encode(&vec![1, 2, 255], &mut bytes)?;
/// assert_eq!(bytes, [1, 2, 255]);
/// # Ok::<(), hybridcache::CodecError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Raw;

macro_rules! raw {
    ($ty:ty, $decode:expr) => {
        impl Codec<$ty> for Raw {
            const ID: u8 = 4;
            const __BUILT_IN: bool = true;

            fn encode(value: &$ty, bytes: &mut Vec<u8>) -> Result<(), CodecError> {
                bytes.extend_from_slice(value);
                Ok(())
            }

            fn decode(bytes: &[u8]) -> Result<$ty, CodecError> {
                Ok($decode(bytes))
            }

            fn __encode_within(limit: usize, value: &$ty, bytes: &mut Vec<u8>) -> Result<(), CodecFault> {
                if value.len() > limit.saturating_sub(bytes.len()) {
                    return Err(CodecFault::TooLarge);
                }
                bytes.extend_from_slice(value);
                Ok(())
            }
        }
    };
}
raw!(Vec<u8>, <[u8]>::to_vec);
#[cfg(any(feature = "redis", feature = "http"))]
raw!(bytes::Bytes, bytes::Bytes::copy_from_slice);
