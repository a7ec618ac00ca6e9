//! What the loads of a fleet read: a Redis of its own, shared by all processes of a test. It counts the loads, decides how each
//! goes, and has the current version of each item.

use std::fmt;
use std::net::Ipv4Addr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use crate::resp;
use crate::waiting::eventually;

/// The result of a load.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// Of which item.
    pub id: u64,
    /// Loads of this id are counted from 1, in the whole fleet.
    pub load: u64,
    /// The item's version in the database when the load began.
    pub version: u64,
}

/// What a load does.
#[derive(Clone, Copy, Debug)]
pub enum Order {
    /// Waits until [`Database::release`].
    Hold,
    /// Waits likewise, then fails.
    HoldAndFail,
    /// Waits likewise, then panics.
    HoldAndPanic,
    /// Fails at once.
    Fail,
    /// Panics at once.
    Panic,
    /// Takes that long.
    Take(Duration),
}

/// The error of a load that was ordered to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfStock;

impl fmt::Display for OutOfStock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("out of stock")
    }
}

impl std::error::Error for OutOfStock {}

impl Order {
    fn to_text(self) -> String {
        match self {
            Self::Take(time) => format!("take:{}", time.as_millis()),
            other => format!("{other:?}"),
        }
    }
}

/// Counts a load and returns its order. It is one step, so a test that has seen the count knows which version was read.
const LOAD: &str = "\
    local load = redis.call('INCR', 'loads:' .. ARGV[1])
    local version = redis.call('GET', 'version:' .. ARGV[1]) or '0'
    local order = redis.call('LPOP', 'orders:' .. ARGV[1]) or ''
    local time = redis.call('TIME')
    redis.call('RPUSH', 'begun:' .. ARGV[1], time[1] * 1000 + math.floor(time[2] / 1000))
    return load .. ' ' .. version .. ' ' .. order";

const BEGUN: &str = "return table.concat(redis.call('LRANGE', 'begun:' .. ARGV[1], 0, -1), ' ')";

/// A client of the database. Each command takes a connection of its own: a load that is dropped leaves no half-read answer behind.
#[derive(Clone, Debug)]
pub struct Database {
    port: u16,
}

impl Database {
    /// The database that listens on a loopback port.
    pub fn at(port: u16) -> Self {
        Self { port }
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The load of all cached functions.
    ///
    /// # Errors
    ///
    /// Where it was ordered to fail.
    ///
    /// # Panics
    ///
    /// Where it was ordered to panic.
    pub async fn load(&self, id: u64) -> Result<Item, OutOfStock> {
        let answer = self.ask(&["EVAL", LOAD, "0", &id.to_string()]).await.unwrap_or_default();
        let [load, version, order] = answer.splitn(3, ' ').collect::<Vec<_>>()[..] else {
            panic!("the database answered a load with {answer:?}")
        };
        let item = Item { id, load: number(load), version: number(version) };
        if order.starts_with("Hold") {
            self.ask(&["BLMOVE", &gate(id, item.load), "passed", "LEFT", "RIGHT", "60"]).await;
        }
        match order {
            "HoldAndFail" | "Fail" => return Err(OutOfStock),
            // Without the panic hook: it prints a backtrace, which takes seconds on a busy machine, and the lease would end meanwhile.
            "HoldAndPanic" | "Panic" => std::panic::resume_unwind(Box::new("the shelf fell over")),
            _ => {}
        }
        if let Some(time) = order.strip_prefix("take:") {
            tokio::time::sleep(Duration::from_millis(number(time))).await;
        }
        Ok(item)
    }

    /// Orders for the next loads of an id, in this order. Loads after them return at once.
    pub async fn order(&self, id: u64, orders: &[Order]) {
        for order in orders {
            self.ask(&["RPUSH", &format!("orders:{id}"), &order.to_text()]).await;
        }
    }

    /// How many loads of an id have begun.
    pub async fn loads(&self, id: u64) -> u64 {
        let count = self.ask(&["GET", &format!("loads:{id}")]).await;
        count.map_or(0, |count| number(&count))
    }

    /// Waits until that many loads of an id have begun.
    pub async fn begun(&self, id: u64, loads: u64) {
        eventually("a load begins", async || self.loads(id).await >= loads).await;
    }

    /// When each load of an id began, in milliseconds of the database's clock. There was at least one.
    pub async fn beginnings(&self, id: u64) -> Vec<u64> {
        let times = self.ask(&["EVAL", BEGUN, "0", &id.to_string()]).await.unwrap_or_default();
        times.split(' ').map(number).collect()
    }

    /// Lets a held load go on.
    pub async fn release(&self, id: u64, load: u64) {
        self.ask(&["RPUSH", &gate(id, load), "go"]).await;
    }

    /// From here on loads see this version of the item.
    pub async fn set_version(&self, id: u64, version: u64) {
        self.ask(&["SET", &format!("version:{id}"), &version.to_string()]).await;
    }

    async fn ask(&self, words: &[&str]) -> Option<String> {
        let answer = self.try_ask(words).await.unwrap_or_else(|error| panic!("the database: {error}"));
        answer.unwrap_or_else(|line| panic!("the database answered {line:?} to {words:?}"))
    }

    /// A status, a number, bytes or nothing; another reply is the `Err` within.
    async fn try_ask(&self, words: &[&str]) -> std::io::Result<Result<Option<String>, String>> {
        let words: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
        let mut stream = BufReader::new(TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).await?);
        stream.write_all(&resp::encode(&words)).await?;
        let mut line = String::new();
        stream.read_line(&mut line).await?;
        Ok(match line.trim_end().split_at_checked(1) {
            Some(("$", "-1")) => Ok(None),
            Some(("$", length)) => {
                let mut bytes = vec![0; number(length) as usize];
                stream.read_exact(&mut bytes).await?;
                Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
            }
            Some(("+" | ":", text)) => Ok(Some(text.to_owned())),
            _ => Err(line),
        })
    }
}

fn number(text: &str) -> u64 {
    text.parse().unwrap_or_else(|_| panic!("the database answered {text:?}, which is no number"))
}

fn gate(id: u64, load: u64) -> String {
    format!("gate:{id}:{load}")
}
