//! Functions that write: what is cached of it is gone when they return.

use std::thread;

use async_trait::async_trait;
use hybridcache::{NoCache, hybrid_cached, hybrid_evict};
use tokio::runtime::Builder;

use crate::world::{World, at_once, poll_once};

#[hybrid_cached(ttl = 60s, key = "{id}", tags = ["org:{org}"], cache = world.cache)]
async fn user(world: &World, id: u64, org: &str) -> u64 {
    world.load(id).await
}

#[hybrid_cached(ttl = 60s, key = (name), cache = world.cache)]
async fn named(world: &World, name: String) -> u64 {
    world.load(name).await
}

/// What is cached of users 1 to 3 and of the name.
async fn cached(world: &World) -> [bool; 4] {
    [
        user_entry(world, 1, "a").get().await.is_some(),
        user_entry(world, 2, "a").get().await.is_some(),
        user_entry(world, 3, "b").get().await.is_some(),
        named_entry(world, "x".to_owned()).get().await.is_some(),
    ]
}

async fn filled() -> World {
    let world = World::new().await;
    fill(&world).await;
    world
}

async fn fill(world: &World) {
    user(world, 1, "a").await;
    user(world, 2, "a").await;
    user(world, 3, "b").await;
    named(world, "x".to_owned()).await;
    world.events();
}

struct Order {
    user: u64,
    org: String,
    name: String,
}

fn order() -> Order {
    Order { user: 1, org: "a".to_owned(), name: "x".to_owned() }
}

#[hybrid_evict(user(world, order.user, &order.org), named(world, order.name.clone()))]
async fn two_entries(world: &World, order: Order) -> usize {
    let Order { org, name, .. } = order;
    world.log("written");
    org.len() + name.len()
}

/// Killed by: an eviction of nothing; of the first target alone.
#[tokio::test(start_paused = true)]
async fn the_entries_that_are_named_are_gone_and_no_others() {
    let world = filled().await;
    assert_eq!(two_entries(&world, order()).await, 2);
    assert_eq!(cached(&world).await, [false, true, true, false]);
    let stats = world.cache.stats();
    assert_eq!((stats.invalidations, stats.redis_errors), (2, 0), "each is counted once");
}

#[hybrid_evict(tags = ["org:{order.org}"], cache = world.cache)]
async fn a_group(world: &World, order: Order) {
    world.log(order.name);
}

/// Killed by: a tag that is given to the cache as it is escaped in keys.
#[tokio::test(start_paused = true)]
async fn tags_are_those_that_cached_functions_give() {
    let world = filled().await;
    a_group(&world, order()).await;
    assert_eq!(cached(&world).await, [false, false, true, true]);
    for org in ["x:y", "%41", "ü {é}", "a/b\n", "", "{org}"] {
        user(&world, 9, org).await;
        a_group(&world, Order { org: org.to_owned(), ..order() }).await;
        assert_eq!(user_entry(&world, 9, org).get().await, None, "{org:?}");
    }
}

/// Killed by: evicting before the body.
#[tokio::test(start_paused = true)]
async fn what_is_loaded_while_the_function_writes_is_gone_too() {
    #[hybrid_evict(user(world, 1, "a"))]
    async fn write(world: &World) {
        // From the time before the write: that is what comes now.
        user(world, 1, "a").await;
        world.log("written");
    }
    let world = filled().await;
    user_entry(&world, 1, "a").invalidate().await.unwrap();
    write(&world).await;
    assert_eq!(world.events(), ["load 1", "written"]);
    assert_eq!(cached(&world).await, [false, true, true, true]);
}

type Fallible<T> = Result<T, String>;

#[hybrid_evict(user(world, 1, "a"))]
async fn result(world: &World, fails: bool) -> Fallible<u64> {
    if fails {
        return Err(world.loads().to_string());
    }
    Ok(7)
}

/// Killed by: telling a `Result` by how it is spelled; an eviction after every result.
#[tokio::test(start_paused = true)]
async fn an_error_evicts_nothing() {
    let world = filled().await;
    assert_eq!(result(&world, true).await, Err("4".to_owned()));
    assert_eq!(cached(&world).await, [true; 4]);
    assert_eq!(result(&world, false).await, Ok(7));
    assert_eq!(cached(&world).await, [false, true, true, true]);
}

/// Killed by: `always` that is taken for `ok`.
#[tokio::test(start_paused = true)]
async fn an_error_evicts_where_that_is_asked_for() {
    #[hybrid_evict(user(world, 1, "a"), when = always)]
    async fn write(world: &World) -> anyhow::Result<u64> {
        Ok(world.loads().to_string().parse::<u64>()? + "none".parse::<u64>()?)
    }
    let world = filled().await;
    assert!(write(&world).await.is_err());
    assert_eq!(cached(&world).await, [false, true, true, true]);
}

/// As `HashMap::insert` says that nothing was there before. Killed by: taking `None` for a failure.
#[tokio::test(start_paused = true)]
async fn none_is_no_error() {
    #[hybrid_evict(user(world, 1, "a"), when = ok)]
    async fn insert(world: &World) -> Option<u64> {
        world.log("written");
        None
    }
    let world = filled().await;
    assert_eq!(insert(&world).await, None);
    assert_eq!(cached(&world).await, [false, true, true, true]);
}

