//! How long one value lives: by its function's options, and by what its load says.

use std::time::{Duration, SystemTime};

use hybridcache::{LoadError, hybrid_cached, this_load};

use crate::world::{World, at_once, millis, pass, secs, settle};

#[hybrid_cached(ttl = 100s, fresh_for = 80%, key = "{id}", cache = world.cache)]
async fn shares(world: &World, id: u64) -> u64 {
    world.load(id).await
}

const TTL: Duration = Duration::from_secs(100);

#[hybrid_cached(ttl = TTL, fresh_for = 80%, key = "{id}", cache = world.cache)]
async fn shares_of_a_constant(world: &World, id: u64) -> u64 {
    world.load(id).await
}

#[hybrid_cached(ttl = ttl, fresh_for = 80%, key = "{id}", cache = world.cache)]
async fn shares_of_an_argument(world: &World, id: u64, ttl: Duration) -> u64 {
    world.load(id).await
}

/// Killed by: a share that is ignored: the value would be fresh until its `ttl`.
#[tokio::test(start_paused = true)]
async fn fresh_for_is_a_share_of_ttl() {
    let world = World::new().await;
    shares(&world, 1).await;
    shares_of_a_constant(&world, 2).await;
    shares_of_an_argument(&world, 3, TTL).await;
    pass(secs(80) - millis(1)).await;
    assert_eq!(at_once(shares(&world, 1)), 1);
    assert_eq!(at_once(shares_of_a_constant(&world, 2)), 2);
    assert_eq!(at_once(shares_of_an_argument(&world, 3, TTL)), 3);
    settle().await;
    assert_eq!(world.loads(), 3, "fresh");
    pass(millis(1)).await;
    at_once(shares(&world, 1));
    at_once(shares_of_a_constant(&world, 2));
    at_once(shares_of_an_argument(&world, 3, TTL));
    world.until_loads(6).await;
}

#[hybrid_cached(ttl = 1h, fresh_for = 10m, none_ttl = 30s, key = "{id}", cache = world.cache)]
async fn maybe(world: &World, id: u64) -> Option<u64> {
    let number = world.load(id).await;
    (id != 0).then_some(number)
}

#[hybrid_cached(ttl = 1h, none_ttl = 30s, key = "{id}", cache = world.cache)]
async fn fallible(world: &World, id: u64) -> Result<Option<u64>, LoadError> {
    let number = world.load(id).await;
    Ok((id != 0).then_some(number))
}

/// Killed by: the `ttl` of other values for `None`; `none_ttl` for all values.
#[tokio::test(start_paused = true)]
async fn an_absent_value_lives_as_long_as_none_ttl_says() {
    let world = World::new().await;
    assert_eq!((maybe(&world, 0).await, maybe(&world, 1).await), (None, Some(2)));
    assert_eq!((fallible(&world, 0).await.unwrap(), fallible(&world, 1).await.unwrap()), (None, Some(4)));
    pass(secs(30) - millis(1)).await;
    assert_eq!((at_once(maybe(&world, 0)), at_once(fallible(&world, 0)).unwrap()), (None, None));
    assert_eq!(world.loads(), 4);
    pass(millis(1)).await;
    assert_eq!((at_once(maybe(&world, 1)), at_once(fallible(&world, 1)).unwrap()), (Some(2), Some(4)));
    assert_eq!((maybe_entry(&world, 0).get().await, fallible_entry(&world, 0).get().await), (None, None));
    assert_eq!((maybe(&world, 0).await, fallible(&world, 0).await.unwrap()), (None, None));
    assert_eq!(world.loads(), 6);
}

