//! What the loads read and the changes write: the version of each key, in a Redis of its own.

use std::net::Ipv4Addr;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};

use crate::history::Key;

/// One connection, kept by a task of its own: a load that is dropped must not take half an answer with it.
#[derive(Clone, Debug)]
pub(crate) struct Database {
    requests: mpsc::UnboundedSender<(String, oneshot::Sender<u64>)>,
}

impl Database {
    pub(crate) async fn connect(port: u16) -> Self {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let (requests, received) = mpsc::unbounded_channel();
        tokio::spawn(serve(stream, received));
        Self { requests }
    }

    pub(crate) async fn version(&self, key: Key) -> u64 {
        self.ask(format!("INCRBY {key} 0\r\n")).await
    }

    /// Gives the key its next version.
    pub(crate) async fn write(&self, key: Key) -> u64 {
        self.ask(format!("INCR {key}\r\n")).await
    }

    async fn ask(&self, request: String) -> u64 {
        let (sender, answer) = oneshot::channel();
        self.requests.send((request, sender)).unwrap();
        answer.await.unwrap()
    }
}

async fn serve(stream: TcpStream, mut requests: mpsc::UnboundedReceiver<(String, oneshot::Sender<u64>)>) {
    let mut stream = BufReader::new(stream);
    while let Some((request, sender)) = requests.recv().await {
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut line = String::new();
        stream.read_line(&mut line).await.unwrap();
        // Who asked may have gone.
        let _ = sender.send(line.trim_end().strip_prefix(':').unwrap().parse().unwrap());
    }
}
