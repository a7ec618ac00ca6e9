//! Every kind of free function, run for real.

use std::fmt::Display;
use std::sync::Arc;

use hybridcache::{CacheKey, hybrid_cached};

use crate::world::{World, at_once};

#[hybrid_cached(ttl = 60s, skip(world), cache = world.cache)]
async fn nothing(world: &World) {
    world.load("nothing").await;
}

#[hybrid_cached(ttl = 60s, skip(world), cache = world.cache)]
async fn generic<T>(world: &World, value: T) -> (T, String)
where
    T: CacheKey + Display + Clone + Send + Sync + 'static + serde::Serialize + serde::de::DeserializeOwned,
{
    world.load(&value).await;
    (value.clone(), value.to_string())
}

#[hybrid_cached(ttl = 60s, skip(world), cache = world.cache)]
async fn const_generic<const N: usize>(world: &World, numbers: [u64; N]) -> u64 {
    world.load(N).await;
    numbers.iter().sum()
}

#[hybrid_cached(ttl = 60s, key = "{value}", cache = world.cache)]
async fn opaque(world: &World, value: impl Display + Send + 'static) -> String {
    world.load("opaque").await;
    value.to_string()
}

#[hybrid_cached(ttl = 60s, key = "{id}", name = "engine: closure", cache = world.cache)]
async fn closure(world: &World, id: u64, double: impl Fn(u64) -> u64 + Send + 'static) -> u64 {
    world.load(id).await;
    double(id)
}

/// Killed by: one entry for all instantiations.
#[tokio::test(start_paused = true)]
async fn generic_functions() {
    let world = World::new().await;
    nothing(&world).await;
    nothing(&world).await;
    assert_eq!(world.events(), ["load nothing"]);
    for _ in 0..2 {
        assert_eq!(generic(&world, 7_u64).await, (7, "7".into()));
        assert_eq!(generic(&world, "7".to_owned()).await, ("7".to_owned(), "7".into()));
        assert_eq!(generic(&world, 7_i8).await, (7, "7".into()));
    }
    assert_eq!(world.events(), ["load 7", "load 7", "load 7"]);
    assert_eq!(generic_entry(&world, 7_u64).get().await, Some((7_u64, "7".into())));
    assert_eq!(generic_entry::<u32>(&world, 7).get().await, None);
    for _ in 0..2 {
        assert_eq!(const_generic(&world, [1, 2]).await, 3);
        assert_eq!(const_generic(&world, [1, 2, 3]).await, 6);
        assert_eq!(const_generic(&world, []).await, 0);
    }
    assert_eq!(world.events(), ["load 2", "load 3", "load 0"]);
}

#[tokio::test(start_paused = true)]
async fn arguments_of_opaque_types() {
    let world = World::new().await;
    for _ in 0..2 {
        assert_eq!(opaque(&world, 7).await, "7");
        assert_eq!(opaque(&world, "7").await, "7");
        assert_eq!(closure(&world, 7, |id| id * 2).await, 14);
    }
    assert_eq!(world.loads(), 3);
    assert_eq!(opaque_entry(&world, "7").get().await.as_deref(), Some("7"));
    assert_eq!(closure(&world, 7, |id| id * 3).await, 14, "it is no part of the key, whatever its type is");
    assert_eq!(closure_entry(&world, 7).get().await, Some(14));
}

#[derive(Clone, CacheKey)]
struct Point {
    x: u64,
    y: u64,
}

#[hybrid_cached(ttl = 60s, skip(world), cache = world.cache)]
async fn patterns(
    world: &World,
    (a, b): (u64, u64),
    Point { x, y: mut up }: Point,
    mut count: u64,
    _: f64,
    [first, ..]: [u64; 2],
    &(c, _): &(u64, u64),
) -> Vec<u64> {
    world.load("patterns").await;
    count += 1;
    up += 1;
    vec![a, b, x, up, count, first, c]
}

