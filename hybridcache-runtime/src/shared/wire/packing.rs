//! What a cache does to payloads between the codec and the envelope.

use crate::shared::wire::compression::Compression;

/// How a cache packs its values.
#[derive(Clone, Debug, Default)]
pub(crate) struct Packing {
    pub(crate) compression: Compression,
}
