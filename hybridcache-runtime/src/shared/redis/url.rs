//! The target that a URL names: one server, the master that sentinels watch, or a cluster.
//!
//! No error message repeats any part of a URL except its scheme: the user may have written a password in any part.

#[cfg(test)]
mod tests;

#[cfg(feature = "sentinel")]
use percent_encoding::percent_decode_str;
use redis::io::tcp::TcpSettings;
use redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo, ProtocolVersion};

use super::endpoint::Parameters;
#[cfg(not(all(feature = "tls", feature = "sentinel", feature = "cluster")))]
use super::endpoint::missing;
#[cfg(feature = "cluster")]
use super::kinds::cluster::Cluster;
#[cfg(feature = "sentinel")]
use super::kinds::sentinel::Watched;
use super::kinds::tls::Tls;

/// The target of a connection.
pub(crate) enum Target {
    Server(ConnectionInfo),
    #[cfg(feature = "sentinel")]
    Sentinel(Watched),
    #[cfg(feature = "cluster")]
    Cluster(Cluster),
}

const SERVER: &str = "redis://[[user]:password@]host[:port][/database]";
const SENTINEL: &str = "redis-sentinel://[[user]:password@]host[:port],host[:port],../master-name[/database]";
const CLUSTER: &str = "redis-cluster://[[user]:password@]host[:port],host[:port],..";
const SOCKET: &str = "unix:///path[?db=..&user=..&pass=..]";
const ENCODING: &str = "What is special in a user or password is percent-encoded: `/` is %2F, `@` is %40, `:` is %3A";

impl Target {
    /// # Errors
    /// The mistake, and what is expected.
    pub(crate) fn parse(url: &str) -> Result<Self, String> {
        let Some((scheme, rest)) = url.split_once("://") else { return Err(unknown()) };
        match scheme {
            "redis" | "valkey" => server(rest, false),
            "rediss" | "valkeys" => server(rest, true),
            "unix" | "redis+unix" => socket(rest),
            "redis-sentinel" => sentinel(rest, false),
            "rediss-sentinel" => sentinel(rest, true),
            "redis-cluster" => cluster(rest, false),
            "rediss-cluster" => cluster(rest, true),
            _ => Err(unknown()),
        }
    }

    /// The name and the port of a single server.
    pub(crate) fn server(&self) -> Option<(String, u16)> {
        match self {
            Self::Server(info) => match info.addr() {
                ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. } => {
                    Some((host.clone(), *port))
                }
                _ => None,
            },
            #[allow(unreachable_patterns, reason = "without sentinels and clusters there is no other target")]
            _ => None,
        }
    }

    /// Whether sentinels name the server.
    pub(crate) fn is_watched(&self) -> bool {
        #[cfg(feature = "sentinel")]
        if let Self::Sentinel(_) = self {
            return true;
        }
        false
    }

    /// The number of the server's database that has the keys.
    pub(crate) fn database(&self) -> i64 {
        match self {
            Self::Server(server) => server.redis_settings().db(),
            #[cfg(feature = "sentinel")]
            Self::Sentinel(watched) => watched.master.redis_settings().db(),
            #[cfg(feature = "cluster")]
            Self::Cluster(_) => 0,
        }
    }

    /// Whether messages belong to slots.
    pub(crate) fn is_sharded(&self) -> bool {
        #[cfg(feature = "cluster")]
        if let Self::Cluster(_) = self {
            return true;
        }
        false
    }
}

fn unknown() -> String {
    format!(
        "not a Redis URL; expected {SERVER}, {SENTINEL}, {CLUSTER} or {SOCKET}, each but the last also with TLS: \
         rediss://, rediss-sentinel://, rediss-cluster://"
    )
}

fn malformed(form: &str) -> String {
    format!("not a Redis URL; expected {form}. {ENCODING}")
}

fn server(rest: &str, is_tls: bool) -> Result<Target, String> {
    let mut parts = Parts::split(rest)?;
    let tls = Tls::of(is_tls, &mut parts.parameters)?;
    parts.parameters.end("ca, cert, key (with rediss://)")?;
    let ([host], Some(database)) = (parts.hosts.as_slice(), parts.database(0)) else { return Err(malformed(SERVER)) };
    let info = parts.info(host, database).ok_or_else(|| malformed(SERVER))?;
    Ok(Target::Server(secured(info, tls.as_ref())?))
}

/// The URL of a socket, in the form that redis-rs reads.
fn socket(rest: &str) -> Result<Target, String> {
    let info = format!("unix://{rest}").into_connection_info().map_err(|_| malformed(SOCKET))?;
    Ok(Target::Server(tuned(info)))
}

