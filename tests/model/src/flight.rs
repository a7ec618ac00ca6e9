//! One flight: `hybridcache-runtime/src/flight/mod.rs` and the task in `engine/run.rs`.

use crate::floor::Due;
use crate::process::{Held, Seen};
use crate::redis::{Acquired, Editions, Stored, Token, Wake};

/// One flight of a process.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Flight {
    /// Whether it can be joined and may store.
    pub attached: bool,
    /// The stamp as it stood when the flight was started.
    pub seen: Seen,
    /// The epoch as it stood when the flight's task began.
    pub epoch: u8,
    pub phase: Phase,
    /// What memory held from before a gap when the flight's task began.
    pub suspect: Option<Held>,
    /// Redis said that the suspect is not good.
    pub disowned: bool,
    /// The token with which it asks for the lease; zero before it does.
    pub token: Token,
    /// What has come of that.
    pub attempt: Attempt,
    /// Whether a wake-up finds it, and which has.
    pub registered: bool,
    pub wake: Option<Wake>,
    /// The lease it waits for ended without a message. The waiter's timer will tell.
    pub lapsed: bool,
    /// What others load is not stored: it waits for nobody.
    pub in_vain: bool,
    /// Who started it; nobody waits for the refresh of a stale entry.
    pub leader: Option<Due>,
    /// One who joined. (More than one are as many flights' worth of states, and nothing new.)
    pub joiner: Option<Joiner>,
}

/// One who joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Joiner {
    /// After the load had begun.
    pub late: bool,
    /// After Redis had stored its result.
    pub after_publish: bool,
    pub due: Due,
}

/// How far a flight is. What is asked is answered with what stood when the server executed it, later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// It is known to messages; its task has not begun.
    Starting,
    /// `GET`, or for a suspect `GETRANGE`, was sent.
    Asking(Question),
    Told {
        question: Question,
        entry: Option<Stored>,
        stamp: (u8, Editions),
    },
    /// `SET NX` was sent, and the read of the entry behind it.
    Taking(Take),
    /// The server has executed the first of the two.
    HalfTaken {
        take: Take,
        granted: Option<u8>,
        /// [`Mutant::ReadsBeforeTaking`](crate::Mutant::ReadsBeforeTaking): it was the read.
        entry: Option<Stored>,
        stamp: Option<(u8, Editions)>,
    },
    Taken {
        take: Take,
        granted: Option<u8>,
        entry: Option<Stored>,
        stamp: Option<(u8, Editions)>,
    },
    /// Another process has the lease: `acquire` was sent, with the fence that was seen.
    Acquiring {
        seen: Token,
    },
    Answered {
        seen: Token,
        answer: Acquired,
    },
    Waiting {
        seen: Token,
    },
    /// `lease`: the generation in which it was granted.
    Loading {
        version: u8,
        lease: Option<u8>,
    },
    Publishing {
        version: u8,
        lease: u8,
    },
    Published {
        version: u8,
        stored: bool,
    },
}

/// A request for the lease by plain commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Take {
    /// The fence of the entry that was read before. Where a miss is expected nothing was: the read behind the request is the
    /// first one.
    pub seen: Option<Token>,
    pub creates_stamp: bool,
    /// The breaker's state when it was sent.
    pub breaker: u8,
}

/// What has come of a request for the lease.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Attempt {
    #[default]
    None,
    /// Another process has it.
    Refused,
    /// In which generation.
    Granted(u8),
}

/// What a flight asks Redis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Question {
    /// Whether it reads the stamp's number too.
    pub stamp: bool,
    /// Only whether the suspect is good: its fence, mark and number.
    pub head: bool,
    /// The breaker's state when it was asked.
    pub breaker: u8,
}

impl Flight {
    pub(crate) fn new(seen: Seen, leader: Option<Due>) -> Self {
        Self {
            attached: true,
            seen,
            epoch: 0,
            phase: Phase::Starting,
            suspect: None,
            disowned: false,
            token: 0,
            attempt: Attempt::None,
            registered: false,
            wake: None,
            lapsed: false,
            in_vain: false,
            leader,
            joiner: None,
        }
    }

    pub(crate) fn is_loading(&self) -> bool {
        matches!(self.phase, Phase::Loading { .. } | Phase::Publishing { .. } | Phase::Published { .. })
    }

    /// Before the answer to what it asked first.
    pub(crate) fn knows_nothing(&self) -> bool {
        matches!(self.phase, Phase::Starting | Phase::Asking(_) | Phase::Told { .. })
    }

    /// The generation of the lease under which it loads.
    pub(crate) fn holds(&self) -> Option<u8> {
        match self.phase {
            Phase::Loading { lease, .. } => lease,
            Phase::Publishing { lease, .. } => Some(lease),
            _ => None,
        }
    }
}
