//! Methods and associated functions, of types and of traits.

use std::sync::Arc;

use hybridcache::{HybridCache, NoCache, hybrid_cached};

use crate::world::{World, at_once};

#[derive(Clone)]
struct Repository {
    world: World,
    tenant: u64,
}

impl Repository {
    #[hybrid_cached(ttl = 60s, key = "{self.tenant}:{id}", cache = self.world.cache)]
    async fn by_reference(&self, id: u64) -> Result<String, String> {
        let number = self.world.load(format!("{} of {}", id, self.tenant)).await;
        if id == 0 {
            return Err(NoCache(self.describe(number)));
        }
        Ok(self.describe(number))
    }

    fn describe(&self, number: u64) -> String {
        format!("{} {number}", self.tenant)
    }

    #[hybrid_cached(ttl = 60s, key = (self.tenant, id), cache = self.world.cache)]
    async fn by_arc(self: Arc<Self>, id: u64) -> u64 {
        self.world.load(id).await
    }

    #[hybrid_cached(ttl = 60s, key = "{self.tenant}/{id}", cache = self.world.cache)]
    async fn by_value(self, id: u64) -> u64 {
        self.world.load(id).await
    }

    #[hybrid_cached(ttl = 60s, key = "{self.tenant}/{id}", cache = self.world.cache)]
    async fn by_mutable_value(mut self, id: u64) -> u64 {
        self.tenant += 1;
        self.world.load(id).await * 1_000 + self.tenant
    }

    #[hybrid_cached(ttl = 60s, skip(self), cache = self.world.cache)]
    async fn for_all_tenants(&self, id: u64) -> u64 {
        self.world.load(id).await
    }

    #[hybrid_cached(ttl = 60s, key = "{id}", cache = Self::cache(world))]
    async fn associated(world: &World, id: u64) -> Self {
        world.load(id).await;
        Self { world: world.clone(), tenant: id }
    }

    fn cache(world: &World) -> &HybridCache {
        &world.cache
    }

    async fn through_self(&self, id: u64) -> Option<String> {
        self.by_reference_entry(id).get().await
    }

    async fn through_type(world: &World, id: u64) -> bool {
        Self::associated_entry(world, id).get().await.is_some()
    }
}

/// What an associated function may return must be encoded somewhere, unless it stays in memory.
impl serde::Serialize for Repository {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.tenant.serialize(serializer)
    }
}

impl<'de> serde::Deserialize<'de> for Repository {
    fn deserialize<D: serde::Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        Err(serde::de::Error::custom("memory only"))
    }
}

async fn two() -> (World, Repository, Repository) {
    let world = World::new().await;
    (world.clone(), Repository { world: world.clone(), tenant: 1 }, Repository { world, tenant: 2 })
}

#[tokio::test(start_paused = true)]
async fn methods_by_reference() {
    let (world, first, second) = two().await;
    for _ in 0..2 {
        assert_eq!(first.by_reference(7).await.as_deref(), Ok("1 1"));
        assert_eq!(second.by_reference(7).await.as_deref(), Ok("2 2"));
    }
    assert_eq!(world.events(), ["load 7 of 1", "load 7 of 2"]);
    assert_eq!(first.through_self(7).await.as_deref(), Some("1 1"));
    first.by_reference_entry(7).invalidate().await.unwrap();
    assert_eq!(first.through_self(7).await, None);
    assert_eq!(second.through_self(7).await.as_deref(), Some("2 2"));
    assert_eq!(first.by_reference(0).await.as_deref(), Ok("1 3"));
    assert_eq!(first.by_reference(0).await.as_deref(), Ok("1 4"));
}

