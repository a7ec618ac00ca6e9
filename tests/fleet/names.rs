//! Functions that share a name by accident share no entry.

use hybridcache::{HybridCache, hybrid_cached};
use hybridcache_test_support::log_of;
use hybridcache_test_support::worker::{run_worker, serve_requests};

use crate::crossing::Commands;
use crate::database::Database;
use crate::fleet::{Fleet, GENEROUS, NAMESPACE, item};
use crate::waiting::eventually;

/// Functions that have the same last name, and what tells them apart. Each answers with what it is.
#[allow(dead_code, reason = "not every handle is used")]
mod kinds {
    use hybridcache::{HybridCache, hybrid_cached};

    macro_rules! cached {
        ($vis:vis $name:ident, $says:expr) => {
            #[hybrid_cached(ttl = 2h, key = "{id}", cache = cache)]
            $vis async fn $name(cache: &HybridCache, id: u64) -> String {
                format!("{} {id}", $says)
            }
        };
    }

    macro_rules! cached_in_trait {
        ($says:expr) => {
            #[hybrid_cached(ttl = 2h, key = "{id}", cache = cache, entry = false, skip(self))]
            async fn cry(&self, cache: &HybridCache, id: u64) -> String {
                format!("{} {id}", $says)
            }
        };
    }

    #[derive(Clone)]
    pub struct Cats;
    #[derive(Clone)]
    pub struct Dogs;

    impl Cats {
        cached!(pub sound, "meow");
    }

    impl Dogs {
        cached!(pub sound, "woof");

        #[hybrid_cached(ttl = 2h, key = "{id}", cache = cache, skip(self))]
        pub async fn cry(&self, cache: &HybridCache, id: u64) -> String {
            format!("inherent {id}")
        }
    }

    pub trait Cry {
        const SAYS: &str;
        async fn cry(&self, cache: &HybridCache, id: u64) -> String;

        #[hybrid_cached(ttl = 2h, key = "{id}", cache = cache, entry = false)]
        async fn whisper(cache: &HybridCache, id: u64) -> String
        where
            Self: 'static,
        {
            format!("{} whispers {id}", Self::SAYS)
        }
    }

    pub trait CryToo {
        async fn cry(&self, cache: &HybridCache, id: u64) -> String;
    }

    impl Cry for Dogs {
        const SAYS: &str = "dogs";
        cached_in_trait!("by trait");
    }

    impl CryToo for Dogs {
        cached_in_trait!("by another trait");
    }

    impl Cry for Cats {
        const SAYS: &str = "cats";
        cached_in_trait!("cats by trait");
    }

