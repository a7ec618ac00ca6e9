//! What a codec is.

use std::error::Error;
use std::fmt;

use super::format::CodecFault;

/// A format of values on the wire: how a value becomes the payload of an entry in Redis, and a value again.
///
/// [`MessagePack`](crate::MessagePack) is the default, [`Json`](crate::Json) and [`Raw`](crate::Raw) are the others of this crate. One of your own
/// is a type with an implementation for each type of value, and an [`ID`](Self::ID) from 64 to 127. The trait is generic over the value,
/// so that a codec need not know serde: protobuf, for example, needs a value's generated code only.
///
/// A function names its codec: `#[hybrid_cached(ttl = 1h, codec = Json)]`. Where it returns an `Option`, or a `Result` of one, the
/// `Option` is no part of the payload: the codec is asked for the type inside.
///
/// ```
/// # use hybridcache_runtime as hybridcache;
/// use hybridcache::{Codec, CodecError};
///
/// struct Point { x: i32, y: i32 }
///
/// /// Eight bytes.
/// struct Fixed;
///
/// impl Codec<Point> for Fixed {
///     const ID: u8 = 64;
///
///     fn encode(point: &Point, bytes: &mut Vec<u8>) -> Result<(), CodecError> {
///         bytes.extend_from_slice(&point.x.to_le_bytes());
///         bytes.extend_from_slice(&point.y.to_le_bytes());
///         Ok(())
///     }
///
///     fn decode(bytes: &[u8]) -> Result<Point, CodecError> {
///         let (Some((x, rest)), true) = (bytes.split_first_chunk(), bytes.len() == 8) else {
///             return Err(CodecError::new("not eight bytes"));
///         };
///         let y = rest.try_into().map_err(CodecError::new)?;
///         Ok(Point { x: i32::from_le_bytes(*x), y: i32::from_le_bytes(y) })
///     }
/// }
/// ```
///
/// # What it must keep to
/// `decode` gets bytes from outside: damaged ones are found before, and those that another program wrote are not. It must not
/// panic, nor allocate what a length in the bytes claims. Decoding what was encoded gives the same value. Before the first value of a function
/// is stored, it is decoded and encoded again: if that gives other bytes (in another order is no difference: a map may have any), the function stays out of
/// Redis, with a warning. If the format of a type changes, the function gets another `version`, or the codec another `ID`.
#[diagnostic::on_unimplemented(
    message = "the codec `{Self}` cannot encode `{T}`",
    label = "this codec has no implementation for the value",
    note = "`Raw` is for `Vec<u8>` and `Bytes`, `Json` and `MessagePack` are for types with `serde::Serialize` and `serde::Deserialize`",
    note = "for a codec of your own, write `impl hybridcache::Codec<{T}> for {Self}`"
)]
pub trait Codec<T> {
    /// Byte 5 of the entries that it writes: an entry of another codec is a miss. From 64 to 127 for codecs of your own, which the
    /// compiler checks where a function uses the codec. Each codec of a namespace has its own.
    const ID: u8;

    /// Appends the encoded value to `bytes`, of which it leaves what is there.
    ///
    /// # Errors
    /// Where the value has no form in this format. It stays in memory, and is counted as unsendable.
    fn encode(value: &T, bytes: &mut Vec<u8>) -> Result<(), CodecError>;

    /// Decodes a value from all of `bytes`.
    ///
    /// # Errors
    /// Where the bytes are no such value, or more than one. The entry is a miss, and counted as undecodable.
    fn decode(bytes: &[u8]) -> Result<T, CodecError>;

    #[doc(hidden)]
    const __BUILT_IN: bool = false;

    /// Whether a value may come back as another one although an earlier one came back the same: then each is compared.
    #[doc(hidden)]
    const __LOSSY: bool = false;

    /// Fails, or ends with, more than `limit` bytes.
    #[doc(hidden)]
    fn __encode_within(limit: usize, value: &T, bytes: &mut Vec<u8>) -> Result<(), CodecFault> {
        Self::encode(value, bytes)?;
        if bytes.len() > limit { Err(CodecFault::TooLarge) } else { Ok(()) }
    }

    #[doc(hidden)]
    fn __decode(bytes: &[u8]) -> Result<T, CodecFault> {
        Ok(Self::decode(bytes)?)
    }

    /// Whether the copy, which was decoded from `bytes`, is the same value.
    #[doc(hidden)]
    fn __is_same(_: &T, copy: &T, bytes: &[u8]) -> Result<bool, CodecFault> {
        let mut again = Vec::with_capacity(bytes.len());
        Self::encode(copy, &mut again)?;
        Ok(again == bytes || is_permutation(&again, bytes))
    }
}

/// Whether both have the same bytes, in any order: those of a map can have any.
fn is_permutation(these: &[u8], those: &[u8]) -> bool {
    let mut balance = [0_isize; 256];
    these.iter().for_each(|byte| balance[usize::from(*byte)] += 1);
    those.iter().for_each(|byte| balance[usize::from(*byte)] -= 1);
    balance.iter().all(|count| *count == 0)
}

/// The number of a codec in an envelope. Fails to compile for a user's codec with another codec's number.
pub(crate) const fn id<T, C: Codec<T>>() -> u8 {
    assert!(C::__BUILT_IN || (C::ID >= 64 && C::ID <= 127), "the `ID` of a codec of your own must be from 64 to 127");
    C::ID
}

/// Why a [`Codec`] could not encode or decode a value.
#[derive(Debug)]
pub struct CodecError {
    message: String,
}

impl CodecError {
    /// With the error of the library that does the work, or a text.
    pub fn new(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { message: error.into().to_string() }
    }
}

impl fmt::Display for CodecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for CodecError {}

impl From<CodecError> for CodecFault {
    fn from(error: CodecError) -> Self {
        Self::Codec(error.message.into())
    }
}

impl From<CodecFault> for CodecError {
    fn from(fault: CodecFault) -> Self {
        Self { message: fault.to_string() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Killed by: comparing lengths alone; comparing the order.
    #[test]
    fn the_same_bytes_in_another_order() {
        for (these, those, expected) in
            [("", "", true), ("ab", "ba", true), ("aab", "abb", false), ("a", "aa", false), ("ab", "ac", false)]
        {
            assert_eq!(is_permutation(these.as_bytes(), those.as_bytes()), expected, "{these} {those}");
        }
    }
}
