//! Sealed payloads: encrypted, and bound to their entry, by AES-256-GCM-SIV (RFC 8452) with random nonces.
//!
//! | offset | size | field |
//! |---|---|---|
//! | 0 | 4 | id of the key, little endian |
//! | 4 | 12 | nonce |
//! | 16 | | ciphertext, as long as the plaintext: the payload, compressed or not |
//! | then | 16 | tag |
//!
//! The associated data is the entry's whole name in Redis, and of its envelope bytes 0 to 3, 5 to 55, and all between byte 80 and the
//! payload. The name is ASCII and the envelope begins with a byte that is not, so one cannot be taken for part of the other.
//! The other bytes are not bound: byte 4 is changed in place, the length in bytes 56 to 59 is compared with what is opened, and the hash of the key in
//! bytes 64 to 79 with that of the entry's key.

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use aes_gcm_siv::aead::{AeadInOut as _, KeyInit as _};
use aes_gcm_siv::{Aes256GcmSiv, Nonce, Tag};
use zeroize::Zeroizing;

use crate::error::Error;

/// The bytes that a sealed payload has beside the ciphertext.
const ID: usize = 4;
const NONCE: usize = 12;
const TAG: usize = 16;

/// The keys that seal the values of a cache in Redis: [`Builder::encryption`](crate::Builder::encryption).
///
/// Values are encrypted with the *primary* key, and opened with any. To rotate: give all processes the new key beside the old one, then
/// make it the primary one in all of them, and take the old one away when
/// [`Stats::opened_with_old_key`](crate::Stats::opened_with_old_key) grows no more, at the latest when the longest `ttl` is over.
///
/// The keys are 32 random bytes each, from where the application keeps its secrets. They are overwritten when the last clone of the ring is dropped, and
/// `Debug` shows their ids only.
///
/// ```
/// # use hybridcache_runtime as hybridcache;
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), hybridcache::Error> {
/// use hybridcache::{HybridCache, Keyring};
///
/// # let (old, new) = ([1; 32], [2; 32]);
/// let keys = Keyring::new().key(1, old)?.key(2, new)?.primary(2)?;
/// let cache = HybridCache::builder().encryption(keys).build().await?;
/// # Ok(()) }
/// ```
#[derive(Clone, Default)]
pub struct Keyring {
    keys: Vec<(u32, Arc<Secret>)>,
    primary: Option<u32>,
}

type Secret = Zeroizing<[u8; 32]>;

impl Keyring {
    /// Without a key.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a key of 32 bytes: a `[u8; 32]`, or a slice or `Vec` of that length. `id` is any number that no other key of the namespace has, or ever had.
    ///
    /// # Errors
    /// A key of another length, or a second key with one id.
    pub fn key(mut self, id: u32, key: impl AsRef<[u8]>) -> Result<Self, Error> {
        let key = key.as_ref();
        if key.len() != 32 {
            return Err(problem(format!("key {id} has {} bytes instead of 32", key.len())));
        }
        if self.find(id).is_some() {
            return Err(problem(format!("two keys have the id {id}")));
        }
        let mut secret = Secret::default();
        secret.copy_from_slice(key);
        self.keys.push((id, Arc::new(secret)));
        Ok(self)
    }

    /// Encrypts with this key.
    ///
    /// # Errors
    /// There is no key with this id.
    pub fn primary(mut self, id: u32) -> Result<Self, Error> {
        if self.find(id).is_none() {
            return Err(problem(format!("the primary key {id} is not in the ring: add it first, by `.key({id}, ..)`")));
        }
        self.primary = Some(id);
        Ok(self)
    }

    /// # Errors
    /// There is no primary key.
    pub(crate) fn check(&self) -> Result<(), Error> {
        match self.primary {
            Some(_) => Ok(()),
            None => Err(problem("the ring has no primary key: `.primary(id)` says which one encrypts".into())),
        }
    }

    fn find(&self, id: u32) -> Option<&Secret> {
        self.keys.iter().find(|(other, _)| *other == id).map(|(_, key)| &**key)
    }

    /// Replaces the plaintext from `at` on by the sealed payload. Fails where the system has no random numbers.
    pub(crate) fn seal(&self, associated: &[u8], bytes: &mut Vec<u8>, at: usize) -> Result<(), SealError> {
        let id = self.primary.ok_or(SealError::NoKey)?;
        let cipher = self.cipher(id)?;
        let mut nonce = [0; NONCE];
        getrandom::fill(&mut nonce).map_err(|_| SealError::NoRandomness)?;
        bytes.splice(at..at, id.to_le_bytes().into_iter().chain(nonce));
        let text = &mut bytes[at + ID + NONCE..];
        let tag = cipher.encrypt_inout_detached(&Nonce::from(nonce), associated, text.into());
        bytes.extend_from_slice(&tag.map_err(|_| SealError::Altered)?);
        Ok(())
    }

    /// The plaintext of a sealed payload.
    pub(crate) fn open(&self, associated: &[u8], sealed: &[u8]) -> Result<Vec<u8>, SealError> {
        let parts = sealed.split_first_chunk::<ID>().and_then(|(id, rest)| {
            let (nonce, rest) = rest.split_first_chunk::<NONCE>()?;
            let (text, tag) = rest.split_last_chunk::<TAG>()?;
            Some((id, nonce, text, tag))
        });
        let (id, nonce, text, tag) = parts.ok_or(SealError::Altered)?;
        let cipher = self.cipher(u32::from_le_bytes(*id))?;
        let mut text = text.to_vec();
        let opened = cipher.decrypt_inout_detached(
            &Nonce::from(*nonce),
            associated,
            text.as_mut_slice().into(),
            &Tag::from(*tag),
        );
        opened.map(|()| text).map_err(|_| SealError::Altered)
    }

    fn cipher(&self, id: u32) -> Result<Aes256GcmSiv, SealError> {
        let key = self.find(id).ok_or(SealError::UnknownKey(id))?;
        Ok(Aes256GcmSiv::new((&**key).into()))
    }

    /// Whether the sealed payload names another key than the primary one.
    pub(crate) fn is_old(&self, sealed: &[u8]) -> bool {
        sealed.first_chunk::<ID>().is_some_and(|id| Some(u32::from_le_bytes(*id)) != self.primary)
    }
}

fn problem(problem: String) -> Error {
    Error::config("encryption", problem)
}

/// Shows the ids only.
impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ids: Vec<_> = self.keys.iter().map(|(id, _)| id).collect();
        f.debug_struct("Keyring").field("ids", &ids).field("primary", &self.primary).finish_non_exhaustive()
    }
}

/// Why a payload could not be sealed or opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SealError {
    /// The payload, or what it is bound to, is not as it was sealed; or it was sealed with another key of this id.
    Altered,
    /// The ring has no key with this id.
    UnknownKey(u32),
    /// The ring has no primary key.
    NoKey,
    /// The system gave no random numbers.
    NoRandomness,
}
