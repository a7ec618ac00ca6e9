//! The cached functions. A shop is one process's cache, or one of several in this process, and the database behind it.

use std::sync::Arc;

use hybridcache::{HybridCache, LoadError, NoCache, hybrid_cached};

use crate::database::{Database, Item};

#[derive(Clone, Debug)]
pub(crate) struct Shop {
    pub(crate) cache: HybridCache,
    pub(crate) database: Database,
}

/// An error that everybody who joined gets a clone of.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("out of stock")]
    OutOfStock,
    #[error(transparent)]
    Load(#[from] LoadError),
}

/// An error that only one caller can have.
#[derive(Debug)]
pub(crate) struct Unshared;

impl Shop {
    #[hybrid_cached(name = "item", fresh_for = 1h, ttl = 2h, key = "{id}", skip(self), cache = self.cache)]
    pub(crate) async fn item(&self, id: u64) -> Result<Item, Failure> {
        self.database.load(id).await
    }

    /// Soon stale.
    #[hybrid_cached(name = "brief", fresh_for = 400ms, ttl = 2h, key = "{id}", skip(self), cache = self.cache)]
    pub(crate) async fn brief(&self, id: u64) -> Result<Item, Failure> {
        self.database.load(id).await
    }

    #[hybrid_cached(name = "offer", ttl = 2h, key = "{id}", tags = ["shelf:{shelf}"], skip(self), cache = self.cache)]
    pub(crate) async fn offer(&self, shelf: u64, id: u64) -> Result<Item, Failure> {
        let _ = shelf;
        self.database.load(id).await
    }

    #[hybrid_cached(name = "timed", timeout = 1s, ttl = 2h, key = "{id}", skip(self), cache = self.cache)]
    pub(crate) async fn timed(&self, id: u64) -> Result<Item, Failure> {
        self.database.load(id).await
    }

    /// The same entries, without the deadline.
    #[hybrid_cached(name = "timed", ttl = 2h, key = "{id}", skip(self), cache = self.cache)]
    pub(crate) async fn patient(&self, id: u64) -> Result<Item, Failure> {
        self.database.load(id).await
    }

    /// The first version of an item is not stored.
    #[hybrid_cached(name = "draft", ttl = 2h, key = "{id}", skip(self), cache = self.cache)]
    pub(crate) async fn draft(&self, id: u64) -> Result<Item, Failure> {
        let item = self.database.load(id).await?;
        if item.version == 0 {
            return Err(NoCache(item));
        }
        Ok(item)
    }

    /// The error is shared without being cloned.
    #[hybrid_cached(name = "opaque", ttl = 2h, key = "{id}", skip(self), cache = self.cache)]
    pub(crate) async fn opaque(&self, id: u64) -> anyhow::Result<Item> {
        Ok(self.database.load(id).await?)
    }

    #[hybrid_cached(name = "unshared", ttl = 2h, key = "{id}", skip(self), cache = self.cache)]
    pub(crate) async fn unshared(&self, id: u64) -> Result<Item, Unshared> {
        self.database.load(id).await.map_err(|_| Unshared)
    }

    /// As long as the item's version says.
    #[hybrid_cached(name = "text", ttl = 2h, key = "{id}", skip(self), cache = self.cache)]
    pub(crate) async fn text(&self, id: u64) -> String {
        let item = self.database.load(id).await.unwrap();
        "x".repeat(item.version as usize)
    }

    #[hybrid_cached(name = "shared", ttl = 2h, key = "{id}", skip(self), cache = self.cache)]
    pub(crate) async fn shared(&self, id: u64) -> Arc<Item> {
        Arc::new(self.database.load(id).await.unwrap())
    }
}
