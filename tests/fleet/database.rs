//! What the loads read: a Redis of its own, shared by all processes of a test, which counts the loads, says how each is to
//! go, and knows the current version of each item.

use std::net::Ipv4Addr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use crate::shop::Failure;
use crate::waiting::eventually;

/// What a load gives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Item {
    pub(crate) id: u64,
    /// The how manieth load of this id it was, in the whole fleet.
    pub(crate) load: u64,
    /// The item's version in the database when the load began.
    pub(crate) version: u64,
}

/// How a load is to go.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Order {
    /// Wait until [`Database::release`].
    Hold,
    /// Wait likewise, then fail.
    HoldAndFail,
    /// Wait likewise, then panic.
    HoldAndPanic,
    Fail,
    Panic,
    Take(Duration),
}

impl Order {
    fn to_text(self) -> String {
        match self {
            Self::Take(time) => format!("take:{}", time.as_millis()),
            other => format!("{other:?}"),
        }
    }
}

/// Counts a load and tells what it is to do. One step, so whoever has seen the count knows which version was read.
const LOAD: &str = "\
    local load = redis.call('INCR', 'loads:' .. ARGV[1])
    local version = redis.call('GET', 'version:' .. ARGV[1]) or '0'
    local order = redis.call('LPOP', 'orders:' .. ARGV[1]) or ''
    local time = redis.call('TIME')
    redis.call('RPUSH', 'begun:' .. ARGV[1], time[1] * 1000 + math.floor(time[2] / 1000))
    return load .. ' ' .. version .. ' ' .. order";

const BEGUN: &str = "return table.concat(redis.call('LRANGE', 'begun:' .. ARGV[1], 0, -1), ' ')";

#[derive(Clone, Debug)]
pub(crate) struct Database {
    port: u16,
}

impl Database {
    pub(crate) fn at(port: u16) -> Self {
        Self { port }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The load of all cached functions.
    pub(crate) async fn load(&self, id: u64) -> Result<Item, Failure> {
        let answer = self.ask(&["EVAL", LOAD, "0", &id.to_string()]).await.unwrap();
        let mut words = answer.splitn(3, ' ');
        let load = words.next().unwrap().parse().unwrap();
        let version = words.next().unwrap().parse().unwrap();
        let item = Item { id, load, version };
        let order = words.next().unwrap();
        if order.starts_with("Hold") {
            self.ask(&["BLMOVE", &gate(id, load), "passed", "LEFT", "RIGHT", "60"]).await;
        }
        match order {
            "HoldAndFail" | "Fail" => return Err(Failure::OutOfStock),
            // Without the hook: it prints a backtrace, which takes seconds on a busy machine, and the lease would end meanwhile.
            "HoldAndPanic" | "Panic" => std::panic::resume_unwind(Box::new("the shelf fell over")),
            _ => {}
        }
        if let Some(time) = order.strip_prefix("take:") {
            tokio::time::sleep(Duration::from_millis(time.parse().unwrap())).await;
        }
        Ok(item)
    }

    /// How the next loads of an id are to go, in this order. Those after them return at once.
    pub(crate) async fn order(&self, id: u64, orders: &[Order]) {
        for order in orders {
            self.ask(&["RPUSH", &format!("orders:{id}"), &order.to_text()]).await;
        }
    }

    /// How many loads of an id have begun.
    pub(crate) async fn loads(&self, id: u64) -> u64 {
        let count = self.ask(&["GET", &format!("loads:{id}")]).await;
        count.map_or(0, |count| count.parse().unwrap())
    }

    /// Waits until that many loads of an id have begun.
    pub(crate) async fn begun(&self, id: u64, loads: u64) {
        eventually("a load begins", async || self.loads(id).await >= loads).await;
    }

    /// When each load of an id began, in the database's milliseconds.
    pub(crate) async fn beginnings(&self, id: u64) -> Vec<u64> {
        let times = self.ask(&["EVAL", BEGUN, "0", &id.to_string()]).await.unwrap();
        times.split(' ').map(|time| time.parse().unwrap()).collect()
    }

    /// Lets a held load go on.
    pub(crate) async fn release(&self, id: u64, load: u64) {
        self.ask(&["RPUSH", &gate(id, load), "go"]).await;
    }

    /// From here on loads see this version of the item.
    pub(crate) async fn set_version(&self, id: u64, version: u64) {
        self.ask(&["SET", &format!("version:{id}"), &version.to_string()]).await;
    }

    /// One command on a connection of its own; every reply used here is a status, a number, bytes or nothing.
    async fn ask(&self, words: &[&str]) -> Option<String> {
        let mut request = format!("*{}\r\n", words.len());
        for word in words {
            request.push_str(&format!("${}\r\n{word}\r\n", word.len()));
        }
        let mut stream = BufReader::new(TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).await.unwrap());
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut line = String::new();
        stream.read_line(&mut line).await.unwrap();
        assert!(!line.is_empty(), "the database is gone");
        match line.trim_end().split_at(1) {
            ("$", "-1") => None,
            ("$", length) => {
                let mut bytes = vec![0; length.parse().unwrap()];
                stream.read_exact(&mut bytes).await.unwrap();
                Some(String::from_utf8(bytes).unwrap())
            }
            ("+" | ":", text) => Some(text.to_owned()),
            _ => panic!("the database answered {line:?} to {words:?}"),
        }
    }
}

fn gate(id: u64, load: u64) -> String {
    format!("gate:{id}:{load}")
}
