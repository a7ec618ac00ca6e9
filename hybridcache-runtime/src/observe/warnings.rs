//! The warnings of a cache, kept for those who have no log at hand.

use std::sync::Mutex;
use std::time::SystemTime;

use crate::primitives::sync::LockExt as _;

/// How many kinds are kept.
const KINDS: usize = 64;

/// The longest message that is kept, in bytes.
const LONGEST: usize = 1 << 10;

/// A warning that the cache has logged: [`HybridCache::warnings`](crate::HybridCache::warnings).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Warning {
    /// When it was due for the last time.
    pub at: SystemTime,
    /// What it is about: `redis_down`, `value_too_large`, .. A warning about a function is counted for each function.
    pub kind: &'static str,
    /// The latest message of this kind.
    pub message: String,
    /// How often it was due. The log has it less often: what may go on for hours is logged once a minute.
    pub times: u64,
}

/// The latest kinds of warnings, the latest one last.
#[derive(Debug, Default)]
pub(crate) struct Warnings {
    kept: Mutex<Vec<(Option<Box<str>>, Warning)>>,
}

impl Warnings {
    /// `function`: the function that the warning is about.
    pub(super) fn note(&self, kind: &'static str, function: Option<&str>, message: &str) {
        let mut kept = self.kept.lock_unpoisoned();
        let place = kept.iter().position(|(about, warning)| warning.kind == kind && about.as_deref() == function);
        let times = match place {
            Some(place) => kept.remove(place).1.times,
            None => 0,
        };
        if kept.len() == KINDS {
            kept.remove(0);
        }
        let end =
            message.char_indices().map(|(at, char)| at + char.len_utf8()).take_while(|end| *end <= LONGEST).last();
        let message = message[..end.unwrap_or(0)].to_owned();
        kept.push((function.map(Box::from), Warning { at: SystemTime::now(), kind, message, times: times + 1 }));
    }

    pub(crate) fn all(&self) -> Vec<Warning> {
        self.kept.lock_unpoisoned().iter().map(|(_, warning)| warning.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Killed by: a place for each message; forgetting the latest kind, or one that was due again; no bound.
    #[test]
    fn the_latest_kinds_are_kept_with_their_latest_message() {
        let warnings = Warnings::default();
        warnings.note("first", None, "one");
        for nth in 0..KINDS - 1 {
            warnings.note("of a function", Some(&nth.to_string()), "two");
        }
        warnings.note("first", None, "again");
        warnings.note("last", None, &"ä".repeat(LONGEST));
        let all = warnings.all();
        assert_eq!(all.len(), KINDS);
        let [.., again, last] = all.as_slice() else { panic!("there are {KINDS}") };
        assert_eq!((again.kind, &*again.message, again.times), ("first", "again", 2));
        assert_eq!((last.kind, last.message.len(), last.times), ("last", LONGEST, 1));
    }
}
