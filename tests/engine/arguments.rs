//! What a load owns of its arguments, and when they are cloned for it.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use hybridcache::hybrid_cached;

use crate::world::{World, at_once, pass, secs, settle};

/// Counts its clones.
struct Db {
    world: World,
    clones: Arc<AtomicU64>,
}

impl Clone for Db {
    fn clone(&self) -> Self {
        self.clones.fetch_add(1, SeqCst);
        Self { world: self.world.clone(), clones: self.clones.clone() }
    }
}

impl Db {
    async fn new() -> Self {
        Self { world: World::new().await, clones: Arc::default() }
    }

    /// Clones since the last look.
    fn clones(&self) -> u64 {
        self.clones.swap(0, SeqCst)
    }
}

#[hybrid_cached(ttl = 60s, fresh_for = 10s, key = "{id}", cache = db.world.cache)]
async fn of_db(db: &Db, id: u64) -> u64 {
    db.world.load(id).await
}

impl Db {
    #[hybrid_cached(ttl = 60s, skip(self), cache = self.world.cache)]
    async fn by_method(&self, id: u64) -> u64 {
        self.world.load(id).await
    }
}

#[tokio::test(start_paused = true)]
async fn arguments_are_cloned_for_a_load_and_never_on_a_hit() {
    let db = Db::new().await;
    of_db(&db, 7).await;
    assert_eq!(db.clones(), 1);
    for _ in 0..10 {
        of_db(&db, 7).await;
    }
    assert_eq!(db.clones(), 0);
    db.by_method(7).await;
    assert_eq!(db.clones(), 1);
    db.by_method(7).await;
    assert_eq!(db.clones(), 0);
    pass(secs(10)).await;
    db.world.hold();
    for _ in 0..10 {
        of_db(&db, 7).await;
    }
    settle().await;
    assert_eq!(db.clones(), 1, "one for the refresh");
    of_db_entry(&db, 7).put(1).await.unwrap();
    of_db_entry(&db, 7).get().await;
    assert_eq!(db.clones(), 0);
}

#[tokio::test(start_paused = true)]
async fn joining_a_load_clones_nothing() {
    let db = Db::new().await;
    db.world.hold();
    let mut leader = Box::pin(of_db(&db, 7));
    assert!(crate::world::poll_once(&mut leader).is_pending());
    let mut joined: Vec<_> = (0..10).map(|_| Box::pin(of_db(&db, 7))).collect();
    for joined in &mut joined {
        assert!(crate::world::poll_once(joined).is_pending());
    }
    settle().await;
    assert_eq!(db.world.loads(), 1);
    assert_eq!(db.clones(), 1, "of one load");
    db.world.let_all_go();
    for caller in joined {
        assert_eq!(caller.await, 1);
    }
}

type Map = BTreeMap<String, Vec<u64>>;

#[hybrid_cached(ttl = 60s, skip(world, map, maybe, boxed), cache = world.cache)]
#[allow(clippy::too_many_arguments, reason = "one of each kind")]
async fn of_all_kinds(
    world: &World,
    text: &str,
    slice: &[u64],
    strings: &[String],
    array: &[u8; 3],
    shared: &Arc<str>,
    constant: &'static str,
    owned: String,
    cow: Cow<'static, str>,
    map: &Map,
    maybe: Option<String>,
    boxed: Box<dyn Fn(u64) -> u64 + Send>,
) -> String {
    world.load(text).await;
    let text: &str = text;
    let slice: &[u64] = slice;
    let shared: &Arc<str> = shared;
    format!("{text} {slice:?} {strings:?} {array:?} {shared} {constant} {owned} {cow} {map:?} {maybe:?} {}", boxed(1))
}

