//! The HTTP side: only the route that shows the counters knows of the cache.

use std::sync::Arc;

use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use hybridcache::bypass;
use serde::{Deserialize, Serialize};

use crate::shop::{BookPage, CategoryPage, Shop, ShopError};

/// `cached`: whether calls of cached functions may use the cache.
pub fn routes(shop: Shop, cached: bool) -> Router {
    let routes = Router::new()
        .route("/books/{id}", get(book))
        .route("/books/{id}/sell", post(sell))
        .route("/categories/{name}", get(category))
        .route("/stats", get(stats))
        .with_state(shop);
    match cached {
        true => routes,
        // A scope around the whole request: the same code without the cache.
        false => routes.layer(from_fn(|request: Request, next: Next| bypass(next.run(request)))),
    }
}

async fn book(State(shop): State<Shop>, Path(id): Path<u64>) -> Result<Json<Arc<BookPage>>, Failure> {
    shop.book(id).await?.map(Json).ok_or(Failure::NotFound)
}

async fn category(State(shop): State<Shop>, Path(name): Path<String>) -> Result<Json<Arc<CategoryPage>>, Failure> {
    shop.category(&name).await?.map(Json).ok_or(Failure::NotFound)
}

async fn sell(State(shop): State<Shop>, Path(id): Path<u64>) -> Result<Json<Sale>, Failure> {
    shop.sell(id).await?.map(|sold| Json(Sale { sold })).ok_or(Failure::NotFound)
}

async fn stats(State(shop): State<Shop>) -> Json<Counters> {
    let stats = shop.cache.stats();
    Json(Counters {
        queries: shop.db.queries(),
        from_memory: stats.hits_memory,
        from_redis: stats.hits_redis,
        joined: stats.joined,
        missed: stats.misses,
        stale: stats.stale_hits,
        loads: stats.loads,
        redis_errors: stats.redis_errors,
    })
}

#[derive(Debug, Serialize, Deserialize)]
pub struct Sale {
    /// Copies of the book sold so far.
    pub sold: u64,
}

/// What one replica has counted.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Counters {
    pub queries: u64,
    pub from_memory: u64,
    pub from_redis: u64,
    pub joined: u64,
    pub missed: u64,
    pub stale: u64,
    pub loads: u64,
    pub redis_errors: u64,
}

enum Failure {
    NotFound,
    Shop(ShopError),
}

impl From<ShopError> for Failure {
    fn from(error: ShopError) -> Self {
        Self::Shop(error)
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        match self {
            Self::NotFound => StatusCode::NOT_FOUND.into_response(),
            Self::Shop(error) => {
                eprintln!("{error}");
                StatusCode::INTERNAL_SERVER_ERROR.into_response()
            }
        }
    }
}
