//! A cluster on one machine.

use std::collections::BTreeSet;

use crate::sentinels::eventually;
use crate::{ATTEMPTS, Authority, RedisServer, Reply, free_port};

/// Three masters with equal shares of the slots, and on demand a replica of each; all `redis-server` processes of the
/// test's own.
#[derive(Debug)]
pub struct RedisCluster {
    /// The masters at first, then their replicas, in the same order.
    pub nodes: Vec<RedisServer>,
}

const MASTERS: usize = 3;
const SLOTS: usize = 16384;

impl RedisCluster {
    /// Three masters. As many clusters are set up, one that is incomplete serves what is left.
    ///
    /// # Panics
    ///
    /// As [`RedisServer::start`].
    pub fn start() -> Self {
        Self::start_nodes(MASTERS, None)
    }

    /// Three masters with a replica each. A master that is silent for a second is replaced.
    ///
    /// # Panics
    ///
    /// As [`RedisServer::start`].
    pub fn start_with_replicas() -> Self {
        Self::start_nodes(2 * MASTERS, None)
    }

    /// Three masters that speak TLS to each other and to clients.
    ///
    /// # Panics
    ///
    /// As [`Authority::start`].
    pub fn start_with_tls(authority: &Authority) -> Self {
        Self::start_nodes(MASTERS, Some(authority))
    }

    fn start_nodes(count: usize, authority: Option<&Authority>) -> Self {
        let started = |_| {
            let start = || {
                let tls = authority.map(|authority| authority.arguments(free_port(), "yes")).unwrap_or_default();
                let cluster_too = ["--tls-cluster", "yes"].map(str::to_owned);
                let is_tls = authority.is_some();
                let tls = tls.into_iter().chain(cluster_too.into_iter().filter(|_| is_tls));
                RedisServer::try_start(&arguments(free_port()).into_iter().chain(tls).collect::<Vec<_>>())
            };
            (0..ATTEMPTS).find_map(|_| start()).unwrap_or_else(|| panic!("a node of a cluster did not start"))
        };
        let cluster = Self { nodes: (0..count).map(started).collect() };
        cluster.introduce();
        cluster.replicate();
        eventually("the cluster serves", || cluster.nodes.iter().all(|node| cluster.is_ready(node)));
        cluster
    }

    /// The port on which a node speaks TLS.
    ///
    /// # Panics
    ///
    /// Where it does not.
    pub fn tls_port(node: &RedisServer) -> u16 {
        setting(node, "tls-port").parse().unwrap_or_else(|_| panic!("no port for TLS"))
    }

    /// `redis-cluster://127.0.0.1:<port>,..`: of the masters.
    pub fn url(&self) -> String {
        let hosts: Vec<_> = self.nodes[..MASTERS].iter().map(|one| format!("127.0.0.1:{}", one.port())).collect();
        format!("redis-cluster://{}", hosts.join(","))
    }

    /// The slot of a key, and the node that owns it, as `asked` knows.
    ///
    /// # Panics
    ///
    /// Where nobody owns it.
    pub fn owner(&self, asked: &RedisServer, key: &str) -> (u16, &RedisServer) {
        let Reply::Integer(slot) = asked.command(&[b"CLUSTER", b"KEYSLOT", key.as_bytes()]) else {
            panic!("no slot of {key}")
        };
        let owner = slots(asked).into_iter().find(|(first, last, _)| (*first..=*last).contains(&slot));
        let (_, _, port) = owner.unwrap_or_else(|| panic!("nobody owns slot {slot}"));
        let node = self.nodes.iter().find(|node| i64::from(node.port()) == port);
        (slot as u16, node.unwrap_or_else(|| panic!("port {port} is none of ours")))
    }

    /// Moves a slot with all that is in it, as `redis-cli --cluster reshard` does.
    ///
    /// # Panics
    ///
    /// Where a node refuses.
    pub fn move_slot(&self, slot: u16, from: &RedisServer, to: &RedisServer) {
        let slot_text = slot.to_string();
        let set = |node: &RedisServer, state: &str, other: &RedisServer| {
            let words = ["CLUSTER", "SETSLOT", &slot_text, state, &id(other)];
            expect_ok(node, &words);
        };
        set(to, "IMPORTING", from);
        set(from, "MIGRATING", to);
        let count = b"1000".as_slice();
        let Reply::Array(keys) = from.command(&[b"CLUSTER", b"GETKEYSINSLOT", slot_text.as_bytes(), count]) else {
            panic!("no keys of slot {slot}")
        };
        let port = to.port().to_string();
        for key in keys.into_iter().filter_map(Reply::into_text) {
            expect_ok(from, &["MIGRATE", "127.0.0.1", &port, &key, "0", "5000"]);
        }
        set(to, "NODE", to);
        set(from, "NODE", to);
        for node in &self.nodes {
            set(node, "NODE", to);
        }
    }

