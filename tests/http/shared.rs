//! Several servers over one Redis.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

use axum::extract::Request;
use axum::response::Response;
use hybridcache::HybridCache;
use hybridcache::http::Builder;
use hybridcache_test_support::{RedisServer, Reply as Redis};
use tokio::sync::Semaphore;

use crate::site::{Calls, GENEROUS, Site, configured, field, minutes, reply, until};

async fn cache(redis: &RedisServer) -> HybridCache {
    HybridCache::builder().namespace("site").redis(redis.url()).redis_budget(GENEROUS).build().await.unwrap()
}

/// Servers with caches of their own, as processes have them, and one handler.
async fn fleet<F, Fut>(redis: &RedisServer, size: usize, calls: &Calls, handler: F) -> Vec<Site>
where
    F: Fn(Request, usize) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = Response> + Send + 'static,
{
    fleet_of(redis, size, calls, configured, handler).await
}

async fn fleet_of<F, Fut>(
    redis: &RedisServer,
    size: usize,
    calls: &Calls,
    configure: impl Fn(Builder) -> Builder,
    handler: F,
) -> Vec<Site>
where
    F: Fn(Request, usize) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = Response> + Send + 'static,
{
    let mut sites = Vec::new();
    for _ in 0..size {
        sites.push(Site::with(cache(redis).await, calls.clone(), &configure, handler.clone()).await);
    }
    sites
}

/// Two servers with a handler that says nothing before it is let.
async fn gated(redis: &RedisServer, calls: &Calls) -> (Vec<Site>, Arc<Semaphore>) {
    let gate = Arc::new(Semaphore::new(0));
    let waiting = gate.clone();
    let handler = move |_, nth| {
        let waiting = waiting.clone();
        async move {
            waiting.acquire().await.unwrap().forget();
            reply(200, &[], format!("page {nth}"))
        }
    };
    (fleet(redis, 2, calls, handler).await, gate)
}

/// What all stood at Redis as entries.
fn stored(redis: &RedisServer) -> Vec<Vec<u8>> {
    let keys = redis.keys("hc2:*:e");
    keys.iter()
        .filter_map(|key| match redis.command(&[b"GET", key.as_bytes()]) {
            Redis::Bulk(bytes) => Some(bytes),
            _ => None,
        })
        .collect()
}

/// Killed by: a lease that is given back before the page is there; a key that processes build differently.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn case_24_fifty_misses_make_one_call() {
    let (redis, calls) = (RedisServer::start(), Calls::default());
    let (sites, gate) = gated(&redis, &calls).await;
    let asked: Vec<_> = (0..50).map(|nth| tokio::spawn(sites[nth % 2].ask("GET", "/p").send())).collect();
    let waiting = || sites.iter().map(|site| site.cache.function_stats("http").joined).sum::<u64>();
    until(|| waiting() == 48).await;
    gate.add_permits(50);
    for asked in asked {
        assert_eq!(asked.await.unwrap().body, "page 1");
    }
    assert_eq!(calls.count(), 1);
    assert_eq!(sites[0].cache.function_stats("http").hits_redis + sites[1].cache.function_stats("http").hits_redis, 1);
}

/// Killed by: pages whose envelope does not say which key they are for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_that_was_moved_to_another_key_is_not_served() {
    let (redis, calls) = (RedisServer::start(), Calls::default());
    let sites = fleet(&redis, 2, &calls, async |request: Request, nth| {
        reply(200, &[], format!("{} {nth}", request.uri().path()))
    })
    .await;
    assert_eq!(sites[0].ask("GET", "/a").send().await.body, "/a 1");
    let a = redis.keys("hc2:*:e");
    assert_eq!(sites[0].ask("GET", "/b").send().await.body, "/b 2");
    let b: Vec<_> = redis.keys("hc2:*:e").into_iter().filter(|key| !a.contains(key)).collect();
    assert_eq!((a.len(), b.len()), (1, 1));
    redis.command(&[b"RENAME", a[0].as_bytes(), b[0].as_bytes()]);
    assert_eq!(sites[1].ask("GET", "/b").send().await.body, "/b 3");
    assert!(sites[1].cache.stats().undecodable > 0);
}

