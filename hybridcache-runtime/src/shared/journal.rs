//! The invalidations of this process that the shared tier may not know, or may have forgotten.
//!
//! An invalidation is noted *before* it is sent. It is pending until the tier acknowledges it, and a pending one is
//! sent again. An acknowledged one is kept for a minute, because a failover to a replica can undo it. (A lost
//! connection cannot undo it: an acknowledged invalidation is sent again only to a server that may lack it.)

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::primitives::sync::{LockExt as _, Mutex, MutexGuard};
use crate::shared::breaker::Breaker;
use crate::shared::wire::names::Address;
use crate::shared::{Invalidation, StampName};

/// How long after its acknowledgement a failover may undo an invalidation.
const KEPT_FOR: Duration = Duration::from_secs(60);

/// How many notes are kept. When more are pending, the whole namespace is invalidated instead.
const LIMIT: usize = 1 << 16;

/// An invalidation that has to be sent to the shared tier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Notice {
    Entry(Address, Invalidation),
    Group(StampName),
}

impl Notice {
    /// The name of the key or stamp that is invalidated, in the shared tier.
    fn subject(&self) -> String {
        match self {
            Self::Entry(address, _) => address.entry().to_owned(),
            Self::Group(stamp) => stamp.key.to_string(),
        }
    }

    /// Replaces an older notice about the same subject. Delete wins over expire.
    fn after(self, older: &Self) -> Self {
        match (self, older) {
            (Self::Entry(address, _), Self::Entry(_, Invalidation::Delete)) => {
                Self::Entry(address, Invalidation::Delete)
            }
            (newer, _) => newer,
        }
    }
}

/// The journal of one cache object.
#[derive(Debug)]
pub(crate) struct Journal {
    notes: Mutex<Notes>,
    /// The stamp that replaces all notes when there are too many of them.
    everything: StampName,
    breaker: Arc<Breaker>,
}

#[derive(Debug, Default)]
struct Notes {
    by_subject: HashMap<String, Note>,
    /// The acknowledged notes, the oldest first: when each was acknowledged, its subject and its number. A note that
    /// was written again meanwhile is still here under its older number.
    acknowledged: VecDeque<(Instant, String, u64)>,
    pending: usize,
    /// Acknowledged notes are retained until they have been replayed in this epoch: the tier is unreachable, and may
    /// come back with older data.
    held: Option<u64>,
    /// How many notes were ever written: the number of the latest one.
    written: u64,
}

#[derive(Debug)]
struct Note {
    notice: Notice,
    number: u64,
    pending: bool,
}

/// A notice that has to be sent.
#[derive(Clone, Debug)]
pub(crate) struct JournalEntry {
    pub(crate) notice: Notice,
    number: u64,
}

impl Journal {
    pub(crate) fn new(everything: StampName, breaker: Arc<Breaker>) -> Self {
        Self { notes: Mutex::default(), everything, breaker }
    }

    /// Notes an invalidation that is about to be sent.
    pub(crate) fn note(self: &Arc<Self>, notice: Notice) -> Pending {
        let mut notes = self.notes();
        notes.forget_old();
        let overflowed = notes.by_subject.len() >= LIMIT && notes.make_room(&self.everything);
        let unsent = Some(notes.write(notice));
        Pending { journal: self.clone(), unsent, overflowed }
    }

    /// The invalidations that must be sent before the shared tier may be read. `all`: also the acknowledged ones that
    /// are still kept.
    pub(crate) fn unsent(&self, all: bool) -> Vec<JournalEntry> {
        let mut notes = self.notes();
        notes.forget_old();
        let unsent = notes.by_subject.values().filter(|note| all || note.pending);
        unsent.map(|note| JournalEntry { notice: note.notice.clone(), number: note.number }).collect()
    }

    /// The shared tier has carried out the invalidation.
    pub(crate) fn acknowledge(&self, sent: &JournalEntry) {
        let (mut notes, subject) = (self.notes(), sent.notice.subject());
        let Some(note) = notes.by_subject.get_mut(&subject).filter(|note| note.number == sent.number) else { return };
        if std::mem::take(&mut note.pending) {
            notes.pending -= 1;
            notes.acknowledged.push_back((Instant::now(), subject, sent.number));
        }
    }

    /// Keeps the acknowledged notes until they have been sent again in this epoch or a later one: an outage may last
    /// longer than the minute for which they are kept otherwise.
    pub(crate) fn retain_until(&self, epoch: u64) {
        let mut notes = self.notes();
        notes.forget_old();
        notes.held = Some(epoch);
    }

    /// The notes were sent again in this epoch: ends [`Self::retain_until`].
    pub(crate) fn release(&self, epoch: u64) {
        let mut notes = self.notes();
        notes.held = notes.held.filter(|held| *held > epoch);
    }

