//! Reads a key in the shared tier.

use std::sync::Arc;

use smallvec::SmallVec;

use crate::cache::HybridCache;
use crate::cache::encoding::{Opened, open};
use crate::cache::fill::Fill;
use crate::cache::remote_exchange::RemoteExchange;
use crate::coherence::stamps::StampSnapshot;
use crate::entry::freshness::Life;
use crate::entry::lifetimes::Lifetimes;
use crate::entry::plan::Plan;
use crate::entry::value_type::AnyValue;
use crate::entry::{Deadlines, Entry, Fence, FilledUnder, Meta, State};
use crate::function::call_key::Key;
use crate::observe::{EventKind, Tier};
use crate::primitives::clock::Millis;
use crate::shared::wire::envelope::{self, Header};
use crate::shared::{Fetched, LARGE, RemoteError, RemoteErrorKind, StampName};

/// The result of reading a key in the shared tier.
pub(crate) enum Read {
    /// The entry, and its fence.
    Fresh(Arc<Entry>, FenceBytes),
    /// The entry, and its fence.
    Stale(Arc<Entry>, FenceBytes),
    /// No usable entry; with the bytes at the place of the fence.
    Absent(FenceBytes),
    /// Bytes that this process cannot decode; with the bytes at the place of the fence.
    Undecodable(FenceBytes),
}

/// The bytes at the place of the fence: 16, or fewer if the value is no entry.
pub(crate) type FenceBytes = SmallVec<[u8; 16]>;

/// The meaning of the bytes at a key.
pub(crate) enum Interpreted {
    Read(Read),
    /// The entry is void, unless this process has outdated numbers of these stamps: the shared tier may have lost a
    /// stamp, and another process may have created it again. They have to be read again.
    InDoubt(Vec<StampName>),
}

/// The place of the flag byte that marks an envelope as expired by hand.
const MARK: usize = 4;

