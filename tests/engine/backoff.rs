//! How often a refresh that fails is tried again.

use hybridcache::hybrid_cached;
use tokio::time::Instant;

use crate::world::{World, at_once, millis, pass, secs, settle};

#[hybrid_cached(ttl = 1h, fresh_for = 10s, key = "{id}", cache = world.cache)]
async fn fallible(world: &World, id: u64) -> Result<u64, String> {
    let number = world.load(id).await;
    if world.is_failing() { Err("down".into()) } else { Ok(number) }
}

/// When refreshes began, in milliseconds, while a call comes every 50 ms.
async fn attempts(world: &World, during: u64) -> Vec<u128> {
    let began = Instant::now();
    let mut attempts = Vec::new();
    for _ in 0..during / 50 {
        let before = world.loads();
        assert_eq!(at_once(fallible(world, 7)), Ok(1));
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        if world.loads() > before {
            attempts.push(began.elapsed().as_millis());
        }
        tokio::time::advance(millis(50)).await;
    }
    attempts
}

/// Killed by: no pause at all; a pause that does not double; one without a limit.
#[tokio::test(start_paused = true)]
async fn attempts_wait_a_second_doubling_to_thirty_less_up_to_a_quarter() {
    let world = World::new().await;
    fallible(&world, 7).await.unwrap();
    pass(secs(10)).await;
    world.fail(true);
    let attempts = attempts(&world, 200_000).await;
    let pauses: Vec<_> = attempts.windows(2).map(|pair| pair[1] - pair[0]).collect();
    for (pause, longest) in pauses.iter().zip([1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000]) {
        // A call comes up to 50 ms after the pause ended.
        assert!((longest * 3 / 4..=longest + 50).contains(pause), "{pause} of {longest}: {pauses:?}");
    }
    assert!(pauses.len() >= 8, "{pauses:?}");
}

/// Killed by: a jitter of zero.
#[tokio::test(start_paused = true)]
async fn entries_that_fail_together_do_not_try_again_together() {
    let world = World::new().await;
    for id in 0..200 {
        fallible(&world, id).await.unwrap();
    }
    pass(secs(10)).await;
    world.fail(true);
    let mut began = Vec::new();
    for _ in 0..15 {
        let before = world.loads();
        for id in 0..200 {
            at_once(fallible(&world, id)).unwrap();
        }
        settle().await;
        began.push(world.loads() - before);
        pass(millis(100)).await;
    }
    assert_eq!(began[0], 200);
    assert!(began[1..].iter().all(|&together| together < 200), "{began:?}");
    assert_eq!(began.iter().sum::<u64>(), 400, "each tried twice within 1.5 s");
}

#[tokio::test(start_paused = true)]
async fn one_entry_that_fails_does_not_slow_the_others() {
    let world = World::new().await;
    fallible(&world, 7).await.unwrap();
    fallible(&world, 8).await.unwrap();
    pass(secs(10)).await;
    world.fail(true);
    fallible(&world, 7).await.unwrap();
    world.until_loads(3).await;
    world.fail(false);
    fallible(&world, 8).await.unwrap();
    world.until_loads(4).await;
}