#[hybrid_evict(user(&world, 1, "a"))]
async fn held(world: World, panics: bool) -> Fallible<u64> {
    let number = world.load("write").await;
    assert!(!panics, "the write panics");
    Ok(number)
}

/// The write may have happened. Killed by: an eviction that is dropped with the function.
#[tokio::test(start_paused = true)]
async fn a_caller_that_goes_away_during_the_write_leaves_no_old_value() {
    let world = filled().await;
    world.hold();
    let mut call = Box::pin(held(world.clone(), false));
    assert!(poll_once(&mut call).is_pending());
    assert_eq!(cached(&world).await, [true; 4]);
    drop(call);
    assert_eq!(cached(&world).await, [false, true, true, true]);
}

/// Killed by: gathering the eviction of a boxed function before it is polled.
#[tokio::test(start_paused = true)]
async fn a_function_that_never_began_evicts_nothing() {
    let world = filled().await;
    drop(held(world.clone(), false));
    assert_eq!(cached(&world).await, [true; 4]);
    let users = Users { world, tenant: 1 };
    users.name(1).await;
    drop(users.rename(1));
    assert!(users.is_cached(1).await);
}

/// Killed by: an eviction that does not happen while its function unwinds.
#[tokio::test(start_paused = true)]
async fn a_panic_evicts_and_goes_on() {
    let world = filled().await;
    assert!(tokio::spawn(held(world.clone(), true)).await.is_err());
    assert_eq!(cached(&world).await, [false, true, true, true]);
}

/// Nothing waits in a cache without Redis, so it needs no runtime. Killed by: spawning in any case.
#[test]
fn outside_a_runtime_it_evicts_in_place() {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let world = runtime.block_on(filled());
    assert_eq!(at_once(result(&world, false)), Ok(7));
    assert_eq!(runtime.block_on(cached(&world)), [false, true, true, true]);

    runtime.block_on(fill(&world));
    world.hold();
    let mut call = Box::pin(held(world.clone(), false));
    assert!(poll_once(&mut call).is_pending());
    thread::spawn(move || drop(call)).join().unwrap();
    assert_eq!(runtime.block_on(cached(&world)), [false, true, true, true]);
}

/// A load that writes, which is its own business: below, `#[hybrid_cached]` runs what stands above it.
#[hybrid_evict(user(world, 1, "a"))]
#[hybrid_cached(ttl = 60s, key = "{id}", cache = world.cache)]
async fn get_or_create(world: &World, id: u64) -> Result<u64, String> {
    if id == 0 {
        return Err(NoCache(id));
    }
    Ok(world.load("create").await)
}

/// Killed by: a `NoCache` that is not found in the body.
#[tokio::test(start_paused = true)]
async fn beside_a_cached_function_only_its_loads_evict() {
    let world = filled().await;
    let created = get_or_create(&world, 5).await;
    assert_eq!(cached(&world).await, [false, true, true, true]);
    user(&world, 1, "a").await;
    assert_eq!(at_once(get_or_create(&world, 5)), created, "a hit");
    assert_eq!(cached(&world).await, [true; 4]);
    assert_eq!(get_or_create(&world, 0).await, Ok(0));
    assert_eq!(cached(&world).await, [false, true, true, true]);
    assert_eq!(get_or_create_entry(&world, 0).get().await, None);
}

#[derive(Clone)]
struct Users {
    world: World,
    tenant: u64,
}

#[async_trait]
trait Rename: Send + Sync {
    async fn rename(&self, id: u64) -> Result<u64, String>;
    async fn rename_both(self: Box<Self>, pair: (u64, u64)) -> u64;
}

impl Users {
    #[hybrid_cached(ttl = 60s, key = "{self.tenant}:{id}", tags = ["t:{self.tenant}"], cache = self.world.cache)]
    async fn name(&self, id: u64) -> u64 {
        self.world.load(id).await
    }

    #[hybrid_evict(tags = ["t:{self.tenant}"], cache = self.world.cache)]
    async fn rename_all(self) -> World {
        self.world
    }

    async fn is_cached(&self, id: u64) -> bool {
        self.name_entry(id).get().await.is_some()
    }
}

#[async_trait]
impl Rename for Users {
    #[hybrid_evict(self.name(id))]
    async fn rename(&self, id: u64) -> Result<u64, String> {
        if id == 0 { Err("nobody".to_owned()) } else { Ok(self.tenant + id) }
    }

    #[hybrid_evict(Users::name(&self, a), self.name(b))]
    async fn rename_both(self: Box<Self>, (a, b): (u64, u64)) -> u64 {
        a + b
    }
}

#[tokio::test(start_paused = true)]
async fn methods_evict_also_under_async_trait() {
    let world = World::new().await;
    let (users, other) = (Users { world: world.clone(), tenant: 1 }, Users { world, tenant: 2 });
    for id in 0..4 {
        users.name(id).await;
        other.name(id).await;
    }
    users.rename(0).await.unwrap_err();
    assert_eq!(users.rename(1).await, Ok(2));
    assert_eq!(Box::new(users.clone()).rename_both((2, 3)).await, 5);
    let mut left = Vec::new();
    for id in 0..4 {
        assert!(other.is_cached(id).await);
        left.push(users.is_cached(id).await);
    }
    assert_eq!(left, [true, false, false, false]);
    users.clone().rename_all().await;
    assert!(!users.is_cached(0).await);
    assert!(other.is_cached(0).await);
}