    #[hybrid_cached(ttl = 2h, key = "{id}", cache = cache)]
    pub async fn of<T: Cry + 'static>(cache: &HybridCache, id: u64) -> String {
        format!("of {} {id}", T::SAYS)
    }

    pub struct Shelter<T>(std::marker::PhantomData<T>);

    impl<T: Cry + 'static> Shelter<T> {
        #[hybrid_cached(ttl = 2h, key = "{id}", cache = cache)]
        pub async fn motto(cache: &HybridCache, id: u64) -> String {
            format!("shelter of {} {id}", T::SAYS)
        }
    }

    #[hybrid_cached(ttl = 2h, key = "{id}", cache = cache, entry = false)]
    pub async fn mapped(cache: &HybridCache, map: impl Fn() -> u64 + Clone + Send + Sync + 'static, id: u64) -> String {
        format!("mapped to {} {id}", map())
    }

    pub async fn left(cache: &HybridCache, id: u64) -> String {
        cached!(local, "local to left");
        local(cache, id).await
    }

    pub async fn right(cache: &HybridCache, id: u64) -> String {
        cached!(local, "local to right");
        local(cache, id).await
    }

    pub async fn blocks(first: bool, cache: &HybridCache, id: u64) -> String {
        if first {
            cached!(local, "in one block");
            local(cache, id).await
        } else {
            cached!(local, "in another block");
            local(cache, id).await
        }
    }

    /// The names of blocks' types are the same.
    pub fn types(first: bool) -> (Future, Future, Future) {
        macro_rules! local {
            ($says:literal) => {{
                struct Local;
                impl Local {
                    cached!(sound, $says);
                }
                impl Cry for Local {
                    const SAYS: &str = $says;
                    cached_in_trait!(concat!("cry ", $says));
                }
                impl Cry for Box<Local> {
                    const SAYS: &str = $says;
                    cached_in_trait!(concat!("boxed ", $says));
                }
                (
                    |cache, id| Box::pin(async move { Local::sound(&cache, id).await }),
                    |cache, id| Box::pin(async move { Cry::cry(&Local, &cache, id).await }),
                    |cache, id| Box::pin(async move { Cry::cry(&Box::new(Local), &cache, id).await }),
                )
            }};
        }
        if first { local!("in one block") } else { local!("in another block") }
    }

    type Future = fn(HybridCache, u64) -> std::pin::Pin<Box<dyn std::future::Future<Output = String> + Send>>;

    /// A module and a function of one name, with a function of one name in each.
    pub mod den {
        use super::*;
        cached!(pub lair, "in the module");
    }

    pub async fn den(cache: &HybridCache, id: u64) -> String {
        cached!(lair, "in the function");
        lair(cache, id).await
    }

    macro_rules! on_one_line {
        ($($module:ident)*) => { $(pub mod $module { use super::*; cached!(pub one, stringify!($module)); })* };
    }
    on_one_line!(odd even);
}

/// Calls one of these.
async fn call(cache: &HybridCache, which: &str, id: u64) -> String {
    use kinds::*;
    let block = |which: &str| which == "1";
    match which.split_once('-').unwrap_or((which, "")) {
        ("sound", "cats") => Cats::sound(cache, id).await,
        ("sound", "dogs") => Dogs::sound(cache, id).await,
        ("cry", "inherent") => Dogs.cry(cache, id).await,
        ("cry", "trait") => Cry::cry(&Dogs, cache, id).await,
        ("cry", "too") => CryToo::cry(&Dogs, cache, id).await,
        ("cry", "cats") => Cry::cry(&Cats, cache, id).await,
        ("whisper", "cats") => Cats::whisper(cache, id).await,
        ("whisper", "dogs") => Dogs::whisper(cache, id).await,
        ("of", "cats") => of::<Cats>(cache, id).await,
        ("of", "dogs") => of::<Dogs>(cache, id).await,
        ("motto", "cats") => Shelter::<Cats>::motto(cache, id).await,
        ("motto", "dogs") => Shelter::<Dogs>::motto(cache, id).await,
        ("mapped", "1") => mapped(cache, || 1, id).await,
        ("mapped", "2") => mapped(cache, || 2, id).await,
        ("local", "left") => left(cache, id).await,
        ("local", "right") => right(cache, id).await,
        ("block", nth) => blocks(block(nth), cache, id).await,
        ("type", nth) => types(block(nth)).0(cache.clone(), id).await,
        ("typecry", nth) => types(block(nth)).1(cache.clone(), id).await,
        ("typebox", nth) => types(block(nth)).2(cache.clone(), id).await,
        ("lair", "module") => den::lair(cache, id).await,
        ("lair", "function") => den(cache, id).await,
        ("one", "odd") => odd::one(cache, id).await,
        ("one", "even") => even::one(cache, id).await,
        other => panic!("no function {other:?}"),
    }
}