impl HybridCache {
    /// The circumstances of a read or load that begins now. `seen` was captured before.
    pub(crate) fn origin<'a>(&self, seen: &'a StampSnapshot) -> FilledUnder<'a> {
        FilledUnder { seen, epoch: self.local().trust.epoch(), began: self.clock().now() }
    }

    /// Reads the key in the shared tier.
    pub(crate) async fn read(&self, exchange: &mut RemoteExchange<'_>) -> Result<Read, RemoteError> {
        let mut asked = exchange.fill.origin.seen.unknown();
        loop {
            let entry = self.fetch(exchange, &asked).await?;
            match self.interpret(exchange, entry, &asked).await {
                Interpreted::Read(read) => return Ok(read),
                Interpreted::InDoubt(stamps) => asked.extend(stamps),
            }
        }
    }

    /// The entry's bytes. An entry that is probably large is read as a large one at once.
    async fn fetch(
        &self,
        exchange: &mut RemoteExchange<'_>,
        asked: &[StampName],
    ) -> Result<Option<Vec<u8>>, RemoteError> {
        let (fill, now) = (exchange.fill, self.clock().now());
        let sizes = &fill.key.function.sizes;
        if let Some(bytes) = sizes.expected_large().filter(|_| !sizes.is_paused(now)) {
            // Boxed, so that the future of the usual case stays small.
            return Box::pin(self.fetch_large(exchange, asked, bytes)).await;
        }
        let fetched = exchange.budget.read(exchange.remote.fetch(fill.key.address(), asked)).await?;
        fill.origin.seen.learn(asked, fetched.stamps);
        self.complete(exchange, fetched.entry).await
    }

    /// The complete entry. `entry` may be its first bytes only.
    pub(crate) async fn complete(
        &self,
        exchange: &mut RemoteExchange<'_>,
        entry: Option<Vec<u8>>,
    ) -> Result<Option<Vec<u8>>, RemoteError> {
        let function = &exchange.fill.key.function;
        let sizes = &function.sizes;
        let bytes = match &entry {
            None => return Ok(None),
            Some(head) if head.len() >= LARGE => match envelope::size_at_most(head, self.limits().value_limit) {
                Some(bytes) => bytes,
                // Not an entry that this cache reads, as its first bytes show.
                None => return Ok(entry),
            },
            Some(whole) => {
                sizes.learn(whole.len());
                return Ok(entry);
            }
        };
        if sizes.is_paused(self.clock().now()) {
            let message = format!(
                "a value of {} ({bytes} bytes) is not read: the last ones did not arrive, as the server may not send values of \
                 this size (client-output-buffer-limit normal), or the network takes too long",
                function.name()
            );
            return Err(RemoteError { kind: RemoteErrorKind::Refused, message });
        }
        Box::pin(self.fetch_large(exchange, &[], bytes)).await
    }

    async fn fetch_large(
        &self,
        exchange: &mut RemoteExchange<'_>,
        asked: &[StampName],
        bytes: usize,
    ) -> Result<Option<Vec<u8>>, RemoteError> {
        let RemoteExchange { remote, fill, budget } = exchange;
        let sizes = &fill.key.function.sizes;
        let fetching = remote.fetch_large(fill.key.address(), asked, bytes);
        let fetched = budget.read_large(bytes, fetching, remote.probe()).await;
        if matches!(&fetched, Err(error) if error.kind == RemoteErrorKind::Transfer) {
            sizes.failed(self.clock().now());
        }
        let Fetched { entry, stamps } = fetched?;
        if let Some(entry) = &entry {
            sizes.learn(entry.len());
            if entry.len() >= LARGE {
                sizes.arrived();
            }
        }
        fill.origin.seen.learn(asked, stamps);
        Ok(entry)
    }

    /// Interprets the bytes at the key. The stamps in `asked` were read together with them.
    pub(crate) async fn interpret(
        &self,
        exchange: &RemoteExchange<'_>,
        entry: Option<Vec<u8>>,
        asked: &[StampName],
    ) -> Interpreted {
        let fill = &exchange.fill;
        let seen = fill.origin.seen;
        let Some(bytes) = entry else { return Interpreted::Read(Read::Absent(FenceBytes::new())) };
        let fence = FenceBytes::from_slice(envelope::fence_bytes(&bytes));
        let opened = match open(fill, self.packing(), self.limits().value_limit, bytes).await {
            Ok(opened) => opened,
            Err(why) => return Interpreted::Read(fill.undecodable(&why, fence)),
        };
        let stamps = &opened.header.stamps;
        let others = seen.mismatched(stamps);
        if others.is_empty() && stamps.len() == seen.len() {
            return Interpreted::Read(self.decode(exchange, opened, fence).await);
        }
        let in_doubt: Vec<_> = others.into_iter().filter(|name| !asked.contains(name)).collect();
        if in_doubt.is_empty() { Interpreted::Read(Read::Absent(fence)) } else { Interpreted::InDoubt(in_doubt) }
    }

    /// Decodes what was read into an entry, with the lifetimes that remain.
    async fn decode(&self, exchange: &RemoteExchange<'_>, opened: Opened, fence: FenceBytes) -> Read {
        let (fill, header) = (&exchange.fill, opened.header.clone());
        let (here, there) = (self.clock().now(), exchange.remote.now().unwrap_or(header.expires_at));
        if there >= header.expires_at {
            return Read::Absent(fence);
        }
        let over = Deadlines { fresh_until: here, expires_at: here };
        let meta = Meta::new(fill.key, over, fill.origin, Some(header.fence));
        let (payload, is_old) = (opened.payload(), opened.is_old(self.packing()));
        let mut entry = match opened.decode(self.packing(), fill.key, fill.plan, meta).await {
            Ok(entry) => entry,
            Err(why) => return fill.undecodable(&why, fence),
        };
        if is_old {
            fill.key.happened(EventKind::OpenedWithOldKey);
        }
        let times = self.ends(fill, &header, &entry.value, here, there);
        // This is the only reference so far.
        if let Some(entry) = Arc::get_mut(&mut entry) {
            entry.meta.limit(times);
            entry.meta.set_age(here, there.saturating_sub(header.loaded_at));
            if let Some(last) = fill.plan.freshness.last_part(own_fresh_for(&header), header.cost_ms.into()) {
                entry.meta.refresh_ahead(last);
            }
        }
        let entry = fill.weighed(entry, Some(payload));
        match times {
            Deadlines { expires_at, .. } if expires_at <= here => Read::Absent(fence),
            Deadlines { fresh_until, .. } if fresh_until <= here => Read::Stale(entry, fence),
            _ => Read::Fresh(entry, fence),
        }
    }

    /// The remaining lifetimes of an entry. They are at most those of a value loaded now, and for an entry that memory
    /// has, at most its lifetimes there: the shared tier's clock may have been set back.
    fn ends(&self, fill: &Fill<'_>, header: &Header, value: &AnyValue, here: Millis, there: u64) -> Deadlines {
        let remains = Remains::of(header, fill.plan.lifetimes_of(value), there);
        let times = Deadlines { fresh_until: here + remains.fresh, expires_at: here + remains.whole };
        match self.local().memory.find(fill.key) {
            Some(held) if held.meta.fence() == Some(header.fence) => Deadlines {
                fresh_until: times.fresh_until.min(held.meta.fresh_until()),
                expires_at: times.expires_at.min(held.meta.expires_at),
            },
            _ => times,
        }
    }

    /// Whether the shared tier still has this very entry, under the same stamps. If it was expired by hand meanwhile,
    /// it is expired here too.
    pub(crate) async fn verify(
        &self,
        exchange: &mut RemoteExchange<'_>,
        unverified: &Entry,
    ) -> Result<bool, RemoteError> {
        let (Some(fence), Some(carried)) = (unverified.meta.fence(), unverified.meta.seen.remote()) else {
            return Ok(false);
        };
        let RemoteExchange { remote, fill, budget } = exchange;
        let seen = fill.origin.seen;
        let asked = seen.unknown();
        let fetched = budget.read(remote.fetch_head(fill.key.address(), &asked)).await?;
        let is_stamp_absent = fetched.stamps.iter().any(Option::is_none);
        seen.learn(&asked, fetched.stamps);
        let head = fetched.entry.unwrap_or_default();
        let now = seen.remote();
        if now.is_none() && !is_stamp_absent {
            // A stamp changed while the stamps were read, so the read numbers do not count: nothing is known yet.
            return Ok(false);
        }
        // If a stamp is absent, `now` is `None` and the entry is void: it cannot carry a stamp that does not exist.
        if envelope::fence_bytes(&head) != fence || now != Some(carried) {
            // Killed, so that it is not served as a last resort if the shared tier fails now.
            unverified.meta.kill();
            return Ok(false);
        }
        let marked = head[MARK] & 1 == 1;
        if marked && unverified.meta.unproven_state(self.clock().now()) == State::Fresh {
            unverified.meta.expire();
        }
        Ok(true)
    }

    /// The cached entry and where it is, without loading.
    pub(crate) async fn peek(&self, key: &Arc<Key>, plan: &Plan) -> Option<(Arc<Entry>, Tier)> {
        // A remembered error is no value.
        if let Some(entry) = self.in_memory(key).filter(|entry| plan.has_type_of(entry)) {
            return Some((entry, Tier::Memory));
        }
        let remote = self.remote_for(&key.function, plan)?;
        let seen = self.capture_stamps(key, plan);
        let fill = Fill { key, plan, origin: self.origin(&seen) };
        let mut budget = self.budget();
        let read = self.read(&mut RemoteExchange { remote, fill, budget: &mut budget }).await;
        if read.is_ok() {
            budget.succeeded();
        }
        match read {
            Ok(Read::Fresh(entry, _) | Read::Stale(entry, _)) => Some((entry, Tier::Shared)),
            Ok(Read::Absent(_) | Read::Undecodable(_)) => None,
            Err(error) => {
                self.redis_failed(key, &error);
                let unverified = self.unverified(key, plan).filter(|_| self.local().trust.serves_unverified());
                unverified.map(|entry| (entry, Tier::Memory))
            }
        }
    }
}

