//! The bytes at an entry's key in a shared tier: a header, the stamps under which it was loaded, and the value's bytes.
//!
//! Integers are little endian. Bytes 0 to 31 are frozen, scripts in the tier read them.
//!
//! | offset | size | field |
//! |---|---|---|
//! | 0 | 4 | magic `89 48 43`, format 2 |
//! | 4 | 1 | 1 once it was expired by hand, else 0; changed in place |
//! | 5, 6, 7 | 1, 1, 1 | codec (1 MessagePack, 2 JSON, 4 bytes as they are, 64 to 127 those of users), compression (0 none, 1 lz4 block, 2 zstd frame), kind (1 value, 2 none) |
//! | 8 | 2 | flags: the low byte may be ignored, an unknown bit of the high byte makes the entry unreadable; 0x0100: the payload is sealed |
//! | 10 | 2 | number of stamps |
//! | 12 | 4 | what the load cost, in milliseconds |
//! | 16 | 16 | fence |
//! | 32, 40, 48 | 8 each | loaded at, fresh until, expires at, the tier's Unix milliseconds, each not before the last, at most 2^63 - 1 |
//! | 56 | 4 | length of the payload before compression |
//! | 60 | 4 | CRC-32C of bytes 5 to 59 and of all from 64 on |
//! | 64 | 16 | key: the hash of namespace, binary, function, version and arguments, see [`crate::shared::wire::names::fingerprint`] |
//! | 80 | 16 each | stamps: the hash of its name, its value |
//! | then | | payload; empty if the kind is none |
//!
//! The checksum covers the header too, as a damaged lifetime or stamp is as bad as a damaged value. Byte 4 is left
//! out because it changes in place. Bytes 0 to 4 have few valid values, so every single flipped bit is noticed but
//! the one that says "expired by hand".
//!
//! An uncompressed payload is as long as byte 56 says. A compressed one is shorter, and must decompress to exactly that
//! length: see [`crate::shared::wire::compression`].
//!
//! The hash of the key ensures that an entry is never served under another key, however it got there: two functions
//! with one address, a renamed key, a restored backup.

#[cfg(test)]
mod tests;

use std::fmt;

use smallvec::SmallVec;

use crate::shared::wire::codec::CodecFault;
pub use crate::shared::wire::codec::Kind;

/// The payload is MessagePack with the names of fields.
pub const MESSAGE_PACK: u8 = 1;
/// The payload is JSON.
const JSON: u8 = 2;
/// The payload is the value's own bytes.
const RAW: u8 = 4;
/// The payload is stored as the codec wrote it.
pub const UNCOMPRESSED: u8 = 0;
/// The payload is one block of LZ4.
pub const LZ4: u8 = 1;
/// The payload is one frame of Zstandard.
pub const ZSTD: u8 = 2;

/// A hint among the flags: the load itself has said how long its value is fresh, which may be longer than what the
/// function says. A reader that ignores it takes the function's own.
pub const OWN_FRESH_FOR: u16 = 0x0001;

/// Magic and format.
const FORMAT: [u8; 4] = [0x89, b'H', b'C', 2];
const KIND_VALUE: u8 = 1;
const KIND_NONE: u8 = 2;
/// The payload is sealed: see [`crate::shared::wire::packing`].
pub const SEALED: u16 = 0x0100;
/// The flags that a reader must know, and that this one does not.
const UNKNOWN: u16 = 0xff00 & !SEALED;

/// What a sealed payload has beside the ciphertext: id of the key, nonce, tag.
const SEAL: usize = 4 + 12 + 16;

/// The offsets of header fields that are filled in last, or checked separately.
const MUTABLE_AT: usize = 4;
const COMPRESSION_AT: usize = 6;
const KIND_AT: usize = 7;
const FLAGS_AT: usize = 8;
const STAMPS_COUNT_AT: usize = 10;
const FENCE_AT: usize = 16;
const LENGTH_AT: usize = 56;
const CHECKSUM_AT: usize = 60;
const KEY_AT: usize = 64;
const STAMPS_AT: usize = 80;

