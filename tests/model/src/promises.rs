//! What the protocol promises, looked at in each state.

use stateright::Property;

use crate::Fleet;
use crate::bounds::Bounds;
use crate::flight::{Flight, Phase};
use crate::floor::Floor;
use crate::process::{Find, Link, Message, Process};
use crate::redis::Slot;
use crate::world::{Late, World};

/// What one step did wrong. (What is wrong with a state is seen in the state.)
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Broken {
    LostTokenPublished,
    RefreshedTwice,
    /// A call got what Redis had been told to forget before the call began.
    AcknowledgedReturned,
    /// A call got what its process knew to be invalidated before the call began.
    KnownReturned,
    VoidedReturned,
    PendingForgotten,
    /// A call got what it could have missed the message about, though Redis could be asked.
    MissedReturned,
    DisownedReturned,
}

/// Names of what always holds, after the invariants in ARCHITECTURE.md and the protocol.
pub mod promise {
    /// Where no answer is given up and no link is lost: otherwise it ends by itself.
    pub const GIVEN_BACK: &str = "I1 a lease that nobody loads under is given back";
    /// At most one load holds a lease that no invalidation and no fault has ended.
    pub const ONE_HOLDER: &str = "I1 at most one holder of a lease per generation";
    /// Nor as fresh what was expired by hand.
    pub const REDIS: &str = "I2 Redis holds nothing from before an invalidation";
    /// From the acknowledgement on.
    pub const OWN: &str = "I2 memory serves nothing from before an invalidation of its own process";
    /// From the delivery on.
    pub const HEARD: &str = "I2 memory serves nothing from before an invalidation whose message was delivered";
    /// From the new subscription on.
    pub const GAP: &str = "I2 memory serves nothing from before a gap that was invalidated meanwhile";
    /// Whoever lost the lease changes nothing.
    pub const FENCE: &str = "I3 a publish with a lost token changes nothing";
    /// Who waits is registered with a lease, or a message comes, or the lease ended without one and the timer tells.
    pub const WAKE: &str = "I4 no wake-up is lost";
    /// So those who wait for each other are one load, wherever loads store.
    pub const MARK: &str = "I1 who loads beside a lease knows that the load before stored nothing";
    /// So a stale entry is refreshed once.
    pub const REFRESH: &str = "I5 who gets the lease has seen the entry";
    /// For who leads a flight, and for who joins one that Redis then answers. (Where a function's stamp was lost, and another
    /// version invalidates, from the moment on at which the process hears the new number.)
    pub const CALL: &str = "I6 no call returns what was invalidated in Redis before it began";
    /// For everybody, errors and unstored values included.
    pub const KNOWN: &str = "I6 no call returns what its process knew to be invalidated before it began";
    /// Whatever it gets comes from after the subscription, or was compared after it.
    pub const MISSED: &str = "I6 no call after a gap returns what was invalidated in it, if Redis can be asked";
    /// Not even when Redis fails right after.
    pub const DISOWNED: &str = "I6 no call returns what Redis has just said not to have any more";
    /// Also after a failover.
    pub const PENDING: &str = "I10 what was pending is told before Redis is read";
    /// In Redis, in memory, and for calls.
    pub const GROUP: &str = "I12 an invalidated tag hides what was loaded before";
}

