//! What must happen in some state, lest the checks say nothing.

use stateright::Property;

use crate::Fleet;
use crate::flight::{Flight, Phase, Question};
use crate::floor::Floor;
use crate::process::{Find, Message, Process, Rest};
use crate::put::{Putting, Sent, Step};
use crate::redis::{EDITIONS, Token, Wake};
use crate::world::{Late, World};

/// Names of what a run comes across.
pub mod example {
    /// A value is fresh in two processes at once.
    pub const SHARED: &str = "two processes hold a fresh value";
    /// A stale hit.
    pub const STALE: &str = "memory holds a stale value";
    /// A process waits for the load of another and hears that it ended.
    pub const WOKEN: &str = "a waiter is woken by a publish";
    /// The fence works.
    pub const FENCED: &str = "a publish is fenced off";
    /// Who joined late looks again.
    pub const RETRY: &str = "a late joiner of a fenced flight looks again";
    /// Nobody waits for what is not stored.
    pub const BESIDE: &str = "a load begins beside the lease, since nothing was stored before";
    /// A lease that is taken with the first read, where that finds an entry.
    pub const NOT_NEEDED: &str = "a lease is taken beside an entry that a call returns";
    /// Two loads at once, in two generations.
    pub const TAKEN_OVER: &str = "a lease is taken over while its first holder loads";
    /// A suspect is as it was.
    pub const TRUSTED: &str = "a suspect turns out to be good";
    /// A suspect is not as it was.
    pub const DOUBTED: &str = "a suspect turns out to be bad";
    /// An invalidation that Redis could not be told is told.
    pub const REPLAYED: &str = "a pending invalidation was replayed";
    /// `Outage::Serve`.
    pub const UNPROVEN: &str = "a suspect is served while Redis is not asked";
    /// A failover has undone an acknowledged invalidation.
    pub const UNDONE: &str = "an acknowledged invalidation is undone";
    /// A publish outlives its caller's patience.
    pub const LATE: &str = "a late publish still has its lease";
    /// A stamp was lost and made anew.
    pub const STAMP_LOST: &str = "a stamp that was lost is made anew";
    /// Another invalidation or put came between the steps of one.
    pub const OVERTAKEN: &str = "a put is fenced off";
    /// A first step that was given up is executed all the same.
    pub const ORPHANED: &str = "a lease is held for a put that was given up";
    /// Memory has what was put.
    pub const PUT: &str = "a process holds what it has put, and Redis has it";
    /// An entry that its stamp hides.
    pub const HIDDEN: &str = "a stamp hides an entry";
    /// A version that the invalidating process did not know of.
    pub const REACHED: &str = "an invalidation reaches a version that came up since";
    /// A stamp was lost, and a process trusts its number still.
    pub const RENUMBERED: &str = "a process hears that its number is not the stamp's";
}

