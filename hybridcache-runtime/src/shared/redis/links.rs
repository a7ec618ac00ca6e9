//! The links to all servers that a tier needs, and the right link for each name.

use std::sync::{Arc, Mutex};

use futures_util::future::{join_all, select_all, select_ok};
use redis::{Cmd, ConnectionInfo, Value, cmd};
use tokio::time::Instant;

use super::channels::Channels;
use super::connection::unexpected;
use super::health::{DeliveryWatermark, Health};
#[cfg(feature = "cluster")]
use super::kinds::cluster::{self, Cluster, Topology};
use super::link::{Link, Subscriptions};
use super::messages::Inbox;
use super::permissions::Permissions;
use super::transfers::TransferThread;
use super::url::Target;
use crate::primitives::sync::LockExt as _;
use crate::primitives::timers::Standstill;
use crate::shared::{Listeners, RemoteError, RemoteErrorKind};

/// The parameters with which a tier's links are opened.
pub(crate) struct Purpose {
    pub(crate) target: Mutex<Numbered>,
    pub(crate) channels: Channels,
    /// The groups of names. A cluster keeps each group in one slot.
    pub(crate) groups: Vec<String>,
    pub(crate) process: u64,
    pub(crate) permissions: Permissions,
    pub(crate) transfers: Arc<TransferThread>,
    pub(crate) listener: Listeners,
}

/// The present target, and the number of targets so far.
#[derive(Clone)]
pub(crate) struct Numbered {
    pub(crate) target: Arc<Target>,
    pub(crate) number: u64,
}

/// One link, or in a cluster one link for each node. A node that cannot be reached does not stop the others from
/// serving.
pub(crate) struct Links {
    nodes: Vec<Result<Arc<Link>, String>>,
    /// Every message can arrive.
    is_complete: bool,
    #[cfg(feature = "cluster")]
    topology: Option<Topology>,
    /// When the links began to be opened. Messages that are sent later arrive.
    pub(crate) began: Instant,
}

impl Links {
    /// Connects and subscribes.
    ///
    /// # Errors
    /// If no server can be used.
    pub(crate) async fn open(purpose: &Purpose, target: &Target) -> Result<Self, String> {
        match target {
            Target::Server(server) => Self::open_one(purpose, server).await,
            #[cfg(feature = "sentinel")]
            Target::Sentinel(watched) => {
                let links = Self::open_one(purpose, &watched.find().await?).await?;
                for link in links.usable() {
                    link.check_master().await?;
                }
                Ok(links)
            }
            #[cfg(feature = "cluster")]
            Target::Cluster(cluster) => Self::open_cluster(purpose, cluster).await,
        }
    }

    async fn open_one(purpose: &Purpose, server: &ConnectionInfo) -> Result<Self, String> {
        let began = Instant::now();
        let group = &purpose.groups[0];
        let subscriptions = Subscriptions {
            channels: vec![purpose.channels.invalidations(group), purpose.channels.own(group)],
            beat: purpose.channels.own(group),
            is_sharded: false,
        };
        let proofs = Arc::new(DeliveryWatermark::new(1, began));
        let link =
            Link::open(server, purpose.inbox(&proofs, 0), subscriptions, &purpose.permissions, &purpose.transfers)
                .await?;
        Ok(Self {
            nodes: vec![Ok(Arc::new(link))],
            is_complete: true,
            #[cfg(feature = "cluster")]
            topology: None,
            began,
        })
    }