/// The room that is reserved for a payload of unknown length.
const USUAL_PAYLOAD: usize = 1024;

/// Stamps: the hash of each stamp's name, and its value. Most entries have two.
pub type StampValues = SmallVec<[(u64, u64); 2]>;

/// All fields of an envelope except the payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// The entry was marked stale by hand, whatever its times say.
    pub expired_by_hand: bool,
    /// The number of the payload's codec.
    pub codec: u8,
    /// How the payload was compressed: [`UNCOMPRESSED`], [`LZ4`] or [`ZSTD`].
    pub compression: u8,
    /// Whether the payload is a value.
    pub kind: Kind,
    /// The low byte is for hints that may be ignored; the high byte must be zero.
    pub flags: u16,
    /// The cost of the load, in milliseconds.
    pub cost_ms: u32,
    /// The token of the lease under which it was loaded.
    pub fence: [u8; 16],
    /// When the load began, in the tier's Unix milliseconds.
    pub loaded_at: u64,
    /// Until when it is fresh; not before `loaded_at`.
    pub fresh_until: u64,
    /// When it is gone; not before `fresh_until`, at most 2^63 - 1.
    pub expires_at: u64,
    /// The length of the payload before it was compressed.
    pub length: u32,
    /// The hash of the entry's key.
    pub key: [u8; 16],
    /// The stamps it was loaded under: the namespace's, the function's, then the tags'.
    pub stamps: StampValues,
}

#[cfg(test)]
impl Header {
    /// A header that every reader accepts, of the payload `b"payload"`.
    pub(crate) fn sample() -> Self {
        Self {
            expired_by_hand: false,
            codec: MESSAGE_PACK,
            compression: UNCOMPRESSED,
            kind: Kind::Value,
            flags: 0,
            cost_ms: 12,
            fence: [7; 16],
            loaded_at: 1_000,
            fresh_until: 2_000,
            expires_at: 3_000,
            length: 7,
            key: [9; 16],
            stamps: smallvec::smallvec![(1, 2), (3, 4)],
        }
    }
}

/// Why bytes are no envelope that this version can read. Such an entry is a miss.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Undecodable {
    /// It does not begin as an envelope does.
    Foreign,
    /// Another number of the format.
    Format(u8),
    /// Byte 4 is neither 0 nor 1.
    Mutable(u8),
    /// An unknown codec, or another one than the function's.
    Codec(u8),
    /// An unknown compression, or one that this build cannot undo.
    Compression(u8),
    /// The payload is longer, before compression, than this process accepts.
    TooLarge,
    /// The compressed bytes are damaged, or they are no payload of the length that the header says.
    Compressed,
    /// An unknown kind.
    Kind(u8),
    /// An unknown flag that must be understood.
    Flags(u16),
    /// Cut short, or longer than the header says.
    Length,
    /// The checksum is wrong.
    Checksum,
    /// Fresh until a time before the load, or after the expiry; or times beyond the limit.
    Times,
    /// There is a payload although the kind says that there is no value.
    Payload,
    /// It is for another key.
    Key,
    /// It is sealed, and this process has no keyring.
    NoKeyring,
    /// It is not sealed, and this process has a keyring.
    NotSealed,
    /// It is sealed with a key that is not in the keyring.
    UnknownKey(u32),
    /// The seal is broken: it was altered, or was sealed for another entry.
    Altered,
    /// The payload is no value of the function's type.
    Value(CodecFault),
}

