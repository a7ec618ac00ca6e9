//! What users would write over plain `redis`, without any of these crates, or with `moka` in front of it.

use moka::future::Cache;
use redis::aio::MultiplexedConnection;
use redis::{AsyncCommands, Client, SetExpiry, SetOptions};

use super::TTL;
use crate::values::{Item, item};

pub(crate) async fn connect(url: &str) -> MultiplexedConnection {
    Client::open(url).unwrap().get_multiplexed_async_connection().await.unwrap()
}

/// `GET`, and what it costs to decode.
pub(crate) async fn get(mut connection: MultiplexedConnection, id: u64) -> Option<Item> {
    let found: Option<Vec<u8>> = connection.get(key(id)).await.unwrap();
    found.map(|bytes| rmp_serde::from_slice(&bytes).unwrap())
}

/// `SET` with `PX`.
pub(crate) async fn set(mut connection: MultiplexedConnection, item: &Item) {
    let bytes = rmp_serde::to_vec_named(item).unwrap();
    let options = SetOptions::default().with_expiration(SetExpiry::PX(TTL.as_millis() as u64));
    let () = connection.set_options(key(item.id), bytes, options).await.unwrap();
}

pub(crate) async fn get_or_load(connection: MultiplexedConnection, id: u64) -> Item {
    if let Some(item) = get(connection.clone(), id).await {
        return item;
    }
    let item = item(id);
    set(connection, &item).await;
    item
}

/// `moka` in front of Redis, which what is read there or loaded fills.
pub(crate) async fn get_or_load_through(
    (memory, connection): (Cache<u64, Item>, MultiplexedConnection),
    id: u64,
) -> Item {
    if let Some(item) = memory.get(&id).await {
        return item;
    }
    let item = get_or_load(connection, id).await;
    memory.insert(id, item.clone()).await;
    item
}

pub(crate) fn memory(entries: usize) -> Cache<u64, Item> {
    Cache::builder().max_capacity(entries as u64).time_to_live(TTL).build()
}

fn key(id: u64) -> String {
    format!("by-hand:{id}")
}
