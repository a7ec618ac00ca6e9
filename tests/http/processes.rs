//! The same over processes of their own, each a server that passes requests on to one origin in the test.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use hybridcache::HybridCache;
use hybridcache_test_support::RedisServer;
use hybridcache_test_support::worker::{WorkerProcess, run_worker, serve_requests};

use crate::client::{Ask, Reply};
use crate::site::{Calls, GENEROUS, Site, configured, field, reply};

struct Process {
    address: SocketAddr,
    _running: WorkerProcess,
}

impl Process {
    async fn start(redis: &RedisServer, origin: SocketAddr) -> Self {
        let running = WorkerProcess::start("processes::worker", &[&redis.url(), &origin.to_string()]);
        Self { address: running.ask("address").await.parse().unwrap(), _running: running }
    }

    fn ask(&self, path: &str) -> Ask {
        Ask::new(self.address, http::Method::GET, path)
    }
}

/// Does nothing unless a test starts it as another process: then it serves until its input ends.
#[test]
fn worker() {
    run_worker(async |[redis, origin]: [String; 2]| {
        let builder = HybridCache::builder().namespace("site").redis(redis).redis_budget(GENEROUS);
        let cache = builder.build().await.unwrap();
        let origin: SocketAddr = origin.parse().unwrap();
        let site = Site::with(cache, Calls::default(), configured, move |request, _| pass_on(origin, request)).await;
        // All that it is asked.
        serve_requests(|_address| std::future::ready(site.address.to_string())).await;
    });
}

async fn pass_on(origin: SocketAddr, request: Request) -> Response {
    let ask = Ask::new(origin, request.method().clone(), request.uri().path()).header("who", &field(&request, "who"));
    let answer = ask.send().await;
    let mut response = Response::new(Body::from(answer.body));
    (*response.status_mut(), *response.headers_mut()) = (answer.status, answer.headers);
    response
}

/// An origin without the layer, and two processes in front of it.
async fn two<F, Fut>(redis: &RedisServer, origin: F) -> (Site, [Process; 2])
where
    F: Fn(Request, usize) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = Response> + Send + 'static,
{
    let origin = Site::new(|builder| configured(builder).accept_request(|_| false), origin).await;
    let address = origin.address;
    (origin, [Process::start(redis, address).await, Process::start(redis, address).await])
}

async fn fifty(processes: &[Process; 2]) -> (Vec<Reply>, Duration) {
    let began = Instant::now();
    let asked: Vec<_> =
        (0..50).map(|nth| tokio::spawn(processes[nth % 2].ask("/p").header("who", &nth.to_string()).send())).collect();
    let mut replies = Vec::new();
    for asked in asked {
        replies.push(asked.await.unwrap());
    }
    (replies, began.elapsed())
}

/// Killed by: a key that processes build differently; a lease that is given back before the page is there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn case_24_fifty_misses_over_two_processes_make_one_call() {
    let redis = RedisServer::start();
    let (origin, processes) = two(&redis, async |_: Request, nth: usize| {
        tokio::time::sleep(Duration::from_millis(300)).await;
        reply(200, &[], format!("page {nth}"))
    })
    .await;
    let (replies, took) = fifty(&processes).await;
    println!("50 misses over two processes, the origin takes 300 ms: {took:?}");
    assert!(replies.iter().all(|reply| reply.body == "page 1"));
    assert_eq!(origin.calls.count(), 1);
}

/// Killed by: a mark that does not reach the other process; bytes of one for another.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn case_24_fifty_private_answers_over_two_processes_are_fifty() {
    let redis = RedisServer::start();
    let (origin, processes) = two(&redis, async |request: Request, _| {
        tokio::time::sleep(Duration::from_millis(300)).await;
        reply(200, &[("cache-control", "private")], format!("secret of {}", field(&request, "who")))
    })
    .await;
    let (replies, took) = fifty(&processes).await;
    println!("50 private answers over two processes, the origin takes 300 ms for each: {took:?}");
    for (nth, reply) in replies.iter().enumerate() {
        assert_eq!(reply.body, format!("secret of {nth}"));
    }
    assert_eq!(origin.calls.count(), 50);
}