/// An envelope around `payload`, whose bytes and length are as `header` says.
///
/// A header that no reader accepts (times out of order, an unknown codec, a payload beside [`Kind::None`], a length that
/// is not the payload's) is not refused here, nor are more than 65,535 stamps or 4 GiB: what comes out is a miss for
/// every reader.
pub fn encode(header: &Header, payload: &[u8]) -> Vec<u8> {
    let mut draft = Draft::with_room(header, payload.len());
    draft.bytes.extend_from_slice(payload);
    draft.set_kind(header.kind);
    draft.finish()
}

/// An envelope that is being written: its header, then the payload as the codec writes it, then that payload packed.
pub(crate) struct Draft {
    bytes: Vec<u8>,
    payload_at: usize,
}

impl Draft {
    /// The part before the payload. Kind, compression and length follow from the payload: [`Self::encoded`].
    pub(crate) fn new(header: &Header) -> Self {
        Self::with_room(&Header { compression: UNCOMPRESSED, ..header.clone() }, USUAL_PAYLOAD)
    }

    fn with_room(header: &Header, payload: usize) -> Self {
        let payload_at = payload_at(header);
        let mut bytes = Vec::with_capacity(payload_at + payload);
        bytes.extend_from_slice(&FORMAT);
        bytes.extend_from_slice(&[u8::from(header.expired_by_hand), header.codec, header.compression, 0]);
        bytes.extend_from_slice(&header.flags.to_le_bytes());
        bytes.extend_from_slice(&u16::try_from(header.stamps.len()).unwrap_or(u16::MAX).to_le_bytes());
        bytes.extend_from_slice(&header.cost_ms.to_le_bytes());
        bytes.extend_from_slice(&header.fence);
        for time in [header.loaded_at, header.fresh_until, header.expires_at] {
            bytes.extend_from_slice(&time.to_le_bytes());
        }
        bytes.extend_from_slice(&header.length.to_le_bytes());
        bytes.extend_from_slice(&[0; KEY_AT - CHECKSUM_AT]);
        bytes.extend_from_slice(&header.key);
        for (hash, value) in &header.stamps {
            bytes.extend_from_slice(&hash.to_le_bytes());
            bytes.extend_from_slice(&value.to_le_bytes());
        }
        Self { bytes, payload_at }
    }

    /// The envelope so far. A codec appends the payload.
    pub(crate) fn bytes_mut(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    pub(crate) fn payload(&self) -> &[u8] {
        &self.bytes[self.payload_at..]
    }

    /// The codec has appended the payload.
    pub(crate) fn encoded(&mut self, kind: Kind) {
        let length = u32::try_from(self.payload().len()).unwrap_or(u32::MAX);
        self.bytes[LENGTH_AT..CHECKSUM_AT].copy_from_slice(&length.to_le_bytes());
        self.set_kind(kind);
    }

    fn set_kind(&mut self, kind: Kind) {
        self.bytes[KIND_AT] = match kind {
            Kind::Value => KIND_VALUE,
            Kind::None => KIND_NONE,
        };
    }

    /// Replaces the payload by its compressed form.
    pub(crate) fn compressed(&mut self, compression: u8, payload: &[u8]) {
        self.bytes[COMPRESSION_AT] = compression;
        self.bytes.truncate(self.payload_at);
        self.bytes.extend_from_slice(payload);
    }

    /// Replaces the payload by its sealed form: `seal` gets the associated data, the envelope, and where the payload begins.
    #[cfg(feature = "encryption")]
    pub(crate) fn seal<E>(
        &mut self,
        name: &str,
        seal: impl FnOnce(&[u8], &mut Vec<u8>, usize) -> Result<(), E>,
    ) -> Result<(), E> {
        self.bytes[FLAGS_AT + 1] |= SEALED.to_be_bytes()[0];
        seal(&associated(name, &self.bytes, self.payload_at), &mut self.bytes, self.payload_at)
    }

    /// The whole envelope.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        let checksum = checksum(&self.bytes);
        self.bytes[CHECKSUM_AT..KEY_AT].copy_from_slice(&checksum.to_le_bytes());
        self.bytes
    }
}

