//! Storing and invalidating over both tiers.
//!
//! An invalidation acts in this process at once, and again after the shared tier has answered or failed: an entry that
//! was read from there meanwhile may be older than the invalidation. The journal notes it first, so that it is sent
//! even if this attempt fails or its caller is dropped.

use std::sync::Arc;

use futures_util::future::join;
use tokio::time::Instant;

use crate::cache::HybridCache;
use crate::cache::encoding::{Encoded, Publishing};
use crate::cache::fill::Fill;
use crate::cache::lease::{Lease, SENDING};
use crate::coherence::stamps::{Stamp, StampSnapshot};
use crate::entry::freshness::Life;
use crate::entry::plan::Plan;
use crate::entry::value_type::AnyValue;
use crate::entry::{Fence, FilledUnder};
use crate::error::Error;
use crate::function::call_key::Key;
use crate::observe::{EventKind, InvalidationKind, Subject};
use crate::shared::Lifespan;
use crate::shared::journal::{Notice, Pending};
use crate::shared::{Invalidation, Published, Remote, RemoteError, RemoteErrorKind};

/// The result of publishing a put. In each case other processes no longer have the older value.
enum Put {
    /// Stored, with its fence and the length of its encoding.
    Stored(Fence, usize),
    /// The value stays in this process's memory, which was counted.
    MemoryOnly,
    /// The lease has, or had, another holder since: the key was invalidated, or put again. The value is stored nowhere.
    Overtaken,
    /// The shared tier has no memory left.
    Refused,
}

impl HybridCache {
    /// Invalidates every entry that carries the tag, whatever function it belongs to.
    ///
    /// `tag` is the text of the template with its values filled in: `"org:9"`.
    ///
    /// How long it waits, and its cancel safety, are those of
    /// [`PlainEntry::invalidate`](crate::PlainEntry::invalidate); one answer of Redis suffices.
    ///
    /// # Errors
    /// When Redis did not acknowledge it: see [`Error::is_pending`].
    pub async fn invalidate_tag(&self, tag: &str) -> Result<(), Error> {
        let stamp = self.tag_stamp(tag);
        self.restamp(&stamp, self.events(), InvalidationKind::Tag, &format!("invalidate tag `{tag}`")).await
    }

    /// Invalidates every entry of a function, by its name (see [`Self::function_stats`]).
    ///
    /// How long it waits, and its cancel safety, are those of
    /// [`PlainEntry::invalidate`](crate::PlainEntry::invalidate); one answer of Redis suffices.
    ///
    /// # Errors
    /// When Redis did not acknowledge it: see [`Error::is_pending`].
    pub async fn invalidate_function(&self, name: &str) -> Result<(), Error> {
        let function = self.function_named(name);
        let events = function.as_ref().map_or(self.events(), |function| &function.events);
        let stamp = self.function_stamp(name);
        self.restamp(&stamp, events, InvalidationKind::Function, &format!("invalidate function `{name}`")).await
    }

    /// Invalidates every entry of the namespace, in all processes.
    ///
    /// How long it waits, and its cancel safety, are those of
    /// [`PlainEntry::invalidate`](crate::PlainEntry::invalidate); one answer of Redis suffices.
    ///
    /// # Errors
    /// When Redis did not acknowledge it: see [`Error::is_pending`].
    pub async fn clear(&self) -> Result<(), Error> {
        self.restamp(self.namespace_stamp(), self.events(), InvalidationKind::All, "clear the namespace").await
    }

    async fn restamp(
        &self,
        stamp: &Arc<Stamp>,
        events: &Subject,
        kind: InvalidationKind,
        action: &str,
    ) -> Result<(), Error> {
        events.happened(None, EventKind::Invalidated { kind });
        self.local().stamps.note(stamp.name.hash);
        stamp.void();
        let Some(remote) = self.remote() else { return Ok(()) };
        self.is_open_for(|| action.to_owned())?;
        let _once_more = Finally::new(|| stamp.void());
        let pending = self.note(Notice::Group(stamp.name.clone()));
        let told = remote.restamp(std::slice::from_ref(&stamp.name)).await;
        settle(pending, told, events, action)
    }

