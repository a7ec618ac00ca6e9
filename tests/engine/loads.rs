//! One load per key, however many ask, and whatever becomes of those who ask.

use std::sync::Arc;

use hybridcache::hybrid_cached;
use tokio::sync::Barrier;
use tokio::time::timeout;

use crate::world::{World, at_once, poll_once, secs, settle};

#[hybrid_cached(ttl = 60s, key = "{id}", cache = world.cache)]
async fn value(world: &World, id: u64) -> u64 {
    world.load(id).await
}

#[hybrid_cached(ttl = 60s, key = "{id}", cache = world.cache)]
async fn busy(world: &World, id: u64) -> u64 {
    let number = world.load(id).await;
    tokio::task::yield_now().await;
    number
}

/// Killed by: claims that always lead.
#[tokio::test(start_paused = true)]
async fn a_thousand_callers_share_one_load() {
    let world = World::new().await;
    world.hold();
    let callers: Vec<_> = (0..1000).map(|_| world.call(|world| async move { value(&world, 7).await })).collect();
    world.until_loads(1).await;
    world.let_go(1);
    for caller in callers {
        assert_eq!(caller.await.unwrap(), 1);
    }
    assert_eq!(world.events(), ["load 7"]);
    assert_eq!(at_once(value(&world, 7)), 1);
}

/// Killed by: a caller who leads without a look whether a flight has landed since its look into memory.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn threads_share_one_load() {
    const ROUNDS: u64 = 1_000;
    const CALLERS: usize = 16;
    let world = World::new().await;
    let barrier = Arc::new(Barrier::new(CALLERS));
    let callers: Vec<_> = (0..CALLERS)
        .map(|_| {
            let barrier = barrier.clone();
            world.call(|world| async move {
                let mut values = Vec::new();
                for id in 0..ROUNDS {
                    barrier.wait().await;
                    values.push(busy(&world, id).await);
                }
                values
            })
        })
        .collect();
    let mut all = Vec::new();
    for caller in callers {
        all.push(caller.await.unwrap());
    }
    assert!(all.windows(2).all(|pair| pair[0] == pair[1]), "all callers of a key get the same value");
    assert_eq!(world.loads(), ROUNDS);
}

/// Many keys at once, a thousand callers: nobody waits for a load of another key.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn threads_share_one_load_of_each_of_many_keys() {
    let world = World::new().await;
    for round in 0..20 {
        let callers: Vec<_> = (0..1000)
            .map(|caller| world.call(move |world| async move { busy(&world, round * 50 + caller % 50).await }))
            .collect();
        for caller in callers {
            caller.await.unwrap();
        }
        assert_eq!(world.loads(), (round + 1) * 50);
    }
}

#[tokio::test(start_paused = true)]
async fn loads_of_different_keys_do_not_wait_for_each_other() {
    let world = World::new().await;
    world.hold();
    let first = world.call(|world| async move { value(&world, 1).await });
    world.until_loads(1).await;
    let second = world.call(|world| async move { value(&world, 2).await });
    world.until_loads(2).await;
    world.let_go(2);
    assert_eq!(second.await.unwrap(), 2);
    assert!(!first.is_finished());
    world.let_go(1);
    assert_eq!(first.await.unwrap(), 1);
}

/// Killed by: running the load in the caller's own future.
#[tokio::test(start_paused = true)]
async fn a_caller_that_goes_away_does_not_take_the_load_along() {
    let world = World::new().await;
    world.hold();
    let leader = world.call(|world| async move { value(&world, 7).await });
    world.until_loads(1).await;
    let joined = world.call(|world| async move { value(&world, 7).await });
    settle().await;
    leader.abort();
    assert!(leader.await.unwrap_err().is_cancelled());
    settle().await;
    assert_eq!(world.running(), 1);
    world.let_go(1);
    assert_eq!(joined.await.unwrap(), 1);
    assert_eq!(at_once(value(&world, 7)), 1, "stored");
    assert_eq!(world.loads(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_load_that_nobody_waits_for_any_more_is_stored() {
    let world = World::new().await;
    world.hold();
    let leader = world.call(|world| async move { value(&world, 7).await });
    world.until_loads(1).await;
    leader.abort();
    settle().await;
    world.let_go(1);
    settle().await;
    assert_eq!(at_once(value(&world, 7)), 1);
}

/// The waker of a caller that never polls again wakes nobody.
#[tokio::test(start_paused = true)]
async fn a_caller_polled_once_and_then_held_hangs_nobody() {
    let world = World::new().await;
    let mut leader = Box::pin(value(&world, 7));
    assert!(poll_once(&mut leader).is_pending());
    let joined = world.call(|world| async move { value(&world, 7).await });
    assert_eq!(joined.await.unwrap(), 1);
    assert_eq!(at_once(value(&world, 7)), 1);
    assert_eq!(world.loads(), 1);
    assert_eq!(leader.await, 1, "it gets its value when it turns back");
}

#[tokio::test(start_paused = true)]
async fn a_caller_never_polled_loads_nothing() {
    let world = World::new().await;
    let never = Box::pin(value(&world, 7));
    settle().await;
    assert_eq!(world.loads(), 0);
    drop(never);
    assert_eq!(value(&world, 7).await, 1);
}

#[tokio::test(start_paused = true)]
async fn joined_callers_that_go_away_take_nothing_along() {
    let world = World::new().await;
    world.hold();
    let leader = world.call(|world| async move { value(&world, 7).await });
    world.until_loads(1).await;
    let joined: Vec<_> = (0..10).map(|_| world.call(|world| async move { value(&world, 7).await })).collect();
    settle().await;
    for gone in joined.iter().step_by(2) {
        gone.abort();
    }
    settle().await;
    world.let_go(1);
    assert_eq!(leader.await.unwrap(), 1);
    for stayed in joined.into_iter().skip(1).step_by(2) {
        assert_eq!(stayed.await.unwrap(), 1);
    }
    assert_eq!(world.loads(), 1);
}

/// Killed by: a waker that is kept when another takes its place.
#[tokio::test(start_paused = true)]
async fn a_caller_may_be_polled_by_one_task_after_another() {
    let world = World::new().await;
    world.hold();
    let shared = world.clone();
    let mut leader = Box::pin(async move { value(&shared, 7).await });
    assert!(poll_once(&mut leader).is_pending());
    world.until_loads(1).await;
    let moved = tokio::spawn(leader);
    settle().await;
    world.let_go(1);
    let woken = timeout(secs(3_600), moved).await.expect("the task that polled last is woken");
    assert_eq!(woken.unwrap(), 1);
}