/// Reads an envelope: its header and its payload. Never panics, whatever the bytes.
pub fn decode(envelope: &[u8]) -> Result<(Header, &[u8]), Undecodable> {
    let mut rest = Fields(envelope);
    let format = rest.take().map_err(|_| Undecodable::Foreign)?;
    if format[..3] != FORMAT[..3] {
        return Err(Undecodable::Foreign);
    }
    if format != FORMAT {
        return Err(Undecodable::Format(format[3]));
    }
    // All reads below come in the order of the bytes.
    let [mutable, codec, compression, kind] = rest.take()?;
    let expired_by_hand = match mutable {
        0 => false,
        1 => true,
        _ => return Err(Undecodable::Mutable(mutable)),
    };
    let kind = known(codec, compression, kind)?;
    let flags = u16::from_le_bytes(rest.take()?);
    if flags & UNKNOWN != 0 {
        return Err(Undecodable::Flags(flags));
    }
    let stamps = usize::from(u16::from_le_bytes(rest.take()?));
    let cost_ms = u32::from_le_bytes(rest.take()?);
    let fence = rest.take()?;
    let [loaded_at, fresh_until, expires_at] = [rest.u64()?, rest.u64()?, rest.u64()?];
    let length = u32::from_le_bytes(rest.take()?);
    let expected = u32::from_le_bytes(rest.take()?);
    let key = rest.take()?;
    // Checked before anything is allocated.
    let seal = if flags & SEALED == 0 { 0 } else { SEAL };
    let stored = rest.0.len().checked_sub(16 * stamps + seal).ok_or(Undecodable::Length)?;
    let has_its_length = match compression {
        UNCOMPRESSED => stored == length as usize,
        // Decompressing shows whether the length is right.
        _ => stored < length as usize,
    };
    if !has_its_length {
        return Err(Undecodable::Length);
    }
    if checksum(envelope) != expected {
        return Err(Undecodable::Checksum);
    }
    // The bound leaves a reader room to add to a time.
    if loaded_at > fresh_until || fresh_until > expires_at || expires_at > i64::MAX as u64 {
        return Err(Undecodable::Times);
    }
    if kind == Kind::None && length > 0 {
        return Err(Undecodable::Payload);
    }
    let stamps = (0..stamps).map(|_| Ok((rest.u64()?, rest.u64()?))).collect::<Result<_, _>>()?;
    Ok((
        Header {
            expired_by_hand,
            codec,
            compression,
            kind,
            flags,
            cost_ms,
            fence,
            loaded_at,
            fresh_until,
            expires_at,
            length,
            key,
            stamps,
        },
        rest.0,
    ))
}

/// Like [`decode`], for an entry of this key.
pub(crate) fn decode_for<'a>(key: &[u8; 16], envelope: &'a [u8]) -> Result<(Header, &'a [u8]), Undecodable> {
    let (header, payload) = decode(envelope)?;
    if header.key == *key { Ok((header, payload)) } else { Err(Undecodable::Key) }
}

/// How long the entry that begins with these bytes is at most. `None`: they do not begin as an envelope does, or they say
/// that the payload was longer than `limit` before it was compressed.
///
/// The length of an uncompressed entry is exact. Of a compressed one the header says only how long it was before.
pub(crate) fn size_at_most(head: &[u8], limit: usize) -> Option<usize> {
    let count = u16::from_le_bytes(head.get(STAMPS_COUNT_AT..STAMPS_COUNT_AT + 2)?.try_into().ok()?);
    let length = u32::from_le_bytes(head.get(LENGTH_AT..CHECKSUM_AT)?.try_into().ok()?) as usize;
    let is_acceptable = head.starts_with(&FORMAT) && (head[COMPRESSION_AT] == UNCOMPRESSED || length <= limit);
    let is_sealed = head[FLAGS_AT + 1] & SEALED.to_be_bytes()[0] != 0;
    is_acceptable.then(|| STAMPS_AT + 16 * usize::from(count) + length + if is_sealed { SEAL } else { 0 })
}

