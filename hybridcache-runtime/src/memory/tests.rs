//! The memory tier with real threads, compared with the model. `schedules/memory.rs` chooses the orders of a few steps;
//! here are millions of steps, and entries are evicted all the time.

#![allow(clippy::unwrap_used, reason = "a test panics to fail")]

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Weak, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use super::index::KEPT_BY_A_THREAD;
use super::model::{Modelled, POLICIES};
use super::policy::Policy;
use super::{Bound, Memory};
use crate::cache::state::Local;
use crate::coherence::stamps::StampSnapshot;
use crate::entry::{Deadlines, Entry, FilledUnder, Meta};
use crate::function::call_key::Key;
use crate::shared::Invalidation::{Delete, Expire};

/// How long memory is used at random, in seconds; `HYBRIDCACHE_MEMORY_SECONDS` replaces it.
const SECONDS: u64 = 4;

/// How long one memory is used.
const A_WORLD: Duration = Duration::from_millis(200);

/// More threads than processors: some are preempted in the middle of a step.
const THREADS: usize = 6;

/// The number of entries that threads are about to store, and of those that they have just replaced or removed.
const ON_THEIR_WAY: u64 = 2 * THREADS as u64;

/// The removed entries that threads keep; the thread that makes the world and checks it in the end counts, too.
const KEPT: u64 = ((KEPT_BY_A_THREAD - 1) * (THREADS + 1)) as u64;

/// A memory, the keys that are stored in it, and the size of their values.
struct World {
    memory: Memory,
    keys: usize,
    /// Whether ten keys share one hash.
    collide: bool,
    /// The largest value.
    bytes: usize,
}

/// The worlds are run in turn, again and again.
const WORLDS: [World; 5] = [
    World { memory: Memory::entries(1), keys: 4, collide: false, bytes: 0 },
    World { memory: Memory::entries(64), keys: 1_000, collide: false, bytes: 0 },
    World { memory: Memory::entries(2_000), keys: 20_000, collide: false, bytes: 0 },
    World { memory: Memory::entries(64), keys: 200, collide: true, bytes: 0 },
    World { memory: Memory::bytes(50_000), keys: 1_000, collide: false, bytes: 2_000 },
];

