//! The ways in which Redis goes away, and comes back.

use std::fmt;
use std::time::Duration;

use hybridcache_test_support::{Direction, Flow};

use crate::world::World;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// `SIGKILL`; comes back without its data.
    Killed,
    /// `SIGSTOP`: connections stay open and nobody answers.
    Stopped,
    /// Each answer and message takes 200 ms longer.
    Slow,
    /// 25 ms longer: each answer comes in time, all that a cold call needs do not. Only measured when asked for.
    Sluggish,
    /// Memory is used up: reads are answered, writes are refused.
    Full,
}

const SLOW: Duration = Duration::from_millis(200);
const SLUGGISH: Duration = Duration::from_millis(25);

impl Fault {
    pub(crate) const ALL: [Self; 5] = [Self::Killed, Self::Stopped, Self::Slow, Self::Full, Self::Sluggish];
    pub(crate) const USUAL: [Self; 4] = [Self::Killed, Self::Stopped, Self::Slow, Self::Full];

    /// Whether clients reach Redis through a proxy.
    pub(crate) fn needs_proxy(self) -> bool {
        matches!(self, Self::Slow | Self::Sluggish)
    }

    /// Whether Redis goes on answering in time.
    pub(crate) fn is_answered(self) -> bool {
        self == Self::Full
    }

    pub(crate) fn begin(self, world: &World) {
        match self {
            Self::Killed => world.server.kill(),
            Self::Stopped => world.server.stop(),
            Self::Slow => world.proxy().set(Direction::ToClient, Flow::Delay(SLOW)),
            Self::Sluggish => world.proxy().set(Direction::ToClient, Flow::Delay(SLUGGISH)),
            Self::Full => world.server.config_set("maxmemory", "1"),
        }
    }

    /// Returns when the server serves again.
    pub(crate) fn end(self, world: &World) {
        match self {
            Self::Killed => world.server.restart(),
            Self::Stopped => world.server.resume(),
            Self::Slow | Self::Sluggish => world.proxy().restore(),
            Self::Full => world.server.config_set("maxmemory", "0"),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Killed => "killed",
            Self::Stopped => "stopped",
            Self::Slow => "slow",
            Self::Full => "full",
            Self::Sluggish => "sluggish",
        })
    }
}