/// How long an entry remains fresh, and how long it remains; in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Remains {
    fresh: u64,
    whole: u64,
}

/// The largest difference between two processes' readings of the shared tier's clock: each process knows it by a
/// sample, whose error is half a round trip.
const UNCERTAINTY: u64 = 1_000;

impl Remains {
    /// `now` is by the clock of the header's times. That clock may have been set since. An entry that was loaded in the
    /// future has an unknown age: it counts as stale from now on.
    fn of(header: &Header, whole: Lifetimes, now: u64) -> Self {
        let is_ahead = header.loaded_at > now.saturating_add(UNCERTAINTY);
        let now = if is_ahead { now.max(header.fresh_until) } else { now };
        // Said by the load: as long as that.
        let has_own = header.flags & envelope::OWN_FRESH_FOR != 0;
        let fresh_for = if has_own { own_fresh_for(header).min(whole.ttl()) } else { whole.fresh_for() };
        let longest = if is_ahead { whole.ttl() - fresh_for } else { whole.ttl() };
        let fresh_until = if header.expired_by_hand { 0 } else { header.fresh_until };
        Self {
            fresh: fresh_until.saturating_sub(now).min(fresh_for),
            whole: header.expires_at.saturating_sub(now).min(longest),
        }
    }
}

/// How long the entry was fresh when its load ended.
fn own_fresh_for(header: &Header) -> u64 {
    header.fresh_until.saturating_sub(header.loaded_at.saturating_add(header.cost_ms.into()))
}

