//! A hasher for keys whose hash is known already.

use std::hash::{BuildHasher, Hasher};

/// The prime of FNV-1a (Fowler, Noll, Vo) for 64 bits.
pub(crate) const FNV_PRIME: u64 = 0x0100_0000_01b3;

/// For maps whose keys contain their hash.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct AlreadyHashed(u64);

impl Hasher for AlreadyHashed {
    fn finish(&self) -> u64 {
        self.0
    }

    /// Keys write one `u64` and never call this.
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|&byte| self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(FNV_PRIME));
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

impl BuildHasher for AlreadyHashed {
    type Hasher = Self;

    fn build_hasher(&self) -> Self {
        *self
    }
}
