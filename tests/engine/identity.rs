//! Two functions never share an entry unless both give the same explicit name.

use hybridcache::hybrid_cached;

use crate::world::{World, at_once, settle};

mod first {
    use hybridcache::hybrid_cached;

    use crate::world::World;

    #[hybrid_cached(ttl = 60s, skip(world), cache = world.cache)]
    pub async fn user(world: &World, id: u64) -> String {
        world.load(id).await;
        "first".to_owned()
    }
}

mod second {
    use hybridcache::hybrid_cached;

    use crate::world::World;

    #[hybrid_cached(ttl = 60s, skip(world), cache = world.cache)]
    pub async fn user(world: &World, id: u64) -> String {
        world.load(id).await;
        "second".to_owned()
    }
}

/// Killed by: names without their module.
#[tokio::test(start_paused = true)]
async fn functions_of_two_modules() {
    let world = World::new().await;
    for _ in 0..2 {
        assert_eq!(first::user(&world, 7).await, "first");
        assert_eq!(second::user(&world, 7).await, "second");
    }
    assert_eq!(world.loads(), 2);
    first::user_entry(&world, 7).invalidate().await.unwrap();
    assert_eq!(second::user_entry(&world, 7).get().await.as_deref(), Some("second"));
    let mut names = world.cache.function_names();
    names.sort();
    assert_eq!(names, ["engine::identity::first::user", "engine::identity::second::user"]);
}

#[derive(Clone)]
struct Dogs(World);
#[derive(Clone)]
struct Cats(World);

impl Dogs {
    #[hybrid_cached(ttl = 60s, skip(self), cache = self.0.cache)]
    async fn find(&self, id: u64) -> String {
        self.0.load(id).await;
        "dog".to_owned()
    }

    #[hybrid_cached(ttl = 60s, skip(world), cache = world.cache)]
    async fn count(world: &World, kind: u64) -> String {
        world.load(kind).await;
        "dogs".to_owned()
    }
}

impl Cats {
    #[hybrid_cached(ttl = 60s, skip(self), cache = self.0.cache)]
    async fn find(&self, id: u64) -> String {
        self.0.load(id).await;
        "cat".to_owned()
    }

    #[hybrid_cached(ttl = 60s, skip(world), cache = world.cache)]
    async fn count(world: &World, kind: u64) -> String {
        world.load(kind).await;
        "cats".to_owned()
    }
}

/// Killed by: names without their type.
#[tokio::test(start_paused = true)]
async fn methods_of_two_types() {
    let world = World::new().await;
    for _ in 0..2 {
        assert_eq!(Dogs(world.clone()).find(7).await, "dog");
        assert_eq!(Cats(world.clone()).find(7).await, "cat");
    }
    assert_eq!(world.loads(), 2);
    let mut names = world.cache.function_names();
    names.sort();
    assert_eq!(names, ["engine::identity::Cats::find", "engine::identity::Dogs::find"]);
}

/// A macro cannot see the type that these belong to.
///
/// Killed by: functions told apart by their names alone.
#[tokio::test(start_paused = true)]
async fn associated_functions_of_two_types_in_one_module() {
    let world = World::new().await;
    for _ in 0..2 {
        assert_eq!(Dogs::count(&world, 7).await, "dogs");
        assert_eq!(Cats::count(&world, 7).await, "cats");
    }
    assert_eq!(world.loads(), 2);
    Dogs::count_entry(&world, 7).invalidate().await.unwrap();
    assert_eq!(Cats::count_entry(&world, 7).get().await.as_deref(), Some("cats"));
    assert_eq!(Dogs::count_entry(&world, 7).get().await, None);
}

trait Find {
    async fn find(&self, id: u64) -> String;
}

trait FindToo {
    async fn find(&self, id: u64) -> String;
}

impl Find for Dogs {
    #[hybrid_cached(ttl = 60s, skip(self), entry = false, cache = self.0.cache)]
    async fn find(&self, id: u64) -> String {
        self.0.load(id).await;
        "dog by trait".to_owned()
    }
}

impl FindToo for Dogs {
    #[hybrid_cached(ttl = 60s, skip(self), entry = false, cache = self.0.cache)]
    async fn find(&self, id: u64) -> String {
        self.0.load(id).await;
        "dog by another trait".to_owned()
    }
}

#[tokio::test(start_paused = true)]
async fn methods_of_one_name_of_one_type() {
    let world = World::new().await;
    let dogs = Dogs(world.clone());
    for _ in 0..2 {
        assert_eq!(dogs.find(7).await, "dog");
        assert_eq!(Find::find(&dogs, 7).await, "dog by trait");
        assert_eq!(FindToo::find(&dogs, 7).await, "dog by another trait");
    }
    assert_eq!(world.loads(), 3);
    dogs.find_entry(7).invalidate().await.unwrap();
    assert_eq!(at_once(Find::find(&dogs, 7)), "dog by trait");
}

