//! Changing what is stored, as other implementations, other versions of this one, and faults would. The layout is that of
//! `tests/wire/vectors.json`.

/// Where a header has its fields.
pub(crate) const FORMAT: usize = 3;
pub(crate) const MUTABLE: usize = 4;
pub(crate) const CODEC: usize = 5;
pub(crate) const COMPRESSION: usize = 6;
pub(crate) const KIND: usize = 7;
pub(crate) const MUST_UNDERSTAND: usize = 9;
pub(crate) const STAMPS: usize = 10;
pub(crate) const FENCE: usize = 16;
pub(crate) const LOADED_AT: usize = 32;
pub(crate) const FRESH_UNTIL: usize = 40;
pub(crate) const EXPIRES_AT: usize = 48;
pub(crate) const LENGTH: usize = 56;
pub(crate) const CHECKSUM: usize = 60;
pub(crate) const KEY: usize = 64;
pub(crate) const HEADER: usize = 80;

/// A time in the header, in Redis milliseconds.
pub(crate) fn time(envelope: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(envelope[at..at + 8].try_into().unwrap())
}

/// The same with another time, in Redis milliseconds.
pub(crate) fn with_time(envelope: &[u8], at: usize, time: u64) -> Vec<u8> {
    let mut envelope = envelope.to_vec();
    envelope[at..at + 8].copy_from_slice(&time.to_le_bytes());
    sealed(envelope)
}

/// The same with another byte, and a checksum that is right.
pub(crate) fn with_byte(envelope: &[u8], at: usize, byte: u8) -> Vec<u8> {
    let mut envelope = envelope.to_vec();
    envelope[at] = byte;
    sealed(envelope)
}

/// The same with another payload.
pub(crate) fn with_payload(envelope: &[u8], payload: &[u8]) -> Vec<u8> {
    let stamps = usize::from(u16::from_le_bytes([envelope[STAMPS], envelope[STAMPS + 1]]));
    let mut envelope = envelope[..HEADER + 16 * stamps].to_vec();
    envelope[LENGTH..CHECKSUM].copy_from_slice(&(payload.len() as u32).to_le_bytes());
    envelope.extend_from_slice(payload);
    sealed(envelope)
}

/// The same with a payload that says to be compressed, and to have been `length` bytes long.
pub(crate) fn with_compressed(envelope: &[u8], number: u8, length: u32, payload: &[u8]) -> Vec<u8> {
    let mut envelope = with_payload(envelope, payload);
    envelope[COMPRESSION] = number;
    envelope[LENGTH..CHECKSUM].copy_from_slice(&length.to_le_bytes());
    sealed(envelope)
}

/// Puts the checksum right.
fn sealed(mut envelope: Vec<u8>) -> Vec<u8> {
    let covered = [&envelope[CODEC..CHECKSUM], &envelope[KEY..]].concat();
    envelope[CHECKSUM..KEY].copy_from_slice(&crc32c(&covered).to_le_bytes());
    envelope
}

/// CRC-32C (Castagnoli), bit by bit.
fn crc32c(bytes: &[u8]) -> u32 {
    let mut crc = !0_u32;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0x82f6_3b78 & (crc & 1).wrapping_neg());
        }
    }
    !crc
}

#[test]
fn the_checksum_is_that_of_the_specification() {
    assert_eq!(crc32c(b"123456789"), 0xe306_9283);
}
