//! The channels of a namespace, and the command that sends messages on them.
//!
//! A single server has one channel for a namespace's invalidations and one channel for each process. In a cluster,
//! messages on ordinary channels can be lost between nodes although no connection ends. So there the channels are
//! sharded: a channel is in the slot of its keys or stamps, and a script may send only to channels of that slot. Each
//! group of keys and each group of stamps has its own channels.

use std::sync::Arc;

use crate::shared::wire::names::{self, digits};

/// The channels of a namespace, as one process sees them.
pub(crate) struct Channels {
    /// The beginning of the names of channels on a single server.
    base: String,
    /// The process's id as [`digits`].
    process: String,
    is_sharded: bool,
}

impl Channels {
    pub(crate) fn new(namespace: &str, process: u64, database: i64, is_sharded: bool) -> Self {
        Self { base: names::channels(namespace, database), process: digits(process), is_sharded }
    }

    /// The command that sends a message.
    pub(crate) fn publish(&self) -> &'static str {
        if self.is_sharded { "SPUBLISH" } else { "PUBLISH" }
    }

    /// The channel for invalidations of keys or stamps in this group.
    pub(crate) fn invalidations(&self, group: &str) -> String {
        names::invalidation_channel(self.base(group))
    }

    /// With a process's id appended: the channel on which that process receives the wake-ups of keys in this group.
    pub(crate) fn wake_prefix(&self, group: &str) -> String {
        names::wake_prefix(self.base(group))
    }

    /// This process's own channel for this group.
    pub(crate) fn own(&self, group: &str) -> String {
        self.wake_prefix(group) + &self.process
    }

    /// The end of the names of this process's own channels. No other channel's name ends with it, because no namespace
    /// contains a colon.
    pub(crate) fn own_suffix(&self) -> Arc<str> {
        [":w:", &self.process].concat().into()
    }

    fn base<'a>(&'a self, group: &'a str) -> &'a str {
        if self.is_sharded { group } else { &self.base }
    }
}
