//! Functions whose values may be larger than the server sends.
//!
//! A server that owes a client more than `client-output-buffer-limit normal` allows closes the connection without a word. Every
//! command that is under way fails, the links are replaced, memory is compared with Redis, and the next read of the value ends in
//! the same way. So a function that was being read when connections ended twice in a row is read up to a bound for a while.
//! Small values are read as ever; a large one is refused here, and served from memory and loads.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use redis::Cmd;
use tokio::time::Instant;

use crate::primitives::log_limit::MINUTE;
use crate::shared::wire::names::Address;
use crate::shared::{RemoteError, RemoteErrorKind};

/// Values up to this size are always read.
const BOUND: usize = 64 << 10;

/// How many connections must end while the function is read, one soon after the other.
const ENDINGS: u32 = 2;

/// For how long a function is read up to the bound: a minute, and twice as long each time that its next read ends a
/// connection again.
const LONGEST: Duration = Duration::from_secs(3600);

/// Which functions were being read when connections ended.
#[derive(Debug, Default)]
pub(crate) struct Oversized {
    functions: Mutex<HashMap<String, Suspicion>>,
    /// There are some, or were.
    any: AtomicBool,
}

#[derive(Debug)]
struct Suspicion {
    endings: u32,
    /// When the last links that ended had begun: one end fails many reads.
    links: Instant,
    last: Instant,
    bounded_until: Instant,
}

/// How an entry is read.
pub(crate) struct Reading {
    pub(crate) command: Cmd,
    is_bounded: bool,
}

impl Oversized {
    pub(crate) fn reading(&self, key: &Address) -> Reading {
        let (entry, is_bounded) = (key.entry(), self.is_bounded(key));
        let mut command = Cmd::with_capacity(4, 24 + entry.len());
        if is_bounded {
            command.arg("GETRANGE").arg(entry).arg(0).arg(BOUND - 1);
        } else {
            command.arg("GET").arg(entry);
        }
        Reading { command, is_bounded }
    }

    /// What was read so. `links`: when those began that it was read by; they were good when it was asked.
    pub(crate) fn judge(
        &self,
        key: &Address,
        is_bounded: bool,
        links: Instant,
        answer: Result<Option<Vec<u8>>, RemoteError>,
    ) -> Result<Option<Vec<u8>>, RemoteError> {
        match answer {
            // Of what is not there.
            Ok(Some(bytes)) if is_bounded && bytes.is_empty() => Ok(None),
            Ok(Some(bytes)) if is_bounded && bytes.len() >= BOUND => Err(RemoteError {
                kind: RemoteErrorKind::Refused,
                message: format!(
                    "a value of {} is not read: connections ended while its values were read, and the server may not send \
                     values of this size (client-output-buffer-limit normal)",
                    key.function()
                ),
            }),
            Err(error) if error.kind == RemoteErrorKind::Unavailable => {
                self.note_ending(key, links, Instant::now());
                Err(error)
            }
            answer => answer,
        }
    }

    fn is_bounded(&self, key: &Address) -> bool {
        self.any.load(Ordering::Relaxed)
            && self.functions().get(key.function()).is_some_and(|suspicion| Instant::now() < suspicion.bounded_until)
    }

    fn note_ending(&self, key: &Address, links: Instant, now: Instant) {
        let mut functions = self.functions();
        let first = Suspicion { endings: 0, links, last: now, bounded_until: now };
        let suspicion = functions.entry(key.function().to_owned()).or_insert(first);
        if suspicion.endings > 0 && suspicion.links == links {
            return;
        }
        // A server that restarts now and then is none that closes connections on a read.
        if now > suspicion.last.max(suspicion.bounded_until) + MINUTE {
            suspicion.endings = 0;
        }
        suspicion.endings += 1;
        (suspicion.links, suspicion.last) = (links, now);
        if let Some(times) = suspicion.endings.checked_sub(ENDINGS) {
            suspicion.bounded_until = now + MINUTE.saturating_mul(2_u32.saturating_pow(times)).min(LONGEST);
            self.any.store(true, Ordering::Relaxed);
        }
    }

    fn functions(&self) -> MutexGuard<'_, HashMap<String, Suspicion>> {
        self.functions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reading {
    pub(crate) fn is_bounded(&self) -> bool {
        self.is_bounded
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Killed by: counting each read that fails; counting what happened hours ago; a time that does not grow, or has no end.
    #[tokio::test(start_paused = true)]
    async fn a_function_is_read_up_to_the_bound_when_connections_end_again_and_again() {
        let (oversized, key) = (Oversized::default(), Address::new("test", "f", 0, "1"));
        let ends = || (0..100).for_each(|_| oversized.note_ending(&key, Instant::now(), Instant::now()));
        let bounded = |args| oversized.reading(&Address::new("test", "f", 0, args)).is_bounded();
        for _ in 0..5 {
            ends();
            assert!(!bounded("1"), "once an hour is nothing");
            tokio::time::advance(LONGEST).await;
        }
        ends();
        let mut minutes = 1;
        for _ in 0..10 {
            tokio::time::advance(Duration::from_secs(1)).await;
            ends();
            assert!(bounded("1") && bounded("2"));
            assert!(!oversized.reading(&Address::new("test", "g", 0, "1")).is_bounded());
            tokio::time::advance(MINUTE * minutes).await;
            assert!(!bounded("1"), "it is tried again after {minutes} minutes");
            minutes = (2 * minutes).min(60);
        }
    }
}
