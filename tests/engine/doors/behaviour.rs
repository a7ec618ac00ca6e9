//! What a cached function does, whichever way it was made. Included once for each way: the functions are those of the module around it.

use hybridcache::{LoadError, bypass, refresh};

use super::{
    absent, cloning, early, fallible, jittered, kept, marked, number, number_entry, provisional, tagged, weighed,
};
use crate::doors::Cloned;
use crate::world::{World, at_once, pass, secs, settle};

#[tokio::test(start_paused = true)]
async fn a_value_is_fresh_then_stale_then_gone() {
    let world = World::new().await;
    assert_eq!(number(&world, 7).await, 1);
    pass(secs(9)).await;
    assert_eq!(at_once(number(&world, 7)), 1, "fresh");
    pass(secs(1)).await;
    assert_eq!(at_once(number(&world, 7)), 1, "stale");
    settle().await;
    assert_eq!(world.loads(), 2, "one refresh");
    assert_eq!(at_once(number(&world, 7)), 2);
    pass(secs(60)).await;
    assert_eq!(number(&world, 7).await, 3, "gone");
    assert_eq!(number(&world, 8).await, 4, "another key");
}

#[tokio::test(start_paused = true)]
async fn callers_of_a_key_share_one_load() {
    let world = World::new().await;
    world.hold();
    let callers: Vec<_> = (0..50).map(|_| world.call(|world| async move { number(&world, 7).await })).collect();
    world.until_loads(1).await;
    world.let_all_go();
    for caller in callers {
        assert_eq!(caller.await.unwrap(), 1);
    }
    assert_eq!(world.loads(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_load_goes_on_without_its_caller() {
    let world = World::new().await;
    world.hold();
    let caller = world.call(|world| async move { number(&world, 7).await });
    world.until_loads(1).await;
    caller.abort();
    world.let_all_go();
    settle().await;
    assert_eq!(at_once(number(&world, 7)), 1);
}

#[tokio::test(start_paused = true)]
async fn an_error_reaches_all_callers_and_is_not_stored() {
    let world = World::new().await;
    world.hold();
    world.fail(true);
    let callers: Vec<_> = (0..3).map(|_| world.call(|world| async move { fallible(&world, 7).await })).collect();
    world.until_loads(1).await;
    world.let_all_go();
    for caller in callers {
        assert_eq!(caller.await.unwrap().unwrap_err().to_string(), "load 1 failed");
    }
    world.fail(false);
    assert_eq!(fallible(&world, 7).await.unwrap(), 2);
}

#[tokio::test(start_paused = true)]
async fn an_error_that_can_be_cloned_reaches_all_callers_as_it_is() {
    let world = World::new().await;
    world.hold();
    world.fail(true);
    let callers: Vec<_> = (0..3).map(|_| world.call(|world| async move { cloning(&world, 7).await })).collect();
    world.until_loads(1).await;
    world.let_all_go();
    for caller in callers {
        assert_eq!(caller.await.unwrap(), Err(Cloned(1)));
    }
}

#[tokio::test(start_paused = true)]
async fn a_load_that_takes_too_long_ends_for_everybody() {
    let world = World::new().await;
    world.hold();
    let callers: Vec<_> = (0..3).map(|_| world.call(|world| async move { fallible(&world, 7).await })).collect();
    world.until_loads(1).await;
    pass(secs(5)).await;
    for caller in callers {
        assert!(matches!(caller.await.unwrap(), Err(LoadError::TimedOut)));
    }
    assert_eq!(world.running(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_failed_refresh_leaves_the_stale_value() {
    let world = World::new().await;
    assert_eq!(fallible(&world, 7).await.unwrap(), 1);
    world.fail(true);
    pass(secs(10)).await;
    assert_eq!(at_once(fallible(&world, 7)).unwrap(), 1);
    settle().await;
    assert_eq!(world.loads(), 2);
    assert_eq!(at_once(fallible(&world, 7)).unwrap(), 1);
}

#[tokio::test(start_paused = true)]
async fn no_cache_returns_and_does_not_store() {
    let world = World::new().await;
    for nth in [1, 2] {
        assert_eq!(provisional(&world, 0).await.unwrap(), nth, "by type");
    }
    for nth in [3, 4] {
        assert_eq!(marked(&world, 0).await, nth, "by `no_cache()`");
    }
    assert_eq!(provisional(&world, 1).await.unwrap(), 5);
    assert_eq!(at_once(provisional(&world, 1)).unwrap(), 5);
    assert_eq!(marked(&world, 1).await, 6);
    assert_eq!(at_once(marked(&world, 1)), 6);
}

#[tokio::test(start_paused = true)]
async fn a_handle_reads_writes_and_invalidates() {
    let world = World::new().await;
    assert_eq!(number_entry(&world, 7).get().await, None);
    number_entry(&world, 7).put(70).await.unwrap();
    assert_eq!(at_once(number(&world, 7)), 70);
    number_entry(&world, 7).expire().await.unwrap();
    assert_eq!(at_once(number(&world, 7)), 70, "stale");
    settle().await;
    assert_eq!(number_entry(&world, 7).get().await, Some(1), "refreshed");
    number_entry(&world, 7).invalidate().await.unwrap();
    assert_eq!(number(&world, 7).await, 2);
    assert_eq!(number_entry(&world, 7).key(), "7");
}

#[tokio::test(start_paused = true)]
async fn a_load_from_before_an_invalidation_is_not_stored() {
    let world = World::new().await;
    world.hold();
    let caller = world.call(|world| async move { number(&world, 7).await });
    world.until_loads(1).await;
    number_entry(&world, 7).invalidate().await.unwrap();
    world.let_all_go();
    assert_eq!(caller.await.unwrap(), 1);
    assert_eq!(number_entry(&world, 7).get().await, None);
}

#[tokio::test(start_paused = true)]
async fn tags_and_names_invalidate() {
    let world = World::new().await;
    assert_eq!((tagged(&world, 1).await, tagged(&world, 2).await), (1, 2));
    world.cache.invalidate_tag("shard:1").await.unwrap();
    assert_eq!((tagged(&world, 1).await, tagged(&world, 2).await), (3, 2));
    world.cache.invalidate_tag("all").await.unwrap();
    assert_eq!((tagged(&world, 1).await, tagged(&world, 2).await), (4, 5));
    world.cache.invalidate_function("tagged").await.unwrap();
    assert_eq!((tagged(&world, 1).await, tagged(&world, 2).await), (6, 7));
}

#[tokio::test(start_paused = true)]
async fn refresh_and_bypass_load() {
    let world = World::new().await;
    assert_eq!(number(&world, 7).await, 1);
    assert_eq!(bypass(number(&world, 7)).await, 2);
    assert_eq!(at_once(number(&world, 7)), 1);
    assert_eq!(refresh(number(&world, 7)).await, 3);
    assert_eq!(at_once(number(&world, 7)), 3);
}

/// Killed by: weighing by the size on the stack.
#[tokio::test(start_paused = true)]
async fn a_weight_counts() {
    let world = World::with(hybridcache::Memory::bytes(8 << 20)).await;
    for id in 0..100 {
        weighed(&world, id).await;
    }
    settle().await;
    let evictions = world.cache.stats().evictions;
    assert!((92..100).contains(&evictions), "{evictions}");
}

#[tokio::test(start_paused = true)]
async fn an_absent_value_lives_shorter_and_a_quick_load_is_not_stored() {
    let world = World::new().await;
    assert_eq!((absent(&world, 0).await, absent(&world, 1).await), (None, Some(2)));
    pass(secs(1)).await;
    assert_eq!(at_once(absent(&world, 0)), None, "stored");
    pass(secs(5)).await;
    assert_eq!((absent(&world, 0).await, world.loads()), (None, 3), "gone");
    assert_eq!(at_once(absent(&world, 1)), Some(2));
    assert_eq!((absent(&world, 9).await, absent(&world, 9).await), (Some(4), Some(5)), "quick");
}

#[tokio::test(start_paused = true)]
async fn jitter_lets_entries_end_one_after_the_other() {
    let world = World::new().await;
    for id in 0..100 {
        jittered(&world, id).await;
    }
    pass(secs(45)).await;
    let loads = world.loads();
    for id in 0..100 {
        jittered(&world, id).await;
    }
    let gone = world.loads() - loads;
    assert!((10..90).contains(&gone), "{gone} of 100 have ended after three quarters of the lifetime");
    pass(secs(15)).await;
    let loads = world.loads();
    for id in 0..100 {
        jittered(&world, id).await;
    }
    assert!(world.loads() - loads >= 100 - gone, "all others have");
}

#[tokio::test(start_paused = true)]
async fn a_refresh_starts_early_and_a_stale_hit_waits_for_it_a_little() {
    let world = World::new().await;
    assert_eq!(early(&world, 7).await, 1);
    pass(secs(9)).await;
    assert_eq!(at_once(early(&world, 7)), 1, "still fresh");
    settle().await; // the refresh has begun before the clock moves
    pass(secs(2)).await;
    assert_eq!(at_once(early(&world, 7)), 2, "refreshed before anybody waited");
    pass(secs(20)).await;
    assert_eq!(early(&world, 7).await, 3, "stale: it waited for the refresh");
}

#[tokio::test(start_paused = true)]
async fn an_error_is_given_again_for_a_while() {
    let world = World::new().await;
    world.fail(true);
    assert_eq!((kept(&world, 7).await, kept(&world, 7).await), (Err(Cloned(1)), Err(Cloned(1))));
    pass(secs(5)).await;
    world.fail(false);
    assert_eq!(kept(&world, 7).await, Ok(2));
}