    /// Makes them one cluster.
    fn introduce(&self) {
        for (number, node) in self.nodes.iter().enumerate() {
            expect_ok(node, &["CLUSTER", "SET-CONFIG-EPOCH", &(number + 1).to_string()]);
            if number < MASTERS {
                let first = (number * SLOTS / MASTERS).to_string();
                let last = ((number + 1) * SLOTS / MASTERS - 1).to_string();
                expect_ok(node, &["CLUSTER", "ADDSLOTSRANGE", &first, &last]);
            }
            for other in &self.nodes[..number] {
                let (tls, plain) = (setting(other, "tls-port"), other.port().to_string());
                let port = if setting(other, "tls-cluster") == "yes" { tls } else { plain };
                expect_ok(node, &["CLUSTER", "MEET", "127.0.0.1", &port, &setting(other, "cluster-port")]);
            }
        }
    }

    fn replicate(&self) {
        for (number, replica) in self.nodes.iter().enumerate().skip(MASTERS) {
            let master = id(&self.nodes[number - MASTERS]);
            let is_known =
                || state(replica, "NODES").lines().any(|line| line.starts_with(&master) && line.contains('-'));
            eventually("a replica knows its master", is_known);
            expect_ok(replica, &["CLUSTER", "REPLICATE", &master]);
        }
    }

    /// Knows all others and their shares.
    fn is_ready(&self, node: &RedisServer) -> bool {
        let covered: BTreeSet<i64> = slots(node).into_iter().flat_map(|(first, last, _)| first..=last).collect();
        let info = state(node, "INFO");
        let replication = node.info("replication");
        let known = format!("cluster_known_nodes:{}\r\n", self.nodes.len());
        let replicas = self.nodes.len() / MASTERS - 1;
        let is_in_step = replication.contains("master_link_status:up")
            || replication.contains(&format!("role:master\r\nconnected_slaves:{replicas}\r\n"));
        covered.len() == SLOTS && info.contains("cluster_state:ok") && info.contains(&known) && is_in_step
    }
}

fn arguments(bus: u16) -> Vec<String> {
    let settings = [
        ["--cluster-enabled", "yes"],
        ["--cluster-port", &bus.to_string()],
        ["--cluster-node-timeout", "1000"],
        ["--cluster-require-full-coverage", "no"],
        ["--repl-diskless-sync-delay", "0"],
    ];
    settings.into_iter().flatten().map(str::to_owned).collect()
}

/// First slot, last slot, the master's port.
fn slots(node: &RedisServer) -> Vec<(i64, i64, i64)> {
    let Reply::Array(ranges) = node.command(&[b"CLUSTER", b"SLOTS"]) else { return Vec::new() };
    let range = |range| match range {
        Reply::Array(parts) => match parts.as_slice() {
            [Reply::Integer(first), Reply::Integer(last), Reply::Array(master), ..] => match master.as_slice() {
                [_, Reply::Integer(port), ..] => Some((*first, *last, *port)),
                _ => None,
            },
            _ => None,
        },
        _ => None,
    };
    ranges.into_iter().filter_map(range).collect()
}

fn id(node: &RedisServer) -> String {
    state(node, "MYID")
}

fn setting(node: &RedisServer, name: &str) -> String {
    let Reply::Array(setting) = node.command(&[b"CONFIG", b"GET", name.as_bytes()]) else { return String::new() };
    setting.into_iter().nth(1).and_then(Reply::into_text).unwrap_or_default()
}

fn state(node: &RedisServer, what: &str) -> String {
    node.command(&[b"CLUSTER", what.as_bytes()]).into_text().unwrap_or_default()
}

fn expect_ok(node: &RedisServer, words: &[&str]) {
    let bytes: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
    let reply = node.command(&bytes);
    assert_eq!(reply, Reply::Simple("OK".to_owned()), "{words:?}");
}
