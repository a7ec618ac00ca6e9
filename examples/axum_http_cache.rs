//! Pages of a shop behind the HTTP layer: rendered once for many visitors, and online although the handler dies.
//!
//! `cargo run --features http --example axum_http_cache` needs nothing but Rust. With `HYBRIDCACHE_REDIS_URL` set, the same
//! over Redis.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use axum::extract::{Path, State};
use axum::http::{Request, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Router};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hybridcache::HybridCache;
use hybridcache::http::{CachePolicy, HttpCacheLayer, StaleOn};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

const FRESH_FOR: Duration = Duration::from_millis(500);

/// In place of a database and a template: a page takes 40 ms.
#[derive(Default)]
struct Shop {
    rendered: AtomicU64,
    price: AtomicU64,
    is_down: AtomicBool,
}

async fn product(State(shop): State<Arc<Shop>>, Path(id): Path<u64>) -> Response {
    tokio::time::sleep(Duration::from_millis(40)).await;
    if shop.is_down.load(Relaxed) {
        return (StatusCode::SERVICE_UNAVAILABLE, "the database is down").into_response();
    }
    let nth = shop.rendered.fetch_add(1, Relaxed) + 1;
    let page = format!("<h1>Product {id}</h1> {} euros, rendered as number {nth}", shop.price.load(Relaxed));
    (Extension(CachePolicy::tagged([format!("product:{id}")])), page).into_response()
}

async fn change_price(State(shop): State<Arc<Shop>>) -> StatusCode {
    shop.price.fetch_add(1, Relaxed);
    StatusCode::NO_CONTENT
}

async fn basket(request: axum::extract::Request) -> String {
    let cookie = request.headers().get("cookie").and_then(|cookie| cookie.to_str().ok());
    format!("the basket of {}", cookie.unwrap_or("nobody"))
}

#[tokio::main]
async fn main() -> Result<()> {
    let cache = HybridCache::from_env().await?;
    let layer = HttpCacheLayer::builder(cache.clone())
        .timeout(Duration::from_secs(5))
        .fresh_for(FRESH_FOR)
        .ttl(Duration::from_secs(12 * 3600))
        .stale_on(StaleOn::SERVER_ERRORS)
        .cache_status("shop")
        .build()?;
    let shop = Arc::new(Shop::default());
    let routes = Router::new().route("/p/{id}", get(product).post(change_price)).route("/basket", get(basket));
    let app = routes.route_layer(layer.clone()).with_state(shop.clone());
    let server = serve(app).await?;
    // An earlier run may have left these in Redis.
    layer.invalidate("/p/7").await?;
    layer.invalidate("/p/8").await?;

    let first = visit(server, "a cold page is rendered", "GET", "/p/7").await?;
    let hit = visit(server, "the next visitor gets the same", "GET", "/p/7").await?;
    assert_eq!(first.body, hit.body);
    assert!(hit.cache.starts_with("shop; hit"), "{}", hit.cache);

    visit(server, "a POST changes the price", "POST", "/p/7").await?;
    let changed = visit(server, "and the page is rendered again", "GET", "/p/7").await?;
    assert!(changed.body.contains("1 euros"), "{}", changed.body);
    layer.invalidate_tag("product:7").await?;
    let again = visit(server, "so it is after invalidate_tag(..)", "GET", "/p/7").await?;
    assert_ne!(again.body, changed.body);

    let (before, began) = (shop.rendered.load(Relaxed), Instant::now());
    let visitors: Vec<_> = (0..200).map(|_| tokio::spawn(send(server, "GET", "/p/8", ""))).collect();
    for visitor in visitors {
        assert_eq!(visitor.await??.status, 200);
    }
    let (rendered, took) = (shop.rendered.load(Relaxed) - before, began.elapsed());
    println!("{:>40}  {took:?}, rendered {rendered} times", "200 visitors of one cold page");
    // On a machine that is too busy to serve them in time, later visitors find it stale, and it is refreshed.
    assert!(rendered == 1 || took > FRESH_FOR, "{rendered}");

    println!("\n... the handler dies, and 0.6 s pass: what is stored is stale now (fresh_for = 0.5 s) ...");
    shop.is_down.store(true, Relaxed);
    tokio::time::sleep(FRESH_FOR + Duration::from_millis(100)).await;
    for _ in 0..3 {
        let stale = visit(server, "the page is online", "GET", "/p/8").await?;
        assert!((stale.status, stale.body.contains("Product 8")) == (200, true));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let unknown = visit(server, "a page that was never rendered is not", "GET", "/p/9").await?;
    assert_eq!(unknown.status, 503);

    println!("\n... it is back ...");
    shop.is_down.store(false, Relaxed);
    let stale = send(server, "GET", "/p/8", "").await?.body;
    let began = Instant::now();
    while send(server, "GET", "/p/8", "").await?.body == stale {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    println!("{:>40}  after {:?}", "refreshed in the background", began.elapsed());

    println!();
    for who in ["sid=ada", "sid=ben"] {
        let basket = send(server, "GET", "/basket", who).await?;
        println!("{:>40}  {} ({})", "with a cookie nothing is shared", basket.body, basket.cache);
        assert_eq!(basket.body, format!("the basket of {who}"));
    }
    println!("\n{:#?}", cache.function_stats("http"));
    Ok(())
}

struct Reply {
    status: u16,
    cache: String,
    body: String,
}

/// Times one request.
async fn visit(server: SocketAddr, what: &str, method: &'static str, path: &'static str) -> Result<Reply> {
    let began = Instant::now();
    let reply = send(server, method, path, "").await?;
    println!("{what:>40}  {:?}: {} {} ({})", began.elapsed(), reply.status, reply.body, reply.cache);
    Ok(reply)
}

async fn send(server: SocketAddr, method: &'static str, path: &'static str, cookie: &'static str) -> Result<Reply> {
    let stream = TokioIo::new(TcpStream::connect(server).await?);
    let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await?;
    tokio::spawn(connection);
    let mut request = Request::builder().method(method).uri(path).header("host", "shop.example");
    if !cookie.is_empty() {
        request = request.header("cookie", cookie);
    }
    let (head, body) = sender.send_request(request.body(Full::<Bytes>::default())?).await?.into_parts();
    let cache = head.headers.get("cache-status").map_or("", |status| status.to_str().unwrap_or_default()).to_owned();
    let body = String::from_utf8_lossy(&body.collect().await?.to_bytes()).into_owned();
    Ok(Reply { status: head.status.as_u16(), cache, body })
}

async fn serve(app: Router) -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let server = listener.local_addr()?;
    tokio::spawn(async move { axum::serve(listener, app).await });
    Ok(server)
}
