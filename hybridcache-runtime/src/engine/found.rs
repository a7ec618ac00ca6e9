//! The results of a lookup in the shared tier.

use std::sync::Arc;

use crate::cache::lease::Lease;
use crate::engine::job::Stood;
use crate::entry::Entry;

/// The result of looking a key up in the shared tier.
pub(crate) enum Found {
    Fresh(Arc<Entry>, Place),
    Stale(Arc<Entry>, Place),
    /// This process holds the lease: it loads, and no other process does.
    Leased(Lease),
    /// A stamp changed while this process waited for the lease holder: capture the stamps again and start over.
    StampsChanged,
    /// Another process holds the lease, and no caller here waits for its load.
    HeldByOther,
    /// Another process loads the key, or did, and such loads store nothing. Waiting is useless: a call that needs a
    /// value loads at once, without a lease.
    InVain,
    /// Load without a lease: the shared tier does not answer, or the wait was too long.
    Degraded,
}

/// Where an entry was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Redis,
    /// In memory; the shared tier has confirmed that it still has the same entry.
    Memory,
    /// In memory; the shared tier could not be asked.
    Unproven,
}

/// The state of a lookup over its rounds.
pub(super) struct Rounds {
    pub(super) expects_a_miss: bool,
    /// How many rounds found that the entry had changed when they asked for the lease.
    pub(super) changes: usize,
    /// How many rounds have ended with a wait.
    pub(super) waits: u32,
    /// The last round ended with the message that the lease holder has published an entry.
    pub(super) published: bool,
    /// What the latest read has found.
    pub(super) stood: Stood,
    /// Values that other processes load do not reach this process: they store nothing, or it cannot decode them.
    pub(super) in_vain: bool,
}

impl Rounds {
    pub(super) fn new(expects_a_miss: bool) -> Self {
        let stood = Stood::Unknown;
        Self { expects_a_miss, changes: 0, waits: 0, published: false, stood, in_vain: false }
    }
}

/// The result of one round.
pub(super) enum Round {
    Found(Found),
    /// The entry changed between the read and the request for the lease.
    Changed,
    /// This process has waited for another one's load: read again.
    Waited,
}
