//! Which channels there are, and how messages are sent on them.
//!
//! A single server has one channel for a namespace's invalidations and one for each process. In a cluster ordinary
//! messages can be lost between nodes without a connection ending, so there the channels are sharded: they live in the
//! slot of what they are about, and a script may send only there. Each group of keys and each group of stamps has its own.

use std::sync::Arc;

use crate::shared::wire::names::{self, digits};

/// The channels of a namespace, as one process sees them.
pub(crate) struct Channels {
    /// What names of channels begin with, on a single server.
    base: String,
    /// Its [`digits`].
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

    /// Where invalidations of what is in this group are told.
    pub(crate) fn invalidations(&self, group: &str) -> String {
        names::invalidation_channel(self.base(group))
    }

    /// With a process's id behind it: where that process is told of keys in this group.
    pub(crate) fn wake_prefix(&self, group: &str) -> String {
        names::wake_prefix(self.base(group))
    }

    /// This process's own channel for this group.
    pub(crate) fn own(&self, group: &str) -> String {
        self.wake_prefix(group) + &self.process
    }

    /// What the names of this process's own channels end with, and no others: no namespace holds a colon.
    pub(crate) fn own_suffix(&self) -> Arc<str> {
        [":w:", &self.process].concat().into()
    }

    fn base<'a>(&'a self, group: &'a str) -> &'a str {
        if self.is_sharded { group } else { &self.base }
    }
}
