//! What happened: what each process wrote down of itself, one record a line, and what was done to it.
//!
//! All times are this machine's, in microseconds since 1970: `Instant` cannot be compared between processes. A clock that is
//! set during a run makes its history worthless.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// Microseconds since 1970, or between two moments.
pub(crate) type Micros = u64;

pub(crate) const SECOND: Micros = 1_000_000;
pub(crate) const MILLISECOND: Micros = 1_000;

pub(crate) fn now() -> Micros {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros() as Micros
}

/// The cached functions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) enum Function {
    /// Fresh for half a second, stale for a third of one.
    Brief,
    /// Fresh for as long as a run may be.
    Lasting,
    /// Carries the tag of its shelf.
    Tagged,
    /// Without a timeout; its loads can outlast a lease.
    Patient,
}

/// One cached entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct Key {
    pub(crate) function: Function,
    pub(crate) id: u64,
}

/// How a cached function is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum How {
    Plainly,
    /// In `hybridcache::refresh`.
    Reload,
    /// In `hybridcache::bypass`.
    Bypass,
    /// `get` of its handle.
    Peek,
}

/// Where a value comes from: the process, and the number of its load or change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) enum Origin {
    Load(usize, u64),
    Put(usize, u64),
}

/// What a call gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Answer {
    Value {
        version: u64,
        origin: Origin,
    },
    /// A peek found nothing.
    Nothing,
    /// The load of that number failed.
    Failed(u64),
    TimedOut,
    Panicked,
    /// The value of another key.
    Foreign(Key),
    /// The caller went away.
    Cancelled,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum LoadEnd {
    Gave(u64),
    Failed,
    Panicked,
    /// At its timeout.
    Dropped,
}

/// What is done to the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Change {
    Invalidate(Key),
    Expire(Key),
    Put(Key),
    Shelf(u64),
    Function(Function),
    Clear,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Told {
    Acknowledged,
    /// It was an error: to be made up for once Redis is back.
    Pending,
    /// Who asked for it did not wait for the outcome: to be made up for, if need be.
    Unheard,
}

/// A process's counters so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Counts {
    pub(crate) at: Micros,
    pub(crate) hits_memory: u64,
    pub(crate) hits_redis: u64,
    pub(crate) stale_hits: u64,
    pub(crate) joined: u64,
    pub(crate) evictions: u64,
    pub(crate) fenced: u64,
    pub(crate) undecodable: u64,
    pub(crate) redis_errors: u64,
    pub(crate) degraded: u64,
    pub(crate) breaker_opened: u64,
    pub(crate) breaker_is_open: bool,
    pub(crate) revalidated: u64,
    /// Of a process that has ended: how many calls it made, and how many outcomes were counted.
    pub(crate) calls_and_outcomes: Option<(u64, u64)>,
}

#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) process: usize,
    pub(crate) key: Key,
    pub(crate) how: How,
    pub(crate) begin: Micros,
    pub(crate) end: Option<(Micros, Answer)>,
}

#[derive(Clone, Debug)]
pub(crate) struct Load {
    pub(crate) process: usize,
    pub(crate) number: u64,
    pub(crate) key: Key,
    pub(crate) how: How,
    pub(crate) begin: Micros,
    pub(crate) end: Option<(Micros, LoadEnd)>,
}

#[derive(Clone, Debug)]
pub(crate) struct Changed {
    pub(crate) process: usize,
    pub(crate) number: u64,
    pub(crate) change: Change,
    pub(crate) written: Vec<(Key, u64)>,
    pub(crate) begin: Micros,
    pub(crate) end: Option<(Micros, Told)>,
}

/// A process, from its start to its end.
#[derive(Clone, Debug, Default)]
pub(crate) struct Process {
    /// The how manieth process it is.
    pub(crate) number: usize,
    /// Its place in the fleet: the next one in it is connected through the same network.
    pub(crate) place: usize,
    /// Whether it trusts its memory for three seconds only, without proof.
    pub(crate) is_strict: bool,
    pub(crate) begin: Micros,
    /// When it was killed, if it was.
    pub(crate) killed: Option<Micros>,
    /// When it came to the end of its log: all its calls were answered.
    pub(crate) ended: Option<Micros>,
    pub(crate) stalls: Vec<Span>,
    pub(crate) counts: Vec<Counts>,
}

/// From when until when.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Span {
    pub(crate) begin: Micros,
    pub(crate) end: Micros,
}

/// Something that was done to the fleet.
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    pub(crate) what: Harm,
    /// `None`: everybody's.
    pub(crate) place: Option<usize>,
    pub(crate) span: Span,
}

/// What a fault does to those whom it meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Harm {
    /// Messages are late, or lost together with their connection; commands too.
    Deaf,
    /// Everything is a little late, or commands are refused; messages arrive.
    Slow,
    /// The process is stopped.
    Stopped,
    Killed,
    /// Redis forgets everything.
    Lost,
    /// Redis goes back to what it was at the beginning of the span.
    Undone,
    /// Nothing that anybody should notice.
    Harmless,
}

/// One round of the test.
#[derive(Clone, Debug, Default)]
pub(crate) struct History {
    pub(crate) processes: Vec<Process>,
    pub(crate) calls: Vec<Call>,
    pub(crate) loads: Vec<Load>,
    pub(crate) changes: Vec<Changed>,
    pub(crate) faults: Vec<Fault>,
}

impl Function {
    pub(crate) const ALL: [Self; 4] = [Self::Brief, Self::Lasting, Self::Tagged, Self::Patient];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Brief => "brief",
            Self::Lasting => "lasting",
            Self::Tagged => "tagged",
            Self::Patient => "patient",
        }
    }

    pub(crate) fn keys(self) -> u64 {
        match self {
            Self::Brief | Self::Lasting => 10,
            Self::Patient => 6,
            Self::Tagged => 9,
        }
    }
}

pub(crate) const SHELVES: u64 = 3;

impl Key {
    pub(crate) fn shelf(self) -> u64 {
        self.id % SHELVES
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.function.name(), self.id)
    }
}

impl Change {
    /// Whether it is about this key.
    pub(crate) fn covers(self, key: Key) -> bool {
        match self {
            Self::Invalidate(this) | Self::Expire(this) | Self::Put(this) => this == key,
            Self::Shelf(shelf) => key.function == Function::Tagged && key.shelf() == shelf,
            Self::Function(function) => key.function == function,
            Self::Clear => true,
        }
    }
}

impl Span {
    pub(crate) fn meets(self, other: Self) -> bool {
        self.begin <= other.end && other.begin <= self.end
    }

    pub(crate) fn length(self) -> Micros {
        self.end - self.begin
    }
}
