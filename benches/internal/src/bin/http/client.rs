//! Clients that ask one request after the other, on a connection each.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// What a crowd of clients saw.
pub struct Figures {
    pub per_second: f64,
    /// Sorted.
    pub latencies: Vec<Duration>,
}

impl Figures {
    pub fn at(&self, part: f64) -> Duration {
        self.latencies[((self.latencies.len() - 1) as f64 * part) as usize]
    }
}

pub async fn run(address: SocketAddr, crowd: usize, turn: Duration) -> Figures {
    let began = Instant::now();
    let clients: Vec<_> = (0..crowd).map(|_| tokio::spawn(ask_until(address, began + turn))).collect();
    let mut latencies = Vec::new();
    for client in clients {
        latencies.extend(client.await.expect("a client"));
    }
    let per_second = latencies.len() as f64 / began.elapsed().as_secs_f64();
    latencies.sort();
    Figures { per_second, latencies }
}

async fn ask_until(address: SocketAddr, end: Instant) -> Vec<Duration> {
    let (mut sender, mut latencies) = (connect(address).await, Vec::new());
    // The first is not counted.
    length(&mut sender).await;
    while Instant::now() < end {
        let began = Instant::now();
        length(&mut sender).await;
        latencies.push(began.elapsed());
    }
    latencies
}

async fn connect(address: SocketAddr) -> SendRequest<Empty<Bytes>> {
    let stream = TcpStream::connect(address).await.expect("a connection");
    let _ = stream.set_nodelay(true);
    let (sender, connection) = handshake(TokioIo::new(stream)).await.expect("a connection");
    tokio::spawn(connection);
    sender
}

/// Asks, and reads the answer to its end.
async fn length(sender: &mut SendRequest<Empty<Bytes>>) -> u64 {
    let request = Request::get("/p/7?lang=en").header("host", "localhost").header("user-agent", "bench/1");
    let request = request.header("accept", "text/html,*/*").header("accept-language", "en").body(Empty::new());
    sender.ready().await.expect("a connection");
    let mut body = sender.send_request(request.expect("a request")).await.expect("an answer").into_body();
    let mut length = 0;
    while let Some(frame) = body.frame().await {
        length += frame.expect("a whole body").data_ref().map_or(0, |data| data.len() as u64);
    }
    length
}

/// The length of one answer.
pub async fn ask_once(address: SocketAddr) -> u64 {
    length(&mut connect(address).await).await
}