#[tokio::test(start_paused = true)]
async fn the_body_sees_arguments_as_they_are_written() {
    let world = World::new().await;
    let map = Map::from([("m".to_owned(), vec![1])]);
    for _ in 0..2 {
        let (text, strings, shared) = ("a".to_owned(), vec!["s".to_owned()], Arc::from("arc"));
        let value = of_all_kinds(
            &world,
            &text,
            &[1, 2],
            &strings,
            &[1, 2, 3],
            &shared,
            "static",
            "owned".to_owned(),
            Cow::Borrowed("cow"),
            &map,
            None,
            Box::new(|number| number + 1),
        );
        assert_eq!(value.await, r#"a [1, 2] ["s"] [1, 2, 3] arc static owned cow {"m": [1]} None 2"#);
    }
    assert_eq!(world.loads(), 1);
}

/// What an argument borrows may be gone before its load ends.
#[tokio::test(start_paused = true)]
async fn a_load_outlives_what_its_arguments_borrow() {
    let db = Db::new().await;
    db.world.hold();
    {
        let borrowed = db.clone();
        let mut leader = Box::pin(of_db(&borrowed, 7));
        assert!(crate::world::poll_once(&mut leader).is_pending());
    }
    settle().await;
    db.world.let_all_go();
    settle().await;
    assert_eq!(at_once(of_db(&db, 7)), 1);
}

#[hybrid_cached(ttl = 60s, key = name.into_bytes(), cache = world.cache)]
async fn consumed_by_the_key(world: &World, name: String) -> String {
    world.load(&name).await;
    name
}

#[hybrid_cached(ttl = 60s, key = (names.len(), names.first().cloned()), cache = world.cache)]
async fn computed(world: &World, names: Vec<String>) -> Vec<String> {
    world.load(names.join(" ")).await;
    names
}

#[tokio::test(start_paused = true)]
async fn a_key_leaves_the_arguments_to_the_load() {
    let world = World::new().await;
    for _ in 0..2 {
        assert_eq!(consumed_by_the_key(&world, "a".into()).await, "a");
        assert_eq!(computed(&world, vec!["a".into(), "b".into()]).await, ["a", "b"]);
    }
    assert_eq!(world.events(), ["load a", "load a b"]);
}

#[hybrid_cached(ttl = 60s, key = "{first}:{second}", cache = world.cache)]
async fn with_lifetimes<'a, 'b>(world: &'a World, first: &'b str, second: &'b str) -> String
where
    'a: 'b,
{
    world.load(first).await;
    first.to_owned() + second
}

#[tokio::test(start_paused = true)]
async fn named_lifetimes() {
    let world = World::new().await;
    for _ in 0..2 {
        assert_eq!(with_lifetimes(&world, "a", &String::from("b")).await, "ab");
    }
    assert_eq!(world.loads(), 1);
    assert_eq!(with_lifetimes_entry(&world, "a", "b").get().await.as_deref(), Some("ab"));
}

/// A value that counts its clones: a caller gets one of its own, and no more are made.
#[derive(Debug)]
struct Value(Arc<AtomicU64>);

impl Clone for Value {
    fn clone(&self) -> Self {
        self.0.fetch_add(1, SeqCst);
        Self(self.0.clone())
    }
}

#[hybrid_cached(ttl = 60s, key = "{id}", tier = memory, cache = world.cache)]
async fn counted(world: &World, id: u64, clones: &Arc<AtomicU64>) -> Value {
    world.load(id).await;
    Value(clones.clone())
}

#[tokio::test(start_paused = true)]
async fn a_hit_clones_the_value_once() {
    let world = World::new().await;
    let clones = Arc::new(AtomicU64::new(0));
    counted(&world, 7, &clones).await;
    clones.store(0, SeqCst);
    for _ in 0..5 {
        counted(&world, 7, &clones).await;
    }
    assert_eq!(clones.load(SeqCst), 5);
}

/// A hit pays for the future's size: it holds the arguments and what it waits for, not what a load needs.
#[tokio::test(start_paused = true)]
async fn the_future_of_a_call_is_small() {
    let db = Db::new().await;
    let size = size_of_val(&of_db(&db, 7));
    assert!(size <= 128, "{size} bytes");
}

#[hybrid_cached(ttl = 60s, skip(world), cache = world.cache)]
async fn borrowed_opaque(world: &World, value: &(impl hybridcache::CacheKey + Clone + Send + Sync + 'static)) -> u64 {
    world.load(value.type_id_name()).await
}

trait TypeIdName {
    fn type_id_name(&self) -> &'static str {
        std::any::type_name::<Self>()
    }
}

impl<T> TypeIdName for T {}

#[tokio::test(start_paused = true)]
async fn borrowed_arguments_of_opaque_types() {
    let world = World::new().await;
    for _ in 0..2 {
        assert_eq!(borrowed_opaque(&world, &7_u8).await, 1);
        assert_eq!(borrowed_opaque(&world, &7_u16).await, 2);
        assert_eq!(borrowed_opaque(&world, &"7".to_owned()).await, 3);
    }
    assert_eq!(world.loads(), 3);
}
