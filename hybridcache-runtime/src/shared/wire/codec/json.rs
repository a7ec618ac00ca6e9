//! JSON, as `serde_json` writes it.

use std::io;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::contract::{Codec, CodecError};
use super::format::CodecFault;
use super::trace;

/// JSON, for readers in other languages and for people. Codec 2; feature `json`.
///
/// JSON has one form for different values: `null` is `None`, `Some(None)`, `()` and a number that is not finite. So *each* value is decoded and
/// compared before it is stored, which takes about as long as encoding it three times; a function one of whose values comes back as another
/// one stays out of Redis, with a warning. Maps whose keys are neither texts nor numbers cannot be encoded. Longer than
/// [`MessagePack`](crate::MessagePack), and slower.
///
/// ```
/// # use hybridcache_runtime as hybridcache;
/// use hybridcache::{Codec, Json};
///
/// let mut bytes = Vec::new();
/// Json::encode(&vec![1, 2, 3], &mut bytes)?;
/// assert_eq!(bytes, b"[1,2,3]");
/// # Ok::<(), hybridcache::CodecError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Json;

impl<T: Serialize + DeserializeOwned> Codec<T> for Json {
    const ID: u8 = 2;
    const __BUILT_IN: bool = true;
    const __LOSSY: bool = true;

    fn encode(value: &T, bytes: &mut Vec<u8>) -> Result<(), CodecError> {
        serde_json::to_writer(bytes, value).map_err(CodecError::new)
    }

    fn decode(bytes: &[u8]) -> Result<T, CodecError> {
        serde_json::from_slice(bytes).map_err(CodecError::new)
    }

    fn __encode_within(limit: usize, value: &T, bytes: &mut Vec<u8>) -> Result<(), CodecFault> {
        let mut bounded = Bounded { bytes, limit, is_full: false };
        let written = serde_json::to_writer(&mut bounded, value);
        if bounded.is_full { Err(CodecFault::TooLarge) } else { written.map_err(|error| CodecError::new(error).into()) }
    }

    fn __is_same(value: &T, copy: &T, _: &[u8]) -> Result<bool, CodecFault> {
        trace::is_same(value, copy)
    }
}

/// Ends as soon as there are too many bytes.
struct Bounded<'a> {
    bytes: &'a mut Vec<u8>,
    limit: usize,
    is_full: bool,
}

impl io::Write for Bounded<'_> {
    fn write(&mut self, more: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + more.len() > self.limit {
            self.is_full = true;
            return Err(io::ErrorKind::WriteZero.into());
        }
        self.bytes.extend_from_slice(more);
        Ok(more.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