/// Killed by: a put that takes `ttl` for every value.
#[tokio::test(start_paused = true)]
async fn a_put_has_the_lifetimes_of_a_load() {
    let world = World::new().await;
    maybe_entry(&world, 0).put(None).await.unwrap();
    maybe_entry(&world, 1).put(Some(9)).await.unwrap();
    shares_entry(&world, 2).put(9).await.unwrap();
    pass(secs(30)).await;
    assert_eq!((maybe_entry(&world, 0).get().await, maybe_entry(&world, 1).get().await), (None, Some(Some(9))));
    pass(secs(50)).await;
    assert_eq!(at_once(shares(&world, 2)), 9);
    world.until_loads(1).await;
}

#[hybrid_cached(ttl = 1h, none_ttl = 0s, key = "{id}", cache = world.cache)]
async fn present_only(world: &World, id: u64) -> Option<u64> {
    let number = world.load(id).await;
    (id != 0).then_some(number)
}

/// Killed by: storing a `None` for a millisecond, or for the `ttl`.
#[tokio::test(start_paused = true)]
async fn absent_values_are_not_stored_where_none_ttl_is_zero() {
    let world = World::new().await;
    assert_eq!((present_only(&world, 0).await, present_only(&world, 0).await), (None, None));
    assert_eq!(world.loads(), 2);
    assert_eq!((present_only(&world, 1).await, present_only(&world, 1).await), (Some(3), Some(3)));
    present_only_entry(&world, 1).put(None).await.unwrap();
    assert_eq!(present_only_entry(&world, 1).get().await, None, "the older value is gone");
}

#[hybrid_cached(ttl = 1h, min_cost = 300ms, key = "{id}", cache = world.cache)]
async fn costly(world: &World, id: u64, takes: u64) -> u64 {
    tokio::time::sleep(millis(takes)).await;
    world.load(id).await
}

/// Killed by: storing whatever a load gives; a bound that excludes its own value.
#[tokio::test(start_paused = true)]
async fn what_a_quick_load_gives_is_not_stored() {
    let world = World::new().await;
    assert_eq!((costly(&world, 1, 299).await, costly(&world, 1, 299).await), (1, 2));
    assert_eq!((costly(&world, 1, 300).await, costly(&world, 1, 299).await), (3, 3));
    costly_entry(&world, 2).put(9).await.unwrap();
    assert_eq!(costly(&world, 2, 0).await, 9, "a put has no cost");
}

/// What the load of `said` says.
#[derive(Clone, Copy)]
enum Says {
    Ttl(u64),
    FreshFor(u64),
    Both(u64, u64),
    ExpiresIn(u64),
    Expired,
    NotStored,
    Several,
    TtlAndThenWaits(u64),
}

#[hybrid_cached(ttl = 1h, fresh_for = 80%, key = "{id}", cache = world.cache)]
async fn said(world: &World, id: u64, says: Says) -> u64 {
    let number = world.load(id).await;
    match says {
        Says::Ttl(ttl) => this_load().ttl(secs(ttl)),
        Says::FreshFor(fresh_for) => this_load().fresh_for(secs(fresh_for)),
        Says::Both(ttl, fresh_for) => {
            this_load().ttl(secs(ttl));
            this_load().fresh_for(secs(fresh_for));
        }
        Says::ExpiresIn(ttl) => this_load().expires_at(SystemTime::now() + secs(ttl)),
        Says::Expired => this_load().expires_at(SystemTime::UNIX_EPOCH),
        Says::NotStored => this_load().no_cache(),
        Says::Several => [50, 20, 70].map(|ttl| this_load().ttl(secs(ttl))).into_iter().collect(),
        Says::TtlAndThenWaits(wait) => {
            this_load().ttl(secs(20));
            tokio::time::sleep(secs(wait)).await;
        }
    }
    number
}

