//! A `tower` layer in front of HTTP handlers, on the engine that cached functions use: feature `http`.
//!
//! It wraps any `tower::Service<Request<B>, Response = Response<B2>>` whose bodies are `http_body::Body`: axum
//! (`Router::layer`, `route_layer`), hyper, or a client. A stored answer is served from memory; a handler is called once for all
//! requests that wait, in all processes that share a Redis; stale answers are served while one refresh runs, and when the handler fails.
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
//! | `Cache-Control` of requests | is ignored | `no-cache`, `max-age`, `only-if-cached`, .. |
//!
//! In both modes: GET and HEAD without a body. Requests that identify their caller (cookies, `Authorization`, [`IDENTITY_FIELDS`]) bypass the
//! cache, unless these fields are in the key (see [`Private`]). Fields that name another host, path or method than the request itself are
//! hidden from the handler ([`HIDDEN_FIELDS`]). Bodies have at most `body_limit` bytes; longer ones pass through, and so do upgrades and
//! event streams. A body of unknown length passes through and is recorded up to that limit. A body that ends early is not stored, nor is a
//! status about one request (400, 429, ..: [`Builder::negative`]). Answers differ by the fields that `Vary` names, and by `Accept-Encoding`
//! where they are encoded. The handler sees the part of the query that is in the key.
//!
//! The layer evaluates `If-None-Match`, `If-Modified-Since` and `Range`, on stored pages and on answers for one requester. A
//! handler whose answer may be stored does not see them; it may see the layer's own condition, for a stale answer that can be
//! revalidated. A HEAD on a key that is not stored loads the page with GET.
//!
//! POST, PUT, DELETE and other unsafe methods reach the handler. When they succeed, the layer invalidates their path before the client
//! gets the response.
//!
//! # Which requests wait
//!
//! Of the requests for one key that is not stored, one calls the handler, in the whole fleet, and the others wait (request coalescing). An
//! answer that forbids sharing goes to its requester only, as it comes, and never to Redis; the others then call the handler at the same
//! time. From then on requests for that key do not wait (hit-for-pass); every 5 s one request's answer shows whether that has changed. The
//! state ends after 60 s without a request, and 1 s after a server error.
//!
//! The handler runs in its own task, with the request's extensions: a client that disconnects does not cancel a load that others wait
//! for. Task-locals of outer middleware do not exist there. The extensions of the handler's response are not stored.
//!
//! Within [`bypass`](crate::bypass) a request goes to the handler unchanged. Within [`refresh`](crate::refresh) a stored answer is
//! served only after the handler was called.
//!
//! # When a handler fails
//!
//! For the failures in [`StaleOn`] a stale answer is served. Other answers replace it, for example 403, 404 and 410. Without a stale
//! answer the client gets the handler's answer, 504 after `timeout`, or the error of the inner service. If a stale answer is stored and
//! `must-revalidate` forbids to serve it, the client gets 504 when the origin was not reached.
//!
//! # Tags
//!
//! [`CachePolicy::tags`], and in both modes `Cache-Groups` (RFC 9875, within an origin), are known only when an answer
//! comes. The first answer of a key with a new tag stays in the memory of the process that called the handler. The next load knows the tags
//! before it begins, and stores its answer in Redis.

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