    pub(crate) async fn invalidate(&self, key: &Arc<Key>, mode: Invalidation) -> Result<(), Error> {
        let kind = match mode {
            Invalidation::Delete => InvalidationKind::Entry,
            Invalidation::Expire => InvalidationKind::Expire,
        };
        key.happened(EventKind::Invalidated { kind });
        self.remove(key, mode).await
    }

    async fn remove(&self, key: &Arc<Key>, mode: Invalidation) -> Result<(), Error> {
        let local = self.local();
        local.invalidate(key, mode);
        let Some(remote) = self.remote().filter(|_| key.function.is_unambiguous()) else { return Ok(()) };
        self.is_open_for(|| format!("invalidate {key}"))?;
        let _once_more = Finally::new(|| local.invalidate(key, mode));
        let pending = self.note(Notice::Entry(key.address().clone(), mode));
        let mode = match pending.notice() {
            Some(Notice::Entry(_, mode)) => *mode,
            _ => mode,
        };
        if mode == Invalidation::Delete {
            local.deleted.note(key.id());
        }
        let told = local.tell_invalidated(&**remote, key.address(), mode).await;
        settle(pending, told, &key.function.events, &format!("invalidate {key}"))
    }

    /// Notes an invalidation that is about to be sent.
    fn note(&self, notice: Notice) -> Pending {
        let pending = self.local().journal.note(notice);
        if pending.overflowed {
            let what = "too many invalidations wait for Redis: the whole namespace will be invalidated";
            self.events().warn(true, "journal_overflow", what, None);
        }
        pending
    }

    /// Stores a value as if it had just been loaded. No call joins it: a call that is made meanwhile loads for itself,
    /// and its result in memory is replaced or removed when the put ends. Of several puts of one key at the same time
    /// in this process, at least one is stored: in the shared tier the lease decides which, and in memory the latest
    /// wins.
    pub(crate) async fn put(&self, key: &Arc<Key>, plan: &Plan, mut value: Box<AnyValue>) -> Result<(), Error> {
        let Some(life) = plan.life_of_put(&*value) else {
            // Such values are not stored (`none_ttl = 0s`). What it replaces is gone.
            return self.invalidate(key, Invalidation::Delete).await;
        };
        let local = self.local();
        let putting = local.puts.begin(key.id());
        key.happened(EventKind::Invalidated { kind: InvalidationKind::Put });
        if key.function.fit.is_excluded() {
            // The shared tier may have entries from before the function was excluded. Other processes must not go on
            // reading them.
            self.remove(key, Invalidation::Delete).await?;
        } else {
            local.invalidate(key, Invalidation::Delete);
        }
        let forget = || local.invalidate(key, Invalidation::Delete);
        // A later put removes everything from before it, and its value is in memory, or soon will be.
        let mut once_more = Finally::new(|| {
            if putting.is_latest() {
                forget()
            }
        });
        let mut seen = self.capture_stamps(key, plan);
        let FilledUnder { epoch, began, .. } = self.origin(&seen);
        // Detached by every invalidation of the key from here on.
        let place = local.flights.reserve(key, seen.clone());
        // Memory must not outlive the envelope, which is made from here on.
        let now = self.clock().now();
        let (mut encoded, mut fence) = (None, None);
        if let Some(remote) = self.remote_for(&key.function, plan) {
            self.is_open_for(|| format!("put {key}"))?;
            let (lease, put);
            (lease, seen) = self.seize(remote, key, plan, seen).await?;
            let fill = Fill { key, plan, origin: FilledUnder { seen: &seen, epoch, began } };
            (put, value) = self.publish_put(&**remote, lease, &fill, value, life).await?;
            match put {
                Put::Stored(stored, bytes) => (encoded, fence) = (Some(bytes), Some(stored)),
                Put::MemoryOnly => {}
                Put::Overtaken => return Ok(()),
                Put::Refused => {
                    key.happened(EventKind::SharedFailed);
                    return Err(Error::refused(&format!("put {key}")));
                }
            }
        }
        let fill = Fill { key, plan, origin: FilledUnder { seen: &seen, epoch, began } };
        if let Some(entry) = fill.entry(now, value, life, encoded, fence) {
            once_more.due = !place.replace(|| local.memory.insert(entry));
            if once_more.due && fence.is_some() {
                // Also removes the value of a later put: the shared tier has stored this one after it.
                forget();
            }
        }
        Ok(())
    }