    #[cfg(feature = "cluster")]
    async fn open_cluster(purpose: &Purpose, cluster: &Cluster) -> Result<Self, String> {
        let began = Instant::now();
        let topology = cluster.find(&purpose.groups).await?;
        let proofs = Arc::new(DeliveryWatermark::new(topology.nodes.len(), began));
        let opening = topology.nodes.iter().enumerate().map(|(place, node)| {
            let owned = purpose.groups.iter().filter(|group| topology.owner(group) == Some(place)).collect();
            let subscriptions = Subscriptions::sharded(&purpose.channels, owned);
            let inbox = purpose.inbox(&proofs, place);
            async move {
                let link =
                    Link::open(&cluster.node(node), inbox, subscriptions, &purpose.permissions, &purpose.transfers)
                        .await;
                link.map(Arc::new).map_err(|reason| format!("{}:{}: {reason}", node.0, node.1))
            }
        });
        let nodes = join_all(opening).await;
        let is_complete = topology.is_complete() && nodes.iter().all(Result::is_ok);
        let links = Self { nodes, is_complete, topology: Some(topology), began };
        if links.usable().next().is_some() {
            return Ok(links);
        }
        let reasons: Vec<_> = links.nodes.into_iter().filter_map(Result::err).collect();
        Err(if reasons.is_empty() { "no node serves any slot".to_owned() } else { reasons.join("; ") })
    }

    /// The link to the server that has the key or stamp of this name.
    pub(crate) fn at(&self, name: &str) -> Result<&Arc<Link>, RemoteError> {
        let place = self.place(name).ok_or_else(|| self.unreachable("no node of the cluster serves the slot"))?;
        let link = self.nodes[place].as_ref().map_err(|reason| self.unreachable(reason))?;
        link.health().trouble().map_or(Ok(link), |trouble| Err(self.unreachable(trouble)))
    }

    fn unreachable(&self, reason: &str) -> RemoteError {
        let is_part = self.usable().next().is_some();
        let kind = if is_part { RemoteErrorKind::PartDown } else { RemoteErrorKind::Unavailable };
        RemoteError { kind, message: reason.to_owned() }
    }

    #[cfg(feature = "cluster")]
    fn place(&self, name: &str) -> Option<usize> {
        self.topology.as_ref().map_or(Some(0), |topology| topology.owner(name))
    }

    #[cfg(not(feature = "cluster"))]
    fn place(&self, _: &str) -> Option<usize> {
        Some(0)
    }

    /// How many names one command may have.
    pub(crate) fn names_at_once(&self) -> usize {
        #[cfg(feature = "cluster")]
        if self.topology.is_some() {
            return 1;
        }
        usize::MAX
    }

    /// Every message can arrive.
    pub(crate) fn is_complete(&self) -> bool {
        self.is_complete
    }

    /// The links that can be used.
    pub(crate) fn usable(&self) -> impl Iterator<Item = &Arc<Link>> {
        self.nodes.iter().flatten().filter(|link| link.health().trouble().is_none())
    }

    /// Sends each command to the server of its name: one round trip, to all servers at the same time. The commands to
    /// one server keep their order. The answers are in the order of the commands.
    pub(crate) async fn scatter(&self, commands: Vec<(&str, Cmd)>) -> Vec<Result<Value, RemoteError>> {
        let mut answers: Vec<_> = commands.iter().map(|_| Err(unexpected("a pipeline"))).collect();
        let _standstill = Standstill::begin();
        let mut batches: Vec<(&Arc<Link>, redis::Pipeline, Vec<usize>)> = Vec::new();
        for (number, (name, command)) in commands.into_iter().enumerate() {
            let link = match self.at(name) {
                Ok(link) => link,
                Err(error) => {
                    answers[number] = Err(error);
                    continue;
                }
            };
            let place = batches.iter().position(|(other, ..)| Arc::ptr_eq(other, link)).unwrap_or_else(|| {
                batches.push((link, redis::pipe(), Vec::new()));
                batches.len() - 1
            });
            batches[place].1.add_command(command);
            batches[place].2.push(number);
        }
        let sent = batches.iter().map(|(link, pipeline, _)| link.pipeline(pipeline));
        for ((_, _, numbers), replies) in batches.iter().zip(join_all(sent).await) {
            match replies {
                Ok(replies) => numbers.iter().zip(replies).for_each(|(number, reply)| answers[*number] = reply),
                Err(error) => numbers.iter().for_each(|number| answers[*number] = Err(error.clone())),
            }
        }
        answers
    }

