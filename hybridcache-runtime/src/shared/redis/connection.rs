//! The connection for commands, and what its errors mean.

use std::sync::Arc;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{Cmd, Pipeline, RedisError, RedisResult, ServerError, Value};
use tokio::runtime::Handle;
use tokio::time::timeout;

use super::health::Health;
use super::scripts;
use crate::shared::{RemoteError, RemoteErrorKind};

/// How long a command with a small answer may take. The budgets of callers are far shorter.
pub(crate) const RESPONSE_TIMEOUT: Duration = Duration::from_secs(1);

/// One connection for commands.
pub(crate) struct Connection {
    pub(crate) commands: MultiplexedConnection,
    pub(crate) health: Arc<Health>,
    /// The runtime that drives the connection.
    pub(crate) runtime: Handle,
}

/// The reply to a command.
pub(crate) enum Reply {
    Answer(Result<Value, RemoteError>),
    /// The server has lost the script. A caller that still waits for the answer sends this command instead.
    Again(Cmd),
}

impl Connection {
    pub(crate) async fn call(&self, command: &Cmd) -> Result<Value, RemoteError> {
        let answer = match self.in_time(RESPONSE_TIMEOUT, self.commands.clone().send_packed_command(command)).await? {
            Value::ServerError(error) => Err(self.refused(&error)),
            value => Ok(value),
        };
        match Reply::to(command, answer) {
            Reply::Answer(answer) => answer,
            // Boxed, so that the future of the usual case stays small.
            Reply::Again(command) => Box::pin(async move { self.call(&command).await }).await,
        }
    }

    /// The answers to all commands. The refusal of one command says nothing about the others.
    async fn pipeline(
        &self,
        limit: Duration,
        commands: &Pipeline,
    ) -> Result<Vec<Result<Value, RemoteError>>, RemoteError> {
        let mut connection = self.commands.clone();
        let sending = connection.send_packed_commands(commands, 0, commands.len());
        let replies = self.in_time(limit, sending).await?;
        if replies.len() != commands.len() {
            return Err(unexpected("a pipeline"));
        }
        let replies = replies.into_iter().map(|reply| match reply {
            Value::ServerError(error) => Err(self.refused(&error)),
            value => Ok(value),
        });
        Ok(replies.collect())
    }

    /// The answers to all commands. Some of them may be scripts that the server has lost.
    pub(crate) async fn replies(&self, commands: &Pipeline) -> Result<impl Iterator<Item = Reply>, RemoteError> {
        self.replies_within(RESPONSE_TIMEOUT, commands).await
    }

    /// Like [`Self::replies`], for answers that may take longer because of their size.
    pub(crate) async fn replies_within(
        &self,
        limit: Duration,
        commands: &Pipeline,
    ) -> Result<impl Iterator<Item = Reply>, RemoteError> {
        let answers = self.pipeline(limit, commands).await?;
        Ok(commands.cmd_iter().zip(answers).map(|(command, answer)| Reply::to(command, answer)))
    }

    /// Like [`Self::call`], for a command whose refusal says nothing about the link.
    pub(crate) async fn call_quietly(&self, command: &Cmd) -> Result<Value, RemoteError> {
        match self.in_time(RESPONSE_TIMEOUT, self.commands.clone().send_packed_command(command)).await? {
            Value::ServerError(error) => Err(RemoteError { kind: RemoteErrorKind::Refused, message: said(&error) }),
            value => Ok(value),
        }
    }

    /// Uses the timers of the connection's runtime: the caller's runtime may have no timers, or a paused clock.
    async fn in_time<T>(
        &self,
        limit: Duration,
        sending: impl Future<Output = RedisResult<T>>,
    ) -> Result<T, RemoteError> {
        let waiting = {
            let _runtime = self.runtime.enter();
            timeout(limit, sending)
        };
        match waiting.await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(self.broken(&error)),
            // The heartbeat decides whether the link must be replaced.
            Err(_) => {
                Err(RemoteError { kind: RemoteErrorKind::Timeout, message: format!("no answer within {limit:?}") })
            }
        }
    }

    /// The server refused a command. Some refusals mean that another server is the right one now.
    fn refused(&self, error: &ServerError) -> RemoteError {
        let message = said(error);
        if matches!(error.code(), "READONLY" | "LOADING" | "MASTERDOWN" | "MOVED") {
            self.health.report(message.as_str());
        }
        RemoteError { kind: RemoteErrorKind::Refused, message }
    }

    fn broken(&self, error: &RedisError) -> RemoteError {
        let message = error.to_string();
        self.health.report(message.as_str());
        RemoteError { kind: RemoteErrorKind::Unavailable, message }
    }
}

impl Reply {
    fn to(command: &Cmd, answer: Result<Value, RemoteError>) -> Self {
        match answer {
            Err(error) if error.message.starts_with("NOSCRIPT") => {
                scripts::by_source(command).map_or(Self::Answer(Err(error)), Self::Again)
            }
            answer => Self::Answer(answer),
        }
    }
}

/// The server's error message.
fn said(error: &ServerError) -> String {
    let details = error.details().unwrap_or_default();
    // The position in a script is of no use to users.
    let details = details.split_once(" script: ").map_or(details, |(reason, _)| reason);
    [error.code(), details].join(" ")
}

/// A reply in a form that no server sends.
pub(crate) fn unexpected(to: &str) -> RemoteError {
    RemoteError { kind: RemoteErrorKind::Refused, message: format!("unexpected answer to {to}") }
}

/// A lifetime as Redis accepts it: at least 1 ms, and too short to overflow its clock.
pub(crate) fn millis(duration: Duration) -> u64 {
    duration.as_millis().clamp(1, 1 << 52) as u64
}
