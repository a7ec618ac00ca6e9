//! Large values travel on connections of their own.
//!
//! On one connection answers come in the order of the commands, so a small answer would wait until the bytes of a large one have
//! arrived; and a thread that copies tens of megabytes does nothing else meanwhile. So transfers have connections and a thread
//! of their own. A connection is opened when it is needed and closed when it has not been used for a while. Its end says
//! nothing about the link: a server closes the connection of a client that it owes more than
//! `client-output-buffer-limit normal` allows.

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

/// How many transfers one server has at a time; the others wait for their turn. More than one, so that a value of a
/// hundred kilobytes need not wait for one of a hundred megabytes.
const AT_ONCE: usize = 4;

/// A connection that nobody has used for this time is closed. The server may close it too, which would show only at its next use.
const IDLE: Duration = Duration::from_secs(30);

/// How long a transfer may take, beside a second for each [`SLOWEST`] bytes. Its caller waits for less; this frees the connection.
const LONGEST: Duration = Duration::from_secs(10);
const SLOWEST: usize = 1 << 20;

/// The thread of all transfers of a tier, started when it is needed.
#[derive(Debug, Default)]
pub(crate) struct TransferThread(OnceCell<Background>);

impl TransferThread {
    /// Where the system has no thread to give, `other` does the work.
    fn runtime(&self, other: &Handle) -> Handle {
        let started = self.0.get_or_try_init(|| Background::start("hybridcache-large"));
        started.map_or_else(|_| other.clone(), |thread| thread.runtime().clone())
    }
}

/// The transfers from and to one server. Dropping it closes the connections that are not in use.
pub(crate) struct Transfers {
    client: Client,
    config: AsyncConnectionConfig,
    /// Of the link to the same server.
    link: Arc<Health>,
    thread: Arc<TransferThread>,
    /// The link's.
    other: Handle,
    turns: Semaphore,
    idle: Mutex<Vec<(Connection, Instant)>>,
}

impl Transfers {
    /// Connects to nothing yet. `link`: the health of the link to the same server.
    pub(crate) fn new(
        client: Client,
        config: AsyncConnectionConfig,
        link: Arc<Health>,
        thread: Arc<TransferThread>,
    ) -> Arc<Self> {
        let (turns, other) = (Semaphore::new(AT_ONCE), Handle::current());
        Arc::new(Self { client, config, link, thread, other, turns, idle: Mutex::default() })
    }

    /// Sends commands that move so many bytes, and returns the answers. `commands` is called on the thread of the transfers: it
    /// may copy. A caller that goes away ends its transfer, and the server may or may not have executed the commands.
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
                // The connection goes with it: what is still to come would keep it busy.
                Either::Right(_) => return,
            };
            // The caller may go away just now.
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
            // Only an answer can say so: another server is the right one by now.
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

    /// For the next transfer, if there is one soon.
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

/// Says nothing of the tier.
fn failed(why: &str) -> RemoteError {
    RemoteError {
        kind: RemoteErrorKind::Transfer,
        message: format!(
            "the connection for a large value failed: {why} (the server may not send values of this size: \
             client-output-buffer-limit normal)"
        ),
    }
}