#[cfg(feature = "sentinel")]
fn sentinel(rest: &str, is_tls: bool) -> Result<Target, String> {
    const PORT: u16 = 26379;

    let mut parts = Parts::split(rest)?;
    let tls = Tls::of(is_tls, &mut parts.parameters)?;
    let (user, password) = (parts.parameters.take("sentinel_user"), parts.parameters.take("sentinel_password"));
    parts.parameters.end("sentinel_user, sentinel_password, ca, cert, key (the last three with rediss-sentinel://)")?;
    let wrong = || malformed(SENTINEL);
    let name = parts.path.first().filter(|name| !name.is_empty()).ok_or_else(wrong)?;
    let name = percent_decode_str(name).decode_utf8().map_err(|_| wrong())?.into_owned();
    let database = parts.database(1).ok_or_else(wrong)?;
    let mut sentinels = Vec::new();
    for host in &parts.hosts {
        let info = parts.info(&with_port(host, PORT), "").ok_or_else(wrong)?;
        sentinels.push(super::kinds::sentinel::introduced(
            secured(info, tls.as_ref())?,
            user.as_deref(),
            password.as_deref(),
        ));
    }
    let master = parts.hosts.first().and_then(|host| parts.info(host, database)).ok_or_else(wrong)?;
    Ok(Target::Sentinel(Watched { name, sentinels, master: secured(master, tls.as_ref())? }))
}

#[cfg(not(feature = "sentinel"))]
fn sentinel(_: &str, _: bool) -> Result<Target, String> {
    Err(missing("redis-sentinel://", "sentinel"))
}

#[cfg(feature = "cluster")]
fn cluster(rest: &str, is_tls: bool) -> Result<Target, String> {
    let mut parts = Parts::split(rest)?;
    let tls = Tls::of(is_tls, &mut parts.parameters)?;
    parts.parameters.end("ca, cert, key (with rediss-cluster://)")?;
    if !matches!(parts.database(0), Some("" | "0")) {
        return Err(format!("a cluster has only database 0; expected {CLUSTER}. {ENCODING}"));
    }
    let mut seeds = Vec::new();
    for host in &parts.hosts {
        let info = parts.info(host, "").ok_or_else(|| malformed(CLUSTER))?;
        seeds.push(secured(info, tls.as_ref())?);
    }
    Ok(Target::Cluster(Cluster::new(seeds)))
}

#[cfg(not(feature = "cluster"))]
fn cluster(_: &str, _: bool) -> Result<Target, String> {
    Err(missing("redis-cluster://", "cluster"))
}

/// The parts after `://`.
struct Parts<'a> {
    credentials: Option<&'a str>,
    /// At least one.
    hosts: Vec<&'a str>,
    path: Vec<&'a str>,
    parameters: Parameters,
}

impl<'a> Parts<'a> {
    fn split(rest: &'a str) -> Result<Self, String> {
        if rest.contains('#') {
            return Err(
                "a URL with `#`: certificates are always checked, #insecure is not supported; a private CA is \
                        named by ?ca=/path/to/ca.pem. In a password `#` is written %23"
                    .to_owned(),
            );
        }
        let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = place.split_once('/').unwrap_or((place, ""));
        let (credentials, hosts) = match authority.rsplit_once('@') {
            Some((credentials, hosts)) => (Some(credentials), hosts),
            None => (None, authority),
        };
        let path = path.strip_suffix('/').unwrap_or(path).split('/').collect();
        Ok(Self { credentials, hosts: hosts.split(',').collect(), path, parameters: Parameters::read(query)? })
    }

    /// The last segment of the path, if `before` segments precede it; empty if there is none.
    fn database(&self, before: usize) -> Option<&'a str> {
        let database = self.path.get(before).copied().unwrap_or_default();
        let is_number = database.bytes().all(|byte| byte.is_ascii_digit());
        (self.path.len() <= before + 1 && is_number).then_some(database)
    }

    /// The connection parameters of one of the hosts.
    fn info(&self, host: &str, database: &str) -> Option<ConnectionInfo> {
        let credentials = self.credentials.map_or(String::new(), |credentials| format!("{credentials}@"));
        let info = format!("redis://{credentials}{host}/{database}").into_connection_info().ok()?;
        Some(tuned(info))
    }
}

fn secured(info: ConnectionInfo, tls: Option<&Tls>) -> Result<ConnectionInfo, String> {
    tls.map_or(Ok(info.clone()), |tls| tls.secure(info))
}

/// Only RESP3 distinguishes messages from answers.
fn tuned(info: ConnectionInfo) -> ConnectionInfo {
    let settings = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
    info.set_redis_settings(settings).set_tcp_settings(TcpSettings::default().set_nodelay(true))
}

#[cfg(feature = "sentinel")]
fn with_port(host: &str, port: u16) -> String {
    // An IPv6 address is in brackets.
    let behind_address = host.rfind(']').map_or(host, |end| &host[end..]);
    if behind_address.contains(':') { host.to_owned() } else { format!("{host}:{port}") }
}
