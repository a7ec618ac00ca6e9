//! Whether a link still works.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock};

use crate::primitives::sync::LockExt as _;
use tokio::sync::Notify;
use tokio::time::Instant;

/// The state of one link: its heartbeat, and why it must be replaced.
///
/// A nonce counts up from a random number, so that a late echo from an earlier link of this process (both subscribe to
/// the same channel) is no proof for this link.
#[derive(Debug)]
pub(crate) struct Health {
    first_nonce: u64,
    sent: AtomicU64,
    answered: AtomicU64,
    /// The heartbeats that have not come back, and when each was sent.
    underway: Mutex<VecDeque<(u64, Instant)>>,
    trouble: OnceLock<String>,
    troubled: Notify,
}

impl Health {
    pub(crate) fn new() -> Self {
        Self {
            first_nonce: fastrand::u64(..),
            sent: AtomicU64::new(0),
            answered: AtomicU64::new(0),
            underway: Mutex::default(),
            trouble: OnceLock::new(),
            troubled: Notify::new(),
        }
    }

    /// The nonce of the next heartbeat. The caller sends it now.
    pub(crate) fn next_nonce(&self) -> u64 {
        let mut underway = self.underway.lock_unpoisoned();
        let count = self.sent.fetch_add(1, Ordering::Relaxed);
        underway.push_back((count, Instant::now()));
        self.first_nonce.wrapping_add(count)
    }

    /// A heartbeat came back: returns when it was sent. `None` for the heartbeat of another link, and for one that is
    /// older than a heartbeat that came back before.
    pub(crate) fn answered(&self, nonce: u64) -> Option<Instant> {
        let count = nonce.wrapping_sub(self.first_nonce);
        if count >= self.sent.load(Ordering::Relaxed) {
            return None;
        }
        self.answered.fetch_max(count + 1, Ordering::Relaxed);
        let mut underway = self.underway.lock_unpoisoned();
        let place = underway.iter().position(|(underway, _)| *underway == count)?;
        underway.drain(..=place).next_back().map(|(_, sent)| sent)
    }

    /// How many heartbeats were sent after the latest one that came back.
    pub(crate) fn unanswered(&self) -> u64 {
        self.sent.load(Ordering::Relaxed).saturating_sub(self.answered.load(Ordering::Relaxed))
    }

    /// The link must be replaced. The first reported reason is kept.
    pub(crate) fn report(&self, trouble: impl Into<String>) {
        if self.trouble.set(trouble.into()).is_ok() {
            self.troubled.notify_one();
        }
    }

    /// Why the link must be replaced, if it must.
    pub(crate) fn trouble(&self) -> Option<&str> {
        self.trouble.get().map(String::as_str)
    }

    /// Waits until the link must be replaced. For one waiter.
    pub(crate) async fn troubled(&self) -> &str {
        loop {
            if let Some(trouble) = self.trouble() {
                return trouble;
            }
            self.troubled.notified().await;
        }
    }
}

/// The time until which the messages of *every* node have arrived.
#[derive(Debug)]
pub(crate) struct DeliveryWatermark {
    nodes: Mutex<Vec<Instant>>,
}

impl DeliveryWatermark {
    /// For so many nodes. A node from which no heartbeat ever comes back keeps the watermark at `began`.
    pub(crate) fn new(nodes: usize, began: Instant) -> Self {
        Self { nodes: Mutex::new(vec![began; nodes]) }
    }

    /// The node at `place` has proven that its messages until `until` have arrived. Returns the new watermark of all
    /// nodes, or `None` if it has not advanced.
    pub(crate) fn proven(&self, place: usize, until: Instant) -> Option<Instant> {
        let mut nodes = self.nodes.lock_unpoisoned();
        let before = nodes.iter().min().copied()?;
        let node = nodes.get_mut(place)?;
        *node = until.max(*node);
        nodes.iter().min().copied().filter(|all| *all > before)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn heartbeats_are_unanswered_until_the_last_one_comes_back() {
        let health = Health::new();
        let nonces = [health.next_nonce(), health.next_nonce(), health.next_nonce()];
        assert_eq!(health.unanswered(), 3);
        health.answered(nonces[1]);
        assert_eq!(health.unanswered(), 1);
        health.answered(nonces[0]);
        assert_eq!(health.unanswered(), 1, "messages of two links can come in any order");
        health.answered(nonces[2]);
        assert_eq!(health.unanswered(), 0);
    }

    /// Killed by: the time of any other heartbeat.
    #[tokio::test(start_paused = true)]
    async fn a_heartbeat_proves_what_was_sent_before_it_was() {
        let health = Health::new();
        let began = Instant::now();
        let mut nonces = Vec::new();
        for _ in 0..3 {
            nonces.push(health.next_nonce());
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        assert_eq!(health.answered(nonces[1]), Some(began + Duration::from_secs(1)));
        assert_eq!(health.answered(nonces[0]), None, "a later one has proven more");
        assert_eq!(health.answered(nonces[2]), Some(began + Duration::from_secs(2)));
        assert_eq!(health.answered(nonces[2]), None);
    }

    /// Killed by: counting any heartbeat.
    #[test]
    fn the_heartbeat_of_an_earlier_link_proves_nothing() {
        let (earlier, health) = (Health::new(), Health::new());
        let nonce = health.next_nonce();
        for foreign in [earlier.next_nonce(), nonce.wrapping_add(1), nonce.wrapping_sub(1)] {
            health.answered(foreign);
            assert_eq!(health.unanswered(), 1);
        }
    }

    /// Killed by: the newest proof.
    #[tokio::test(start_paused = true)]
    async fn what_is_proven_is_what_every_node_has_proven() {
        let began = Instant::now();
        let second = |n| began + Duration::from_secs(n);
        let proofs = DeliveryWatermark::new(3, began);
        assert_eq!(proofs.proven(0, second(1)), None);
        assert_eq!(proofs.proven(1, second(2)), None);
        assert_eq!(proofs.proven(2, second(3)), Some(second(1)));
        assert_eq!(proofs.proven(1, second(5)), None);
        assert_eq!(proofs.proven(0, second(4)), Some(second(3)));
        assert_eq!(proofs.proven(2, second(2)), None, "nothing is taken back");
        assert_eq!(DeliveryWatermark::new(1, began).proven(0, second(1)), Some(second(1)));
    }

    #[tokio::test]
    async fn the_first_trouble_counts() {
        let health = Health::new();
        assert_eq!(health.trouble(), None);
        health.report("first");
        health.report("second");
        assert_eq!(health.troubled().await, "first");
        assert_eq!(health.troubled().await, "first");
    }
}
