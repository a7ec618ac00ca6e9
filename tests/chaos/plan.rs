//! What is going to happen in a round: decided beforehand by its seed alone.

use fastrand::Rng;

use crate::history::{MILLISECOND, Micros, SECOND, Span};

/// How many processes there are.
pub(crate) const PLACES: usize = 8;

/// What is done to the fleet. Times are from the beginning of the round.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Planned {
    pub(crate) deed: Deed,
    pub(crate) span: Span,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Deed {
    /// Many changes, or few.
    Storm,
    /// To one process, or between it and Redis.
    To(usize, Local),
    Redis(Global),
    /// Leases and stages are looked at.
    Inspect,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Local {
    /// Another one starts when the span ends.
    Kill,
    /// `SIGSTOP`
    Pause,
    /// Milliseconds, each way.
    Delay(u64),
    /// Connections break; new ones are taken at once.
    Snap,
    /// Connections break, and new ones are refused.
    Cut,
    /// Nothing arrives at the server until the span ends.
    Mute,
    /// Nothing arrives at the process until the span ends.
    Deaf,
    /// The same for messages alone: commands are answered.
    Unheard,
    /// Messages are lost, so that their connection ends with the span.
    Missed,
    /// Bytes are lost in one direction, so that the connections end with the span.
    Swallow { to_server: bool },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Global {
    /// `SIGSTOP`
    Stop,
    /// It comes back without its data.
    Crash,
    /// It comes back as it was at the beginning of the span: what was acknowledged since is undone.
    Rollback,
    /// It takes no writes, as one that lost its replicas. Reads and messages go on.
    Refuse,
    /// It is full.
    Fill,
    Flush,
    ScriptFlush,
}

/// A round begins and ends calmly. In between, storms and calms take turns. Every other storm spares Redis's data: it takes
/// a while until loads can be counted again after it was lost.
pub(crate) fn plan(seed: u64, length: Micros) -> Vec<Planned> {
    let mut rng = Rng::with_seed(seed);
    let mut planned = Vec::new();
    let mut now = 5 * SECOND;
    let mut spares_data = true;
    while now + 20 * SECOND <= length {
        let storm = Span { begin: now, end: now + 11 * SECOND };
        planned.push(Planned { deed: Deed::Storm, span: storm });
        for place in 0..PLACES {
            harm(&mut planned, &mut rng, storm, 5 * SECOND, |rng| to_one(rng, place));
        }
        harm(&mut planned, &mut rng, storm, 3 * SECOND, |rng| to_redis(rng, spares_data));
        spares_data = !spares_data;
        now = storm.end + 8 * SECOND;
        planned.push(Planned { deed: Deed::Inspect, span: Span { begin: now - SECOND, end: now - SECOND } });
    }
    planned.sort_by_key(|planned| planned.span.begin);
    planned
}

/// One after the other, with pauses of random length.
fn harm(
    planned: &mut Vec<Planned>,
    rng: &mut Rng,
    storm: Span,
    pause: Micros,
    any: impl Fn(&mut Rng) -> (Deed, Micros),
) {
    let mut begin = storm.begin + rng.u64(..pause);
    while begin < storm.end {
        let (deed, length) = any(rng);
        let end = (begin + length).min(storm.end);
        planned.push(Planned { deed, span: Span { begin, end } });
        begin = end + 300 * MILLISECOND + rng.u64(..pause);
    }
}

fn to_one(rng: &mut Rng, place: usize) -> (Deed, Micros) {
    let (local, longest) = match rng.u32(..15) {
        0..2 => (Local::Kill, 1000),
        2 => (Local::Pause, 4000),
        3..5 => (Local::Delay(rng.u64(20..300)), 3000),
        5 => (Local::Snap, 1),
        6 => (Local::Cut, 3000),
        7 => (Local::Mute, 5000),
        8..10 => (Local::Deaf, 5000),
        10 => (Local::Unheard, 5000),
        11..14 => (Local::Missed, 3000),
        _ => (Local::Swallow { to_server: rng.bool() }, 5000),
    };
    (Deed::To(place, local), rng.u64(1..=longest) * MILLISECOND)
}

fn to_redis(rng: &mut Rng, spares_data: bool) -> (Deed, Micros) {
    let (global, longest) = match (rng.u32(..10), spares_data) {
        (0..5, true) => (Global::Stop, 5000),
        (5..7, true) => (Global::ScriptFlush, 1),
        (0..2, false) => (Global::Crash, 2000),
        (2..6, false) => (Global::Rollback, 2500),
        (6, false) => (Global::Flush, 1),
        (7..9, _) => (Global::Refuse, 3000),
        _ => (Global::Fill, 2000),
    };
    (Deed::Redis(global), rng.u64(1..=longest) * MILLISECOND)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_one_plan() {
        assert_eq!(plan(7, 60 * SECOND), plan(7, 60 * SECOND));
        assert_ne!(plan(7, 60 * SECOND), plan(8, 60 * SECOND));
    }

    /// Killed by: planning the next deed at a place before the one before it has ended.
    #[test]
    fn deeds_at_one_place_do_not_overlap_and_leave_the_end_calm() {
        for seed in 0..50 {
            let planned = plan(seed, 60 * SECOND);
            assert!(planned.len() > 30, "{seed}: {}", planned.len());
            assert!(planned.iter().all(|planned| planned.span.end <= 53 * SECOND));
            let at = |place: &Deed| match place {
                Deed::To(place, _) => Some(*place),
                Deed::Redis(_) => Some(PLACES),
                Deed::Storm | Deed::Inspect => None,
            };
            for (number, one) in planned.iter().enumerate() {
                for other in &planned[number + 1..] {
                    assert!(at(&one.deed).is_none() || at(&one.deed) != at(&other.deed) || !one.span.meets(other.span));
                }
            }
        }
    }
}