/// Killed by: pages that are stored as they are.
#[cfg(all(feature = "encryption", feature = "lz4"))]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_are_compressed_and_encrypted_as_values_are() {
    let (redis, calls) = (RedisServer::start(), Calls::default());
    let ring = hybridcache::Keyring::new().key(1, [1; 32]).and_then(|ring| ring.primary(1)).unwrap();
    let page = "a secret and ".repeat(1_000);
    let mut sites = Vec::new();
    for _ in 0..2 {
        let builder = HybridCache::builder().namespace("site").redis(redis.url()).redis_budget(GENEROUS);
        let builder = builder.compression(hybridcache::Compression::lz4()).encryption(ring.clone());
        let page = page.clone();
        let handler = move |_: Request, _| {
            let page = page.clone();
            async move { reply(200, &[], page) }
        };
        sites.push(Site::with(builder.build().await.unwrap(), calls.clone(), configured, handler).await);
    }
    for site in &sites {
        assert_eq!(site.get("/p").await.body, page);
    }
    assert_eq!(calls.count(), 1);
    let stored = stored(&redis);
    assert!(stored.len() == 1 && stored[0].len() < page.len() / 4, "{}", stored[0].len());
    assert!(!stored[0].windows(6).any(|bytes| bytes == b"secret"));
}

/// All pages are one function of the cache. Killed by: a pause for the function after some pages that are too large for Redis.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_that_are_too_large_for_redis_keep_no_other_pages_out() {
    let (redis, calls) = (RedisServer::start(), Calls::default());
    let mut sites = Vec::new();
    for _ in 0..2 {
        let builder = HybridCache::builder().namespace("site").redis(redis.url()).redis_budget(GENEROUS);
        let cache = builder.value_limit(200_000).build().await.unwrap();
        let handler = async |request: Request, _| {
            let length: usize = request.uri().path()[1..].split('/').next().unwrap().parse().unwrap();
            reply(200, &[], "x".repeat(length))
        };
        sites.push(Site::with(cache, calls.clone(), configured, handler).await);
    }
    for nth in 0..20 {
        assert_eq!(sites[0].get(&format!("/300000/{nth}")).await.body.len(), 300_000);
    }
    assert_eq!((stored(&redis).len(), sites[0].cache.stats().unsendable), (0, 20));
    for (count, length) in (21..).zip([10, 100_000, 199_000]) {
        assert_eq!(sites[0].get(&format!("/{length}")).await.body.len(), length);
        assert_eq!(sites[1].get(&format!("/{length}")).await.body.len(), length);
        assert_eq!(calls.count(), count, "{length}");
    }
}

/// Killed by: waiting for one after the other; handing one's answer to another; bytes of it in Redis.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn case_24_fifty_private_answers_are_fifty() {
    let (redis, calls) = (RedisServer::start(), Calls::default());
    let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (ran, at_once) = (running.clone(), most.clone());
    let sites = fleet(&redis, 2, &calls, move |request, _| {
        let (running, most) = (running.clone(), most.clone());
        async move {
            most.fetch_max(running.fetch_add(1, SeqCst) + 1, SeqCst);
            tokio::time::sleep(Duration::from_millis(200)).await;
            running.fetch_sub(1, SeqCst);
            reply(200, &[("cache-control", "private")], format!("secret of {}", field(&request, "who")))
        }
    })
    .await;
    let began = Instant::now();
    let asked: Vec<_> = (0..50)
        .map(|nth| tokio::spawn(sites[nth % 2].ask("GET", "/p").header("who", &nth.to_string()).send()))
        .collect();
    for (nth, asked) in asked.into_iter().enumerate() {
        assert_eq!(asked.await.unwrap().body, format!("secret of {nth}"));
    }
    println!("50 private answers, each of 200 ms: {:?}", began.elapsed());
    assert_eq!((calls.count(), ran.load(SeqCst)), (50, 0));
    assert!(at_once.load(SeqCst) >= 40, "{} at once", at_once.load(SeqCst));
    assert!(!stored(&redis).iter().any(|bytes| bytes.windows(6).any(|part| part == b"secret")));
    assert_eq!(stored(&redis).len(), 1, "that nobody is to wait");
}