/// The examples.
pub(crate) fn properties() -> Vec<Property<Fleet>> {
    vec![
        Property::sometimes(example::SHARED, |_, world: &World| {
            world.processes.iter().filter(|process| matches!(process.find(), Find::Fresh(_))).count() > 1
        }),
        Property::sometimes(example::STALE, |_, world: &World| {
            world.processes.iter().any(|process| matches!(process.find(), Find::Stale(_)))
        }),
        Property::sometimes(example::WOKEN, |_, world: &World| {
            let woken = |flight: &Flight| flight.wake == Some(Wake::Published);
            any(world, |flight| woken(flight) && matches!(flight.phase, Phase::Waiting { .. }))
        }),
        Property::sometimes(example::FENCED, |_, world: &World| any(world, is_fenced)),
        Property::sometimes(example::RETRY, |_, world: &World| {
            any(world, |flight| is_fenced(flight) && flight.joiner.is_some_and(|joiner| joiner.late))
        }),
        Property::sometimes(example::BESIDE, |_, world: &World| {
            let beside = |flight: &Flight| flight.in_vain && matches!(flight.phase, Phase::Loading { lease: None, .. });
            world.redis.editions.iter().any(|slot| slot.lease.is_some()) && any(world, beside)
        }),
        Property::sometimes(example::NOT_NEEDED, |_, world: &World| {
            let is_hit = |flight: &Flight| match flight.phase {
                Phase::Taken { take, granted: Some(_), entry: Some(entry), .. } => {
                    take.seen.is_none() && entry.stamp == flight.seen.number
                }
                _ => false,
            };
            any(world, is_hit)
        }),
        Property::sometimes(example::TAKEN_OVER, |_, world: &World| {
            any(world, |flight| flight.holds().is_some_and(|old| any(world, |other| other.holds() > Some(old))))
        }),
        Property::sometimes(example::TRUSTED, |_, world: &World| {
            any(world, |flight| revalidates(flight) == Some(true))
        }),
        Property::sometimes(example::DOUBTED, |_, world: &World| {
            any(world, |flight| revalidates(flight) == Some(false))
        }),
        Property::sometimes(example::REPLAYED, |_, world: &World| {
            let told = |process: &Process| process.floors.pending != Floor::default() && !process.is_open();
            world.processes.iter().any(|process| process.is_linked() && told(process))
        }),
        Property::sometimes(example::UNPROVEN, |_, world: &World| {
            let in_doubt = |process: &Process| process.suspect().is_some() && process.is_open();
            world.processes.iter().any(in_doubt)
        }),
        Property::sometimes(example::UNDONE, |_, world: &World| {
            let undone = |process: &Process, version| version < process.floors.own.deleted;
            world.processes.iter().any(|process| {
                world.redis.editions[process.edition].entry.is_some_and(|entry| undone(process, entry.version))
            })
        }),
        Property::sometimes(example::LATE, |_, world: &World| {
            let leases = || world.redis.editions.iter().filter_map(|slot| slot.lease.as_ref());
            let holds = |token| leases().any(|lease| lease.token == token);
            world.late.iter().any(|late| match late {
                Late::Publish(token, ..) | Late::Put(Sent { token, .. }) => holds(*token),
                _ => false,
            })
        }),
        Property::sometimes(example::STAMP_LOST, |_, world: &World| world.redis.stamp > 1 && world.spent.restamps == 0),
        Property::sometimes(example::OVERTAKEN, |_, world: &World| {
            let is_fenced = |putting: Putting| matches!(putting.step, Step::Published { stored: false });
            world.processes.iter().any(|process| process.putting.is_some_and(is_fenced))
        }),
        Property::sometimes(example::ORPHANED, |_, world: &World| {
            let owner = |token| world.processes.iter().any(|process| process.knows(token));
            let ends = |token| world.late.iter().any(|late| matches!(late, Late::Release(late, _) if *late == token));
            let mut leases = world.redis.editions.iter().filter_map(|slot| slot.lease.as_ref());
            leases.any(|lease| !owner(lease.token) && !ends(lease.token))
        }),
        Property::sometimes(example::PUT, |_, world: &World| {
            let mut fences = world.processes.iter().filter_map(|process| process.memory).map(|held| held.fence);
            let stored =
                |fence| world.redis.editions.iter().any(|slot| slot.entry.is_some_and(|entry| entry.fence == fence));
            world.spent.puts > 0 && fences.any(stored)
        }),
        Property::sometimes(example::REACHED, |_, world: &World| {
            let reaches = |rest| matches!(rest, Rest::Touch(_));
            world.processes.iter().filter_map(|process| process.invalidating).any(|running| reaches(running.rest))
        }),
        Property::sometimes(example::RENUMBERED, |_, world: &World| {
            let hears = |process: &Process| {
                process.inbox.iter().any(|message| {
                    matches!(message,
                    Message::Renumbered { number, .. } if process.stamp.known != 0 && *number != process.stamp.known)
                })
            };
            world.processes.iter().any(hears)
        }),
        Property::sometimes(example::HIDDEN, |_, world: &World| {
            let hides =
                |edition: usize| world.redis.editions[edition].entry.is_some() && world.redis.usable(edition).is_none();
            (0..EDITIONS).any(hides)
        }),
    ]
}

impl Process {
    /// Whether it may still do something under this token.
    pub(crate) fn knows(&self, token: Token) -> bool {
        let putting = self.putting.is_some_and(|putting| putting.token == token);
        putting || self.flights.iter().any(|flight| flight.token == token)
    }
}

fn any(world: &World, condition: impl Fn(&Flight) -> bool) -> bool {
    world.processes.iter().flat_map(|process| &process.flights).any(condition)
}

fn is_fenced(flight: &Flight) -> bool {
    matches!(flight.phase, Phase::Published { stored: false, .. })
}

fn revalidates(flight: &Flight) -> Option<bool> {
    match (flight.phase, flight.suspect) {
        (Phase::Told { question: Question { head: true, .. }, entry, .. }, Some(held)) => {
            Some(entry.is_some_and(|entry| entry.fence == held.fence && entry.expired == held.expired))
        }
        _ => None,
    }
}
