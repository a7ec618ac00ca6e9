//! The link to one server: one connection for commands and one for messages. The loss of either ends both, so a caller
//! that gets answers also gets messages.
//!
//! There are two connections because a server limits the output that it buffers for a subscriber
//! (`client-output-buffer-limit pubsub`, 32 MB by default). It closes the connection of a subscriber that exceeds the
//! limit, and a few large values that are read at once would. Also, a message does not wait behind the values that were
//! requested before it.
//!
//! Large values have further connections: see [`Transfers`].

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::try_join;
#[cfg(any(feature = "sentinel", feature = "cluster"))]
use redis::ConnectionAddr;
use redis::aio::{MultiplexedConnection, SendError};
use redis::{AsyncConnectionConfig, Client, Cmd, ConnectionInfo, Pipeline, PushInfo, RedisError, Value, cmd};
use tokio::runtime::Handle;
use tokio::time::Instant;

#[cfg(feature = "cluster")]
use super::channels::Channels;
use super::connection::{Connection, RESPONSE_TIMEOUT, Reply, unexpected};
use super::health::Health;
use super::messages::{Inbox, Message};
use super::permissions::Permissions;
use super::pipeline::{Batches, Commands};
use super::scripts;
use super::server_clock::Sample;
use super::transfers::{TransferThread, Transfers};
use crate::primitives::timers::Standstill;
use crate::shared::{RemoteError, RemoteErrorKind};

/// How long connecting may take, the handshake included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// How many commands may wait to be written. When the queue is full, a caller waits within its own budget.
const PIPELINE_BUFFER: usize = 1024;

/// The channels to which a link subscribes.
pub(crate) struct Subscriptions {
    pub(crate) channels: Vec<String>,
    /// The channel on which the link's own heartbeats come back.
    pub(crate) beat: String,
    pub(crate) is_sharded: bool,
}

/// An open link. It closes when the last handle is dropped.
pub(crate) struct Link {
    wire: Arc<Connection>,
    batches: Batches,
    transfers: Arc<Transfers>,
    /// Only kept open: its messages go to the inbox.
    _messages: MultiplexedConnection,
    publish: &'static str,
    beat: String,
    #[cfg(any(feature = "sentinel", feature = "cluster"))]
    address: ConnectionAddr,
    runtime: Handle,
}

impl Link {
    /// Connects, subscribes and loads the scripts into the server.
    pub(crate) async fn open(
        server: &ConnectionInfo,
        inbox: Inbox,
        listened: Subscriptions,
        permissions: &Permissions,
        transfers: &Arc<TransferThread>,
    ) -> Result<Self, String> {
        let (health, listener) = (inbox.health.clone(), inbox.listener.clone());
        let plain = config();
        let config = plain.clone().set_push_sender(move |push: PushInfo| -> Result<(), SendError> {
            inbox.receive(&push);
            Ok(())
        });
        // [`Connection`] measures the time of each command itself.
        let for_commands = config.clone().set_response_timeout(None);
        let client = Client::open(server.clone()).map_err(|error| error.to_string())?;
        let commands = client.get_multiplexed_async_connection_with_config(&for_commands);
        let messages = client.get_multiplexed_async_connection_with_config(&config);
        let (commands, mut messages) = try_join(commands, messages).await.map_err(|error| explained(&error))?;
        let runtime = Handle::current();
        let wire = Arc::new(Connection { commands, health: health.clone(), runtime: runtime.clone() });
        permissions.check(&wire, &listener).await;
        listened.subscribe(&mut messages).await.map_err(|error| format!("cannot subscribe: {error}"))?;
        let link = Self {
            batches: Batches::start(wire.clone(), &runtime),
            wire,
            transfers: Transfers::new(client, plain.set_response_timeout(None), health, transfers.clone()),
            _messages: messages,
            publish: if listened.is_sharded { "SPUBLISH" } else { "PUBLISH" },
            beat: listened.beat,
            #[cfg(any(feature = "sentinel", feature = "cluster"))]
            address: server.addr().clone(),
            runtime,
        };
        link.load_scripts().await.map_err(|error| error.to_string())?;
        Ok(link)
    }