trait Named: Clone + Send + Sync + 'static {
    const NAME: &str;
}

#[hybrid_cached(ttl = 60s, key = "{id}", cache = world.cache)]
async fn name_of<T: Named>(world: &World, id: u64) -> String {
    world.load(id).await;
    T::NAME.to_owned()
}

impl Named for Dogs {
    const NAME: &str = "dogs";
}

impl Named for Cats {
    const NAME: &str = "cats";
}

#[tokio::test(start_paused = true)]
async fn instantiations_of_one_function() {
    let world = World::new().await;
    for _ in 0..2 {
        assert_eq!(name_of::<Dogs>(&world, 7).await, "dogs");
        assert_eq!(name_of::<Cats>(&world, 7).await, "cats");
    }
    assert_eq!(world.loads(), 2);
    assert!(name_of_entry::<Cats>(&world, 7).get().await.is_some());
}

/// Types that `type_name` calls the same: it does not tell the blocks of one function apart.
#[tokio::test(start_paused = true)]
async fn instantiations_for_types_of_one_name() {
    let world = World::new().await;
    {
        #[derive(Clone)]
        struct Local;
        impl Named for Local {
            const NAME: &str = "in one block";
        }
        assert_eq!(name_of::<Local>(&world, 7).await, "in one block");
    }
    {
        #[derive(Clone)]
        struct Local;
        impl Named for Local {
            const NAME: &str = "in another block";
        }
        assert_eq!(name_of::<Local>(&world, 7).await, "in another block");
    }
}

#[tokio::test(start_paused = true)]
async fn functions_of_one_name_in_two_blocks() {
    let world = World::new().await;
    for _ in 0..2 {
        {
            #[hybrid_cached(ttl = 60s, skip(world), tier = memory, cache = world.cache)]
            async fn local(world: &World, id: u64) -> &'static str {
                world.load(id).await;
                "in one block"
            }
            assert_eq!(local(&world, 7).await, "in one block");
        }
        {
            #[hybrid_cached(ttl = 60s, skip(world), tier = memory, cache = world.cache)]
            async fn local(world: &World, id: u64) -> &'static str {
                world.load(id).await;
                "in another block"
            }
            assert_eq!(local(&world, 7).await, "in another block");
        }
    }
    assert_eq!(world.loads(), 2);
}

/// The same entry from several places.
mod sharing {
    use hybridcache::hybrid_cached;

    use crate::world::World;

    #[hybrid_cached(ttl = 60s, key = "{id}", name = "shared entry", cache = world.cache)]
    pub async fn one(world: &World, id: u64) -> u64 {
        world.load(format!("one {id}")).await
    }

    #[hybrid_cached(ttl = 60s, key = "{name}", name = "shared entry", cache = world.cache)]
    pub async fn other(world: &World, name: &str) -> Result<u64, String> {
        Ok(world.load(format!("other {name}")).await)
    }

    #[derive(Clone)]
    pub struct Method(pub World);

    impl Method {
        #[hybrid_cached(ttl = 60s, key = "{id}", skip(self), name = "shared entry", cache = self.0.cache)]
        pub async fn method(&self, id: u64) -> u64 {
            self.0.load(format!("method {id}")).await
        }
    }

    #[hybrid_cached(ttl = 60s, key = "{id}", name = "shared entry", version = 2, cache = world.cache)]
    pub async fn other_version(world: &World, id: u64) -> u64 {
        world.load(format!("version 2 {id}")).await
    }
}

#[tokio::test(start_paused = true)]
async fn the_same_explicit_name_shares_entries() {
    let world = World::new().await;
    sharing::one(&world, 7).await;
    assert_eq!(at_once(sharing::other(&world, "7")), Ok(1));
    assert_eq!(at_once(sharing::Method(world.clone()).method(7)), 1);
    sharing::other_entry(&world, "7").invalidate().await.unwrap();
    assert_eq!(sharing::Method(world.clone()).method(7).await, 2);
    assert_eq!(at_once(sharing::one(&world, 7)), 2);
    assert_eq!(world.cache.function_names(), ["shared entry"]);
}

#[tokio::test(start_paused = true)]
async fn functions_that_share_entries_share_loads() {
    let world = World::new().await;
    world.hold();
    let one = world.call(|world| async move { sharing::one(&world, 7).await });
    world.until_loads(1).await;
    let other = world.call(|world| async move { sharing::other(&world, "7").await });
    settle().await;
    world.let_all_go();
    assert_eq!(one.await.unwrap(), 1);
    assert_eq!(other.await.unwrap(), Ok(1));
    assert_eq!(world.loads(), 1);
}

#[tokio::test(start_paused = true)]
async fn versions_of_one_name_do_not_share_entries() {
    let world = World::new().await;
    for _ in 0..2 {
        assert_eq!(sharing::one(&world, 7).await, 1);
        assert_eq!(sharing::other_version(&world, 7).await, 2);
    }
}
