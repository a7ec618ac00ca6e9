//! `refresh_ahead`: a hit in the last part of the freshness starts the refresh, and still gets the fresh value.

use std::time::Duration;

use hybridcache::{LoadError, hybrid_cached, this_load};

use crate::world::{World, at_once, millis, pass, secs, settle};

#[hybrid_cached(ttl = 200s, fresh_for = 100s, refresh_ahead = 20%, key = "{id}", cache = world.cache)]
async fn by_percent(world: &World, id: u64) -> Result<u64, LoadError> {
    let number = world.load(id).await;
    if world.is_failing() { Err(LoadError::TimedOut) } else { Ok(number) }
}

#[hybrid_cached(ttl = 100s, refresh_ahead = 20s, key = "{id}", cache = world.cache)]
async fn by_duration(world: &World, id: u64) -> Result<u64, LoadError> {
    Ok(world.load(id).await)
}

const LEAD: Duration = Duration::from_secs(20);

#[hybrid_cached(ttl = 100s, refresh_ahead = LEAD, key = "{id}", cache = world.cache)]
async fn by_constant(world: &World, id: u64) -> Result<u64, LoadError> {
    Ok(world.load(id).await)
}

#[hybrid_cached(ttl = 100s, refresh_ahead = LEAD / 2 + LEAD / 2, key = "{id}", cache = world.cache)]
async fn by_expression(world: &World, id: u64) -> Result<u64, LoadError> {
    Ok(world.load(id).await)
}

/// Fresh for 100 s: the first hit after 80 starts the refresh.
macro_rules! starts_in_the_last_fifth {
    ($call:expr) => {{
        let world = World::new().await;
        let call: fn(&World) -> std::pin::Pin<Box<dyn Future<Output = Result<u64, LoadError>> + Send + '_>> = $call;
        assert_eq!(call(&world).await.unwrap(), 1);
        world.hold();
        pass(secs(80) - millis(1)).await;
        assert_eq!(at_once(call(&world)).unwrap(), 1);
        settle().await;
        assert_eq!(world.loads(), 1, "not yet the last part");
        pass(millis(1)).await;
        for _ in 0..5 {
            assert_eq!(at_once(call(&world)).unwrap(), 1, "nobody waits");
        }
        world.until_loads(2).await;
        world.let_all_go();
        settle().await;
        assert_eq!(at_once(call(&world)).unwrap(), 2);
        let stats = world.cache.stats();
        assert_eq!((stats.hits_memory, stats.stale_hits, stats.refreshes, stats.misses), (7, 0, 1, 1));
        pass(secs(80) - millis(1)).await;
        assert_eq!(at_once(call(&world)).unwrap(), 2);
        settle().await;
        assert_eq!(world.loads(), 2, "its freshness begins with its own load");
    }};
}

/// Killed by: the option ignored (the value would become stale); a refresh that its hit waits for; a hit that counts as
/// stale; a refresh of each hit.
#[tokio::test(start_paused = true)]
async fn a_hit_in_the_last_part_starts_the_refresh() {
    starts_in_the_last_fifth!(|world| Box::pin(by_percent(world, 7)));
    starts_in_the_last_fifth!(|world| Box::pin(by_duration(world, 7)));
    starts_in_the_last_fifth!(|world| Box::pin(by_constant(world, 7)));
    starts_in_the_last_fifth!(|world| Box::pin(by_expression(world, 7)));
}

/// Killed by: no pause after a failure: each hit would load.
#[tokio::test(start_paused = true)]
async fn a_failed_early_refresh_pauses_and_the_value_stays_fresh() {
    let world = World::new().await;
    by_percent(&world, 7).await.unwrap();
    world.fail(true);
    pass(secs(80)).await;
    for _ in 0..10 {
        assert_eq!(at_once(by_percent(&world, 7)).unwrap(), 1);
        settle().await;
    }
    assert_eq!(world.loads(), 2);
    pass(secs(1)).await;
    assert_eq!(at_once(by_percent(&world, 7)).unwrap(), 1);
    world.until_loads(3).await;
    assert_eq!(world.cache.stats().stale_hits, 0);
    world.fail(false);
    pass(secs(20)).await;
    assert_eq!(at_once(by_percent(&world, 7)).unwrap(), 1);
    assert_eq!(world.cache.stats().stale_hits, 1, "by now it is stale");
    world.until_loads(4).await;
}

/// Killed by: a put without the last part; an invalidation that an early refresh undoes.
#[tokio::test(start_paused = true)]
async fn puts_and_invalidations_are_as_ever() {
    let world = World::new().await;
    by_percent_entry(&world, 7).put(9).await.unwrap();
    world.hold();
    pass(secs(80)).await;
    assert_eq!(at_once(by_percent(&world, 7)).unwrap(), 9);
    world.until_loads(1).await;
    by_percent_entry(&world, 7).invalidate().await.unwrap();
    world.let_all_go();
    settle().await;
    assert_eq!(by_percent_entry(&world, 7).get().await, None, "what began before is not stored");
    assert_eq!(by_percent(&world, 7).await.unwrap(), 2);
    pass(secs(80)).await;
    by_percent_entry(&world, 7).expire().await.unwrap();
    assert_eq!(at_once(by_percent(&world, 7)).unwrap(), 2);
    assert_eq!(world.cache.stats().stale_hits, 1);
    world.until_loads(3).await;
    assert_eq!(hybridcache::bypass(by_percent(&world, 7)).await.unwrap(), 4);
}

