//! What a lookup in the shared tier comes to.

use std::sync::Arc;
use std::time::Duration;

use crate::cache::lease::Lease;
use crate::entry::Entry;

/// What the shared tier says of a key.
pub(crate) enum Found {
    Fresh(Arc<Entry>, Source),
    Stale(Arc<Entry>, Source),
    /// Ours to load, in the whole fleet.
    Leased(Lease),
    /// The stamps changed while this process waited for another one: capture them again and start over.
    StampsChanged,
    /// Another process holds the lease, and no caller here waits for its load.
    HeldByOther,
    /// Another process loads it, or did, and such loads store nothing: a call that needs a value loads at once, without a lease.
    InVain,
    /// To be loaded without a lease: the shared tier does not answer, or the wait was too long.
    Degraded,
}

/// Where an entry was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    Redis,
    /// In memory; the shared tier has it still.
    Memory,
    /// In memory; the shared tier could not be asked.
    Unproven,
}

/// What the rounds so far came to.
pub(super) struct Rounds {
    pub(super) expects_a_miss: bool,
    /// How many found another entry when they asked for the lease.
    pub(super) changes: usize,
    /// For how long the next one waits where no message can come.
    pub(super) pause: Duration,
    /// How many have ended by waiting.
    pub(super) waits: u32,
    /// The last one ended with the message that there is an entry.
    pub(super) published: bool,
    /// What others load does not come to this process: nothing is stored, or it cannot be decoded.
    pub(super) in_vain: bool,
}

/// What one round of seeking came to.
pub(super) enum Round {
    Found(Found),
    /// The entry changed between the reading and the asking for the lease.
    Changed,
    /// Another process loads, or did.
    Waited,
}
