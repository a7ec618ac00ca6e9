//! What clients choose the number and size of: it fills neither memory nor Redis.

use axum::Router;
use axum::extract::Request;
use hybridcache::HybridCache;
use hybridcache::http::HttpCacheLayer;
use hybridcache_test_support::{RedisServer, Reply as Redis};
use std::time::Duration;

use crate::client::Ask;
use crate::site::{Calls, GENEROUS, Site, configured, reply, until};
use crate::world::{Server, World};

/// Under the default bound, which is one of entries.
///
/// Killed by: pages that count as one entry each.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_thousand_large_pages_do_not_stay_in_memory() {
    const BODY: usize = 200_000;
    let site = Site::new(configured, async |_: Request, _| reply(200, &[], "x".repeat(BODY))).await;
    for page in 0..2_000 {
        assert_eq!(site.get(&format!("/?page={page}")).await.body.len(), BODY);
    }
    // 100 MiB are 524 of them.
    let evictions = site.cache.function_stats("http").evictions;
    assert!(evictions >= 2_000 - 530, "{evictions}, {}", site.cache.memory_entries());
    // Small ones stay.
    let site = Site::new(configured, async |_: Request, _| reply(200, &[], "small")).await;
    for page in 0..500 {
        site.get(&format!("/?page={page}")).await;
    }
    assert!(site.get("/?page=0").await.is_hit());
    assert_eq!(site.cache.function_stats("http").evictions, 0);
}

/// Killed by: no limit; one that leaves out the fields or the cookies of the key.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_that_are_too_long_are_not_stored() {
    for world in World::all().await {
        let key = hybridcache::http::Key::default().header("x-keyed").cookie("c");
        let layer = (world.configure)(HttpCacheLayer::builder(world.cache.clone())).key(key).build().unwrap();
        let app = Router::new().fallback(async || reply(200, &[("cache-control", "max-age=60")], "page"));
        let server = Server::new(app.layer(layer)).await;
        let ask = async |path: &str, name: &str, value: &str| {
            Ask::new(server.0, http::Method::GET, path).header(name, value).send().await
        };
        let long = "x".repeat(60_000);
        let cookie = format!("c={long}");
        for _ in 0..2 {
            let long_ones = [
                (format!("/?q={long}"), "x-any", ""),
                ("/".into(), "x-keyed", &*long),
                ("/".into(), "cookie", &cookie),
            ];
            for (path, name, value) in long_ones {
                let reply = ask(&path, name, value).await;
                assert!(reply.cache().contains("fwd=bypass"), "{name}: {}", reply.cache());
            }
        }
        let short = format!("/?q={}", "x".repeat(7_000));
        assert!(!ask(&short, "x-keyed", "a").await.is_hit());
        assert!(ask(&short, "x-keyed", "a").await.is_hit());
    }
}

/// Killed by: a variant's key with what the request says in it; no limit to that.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_field_under_vary_is_not_stored() {
    for world in World::all().await {
        let calls = Calls::default();
        let counting = calls.clone();
        let app = Router::new().fallback(async move || {
            reply(200, &[("vary", "user-agent"), ("cache-control", "max-age=60")], counting.add().to_string())
        });
        let server = Server::new(app.layer(world.layer.clone())).await;
        let ask =
            async |agent: &str| Ask::new(server.0, http::Method::GET, "/").header("user-agent", agent).send().await;
        let long = "x".repeat(60_000);
        ask("short").await;
        for nth in 2..5 {
            assert_eq!(ask(&long).await.body, nth.to_string());
            assert!(ask("short").await.is_hit());
        }
        let quite_long = "x".repeat(6_000);
        assert!(!ask(&quite_long).await.is_hit());
        assert!(ask(&quite_long).await.is_hit());
    }
}

async fn site(redis: &RedisServer, trial: Duration) -> Site {
    let cache = HybridCache::builder().redis(redis.url()).redis_budget(GENEROUS).build().await.unwrap();
    Site::with(
        cache,
        Calls::default(),
        |builder| configured(builder).trial(trial),
        async |request: Request, _| {
            let vary: &[(&str, &str)] = if request.uri().path() == "/vary" { &[("vary", "accept")] } else { &[] };
            reply(200, vary, "page")
        },
    )
    .await
}

fn entries(redis: &RedisServer) -> Vec<String> {
    redis.keys("hc2:*:e")
}

/// How long Redis keeps what it keeps for longest, in seconds.
fn kept_for(redis: &RedisServer) -> Vec<i64> {
    let left = |key: String| match redis.command(&[b"PTTL", key.as_bytes()]) {
        Redis::Integer(left) => left / 1_000,
        _ => 0,
    };
    entries(redis).into_iter().map(left).collect()
}

/// Killed by: everything that is loaded being kept for its lifetime.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_nobody_asks_for_twice_leaves_redis() {
    let redis = RedisServer::start();
    let site = site(&redis, Duration::from_millis(300)).await;
    for page in 0..50 {
        site.get(&format!("/?page={page}")).await;
        site.get(&format!("/vary?page={page}")).await;
    }
    until(|| entries(&redis).is_empty()).await;
    assert!(site.get("/?page=7").await.is_hit(), "memory has it for its lifetime");
}

/// A second request, of this process or of another, or one that has waited for the first.
///
/// Killed by: not prolonging it in any of these cases.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_asked_for_twice_stays_in_redis() {
    let trial = Duration::from_secs(15);
    for path in ["/", "/vary"] {
        for by_another in [false, true] {
            let redis = RedisServer::start();
            let (one, other) = (site(&redis, trial).await, site(&redis, trial).await);
            one.get(path).await;
            assert!(kept_for(&redis).iter().all(|seconds| *seconds < 16), "{:?}", kept_for(&redis));
            let second = if by_another { &other } else { &one };
            assert!(second.get(path).await.is_hit());
            until(|| !entries(&redis).is_empty() && kept_for(&redis).iter().all(|seconds| *seconds > 1_000)).await;
            assert_eq!(other.calls.count(), 0);
        }
    }
}