    /// The names of the histories of all servers, if each server reports one: see [`Link::history`].
    pub(crate) async fn history(&self) -> Option<Vec<String>> {
        if !self.is_complete {
            return None;
        }
        let asked = join_all(self.usable().map(|link| link.history())).await;
        let mut histories = asked.into_iter().collect::<Option<Vec<_>>>()?;
        histories.sort_unstable();
        Some(histories)
    }

    /// Whether any server answers.
    pub(crate) async fn ping(&self) -> Result<(), RemoteError> {
        // `TIME` is needed anyway: `PING` would need one more permission.
        let time = cmd("TIME");
        let asked: Vec<_> = self.usable().map(|link| Box::pin(link.call(&time))).collect();
        if asked.is_empty() {
            return Err(RemoteError::unavailable("no server can be reached"));
        }
        select_ok(asked).await.map(drop)
    }

    /// Sends a heartbeat to each server.
    pub(crate) async fn beat(&self) {
        join_all(self.usable().map(|link| link.beat())).await;
    }

    /// Reports each link on which no heartbeat has come back for too long.
    pub(crate) fn check_beats(&self, missed: u64, trouble: &str) {
        for link in self.usable().filter(|link| link.health().unanswered() >= missed) {
            link.health().report(trouble);
        }
    }

    /// Waits until any of the links must be replaced. Returns the reason.
    pub(crate) async fn troubled(&self) -> String {
        let troubled = self.nodes.iter().flatten().map(|link| Box::pin(link.health().troubled()));
        select_all(troubled).await.0.to_owned()
    }

    /// Why the links must be replaced although they still work: the right servers are others now. A link may still work
    /// when its server is no longer the master or owner, so the sentinels or another node are queried.
    pub(crate) async fn outdated(&self, purpose: &Purpose) -> Option<String> {
        match &*purpose.target().target {
            Target::Server(_) => None,
            #[cfg(feature = "sentinel")]
            Target::Sentinel(watched) => {
                let master = watched.find().await.ok()?;
                let is_other = self.usable().any(|link| link.address() != master.addr());
                is_other.then(|| format!("the sentinels name another master: {}", master.addr()))
            }
            #[cfg(feature = "cluster")]
            Target::Cluster(cluster) => {
                let usable: Vec<_> = self.usable().collect();
                let asked = fastrand::choice(usable)?;
                let replies = asked.pipeline(&cluster::questions()).await.ok()?;
                let replies: Vec<_> = replies.into_iter().collect::<Result<_, _>>().ok()?;
                let now = Topology::of(&replies, asked.address(), &purpose.groups)?;
                if self.topology.as_ref() != Some(&now) {
                    return Some("the cluster's slots have moved".to_owned());
                }
                let unreachable = now.nodes.iter().zip(&self.nodes).filter(|(_, link)| link.is_err());
                let tried: Vec<_> = unreachable.map(|(node, _)| Box::pin(Link::try_out(cluster.node(node)))).collect();
                if tried.is_empty() {
                    return None;
                }
                select_ok(tried).await.is_ok().then(|| "a node can be reached again".to_owned())
            }
        }
    }
}

impl Purpose {
    pub(crate) fn target(&self) -> Numbered {
        self.target.lock_unpoisoned().clone()
    }

    /// Returns the number of the new target.
    pub(crate) fn set_target(&self, target: Target) -> u64 {
        let mut current = self.target.lock_unpoisoned();
        *current = Numbered { target: Arc::new(target), number: current.number + 1 };
        current.number
    }

    fn inbox(&self, proofs: &Arc<DeliveryWatermark>, place: usize) -> Inbox {
        Inbox {
            own_suffix: self.channels.own_suffix(),
            process: self.process,
            listener: self.listener.clone(),
            health: Arc::new(Health::new()),
            proofs: proofs.clone(),
            place,
        }
    }
}
