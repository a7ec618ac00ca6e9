//! As much of an HTTP/1.1 client as this example needs: one connection that is kept open.

use std::io::{Error, ErrorKind, Result};
use std::net::SocketAddr;

use serde::de::DeserializeOwned;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

pub struct Client {
    connection: BufReader<TcpStream>,
}

impl Client {
    pub async fn connect(server: SocketAddr) -> Result<Self> {
        let connection = TcpStream::connect(server).await?;
        connection.set_nodelay(true)?;
        Ok(Self { connection: BufReader::new(connection) })
    }

    /// The body of a response with status 200, from JSON. Any other status is an error.
    pub async fn get<T: DeserializeOwned>(&mut self, path: &str) -> Result<T> {
        self.send("GET", path).await
    }

    /// The same of a request that changes something.
    pub async fn post<T: DeserializeOwned>(&mut self, path: &str) -> Result<T> {
        self.send("POST", path).await
    }

    async fn send<T: DeserializeOwned>(&mut self, method: &str, path: &str) -> Result<T> {
        let request = format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0\r\n\r\n");
        self.connection.write_all(request.as_bytes()).await?;
        let status = self.line().await?;
        if !status.starts_with("HTTP/1.1 200") {
            return Err(Error::other(format!("{method} {path}: {status}")));
        }
        let mut length = 0;
        loop {
            let header = self.line().await?.to_ascii_lowercase();
            if header.is_empty() {
                break;
            }
            if let Some(value) = header.strip_prefix("content-length:") {
                length = value.trim().parse().map_err(|_| Error::new(ErrorKind::InvalidData, header.clone()))?;
            }
        }
        let mut body = vec![0; length];
        self.connection.read_exact(&mut body).await?;
        Ok(serde_json::from_slice(&body)?)
    }

    async fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        match self.connection.read_line(&mut line).await? {
            0 => Err(ErrorKind::UnexpectedEof.into()),
            _ => Ok(line.trim_end().to_owned()),
        }
    }
}
