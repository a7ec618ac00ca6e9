//! What a cache does to payloads between the codec and the envelope: compress, then seal; and back.

use std::borrow::Cow;

use crate::shared::wire::compression::{Compression, check_length, decompress};
use crate::shared::wire::envelope::{self, Draft, Header, SEALED, Undecodable};
#[cfg(feature = "encryption")]
use crate::shared::wire::sealed::{Keyring, SealError};

/// How a cache packs its values.
#[derive(Clone, Debug, Default)]
pub(crate) struct Packing {
    pub(crate) compression: Compression,
    /// Every entry is sealed where there is one, and none where there is none.
    #[cfg(feature = "encryption")]
    pub(crate) keyring: Option<Keyring>,
}

/// The payload could not be sealed.
#[derive(Debug)]
pub(crate) struct Unsealable;

impl Packing {
    /// Packs an encoded payload, for the entry with this name.
    pub(crate) fn pack(&self, name: &str, draft: &mut Draft) -> Result<(), Unsealable> {
        if let Some((number, payload)) = self.compression.compress(draft.payload()) {
            draft.compressed(number, &payload);
        }
        self.seal(name, draft)
    }

    #[cfg(feature = "encryption")]
    fn seal(&self, name: &str, draft: &mut Draft) -> Result<(), Unsealable> {
        let Some(keyring) = &self.keyring else { return Ok(()) };
        draft.seal(name, |associated, bytes, at| keyring.seal(associated, bytes, at)).map_err(|_| Unsealable)
    }

    #[cfg(not(feature = "encryption"))]
    fn seal(&self, _: &str, _: &mut Draft) -> Result<(), Unsealable> {
        Ok(())
    }

    fn seals(&self) -> bool {
        #[cfg(feature = "encryption")]
        let seals = self.keyring.is_some();
        #[cfg(not(feature = "encryption"))]
        let seals = false;
        seals
    }

    /// Refuses, by its header alone, an entry that this process must not unpack.
    pub(crate) fn check(&self, header: &Header, limit: usize) -> Result<(), Undecodable> {
        match (header.flags & SEALED != 0, self.seals()) {
            (true, false) => Err(Undecodable::NoKeyring),
            (false, true) => Err(Undecodable::NotSealed),
            _ => check_length(header, limit),
        }
    }

    /// The payload of the entry with this name, as the codec wrote it. [`Self::check`] has accepted the header.
    pub(crate) fn unpack<'a>(
        &self,
        name: &str,
        header: &Header,
        bytes: &'a [u8],
    ) -> Result<Cow<'a, [u8]>, Undecodable> {
        let payload = &bytes[envelope::payload_at(header)..];
        if header.flags & SEALED == 0 {
            return decompress(header, payload);
        }
        let opened = self.open(name, header, bytes)?;
        decompress(header, &opened).map(|payload| Cow::Owned(payload.into_owned()))
    }

    #[cfg(feature = "encryption")]
    fn open(&self, name: &str, header: &Header, bytes: &[u8]) -> Result<Vec<u8>, Undecodable> {
        let keyring = self.keyring.as_ref().ok_or(Undecodable::NoKeyring)?;
        let at = envelope::payload_at(header);
        keyring.open(&envelope::associated(name, bytes, at), &bytes[at..]).map_err(|error| match error {
            SealError::UnknownKey(id) => Undecodable::UnknownKey(id),
            _ => Undecodable::Altered,
        })
    }

    #[cfg(not(feature = "encryption"))]
    fn open(&self, _: &str, _: &Header, _: &[u8]) -> Result<Vec<u8>, Undecodable> {
        Err(Undecodable::NoKeyring)
    }

    /// Whether the entry was sealed with another key than the primary one.
    pub(crate) fn is_old(&self, header: &Header, bytes: &[u8]) -> bool {
        #[cfg(feature = "encryption")]
        let is_old = self.keyring.as_ref().is_some_and(|keys| keys.is_old(&bytes[envelope::payload_at(header)..]));
        #[cfg(not(feature = "encryption"))]
        let is_old = {
            let _ = (header, bytes);
            false
        };
        is_old
    }
}