    /// How many notes have not been acknowledged.
    pub(crate) fn pending(&self) -> usize {
        self.notes().pending
    }

    pub(crate) fn is_empty(&self) -> bool {
        let mut notes = self.notes();
        notes.forget_old();
        notes.by_subject.is_empty()
    }

    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock_unpoisoned()
    }
}

impl Notes {
    fn write(&mut self, notice: Notice) -> JournalEntry {
        let subject = notice.subject();
        self.written += 1;
        let older = self.by_subject.remove(&subject);
        let notice = match &older {
            Some(older) => notice.after(&older.notice),
            None => notice,
        };
        if !older.is_some_and(|older| older.pending) {
            self.pending += 1;
        }
        let number = self.written;
        self.by_subject.insert(subject, Note { notice: notice.clone(), number, pending: true });
        JournalEntry { notice, number }
    }

    fn forget_old(&mut self) {
        if self.held.is_some() {
            return;
        }
        // The same few keys may be invalidated very often: drop the records of older numbers.
        if self.acknowledged.len() > 2 * LIMIT {
            let Self { by_subject, acknowledged, .. } = self;
            acknowledged
                .retain(|(_, subject, number)| by_subject.get(subject).is_some_and(|note| note.number == *number));
        }
        while self.acknowledged.front().is_some_and(|(since, ..)| since.elapsed() >= KEPT_FOR) {
            self.forget_oldest();
        }
    }

    /// Forgets the oldest acknowledged note, unless it was written again.
    fn forget_oldest(&mut self) {
        let Some((_, subject, number)) = self.acknowledged.pop_front() else { return };
        if self.by_subject.get(&subject).is_some_and(|note| note.number == number) {
            self.by_subject.remove(&subject);
        }
    }

    /// Returns whether too many notes are pending, so that one for everything replaces them.
    fn make_room(&mut self, everything: &StampName) -> bool {
        while self.by_subject.len() >= LIMIT && !self.acknowledged.is_empty() {
            self.forget_oldest();
        }
        let overflows = self.by_subject.len() >= LIMIT;
        if overflows {
            *self = Self { written: self.written, held: self.held, ..Self::default() };
            self.write(Notice::Group(everything.clone()));
        }
        overflows
    }
}

/// A notice that is being sent. Unless the tier acknowledges it (the tier may fail, or the caller may be dropped), it
/// will be sent again, and the shared tier is not read until then.
#[derive(Debug)]
#[must_use = "dropping it opens the breaker for the whole tier"]
pub(crate) struct Pending {
    journal: Arc<Journal>,
    unsent: Option<JournalEntry>,
    /// One notice for everything has replaced all earlier ones.
    pub(crate) overflowed: bool,
}

impl Pending {
    /// The invalidation to send. It includes an older pending one about the same subject: see [`Notice::after`].
    pub(crate) fn notice(&self) -> Option<&Notice> {
        self.unsent.as_ref().map(|unsent| &unsent.notice)
    }

    pub(crate) fn acknowledge(mut self) {
        if let Some(sent) = self.unsent.take() {
            self.journal.acknowledge(&sent);
        }
    }