/// The bytes at the place of the fence: 16, or fewer if the value is no entry.
pub(crate) fn fence_bytes(entry: &[u8]) -> &[u8] {
    entry.get(FENCE_AT..entry.len().min(FENCE_AT + 16)).unwrap_or_default()
}

/// Where the payload of an envelope with this header begins.
pub(crate) fn payload_at(header: &Header) -> usize {
    STAMPS_AT + 16 * header.stamps.len()
}

/// The kind, if this version knows codec and compression.
fn known(codec: u8, compression: u8, kind: u8) -> Result<Kind, Undecodable> {
    if !matches!(codec, MESSAGE_PACK | JSON | RAW | 64..=127) {
        return Err(Undecodable::Codec(codec));
    }
    match (compression, kind) {
        (UNCOMPRESSED | LZ4 | ZSTD, KIND_VALUE) => Ok(Kind::Value),
        (UNCOMPRESSED | LZ4 | ZSTD, KIND_NONE) => Ok(Kind::None),
        (UNCOMPRESSED | LZ4 | ZSTD, _) => Err(Undecodable::Kind(kind)),
        _ => Err(Undecodable::Compression(compression)),
    }
}

/// What a sealed payload is bound to: the entry's name in the tier, and of the envelope all before the payload but the mark, the length,
/// the checksum and the hash of the key.
#[cfg(feature = "encryption")]
pub(crate) fn associated(name: &str, envelope: &[u8], payload_at: usize) -> Vec<u8> {
    let header = [&envelope[..MUTABLE_AT], &envelope[MUTABLE_AT + 1..LENGTH_AT], &envelope[STAMPS_AT..payload_at]];
    [name.as_bytes(), header[0], header[1], header[2]].concat()
}

/// CRC-32C of all bytes except the first five and the checksum itself. There must be a whole header.
fn checksum(envelope: &[u8]) -> u32 {
    let header = crc32c::crc32c(&envelope[MUTABLE_AT + 1..CHECKSUM_AT]);
    crc32c::crc32c_append(header, &envelope[KEY_AT..])
}

/// The bytes not read yet.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], Undecodable> {
        let (field, rest) = self.0.split_first_chunk().ok_or(Undecodable::Length)?;
        self.0 = rest;
        Ok(*field)
    }

    fn u64(&mut self) -> Result<u64, Undecodable> {
        self.take().map(u64::from_le_bytes)
    }
}

impl fmt::Display for Undecodable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Foreign => f.write_str("not an entry of this cache"),
            Self::Format(number) => write!(f, "format {number}"),
            Self::Mutable(byte) => write!(f, "mutable byte {byte}"),
            Self::Codec(number) => write!(f, "codec {number}"),
            Self::Compression(number) => write!(f, "compression {number}"),
            Self::TooLarge => f.write_str("longer before compression than the value limit"),
            Self::Compressed => f.write_str("the compressed bytes do not give a value of the length in the header"),
            Self::Kind(number) => write!(f, "kind {number}"),
            Self::Flags(flags) => write!(f, "flags {flags:#06x}"),
            Self::Length => f.write_str("wrong length"),
            Self::Checksum => f.write_str("wrong checksum"),
            Self::Times => f.write_str("times out of order or out of bounds"),
            Self::Payload => f.write_str("a value where there should be none"),
            Self::Key => f.write_str("an entry of another key"),
            Self::NoKeyring => f.write_str("sealed, and this cache has no keyring"),
            Self::NotSealed => f.write_str("not sealed, and this cache has a keyring"),
            Self::UnknownKey(id) => write!(f, "sealed with key {id}, which is not in the keyring"),
            Self::Altered => f.write_str("the seal is broken"),
            Self::Value(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Undecodable {}
