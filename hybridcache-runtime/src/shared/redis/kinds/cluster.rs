//! A cluster: which node owns which of a namespace's groups.
//!
//! Only the groups of this namespace count: if other slots move, the links stay as they are.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::time::Duration;

use crc::{CRC_16_XMODEM, Crc};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use redis::{AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, Pipeline, RedisError, Value};

use crate::primitives::sync::LockExt as _;
use crate::shared::redis::endpoint::located;

/// How long a node may take to connect and to answer.
const PATIENCE: Duration = Duration::from_millis(500);

/// How many nodes are queried at once.
const ASKED: usize = 8;

const CRC: Crc<u16> = Crc::<u16>::new(&CRC_16_XMODEM);

/// The nodes to query.
pub(crate) struct Cluster {
    seeds: Vec<ConnectionInfo>,
    /// The nodes that were found last: all seeds may be gone by now.
    known: Mutex<Vec<ConnectionInfo>>,
}

/// Host and port of a node.
pub(crate) type NodeAddress = (String, u16);

/// The owners of the slots of this namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Topology {
    /// Sorted.
    pub(crate) nodes: Vec<NodeAddress>,
    /// By slot. No node serves a slot that is missing here.
    owners: BTreeMap<u16, usize>,
    slots: usize,
}

/// The answer of one node.
struct View {
    topology: Topology,
    /// Whether the node thinks that the cluster works. A node that is cut off from the others does not.
    is_ok: bool,
}

impl Cluster {
    pub(crate) fn new(seeds: Vec<ConnectionInfo>) -> Self {
        Self { seeds, known: Mutex::default() }
    }

    /// How to connect to a node.
    pub(crate) fn node(&self, (host, port): &NodeAddress) -> ConnectionInfo {
        located(&self.seeds[0], host, *port)
    }

    /// Queries several nodes. Uses the answer of the first node that thinks the cluster works, otherwise the answer of
    /// any node.
    ///
    /// # Errors
    /// If no node answers.
    pub(crate) async fn find(&self, groups: &[String]) -> Result<Topology, String> {
        let candidates = self.candidates();
        let mut asked: FuturesUnordered<_> = candidates.iter().map(|node| ask(node, groups)).collect();
        let mut reasons = Vec::new();
        let mut doubtful = None;
        while let Some(answer) = asked.next().await {
            match answer {
                Ok(view) if view.is_ok => return Ok(self.remember(view.topology)),
                Ok(view) => doubtful = Some(view.topology),
                Err(reason) => reasons.push(reason),
            }
        }
        doubtful.map(|topology| self.remember(topology)).ok_or_else(|| reasons.join("; "))
    }

    fn candidates(&self) -> Vec<ConnectionInfo> {
        let mut nodes = self.known.lock_unpoisoned().clone();
        for seed in &self.seeds {
            if !nodes.iter().any(|node| node.addr() == seed.addr()) {
                nodes.push(seed.clone());
            }
        }
        fastrand::shuffle(&mut nodes);
        nodes.truncate(ASKED);
        nodes
    }

    fn remember(&self, topology: Topology) -> Topology {
        let nodes = topology.nodes.iter().map(|node| self.node(node)).collect();
        *self.known.lock_unpoisoned() = nodes;
        topology
    }
}

impl Topology {
    /// Reads a node's answers to [`questions`]; `asked` is the node's address. `None` if the node does not think that
    /// the cluster works.
    pub(crate) fn of(replies: &[Value], asked: &ConnectionAddr, groups: &[String]) -> Option<Self> {
        View::read(replies, asked, groups).filter(|view| view.is_ok).map(|view| view.topology)
    }

    /// The node that owns the key, stamp or channel of this name.
    pub(crate) fn owner(&self, name: &str) -> Option<usize> {
        self.owners.get(&slot(name)).copied()
    }

    /// Whether every slot of this namespace has an owner.
    pub(crate) fn is_complete(&self) -> bool {
        self.owners.len() == self.slots
    }

