//! What the shared tier has of a key.

use std::sync::Arc;

use smallvec::SmallVec;

use crate::budget::Budget;
use crate::cache::HybridCache;
use crate::call_key::Key;
use crate::clock::Millis;
use crate::entry::{Entry, Fence, Meta, Origin, State, Times};
use crate::envelope::{self, Header};
use crate::remote::{Remote, RemoteError, StampName};
use crate::settings::Plan;
use crate::stamps::Seen;
use crate::stats::count;
use crate::value::AnyValue;

/// What reading the key in the shared tier gave.
pub(crate) enum Read {
    /// With the fence of what was read.
    Fresh(Arc<Entry>, FenceBytes),
    /// With the fence of what was read.
    Stale(Arc<Entry>, FenceBytes),
    /// Nothing that can be used; with the bytes that stand where a fence would.
    Absent(FenceBytes),
    /// Bytes that this process cannot decode, with the same.
    Undecodable(FenceBytes),
}

/// The bytes where a fence would stand: 16, or fewer of what is no entry.
pub(crate) type FenceBytes = SmallVec<[u8; 16]>;

/// What the bytes at a key mean.
pub(crate) enum Interpreted {
    Read(Read),
    /// Void, unless this process is the one that is wrong about these: the shared tier may have lost a stamp, and another
    /// process have created it anew.
    InDoubt(Vec<StampName>),
}

/// What is to be filled, and under what.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fill<'a> {
    pub(crate) key: &'a Arc<Key>,
    pub(crate) plan: &'a Plan,
    pub(crate) origin: Origin<'a>,
}

/// Where a fence stands in an envelope, and the byte that says expired by hand.
const FENCE: std::ops::Range<usize> = 16..32;
const MARK: usize = 4;

