//! What happens to Redis, or to the network before it, and how it ends.

use std::time::Duration;

use hybridcache_test_support::{Direction, FaultProxy, Flow};

use crate::fleet::Fleet;
use crate::recovery::cut_off;

#[derive(Clone, Copy, Debug)]
pub(crate) enum Fault {
    Killed,
    Stopped,
    Slow,
    Silent,
    Unreachable,
    Full,
    Forbidden,
    WithoutScripts,
}

impl Fault {
    pub(crate) const ALL: [Self; 8] = [
        Self::Killed,
        Self::Stopped,
        Self::Slow,
        Self::Silent,
        Self::Unreachable,
        Self::Full,
        Self::Forbidden,
        Self::WithoutScripts,
    ];

    pub(crate) fn begin(self, fleet: &Fleet, network: &FaultProxy) {
        match self {
            Self::Killed => fleet.redis.kill(),
            Self::Stopped => fleet.redis.stop(),
            Self::Slow => network.set(Direction::ToClient, Flow::Delay(Duration::from_millis(200))),
            Self::Silent => network.set(Direction::ToClient, Flow::Hold),
            Self::Unreachable => cut_off(network),
            Self::Full => fleet.redis.config_set("maxmemory", "1"),
            Self::Forbidden => drop(fleet.redis.command(&[b"ACL", b"SETUSER", b"default", b"-@all", b"+acl"])),
            Self::WithoutScripts => drop(fleet.redis.command(&[b"SCRIPT", b"FLUSH"])),
        }
    }

    /// A server that was killed has no data.
    pub(crate) fn end(self, fleet: &Fleet, network: &FaultProxy) {
        match self {
            Self::Killed => fleet.redis.restart(),
            Self::Stopped => fleet.redis.resume(),
            Self::Slow | Self::Silent | Self::Unreachable => network.restore(),
            Self::Full => fleet.redis.config_set("maxmemory", "0"),
            Self::Forbidden => drop(fleet.redis.command(&[b"ACL", b"SETUSER", b"default", b"+@all"])),
            Self::WithoutScripts => {}
        }
    }
}
