//! What is cached: the same for all.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use hitbox_fn::CacheableResponse;
use serde::{Deserialize, Serialize};
use tokio::time::sleep;

/// How often something was loaded: a measurement of hits holds nothing else.
pub(crate) static LOADS: AtomicU64 = AtomicU64::new(0);

/// In nanoseconds, by the loads' own clocks: a sleep takes longer than it was asked to.
pub(crate) static LONGEST_LOAD: AtomicU64 = AtomicU64::new(0);

/// Of the loads that take a while.
pub(crate) const LOAD: Duration = Duration::from_millis(5);

/// Small: it stands behind an `Arc`.
#[derive(Clone, Debug, Serialize, Deserialize, CacheableResponse)]
pub(crate) struct User {
    pub(crate) id: u64,
    score: u64,
    level: u32,
    is_active: bool,
}

/// 1 KB of MessagePack.
#[derive(Clone, Debug, Serialize, Deserialize, CacheableResponse)]
pub(crate) struct Item {
    pub(crate) id: u64,
    title: String,
    text: String,
    tags: Vec<String>,
    prices: Vec<u32>,
}

pub(crate) fn user(id: u64) -> User {
    LOADS.fetch_add(1, Ordering::Relaxed);
    User { id, score: id.wrapping_mul(31), level: id as u32 % 100, is_active: id.is_multiple_of(2) }
}

pub(crate) fn shared_user(id: u64) -> Arc<User> {
    Arc::new(user(id))
}

pub(crate) fn item(id: u64) -> Item {
    LOADS.fetch_add(1, Ordering::Relaxed);
    Item {
        id,
        title: format!("item number {id:010}"),
        text: "some thirty bytes of such text. ".repeat(24),
        tags: ["red", "green", "blue", "large", "small"].map(str::to_owned).to_vec(),
        prices: (0..24).map(|step| 100_000 + step * 1_000).collect(),
    }
}

pub(crate) async fn slow_user(id: u64) -> User {
    take_a_while().await;
    user(id)
}

pub(crate) async fn slow_item(id: u64) -> Item {
    take_a_while().await;
    item(id)
}

async fn take_a_while() {
    let begun = Instant::now();
    sleep(LOAD).await;
    LONGEST_LOAD.fetch_max(begun.elapsed().as_nanos() as u64, Ordering::Relaxed);
}
