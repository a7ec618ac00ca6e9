//! A client that sends what it is told, one connection for each request.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// No answer takes longer, unless something hangs.
const PATIENCE: Duration = Duration::from_secs(20);

/// A request on its way to be sent.
pub struct Ask {
    address: SocketAddr,
    request: http::request::Builder,
    body: Bytes,
}

/// An answer with its whole body.
#[derive(Debug)]
pub struct Reply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: String,
}

impl Ask {
    pub fn new(address: SocketAddr, method: Method, path: &str) -> Self {
        let request = Request::builder().method(method).uri(path);
        Self { address, request, body: Bytes::new() }
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.request = self.request.header(name, value);
        self
    }

    /// A value of any bytes.
    pub fn header_bytes(mut self, name: &str, value: &[u8]) -> Self {
        self.request = self.request.header(name, http::HeaderValue::from_bytes(value).unwrap());
        self
    }

    pub fn body(mut self, body: &'static str) -> Self {
        self.body = Bytes::from_static(body.as_bytes());
        self
    }

    /// The head has come, the body is yet to come.
    pub async fn open(self) -> hyper::Result<Response<Incoming>> {
        let mut request = self.request.body(Full::new(self.body)).unwrap();
        if !request.headers().contains_key("host") {
            request.headers_mut().insert("host", "test".parse().unwrap());
        }
        let stream = TcpStream::connect(self.address).await.unwrap();
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection.with_upgrades());
        tokio::time::timeout(PATIENCE, sender.send_request(request)).await.expect("an answer")
    }

    pub async fn send(self) -> Reply {
        self.try_send().await.expect("a whole answer")
    }

    pub async fn try_send(self) -> hyper::Result<Reply> {
        let (head, body) = self.open().await?.into_parts();
        let body = tokio::time::timeout(PATIENCE, body.collect()).await.expect("the end of the body")?;
        let body = String::from_utf8(body.to_bytes().to_vec()).unwrap();
        Ok(Reply { status: head.status, headers: head.headers, body })
    }
}

impl Reply {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// Status and body.
    pub fn said(&self) -> (u16, &str) {
        (self.status.as_u16(), &self.body)
    }

    /// What `Cache-Status` says, with the name of the cache.
    pub fn cache(&self) -> &str {
        self.header("cache-status").unwrap_or_default()
    }

    pub fn is_hit(&self) -> bool {
        self.cache().starts_with("test; hit")
    }
}