/// Killed by: a load that ends with its requester.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn case_24_waiters_are_served_when_the_leader_goes_away() {
    let (redis, calls) = (RedisServer::start(), Calls::default());
    let (sites, gate) = gated(&redis, &calls).await;
    let leader = tokio::spawn(sites[0].ask("GET", "/p").send());
    calls.reach(1).await;
    let waiters: Vec<_> = (0..6).map(|nth| tokio::spawn(sites[nth % 2].ask("GET", "/p").send())).collect();
    let joined = || sites.iter().map(|site| site.cache.function_stats("http").joined).sum::<u64>();
    until(|| joined() >= 5).await;
    leader.abort();
    assert!(leader.await.unwrap_err().is_cancelled());
    gate.add_permits(9);
    for waiter in waiters {
        assert_eq!(waiter.await.unwrap().body, "page 1");
    }
    assert_eq!(calls.count(), 1);
}

/// Killed by: a status, a field or a length that is taken as it comes; a value of another kind.
#[tokio::test]
async fn case_25_what_cannot_have_been_stored_is_a_miss() {
    let (redis, calls) = (RedisServer::start(), Calls::default());
    let handler = async |_, nth| reply(200, &[("x-page", "aaaaaaaa")], format!("page {nth}"));
    let sites = fleet(&redis, 1, &calls, handler).await;
    assert_eq!(sites[0].get("/p").await.body, "page 1");
    let [key] = &redis.keys("hc2:*:e")[..] else { panic!("one entry") };
    let Redis::Bulk(good) = redis.command(&[b"GET", key.as_bytes()]) else { panic!("an entry") };
    let replaced = |from: &[u8], to: &[u8]| {
        let at = good.windows(from.len()).position(|part| part == from).expect("it is in there");
        with_checksum([&good[..at], to, &good[at + from.len()..]].concat())
    };
    // Each is whole, with the right checksum: what is wrong is what it says.
    let bad = [
        ("a line feed in a value", replaced(b"aaaaaaaa", b"aa\r\nx: y")),
        ("a line feed in a name", replaced(b"x-page", b"x\r\nx:y")),
        ("a capital in a name", replaced(b"x-page", b"x page")),
        ("a NUL in a name", replaced(b"\xa6x-page", b"\xa6te\0\0\0\0")),
        ("a status of a part", replaced(b"status\xcc\xc8", b"status\xcc\xce")),
        ("no status", replaced(b"status\xcc\xc8", b"status\xcc\x10")),
        ("a body of another length", replaced(b"page 1", b"page 1")[..good.len() - 1].to_vec()),
        ("another format", {
            let mut old = good.clone();
            old[3] = 0;
            old
        }),
        ("rubbish", b"rubbish".to_vec()),
        ("nothing", Vec::new()),
    ];
    assert_eq!(with_checksum(good.clone()), good, "this test makes envelopes as the engine does");
    for (nth, (what, bytes)) in bad.into_iter().enumerate() {
        redis.command(&[b"SET", key.as_bytes(), &bytes]);
        let site = &fleet(&redis, 1, &calls, handler).await[0];
        let reply = site.get("/p").await;
        assert_eq!(reply.body, format!("page {}", nth + 2), "{what}");
        assert!(!reply.headers.contains_key("x"), "{what}");
        redis.command(&[b"SET", key.as_bytes(), &good]);
        let site = &fleet(&redis, 1, &calls, handler).await[0];
        assert_eq!(site.get("/p").await.body, "page 1", "what is in order is served");
    }
}

/// The envelope's own: bytes 5 to 59 and all from 64 on.
fn with_checksum(mut envelope: Vec<u8>) -> Vec<u8> {
    let stamps = u16::from_le_bytes([envelope[10], envelope[11]]);
    let payload = envelope.len() - 80 - 16 * usize::from(stamps);
    envelope[56..60].copy_from_slice(&u32::try_from(payload).unwrap().to_le_bytes());
    let checksum = crc32c::crc32c_append(crc32c::crc32c(&envelope[5..60]), &envelope[64..]);
    envelope[60..64].copy_from_slice(&checksum.to_le_bytes());
    envelope
}

