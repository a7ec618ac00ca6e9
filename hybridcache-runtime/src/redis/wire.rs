//! The connection for commands, and what its errors mean.

use std::sync::Arc;

use redis::aio::MultiplexedConnection;
use redis::{Cmd, Pipeline, RedisError, ServerError, Value};

use super::health::Health;
use super::scripts;
use crate::remote::{RemoteError, RemoteErrorKind};

/// One connection for commands.
pub(crate) struct Wire {
    pub(crate) commands: MultiplexedConnection,
    pub(crate) health: Arc<Health>,
}

impl Wire {
    pub(crate) async fn call(&self, command: &Cmd) -> Result<Value, RemoteError> {
        let answer = self.call_once(command).await;
        self.or_by_source(answer, command).await
    }

    async fn call_once(&self, command: &Cmd) -> Result<Value, RemoteError> {
        match self.commands.clone().send_packed_command(command).await {
            Ok(Value::ServerError(error)) => Err(self.refused(&error)),
            Ok(value) => Ok(value),
            Err(error) => Err(self.broken(&error)),
        }
    }

    /// The answers of all commands; that one was refused says nothing about the others.
    pub(crate) async fn pipeline(&self, commands: &Pipeline) -> Result<Vec<Result<Value, RemoteError>>, RemoteError> {
        let sent = self.commands.clone().send_packed_commands(commands, 0, commands.len()).await;
        let replies = sent.map_err(|error| self.broken(&error))?;
        if replies.len() != commands.len() {
            return Err(unexpected("a pipeline"));
        }
        let mut answers = Vec::with_capacity(replies.len());
        for (reply, command) in replies.into_iter().zip(commands.cmd_iter()) {
            let answer = match reply {
                Value::ServerError(error) => Err(self.refused(&error)),
                value => Ok(value),
            };
            answers.push(self.or_by_source(answer, command).await);
        }
        Ok(answers)
    }

    /// Where the server has lost a script.
    async fn or_by_source(&self, answer: Result<Value, RemoteError>, command: &Cmd) -> Result<Value, RemoteError> {
        match answer {
            Err(error) if error.message.starts_with("NOSCRIPT") => match scripts::by_source(command) {
                // In its own box, which others do not pay for.
                Some(command) => Box::pin(async move { self.call_once(&command).await }).await,
                None => Err(error),
            },
            answer => answer,
        }
    }

    /// The server said no. Some answers mean that another server is the right one by now.
    fn refused(&self, error: &ServerError) -> RemoteError {
        let message = [error.code(), error.details().unwrap_or_default()].join(" ");
        if matches!(error.code(), "READONLY" | "LOADING" | "MASTERDOWN" | "MOVED") {
            self.health.report(message.as_str());
        }
        RemoteError { kind: RemoteErrorKind::Refused, message }
    }

    fn broken(&self, error: &RedisError) -> RemoteError {
        let message = error.to_string();
        if error.is_timeout() {
            // The heartbeat decides whether the link has to go.
            return RemoteError { kind: RemoteErrorKind::Timeout, message };
        }
        self.health.report(message.as_str());
        RemoteError { kind: RemoteErrorKind::Unavailable, message }
    }
}

/// A reply of a form that no server gives.
pub(crate) fn unexpected(to: &str) -> RemoteError {
    RemoteError { kind: RemoteErrorKind::Refused, message: format!("unexpected answer to {to}") }
}