/// A value is fresh for `fresh` seconds, and gone after `ttl`.
async fn lives(says: Says, fresh: u64, ttl: u64) {
    let world = World::new().await;
    assert_eq!(said(&world, 7, says).await, 1);
    pass(secs(fresh) - millis(2)).await;
    assert_eq!(at_once(said(&world, 7, says)), 1);
    settle().await;
    assert_eq!(world.loads(), 1, "it is fresh");
    world.hold();
    if ttl > fresh {
        pass(millis(2)).await;
        assert_eq!(at_once(said(&world, 7, says)), 1);
        world.until_loads(2).await;
        pass(secs(ttl - fresh) - millis(2)).await;
        assert_eq!(said_entry(&world, 7).get().await, Some(1), "it is stale");
    }
    pass(millis(2)).await;
    assert_eq!(said_entry(&world, 7).get().await, None, "it is gone");
}

/// Killed by: each method that does nothing; a percentage that stays one of the attribute's `ttl`; a `ttl` of the load
/// that is longer than the attribute's; the last one instead of the shortest; counting from the end of the load.
#[tokio::test(start_paused = true)]
async fn a_load_says_how_long_its_value_lives() {
    lives(Says::Ttl(100), 80, 100).await;
    lives(Says::Ttl(10_000), 2_880, 3_600).await;
    lives(Says::FreshFor(100), 100, 3_600).await;
    lives(Says::FreshFor(3_000), 3_000, 3_600).await;
    lives(Says::FreshFor(10_000), 3_600, 3_600).await;
    lives(Says::Both(100, 10), 10, 100).await;
    lives(Says::Both(100, 1_000), 100, 100).await;
    lives(Says::ExpiresIn(100), 80, 100).await;
    lives(Says::Several, 16, 20).await;
    lives(Says::TtlAndThenWaits(5), 12, 15).await;
}

/// Killed by: storing it for a millisecond; a time that has passed taken for none.
#[tokio::test(start_paused = true)]
async fn a_load_says_that_its_value_is_not_stored() {
    for says in [Says::Expired, Says::NotStored, Says::Ttl(0), Says::TtlAndThenWaits(20)] {
        let world = World::new().await;
        assert_eq!((said(&world, 7, says).await, said(&world, 7, says).await), (1, 2));
        assert_eq!(said_entry(&world, 7).get().await, None);
    }
}

/// Killed by: what the load of a refresh says has no effect.
#[tokio::test(start_paused = true)]
async fn a_refresh_says_it_too() {
    let world = World::new().await;
    said(&world, 7, Says::Both(100, 10)).await;
    pass(secs(10)).await;
    assert_eq!(at_once(said(&world, 7, Says::Ttl(50))), 1);
    world.until_loads(2).await;
    pass(secs(50) - millis(1)).await;
    assert_eq!(said_entry(&world, 7).get().await, Some(2));
    pass(millis(1)).await;
    assert_eq!(said_entry(&world, 7).get().await, None);
    hybridcache::refresh(said(&world, 7, Says::Ttl(20))).await;
    hybridcache::bypass(said(&world, 7, Says::Ttl(1))).await;
    pass(secs(20) - millis(1)).await;
    assert_eq!(said_entry(&world, 7).get().await, Some(3));
    pass(millis(1)).await;
    assert_eq!(said_entry(&world, 7).get().await, None);
}

#[hybrid_cached(ttl = 1h, key = "{id}", cache = world.cache)]
async fn outer(world: &World, id: u64) -> u64 {
    let spoken_of = this_load();
    let inner = said(world, id, Says::Ttl(10)).await;
    tokio::spawn(async { this_load().no_cache() }).await.unwrap();
    spoken_of.ttl(secs(30));
    inner
}

/// Killed by: speaking of the outermost load; reaching into tasks.
#[tokio::test(start_paused = true)]
async fn it_is_the_innermost_load_of_this_task() {
    let world = World::new().await;
    this_load().no_cache();
    outer(&world, 7).await;
    pass(secs(10)).await;
    assert_eq!((said_entry(&world, 7).get().await, outer_entry(&world, 7).get().await), (None, Some(1)));
    pass(secs(20)).await;
    assert_eq!(outer_entry(&world, 7).get().await, None);
    assert_eq!(format!("{:?}", this_load()), "ThisLoad { is_load: false }");
}

