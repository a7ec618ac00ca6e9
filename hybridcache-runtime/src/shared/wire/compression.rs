//! The compression of payloads: after the codec, before anything else.
//!
//! Byte 6 of an envelope is the number of the compression, and bytes 56 to 59 are the length before it. A reader never
//! allocates more than that length, and refuses it first where it is over the value limit, or more than the format can
//! make of so few bytes. What comes out must have exactly that length.

#[cfg(test)]
mod tests;

use std::borrow::Cow;

#[cfg(feature = "lz4")]
use crate::shared::wire::envelope::LZ4;
#[cfg(feature = "zstd")]
use crate::shared::wire::envelope::ZSTD;
use crate::shared::wire::envelope::{Header, UNCOMPRESSED, Undecodable};

/// A payload of up to so many bytes is stored as it is, by default: a Redis command costs more than what is saved.
const ABOVE: usize = 1024;

/// A payload stays as it is where compression saves less than this part of it.
const WORTHWHILE: usize = 8;

/// Whether values are compressed on their way to Redis, and how.
///
/// It is for the builder: [`Builder::compression`](crate::Builder::compression). Every process reads what every other one
/// wrote, compressed or not, as long as its build has the compression: `lz4` is a default feature, `zstd` is not. To a
/// process that cannot decompress an entry, the entry is a miss.
///
/// A value stays as it is where compression saves less than an eighth of its encoding.
///
/// ```
/// # use hybridcache_runtime as hybridcache;
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), hybridcache::Error> {
/// use hybridcache::{Compression, HybridCache};
///
/// let cache = HybridCache::builder().compression(Compression::lz4().above(4096)).build().await?;
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compression {
    algorithm: Algorithm,
    above: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Algorithm {
    None,
    #[cfg(feature = "lz4")]
    Lz4,
    #[cfg(feature = "zstd")]
    Zstd(i32),
}

impl Compression {
    /// Values are stored as they were encoded. The default.
    pub const fn none() -> Self {
        Self { algorithm: Algorithm::None, above: ABOVE }
    }

    /// LZ4: fast enough for every value, hundreds of megabytes a second and more.
    #[cfg(feature = "lz4")]
    pub const fn lz4() -> Self {
        Self { algorithm: Algorithm::Lz4, above: ABOVE }
    }

    /// Zstandard, level 1 (fast) to 22 (small). It makes values smaller than LZ4 does, and takes several times as long.
    /// From level 4 on, values of more than 4 KiB are compressed on a blocking thread.
    ///
    /// # Errors
    /// [`Builder::build`](crate::Builder::build) refuses another level.
    #[cfg(feature = "zstd")]
    pub const fn zstd(level: i32) -> Self {
        Self { algorithm: Algorithm::Zstd(level), above: ABOVE }
    }

    /// Only values whose encoding is longer than so many bytes are compressed. At least 1. Default: 1024.
    pub const fn above(mut self, bytes: usize) -> Self {
        self.above = bytes;
        self
    }

    /// The problem with the setting.
    pub(crate) fn problem(self) -> Option<&'static str> {
        match self.algorithm {
            #[cfg(feature = "zstd")]
            Algorithm::Zstd(level) if !(1..=22).contains(&level) => Some("the level of zstd must be 1 to 22"),
            _ if self.above == 0 => Some("the threshold `above(..)` must be at least 1 byte"),
            _ => None,
        }
    }

    /// The longest payload that a worker may compress, where it may encode `small` bytes.
    pub(crate) fn at_most_here(self, small: usize) -> usize {
        match self.algorithm {
            #[cfg(feature = "zstd")]
            Algorithm::Zstd(level) => small.min(if level > 3 { 4 << 10 } else { 32 << 10 }),
            _ => small,
        }
    }

    /// The number of the compression, and the compressed payload. `None`: the payload stays as it is.
    pub(crate) fn compress(self, payload: &[u8]) -> Option<(u8, Vec<u8>)> {
        if payload.len() <= self.above {
            return None;
        }
        let packed: Option<(u8, Vec<u8>)> = match self.algorithm {
            Algorithm::None => None,
            #[cfg(feature = "lz4")]
            Algorithm::Lz4 => Some((LZ4, lz4_flex::block::compress(payload))),
            #[cfg(feature = "zstd")]
            Algorithm::Zstd(level) => zstd::bulk::compress(payload, level).ok().map(|compressed| (ZSTD, compressed)),
        };
        packed.filter(|(_, compressed)| compressed.len() <= payload.len() - payload.len() / WORTHWHILE)
    }
}

impl Default for Compression {
    fn default() -> Self {
        Self::none()
    }
}

/// Refuses a payload that was longer than `limit` before it was compressed. An uncompressed one has its length already.
pub(crate) fn check_length(header: &Header, limit: usize) -> Result<(), Undecodable> {
    let is_acceptable = header.compression == UNCOMPRESSED || header.length as usize <= limit;
    if is_acceptable { Ok(()) } else { Err(Undecodable::TooLarge) }
}

/// The payload as the codec wrote it. Allocates at most the length in the header, which [`check_length`] has accepted.
pub(crate) fn decompress<'a>(header: &Header, payload: &'a [u8]) -> Result<Cow<'a, [u8]>, Undecodable> {
    match header.compression {
        UNCOMPRESSED => Ok(Cow::Borrowed(payload)),
        #[cfg(feature = "lz4")]
        LZ4 => decompress_lz4(payload, header.length as usize).map(Cow::Owned),
        #[cfg(feature = "zstd")]
        ZSTD => decompress_zstd(payload, header.length as usize).map(Cow::Owned),
        number => Err(Undecodable::Compression(number)),
    }
}

/// A byte of an LZ4 block gives at most so many bytes: it adds at most 255 to the length of a match.
#[cfg(feature = "lz4")]
const LZ4_RATIO: usize = 255;

#[cfg(feature = "lz4")]
const fn lz4_can_give(length: usize, bytes: usize) -> bool {
    length / LZ4_RATIO <= bytes
}

#[cfg(feature = "lz4")]
fn decompress_lz4(payload: &[u8], length: usize) -> Result<Vec<u8>, Undecodable> {
    if !lz4_can_give(length, payload.len()) {
        return Err(Undecodable::Compressed);
    }
    let mut value = vec![0; length];
    match lz4_flex::block::decompress_into(payload, &mut value) {
        Ok(written) if written == length => Ok(value),
        _ => Err(Undecodable::Compressed),
    }
}

/// The payload must be one frame, which says its content's length, and nothing behind it.
#[cfg(feature = "zstd")]
fn decompress_zstd(payload: &[u8], length: usize) -> Result<Vec<u8>, Undecodable> {
    use zstd::zstd_safe::{find_frame_compressed_size, get_frame_content_size};

    let says = get_frame_content_size(payload).ok().flatten();
    if find_frame_compressed_size(payload) != Ok(payload.len()) || says != Some(length as u64) {
        return Err(Undecodable::Compressed);
    }
    let mut value = vec![0; length];
    match zstd::bulk::decompress_to_buffer(payload, &mut value) {
        Ok(written) if written == length => Ok(value),
        _ => Err(Undecodable::Compressed),
    }
}
