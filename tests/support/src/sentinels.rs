//! A master, its replica and three sentinels that watch them.

use crate::waiting::holds_within;
use crate::{ATTEMPTS, PATIENCE, RedisServer, Reply};

/// A master with one replica, watched by three sentinels, all `redis-server` processes of the test's own.
#[derive(Debug)]
pub struct Sentinels {
    /// The master at first, then its replica.
    pub servers: [RedisServer; 2],
    /// The sentinels.
    pub sentinels: Vec<RedisServer>,
}

/// How the sentinels call the master.
const NAME: &str = "shop";

/// As whom the sentinels log in at the servers.
const WATCHER: &str = "watcher";

impl Sentinels {
    /// Starts them and waits until the sentinels know the replica and each other. A master that is silent for half a
    /// second is taken for dead.
    ///
    /// # Panics
    ///
    /// As [`RedisServer::start`].
    pub fn start() -> Self {
        let user = ["--user", WATCHER, "on", "nopass", "~*", "&*", "+@all"];
        let settings = [user.as_slice(), &["--repl-diskless-sync-delay", "0"]].concat();
        let master = RedisServer::start_with(&settings);
        let port = master.port().to_string();
        let replica = RedisServer::start_with(&[settings.as_slice(), &["--replicaof", "127.0.0.1", &port]].concat());
        eventually("the replica is in step", || replica.info("replication").contains("master_link_status:up"));
        let config = format!(
            "sentinel monitor {NAME} 127.0.0.1 {port} 2\n\
             sentinel auth-user {NAME} {WATCHER}\n\
             sentinel auth-pass {NAME} none\n\
             sentinel down-after-milliseconds {NAME} 500\n\
             sentinel failover-timeout {NAME} 4000\n"
        );
        let sentinel = || (0..ATTEMPTS).find_map(|_| RedisServer::try_start_sentinel(&config));
        let sentinels = (0..3).map(|_| sentinel().unwrap_or_else(|| panic!("a sentinel did not start"))).collect();
        let all = Self { servers: [master, replica], sentinels };
        let is_known = |state: &str| state.contains("slaves=1,sentinels=3");
        eventually("the sentinels know all", || all.sentinels.iter().all(|one| is_known(&one.info("sentinel"))));
        all
    }

    /// `redis-sentinel://127.0.0.1:<port>,127.0.0.1:<port>,127.0.0.1:<port>/shop`.
    pub fn url(&self) -> String {
        let hosts: Vec<_> = self.sentinels.iter().map(|one| format!("127.0.0.1:{}", one.port())).collect();
        format!("redis-sentinel://{}/{NAME}", hosts.join(","))
    }

    /// Waits until all sentinels name this server.
    ///
    /// # Panics
    ///
    /// Where they do not within ten seconds.
    pub fn wait_for_master(&self, server: &RedisServer) {
        eventually("all sentinels name the master", || self.sentinels.iter().all(|one| named(one) == server.port()));
    }

    /// Locks the sentinels out of a server that goes on serving everybody else: to them it is dead.
    ///
    /// # Panics
    ///
    /// Where the server does not run.
    pub fn cut_off(&self, server: &RedisServer) {
        let reply = server.command(&[b"ACL", b"SETUSER", WATCHER.as_bytes(), b"-@all"]);
        assert_eq!(reply, Reply::Simple("OK".to_owned()));
    }
}

/// The port of the master that a sentinel names.
fn named(sentinel: &RedisServer) -> u16 {
    match sentinel.command(&[b"SENTINEL", b"GET-MASTER-ADDR-BY-NAME", NAME.as_bytes()]) {
        Reply::Array(mut parts) => {
            parts.pop().and_then(Reply::into_text).and_then(|port| port.parse().ok()).unwrap_or(0)
        }
        _ => 0,
    }
}

/// Waits for a condition on servers.
pub(crate) fn eventually(what: &str, condition: impl FnMut() -> bool) {
    assert!(holds_within(PATIENCE, condition), "not within {PATIENCE:?}: {what}");
}