    /// Whether a server could be used.
    #[cfg(feature = "cluster")]
    pub(crate) async fn try_out(server: ConnectionInfo) -> Result<(), RedisError> {
        let mut connection = Client::open(server)?.get_multiplexed_async_connection_with_config(&config()).await?;
        cmd("TIME").exec_async(&mut connection).await
    }

    pub(crate) fn health(&self) -> &Health {
        &self.wire.health
    }

    #[cfg(any(feature = "sentinel", feature = "cluster"))]
    pub(crate) fn address(&self) -> &ConnectionAddr {
        &self.address
    }

    /// Checks that the server is the master: the sentinel may have given outdated information, or the server itself
    /// may.
    #[cfg(feature = "sentinel")]
    pub(crate) async fn check_master(&self) -> Result<(), String> {
        match self.call(&cmd("ROLE")).await.map_err(|error| error.to_string())? {
            Value::Array(parts) if matches!(parts.first(), Some(Value::BulkString(role)) if role == b"master") => {
                Ok(())
            }
            _ => Err(format!("{} is no master", self.address)),
        }
    }

    /// Loads the scripts into the server. The server may refuse them (each call then sends its script), unless it
    /// serves nothing now.
    async fn load_scripts(&self) -> Result<(), RemoteError> {
        self.pipeline(&scripts::load()).await?;
        match self.wire.health.trouble() {
            Some(trouble) => Err(RemoteError::unavailable(trouble)),
            None => Ok(()),
        }
    }

    /// Requests the server's time.
    pub(crate) async fn sample_time(&self) -> Result<Sample, RemoteError> {
        let asked = Instant::now();
        let reply = self.call(&cmd("TIME")).await?;
        let answered = Instant::now();
        let shown = time(&reply).ok_or_else(|| unexpected("TIME"))?;
        Ok(Sample::new(shown, asked, answered))
    }

    /// The name of the history of the server's data. A master gets a new name when it starts, and when it takes over
    /// from another master. `None` if the server does not report a name, or is no master.
    pub(crate) async fn history(&self) -> Option<String> {
        let mut info = cmd("INFO");
        info.arg("replication");
        let text: String = redis::from_redis_value(self.call(&info).await.ok()?).ok()?;
        let value = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        let id = value("master_replid").filter(|id| !id.is_empty())?;
        (value("role") == Some("master")).then(|| id.to_owned())
    }

    /// Sends a heartbeat. It counts when it comes back as a message, not when its `PUBLISH` is answered. A late answer
    /// is no reason to end the link. A refusal is (no permission, another node's slot), because it will not change.
    pub(crate) async fn beat(&self) {
        let mut publish = cmd(self.publish);
        publish.arg(&self.beat).arg(Message::beat(self.wire.health.next_nonce()));
        match self.call(&publish).await {
            Err(error) if error.kind == RemoteErrorKind::Refused => self.wire.health.report(error.message),
            _ => {}
        }
    }

    pub(crate) async fn call(&self, command: &Cmd) -> Result<Value, RemoteError> {
        self.wire.call(command).await
    }

    pub(crate) async fn pipeline(&self, commands: &Pipeline) -> Result<Vec<Result<Value, RemoteError>>, RemoteError> {
        let mut answers = Vec::with_capacity(commands.len());
        for reply in self.wire.replies(commands).await? {
            answers.push(self.settle(Some(reply)).await);
        }
        Ok(answers)
    }

    /// Like [`Self::call`], for commands that many callers send at once.
    pub(crate) async fn ask(&self, command: Cmd) -> Result<Value, RemoteError> {
        let _standstill = Standstill::begin();
        let place = self.batches.enter();
        if place.is_alone {
            // Boxed, so that the future of the usual case stays small.
            return Box::pin(self.wire.call(&command)).await;
        }
        self.settle(self.batches.send(Commands(command, None), place).await?.0).await
    }

    /// Sends two commands, the second right behind the first, in one round trip. Returns both answers.
    pub(crate) async fn ask_both(
        &self,
        first: Cmd,
        second: Cmd,
    ) -> Result<(Result<Value, RemoteError>, Result<Value, RemoteError>), RemoteError> {
        let _standstill = Standstill::begin();
        let place = self.batches.enter();
        let (first, second) = if place.is_alone {
            let mut pipeline = Pipeline::with_capacity(2);
            pipeline.add_command(first).add_command(second);
            let mut replies = Box::pin(self.wire.replies(&pipeline)).await?;
            (replies.next(), replies.next())
        } else {
            self.batches.send(Commands(first, Some(second)), place).await?
        };
        Ok((self.settle(first).await, self.settle(second).await))
    }

