//! Handlers, bare or behind the layer, and the server in front of them.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tower_service::Service;

use crate::body::Zeros;

/// Returns the same bytes each time.
#[derive(Clone)]
pub struct Page {
    body: Bytes,
    calls: Arc<AtomicU64>,
}

impl Page {
    pub fn new(size: usize) -> Self {
        Self { body: vec![b'x'; size].into(), calls: Arc::default() }
    }

    pub fn calls(&self) -> u64 {
        self.calls.load(Relaxed)
    }
}

/// Returns a long body of unknown length.
#[derive(Clone)]
pub struct Long(pub u64);

macro_rules! handler {
    ($handler:ty, $body:ty, $this:ident => $answer:expr) => {
        impl Service<Request<Incoming>> for $handler {
            type Response = Response<$body>;
            type Error = Infallible;
            type Future = Ready<Result<Self::Response, Infallible>>;

            fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
                Poll::Ready(Ok(()))
            }

            fn call(&mut self, _: Request<Incoming>) -> Self::Future {
                let $this = self;
                let response = Response::builder().header("content-type", "text/html; charset=utf-8");
                ready(Ok(response.body($answer).expect("a response")))
            }
        }
    };
}
handler!(Page, Full<Bytes>, this => {
    this.calls.fetch_add(1, Relaxed);
    Full::new(this.body.clone())
});
handler!(Long, Zeros, this => Zeros::new(this.0));

/// Listens on a port of its own until the process ends.
pub async fn serve<S, B>(service: S) -> SocketAddr
where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send + 'static,
    B: Body<Data = Bytes, Error = Infallible> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("its number");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let service = service.clone();
            let answer = service_fn(move |request| service.clone().call(request));
            let _ = stream.set_nodelay(true);
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), answer));
        }
    });
    address
}