    /// The notice stays pending, and the breaker stays closed. The part of the tier that was not reached cannot be read
    /// before the tier calls [`resubscribed`](crate::shared::Listener::resubscribed), and then the pending notices are
    /// sent first.
    pub(crate) fn leave(mut self) {
        self.unsent = None;
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if self.unsent.is_some() {
            self.journal.breaker.open();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn journal() -> Arc<Journal> {
        Arc::new(Journal::new(StampName::of_namespace("test"), Arc::default()))
    }

    fn entry(args: &str, mode: Invalidation) -> Notice {
        Notice::Entry(Address::new("test", "f", 0, args), mode)
    }

    fn notices(journal: &Journal, all: bool) -> Vec<Notice> {
        journal.unsent(all).into_iter().map(|unsent| unsent.notice).collect()
    }

    /// Killed by: no `Drop` for `Pending`.
    #[test]
    fn what_is_not_acknowledged_stays_pending_and_opens_the_breaker() {
        let journal = journal();
        journal.note(entry("1", Invalidation::Delete)).acknowledge();
        assert!(!journal.breaker.is_open());
        assert!(journal.unsent(false).is_empty());
        drop(journal.note(entry("2", Invalidation::Delete)));
        assert!(journal.breaker.is_open());
        assert_eq!(notices(&journal, false), [entry("2", Invalidation::Delete)]);
        assert_eq!(journal.pending(), 1);
    }

    /// Killed by: opening the breaker; taking it for acknowledged.
    #[test]
    fn what_is_left_stays_pending_and_leaves_the_breaker_closed() {
        let journal = journal();
        journal.note(entry("1", Invalidation::Delete)).leave();
        assert!(!journal.breaker.is_open());
        assert_eq!(notices(&journal, false), [entry("1", Invalidation::Delete)]);
        assert_eq!(journal.pending(), 1);
    }

    /// Killed by: acknowledging by subject alone.
    #[test]
    fn acknowledging_an_older_note_leaves_the_newer_one_pending() {
        let journal = journal();
        let first = journal.note(entry("1", Invalidation::Delete));
        let second = journal.note(entry("1", Invalidation::Delete));
        first.acknowledge();
        assert_eq!(journal.pending(), 1);
        second.acknowledge();
        assert_eq!(journal.pending(), 0);
    }

    /// Killed by: the newer one taking the place of the older whatever it says.
    #[test]
    fn what_is_to_be_gone_is_not_only_stale() {
        let journal = journal();
        drop(journal.note(entry("1", Invalidation::Delete)));
        drop(journal.note(entry("1", Invalidation::Expire)));
        assert_eq!(notices(&journal, false), [entry("1", Invalidation::Delete)]);
        assert_eq!(journal.pending(), 1);
    }

    /// Killed by: forgetting at once; never forgetting; forgetting one that was renewed.
    #[tokio::test(start_paused = true)]
    async fn what_is_acknowledged_is_kept_for_a_minute() {
        let journal = journal();
        journal.note(entry("1", Invalidation::Delete)).acknowledge();
        tokio::time::advance(KEPT_FOR / 2).await;
        journal.note(entry("1", Invalidation::Delete)).acknowledge();
        tokio::time::advance(KEPT_FOR / 2).await;
        assert_eq!(journal.unsent(true).len(), 1, "renewed half a minute ago");
        assert!(journal.unsent(false).is_empty());
        tokio::time::advance(KEPT_FOR / 2).await;
        assert!(journal.is_empty());
    }

    /// Killed by: keeping what was renewed until its time is over.
    #[test]
    fn a_key_that_is_invalidated_all_the_time_is_noted_once() {
        let journal = journal();
        for _ in 0..5 * LIMIT {
            journal.note(entry("1", Invalidation::Delete)).acknowledge();
        }
        assert!(journal.notes().acknowledged.len() <= 2 * LIMIT + 1);
        assert_eq!(journal.unsent(true).len(), 1);
        assert_eq!(journal.pending(), 0);
    }

    /// Killed by: giving up the namespace first.
    #[test]
    fn what_is_acknowledged_makes_room_first() {
        let journal = journal();
        for args in 0..LIMIT {
            journal.note(entry(&args.to_string(), Invalidation::Delete)).acknowledge();
        }
        drop(journal.note(entry("new", Invalidation::Delete)));
        assert_eq!(notices(&journal, false), [entry("new", Invalidation::Delete)]);
        assert_eq!(journal.unsent(true).len(), LIMIT);
    }

    /// Killed by: a minute that goes on while the tier is away.
    #[tokio::test(start_paused = true)]
    async fn what_is_held_is_not_forgotten() {
        let journal = journal();
        journal.note(entry("1", Invalidation::Delete)).acknowledge();
        tokio::time::advance(KEPT_FOR / 2).await;
        journal.retain_until(3);
        tokio::time::advance(KEPT_FOR * 2).await;
        assert_eq!(journal.unsent(true).len(), 1);
        journal.release(2);
        assert_eq!(journal.unsent(true).len(), 1, "the tier has gone away again since");
        journal.release(3);
        assert!(journal.is_empty());
    }

    /// Killed by: sending what the caller says.
    #[test]
    fn a_pending_deletion_is_sent_with_the_expiration_that_follows() {
        let journal = journal();
        drop(journal.note(entry("1", Invalidation::Delete)));
        let pending = journal.note(entry("1", Invalidation::Expire));
        assert_eq!(pending.notice(), Some(&entry("1", Invalidation::Delete)));
        pending.acknowledge();
        assert_eq!(journal.pending(), 0);
    }

    /// Killed by: no bound; forgetting what is pending.
    #[test]
    fn too_many_pending_ones_become_one_for_everything() {
        let journal = journal();
        for args in 0..LIMIT + 5 {
            drop(journal.note(entry(&args.to_string(), Invalidation::Delete)));
        }
        let unsent = notices(&journal, false);
        assert_eq!(unsent.len(), 6);
        assert_eq!(journal.pending(), 6);
        assert!(unsent.contains(&Notice::Group(StampName::of_namespace("test"))));
        for args in 0..LIMIT + 5 {
            journal.note(entry(&args.to_string(), Invalidation::Delete)).acknowledge();
        }
        assert!(notices(&journal, true).len() <= LIMIT);
        assert!(notices(&journal, false).contains(&Notice::Group(StampName::of_namespace("test"))));
    }
}