impl Fill<'_> {
    /// Counts and logs a miss because of bytes that cannot be read.
    fn undecodable(&self, why: &dyn std::fmt::Display, fence: FenceBytes) -> Read {
        let function = &self.key.function;
        self.key.happened(EventKind::Undecodable);
        let what = "an entry in Redis cannot be read: it counts as a miss";
        function.fit.log_failure(&function.events, "undecodable", what, why);
        Read::Undecodable(fence)
    }

    /// An entry for a value that was loaded just now; `fence`: the shared tier has it too.
    pub(crate) fn entry(
        &self,
        now: Millis,
        value: Box<AnyValue>,
        Life { lifetimes, took, .. }: Life,
        encoded: Option<usize>,
        fence: Option<Fence>,
    ) -> Option<Arc<Entry>> {
        let times = Deadlines { fresh_until: now + lifetimes.fresh_for(), expires_at: now + lifetimes.ttl() };
        let mut meta = Meta::new(self.key, times, self.origin, fence);
        if let Some(last) = self.plan.freshness.last_part(lifetimes.fresh_for(), took.as_millis() as u64) {
            meta.refresh_ahead(last);
        }
        self.plan.value.seal(value, meta).map(|entry| self.weighed(entry, encoded))
    }

    fn weighed(&self, mut entry: Arc<Entry>, encoded: Option<usize>) -> Arc<Entry> {
        #[cfg(feature = "inspector")]
        if let Some(encode) = self.plan.value.encoder() {
            self.key.function.learn_encoding(encode);
        }
        // This is the only reference so far.
        if let Some(entry) = Arc::get_mut(&mut entry) {
            let value = self.plan.weigh(&entry.value, encoded);
            entry.meta.weigh(value);
        }
        entry
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000;
    const LIFETIMES: Lifetimes = Lifetimes::from_millis(60 * SECOND, 6 * SECOND);
    /// When it was loaded.
    const LOADED: u64 = 1_700_000_000_000;

    fn header() -> Header {
        Header {
            cost_ms: 0,
            loaded_at: LOADED,
            fresh_until: LOADED + LIFETIMES.fresh_for(),
            expires_at: LOADED + LIFETIMES.ttl(),
            ..Header::sample()
        }
    }

    fn remains(header: &Header, now: u64) -> (u64, u64) {
        let Remains { fresh, whole } = Remains::of(header, LIFETIMES, now);
        (fresh, whole)
    }

    #[test]
    fn what_remains_is_what_the_envelope_says() {
        assert_eq!(remains(&header(), LOADED), (6 * SECOND, 60 * SECOND));
        assert_eq!(remains(&header(), LOADED + 2 * SECOND), (4 * SECOND, 58 * SECOND));
        assert_eq!(remains(&header(), LOADED + 10 * SECOND), (0, 50 * SECOND));
        let expired = Header { expired_by_hand: true, ..header() };
        assert_eq!(remains(&expired, LOADED + 2 * SECOND), (0, 58 * SECOND));
        // Two processes do not know the clock to the millisecond.
        assert_eq!(remains(&header(), LOADED - SECOND), (6 * SECOND, 60 * SECOND));
    }

    /// Killed by: taking an age below zero for zero; keeping it for longer than it would be stale.
    #[test]
    fn what_was_loaded_in_the_future_is_stale_and_ends_no_later_for_it() {
        for back in [2 * SECOND, 900 * SECOND, LOADED] {
            assert_eq!(remains(&header(), LOADED - back), (0, 54 * SECOND), "{back}");
        }
        let never_stale = Header { fresh_until: LOADED + 60 * SECOND, ..header() };
        let lifetimes = Lifetimes::from_millis(60 * SECOND, 60 * SECOND);
        let remains = Remains::of(&never_stale, lifetimes, LOADED - 900 * SECOND);
        assert_eq!(remains, Remains { fresh: 0, whole: 0 }, "a value that is never stale is none");
    }

    /// The clock was set back by less than the age. Killed by: the envelope's times alone.
    #[test]
    fn nothing_remains_longer_than_for_a_value_loaded_now() {
        let long = Header { fresh_until: LOADED + 900 * SECOND, expires_at: LOADED + 9_000 * SECOND, ..header() };
        assert_eq!(remains(&long, LOADED), (6 * SECOND, 60 * SECOND));
    }

    /// Killed by: the function's `fresh_for` for what the load said; no bound at all.
    #[test]
    fn what_the_load_said_counts_instead_of_what_the_function_says() {
        let own = |fresh, ttl| Header {
            flags: envelope::OWN_FRESH_FOR,
            cost_ms: 300,
            fresh_until: LOADED + 300 + fresh,
            expires_at: LOADED + 300 + ttl,
            ..header()
        };
        let loaded = LOADED + 300;
        assert_eq!(remains(&own(20 * SECOND, 60 * SECOND), loaded), (20 * SECOND, 60 * SECOND));
        assert_eq!(remains(&own(20 * SECOND, 60 * SECOND), loaded + 5 * SECOND), (15 * SECOND, 55 * SECOND));
        assert_eq!(remains(&own(90 * SECOND, 90 * SECOND), loaded), (60 * SECOND, 60 * SECOND), "capped by `ttl`");
        assert_eq!(remains(&own(20 * SECOND, 60 * SECOND), LOADED - 4 * SECOND), (0, 40 * SECOND), "of unknown age");
    }

    #[test]
    fn a_clock_that_was_set_forward_ends_everything() {
        assert_eq!(remains(&header(), LOADED + 900 * SECOND), (0, 0));
        assert_eq!(remains(&header(), u64::MAX), (0, 0));
    }
}