#[tokio::test(start_paused = true)]
async fn patterns_and_mut() {
    let world = World::new().await;
    let point = Point { x: 3, y: 4 };
    for _ in 0..2 {
        let values = patterns(&world, (1, 2), point.clone(), 5, f64::NAN, [6, 9], &(7, 9)).await;
        assert_eq!(values, [1, 2, 3, 5, 6, 6, 7]);
    }
    assert_eq!(world.loads(), 1);
    patterns(&world, (0, 2), point.clone(), 5, 0.0, [6, 9], &(7, 9)).await;
    patterns(&world, (1, 0), point.clone(), 5, 0.0, [6, 9], &(7, 9)).await;
    patterns(&world, (1, 2), Point { x: 0, y: 4 }, 5, 0.0, [6, 9], &(7, 9)).await;
    patterns(&world, (1, 2), Point { x: 3, y: 0 }, 5, 0.0, [6, 9], &(7, 9)).await;
    patterns(&world, (1, 2), point.clone(), 0, 0.0, [6, 9], &(7, 9)).await;
    patterns(&world, (1, 2), point.clone(), 5, 0.0, [0, 9], &(7, 9)).await;
    patterns(&world, (1, 2), point.clone(), 5, 0.0, [6, 9], &(0, 9)).await;
    assert_eq!(world.loads(), 8, "all that is bound is part of the key");
    patterns(&world, (1, 2), point, 5, 1.0, [6, 0], &(7, 0)).await;
    assert_eq!(world.loads(), 8, "what is not bound is none");
}

type Fallible<T, E = String> = Result<T, E>;
type Name = Option<String>;
mod aliases {
    pub type Nested = super::Fallible<u64>;
}

#[hybrid_cached(ttl = 60s, skip(world), cache = world.cache)]
async fn alias_of_result(world: &World, id: u64) -> Fallible<u64> {
    world.load(id).await;
    if id == 0 { Err("zero".into()) } else { Ok(id) }
}

#[hybrid_cached(ttl = 60s, skip(world), cache = world.cache)]
async fn alias_of_alias(world: &World, id: u64) -> aliases::Nested {
    world.load(id).await;
    if id == 0 { Err("zero".into()) } else { Ok(id) }
}

#[hybrid_cached(ttl = 60s, skip(world), cache = world.cache)]
async fn alias_of_option(world: &World, id: u64) -> Name {
    world.load(id).await;
    (id != 0).then(|| id.to_string())
}

#[tokio::test(start_paused = true)]
async fn return_types_under_an_alias() {
    let world = World::new().await;
    for _ in 0..2 {
        assert_eq!(alias_of_result(&world, 0).await, Err("zero".into()));
        assert_eq!(alias_of_alias(&world, 0).await, Err("zero".into()));
    }
    assert_eq!(world.loads(), 4, "errors are not stored");
    for _ in 0..2 {
        assert_eq!(alias_of_result(&world, 1).await, Ok(1));
        assert_eq!(alias_of_alias(&world, 1).await, Ok(1));
        assert_eq!(alias_of_option(&world, 0).await, None);
        assert_eq!(alias_of_option(&world, 1).await.as_deref(), Some("1"));
    }
    assert_eq!(world.loads(), 8);
    assert_eq!(alias_of_result_entry(&world, 1).get().await, Some(1));
}

/// A type parameter as the whole return type counts as a plain value.
#[hybrid_cached(ttl = 60s, key = "{id}", tier = memory, cache = world.cache)]
async fn bare<T: From<u8> + Clone + Send + Sync + 'static>(world: &World, id: u8) -> T {
    world.load(id).await;
    T::from(id)
}

#[derive(Clone, Debug, PartialEq)]
struct Counted(u8);

impl From<u8> for Counted {
    fn from(number: u8) -> Self {
        Self(number)
    }
}

#[tokio::test(start_paused = true)]
async fn a_type_parameter_as_return_type() {
    let world = World::new().await;
    for _ in 0..2 {
        assert_eq!(bare::<u64>(&world, 7).await, 7);
        assert_eq!(bare::<Counted>(&world, 7).await, Counted(7));
    }
    assert_eq!(world.loads(), 2);
}

#[hybrid_cached(ttl = 60s, skip(world), cache = world.cache)]
async fn shared(world: &World, id: u64) -> Arc<Vec<u64>> {
    world.load(id).await;
    Arc::new(vec![id; 1000])
}

#[hybrid_cached(ttl = 60s, skip(world), cache = world.cache)]
async fn shared_result(world: &World, id: u64) -> anyhow::Result<Arc<str>> {
    world.load(id).await;
    Ok(id.to_string().into())
}