#[hybrid_cached(ttl = 100s, fresh_for = 50s, jitter = 20%, key = "{id}", cache = world.cache)]
async fn jittered(world: &World, id: u64) -> u64 {
    world.load(id).await
}

#[hybrid_cached(ttl = 100s, jitter = 20s, key = "{id}", cache = world.cache)]
async fn jittered_by_seconds(world: &World, id: u64) -> u64 {
    world.load(id).await
}

/// How many entries end in each of the last seconds of their `ttl`: in `WINDOW` seconds before 100.
async fn ends<F: AsyncFn(u64) -> bool>(count: u64, is_gone: F) -> Vec<u64> {
    let (mut left, mut ends): (Vec<u64>, _) = ((0..count).collect(), Vec::new());
    pass(secs(100 - WINDOW)).await;
    for _ in 0..=WINDOW {
        let before = left.len();
        let mut still = Vec::new();
        for id in left {
            if !is_gone(id).await {
                still.push(id);
            }
        }
        ends.push((before - still.len()) as u64);
        left = still;
        pass(secs(1)).await;
    }
    assert_eq!(left.len(), 0, "none lives longer than its `ttl`");
    ends
}

const WINDOW: u64 = 20;

fn assert_evenly(ends: &[u64], count: u64) {
    assert_eq!(ends[0], 0, "none ends before the window: {ends:?}");
    let (mean, peak) = (count / WINDOW, *ends.iter().max().unwrap());
    println!("{count} entries end over {WINDOW} s, at most {peak} in a second; without jitter all in one");
    assert!(ends[1..].iter().all(|ended| *ended > mean * 7 / 10) && peak < mean * 13 / 10, "evenly: {ends:?}");
}

/// 10,000 entries that are filled at once end over the window of 20 seconds, never later than their `ttl`. Without jitter
/// all of them would end in one second: a peak of 10,000 loads a second. With it, it is about 550.
///
/// Killed by: no jitter; a longer life; one draw for all entries.
#[tokio::test(start_paused = true)]
async fn what_was_filled_together_ends_apart() {
    let world = &World::new().await;
    for id in 0..10_000 {
        jittered(world, id).await;
    }
    let ended = ends(10_000, async |id| jittered_entry(world, id).get().await.is_none()).await;
    assert_evenly(&ended, 10_000);
    for id in 0..1_000 {
        jittered_by_seconds(world, id).await;
        jittered_by_seconds_entry(world, 1_000 + id).put(id).await.unwrap();
    }
    let ended = ends(2_000, async |id| jittered_by_seconds_entry(world, id).get().await.is_none()).await;
    assert_evenly(&ended, 2_000);
}

/// Killed by: a `fresh_for` without jitter; two draws for one entry.
#[tokio::test(start_paused = true)]
async fn freshness_is_shortened_as_the_lifetime_is() {
    let world = World::new().await;
    for id in 0..20 {
        jittered(&world, id).await;
    }
    world.hold();
    let mut fresh = [0_i64; 20];
    let mut lived = [0; 20];
    let entry = |id| jittered_entry(&world, id);
    for second in 1..=101 {
        pass(secs(1)).await;
        for id in 0..20 {
            if fresh[id as usize] == 0 && entry(id).get().await.is_some() {
                let before = world.loads();
                at_once(jittered(&world, id));
                settle().await;
                fresh[id as usize] = if world.loads() > before { second } else { 0 };
            }
            if lived[id as usize] == 0 && entry(id).get().await.is_none() {
                lived[id as usize] = second;
            }
        }
    }
    for (fresh, lived) in fresh.iter().zip(lived) {
        assert!((40..=50).contains(fresh) && (80..=100).contains(&lived), "{fresh} {lived}");
        assert!((2 * fresh - lived).abs() <= 2, "both by the same share: {fresh} {lived}");
    }
}
