//! `this_load().previous()`: the value that a load replaces.

use std::sync::{Arc, Mutex};

use hybridcache::{hybrid_cached, this_load};

use crate::world::{World, at_once, pass, secs, settle};

type Seen = Arc<Mutex<Vec<Option<String>>>>;

/// What its loads have seen.
#[derive(Clone)]
struct Source {
    world: World,
    seen: Seen,
    /// What they see once they are let go.
    seen_late: Seen,
}

impl Source {
    async fn new() -> Self {
        Self { world: World::new().await, seen: Seen::default(), seen_late: Seen::default() }
    }

    /// A load that returns what it replaces, as one does whose source says that nothing has changed.
    async fn load(&self, id: u64) -> String {
        let previous: Option<String> = this_load().previous();
        self.seen.lock().unwrap().push(previous.clone());
        let number = self.world.load(id).await;
        let late: Option<String> = this_load().previous();
        self.seen_late.lock().unwrap().push(late);
        previous.unwrap_or_else(|| format!("load {number}"))
    }

    #[hybrid_cached(ttl = 100s, fresh_for = 10s, key = "{id}", tags = ["t:{id}"], skip(self), cache = self.world.cache)]
    async fn kept(&self, id: u64) -> String {
        self.load(id).await
    }

    fn seen(&self) -> Vec<Option<String>> {
        std::mem::take(&mut self.seen.lock().unwrap())
    }

    fn seen_late(&self) -> Vec<Option<String>> {
        std::mem::take(&mut self.seen_late.lock().unwrap())
    }
}

fn first() -> Option<String> {
    Some("load 1".to_owned())
}

/// Killed by: no previous value; one that is stored with what was left of its freshness.
#[tokio::test(start_paused = true)]
async fn a_refresh_sees_what_it_replaces_and_what_it_returns_is_fresh() {
    let source = Source::new().await;
    source.kept(7).await;
    assert_eq!(source.seen(), [None], "nothing was cached");
    pass(secs(10)).await;
    assert_eq!(at_once(source.kept(7)), "load 1");
    source.world.until_loads(2).await;
    assert_eq!((source.seen(), source.seen_late()), (vec![first()], vec![None, first()]));
    pass(secs(10) - secs(1)).await;
    at_once(source.kept(7));
    settle().await;
    assert_eq!(source.world.loads(), 2, "it is fresh again");
    assert_eq!(hybridcache::refresh(source.kept(7)).await, "load 1");
    assert_eq!(source.seen(), [first()], "fresh values, too");
    assert_eq!(hybridcache::bypass(source.kept(7)).await, "load 4");
    assert_eq!(source.seen(), [None], "what bypasses reads nothing");
    pass(secs(100)).await;
    assert_eq!(source.kept(7).await, "load 5");
    assert_eq!(source.seen(), [None], "it has ended");
    source.kept_entry(7).expire().await.unwrap();
    source.seen_late();
    at_once(source.kept(7));
    source.world.until_loads(6).await;
    assert_eq!(source.seen(), [Some("load 5".to_owned())], "expired by hand is stale");
}

/// Killed by: a previous value that outlives an invalidation before the load, or during it.
#[tokio::test(start_paused = true)]
async fn there_is_none_after_an_invalidation() {
    for way in 0..4 {
        let source = Source::new().await;
        let invalidate = async || match way {
            0 => source.kept_entry(7).invalidate().await.unwrap(),
            1 => source.world.cache.invalidate_tag("t:7").await.unwrap(),
            2 => source.world.cache.clear().await.unwrap(),
            _ => source.kept_entry(7).put("put".to_owned()).await.unwrap(),
        };
        source.kept(7).await;
        pass(secs(10)).await;
        source.world.hold();
        at_once(source.kept(7));
        source.world.until_loads(2).await;
        assert_eq!(source.seen(), [None, first()], "{way}");
        invalidate().await;
        source.world.let_all_go();
        settle().await;
        assert_eq!(source.seen_late(), [None, None], "{way}: it was invalidated during the load");
        if way == 3 {
            assert_eq!(source.kept(7).await, "put");
            continue;
        }
        assert_eq!(source.kept(7).await, "load 3", "{way}: what it had returned did not come back");
        assert_eq!(source.seen(), [None], "{way}");
        invalidate().await;
        assert_eq!(source.kept(7).await, "load 4", "{way}");
        assert_eq!(source.seen(), [None], "{way}: it was invalidated before the load");
    }
}

#[hybrid_cached(ttl = 100s, fresh_for = 10s, key = "{id}", cache = world.cache)]
async fn of_another_type(world: &World, id: u64) -> u64 {
    let previous: Option<String> = this_load().previous();
    let same: Option<u64> = this_load().previous();
    world.log(format!("{previous:?} {same:?}"));
    world.load(id).await
}

/// Killed by: a value that is taken for one of another type.
#[tokio::test(start_paused = true)]
async fn a_value_of_another_type_is_none() {
    let world = World::new().await;
    of_another_type(&world, 7).await;
    pass(secs(10)).await;
    of_another_type(&world, 7).await;
    world.until_loads(2).await;
    assert_eq!(world.events()[0..3], ["None None", "load 7", "None Some(1)"]);
    assert_eq!(this_load().previous::<u64>(), None, "outside of a load");
}
