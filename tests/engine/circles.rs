//! Loads that ask for what they are loading themselves: no circle is a deadlock.
//!
//! Each circle here is cut after some loads, as a recursion of plain functions must be.

use std::pin::Pin;
use std::time::Duration;

use hybridcache::hybrid_cached;
use tokio::time::{Instant, timeout};

use crate::world::{World, at_once, pass, secs};

/// As any recursion of async functions needs one: its type does not contain itself.
type Again = Pin<Box<dyn Future<Output = u64> + Send>>;

#[hybrid_cached(ttl = 60s, key = "{id}", cache = world.cache)]
async fn own(world: World, id: u64) -> u64 {
    let number = world.load(format!("own {id}")).await;
    if number < 3 {
        return own_again(world, id).await * 10 + number;
    }
    number
}

fn own_again(world: World, id: u64) -> Again {
    Box::pin(own(world, id))
}

/// Killed by: a load that waits for itself (30 s).
#[tokio::test(start_paused = true)]
async fn a_load_of_the_key_in_its_own_load_runs_uncached() {
    let world = World::new().await;
    let began = Instant::now();
    assert_eq!(own(world.clone(), 7).await, 321);
    assert_eq!(began.elapsed(), Duration::ZERO, "nobody waited");
    assert_eq!(world.events(), ["load own 7", "load own 7", "load own 7"]);
    assert_eq!(at_once(own(world, 7)), 321, "the outermost is stored");
}

/// A ring of keys: the load of each asks for the next, until the circle is closed and one more.
#[hybrid_cached(ttl = 60s, key = "{at}", cache = world.cache)]
async fn ring(world: World, at: u64, size: u64) -> u64 {
    let number = world.load(format!("at {at}")).await;
    if number <= size { next(world, (at + 1) % size, size).await } else { at }
}

fn next(world: World, at: u64, size: u64) -> Again {
    Box::pin(ring(world, at, size))
}

#[tokio::test(start_paused = true)]
async fn circles_entered_at_one_place_end_at_once() {
    for size in [2, 3] {
        let world = World::new().await;
        let began = Instant::now();
        assert_eq!(ring(world.clone(), 0, size).await, 0);
        assert_eq!(began.elapsed(), Duration::ZERO, "nobody waited");
        assert_eq!(world.loads(), size + 1);
    }
}

/// Killed by: joining without a limit.
#[tokio::test(start_paused = true)]
async fn circles_entered_everywhere_at_once_end_at_the_waiting_limit() {
    for size in [2, 3] {
        let world = World::new().await;
        world.hold();
        let callers: Vec<_> = (0..size).map(|at| world.call(move |world| ring(world, at, size))).collect();
        world.until_loads(size).await;
        let began = Instant::now();
        world.let_all_go();
        for caller in callers {
            timeout(secs(300), caller).await.expect("it ends").unwrap();
        }
        assert!((30..32).contains(&began.elapsed().as_secs()), "{:?}", began.elapsed());
    }
}

#[hybrid_cached(ttl = 60s, key = "{id}", cache = world.cache)]
async fn spawning(world: World, id: u64) -> u64 {
    let number = world.load(format!("spawning {id}")).await;
    if number == 1 {
        return tokio::spawn(spawning_again(world, id)).await.unwrap() + 100;
    }
    number
}

fn spawning_again(world: World, id: u64) -> Again {
    Box::pin(spawning(world, id))
}

#[tokio::test(start_paused = true)]
async fn circles_through_tasks_end_at_the_waiting_limit() {
    let world = World::new().await;
    let began = Instant::now();
    let value = timeout(secs(300), spawning(world.clone(), 7)).await.expect("it ends");
    assert_eq!(value, 102);
    assert!((30..32).contains(&began.elapsed().as_secs()), "{:?}", began.elapsed());
    assert_eq!(at_once(spawning(world, 7)), 102);
}

/// The same key of another function is no circle.
#[hybrid_cached(ttl = 60s, key = "{id}", cache = world.cache)]
async fn through_another(world: World, id: u64) -> u64 {
    own(world, id).await
}

#[tokio::test(start_paused = true)]
async fn functions_may_call_each_other() {
    let world = World::new().await;
    let callers: Vec<_> = (0..10).map(|_| world.call(|world| through_another(world, 7))).collect();
    for caller in callers {
        assert_eq!(caller.await.unwrap(), 321);
    }
    assert_eq!(world.loads(), 3);
    assert_eq!(at_once(own(world, 7)), 321, "the inner one is cached as well");
}

/// While a load of the key runs, one of another key that asks for it joins it.
#[hybrid_cached(ttl = 60s, key = "{id}", cache = world.cache)]
async fn leaf(world: World, id: u64) -> u64 {
    world.load(format!("leaf {id}")).await
}

#[hybrid_cached(ttl = 60s, key = "{id}", cache = world.cache)]
async fn branch(world: World, id: u64) -> u64 {
    leaf(world, id / 10).await
}

#[tokio::test(start_paused = true)]
async fn loads_join_each_other() {
    let world = World::new().await;
    world.hold();
    let callers: Vec<_> = (70..80).map(|id| world.call(move |world| branch(world, id))).collect();
    world.until_loads(1).await;
    world.let_all_go();
    for caller in callers {
        assert_eq!(caller.await.unwrap(), 1);
    }
    assert_eq!(world.events(), ["load leaf 7"]);
}

/// A stale value is there for the load of its own key, too.
#[hybrid_cached(ttl = 60s, fresh_for = 10s, key = "{id}", cache = world.cache)]
async fn builds_on_the_last(world: World, id: u64) -> u64 {
    let number = world.load(id).await;
    if number == 1 { 1 } else { the_last(world, id).await + 100 }
}

fn the_last(world: World, id: u64) -> Again {
    Box::pin(builds_on_the_last(world, id))
}

#[tokio::test(start_paused = true)]
async fn a_refresh_may_read_what_it_replaces() {
    let world = World::new().await;
    builds_on_the_last(world.clone(), 7).await;
    pass(secs(10)).await;
    assert_eq!(builds_on_the_last(world.clone(), 7).await, 1);
    world.until_loads(2).await;
    assert_eq!(at_once(builds_on_the_last(world, 7)), 101);
}
