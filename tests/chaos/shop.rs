//! The cached functions of one process. What a load gives is the version that the database had when it began: a value grows
//! old while it is loaded.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use std::time::Duration;

use hybridcache::{CacheEntry, HybridCache, LoadError, hybrid_cached};
use serde::{Deserialize, Serialize};
use tokio::time::sleep;

use crate::database::Database;
use crate::history::{Function, How, Key, LoadEnd, Micros, Origin, SECOND};
use crate::log::Log;

#[derive(Clone, Debug)]
pub(crate) struct Shop {
    /// The process's.
    pub(crate) number: usize,
    pub(crate) cache: HybridCache,
    pub(crate) database: Database,
    pub(crate) log: Log,
    /// Calls that were begun.
    pub(crate) calls: Arc<AtomicU64>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Item {
    pub(crate) key: Key,
    pub(crate) version: u64,
    pub(crate) origin: Origin,
}

#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("load {0} failed")]
    Database(u64),
    #[error(transparent)]
    Load(#[from] LoadError),
}

type Called = Result<Item, Failure>;

/// What the attributes below say, for the checker.
impl Function {
    pub(crate) fn ttl(self) -> Micros {
        match self {
            Self::Brief => 800_000,
            Self::Lasting | Self::Tagged => 30 * SECOND,
            Self::Patient => 20 * SECOND,
        }
    }

    pub(crate) fn fresh_for(self) -> Micros {
        match self {
            Self::Brief => 500_000,
            Self::Tagged => 10 * SECOND,
            Self::Lasting | Self::Patient => self.ttl(),
        }
    }

    pub(crate) fn timeout(self) -> Option<Micros> {
        match self {
            Self::Brief | Self::Lasting => Some(2 * SECOND),
            Self::Tagged => Some(5 * SECOND),
            Self::Patient => None,
        }
    }
}

impl Shop {
    #[hybrid_cached(name = "brief", timeout = 2s, fresh_for = 500ms, ttl = 800ms, key = "{id}", skip(self), cache = self.cache)]
    async fn brief(&self, id: u64, how: How) -> Called {
        self.load(Key { function: Function::Brief, id }, how).await
    }

    #[hybrid_cached(name = "lasting", timeout = 2s, ttl = 30s, key = "{id}", skip(self), cache = self.cache)]
    async fn lasting(&self, id: u64, how: How) -> Called {
        self.load(Key { function: Function::Lasting, id }, how).await
    }

    #[hybrid_cached(
        name = "tagged", timeout = 5s, fresh_for = 10s, ttl = 30s, key = "{id}", skip(self), tags = ["shelf:{shelf}"],
        cache = self.cache
    )]
    async fn tagged(&self, shelf: u64, id: u64, how: How) -> Called {
        debug_assert_eq!(shelf, Key { function: Function::Tagged, id }.shelf());
        self.load(Key { function: Function::Tagged, id }, how).await
    }

    #[hybrid_cached(name = "patient", ttl = 20s, key = "{id}", skip(self), cache = self.cache)]
    async fn patient(&self, id: u64, how: How) -> Called {
        self.load(Key { function: Function::Patient, id }, how).await
    }

    pub(crate) async fn call(&self, key: Key, how: How) -> Called {
        self.calls.fetch_add(1, SeqCst);
        match key.function {
            Function::Brief => self.brief(key.id, how).await,
            Function::Lasting => self.lasting(key.id, how).await,
            Function::Tagged => self.tagged(key.shelf(), key.id, how).await,
            Function::Patient => self.patient(key.id, how).await,
        }
    }

    pub(crate) fn entry(&self, key: Key) -> CacheEntry<Called> {
        match key.function {
            Function::Brief => self.brief_entry(key.id),
            Function::Lasting => self.lasting_entry(key.id),
            Function::Tagged => self.tagged_entry(key.shelf(), key.id),
            Function::Patient => self.patient_entry(key.id),
        }
    }

    async fn load(&self, key: Key, how: How) -> Called {
        let loading = self.log.load(key, how);
        let version = self.database.version(key).await;
        sleep(takes(key.function)).await;
        match fastrand::u32(..1000) {
            0..25 => {
                let number = loading.number;
                loading.end(LoadEnd::Failed);
                Err(Failure::Database(number))
            }
            25..30 => {
                loading.end(LoadEnd::Panicked);
                // The hook would print it.
                std::panic::resume_unwind(Box::new("as a load may"))
            }
            _ => {
                let origin = Origin::Load(self.number, loading.number);
                loading.end(LoadEnd::Gave(version));
                Ok(Item { key, version, origin })
            }
        }
    }
}

/// How long a load takes: often a moment, seldom longer than a lease or a timeout.
fn takes(function: Function) -> Duration {
    let (least, most) = match fastrand::u32(..1000) {
        0..700 => (1, 15),
        700..900 => (15, 150),
        900.. if function == Function::Patient => (3200, 4500),
        900..985 => (150, 800),
        985..996 => (800, 1500),
        _ => (1500, 2500),
    };
    Duration::from_millis(fastrand::u64(least..=most))
}
