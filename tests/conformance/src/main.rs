//! A reverse proxy with the layer in front of one origin, for `tests/conformance/run`: `hybridcache-conformance HOST:PORT`.
//!
//! It listens on a port of its own choice, and says which.

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::uri::{PathAndQuery, Uri};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use hybridcache::HybridCache;
use hybridcache::http::{HttpCacheLayer, Mode, StaleOn};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::net::TcpListener;

#[derive(Clone)]
struct Origin {
    client: Client<HttpConnector, Body>,
    authority: String,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let authority = std::env::args().nth(1).ok_or("usage: hybridcache-conformance HOST:PORT")?;
    // A connection that is kept can be closed by the origin just when it is used again: a failure that no test means.
    let client = Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build_http();
    let cache = HybridCache::builder().build().await?;
    let layer = HttpCacheLayer::builder(cache)
        .mode(Mode::OriginHeaders)
        // That stale answers stand in at all is what many tests need before they look at those that must not.
        .stale_on(StaleOn::SERVER_ERRORS)
        .timeout(Duration::from_secs(10))
        .cache_status("hybridcache")
        .build()?;
    // The suite tells the origin what to answer by PUT to other paths. Paths share tags, so hundreds of those would void an answer
    // of a test now and then.
    let tested = Router::new().route("/test/{*path}", any(forward)).route_layer(layer);
    let app = tested.fallback(forward).with_state(Origin { client, authority });
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("Listening on http://{}/", listener.local_addr()?);
    axum::serve(listener, app).await?;
    Ok(())
}

async fn forward(State(origin): State<Origin>, mut request: Request) -> Response {
    let target = request.uri().path_and_query().map_or("/", PathAndQuery::as_str);
    let Ok(uri) = Uri::try_from(format!("http://{}{target}", origin.authority)) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    *request.uri_mut() = uri;
    drop_framing(request.headers_mut());
    match origin.client.request(request).await {
        Ok(mut response) => {
            drop_framing(response.headers_mut());
            response.map(Body::new)
        }
        Err(_) => StatusCode::BAD_GATEWAY.into_response(),
    }
}

/// Each connection frames its messages its own way. What else concerns a connection is left to the layer to know.
fn drop_framing(headers: &mut HeaderMap) {
    headers.remove(header::TRANSFER_ENCODING);
    if headers.get(header::CONNECTION).is_some_and(|value| value == "close" || value == "keep-alive") {
        headers.remove(header::CONNECTION);
    }
}
