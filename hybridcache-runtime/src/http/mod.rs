//! A `tower` layer in front of HTTP handlers, on the engine that cached functions use: feature `http`.
//!
//! It stands in front of any `tower::Service<Request<B>, Response = Response<B2>>` whose bodies are `http_body::Body`: axum
//! (`Router::layer`, `route_layer`), hyper, or a client. A stored answer is served from memory; a handler is called once for all
//! who wait, in all processes that share a Redis; stale answers are served while one refresh runs, and when the handler fails.
//!
//! ```
//! # use hybridcache_runtime as hybridcache;
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use std::time::Duration;
//!
//! use axum::extract::Path;
//! use axum::routing::get;
//! use axum::{Extension, Router};
//! use hybridcache::HybridCache;
//! use hybridcache::http::{CacheOutcome, CachePolicy, HttpCacheLayer, Key, Query};
//!
//! let cache = HybridCache::builder().build().await?;
//! let layer = HttpCacheLayer::builder(cache)
//!     .timeout(Duration::from_secs(30))
//!     .fresh_for(Duration::from_secs(60))
//!     .ttl(Duration::from_secs(12 * 3600))
//!     .key(Key::default().query(Query::All).header("accept-language"))
//!     .hide_unkeyed(["x-forwarded-host"])
//!     .cache_status("app")
//!     .build()?;
//!
//! async fn product(Path(id): Path<u64>) -> (Extension<CachePolicy>, String) {
//!     (Extension(CachePolicy::tagged([format!("product:{id}")])), format!("product {id}"))
//! }
//! let mut app: Router = Router::new().route("/p/{id}", get(product)).route_layer(layer.clone());
//!
//! # use tower_service::Service;
//! # let mut ask = || app.call(http::Request::get("/p/7").body(axum::body::Body::empty()).unwrap());
//! let first = ask().await?;
//! let second = ask().await?;
//! assert!(!first.extensions().get::<CacheOutcome>().unwrap().is_hit());
//! assert!(second.extensions().get::<CacheOutcome>().unwrap().is_hit());
//!
//! layer.invalidate("/p/7").await?; // by path,
//! layer.invalidate_tag("product:7").await?; // or by what the handler said
//! assert!(!ask().await?.extensions().get::<CacheOutcome>().unwrap().is_hit());
//! # Ok(()) }
//! ```
//!
//! # What is stored
//!
//! | | [`Mode::Configured`] | [`Mode::OriginHeaders`] |
//! |---|---|---|
//! | times | `fresh_for`, `ttl`, or the handler's [`CachePolicy`] | `s-maxage`, `max-age`, `Expires`, .. (RFC 9111), at most `ttl` |
//! | statuses | 200, or what `accept_response` takes below 400; errors for `negative` | as RFC 9111 says |
//! | never | `no-store`, `private`, `no-cache`, `Set-Cookie`, `Vary: *` | `no-store`, `private`, `Set-Cookie`, `Vary: *` |
//! | stale while it is refreshed | from `fresh_for` to `ttl`, unless `must-revalidate` | `stale-while-revalidate` |
//! | stale when the handler fails | the same, see [`StaleOn`] | `stale-if-error`, or `stale_on` |
//! | `Cache-Control` of requests | is not looked at | `no-cache`, `max-age`, `only-if-cached`, .. |
//!
//! In both modes: GET and HEAD without a body; not those that say who asks (cookies, `Authorization`, [`IDENTITY_FIELDS`]), unless that
//! is in the key (see [`Private`]). Fields by which a request means another than it names are hidden from the handler
//! ([`HIDDEN_FIELDS`]). Bodies of at most `body_limit` bytes; longer ones go through as they come, and so do upgrades and event streams. A body of unknown length goes
//! through and is recorded up to that limit. What ends early is not stored, nor is a status about one request (400, 429, ..:
//! [`Builder::negative`]). Answers differ by what `Vary` names, and by `Accept-Encoding` where they are encoded. The handler sees the
//! part of the query that is in the key.
//!
//! `If-None-Match`, `If-Modified-Since` and `Range` are evaluated by the layer, on what is stored and on what is its requester's alone; a
//! handler whose answer may be stored does not see them, but may see the layer's own condition, for a stale answer that can be
//! confirmed. A HEAD on a key that is not stored loads the page by GET.
//!
//! POST, PUT, DELETE and the like reach the handler, and invalidate the path when they succeed, before their client hears
//! of it.
//!
//! # Who waits for whom
//!
//! Of requests for one key that is not stored, one asks the handler, in the whole fleet, and the others wait. An answer that
//! turns out not to be for everybody goes to who asked, as it is made, and never to Redis; the others ask for themselves, at the same
//! time. From then on nobody waits for that key; every five seconds one request's answer shows whether that has changed. After a
//! minute without requests, and a second after a server error, it is as if it had never been asked for.
//!
//! The handler runs in a task of its own, with the request's extensions, so that a client who goes away takes nobody's answer
//! with it. Task-locals of middleware outside of the layer are not seen there. What a handler puts into the extensions of its
//! response is not stored.
//!
//! Within [`bypass`](crate::bypass) a request goes to the handler as it is; within [`refresh`](crate::refresh) what is stored is not
//! served before the handler was asked.
//!
//! # When a handler fails
//!
//! A stale answer stands in for what [`StaleOn`] names; other answers replace it, 403, 404 and 410 among them. Without a stale
//! answer the client gets what the handler said, 504 where it took longer than `timeout`, and an error of the inner service as it
//! is. Where something stale is stored and `must-revalidate` forbids it: 504, if the origin was not reached.
//!
//! # Tags
//!
//! [`CachePolicy::tags`], and under both modes `Cache-Groups` (RFC 9875, within an origin), are known only when an answer
//! comes. The first answer of a key that has a new tag stays in the memory of the process that asked; Redis gets it from the next
//! load, which knows the tags beforehand.

mod body;
mod builder;
mod flow;
mod future;
mod origin;
mod outcome;
mod policy;
mod request;
mod respond;
mod rfc;
mod service;
mod settings;
mod store;

pub use body::CacheBody;
pub use builder::Builder;
pub use future::ResponseFuture;
pub use outcome::{CacheOutcome, Forwarded};
pub use policy::CachePolicy;
pub use request::key::{Key, Query};
pub use request::public_uri::{NotePublicUri, PublicUri, PublicUriLayer};
pub use request::unkeyed::{HIDDEN_FIELDS, IDENTITY_FIELDS};
pub use service::{HttpCache, HttpCacheLayer};
pub use settings::{Mode, Private, StaleOn};
