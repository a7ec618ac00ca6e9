//! `explain` and `info`: how a call was answered, and what is known of an entry.

use std::time::Duration;

use hybridcache::{CallReport, LoadError, NoCache, Source, Tier, bypass, explain, hybrid_cached, refresh};

use crate::world::{World, pass, secs, settle};

#[hybrid_cached(ttl = 60s, fresh_for = 10s, timeout = 30s, key = "value:{id}", name = "explained", tags = ["all", "id:{id}"], cache = world.cache)]
async fn value(world: &World, id: u64) -> Result<u64, LoadError> {
    let number = world.load(id).await;
    match world.is_failing() {
        true => Err(LoadError::Panicked("as asked".to_owned())),
        false if id == 13 => Err(NoCache(number)),
        false => Ok(number),
    }
}

#[hybrid_cached(ttl = 60s, key = "{id}", name = "outer", cache = world.cache)]
async fn outer(world: &World, id: u64) -> u64 {
    value(world, id).await.unwrap()
}

async fn explained(world: &World, id: u64) -> CallReport {
    explain(value(world, id)).await.1
}

fn about(report: &CallReport) -> (Source, bool, Option<Duration>, Option<Duration>) {
    (report.source(), report.is_stale(), report.age(), report.expires_in())
}

/// The states of an entry, one after the other. Killed by: a source that is named by anything but the outcome; times of another entry.
#[tokio::test(start_paused = true)]
async fn a_report_says_where_a_value_came_from_in_each_state() {
    let world = World::new().await;
    let absent = explained(&world, 7).await;
    assert_eq!(about(&absent), (Source::Load, false, Some(secs(0)), Some(secs(60))));
    assert_eq!((absent.key(), absent.function()), ("value:7", "explained"));
    pass(secs(4)).await;
    let fresh = explained(&world, 7).await;
    assert_eq!(about(&fresh), (Source::Memory, false, Some(secs(4)), Some(secs(56))));
    pass(secs(6)).await;
    world.hold();
    for _ in 0..2 {
        let stale = explained(&world, 7).await;
        assert_eq!(about(&stale), (Source::Memory, true, Some(secs(10)), Some(secs(50))));
    }
    world.let_all_go();
    settle().await;
    pass(secs(60)).await;
    let gone = explained(&world, 7).await;
    assert_eq!(about(&gone), (Source::Load, false, Some(secs(0)), Some(secs(60))));
    assert_eq!(about(&explain(bypass(value(&world, 7))).await.1), (Source::Bypassed, false, None, None));
    assert_eq!(about(&bypass(explain(value(&world, 7))).await.1), (Source::Bypassed, false, None, None));
    let refreshed = explain(refresh(value(&world, 7))).await.1;
    assert_eq!(about(&refreshed), (Source::Load, false, Some(secs(0)), Some(secs(60))));
    assert_eq!(about(&explained(&world, 13).await), (Source::Load, false, None, None), "it is not stored");
    world.fail(true);
    let (result, failed) = explain(value(&world, 8)).await;
    assert!(result.is_err());
    assert_eq!(about(&failed), (Source::Load, false, None, None));
}

/// Killed by: the time of the load for the time of the call.
#[tokio::test(start_paused = true)]
async fn a_call_that_joined_says_so_and_how_long_it_waited() {
    let world = World::new().await;
    world.hold();
    let leader = world.call(|world| async move { explained(&world, 7).await });
    world.until_loads(1).await;
    pass(secs(1)).await;
    let joiner = world.call(|world| async move { explained(&world, 7).await });
    settle().await;
    pass(secs(2)).await;
    world.let_all_go();
    let (leader, joiner) = (leader.await.unwrap(), joiner.await.unwrap());
    assert_eq!((leader.source(), leader.took()), (Source::Load, secs(3)));
    assert_eq!((joiner.source(), joiner.took()), (Source::Joined, secs(2)));
    assert_eq!(
        (joiner.age(), joiner.expires_in()),
        (Some(secs(3)), Some(secs(60))),
        "the load began 3 s ago, and ended now"
    );
}

/// Killed by: the last call; a call that a load makes.
#[tokio::test(start_paused = true)]
async fn a_report_is_of_the_first_outermost_call() {
    let world = World::new().await;
    value(&world, 8).await.unwrap();
    let two = async {
        value(&world, 8).await.unwrap();
        value(&world, 9).await.unwrap();
    };
    let ((), report) = explain(two).await;
    assert_eq!((report.source(), report.key()), (Source::Memory, "value:8"));
    let (_, report) = explain(outer(&world, 7)).await;
    assert_eq!((report.source(), report.function()), (Source::Load, "outer"));
    let (_, report) = explain(async {}).await;
    assert_eq!((report.source(), report.key()), (Source::Bypassed, ""));
}

/// Killed by: counting it as a hit; loading; times that an expiration does not change.
#[tokio::test(start_paused = true)]
async fn info_says_what_is_known_and_changes_nothing() {
    let world = World::new().await;
    let entry = value_entry(&world, 7);
    assert!(entry.info().await.is_none());
    value(&world, 7).await.unwrap();
    pass(secs(4)).await;
    let before = world.cache.stats();
    let info = entry.info().await.unwrap();
    assert_eq!((info.age(), info.fresh_for(), info.expires_in()), (secs(4), secs(6), secs(56)));
    assert_eq!((info.tier(), info.bytes(), info.tags()), (Tier::Memory, 8, &["all".to_owned(), "id:7".to_owned()][..]));
    assert_eq!(world.cache.stats(), before);
    entry.expire().await.unwrap();
    let expired = entry.info().await.unwrap();
    assert_eq!((expired.fresh_for(), expired.expires_in()), (secs(0), secs(56)));
    entry.invalidate().await.unwrap();
    assert!(entry.info().await.is_none());
    assert_eq!(world.loads(), 1);
}