#[tokio::test(start_paused = true)]
async fn behind_an_arc_nothing_is_copied() {
    let world = World::new().await;
    let loaded = shared(&world, 7).await;
    assert!(Arc::ptr_eq(&loaded, &shared(&world, 7).await));
    assert!(Arc::ptr_eq(&loaded, &shared_entry(&world, 7).get().await.unwrap()));
    let loaded = shared_result(&world, 7).await.unwrap();
    assert!(Arc::ptr_eq(&loaded, &shared_result(&world, 7).await.unwrap()));
}

#[derive(Clone, Debug, PartialEq)]
struct NotSerializable {
    id: u64,
    of: std::time::Instant,
}

#[hybrid_cached(ttl = 60s, skip(world), tier = memory, cache = world.cache)]
async fn memory_only(world: &World, id: u64) -> NotSerializable {
    world.load(id).await;
    NotSerializable { id, of: std::time::Instant::now() }
}

#[tokio::test(start_paused = true)]
async fn in_memory_alone_a_value_need_not_be_serializable() {
    let world = World::new().await;
    let loaded = memory_only(&world, 7).await;
    assert_eq!(at_once(memory_only(&world, 7)), loaded);
    assert_eq!(loaded.id, 7);
}

pub mod visible {
    use hybridcache::hybrid_cached;

    use crate::world::World;

    #[hybrid_cached(ttl = 60s, skip(world), cache = world.cache)]
    pub async fn to_all(world: &World, id: u64) -> u64 {
        world.load(id).await
    }

    #[hybrid_cached(ttl = 60s, skip(world), cache = world.cache)]
    pub(in crate::functions) async fn to_some(world: &World, id: u64) -> u64 {
        world.load(id).await
    }
}

#[tokio::test(start_paused = true)]
async fn a_handle_is_as_visible_as_its_function() {
    let world = World::new().await;
    visible::to_all_entry(&world, 7).put(1).await.unwrap();
    visible::to_some_entry(&world, 7).put(2).await.unwrap();
    assert_eq!(at_once(visible::to_all(&world, 7)), 1);
    assert_eq!(at_once(visible::to_some(&world, 7)), 2);
}

/// Names that the macro could have taken for its own.
#[hybrid_cached(ttl = 60s, key = "{key}:{load}:{cache}", cache = world.cache)]
async fn common_names(world: &World, key: u64, load: u64, cache: u64, instance: u64, shape: u64, r#type: u64) -> u64 {
    let number = world.load("common").await;
    let settings = instance + shape;
    number + key + load + cache + settings + r#type
}

#[tokio::test(start_paused = true)]
async fn names_are_the_users() {
    let world = World::new().await;
    for _ in 0..2 {
        assert_eq!(common_names(&world, 1, 2, 3, 4, 5, 6).await, 22);
    }
    assert_eq!(world.loads(), 1);
}

/// The same function twice, made by a macro on one line.
macro_rules! functions {
    ($($name:ident = $value:literal),+) => {$(
        #[hybrid_cached(ttl = 60s, skip(world), cache = world.cache)]
        async fn $name(world: &World, id: u64) -> u64 {
            world.load(stringify!($name)).await;
            id * $value
        }
    )+};
}
functions!(doubled = 2, tripled = 3);

#[tokio::test(start_paused = true)]
async fn functions_that_a_macro_makes() {
    let world = World::new().await;
    for _ in 0..2 {
        assert_eq!(doubled(&world, 7).await, 14);
        assert_eq!(tripled(&world, 7).await, 21);
    }
    assert_eq!(world.events(), ["load doubled", "load tripled"]);
}

mod renamed {
    pub mod deep {
        pub use hybridcache as cached;
    }
}

#[renamed::deep::cached::hybrid_cached(ttl = 60s, skip(world), crate = crate::functions::renamed::deep::cached, cache = world.cache)]
async fn by_another_path(world: &World, id: u64) -> u64 {
    world.load(id).await
}

#[tokio::test(start_paused = true)]
async fn the_crate_may_go_by_another_path() {
    let world = World::new().await;
    by_another_path(&world, 7).await;
    assert_eq!(by_another_path_entry(&world, 7).get().await, Some(1));
}