    /// Reads the answer to `CLUSTER SLOTS`. A node that does not know its own host is reachable at the queried address.
    fn read(reply: &Value, asked: &str, groups: &[String]) -> Option<Self> {
        let Value::Array(ranges) = reply else { return None };
        let ranges: Vec<_> = ranges.iter().map(|range| range_of(range, asked)).collect::<Option<_>>()?;
        let slots: BTreeSet<u16> = groups.iter().map(|group| slot(group)).collect();
        let owner = |slot: u16| ranges.iter().find(|(first, last, _)| (*first..=*last).contains(&slot));
        let owned: Vec<_> = slots.iter().filter_map(|&slot| Some((slot, &owner(slot)?.2))).collect();
        let mut nodes: Vec<NodeAddress> = owned.iter().map(|(_, node)| (*node).clone()).collect();
        nodes.sort();
        nodes.dedup();
        let owners = owned.iter().filter_map(|(slot, node)| Some((*slot, nodes.binary_search(node).ok()?))).collect();
        Some(Self { nodes, owners, slots: slots.len() })
    }
}

/// The slot of a name: the hash of the text between its first braces. All our names have braces.
pub(crate) fn slot(name: &str) -> u16 {
    let tag = name.split_once('{').and_then(|(_, rest)| rest.split_once('}')).map(|(tag, _)| tag);
    let hashed = tag.filter(|tag| !tag.is_empty()).unwrap_or(name);
    CRC.checksum(hashed.as_bytes()) % 16384
}

async fn ask(node: &ConnectionInfo, groups: &[String]) -> Result<View, String> {
    let told = |problem: &dyn std::fmt::Display| format!("node {}: {problem}", node.addr());
    let config =
        AsyncConnectionConfig::new().set_connection_timeout(Some(PATIENCE)).set_response_timeout(Some(PATIENCE));
    let query = async {
        let mut connection = Client::open(node.clone())?.get_multiplexed_async_connection_with_config(&config).await?;
        connection.send_packed_commands(&questions(), 0, 2).await
    };
    let replies = query.await.map_err(|error: RedisError| told(&error))?;
    if let Some(Value::ServerError(error)) = replies.first() {
        return Err(told(&[error.code(), error.details().unwrap_or_default()].join(" ")));
    }
    View::read(&replies, node.addr(), groups).ok_or_else(|| told(&"an unexpected answer"))
}

/// The commands that query a node.
pub(crate) fn questions() -> Pipeline {
    let mut questions = redis::pipe();
    questions.cmd("CLUSTER").arg("SLOTS");
    questions.cmd("CLUSTER").arg("INFO");
    questions
}

impl View {
    fn read(replies: &[Value], asked: &ConnectionAddr, groups: &[String]) -> Option<Self> {
        let [slots, state] = replies else { return None };
        let host = match asked {
            ConnectionAddr::Tcp(host, _) | ConnectionAddr::TcpTls { host, .. } => host.as_str(),
            _ => "",
        };
        let is_ok = text(state).is_some_and(|state| state.contains("cluster_state:ok"));
        Some(Self { topology: Topology::read(slots, host, groups)?, is_ok })
    }
}

/// The first slot, the last slot, and the master.
fn range_of(range: &Value, asked: &str) -> Option<(u16, u16, NodeAddress)> {
    let Value::Array(parts) = range else { return None };
    let [Value::Int(first), Value::Int(last), Value::Array(master), ..] = parts.as_slice() else { return None };
    let [host, Value::Int(port), ..] = master.as_slice() else { return None };
    let host = text(host).filter(|host| !host.is_empty() && *host != "?").unwrap_or(asked);
    let number = |value: &i64| u16::try_from(*value).ok();
    Some((number(first)?, number(last)?, (host.to_owned(), number(port)?)))
}

fn text(value: &Value) -> Option<&str> {
    match value {
        Value::BulkString(bytes) => std::str::from_utf8(bytes).ok(),
        Value::SimpleString(text) | Value::VerbatimString { text, .. } => Some(text),
        _ => None,
    }
}
