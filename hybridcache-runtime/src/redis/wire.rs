//! The connection for commands, and what its errors mean.

use std::sync::Arc;

use redis::aio::MultiplexedConnection;
use redis::{Cmd, Pipeline, RedisError, ServerError, Value};

use super::health::Health;
use crate::remote::{RemoteError, RemoteErrorKind};

/// One connection for commands.
pub(crate) struct Wire {
    pub(crate) commands: MultiplexedConnection,
    pub(crate) health: Arc<Health>,
}

impl Wire {
    pub(crate) async fn call(&self, command: &Cmd) -> Result<Value, RemoteError> {
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
        let replies = replies.into_iter().map(|reply| match reply {
            Value::ServerError(error) => Err(self.refused(&error)),
            value => Ok(value),
        });
        Ok(replies.collect())
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