/// What each of them answers, and the name of what it has in Redis; `None`: it stays out, as its path does not tell it
/// from others.
const FUNCTIONS: [(&str, &str, Option<&str>); 29] = [
    ("sound-cats", "meow", Some("fleet::names::kinds::Cats::sound")),
    ("sound-dogs", "woof", Some("fleet::names::kinds::Dogs::sound")),
    ("cry-inherent", "inherent", Some("fleet::names::kinds::Dogs::cry")),
    ("cry-trait", "by trait", Some("<fleet::names::kinds::Dogs as fleet::names::kinds::Cry>::cry")),
    ("cry-too", "by another trait", Some("<fleet::names::kinds::Dogs as fleet::names::kinds::CryToo>::cry")),
    ("cry-cats", "cats by trait", Some("<fleet::names::kinds::Cats as fleet::names::kinds::Cry>::cry")),
    ("whisper-cats", "cats whispers", Some("<fleet::names::kinds::Cats as fleet::names::kinds::Cry>::whisper")),
    ("whisper-dogs", "dogs whispers", Some("<fleet::names::kinds::Dogs as fleet::names::kinds::Cry>::whisper")),
    ("of-cats", "of cats", Some("fleet::names::kinds::of<fleet::names::kinds::Cats>")),
    ("of-dogs", "of dogs", Some("fleet::names::kinds::of<fleet::names::kinds::Dogs>")),
    ("motto-cats", "shelter of cats", Some("fleet::names::kinds::Shelter<fleet::names::kinds::Cats>::motto")),
    ("motto-dogs", "shelter of dogs", Some("fleet::names::kinds::Shelter<fleet::names::kinds::Dogs>::motto")),
    ("mapped-1", "mapped to 1", None),
    ("mapped-2", "mapped to 2", None),
    ("local-left", "local to left", None),
    ("local-right", "local to right", None),
    ("block-1", "in one block", None),
    ("block-2", "in another block", None),
    ("type-1", "in one block", None),
    ("type-2", "in another block", None),
    ("typecry-1", "cry in one block", None),
    ("typecry-2", "cry in another block", None),
    ("typebox-1", "boxed in one block", None),
    ("typebox-2", "boxed in another block", None),
    ("lair-module", "in the module", Some("fleet::names::kinds::den::lair")),
    ("lair-function", "in the function", None),
    ("one-odd", "odd", Some("fleet::names::kinds::odd::one")),
    ("one-even", "even", Some("fleet::names::kinds::even::one")),
    // Once more: what another function has stored meanwhile is not found.
    ("sound-cats", "meow", Some("fleet::names::kinds::Cats::sound")),
];

/// Does nothing unless the test below starts it as another process.
#[test]
fn worker() {
    run_worker(async |[redis, _]: [String; 2]| {
        let cache =
            HybridCache::builder().namespace(NAMESPACE).redis(redis).redis_budget(GENEROUS).build().await.unwrap();
        serve_requests(|request| {
            let cache = cache.clone();
            async move {
                match request.as_str() {
                    "stats" => format!("{:?}", cache.stats()),
                    function => call(&cache, function, 1).await,
                }
            }
        })
        .await;
    });
}

/// Each function is called by a process that calls no other of its name first.
///
/// Killed by: names without what encloses the function; local functions, or types, in Redis.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn functions_of_one_name_share_no_entry_in_either_order_of_calls() {
    let fleet = Fleet::start();
    let process = || fleet.process_as("names::worker");
    let (forwards, backwards) = (process(), process());
    for (which, says, _) in FUNCTIONS {
        assert_eq!(forwards.ask(which).await, format!("{says} 1"), "{which}");
    }
    for (which, says, _) in FUNCTIONS.into_iter().rev() {
        assert_eq!(backwards.ask(which).await, format!("{says} 1"), "{which}");
    }
    // A process for each function: nothing in it knows of another of that name.
    for (which, says, name) in FUNCTIONS {
        let process = process();
        assert_eq!(process.ask(which).await, format!("{says} 1"), "{which}");
        let loads = u64::from(name.is_none());
        assert_eq!(process.stat("loads").await, loads, "{which}: what has a name of its own is in Redis");
    }
    let mut stored: Vec<_> = fleet.redis.keys("*:e");
    stored.sort();
    stored.dedup();
    let names = FUNCTIONS[1..].iter().filter_map(|(_, _, name)| *name);
    assert_eq!(stored.len(), names.clone().count(), "{stored:?}");
    for name in names.filter(|name| name.len() <= 64 && !name.contains(' ')) {
        assert!(stored.iter().any(|key| key.contains(&format!("}}:{name}@0:1:e"))), "{name} of {stored:?}");
    }
}

