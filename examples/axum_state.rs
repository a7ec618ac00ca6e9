//! An axum service: handlers with `State`, a cached read, and a write that evicts what it changes.
//!
//! `cargo run --example axum_state` needs nothing but Rust. A real service ends with `axum::serve(listener, app).await`.

use std::collections::HashMap;
use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::extract::{Path, State};
use axum::http::{Request, StatusCode};
use axum::routing::get;
use axum::{Json, Router};
use hybridcache::{HybridCache, hybrid_cached, hybrid_evict};
use tokio::sync::Mutex;
use tower_service::Service;

/// In place of a pool of database connections: cheap to clone, as a pool is.
#[derive(Clone, Default)]
struct Db(Arc<Mutex<HashMap<u64, u64>>>);

#[hybrid_cached(fresh_for = 1m, ttl = 1h, key = "price:{id}")]
async fn price(db: &Db, id: u64) -> Option<u64> {
    println!("    reads the database");
    db.0.lock().await.get(&id).copied()
}

#[hybrid_evict(price(id))]
async fn set_price(db: &Db, id: u64, euros: u64) {
    db.0.lock().await.insert(id, euros);
}

async fn show(State(db): State<Db>, Path(id): Path<u64>) -> Result<String, StatusCode> {
    price(&db, id).await.map(|euros| format!("{euros} euros")).ok_or(StatusCode::NOT_FOUND)
}

async fn change(State(db): State<Db>, Path(id): Path<u64>, Json(euros): Json<u64>) -> StatusCode {
    set_price(&db, id, euros).await;
    StatusCode::NO_CONTENT
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    HybridCache::from_env().await?.install()?;
    let mut app = Router::new().route("/price/{id}", get(show).put(change)).with_state(Db::default());
    send(&mut app, "PUT", "20").await?;
    assert_eq!(send(&mut app, "GET", "").await?, "20 euros"); // reads the database
    assert_eq!(send(&mut app, "GET", "").await?, "20 euros"); // a hit
    send(&mut app, "PUT", "25").await?; // evicts
    assert_eq!(send(&mut app, "GET", "").await?, "25 euros"); // reads again
    Ok(())
}

async fn send(app: &mut Router, method: &str, body: &'static str) -> anyhow::Result<String> {
    let request = Request::builder().method(method).uri("/price/7").header("content-type", "application/json");
    let response = app.call(request.body(Body::from(body))?).await?;
    let status = response.status();
    let body = String::from_utf8(to_bytes(response.into_body(), 1024).await?.into())?;
    println!("{method} /price/7: {status} {body}");
    Ok(body)
}
