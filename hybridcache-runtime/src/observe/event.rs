//! What can happen on the slow path.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use super::labels::labels;
use super::operation::{Operation, StepResult};

/// The text and the number of a key.
pub(crate) trait Keyed {
    /// As [`PlainEntry::key`](crate::PlainEntry::key) gives it.
    fn readable(&self) -> Cow<'_, str>;

    /// Its id in messages.
    fn id(&self) -> u64;
}

/// A key that outlives the call.
#[derive(Clone, Debug)]
pub(crate) struct KeyCopy {
    text: Box<str>,
    id: u64,
}

impl KeyCopy {
    pub(crate) fn of(key: &dyn Keyed) -> Self {
        Self { text: key.readable().into(), id: key.id() }
    }
}

impl Keyed for KeyCopy {
    fn readable(&self) -> Cow<'_, str> {
        Cow::Borrowed(&self.text)
    }

    fn id(&self) -> u64 {
        self.id
    }
}

/// One thing that happened in a cache, for an [`Observer`](crate::Observer).
///
/// ```
/// # use hybridcache_runtime as hybridcache;
/// use hybridcache::{Event, EventKind, Observer};
///
/// struct SlowLoads;
///
/// impl Observer for SlowLoads {
///     fn event(&self, event: &Event<'_>) {
///         if let EventKind::Loaded { took, .. } = event.kind() && took.as_secs() >= 1 {
///             eprintln!("{} took {took:?}", event.function().unwrap_or_default());
///         }
///     }
/// }
/// ```
#[derive(Clone, Copy)]
pub struct Event<'a> {
    pub(super) kind: EventKind<'a>,
    pub(super) namespace: &'a str,
    pub(super) function: Option<&'a str>,
    pub(super) key: Option<&'a dyn Keyed>,
}

impl<'a> Event<'a> {
    /// What happened.
    pub fn kind(&self) -> EventKind<'a> {
        self.kind
    }

    /// The namespace of the cache.
    pub fn namespace(&self) -> &'a str {
        self.namespace
    }

    /// The name of the function, as in [`HybridCache::function_names`](crate::HybridCache::function_names). `None`: it concerns the whole
    /// cache.
    pub fn function(&self) -> Option<&'a str> {
        self.function
    }

    /// The readable key, as [`PlainEntry::key`](crate::PlainEntry::key) gives it. It is made at each call: a key may contain personal data,
    /// so ask for it only where it is needed. `None`: it concerns no single key.
    pub fn key(&self) -> Option<Cow<'a, str>> {
        self.key.map(Keyed::readable)
    }
}

/// The key is left out: what prints events prints no keys.
impl fmt::Debug for Event<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Event").field("kind", &self.kind).field("function", &self.function).finish_non_exhaustive()
    }
}

/// What happened.
///
/// A call has exactly one outcome: `Hit`, `Miss`, `Joined` or `Bypassed`. The other kinds are steps of the work behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EventKind<'a> {
    /// A call was answered from the cache. A hit in memory is an event only with
    /// [`Builder::observe_hits`](crate::Builder::observe_hits).
    Hit {
        /// Where the value was.
        tier: Tier,
        /// Whether it was past its `fresh_for`.
        stale: bool,
    },
    /// A call found nothing, and loads.
    Miss,
    /// A call waits for a load that was already running in this process.
    Joined,
    /// A call loads without a look into the cache: in [`bypass`](crate::bypass()) or [`refresh`](crate::refresh()), or in a load of its own
    /// key.
    Bypassed,
    /// A call that had joined a load stopped waiting for it.
    Waited {
        /// How long it waited.
        took: Duration,
    },
    /// A background refresh begins.
    Refreshing,
    /// A load begins.
    Loading,
    /// A load has ended.
    Loaded {
        /// How it ended.
        result: LoadResult,
        /// How long the function's body ran.
        took: Duration,
    },
    /// A loaded value of this many bytes was stored: as `weigh` says, else its encoded length, else its size on the stack.
    Stored {
        /// The bytes.
        bytes: usize,
    },
    /// The result of a load was not stored: the key had been invalidated, or taken over, meanwhile.
    Fenced,
    /// A load begins without a lease where there is a shared tier.
    Degraded,
    /// An entry in memory was compared with the shared tier, after a gap in the messages, and is unchanged.
    Revalidated,
    /// An entry of the shared tier was decrypted with another key than the primary one.
    OpenedWithOldKey,
    /// An entry of the shared tier cannot be read: the call goes on as if it were absent.
    Undecodable,
    /// A value stays in memory only.
    Unsendable {
        /// Why.
        reason: UnsendableReason,
    },
    /// The shared tier failed, or was not asked because the breaker is open; the call goes on without it.
    SharedFailed,
    /// Memory gave an entry up.
    Evicted {
        /// Why.
        cause: EvictionCause,
    },
    /// This process invalidated something.
    Invalidated {
        /// What, and how.
        kind: InvalidationKind,
    },
    /// Another process invalidated something.
    InvalidationReceived,
    /// A new stream of messages begins: entries in memory from before are compared with the shared tier before they are served.
    EpochBegan,
    /// A step of the shared tier has ended.
    SharedStep {
        /// What was asked.
        operation: Operation,
        /// How it ended.
        result: StepResult,
        /// How long it took.
        took: Duration,
    },
    /// A warning was logged.
    Warned {
        /// Its kind: the same as [`Warning::kind`](crate::Warning::kind).
        kind: &'static str,
        /// The text.
        message: &'a str,
    },
}

/// Where a value was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Tier {
    /// This process.
    Memory,
    /// The tier that all processes share.
    Shared,
}

/// How a load ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LoadResult {
    /// With a value.
    Ok,
    /// With a value that it does not want to be stored.
    NotStored,
    /// With an error.
    Error,
    /// It exceeded its `timeout`.
    Timeout,
    /// It panicked.
    Panic,
}

/// Why memory gave an entry up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EvictionCause {
    /// Memory was full.
    Size,
    /// The entry's lifetime had ended.
    Expired,
    /// The process was short of memory.
    Pressure,
}

/// What this process invalidated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum InvalidationKind {
    /// One entry, by `invalidate`.
    Entry,
    /// One entry, by `expire`: it is stale.
    Expire,
    /// One entry, by `put`: there is another value.
    Put,
    /// All entries that carry a tag.
    Tag,
    /// All entries of a function.
    Function,
    /// All entries of the namespace.
    All,
}

/// Why a value stays in memory only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum UnsendableReason {
    /// Its encoding is longer than [`Builder::value_limit`](crate::Builder::value_limit).
    TooLarge,
    /// It cannot be encoded.
    Unencodable,
    /// Decoding its encoding would give another value, or none.
    Changed,
}

labels!(Tier { Memory = "memory", Shared = "shared" });
impl Tier {
    /// As a part of a sentence.
    #[cfg(feature = "inspector")]
    pub(super) fn place(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Shared => "the shared tier",
        }
    }
}

labels!(LoadResult { Ok = "ok", NotStored = "not_stored", Error = "error", Timeout = "timeout", Panic = "panic" });
labels!(EvictionCause { Size = "size", Expired = "expired", Pressure = "pressure" });
labels!(InvalidationKind {
    Entry = "entry",
    Expire = "expire",
    Put = "put",
    Tag = "tag",
    Function = "function",
    All = "all",
});
labels!(UnsendableReason { TooLarge = "too_large", Unencodable = "unencodable", Changed = "changed" });
