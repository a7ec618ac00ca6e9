//! A page that shows what a cache does, for people: functions, hot keys, the life of a key, warnings, and the fleet.
//!
//! ```no_run
//! # use hybridcache_runtime as hybridcache;
//! # fn is_admin(_: &http::request::Parts) -> bool { false }
//! # fn run(cache: &hybridcache::HybridCache) {
//! use hybridcache::inspector::Inspector;
//!
//! let inspector = Inspector::new(cache).actions_if(|parts| is_admin(parts));
//! let app: axum::Router = axum::Router::new().nest_service("/cache", inspector);
//! # }
//! ```
//!
//! Everybody who can open the page sees the names of functions and the keys, and keys are made of arguments. Put the page behind your own
//! authentication, or on a port that only you can reach. It is read-only unless [`Inspector::actions_if`] admits a request, and shows no values unless
//! [`Inspector::values`] gives them. It works under any path; no file is loaded from elsewhere.

mod answers;
mod api;
mod settings;

use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::extract::OriginalUri;
use http::request::Parts;
use http::{Method, Request, Response};
use tower_service::Service;

use self::answers::{page, problem, redirect, script, style};
pub use self::settings::Inspector;

impl<B> Service<Request<B>> for Inspector {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answer;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Answer {
        let (parts, _) = request.into_parts();
        Answer(Box::pin(answer(self.clone(), parts)))
    }
}

/// The future of an answer.
pub struct Answer(Pin<Box<dyn Future<Output = Response<Body>> + Send>>);

impl Future for Answer {
    type Output = Result<Response<Body>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(context).map(Ok)
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer").finish_non_exhaustive()
    }
}

/// The page's files are found by the end of the path, whatever is in front of it.
async fn answer(inspector: Inspector, parts: Parts) -> Response<Body> {
    let own = parts.uri.path();
    let public = parts.extensions.get().map_or(own, |OriginalUri(uri)| uri.path());
    if let Some((_, name)) = own.rsplit_once("api/") {
        return api::answer(&inspector, &parts, name).await;
    }
    if parts.method != Method::GET && parts.method != Method::HEAD {
        return problem(405, "this page is read with GET");
    }
    match own.rsplit('/').next().unwrap_or_default() {
        "app.js" => script(),
        "style.css" => style(),
        // The page's links are relative to its path, which therefore ends with a slash.
        "" if !public.ends_with('/') => redirect(public),
        "" => page(),
        _ => problem(404, "there is no such page"),
    }
}
