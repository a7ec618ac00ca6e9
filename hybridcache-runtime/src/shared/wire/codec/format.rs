//! The structure of MessagePack: markers, extensions, and a walk over bytes from outside.

use std::fmt;

/// How deep arrays and maps may be nested.
pub(super) const MAX_DEPTH: usize = 100;

/// The MessagePack markers of nil, and of an extension of one byte.
pub(super) const NIL: u8 = 0xc0;
pub(super) const ONE_BYTE_EXTENSION: u8 = 0xd4;
/// The types of the extensions.
pub(super) const SOME: u8 = 1;
pub(super) const I128: u8 = 2;
pub(super) const U128: u8 = 3;

/// Whether there is a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// There is a value.
    Value,
    /// A function that returns an `Option` returned `None`. Takes no bytes.
    None,
}

/// Why a value could not be encoded or decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CodecFault {
    /// The value's `Serialize` failed.
    Encode(Box<str>),
    /// The bytes are no value of the type.
    Decode(Box<str>),
    /// The function's own codec, or JSON, failed.
    Codec(Box<str>),
    /// The value takes more bytes than are allowed.
    TooLarge,
    /// The bytes are no MessagePack object, less than one, or more than one.
    Malformed,
    /// Nested deeper than 100 arrays and maps.
    TooDeep,
    /// `None` where a value must be, or bytes behind a `None`.
    WrongKind,
}

/// Walks over `bytes` without recursion. They must be one whole MessagePack object, followed by nothing, and not too
/// deep.
///
/// The decoder recurses. After this walk it cannot overflow the stack or run out of bytes, and no length is greater
/// than the number of bytes that follow. (The walk cannot protect a type that contains itself without a byte in
/// between: `struct T(Option<Box<T>>)`.)
pub(super) fn check_shape(bytes: &[u8]) -> Result<(), CodecFault> {
    let mut rest = bytes;
    // How many objects are still missing in each open array or map.
    let mut open = [0_usize; MAX_DEPTH];
    let mut depth = 0;
    loop {
        let inner = step_into(&mut rest)?;
        if inner > 0 {
            *open.get_mut(depth).ok_or(CodecFault::TooDeep)? = inner;
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
            return if rest.is_empty() { Ok(()) } else { Err(CodecFault::Malformed) };
        }
    }
}

/// Reads the next object from `rest`; of an array or a map it reads only the head. Returns how many objects it
/// contains.
pub(super) fn step_into(rest: &mut &[u8]) -> Result<usize, CodecFault> {
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
        0xc1 => return Err(CodecFault::Malformed),
    };
    take(rest, follow)?;
    Ok(inner)
}

/// Whether the next object is a map.
pub(super) fn is_map(bytes: &[u8]) -> bool {
    matches!(bytes.first(), Some(0x80..=0x8f | 0xde | 0xdf))
}

/// A length of `size` bytes, big endian. Each counted item takes at least one byte, so a length cannot be greater than
/// the rest, and doubling it cannot overflow.
pub(super) fn length(rest: &mut &[u8], size: usize) -> Result<usize, CodecFault> {
    let length = take(rest, size)?.iter().fold(0, |length, byte| length << 8 | usize::from(*byte));
    if length > rest.len() { Err(CodecFault::Malformed) } else { Ok(length) }
}

pub(super) fn take<'a>(rest: &mut &'a [u8], count: usize) -> Result<&'a [u8], CodecFault> {
    rest.split_off(..count).ok_or(CodecFault::Malformed)
}

impl fmt::Display for CodecFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Encode(message) | Self::Decode(message) | Self::Codec(message) => f.write_str(message),
            Self::TooLarge => f.write_str("more bytes than it may take"),
            Self::Malformed => f.write_str("not one whole MessagePack object"),
            Self::TooDeep => write!(f, "nested deeper than {MAX_DEPTH}"),
            Self::WrongKind => f.write_str("a `None` where a value is expected, or a value where there is none"),
        }
    }
}

impl std::error::Error for CodecFault {}

impl serde::ser::Error for CodecFault {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::Encode(message.to_string().into())
    }
}

impl serde::de::Error for CodecFault {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::Decode(message.to_string().into())
    }
}