fn own(nth: usize) -> u64 {
    (nth as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// Each hash is shared by ten keys, of different arguments and versions.
fn colliding(nth: usize) -> u64 {
    own(nth % 20)
}

/// Killed by: a policy or ids that are not notified of a removal or a replacement; weights that are not exchanged; an
/// excess that stays; a change outside the lock; `forget` or a message or an expiration that leaves out anything; looks
/// that do not compare keys; `is_fresh` or `state` not asking for life or stamps; papaya's own collector.
#[test]
fn what_threads_do_at_random_agrees_with_the_model() {
    let seconds = std::env::var("HYBRIDCACHE_MEMORY_SECONDS").ok().and_then(|seconds| seconds.parse().ok());
    let end = Instant::now() + Duration::from_secs(seconds.unwrap_or(SECONDS));
    let alone_or_not = WORLDS.iter().flat_map(|world| [(world, false), (world, true)]);
    let by_policy = alone_or_not.flat_map(|world| POLICIES.iter().map(move |policy| (world, *policy)));
    for ((world, shared), policy) in by_policy.cycle().take_while(|_| Instant::now() < end) {
        world.run(shared, policy);
    }
}

impl World {
    fn run(&self, shared: bool, policy: Policy) {
        let hash = if self.collide { colliding } else { own };
        let modelled = Modelled::new(self.memory.policy(policy), self.keys, hash, shared);
        let (began, slowest): ([AtomicU64; THREADS], _) = Default::default();
        let end = Instant::now() + A_WORLD;
        thread::scope(|scope| {
            for mine in &began {
                scope.spawn(|| self.use_at_random(&modelled, mine, &began, &slowest, end));
            }
        });
        self.assert_bounded(&modelled, slowest.into_inner());
        while modelled.to_be_dropped() > 0 {
            thread::yield_now();
        }
        let totals = modelled.totals().clone();
        drop(modelled);
        assert_eq!(totals.alive(), 0, "nothing is left of what is dropped");
    }

    /// `slowest`: how much was made during the longest step so far. If that was a copy of papaya's table, what was
    /// removed meanwhile is freed only with the old table, some time after.
    fn use_at_random(
        &self,
        modelled: &Modelled,
        mine: &AtomicU64,
        began: &[AtomicU64],
        slowest: &AtomicU64,
        end: Instant,
    ) {
        let mut held = None;
        while Instant::now() < end {
            for _ in 0..64 {
                mine.store(modelled.totals().made(), SeqCst);
                self.step(modelled, &mut held);
                let oldest = began.iter().map(|began| began.load(SeqCst)).min().unwrap_or_default();
                slowest.fetch_max(modelled.totals().made().saturating_sub(oldest), SeqCst);
            }
            mine.store(modelled.totals().made(), SeqCst);
            self.assert_bounded_meanwhile(modelled, slowest);
            if fastrand::u8(..) == 0 {
                modelled.assert_agreement();
            }
        }
        mine.store(u64::MAX, SeqCst);
    }

    fn step(&self, modelled: &Modelled, held: &mut Option<(usize, Arc<Entry>)>) {
        // Some keys are asked for more often than others.
        let nth = fastrand::usize(..=fastrand::usize(..self.keys));
        match fastrand::u32(..10_000) {
            0..4_000 => modelled.load(nth, fastrand::usize(..=self.bytes)),
            4_000..8_000 => _ = modelled.read(nth),
            8_000..8_900 => _ = modelled.find(nth),
            8_900..9_000 => *held = modelled.hold(nth).map(|entry| (nth, entry)),
            9_000..9_300 => modelled.invalidate(nth, Delete),
            9_300..9_500 => modelled.invalidate(nth, Expire),
            9_500..9_800 => modelled.message(nth, Delete),
            9_800..9_998 => modelled.message(nth, Expire),
            _ => modelled.clear(),
        }
        // If keys share a hash, another key's writer may not have killed the entry yet that it replaced.
        if let Some((nth, entry)) = held.as_ref().filter(|_| !self.collide) {
            modelled.read_held(*nth, entry);
        }
    }

    /// Entries that were removed before the oldest step under way began are freed, except those that threads keep.
    /// Entries that were removed or made since may be read by that step. Each thread holds an entry of its own, too.
    fn assert_bounded_meanwhile(&self, modelled: &Modelled, slowest: &AtomicU64) {
        let to_be_dropped = modelled.to_be_dropped();
        let alive = modelled.totals().alive();
        let to_be_dropped = to_be_dropped + modelled.to_be_dropped();
        // Last: other threads may have made entries while this one was preempted.
        let slowest = slowest.load(SeqCst);
        let late = ON_THEIR_WAY + KEPT + self.kept_by_tables() + THREADS as u64 + to_be_dropped;
        let bound = self.capacity() + slowest + self.heaviest() * late;
        assert!(alive <= bound, "{alive} where {bound} are allowed, {slowest} of them for a slow step");
    }

    /// All threads have ended.
    fn assert_bounded(&self, modelled: &Modelled, slowest: u64) {
        let in_index = modelled.assert_settled();
        let to_be_dropped = modelled.to_be_dropped();
        let alive = modelled.totals().alive();
        let bound = in_index + self.heaviest() * (KEPT + self.kept_by_tables() + to_be_dropped) + slowest;
        assert!(alive <= bound, "{alive} where {bound} are allowed, {in_index} of them in the index");
    }

    fn capacity(&self) -> u64 {
        let (Bound::Entries(capacity) | Bound::Bytes(capacity)) = self.memory.bound;
        capacity
    }

    /// The largest weight of one entry.
    fn heaviest(&self) -> u64 {
        match self.memory.bound {
            Bound::Entries(_) => 1,
            Bound::Bytes(_) => self.bytes as u64 + 500,
        }
    }

    /// Entries that are removed while papaya copies its table are freed only with the old table, of which a thread may
    /// keep as many as of entries. Each write copies 4,096 slots, and there are at most four slots for each entry.
    fn kept_by_tables(&self) -> u64 {
        let entries = match self.memory.bound {
            Bound::Entries(capacity) => capacity,
            Bound::Bytes(capacity) => capacity / 400,
        };
        let writes_of_a_copy = 4 * (entries + ON_THEIR_WAY) / 4_096 + THREADS as u64;
        writes_of_a_copy * (KEPT_BY_A_THREAD - 1) as u64
    }
}

/// A single thread. Killed by: a replacement that leaves the other key's id; `insert` with the key's hash from elsewhere.
#[test]
fn what_was_stored_last_is_found() {
    POLICIES.iter().for_each(|policy| what_was_stored_last_is_found_by(*policy));
}

fn what_was_stored_last_is_found_by(policy: Policy) {
    const KEYS: usize = 60;
    let modelled = Modelled::new(Memory::entries(1_000).policy(policy), KEYS, colliding, true);
    // The last stored key of each hash.
    let mut last = HashMap::new();
    for _ in 0..3_000 {
        let nth = fastrand::usize(..KEYS);
        let step = fastrand::u8(..4);
        match step {
            0 => modelled.invalidate(nth, Delete),
            1 => modelled.message(nth, Delete),
            _ => modelled.load(nth, 0),
        }
        // An invalidation here knows the hash; a message finds all entries of the id.
        last.retain(|hash, last| !(step == 0 && *hash == colliding(nth) || step < 2 && *last / 2 == nth / 2));
        if step > 1 {
            last.insert(colliding(nth), nth);
        }
        for nth in 0..KEYS {
            assert_eq!(modelled.read(nth).is_some(), last.get(&colliding(nth)) == Some(&nth));
        }
    }
    modelled.assert_settled();
}

/// Killed by: an index with papaya's own collector.
#[test]
fn a_thread_keeps_few_of_what_it_has_removed() {
    let modelled = &Modelled::new(Memory::entries(8), 1, own, true);
    thread::scope(|scope| {
        let mut threads = Vec::new();
        for nth in 1..=THREADS {
            let (end, ended) = mpsc::channel::<()>();
            let (most, seen) = mpsc::channel();
            scope.spawn(move || {
                most.send((0..100).map(|_| alive_after_a_load(modelled)).max()).unwrap();
                // The thread stays alive, and so do the entries that it keeps.
                let _ = ended.recv();
            });
            threads.push(end);
            let most = seen.recv().unwrap();
            assert!(most <= Some((1 + nth * (KEPT_BY_A_THREAD - 1)) as u64), "{most:?} by {nth} threads");
        }
    });
}

fn alive_after_a_load(modelled: &Modelled) -> u64 {
    modelled.load(0, 0);
    modelled.totals().alive()
}

/// Killed by: a replacement that is weighed as an addition, or not at all.
#[test]
fn bytes_are_counted_exactly() {
    POLICIES.iter().for_each(|policy| bytes_are_counted_exactly_by(*policy));
}

fn bytes_are_counted_exactly_by(policy: Policy) {
    let modelled = Modelled::new(Memory::bytes(100_000).policy(policy), 4, own, true);
    modelled.load(2, 10_000);
    modelled.load(0, 0);
    let before = modelled.assert_settled();
    modelled.load(0, 5_000);
    assert_eq!(modelled.assert_settled(), before + 5_000);
    modelled.load(0, 0);
    assert_eq!(modelled.assert_settled(), before);
    modelled.invalidate(0, Delete);
    modelled.invalidate(2, Delete);
    assert_eq!(modelled.assert_settled(), 0);
}

/// Changes memory when it is dropped, as a user's value may do by the cache.
struct Guest {
    local: Weak<Local>,
    key: Arc<Key>,
}

impl Drop for Guest {
    fn drop(&mut self) {
        let Some(local) = self.local.upgrade() else { return };
        local.memory.remove(&self.key);
        assert!(local.memory.with_id(self.key.id()).len() <= 1);
        local.memory.insert(entry(&self.key, 7));
    }
}

fn entry<V: Send + Sync + 'static>(key: &Arc<Key>, value: V) -> Arc<Entry> {
    let times = Deadlines { fresh_until: u64::MAX, expires_at: u64::MAX };
    let seen = StampSnapshot::default();
    Arc::new(Entry { meta: Meta::new(key, times, FilledUnder { seen: &seen, epoch: 0, began: 0 }, None), value })
}

/// Without a stripe's lock, which callers hold, and whose own deferral would hide a missing one. Killed by: dropping what
/// is replaced, removed or evicted, or what a look at ids frees, under memory's lock.
#[test]
fn a_value_may_change_memory_when_it_is_dropped() {
    for policy in POLICIES {
        let modelled = Modelled::new(Memory::entries(8).policy(*policy), 40, own, true);
        let (sender, done) = mpsc::channel();
        thread::spawn(move || {
            thread::scope(|scope| {
                (0..3).for_each(|_| _ = scope.spawn(|| (0..3_000).for_each(|nth| changed_by_a_guest(&modelled, nth))));
            });
            modelled.assert_agreement();
            sender.send(()).unwrap();
        });
        done.recv_timeout(Duration::from_secs(60)).expect("it hangs, or has panicked");
    }
}

fn changed_by_a_guest(modelled: &Modelled, nth: usize) {
    let [key, other] = [nth, nth / 3].map(|nth| modelled.key(nth % 40));
    let memory = &modelled.local.memory;
    match nth % 5 {
        0 => memory.remove(key),
        1 => drop(memory.with_id(key.id())),
        _ => memory.insert(entry(key, Guest { local: Arc::downgrade(&modelled.local), key: other.clone() })),
    }
}
