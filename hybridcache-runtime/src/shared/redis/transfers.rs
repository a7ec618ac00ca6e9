//! Transfers of large values, on connections of their own.
//!
//! On one connection, answers come in the order of the commands, so a small answer would wait until all bytes of a
//! large one have arrived. And a thread that copies tens of megabytes does nothing else meanwhile. So transfers have
//! their own connections and their own thread. A connection is opened when it is needed, and closed when it has been
//! idle for a while. The end of such a connection says nothing about the link: a server closes the connection of a
//! client whose pending output exceeds `client-output-buffer-limit normal`.

use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use futures_util::future::{Either, select};
use once_cell::sync::OnceCell;
use redis::{AsyncConnectionConfig, Client, Pipeline, Value};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, oneshot};
use tokio::time::{Instant, sleep};

use super::connection::{Connection, Reply};
use super::health::Health;
use crate::primitives::background::Background;
use crate::primitives::sync::LockExt as _;
use crate::primitives::timers::Standstill;
use crate::shared::{RemoteError, RemoteErrorKind};

/// How many transfers one server has at a time; the others wait. More than one, so that a value of a hundred kilobytes
/// need not wait for a value of a hundred megabytes.
const AT_ONCE: usize = 4;

/// A connection that has been idle for this time is closed. The server may close it too, and that would be noticed only
/// at its next use.
const IDLE: Duration = Duration::from_secs(30);

/// How long a transfer may take, plus one second for each [`SLOWEST`] bytes. Its caller waits less long; this limit
/// frees the connection.
const LONGEST: Duration = Duration::from_secs(10);
const SLOWEST: usize = 1 << 20;

/// The thread for all transfers of a tier, started at the first transfer.
#[derive(Debug, Default)]
pub(crate) struct TransferThread(OnceCell<Background>);

impl TransferThread {
    /// The thread's runtime, or `other` if the system cannot start a thread.
    fn runtime(&self, other: &Handle) -> Handle {
        let started = self.0.get_or_try_init(|| Background::start("hybridcache-large"));
        started.map_or_else(|_| other.clone(), |thread| thread.runtime().clone())
    }
}

/// The transfers from and to one server. Dropping it closes the idle connections.
pub(crate) struct Transfers {
    client: Client,
    config: AsyncConnectionConfig,
    /// The health of the link to the same server.
    link: Arc<Health>,
    thread: Arc<TransferThread>,
    /// The runtime of the link.
    other: Handle,
    turns: Semaphore,
    idle: Mutex<Vec<(Connection, Instant)>>,
}

impl Transfers {
    /// Does not connect yet. `link`: the health of the link to the same server.
    pub(crate) fn new(
        client: Client,
        config: AsyncConnectionConfig,
        link: Arc<Health>,
        thread: Arc<TransferThread>,
    ) -> Arc<Self> {
        let (turns, other) = (Semaphore::new(AT_ONCE), Handle::current());
        Arc::new(Self { client, config, link, thread, other, turns, idle: Mutex::default() })
    }

    /// Sends commands that move `bytes` bytes, and returns the answers. `commands` is called on the thread of the
    /// transfers, because it may copy large values. If the caller is dropped, its transfer ends, and the server may or
    /// may not have executed the commands.
    pub(crate) async fn run(
        self: &Arc<Self>,
        bytes: usize,
        commands: impl FnOnce() -> Pipeline + Send + 'static,
    ) -> Result<Vec<Result<Value, RemoteError>>, RemoteError> {
        let _standstill = Standstill::begin();
        let (transfers, (mut answer, answered)) = (self.clone(), oneshot::channel());
        self.thread.runtime(&self.other).spawn(async move {
            let ended = match select(pin!(transfers.transfer(bytes, commands)), pin!(answer.closed())).await {
                Either::Left((ended, _)) => ended,
                // The connection is closed too: the bytes that are still to come would keep it busy.
                Either::Right(_) => return,
            };
            // The caller may be dropped at this moment.
            let _ = answer.send(ended);
        });
        answered.await.unwrap_or_else(|_| Err(failed("its thread has ended")))
    }

    async fn transfer(
        self: &Arc<Self>,
        bytes: usize,
        commands: impl FnOnce() -> Pipeline,
    ) -> Result<Vec<Result<Value, RemoteError>>, RemoteError> {
        let _turn = self.turns.acquire().await;
        let wire = self.connection().await?;
        let limit = LONGEST + Duration::from_secs((bytes / SLOWEST) as u64);
        let commands = commands();
        let replies = wire.replies_within(limit, &commands).await.map_err(|error| match error.kind {
            RemoteErrorKind::Unavailable => failed(&error.message),
            _ => error,
        })?;
        let mut answers = Vec::with_capacity(commands.len());
        for reply in replies {
            answers.push(match reply {
                Reply::Answer(answer) => answer,
                Reply::Again(command) => wire.call(&command).await,
            });
        }
        match wire.health.trouble() {
            // The trouble comes from an answer, so it concerns the server: another server is the right one now.
            Some(trouble) => self.link.report(trouble),
            None => self.set_aside(wire),
        }
        Ok(answers)
    }

    async fn connection(&self) -> Result<Connection, RemoteError> {
        if let Some((wire, _)) = self.idle().pop() {
            return Ok(wire);
        }
        let opening = self.client.get_multiplexed_async_connection_with_config(&self.config);
        let commands = opening.await.map_err(|error| failed(&error.to_string()))?;
        Ok(Connection { commands, health: Arc::new(Health::new()), runtime: Handle::current() })
    }

    /// Keeps the connection for the next transfer, if there is one soon.
    fn set_aside(self: &Arc<Self>, wire: Connection) {
        self.idle().push((wire, Instant::now()));
        let transfers = Arc::downgrade(self);
        tokio::spawn(async move {
            sleep(IDLE).await;
            if let Some(transfers) = transfers.upgrade() {
                transfers.idle().retain(|(_, since)| since.elapsed() < IDLE);
            }
        });
    }

    fn idle(&self) -> MutexGuard<'_, Vec<(Connection, Instant)>> {
        self.idle.lock_unpoisoned()
    }
}

/// An error that says nothing about the tier.
fn failed(why: &str) -> RemoteError {
    RemoteError {
        kind: RemoteErrorKind::Transfer,
        message: format!(
            "the connection for a large value failed: {why} (the server may not send values of this size: \
             client-output-buffer-limit normal)"
        ),
    }
}