/// Killed by: handles that mean another function than its calls do.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn handles_of_functions_of_one_name_reach_their_own_entry() {
    use kinds::{Cats, Dogs, Shelter};
    let fleet = Fleet::start();
    let (first, second) = (fleet.shop().await.cache, fleet.shop().await.cache);
    Cats::sound_entry(&first, 1).put("purr".into()).await.unwrap();
    assert_eq!(Dogs::sound(&second, 1).await, "woof 1");
    assert_eq!(Cats::sound(&second, 1).await, "purr");
    Cats::sound_entry(&second, 1).invalidate().await.unwrap();
    assert_eq!(Dogs::sound_entry(&fleet.shop().await.cache, 1).get().await.as_deref(), Some("woof 1"));
    // Instantiations whose types nothing but their path tells.
    Shelter::<Cats>::motto_entry(&first, 1).put("for cats".into()).await.unwrap();
    Shelter::<Dogs>::motto_entry(&first, 1).put("for dogs".into()).await.unwrap();
    for cache in [&first, &second] {
        for _ in 0..2 {
            assert_eq!(Shelter::<Cats>::motto(cache, 1).await, "for cats");
            assert_eq!(Shelter::<Dogs>::motto(cache, 1).await, "for dogs");
        }
    }
    Shelter::<Dogs>::motto_entry(&second, 1).invalidate().await.unwrap();
    assert_eq!(Shelter::<Dogs>::motto(&second, 1).await, "shelter of dogs 1");
    assert_eq!(Shelter::<Cats>::motto(&second, 1).await, "for cats");
    assert_eq!(second.stats().loads, 2, "{:?}", second.stats());
}

