//! The cached functions. A shop is one process's cache, or one of several in this process, and the database behind it.

use std::sync::Arc;

use hybridcache::{CacheEntry, HybridCache, LoadError, NoCache, hybrid_cached};

use crate::database::{Database, Item, OutOfStock};

#[derive(Clone, Debug)]
pub(crate) struct Shop {
    pub(crate) cache: HybridCache,
    pub(crate) database: Database,
}

/// An error that everybody who joined gets a clone of.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error(transparent)]
    OutOfStock(#[from] OutOfStock),
    #[error(transparent)]
    Load(#[from] LoadError),
}

/// An error that only one caller can have.
#[derive(Debug)]
pub(crate) struct Unshared;

impl Shop {
    /// The load of the cached functions.
    pub(crate) async fn load(&self, id: u64) -> Result<Item, Failure> {
        Ok(self.database.load(id).await?)
    }

    #[hybrid_cached(name = "item", fresh_for = 1h, ttl = 2h, key = "{id}", skip(self), cache = self.cache)]
    pub(crate) async fn item(&self, id: u64) -> Result<Item, Failure> {
        self.load(id).await
    }

    /// Soon stale.
    #[hybrid_cached(name = "brief", fresh_for = 400ms, ttl = 2h, key = "{id}", skip(self), cache = self.cache)]
    pub(crate) async fn brief(&self, id: u64) -> Result<Item, Failure> {
        self.load(id).await
    }

    #[hybrid_cached(name = "offer", ttl = 2h, key = "{id}", tags = ["shelf:{shelf}"], skip(self), cache = self.cache)]
    pub(crate) async fn offer(&self, shelf: u64, id: u64) -> Result<Item, Failure> {
        let _ = shelf;
        self.load(id).await
    }

    #[hybrid_cached(name = "timed", timeout = 1s, ttl = 2h, key = "{id}", skip(self), cache = self.cache)]
    pub(crate) async fn timed(&self, id: u64) -> Result<Item, Failure> {
        self.load(id).await
    }

    /// The same entries, without the deadline.
    #[hybrid_cached(name = "timed", ttl = 2h, key = "{id}", skip(self), cache = self.cache)]
    pub(crate) async fn patient(&self, id: u64) -> Result<Item, Failure> {
        self.load(id).await
    }

    /// The first version of an item is not stored.
    #[hybrid_cached(name = "draft", ttl = 2h, key = "{id}", skip(self), cache = self.cache)]
    pub(crate) async fn draft(&self, id: u64) -> Result<Item, Failure> {
        let item = self.load(id).await?;
        if item.version == 0 {
            return Err(NoCache(item));
        }
        Ok(item)
    }

    /// The error is shared without being cloned.
    #[hybrid_cached(name = "opaque", ttl = 2h, key = "{id}", skip(self), cache = self.cache)]
    pub(crate) async fn opaque(&self, id: u64) -> anyhow::Result<Item> {
        Ok(self.load(id).await?)
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

/// Versions of one function, as they run beside each other during a deploy.
impl Shop {
    #[hybrid_cached(name = "price", version = 1, ttl = 2h, key = "{id}", skip(self), cache = self.cache)]
    async fn price_1(&self, id: u64) -> Result<Item, Failure> {
        self.load(id).await
    }

    #[hybrid_cached(name = "price", version = 2, ttl = 2h, key = "{id}", skip(self), cache = self.cache)]
    async fn price_2(&self, id: u64) -> Result<Item, Failure> {
        self.load(id).await
    }

    #[hybrid_cached(name = "price", version = 9, ttl = 2h, key = "{id}", skip(self), cache = self.cache)]
    async fn price_9(&self, id: u64) -> Result<Item, Failure> {
        self.load(id).await
    }

    #[hybrid_cached(name = "price", version = 20_261_130, ttl = 2h, key = "{id}", skip(self), cache = self.cache)]
    async fn price_date(&self, id: u64) -> Result<Item, Failure> {
        self.load(id).await
    }

    pub(crate) async fn price(&self, version: u64, id: u64) -> Result<Item, Failure> {
        match version {
            1 => self.price_1(id).await,
            2 => self.price_2(id).await,
            9 => self.price_9(id).await,
            _ => self.price_date(id).await,
        }
    }

    pub(crate) fn price_handle(&self, version: u64, id: u64) -> CacheEntry<Result<Item, Failure>> {
        match version {
            1 => self.price_1_entry(id),
            2 => self.price_2_entry(id),
            9 => self.price_9_entry(id),
            _ => self.price_date_entry(id),
        }
    }
}