pub(crate) fn properties() -> Vec<Property<Fleet>> {
    vec![
        Property::always(promise::ONE_HOLDER, |_, world: &World| one_holder(world)),
        Property::always(promise::GIVEN_BACK, |_, world: &World| given_back(world)),
        Property::always(promise::REDIS, |_, world: &World| {
            world.redis.editions.iter().all(|slot| {
                let usable = slot.entry.filter(|entry| entry.stamp == world.redis.stamp);
                usable.is_none_or(|entry| slot.floor.max(slot.untold).allows(entry.version, !entry.expired))
            })
        }),
        Property::always(promise::OWN, |_, world: &World| hits(world, |process| process.floors.own)),
        Property::always(promise::HEARD, |_, world: &World| hits(world, |process| process.floors.heard)),
        Property::always(promise::GAP, |_, world: &World| {
            // What is in doubt is served while Redis cannot be asked.
            let proven = |process: &Process| process.memory.is_some_and(|held| held.epoch == process.epoch);
            hits(world, |process| if proven(process) { process.floors.gap } else { Floor::default() })
        }),
        Property::always(promise::MISSED, |_, world: &World| world.broken != Some(Broken::MissedReturned)),
        Property::always(promise::DISOWNED, |_, world: &World| world.broken != Some(Broken::DisownedReturned)),
        Property::always(promise::FENCE, |_, world: &World| world.broken != Some(Broken::LostTokenPublished)),
        Property::always(promise::WAKE, |_, world: &World| no_wake_up_lost(world)),
        Property::always(promise::MARK, |_, world: &World| {
            let marked = |slot: &Slot| slot.mark || slot.lease.as_ref().is_some_and(|lease| lease.marked);
            world.redis.editions.iter().all(|slot| !marked(slot) || slot.in_vain)
        }),
        Property::always(promise::REFRESH, |_, world: &World| world.broken != Some(Broken::RefreshedTwice)),
        Property::always(promise::CALL, |_, world: &World| world.broken != Some(Broken::AcknowledgedReturned)),
        Property::always(promise::KNOWN, |_, world: &World| world.broken != Some(Broken::KnownReturned)),
        Property::always(promise::PENDING, |_, world: &World| {
            world.broken != Some(Broken::PendingForgotten) && hits(world, |process| process.floors.pending)
        }),
        Property::always(promise::GROUP, |_, world: &World| {
            world.broken != Some(Broken::VoidedReturned) && groups(world)
        }),
    ]
}

fn one_holder(world: &World) -> bool {
    let held = |process: &Process| {
        let edition = process.edition;
        process
            .flights
            .iter()
            .filter_map(Flight::holds)
            .map(move |generation| (edition, generation))
            .collect::<Vec<_>>()
    };
    let leases: Vec<_> = world.processes.iter().flat_map(held).collect();
    leases.iter().all(|lease| leases.iter().filter(|other| *other == lease).count() == 1)
}

fn given_back(world: &World) -> bool {
    let Bounds { give_ups, cuts, failovers, .. } = world.spent;
    let is_known = |token| world.processes.iter().any(|process| process.knows(token));
    let ends = |token| world.late.iter().any(|late| matches!(late, Late::Release(late, _) if *late == token));
    let mut leases = world.redis.editions.iter().filter_map(|slot| slot.lease.as_ref());
    give_ups + cuts + failovers > 0 || leases.all(|lease| is_known(lease.token) || ends(lease.token))
}

/// Whether a hit in each process would obey a floor of it.
fn hits(world: &World, floor: impl Fn(&Process) -> Floor) -> bool {
    world.processes.iter().all(|process| match process.find() {
        Find::Fresh(held) => floor(process).allows(held.version, true),
        Find::Stale(held) => floor(process).allows(held.version, false),
        Find::Suspect(_) | Find::Nothing => true,
    })
}

fn groups(world: &World) -> bool {
    let hides = |(edition, slot): (usize, &Slot)| {
        world.redis.usable(edition).is_none_or(|entry| entry.version >= slot.floor.restamped)
    };
    world.redis.editions.iter().enumerate().all(hides)
        && world.processes.iter().all(|process| match process.find() {
            Find::Fresh(held) | Find::Stale(held) => {
                let floors = &process.floors;
                let gap = if held.epoch == process.epoch { floors.gap } else { Floor::default() };
                held.version >= floors.own.max(floors.heard).max(floors.pending).max(gap).restamped
            }
            Find::Suspect(_) | Find::Nothing => true,
        })
}

/// Who waits is registered with a lease, or a message is on its way, or only the timer can help.
fn no_wake_up_lost(world: &World) -> bool {
    world.processes.iter().enumerate().filter(|(_, process)| process.link == Link::Up).all(|(place, process)| {
        let registered =
            world.redis.editions[process.edition].lease.as_ref().is_some_and(|lease| lease.waiters & (1 << place) != 0);
        let coming = process.inbox.iter().any(|message| matches!(message, Message::Woken(_)));
        let asleep = |flight: &Flight| matches!(flight.phase, Phase::Waiting { .. }) && !flight.lapsed;
        registered || coming || process.flights.iter().all(|flight| !asleep(flight) || flight.wake.is_some())
    })
}