/// Killed by: a call that fails because the cache does.
#[tokio::test]
async fn case_25_without_redis_memory_and_handlers_go_on() {
    let (redis, calls) = (RedisServer::start(), Calls::default());
    let sites = fleet(&redis, 1, &calls, async |_, nth| reply(200, &[], format!("page {nth}"))).await;
    assert_eq!(sites[0].get("/a").await.body, "page 1");
    redis.kill();
    assert_eq!(sites[0].get("/a").await.body, "page 1");
    assert_eq!(sites[0].get("/b").await.body, "page 2");
    assert_eq!(sites[0].get("/b").await.body, "page 2");
}

/// Killed by: a variant that is announced before it is there; fields or tags that are not told to others.
#[tokio::test]
async fn variants_are_shared() {
    let (redis, calls) = (RedisServer::start(), Calls::default());
    let handler = async |request: Request, nth| {
        reply(200, &[("vary", "accept-language")], format!("{} {nth}", field(&request, "accept-language")))
    };
    let sites = fleet(&redis, 2, &calls, handler).await;
    let ask = async |site: usize, language: &str| {
        sites[site].ask("GET", "/p").header("accept-language", language).send().await.body
    };
    assert_eq!([ask(0, "de").await, ask(1, "de").await], ["de 1", "de 1"]);
    assert_eq!([ask(1, "en").await, ask(0, "en").await], ["en 2", "en 2"]);
    sites[1].layer.invalidate("/p").await.unwrap();
    assert_eq!([ask(1, "de").await, ask(1, "en").await], ["de 3", "en 4"]);
    for (language, expected) in [("de", "de 3"), ("en", "en 4")] {
        // The message may be on its way yet.
        for _ in 0..1000 {
            if ask(0, language).await == expected {
                break;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        assert_eq!(ask(0, language).await, expected);
    }
}

/// Killed by: an age that begins anew where a page is read.
#[tokio::test]
async fn an_age_goes_on_in_another_process() {
    let (redis, calls) = (RedisServer::start(), Calls::default());
    let sites = fleet_of(
        &redis,
        2,
        &calls,
        |builder| configured(builder).ttl(minutes(30)),
        async |_, nth| reply(200, &[], format!("page {nth}")),
    )
    .await;
    sites[0].get("/p").await;
    tokio::time::sleep(Duration::from_millis(2100)).await;
    let read = sites[1].get("/p").await;
    assert_eq!(read.said(), (200, "page 1"));
    let age = read.header("age").and_then(|age| age.parse::<u64>().ok());
    assert!(age.is_some_and(|age| age >= 2), "{age:?}");
}

/// What nobody waits for: one looks after it now and then, and the others do not wait for that either.
///
/// Killed by: a mark that ends, so that all wait for one again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mark_is_looked_after_by_one_and_nobody_waits() {
    let (redis, calls, gate) = (RedisServer::start(), Calls::default(), Arc::new(Semaphore::new(1)));
    let waiting = gate.clone();
    let sites = fleet(&redis, 1, &calls, move |_, nth| {
        let waiting = waiting.clone();
        async move {
            if nth > 11 {
                return reply(200, &[], "a page");
            }
            waiting.acquire().await.unwrap().forget();
            reply(200, &[("cache-control", "private")], format!("private {nth}"))
        }
    })
    .await;
    assert_eq!(sites[0].get("/p").await.body, "private 1");
    tokio::time::sleep(Duration::from_millis(5100)).await;
    let asked: Vec<_> = (0..10).map(|_| tokio::spawn(sites[0].ask("GET", "/p").send())).collect();
    // All of them, before one has an answer.
    calls.reach(11).await;
    assert_eq!(sites[0].cache.function_stats("http").refreshes, 1);
    gate.add_permits(10);
    for asked in asked {
        assert!(asked.await.unwrap().body.starts_with("private"));
    }
    assert_eq!(sites[0].get("/p").await.body, "a page");
    assert!(sites[0].get("/p").await.is_hit(), "it takes the place of the mark");
}