#[tokio::test(start_paused = true)]
async fn methods_by_arc_and_by_value() {
    let (world, first, second) = two().await;
    let (first, second) = (Arc::new(first), Arc::new(second));
    for _ in 0..2 {
        assert_eq!(first.clone().by_arc(7).await, 1);
        assert_eq!(second.clone().by_arc(7).await, 2);
    }
    assert_eq!(first.clone().by_arc_entry(7).get().await, Some(1));
    for _ in 0..2 {
        assert_eq!(Repository::clone(&first).by_value(7).await, 3);
        assert_eq!(Repository::clone(&second).by_value(7).await, 4);
        assert_eq!(Repository::clone(&first).by_mutable_value(7).await, 5_002);
    }
    assert_eq!(Repository::clone(&first).by_value_entry(7).get().await, Some(3));
    assert_eq!(world.loads(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_skipped_receiver_and_none() {
    let (world, first, second) = two().await;
    assert_eq!(first.for_all_tenants(7).await, 1);
    assert_eq!(at_once(second.for_all_tenants(7)), 1);
    assert_eq!(second.for_all_tenants_entry(7).get().await, Some(1));
    assert_eq!(Repository::associated(&world, 9).await.tenant, 9);
    assert_eq!(at_once(Repository::associated(&world, 9)).tenant, 9);
    assert!(Repository::through_type(&world, 9).await);
    assert_eq!(world.loads(), 2);
}

trait Finds {
    async fn find(&self, id: u64) -> Option<u64>;
    fn find_later(&self, id: u64) -> impl Future<Output = u64> + Send;
}

impl Finds for Repository {
    #[hybrid_cached(ttl = 60s, key = (self.tenant, id), entry = false, cache = self.world.cache)]
    async fn find(&self, id: u64) -> Option<u64> {
        self.world.load(id).await;
        Some(id * self.tenant)
    }

    #[hybrid_cached(ttl = 60s, key = (self.tenant, id), entry = false, cache = self.world.cache)]
    async fn find_later(&self, id: u64) -> u64 {
        self.world.load(id).await;
        id * self.tenant + 1
    }
}

#[tokio::test(start_paused = true)]
async fn methods_of_a_trait() {
    let (world, first, second) = two().await;
    for _ in 0..2 {
        assert_eq!(first.find(7).await, Some(7));
        assert_eq!(second.find(7).await, Some(14));
        assert_eq!(second.find_later(7).await, 15);
    }
    assert_eq!(world.loads(), 3);
}

struct Generic<T> {
    world: World,
    held: T,
}

impl<T: Clone + ToString + Send + Sync + 'static> Clone for Generic<T> {
    fn clone(&self) -> Self {
        Self { world: self.world.clone(), held: self.held.clone() }
    }
}

impl<T: Clone + ToString + Send + Sync + 'static> Generic<T> {
    #[hybrid_cached(ttl = 60s, key = "{id}", skip(self), cache = self.world.cache)]
    async fn described(&self, id: u64) -> String {
        self.world.load(id).await;
        format!("{id}: {}", self.held.to_string())
    }

    #[hybrid_cached(ttl = 60s, key = "{id}", skip(self), cache = self.world.cache)]
    async fn mapped<U: From<u64> + Clone + Send + Sync + 'static + serde::Serialize + serde::de::DeserializeOwned>(
        &self,
        id: u64,
    ) -> Option<U> {
        self.world.load(id).await;
        Some(U::from(id))
    }
}

#[tokio::test(start_paused = true)]
async fn methods_of_generic_types() {
    let world = World::new().await;
    let number = Generic { world: world.clone(), held: 5_u8 };
    let text = Generic { world: world.clone(), held: "five" };
    for _ in 0..2 {
        assert_eq!(number.described(7).await, "7: 5");
        assert_eq!(text.described(7).await, "7: five");
        assert_eq!(text.mapped::<u64>(7).await, Some(7));
        assert_eq!(text.mapped::<u128>(7).await, Some(7));
        assert_eq!(number.mapped::<u128>(7).await, Some(7));
    }
    assert_eq!(world.loads(), 5);
    assert_eq!(number.described_entry(7).get().await.as_deref(), Some("7: 5"));
    assert_eq!(text.mapped_entry::<u128>(7).get().await, Some(Some(7)));
}

/// The body may use `self` in macros and format strings, in closures and in nested blocks.
impl Repository {
    #[hybrid_cached(ttl = 60s, key = "{self.tenant}", cache = self.world.cache)]
    async fn uses_self_everywhere(&self) -> Vec<String> {
        self.world.load("self").await;
        let Self { tenant, .. } = self;
        let closure = || self.tenant + 1;
        let future = async { self.tenant + 2 };
        vec![
            format!("{}", self.tenant),
            format!("{tenant}"),
            format!("{self}"),
            closure().to_string(),
            future.await.to_string(),
        ]
    }
}

impl std::fmt::Display for Repository {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "repository {}", self.tenant)
    }
}

#[tokio::test(start_paused = true)]
async fn self_in_the_body() {
    let (_, first, _) = two().await;
    for _ in 0..2 {
        assert_eq!(first.uses_self_everywhere().await, ["1", "1", "repository 1", "2", "3"]);
    }
}