    /// The first of two steps, which are those of a load. It deletes the stored entry and takes the lease from any
    /// holder. The second step publishes under that lease, so that an invalidation between the two fences it off, even
    /// one that arrives late. A first step that arrives late deletes the entry, and delays loads for the rest of its
    /// lease.
    ///
    /// Returns the stamps to publish under.
    async fn seize(
        &self,
        remote: &Arc<dyn Remote>,
        key: &Arc<Key>,
        plan: &Plan,
        mut seen: StampSnapshot,
    ) -> Result<(Lease, StampSnapshot), Error> {
        let (action, lifespan) = (format!("put {key}"), self.lifespan(plan));
        let mut lease = Lease::new(remote.clone(), key.clone(), self.next_token());
        // From here on no older value may come back, even if this put fails.
        let pending = self.note(Notice::Entry(key.address().clone(), Invalidation::Delete));
        let creating = create(&**remote, &seen, lifespan);
        let (seized, created) = join(lease.seize(&self.local().stamps), creating).await;
        settle(pending, seized, &key.function.events, &action)?;
        let unstored = |error: RemoteError| {
            key.happened(EventKind::SharedFailed);
            error.unstored(&action)
        };
        created.map_err(unstored)?;
        if seen.remote().is_none() || !seen.is_current() {
            // A stamp was voided, or the first step has found another number. Under the older number no process would
            // find the value.
            seen = self.capture_stamps(key, plan);
            create(&**remote, &seen, lifespan).await.map_err(unstored)?;
        }
        seen.prolong(lifespan, &**remote);
        Ok((lease, seen))
    }

    /// The second step.
    async fn publish_put(
        &self,
        remote: &dyn Remote,
        lease: Lease,
        fill: &Fill<'_>,
        value: Box<AnyValue>,
        life: Life,
    ) -> Result<(Put, Box<AnyValue>), Error> {
        let publishing = Publishing { token: lease.token(), life };
        let (encoded, value) = lease.hold_while(SENDING, self.encode(remote, fill, value, publishing)).await;
        let Some(Encoded { bytes, unpacked }) = encoded else { return Ok((Put::MemoryOnly, value)) };
        let published = lease.publish_at_leisure(bytes, life.ttl()).await.map_err(|error| {
            fill.key.happened(EventKind::SharedFailed);
            error.unstored(&format!("put {}", fill.key))
        })?;
        let put = match published {
            Published::Stored => Put::Stored(publishing.token.to_bytes(), unpacked),
            Published::Fenced => Put::Overtaken,
            Published::Refused => Put::Refused,
        };
        Ok((put, value))
    }
}

/// Creates the stamps that are not known, for the lifetime of a value that carries them.
async fn create(remote: &dyn Remote, seen: &StampSnapshot, lifespan: Lifespan) -> Result<(), RemoteError> {
    let (unknown, until) = (seen.unknown(), Instant::now() + lifespan.given);
    if !unknown.is_empty() {
        seen.learn_created(&unknown, remote.create_stamps(&unknown, lifespan.given).await?, until);
    }
    Ok(())
}

/// Acts once more when an invalidation or a put ends. An entry that was read from the shared tier while the request was
/// under way may be older than it. This removal comes last: when the shared tier has answered, or the breaker has
/// opened, no older entry can be read any more. It is a guard, so that it happens even if the caller is dropped.
struct Finally<F: Fn()> {
    act: F,
    due: bool,
}

impl<F: Fn()> Finally<F> {
    fn new(act: F) -> Self {
        Self { act, due: true }
    }
}

impl<F: Fn()> Drop for Finally<F> {
    fn drop(&mut self) {
        if self.due {
            (self.act)();
        }
    }
}

fn settle<T>(pending: Pending, told: Result<T, RemoteError>, events: &Subject, action: &str) -> Result<T, Error> {
    match told {
        Ok(answer) => {
            pending.acknowledge();
            Ok(answer)
        }
        Err(error) => {
            if error.kind == RemoteErrorKind::PartDown {
                pending.leave();
            }
            events.happened(None, EventKind::SharedFailed);
            Err(error.pending(action))
        }
    }
}
