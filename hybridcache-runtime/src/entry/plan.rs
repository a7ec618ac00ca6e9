//! The settings of one call for the engine: lifetimes, timeout, tags and the type of its values.

use std::any::TypeId;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::entry::Entry;
use crate::entry::amendment::Amendment;
use crate::entry::freshness::{Freshness, Life};
use crate::entry::lifetimes::Lifetimes;
use crate::entry::value_type::{AnyValue, ValueType};
use crate::key::KeyBuf;

/// How many bytes a value takes in memory.
pub(crate) type Weigh = Arc<dyn Fn(&AnyValue) -> usize + Send + Sync>;

/// Whether one call accepts an entry that was found.
pub(crate) type Judge = Arc<dyn Fn(&Arc<Entry>) -> bool + Send + Sync>;

/// The settings of one call, with the types erased, for the engine.
#[derive(Clone)]
pub(crate) struct Plan {
    pub(crate) lifetimes: Lifetimes,
    pub(crate) freshness: Freshness,
    pub(crate) timeout: Option<Duration>,
    pub(crate) tags: Vec<KeyBuf>,
    pub(crate) value: &'static ValueType,
    pub(crate) error_type: TypeId,
    /// The lifetimes of one value, where the value itself determines them.
    pub(crate) times: Option<fn(&AnyValue) -> Lifetimes>,
    /// An entry that it rejects is loaded again. Without a judge every fresh or stale entry is accepted.
    pub(crate) judge: Option<Judge>,
    pub(crate) weigh: Option<Weigh>,
    /// How long the shared tier keeps a value at first, if that differs from the value's lifetime.
    pub(crate) trial: Option<fn(&AnyValue) -> Option<Duration>>,
    /// The function's own limit of the encoded length: `max_value`.
    pub(crate) max_value: Option<usize>,
    /// Whether values are compressed where the cache compresses: all but `compress = false`.
    pub(crate) compresses: bool,
}

impl Plan {
    /// The plan of a function without options.
    pub(crate) fn new(value: &'static ValueType, lifetimes: Lifetimes, error_type: TypeId) -> Self {
        Self {
            lifetimes,
            freshness: Freshness::default(),
            timeout: None,
            tags: Vec::new(),
            value,
            error_type,
            times: None,
            judge: None,
            weigh: None,
            trial: None,
            max_value: None,
            compresses: true,
        }
    }

    /// The life of a value that was loaded just now. `None`: it is not stored.
    pub(crate) fn life(&self, value: &AnyValue, amendment: &Amendment, took: Duration) -> Option<Life> {
        if amendment.no_cache || took < self.freshness.min_cost {
            return None;
        }
        let lifetimes = self.freshness.jittered(amendment.apply(self.lifetimes_of(value)));
        stored(Life { lifetimes, is_amended: amendment.has_fresh_for(), took })
    }

    /// The life of a value that a put stores. `None`: it is not stored.
    pub(crate) fn life_of_put(&self, value: &AnyValue) -> Option<Life> {
        let lifetimes = self.freshness.jittered(self.lifetimes_of(value));
        stored(Life { lifetimes, is_amended: false, took: Duration::ZERO })
    }

    /// The longest lifetimes that a value can have, unless its load says otherwise.
    pub(crate) fn lifetimes_of(&self, value: &AnyValue) -> Lifetimes {
        let lifetimes = self.times.map_or(self.lifetimes, |times| times(value));
        self.freshness.of_none(value, lifetimes)
    }

    /// How long the shared tier shall keep a value.
    pub(crate) fn shared_for(&self, value: &AnyValue, life: Life) -> Duration {
        let ttl = life.ttl();
        self.trial.and_then(|trial| trial(value)).map_or(ttl, |trial| trial.min(ttl))
    }

    /// The greatest length of an encoded value, where the cache has this one.
    pub(crate) fn value_limit(&self, of_the_cache: usize) -> usize {
        self.max_value.map_or(of_the_cache, |limit| limit.min(of_the_cache))
    }

    /// Whether the entry has the type of this call's value. Two functions that share an explicit name could differ.
    pub(crate) fn has_type_of(&self, entry: &Entry) -> bool {
        entry.value.type_id() == self.value.value_type()
    }

    pub(crate) fn accepts(&self, entry: &Arc<Entry>) -> bool {
        self.judge.as_ref().is_none_or(|judge| judge(entry))
    }

    /// The weight of a value in bytes: as the user's `weigh` says, else its encoded length, or its size and that of the
    /// text or bytes that it owns, if that is more.
    pub(crate) fn weigh(&self, value: &AnyValue, encoded: Option<usize>) -> usize {
        match &self.weigh {
            Some(weigh) => weigh(value),
            None => encoded.unwrap_or(0).max(self.value.size() + self.value.least(value)),
        }
    }
}

/// The weight of values of one type.
pub(crate) fn weight_by<V: 'static>(weigh: impl Fn(&V) -> usize + Send + Sync + 'static) -> Weigh {
    Arc::new(move |value| value.downcast_ref().map_or(size_of::<V>(), &weigh))
}

fn stored(life: Life) -> Option<Life> {
    (life.lifetimes != Lifetimes::NOTHING).then_some(life)
}

impl fmt::Debug for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plan")
            .field("lifetimes", &self.lifetimes)
            .field("timeout", &self.timeout)
            .field("tags", &self.tags)
            .finish_non_exhaustive()
    }
}
