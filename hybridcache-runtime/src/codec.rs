//! Values as bytes: MessagePack, with the names of fields.
//!
//! Without the names, a type whose fields changed places would decode to a wrong value. An outer `Option` is not left
//! to MessagePack, where `Some(None)` and `Some(())` would come back as `None`: it is the [`Kind`] of the entry.

#[cfg(test)]
mod tests;

use std::fmt;

use serde::Serialize;
use serde::de::DeserializeOwned;

/// How deep arrays and maps may stand in each other.
const MAX_DEPTH: usize = 100;

/// Whether there is a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// There is.
    Value,
    /// A function that returns an `Option` returned `None`. Takes no bytes.
    None,
}

/// Why a value could not be encoded or decoded.
#[derive(Debug)]
pub enum CodecError {
    /// Its `Serialize` failed.
    Encode(rmp_serde::encode::Error),
    /// The bytes are no value of the type.
    Decode(rmp_serde::decode::Error),
    /// The bytes are no MessagePack object, less than one, or more than one.
    Malformed,
    /// Nested deeper than 100 arrays and maps.
    TooDeep,
    /// `None` where a value must be, or bytes behind a `None`.
    WrongKind,
}

/// Appends a value to `bytes`. On an error, part of it may have been appended.
pub fn encode_value<T: Serialize + ?Sized>(value: &T, bytes: &mut Vec<u8>) -> Result<Kind, CodecError> {
    let start = bytes.len();
    value.serialize(&mut rmp_serde::Serializer::new(&mut *bytes).with_struct_map()).map_err(CodecError::Encode)?;
    // What could not be decoded again is refused here rather than at each reading.
    check_shape(&bytes[start..])?;
    Ok(Kind::Value)
}

/// Appends what is in an `Option` to `bytes`.
pub fn encode_option<T: Serialize>(value: &Option<T>, bytes: &mut Vec<u8>) -> Result<Kind, CodecError> {
    match value {
        Some(value) => encode_value(value, bytes),
        None => Ok(Kind::None),
    }
}

/// The value that [`encode_value`] gave `kind` and `bytes` for.
pub fn decode_value<T: DeserializeOwned>(kind: Kind, bytes: &[u8]) -> Result<T, CodecError> {
    if kind != Kind::Value {
        return Err(CodecError::WrongKind);
    }
    check_shape(bytes)?;
    T::deserialize(&mut rmp_serde::Deserializer::from_read_ref(bytes)).map_err(CodecError::Decode)
}

/// The `Option` that `encode_option` gave `kind` and `bytes` for.
pub fn decode_option<T: DeserializeOwned>(kind: Kind, bytes: &[u8]) -> Result<Option<T>, CodecError> {
    match kind {
        Kind::Value => decode_value(kind, bytes).map(Some),
        Kind::None if bytes.is_empty() => Ok(None),
        Kind::None => Err(CodecError::WrongKind),
    }
}

/// Walks over `bytes` without recursion: they must be one MessagePack object, whole, with nothing behind it, and not
/// too deep.
///
/// The decoder has a limit of its own, but does not count enums, and it ignores what follows the object. After this
/// walk it cannot run out of bytes, and no length promises more than is there. (A type that contains itself without a
/// byte in between, `struct T(Option<Box<T>>)`, is beyond help.)
fn check_shape(bytes: &[u8]) -> Result<(), CodecError> {
    let mut rest = bytes;
    // How many objects each open array or map still lacks.
    let mut open = [0_usize; MAX_DEPTH];
    let mut depth = 0;
    loop {
        let inner = step_into(&mut rest)?;
        if inner > 0 {
            *open.get_mut(depth).ok_or(CodecError::TooDeep)? = inner;
            depth += 1;
            continue;
        }
        while depth > 0 {
            open[depth - 1] -= 1;
            if open[depth - 1] > 0 {
                break;
            }
            depth -= 1;
        }
        if depth == 0 {
            return if rest.is_empty() { Ok(()) } else { Err(CodecError::Malformed) };
        }
    }
}

/// Takes the next object off `rest`, of an array or a map only its head. Returns how many objects are in it.
fn step_into(rest: &mut &[u8]) -> Result<usize, CodecError> {
    let marker = take(rest, 1)?[0];
    let (inner, follow) = match marker {
        0x80..=0x8f => (2 * usize::from(marker & 0xf), 0),
        0xde => (2 * length(rest, 2)?, 0),
        0xdf => (2 * length(rest, 4)?, 0),
        0x90..=0x9f => (usize::from(marker & 0xf), 0),
        0xdc => (length(rest, 2)?, 0),
        0xdd => (length(rest, 4)?, 0),
        // strings and bytes
        0xa0..=0xbf => (0, usize::from(marker & 0x1f)),
        0xc4 | 0xd9 => (0, length(rest, 1)?),
        0xc5 | 0xda => (0, length(rest, 2)?),
        0xc6 | 0xdb => (0, length(rest, 4)?),
        // extensions: their type takes a byte
        0xc7 => (0, length(rest, 1)? + 1),
        0xc8 => (0, length(rest, 2)? + 1),
        0xc9 => (0, length(rest, 4)? + 1),
        0xd4..=0xd8 => (0, (1 << (marker - 0xd4)) + 1),
        // numbers
        0xcc | 0xd0 => (0, 1),
        0xcd | 0xd1 => (0, 2),
        0xca | 0xce | 0xd2 => (0, 4),
        0xcb | 0xcf | 0xd3 => (0, 8),
        0x00..=0x7f | 0xe0..=0xff | 0xc0 | 0xc2 | 0xc3 => (0, 0),
        0xc1 => return Err(CodecError::Malformed),
    };
    take(rest, follow)?;
    Ok(inner)
}

/// A length of `size` bytes, big endian. Whatever is counted takes a byte at least, so it cannot be more than the
/// rest; and then it can be doubled.
fn length(rest: &mut &[u8], size: usize) -> Result<usize, CodecError> {
    let length = take(rest, size)?.iter().fold(0, |length, byte| length << 8 | usize::from(*byte));
    if length > rest.len() { Err(CodecError::Malformed) } else { Ok(length) }
}

fn take<'a>(rest: &mut &'a [u8], count: usize) -> Result<&'a [u8], CodecError> {
    rest.split_off(..count).ok_or(CodecError::Malformed)
}

impl fmt::Display for CodecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Encode(error) => error.fmt(f),
            Self::Decode(error) => error.fmt(f),
            Self::Malformed => f.write_str("not one whole MessagePack object"),
            Self::TooDeep => write!(f, "nested deeper than {MAX_DEPTH}"),
            Self::WrongKind => f.write_str("a `None` where a value is expected, or a value where there is none"),
        }
    }
}

impl std::error::Error for CodecError {}
