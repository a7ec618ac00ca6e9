//! What Redis was asked, by its own count.

use std::collections::BTreeMap;

use hybridcache_test_support::RedisServer;

/// How often each command ran, calls from scripts included, without what connections and tests send by themselves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Commands(BTreeMap<String, u64>);

const NOISE: [&str; 10] = [
    "publish",
    "time",
    "info",
    "keys",
    "hello",
    "subscribe",
    "eval",
    "client|setinfo",
    "script|load",
    "config|resetstat",
];

impl Commands {
    pub(crate) fn so_far(redis: &RedisServer) -> Self {
        let stats = redis.info("commandstats");
        let calls = stats.lines().filter_map(|line| {
            let (name, rest) = line.strip_prefix("cmdstat_")?.split_once(":calls=")?;
            let calls = rest.split(',').next()?.parse().ok()?;
            (!NOISE.contains(&name)).then(|| (name.to_owned(), calls))
        });
        Self(calls.collect())
    }

    /// What was asked meanwhile.
    pub(crate) async fn during<F: Future<Output = ()>>(redis: &RedisServer, action: F) -> Self {
        let before = Self::so_far(redis);
        action.await;
        let mut after = Self::so_far(redis).0;
        for (name, calls) in before.0 {
            *after.get_mut(&name).unwrap() -= calls;
        }
        after.retain(|_, calls| *calls > 0);
        Self(after)
    }

    pub(crate) fn none() -> Self {
        Self(BTreeMap::new())
    }

    pub(crate) fn only(name: &str, calls: u64) -> Self {
        Self(BTreeMap::from([(name.to_owned(), calls)]))
    }

    pub(crate) fn of(&self, name: &str) -> u64 {
        self.0.get(name).copied().unwrap_or(0)
    }

    /// How often a lease was renewed: it is prolonged with the command that gives a published entry its lifetime.
    pub(crate) fn renewals(&self) -> u64 {
        self.of("pexpire") - self.of("rename")
    }
}
