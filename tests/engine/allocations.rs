//! What a hit allocates: nothing.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Waker};

use allocation_counter::measure;
use hybridcache::hybrid_cached;

use crate::world::World;

const HITS: u64 = 10_000;

#[hybrid_cached(ttl = 60s, key = "user:{id}", cache = world.cache)]
async fn by_number(world: &World, id: u64) -> Arc<u64> {
    world.load(id).await;
    Arc::new(id)
}

#[hybrid_cached(ttl = 60s, key = "user:{name}", cache = world.cache)]
async fn by_name(world: &World, name: &str) -> Arc<String> {
    world.load(name).await;
    Arc::new(name.to_owned())
}

#[hybrid_cached(ttl = 60s, key = (org, name, page), cache = world.cache)]
async fn by_all(world: &World, org: u64, name: &str, page: Option<i32>) -> Arc<(u64, String, Option<i32>)> {
    world.load(org).await;
    Arc::new((org, name.to_owned(), page))
}

#[hybrid_cached(ttl = 60s, cache = world.cache, skip(world))]
async fn by_default(world: &World, org: u64, name: String) -> Result<Arc<u64>, String> {
    world.load(org).await;
    if name.is_empty() { Ok(Arc::new(org)) } else { Err(name) }
}

/// Calls that are all hits: each is ready at once.
fn assert_free<F: Future>(call: impl Fn(u64) -> F) {
    let made = measure(|| {
        for nth in 0..HITS {
            assert!(pin!(call(nth)).poll(&mut Context::from_waker(Waker::noop())).is_ready(), "no hit");
        }
    });
    assert_eq!(made.count_total, 0, "in {HITS} hits");
}

#[tokio::test(start_paused = true)]
async fn a_hit_by_a_number_allocates_nothing() {
    let world = World::new().await;
    for id in 0..10 {
        by_number(&world, u64::MAX - id).await;
    }
    assert_free(|nth| by_number(&world, u64::MAX - nth % 10));
}

/// Killed by: a key that is built on the heap; and so are the others.
#[tokio::test(start_paused = true)]
async fn a_hit_by_a_string_allocates_nothing() {
    let world = World::new().await;
    let names = ["ada", "grace hopper", "an address of somebody: 12, High Street, Somewhere"];
    for name in names {
        by_name(&world, name).await;
    }
    assert_free(|nth| by_name(&world, names[nth as usize % names.len()]));
}

#[tokio::test(start_paused = true)]
async fn a_hit_by_a_tuple_allocates_nothing() {
    let world = World::new().await;
    let pages = [None, Some(-7)];
    for page in pages {
        by_all(&world, 7, "ada", page).await;
    }
    assert_free(|nth| by_all(&world, 7, "ada", pages[nth as usize % 2]));
}

/// The caller's own string is all there is.
#[tokio::test(start_paused = true)]
async fn a_hit_by_all_arguments_allocates_nothing() {
    let world = World::new().await;
    by_default(&world, 7, String::new()).await.unwrap();
    assert_free(|_| by_default(&world, 7, String::new()));
}

/// Where all but a few keys have been given up, too.
#[tokio::test(start_paused = true)]
async fn a_hit_in_a_full_memory_allocates_nothing() {
    let world = World::with(hybridcache::Memory::entries(100)).await;
    for id in 0..1_000 {
        by_number(&world, id).await;
    }
    assert!(world.cache.memory_entries() <= 100);
    by_number(&world, 999).await;
    assert_free(|_| by_number(&world, 999));
}
