//! Each call has one outcome, whatever happens: the sum of outcomes is the number of calls.

use std::pin::Pin;

use fastrand::Rng;
use hybridcache::{LoadError, Stats, bypass, explain, hybrid_cached, refresh};
use tokio::task::JoinHandle;

use crate::world::{World, millis, pass, settle};

#[hybrid_cached(ttl = 6s, fresh_for = 2s, timeout = 3s, key = "{id}", name = "short", tags = ["all"], cache = world.cache)]
async fn short(world: &World, id: u64) -> Result<u64, LoadError> {
    work(world, id).await
}

#[hybrid_cached(ttl = 60s, key = "{id}", name = "nesting", cache = world.cache)]
async fn nesting(world: World, id: u64) -> u64 {
    let number = short(&world, id).await.unwrap_or_default();
    if world.loads() + world.cache.function_stats("nesting").loads < 5 { again(world, id).await } else { number }
}

fn again(world: World, id: u64) -> Pin<Box<dyn Future<Output = u64> + Send>> {
    Box::pin(nesting(world, id))
}

async fn work(world: &World, id: u64) -> Result<u64, LoadError> {
    let number = world.load(id).await;
    match number % 11 {
        3 => panic!("the third of eleven"),
        5 => Err(LoadError::Panicked("the fifth of eleven".to_owned())),
        7 => {
            std::future::pending::<()>().await;
            Ok(number)
        }
        _ => Ok(number),
    }
}

fn outcomes(stats: &Stats) -> u64 {
    stats.hits_memory + stats.hits_redis + stats.misses + stats.joined + stats.bypassed
}

/// One call, in one of the ways in which it can be made.
fn call(world: &World, way: usize, id: u64) -> JoinHandle<()> {
    world.call(move |world| async move {
        let _ = match way {
            0 => bypass(short(&world, id)).await,
            1 => refresh(short(&world, id)).await,
            2 => explain(short(&world, id)).await.0,
            _ => short(&world, id).await,
        };
    })
}

/// Seen failing: with a miss counted for a call that had joined before; without an outcome for a degraded load that times out in its queue; with
/// the stale hit of `begin_slow` counted by the fast path too.
#[tokio::test(start_paused = true)]
async fn the_sum_of_outcomes_is_the_number_of_calls() {
    for seed in 0..60 {
        let (mut random, world) = (Rng::with_seed(seed), World::new().await);
        let (mut calls, mut running) = (0, Vec::new());
        for _ in 0..80 {
            match random.usize(..16) {
                0 => world.hold(),
                1 => world.let_all_go(),
                2 => short_entry(&world, random.u64(..3)).invalidate().await.unwrap(),
                3 => short_entry(&world, random.u64(..3)).expire().await.unwrap(),
                4 => world.cache.invalidate_tag("all").await.unwrap(),
                5 => short_entry(&world, random.u64(..3)).put(0).await.unwrap(),
                6 | 7 => pass(millis(random.u64(..2_500))).await,
                8 if !running.is_empty() => {
                    let dropped: JoinHandle<()> = running.swap_remove(random.usize(..running.len()));
                    settle().await;
                    dropped.abort();
                }
                way => {
                    calls += 1;
                    running.push(call(&world, way % 8, random.u64(..3)));
                    if random.bool() {
                        settle().await;
                    }
                }
            }
        }
        settle().await;
        world.let_all_go();
        for call in running {
            let _ = call.await;
        }
        let stats = world.cache.function_stats("short");
        assert_eq!(outcomes(&stats), calls, "seed {seed}: {stats:?}");
    }
}

/// Calls that loads make, and calls of a load for its own key. Killed by: no outcome for a call that must not wait for itself.
#[tokio::test(start_paused = true)]
async fn calls_of_loads_have_outcomes_too() {
    let world = World::new().await;
    nesting(world.clone(), 2).await;
    let (short, nesting) = (world.cache.function_stats("short"), world.cache.function_stats("nesting"));
    assert_eq!((nesting.misses, nesting.bypassed), (1, 3));
    assert_eq!((outcomes(&short), short.misses, short.hits_memory), (4, 1, 3));
}
