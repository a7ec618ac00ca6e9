//! Leases that could not be given back, because there was no connection to the server.

use std::collections::VecDeque;
use std::sync::Mutex;

use tokio::time::Instant;

use crate::primitives::sync::LockExt as _;
use crate::shared::LEASE;
use crate::shared::wire::names::Address;
use crate::shared::{Release, Token};

/// How many leases are kept. The others end by themselves.
const LIMIT: usize = 1 << 12;

/// The oldest lease is first.
#[derive(Debug, Default)]
pub(crate) struct Unreleased {
    leases: Mutex<VecDeque<(Instant, Address, Token, Release)>>,
}

impl Unreleased {
    pub(crate) fn push(&self, key: Address, token: Token, release: Release) {
        let mut leases = self.leases.lock_unpoisoned();
        if leases.len() == LIMIT {
            leases.pop_front();
        }
        leases.push_back((Instant::now(), key, token, release));
    }

    /// The leases that have not ended by themselves: nothing has renewed them since.
    pub(crate) fn take(&self) -> Vec<(Address, Token, Release)> {
        let leases = std::mem::take(&mut *self.leases.lock_unpoisoned());
        let left = leases.into_iter().filter(|(since, ..)| since.elapsed() < LEASE);
        left.map(|(_, key, token, release)| (key, token, release)).collect()
    }
}