/// What a process logs that calls a local function, and one with a name, through a cache.
fn log_of_local_functions(url: Option<String>) -> String {
    async fn local_functions(cache: &HybridCache) {
        #[hybrid_cached(ttl = 2h, cache = cache, skip(cache))]
        async fn unnamed(cache: &HybridCache, id: u64) -> u64 {
            id
        }
        #[hybrid_cached(ttl = 2h, cache = cache, skip(cache), name = "named")]
        async fn named(cache: &HybridCache, id: u64) -> u64 {
            id
        }
        #[hybrid_cached(ttl = 2h, cache = cache, skip(cache), tier = memory)]
        async fn in_memory(cache: &HybridCache, id: u64) -> u64 {
            id
        }
        for id in 0..5 {
            assert_eq!((unnamed(cache, id).await, named(cache, id).await, in_memory(cache, id).await), (id, id, id));
            unnamed_entry(cache, id).put(id).await.unwrap();
            unnamed_entry(cache, id).invalidate().await.unwrap();
        }
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    log_of(|| {
        runtime.block_on(async {
            let builder = HybridCache::builder().namespace("names").redis_budget(crate::fleet::GENEROUS);
            let builder = url.into_iter().fold(builder, |builder, url| builder.redis(url));
            local_functions(&builder.build().await.unwrap()).await;
        });
    })
}

/// Killed by: a warning for each call, for none; one where there is no Redis that the function could stay out of.
#[test]
fn that_a_local_function_stays_out_of_redis_is_logged_once() {
    let server = hybridcache_test_support::RedisServer::start();
    assert_eq!(log_of_local_functions(None), "");
    let log = log_of_local_functions(Some(server.url()));
    let warnings: Vec<_> = log.lines().filter(|line| line.starts_with("WARN")).collect();
    assert_eq!(warnings.len(), 1, "{log}");
    for part in ["local_functions::unnamed", "in memory only", "name = "] {
        assert!(warnings[0].contains(part), "{log}");
    }
    assert_eq!(server.keys("*:e").len(), 5);
}

mod left {
    use super::*;

    #[hybrid_cached(ttl = 2h, key = "{id}", cache = cache)]
    pub(super) async fn side(cache: &HybridCache, database: &Database, id: u64) -> String {
        format!("left {}", database.load(id).await.unwrap().load)
    }
}

mod right {
    use super::*;

    #[hybrid_cached(ttl = 2h, key = "{id}", cache = cache)]
    pub(super) async fn side(cache: &HybridCache, database: &Database, id: u64) -> String {
        format!("right {}", database.load(id).await.unwrap().load)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn functions_of_two_modules_share_no_entry() {
    let fleet = Fleet::start();
    let (first, second) = (fleet.shop().await.cache, fleet.shop().await.cache);
    for cache in [&first, &second] {
        assert_eq!(left::side(cache, &fleet.database, 1).await, "left 1");
        assert_eq!(right::side(cache, &fleet.database, 1).await, "right 2");
    }
    assert_eq!(fleet.redis.keys("*:e").len(), 2);
}

/// Keys that look alike to who joins them carelessly, over Redis.
#[hybrid_cached(ttl = 2h, key = "{a}:{b}", cache = cache)]
async fn joined(cache: &HybridCache, database: &Database, a: &str, b: &str) -> String {
    format!("{a}|{b}|{}", database.load(1).await.unwrap().id)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_that_look_alike_are_kept_apart_in_redis() {
    let fleet = Fleet::start();
    let long = "x".repeat(100);
    let pairs = [
        ("x:y", "z"),
        ("x", "y:z"),
        ("x%3Ay", "z"),
        ("x", ""),
        ("", "x"),
        ("", ""),
        (":", ""),
        ("{", "}"),
        ("*", "?"),
        ("a\nb", "\r\n"),
        ("é", "e\u{301}"),
        ("e\u{301}", "é"),
        (&long, "1"),
        (&long, "2"),
        ("#", "1"),
        (" ", "\u{a0}"),
    ];
    let (first, second) = (fleet.shop().await.cache, fleet.shop().await.cache);
    for cache in [&first, &second] {
        for (a, b) in pairs {
            assert_eq!(joined(cache, &fleet.database, a, b).await, format!("{a}|{b}|1"));
        }
    }
    assert_eq!(fleet.database.loads(1).await, pairs.len() as u64);
    assert_eq!(fleet.redis.keys("*:e").len(), pairs.len());
}

/// Channels are the server's, keys a database's. Killed by: one channel for all databases of a server.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_database_is_another_cache() {
    let fleet = Fleet::start();
    let at = async |database: u8| {
        let url = format!("{}/{database}", fleet.redis.url());
        fleet.shop_at(&url, |builder| builder.redis_budget(GENEROUS)).await
    };
    let (shop, foreign) = (at(0).await, at(1).await);
    for shop in [&shop, &foreign] {
        shop.item(1).await.unwrap();
        shop.item(2).await.unwrap();
    }
    assert_eq!(fleet.database.loads(1).await, 2);
    // What another process of its own database hears, this one does not.
    let witness = at(1).await;
    assert_eq!(witness.item(1).await.unwrap().load, 2);
    foreign.item_entry(1).invalidate().await.unwrap();
    foreign.cache.clear().await.unwrap();
    eventually("the witness hears it", async || witness.item_entry(1).get().await.is_none()).await;
    let asked = Commands::during(&fleet.redis, async {
        assert_eq!(shop.item(1).await.unwrap(), item(1, 1, 0));
        assert_eq!(shop.item(2).await.unwrap(), item(2, 1, 0));
    });
    assert_eq!(asked.await, Commands::none(), "memory has both");
}