    /// The answers to commands that move `bytes` bytes, on connections of their own.
    pub(crate) async fn transfer(
        &self,
        bytes: usize,
        commands: impl FnOnce() -> Pipeline + Send + 'static,
    ) -> Result<Vec<Result<Value, RemoteError>>, RemoteError> {
        self.transfers.run(bytes, commands).await
    }

    /// Sends a command behind all commands that were sent before, and does not wait for the answer. `failed` is called
    /// if the command may not have arrived.
    pub(crate) fn send_detached(self: &Arc<Self>, command: Cmd, failed: impl FnOnce() + Send + 'static) {
        // Never ahead of the commands that wait to be sent: this command may undo one of them.
        let (link, answers) = (self.clone(), self.batches.send(Commands(command, None), self.batches.enter()));
        self.runtime.spawn(async move {
            let sent = match answers.await {
                Ok((answer, _)) => link.settle(answer).await,
                Err(error) => Err(error),
            };
            if sent.is_err_and(|error| error.kind != RemoteErrorKind::Refused) {
                failed();
            }
        });
    }

    /// Sends the command again if the server has lost its script. Only a caller that still waits for the answer does
    /// this: an abandoned command must not run behind the command that undoes it.
    async fn settle(&self, reply: Option<Reply>) -> Result<Value, RemoteError> {
        match reply.ok_or_else(|| unexpected("a pipeline"))? {
            Reply::Answer(answer) => answer,
            Reply::Again(command) => Box::pin(self.call(&command)).await,
        }
    }
}

impl Subscriptions {
    /// For a node that owns these groups: at least one.
    #[cfg(feature = "cluster")]
    pub(crate) fn sharded(channels: &Channels, owned: Vec<&String>) -> Self {
        let own = owned.iter().map(|group| channels.own(group));
        let invalidations = owned.iter().map(|group| channels.invalidations(group));
        let beat = owned.first().map(|group| channels.own(group)).unwrap_or_default();
        Self { channels: own.chain(invalidations).collect(), beat, is_sharded: true }
    }

    async fn subscribe(&self, messages: &mut MultiplexedConnection) -> Result<(), RedisError> {
        if !self.is_sharded {
            return messages.subscribe(&self.channels).await;
        }
        // One by one: channels of two slots must not be in one command.
        let mut pipeline = redis::pipe();
        for channel in &self.channels {
            pipeline.cmd("SSUBSCRIBE").arg(channel);
        }
        let replies = messages.send_packed_commands(&pipeline, 0, pipeline.len()).await?;
        replies.into_iter().try_for_each(|reply| reply.extract_error().map(drop))
    }
}

/// Why no connection could be made. For two reasons the error alone is not clear.
fn explained(error: &RedisError) -> String {
    let message = error.to_string();
    if message.contains("unknown command") && message.to_uppercase().contains("HELLO") {
        return format!("{message}: the server is older than Redis 7.0, which is needed");
    }
    // redis-rs counts a refused connection among those that were dropped.
    if error.is_connection_dropped() && !error.is_connection_refusal() {
        return format!(
            "{message}: the server closed the connection at once, as it does when it has `maxclients` of them"
        );
    }
    message
}

fn config() -> AsyncConnectionConfig {
    AsyncConnectionConfig::new()
        .set_connection_timeout(Some(CONNECT_TIMEOUT))
        .set_response_timeout(Some(RESPONSE_TIMEOUT))
        .set_pipeline_buffer_size(PIPELINE_BUFFER)
}

fn time(reply: &Value) -> Option<Duration> {
    let Value::Array(parts) = reply else { return None };
    let [Value::BulkString(seconds), Value::BulkString(micros)] = parts.as_slice() else { return None };
    let number = |bytes: &[u8]| std::str::from_utf8(bytes).ok()?.parse().ok();
    Some(Duration::from_secs(number(seconds)?) + Duration::from_micros(number(micros)?))
}
