//! `quick_cache`: a map; it has no lifetimes, so a user would have to add them.

use std::convert::Infallible;
use std::sync::Arc;

use quick_cache::sync::Cache;

use crate::values::{User, slow_user};

pub(crate) fn cache(entries: usize) -> Cache<u64, Arc<User>> {
    Cache::new(entries)
}

pub(crate) async fn loaded_slowly(cache: &Cache<u64, Arc<User>>, id: u64) -> Arc<User> {
    let load = async { Ok::<_, Infallible>(Arc::new(slow_user(id).await)) };
    let Ok(user) = cache.get_or_insert_async(&id, load).await;
    user
}
