//! Tests against a real server. Each test starts its own. "Killed by" names the change that the test was seen to catch.

#![allow(clippy::unwrap_used, reason = "a test panics to fail")]

mod batches;
#[cfg(feature = "cluster")]
mod clusters;
mod counts;
mod faults;
mod stamps;
mod steps;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use hybridcache_test_support::{RedisServer, Reply};
use tokio::time::Instant;

use super::RedisTier;
use crate::shared::wire::names::Address;
use crate::shared::{Acquired, Invalidation, LARGE, Listener, Published, Release, Remote, Token, Wake};

const LEASE: Duration = Duration::from_secs(3);
const TTL: Duration = Duration::from_secs(60);
const LIFE: Duration = Duration::from_secs(300);

/// A call of the listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Event {
    Woken(u64, Wake),
    Invalidated(u64, Invalidation, u64),
    Restamped(u64, u64),
    Renumbered(u64, u64),
    Resubscribed,
}

/// One process of the fleet, as the server sees it.
struct Process {
    id: u64,
    tier: Arc<RedisTier>,
    events: Arc<Events>,
}

#[derive(Default)]
struct Events {
    told: Mutex<Vec<Event>>,
    /// For each connection, whether the server still had everything that it had acknowledged.
    kept: Mutex<Vec<bool>>,
    /// Not among the events, because there is one each second.
    proven: Mutex<Vec<Instant>>,
}

impl Events {
    fn push(&self, event: Event) {
        self.told.lock().unwrap().push(event);
    }
}

impl Listener for Events {
    fn woken(&self, key_id: u64, wake: Wake) {
        self.push(Event::Woken(key_id, wake));
    }

    fn invalidated(&self, key_id: u64, mode: Invalidation, origin: u64) {
        self.push(Event::Invalidated(key_id, mode, origin));
    }

    fn restamped(&self, stamp: u64, origin: u64) {
        self.push(Event::Restamped(stamp, origin));
    }

    fn renumbered(&self, stamp: u64, number: u64) {
        self.push(Event::Renumbered(stamp, number));
    }

    fn resubscribed(&self, kept: bool) {
        self.kept.lock().unwrap().push(kept);
        self.push(Event::Resubscribed);
    }

    fn proven(&self, until: Instant) {
        self.proven.lock().unwrap().push(until);
    }

    fn warned(&self, _: bool, _: &'static str, _: &str, _: &str) {}
    fn disconnected(&self) {}
}

impl Process {
    async fn start(server: &RedisServer, id: u64) -> Self {
        Self::at(&server.url(), id).await
    }

    async fn at(url: &str, id: u64) -> Self {
        let events = Arc::new(Events::default());
        let tier = RedisTier::connect(url, "test", id, events.clone()).await.unwrap();
        Self { id, tier, events }
    }

    fn token(&self, attempt: u64) -> Token {
        Token { process: self.id, attempt }
    }

    /// The token of the first attempt, once it has the lease.
    async fn lease(&self, key: &Address) -> Token {
        let token = self.token(1);
        assert_eq!(self.tier.acquire(key, token, LEASE, b"").await.unwrap(), Acquired::Granted);
        token
    }

    /// Waits for the lease that another process has.
    async fn wait(&self, key: &Address) {
        let answer = self.tier.acquire(key, self.token(99), LEASE, b"").await.unwrap();
        assert!(matches!(answer, Acquired::Held(_)), "{answer:?}");
    }

    async fn publish(&self, key: &Address, token: Token) -> Published {
        self.tier.publish(key, token, entry(token), TTL).await.unwrap()
    }

    /// A put in two steps, as the engine does it.
    async fn put(&self, key: &Address, token: Token) -> Published {
        self.tier.seize(key, &[], token, LEASE).await.unwrap();
        self.publish(key, token).await
    }

    async fn fetch(&self, key: &Address) -> Option<Vec<u8>> {
        self.tier.fetch(key, &[]).await.unwrap().entry
    }

    /// All events except connections and numbers of stamps.
    fn heard(&self) -> Vec<Event> {
        let events = self.events.told.lock().unwrap();
        let is_heard = |event: &Event| !matches!(event, Event::Resubscribed | Event::Renumbered(..));
        events.iter().copied().filter(is_heard).collect()
    }

    /// The numbers that stamps were announced to have.
    fn numbers(&self) -> Vec<(u64, u64)> {
        let number = |event: &Event| match event {
            Event::Renumbered(stamp, number) => Some((*stamp, *number)),
            _ => None,
        };
        self.events.told.lock().unwrap().iter().filter_map(number).collect()
    }

    fn connections(&self) -> usize {
        self.events.told.lock().unwrap().iter().filter(|event| **event == Event::Resubscribed).count()
    }

    /// Waits until all messages that were sent so far have arrived, and compares them with `expected`.
    async fn hears(&self, server: &RedisServer, expected: &[Event]) {
        let already = self.heard().len();
        let mark = fastrand::u64(..);
        let (channel, message) = (format!("hc2:test:w:{:016x}", self.id), format!("P{mark:016x}"));
        server.command(&[b"PUBLISH", channel.as_bytes(), message.as_bytes()]);
        let mark = Event::Woken(mark, Wake::Published);
        eventually("the mark", || self.heard()[already..].contains(&mark)).await;
        self.events.told.lock().unwrap().retain(|event| *event != mark);
        assert_eq!(self.heard(), expected);
    }
}

fn key() -> Address {
    Address::new("test", "shop::user", 1, "id:7")
}

fn key_at_version(version: u32) -> Address {
    Address::new("test", "shop::user", version, "id:7")
}

/// An entry as the engine writes it: the fence is in bytes 16 to 31, and byte 4 is the mutable one.
fn entry(fence: Token) -> Vec<u8> {
    let mut bytes = vec![0; 80];
    bytes[16..32].copy_from_slice(&fence.to_bytes());
    bytes[64..].copy_from_slice(b"payload \r\n\0\xff....");
    bytes
}

async fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    for _ in 0..4000 {
        if condition() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("not within twenty seconds: {what}");
}

/// The stored keys, without stamps.
fn keys(server: &RedisServer) -> Vec<String> {
    server.keys("hc2:{test:??}*")
}

fn exists(server: &RedisServer, key: &str) -> bool {
    server.command(&[b"EXISTS", key.as_bytes()]) == Reply::Integer(1)
}

fn integer(reply: Reply) -> i64 {
    match reply {
        Reply::Integer(number) => number,
        other => panic!("no number: {other:?}"),
    }
}

/// One value of every type of Redis but the plain string, and strings that are no entry, lease or stamp.
fn plant_garbage(server: &RedisServer, key: &str, kind: usize) -> bool {
    let key = key.as_bytes();
    let long = [b'x'; 64];
    let garbage: [&[&[u8]]; 12] = [
        &[b"HSET", key, b"field", b"value"],
        &[b"RPUSH", key, b"value"],
        &[b"SADD", key, b"value"],
        &[b"ZADD", key, b"1", b"value"],
        &[b"XADD", key, b"*", b"field", b"value"],
        &[b"SET", key, b""],
        &[b"SET", key, b"short"],
        &[b"SET", key, b"0123456789abcdef"],
        &[b"SET", key, b"0123456789abcdef fence"],
        &[b"SET", key, &long],
        &[b"SET", key, b"short", b"PX", b"100000"],
        &[b"PFADD", key, b"value"],
    ];
    let Some(command) = garbage.get(kind) else { return false };
    server.command(&[b"DEL", key]);
    let reply = server.command(command);
    assert!(!matches!(reply, Reply::Error(_)), "{reply:?}");
    true
}
