//! The little of the Redis protocol (RESP2) that a test needs to look at a server past the code under test.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

/// What a server answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// A status, such as `OK`.
    Simple(String),
    /// An error, its code first: `WRONGTYPE Operation against a key ..`.
    Error(String),
    /// A number.
    Integer(i64),
    /// Bytes.
    Bulk(Vec<u8>),
    /// Nothing there.
    Nil,
    /// Several replies.
    Array(Vec<Reply>),
}

impl Reply {
    /// The text of a status or of bytes; what is no UTF-8 is replaced.
    pub fn into_text(self) -> Option<String> {
        match self {
            Reply::Simple(text) => Some(text),
            Reply::Bulk(bytes) => Some(String::from_utf8_lossy(&bytes).into_owned()),
            _ => None,
        }
    }
}

/// Connects, sends one command, reads its reply.
pub(crate) fn call(port: u16, words: &[&[u8]], patience: Duration) -> io::Result<Reply> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut stream = TcpStream::connect_timeout(&address, patience)?;
    stream.set_read_timeout(Some(patience))?;
    stream.set_write_timeout(Some(patience))?;
    stream.write_all(&encode(words))?;
    read_reply(&mut BufReader::new(stream))
}

pub(crate) fn encode(words: &[&[u8]]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        bytes.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        bytes.extend_from_slice(word);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes
}

/// The whole commands that bytes on their way to a server begin with: each with its bytes and its words.
pub(crate) fn commands(mut bytes: &[u8]) -> impl Iterator<Item = (&[u8], Vec<&[u8]>)> {
    std::iter::from_fn(move || {
        let mut rest = bytes;
        let count = count(&mut rest, b'*')?;
        let mut words = Vec::new();
        for _ in 0..count {
            let length = self::count(&mut rest, b'$')?;
            words.push(rest.get(..length)?);
            rest = rest.get(length + 2..)?;
        }
        let command;
        (command, bytes) = bytes.split_at(bytes.len() - rest.len());
        Some((command, words))
    })
}

/// `<kind><number>\r\n`
fn count(bytes: &mut &[u8], kind: u8) -> Option<usize> {
    let end = bytes.windows(2).position(|pair| pair == b"\r\n")?;
    let (line, rest) = bytes.split_at(end);
    *bytes = &rest[2..];
    let (&first, digits) = line.split_first()?;
    let number = std::str::from_utf8(digits).ok()?.parse().ok()?;
    (first == kind).then_some(number)
}

fn read_reply(input: &mut impl BufRead) -> io::Result<Reply> {
    let mut line = String::new();
    input.read_line(&mut line)?;
    let text = line.strip_suffix("\r\n").ok_or(io::ErrorKind::UnexpectedEof)?;
    let (kind, rest) = text.split_at_checked(1).ok_or_else(|| malformed(text))?;
    match kind {
        "+" => Ok(Reply::Simple(rest.to_owned())),
        "-" => Ok(Reply::Error(rest.to_owned())),
        ":" => Ok(Reply::Integer(number(rest)?)),
        "$" => match usize::try_from(number(rest)?) {
            Ok(length) => read_bulk(input, length),
            Err(_) => Ok(Reply::Nil),
        },
        "*" => match usize::try_from(number(rest)?) {
            Ok(length) => (0..length).map(|_| read_reply(input)).collect::<io::Result<_>>().map(Reply::Array),
            Err(_) => Ok(Reply::Nil),
        },
        _ => Err(malformed(text)),
    }
}

fn read_bulk(input: &mut impl Read, length: usize) -> io::Result<Reply> {
    let mut bytes = vec![0; length + 2];
    input.read_exact(&mut bytes)?;
    bytes.truncate(length);
    Ok(Reply::Bulk(bytes))
}

fn number(text: &str) -> io::Result<i64> {
    text.parse().map_err(|_| malformed(text))
}

fn malformed(text: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("no reply of the Redis protocol: {text:?}"))
}
