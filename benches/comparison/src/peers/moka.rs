//! `moka`: a map; what an attribute would add is not counted.

use std::sync::Arc;

use moka::{future, sync};

use super::TTL;
use crate::values::{User, slow_user};

pub(crate) fn sync_cache(entries: usize) -> sync::Cache<u64, Arc<User>> {
    sync::Cache::builder().max_capacity(entries as u64).build()
}

pub(crate) fn future_cache(entries: usize) -> future::Cache<u64, Arc<User>> {
    future::Cache::builder().max_capacity(entries as u64).time_to_live(TTL).build()
}

pub(crate) async fn loaded_slowly(cache: &future::Cache<u64, Arc<User>>, id: u64) -> Arc<User> {
    cache.get_with(id, async { Arc::new(slow_user(id).await) }).await
}