#[hybrid_cached(ttl = 1h, fresh_for = 30m, refresh_ahead = auto, key = "{takes}", cache = world.cache)]
async fn measured(world: &World, takes: u64) -> u64 {
    tokio::time::sleep(millis(takes)).await;
    world.load(takes).await
}

/// How long before the end of the freshness, which is `fresh`, the refresh starts.
async fn lead_of(takes: u64, fresh: Duration, call: impl AsyncFn(&World) -> u64) -> Duration {
    let world = World::new().await;
    call(&world).await;
    let stored = tokio::time::Instant::now();
    // To the millisecond: bisection would start the refresh.
    pass(fresh - millis(takes.max(50) * 5)).await;
    for _ in 0..takes.max(50) * 5 {
        call(&world).await;
        if world.cache.stats().refreshes > 0 {
            return fresh - stored.elapsed();
        }
        tokio::time::advance(millis(1)).await;
    }
    panic!("no refresh started early");
}

/// Killed by: a lead that ignores the cost, or the least of 50 ms; one without the spread of a fleet.
#[tokio::test(start_paused = true)]
async fn auto_leads_by_three_times_the_cost_of_a_load() {
    let mut leads = Vec::new();
    for _ in 0..12 {
        let lead = lead_of(100, secs(1800), async |world| measured(world, 100).await).await;
        assert!(lead >= millis(224) && lead <= millis(376), "{lead:?}");
        leads.push(lead);
    }
    leads.sort();
    assert!(leads[11] - leads[0] > millis(20), "each process has its own: {leads:?}");
    let quick = lead_of(1, secs(1800), async |world| measured(world, 1).await).await;
    assert!(quick >= millis(37) && quick <= millis(63), "{quick:?}");
}

#[hybrid_cached(ttl = 1h, fresh_for = 2s, refresh_ahead = auto, key = "{id}", cache = world.cache)]
async fn slow(world: &World, id: u64) -> u64 {
    tokio::time::sleep(secs(1)).await;
    world.load(id).await
}

/// Killed by: a lead that is longer than a fifth.
#[tokio::test(start_paused = true)]
async fn auto_leads_by_a_fifth_of_fresh_for_at_most() {
    let world = World::new().await;
    slow(&world, 7).await;
    pass(millis(1599)).await;
    slow(&world, 7).await;
    assert_eq!(world.cache.stats().refreshes, 0);
    pass(millis(1)).await;
    slow(&world, 7).await;
    assert_eq!(world.cache.stats().refreshes, 1);
}

#[hybrid_cached(ttl = 100s, refresh_ahead = 90s, key = "{id}", cache = world.cache)]
async fn shorter(world: &World, id: u64) -> u64 {
    this_load().ttl(secs(10));
    world.load(id).await
}

/// Killed by: a last part as long as the whole.
#[tokio::test(start_paused = true)]
async fn a_lead_that_is_too_long_for_one_value_is_half_of_its_freshness() {
    let world = World::new().await;
    shorter(&world, 7).await;
    pass(secs(5) - millis(1)).await;
    shorter(&world, 7).await;
    settle().await;
    assert_eq!(world.loads(), 1);
    pass(millis(1)).await;
    shorter(&world, 7).await;
    world.until_loads(2).await;
}

#[hybrid_cached(ttl = 1000s, refresh_ahead = xfetch, key = "{id}", cache = world.cache)]
async fn by_chance(world: &World, id: u64) -> u64 {
    tokio::time::sleep(secs(1)).await;
    world.load(id).await
}

/// Hits, one for each of many keys, at one moment before their end: the share of them that starts a refresh is
/// `exp(-left / cost)`, as `now - cost·ln(rand) ≥ fresh_until` says.
///
/// Killed by: the sign of the article (`now + cost·ln(rand)`, which starts none before the end); one draw for each
/// entry instead of each hit; a second draw on the slow path.
#[tokio::test(start_paused = true)]
async fn xfetch_draws_by_the_formula() {
    for left in [0.5_f64, 1.0, 2.0, 3.0] {
        let world = World::new().await;
        const KEYS: u64 = 2_000;
        // All at once: each load takes a second.
        let loads: Vec<_> =
            (0..KEYS).map(|id| world.call(move |world| async move { by_chance(&world, id).await })).collect();
        for load in loads {
            load.await.unwrap();
        }
        pass(Duration::from_secs_f64(1000.0 - left)).await;
        world.hold();
        for id in 0..KEYS {
            at_once(by_chance(&world, id));
        }
        let (started, expected) = (world.cache.stats().refreshes as f64 / KEYS as f64, (-left).exp());
        let deviation = (expected * (1.0 - expected) / KEYS as f64).sqrt();
        println!("{left} costs before the end: {started:.3} of the hits start a refresh, by the formula {expected:.3}");
        assert!((started - expected).abs() < 4.5 * deviation, "{left}: {started} instead of {expected}");
        assert_eq!(world.cache.stats().stale_hits, 0);
    }
}

/// Six costs before the end, one hit in 400 starts the refresh. Killed by: drawing once for an entry.
#[tokio::test(start_paused = true)]
async fn each_hit_draws_for_itself() {
    let world = World::new().await;
    by_chance(&world, 7).await;
    pass(secs(994)).await;
    let mut hits = 0;
    while world.cache.stats().refreshes == 0 {
        at_once(by_chance(&world, 7));
        hits += 1;
        assert!(hits < 10_000, "no hit has started it");
    }
}
