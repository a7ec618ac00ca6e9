//! A master that sentinels watch: finds the server that is the master now.

use std::time::Duration;

use futures_util::future::join_all;
use redis::{AsyncConnectionConfig, Client, ConnectionInfo, ProtocolVersion, RedisError, Value};

use crate::shared::redis::endpoint::located;

/// How long a sentinel may take to connect and to answer.
const PATIENCE: Duration = Duration::from_millis(500);

/// The name of the watched master, and its sentinels.
pub(crate) struct Watched {
    pub(crate) name: String,
    pub(crate) sentinels: Vec<ConnectionInfo>,
    /// The connection parameters of the master; its address is filled in later.
    pub(crate) master: ConnectionInfo,
}

/// The answer of one sentinel.
struct View {
    address: (String, u16),
    /// The number of failovers so far.
    epoch: u64,
}

impl Watched {
    /// The connection parameters of the present master. All sentinels are queried, and the one that knows of the latest
    /// failover is right: a sentinel that is cut off from the others, together with the former master, does not know of
    /// it.
    ///
    /// # Errors
    /// If no sentinel knows the master.
    pub(crate) async fn find(&self) -> Result<ConnectionInfo, String> {
        let views = join_all(self.sentinels.iter().map(|sentinel| self.ask(sentinel))).await;
        let mut reasons = Vec::new();
        let mut best: Option<View> = None;
        for view in views {
            match view {
                Ok(view) if best.as_ref().is_none_or(|best| view.epoch > best.epoch) => best = Some(view),
                Ok(_) => {}
                Err(reason) => reasons.push(reason),
            }
        }
        let View { address: (host, port), .. } = best.ok_or_else(|| reasons.join("; "))?;
        Ok(located(&self.master, &host, port))
    }

    async fn ask(&self, sentinel: &ConnectionInfo) -> Result<View, String> {
        let told = |problem: &dyn std::fmt::Display| format!("sentinel {}: {problem}", sentinel.addr());
        let replies = self.query(sentinel).await.map_err(|error| told(&error))?;
        let [address, state] = replies.as_slice() else { return Err(told(&"an unexpected answer")) };
        if let Value::ServerError(error) = address {
            return Err(told(&[error.code(), error.details().unwrap_or_default()].join(" ")));
        }
        let address = address_of(address).ok_or_else(|| told(&format!("it watches no master `{}`", self.name)))?;
        Ok(View { address, epoch: epoch(state).unwrap_or(0) })
    }

    async fn query(&self, sentinel: &ConnectionInfo) -> Result<Vec<Value>, RedisError> {
        let config =
            AsyncConnectionConfig::new().set_connection_timeout(Some(PATIENCE)).set_response_timeout(Some(PATIENCE));
        let mut connection =
            Client::open(sentinel.clone())?.get_multiplexed_async_connection_with_config(&config).await?;
        let mut questions = redis::pipe();
        // During a failover the address changes before the other fields do.
        questions.cmd("SENTINEL").arg("GET-MASTER-ADDR-BY-NAME").arg(&self.name);
        questions.cmd("SENTINEL").arg("MASTER").arg(&self.name);
        connection.send_packed_commands(&questions, 0, 2).await
    }
}

/// A sentinel has users of its own, and no databases.
pub(crate) fn introduced(info: ConnectionInfo, user: Option<&str>, password: Option<&str>) -> ConnectionInfo {
    let mut settings = redis::RedisConnectionInfo::default().set_protocol(ProtocolVersion::RESP2);
    if let Some(user) = user {
        settings = settings.set_username(user);
    }
    if let Some(password) = password {
        settings = settings.set_password(password);
    }
    info.set_redis_settings(settings)
}

fn address_of(reply: &Value) -> Option<(String, u16)> {
    let Value::Array(parts) = reply else { return None };
    let [host, port] = parts.as_slice() else { return None };
    Some((text(host)?.to_owned(), text(port)?.parse().ok()?))
}

/// Reads a list of names and values.
fn epoch(reply: &Value) -> Option<u64> {
    let Value::Array(fields) = reply else { return None };
    let (pairs, _) = fields.as_chunks::<2>();
    let [_, value] = pairs.iter().find(|[name, _]| text(name) == Some("config-epoch"))?;
    text(value)?.parse().ok()
}

fn text(value: &Value) -> Option<&str> {
    match value {
        Value::BulkString(bytes) => std::str::from_utf8(bytes).ok(),
        Value::SimpleString(text) => Some(text),
        _ => None,
    }
}