impl HybridCache {
    /// Now, before anything is read or loaded. `seen` was captured before.
    pub(crate) fn origin<'a>(&self, seen: &'a Seen) -> Origin<'a> {
        Origin { seen, epoch: self.local().trust.epoch(), began: self.clock().now() }
    }

    /// Reads the key in the shared tier.
    pub(crate) async fn read(
        &self,
        remote: &dyn Remote,
        fill: &Fill<'_>,
        budget: &mut Budget,
    ) -> Result<Read, RemoteError> {
        let seen = fill.origin.seen;
        let mut asked = seen.unknown();
        loop {
            let fetched = budget.read(remote.fetch(fill.key.address(), &asked)).await?;
            seen.learn(&asked, fetched.stamps);
            match self.interpret(remote, fill, fetched.entry, &asked) {
                Interpreted::Read(read) => return Ok(read),
                Interpreted::InDoubt(stamps) => asked.extend(stamps),
            }
        }
    }

    /// What stands at the key means, where the stamps that were `asked` for came with it.
    pub(crate) fn interpret(
        &self,
        remote: &dyn Remote,
        fill: &Fill<'_>,
        entry: Option<Vec<u8>>,
        asked: &[StampName],
    ) -> Interpreted {
        let seen = fill.origin.seen;
        let Some(bytes) = entry else { return Interpreted::Read(Read::Absent(FenceBytes::new())) };
        let fence = FenceBytes::from_slice(bytes.get(FENCE.start..FENCE.end.min(bytes.len())).unwrap_or_default());
        let Ok((header, payload)) = envelope::decode_for(&fill.key.fingerprint(), &bytes) else {
            count(&fill.key.function.counters.undecodable);
            return Interpreted::Read(Read::Undecodable(fence));
        };
        let others = seen.other_than(&header.stamps);
        if others.is_empty() && header.stamps.len() == seen.len() {
            return Interpreted::Read(self.decode(remote, fill, &header, payload, fence));
        }
        let in_doubt: Vec<_> = others.into_iter().filter(|name| !asked.contains(name)).collect();
        if in_doubt.is_empty() { Interpreted::Read(Read::Absent(fence)) } else { Interpreted::InDoubt(in_doubt) }
    }

    /// An entry of what was read, with the lifetimes that remain.
    fn decode(&self, remote: &dyn Remote, fill: &Fill<'_>, header: &Header, payload: &[u8], fence: FenceBytes) -> Read {
        let (here, there) = (self.clock().now(), remote.now().unwrap_or(header.expires_at));
        let is_stale = header.expired_by_hand || there >= header.fresh_until;
        let fresh_until = if is_stale { here } else { here + header.fresh_until.saturating_sub(there) };
        let times = Times { fresh_until, expires_at: here + header.expires_at.saturating_sub(there) };
        let meta = Meta::new(fill.key, times, fill.origin, Some(header.fence));
        match fill.plan.value.decode(header.kind, payload, meta) {
            _ if there >= header.expires_at => Read::Absent(fence),
            Ok(entry) if is_stale => Read::Stale(fill.weighed(entry, Some(payload.len())), fence),
            Ok(entry) => Read::Fresh(fill.weighed(entry, Some(payload.len())), fence),
            Err(_) => {
                count(&fill.key.function.counters.undecodable);
                Read::Undecodable(fence)
            }
        }
    }

    /// Whether the shared tier still has this very entry, under the same stamps. One that was expired by hand meanwhile is
    /// so here, too.
    pub(crate) async fn verify(
        &self,
        remote: &dyn Remote,
        fill: &Fill<'_>,
        suspect: &Entry,
        budget: &mut Budget,
    ) -> Result<bool, RemoteError> {
        let (Some(fence), Some(carried)) = (suspect.meta.fence(), suspect.meta.seen.remote()) else { return Ok(false) };
        let seen = fill.origin.seen;
        let asked = seen.unknown();
        let fetched = budget.read(remote.fetch_head(fill.key.address(), &asked)).await?;
        seen.learn(&asked, fetched.stamps);
        let head = fetched.entry.unwrap_or_default();
        let Some(numbers) = seen.remote() else { return Ok(false) };
        if head.get(FENCE) != Some(&fence) || numbers != carried {
            // Should the shared tier fail now, it is not to be served for want of better.
            suspect.meta.kill();
            return Ok(false);
        }
        let marked = head[MARK] & 1 == 1;
        if marked && suspect.meta.unproven_state(self.clock().now()) == State::Fresh {
            suspect.meta.expire();
        }
        Ok(true)
    }

    /// What is cached, without loading.
    pub(crate) async fn peek(&self, key: &Arc<Key>, plan: &Plan) -> Option<Arc<Entry>> {
        if let Some(entry) = self.in_memory(key) {
            return Some(entry);
        }
        let remote = self.remote_for(&key.function, plan)?;
        let seen = self.seen(key, plan);
        let fill = Fill { key, plan, origin: self.origin(&seen) };
        let mut budget = self.budget();
        let read = self.read(&**remote, &fill, &mut budget).await;
        if read.is_ok() {
            budget.sufficed();
        }
        match read {
            Ok(Read::Fresh(entry, _) | Read::Stale(entry, _)) => Some(entry),
            Ok(Read::Absent(_) | Read::Undecodable(_)) => None,
            Err(error) => {
                count(&key.function.counters.redis_errors);
                self.complain(&error);
                self.suspect(key, plan).filter(|_| self.local().trust.serves_suspects())
            }
        }
    }
}

impl Fill<'_> {
    /// An entry of a value that was loaded just now; `fence`: the shared tier has it too.
    pub(crate) fn entry(
        &self,
        now: Millis,
        value: Box<AnyValue>,
        encoded: Option<usize>,
        fence: Option<Fence>,
    ) -> Option<Arc<Entry>> {
        let lifetimes = self.plan.lifetimes_of(&*value);
        let times = Times { fresh_until: now + lifetimes.fresh_for(), expires_at: now + lifetimes.ttl() };
        let meta = Meta::new(self.key, times, self.origin, fence);
        self.plan.value.seal(value, meta).map(|entry| self.weighed(entry, encoded))
    }

    fn weighed(&self, mut entry: Arc<Entry>, encoded: Option<usize>) -> Arc<Entry> {
        // Nobody else has it yet.
        if let Some(entry) = Arc::get_mut(&mut entry) {
            let value = self.plan.weigh(&entry.value, encoded);
            entry.meta.weigh(value);
        }
        entry
    }
}
