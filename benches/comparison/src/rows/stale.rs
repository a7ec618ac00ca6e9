//! A stale hit while the refresh runs, beside a fresh one.

use super::RUNTIME;
use super::hits::{Caller, fill};
use crate::ids;
use crate::peers::{Peer, ours};
use crate::rounds::{Candidate, by_turns};
use crate::table::{Row, Table, Time};

const ROUNDS: usize = 31;
const HOT: u64 = 10_000;

pub(super) fn measure(table: &mut Table) {
    let fresh = Caller::new(Peer::Hybridcache, async |id| _ = std::hint::black_box(ours::refreshed(id).await));
    let mut callers = [fresh];
    fill(&mut callers, 2 * HOT);
    RUNTIME.block_on(ours::make_stale(HOT..2 * HOT));
    let [caller] = &callers;
    let of_fresh = ids::zipf(HOT as usize, 0.99);
    let of_stale: Vec<u64> = of_fresh.iter().map(|id| id + HOT).collect();
    let candidate = |ids| Candidate::new(Peer::Hybridcache, move || caller.hits(caller.some_of(ids), 1));
    let stale_hits = ours::stale_hits();
    let (fresh, stale) = by_turns(ROUNDS, &mut [candidate(&of_fresh), candidate(&of_stale)]).split_at(1);
    assert!(ours::stale_hits() - stale_hits >= ROUNDS as u64 * HOT, "these hits are stale");
    let ratio = stale.ratio_to(Peer::Hybridcache, &fresh, Peer::Hybridcache);
    let unit = format!("a fresh hit: {}", Time(fresh.figure(Peer::Hybridcache).median));
    let mut row = Row::new("stale hit while its refresh runs", unit);
    row.cell(Peer::Hybridcache, ratio.to_string());
    table.add(row.bar("≤ 1.3 × a fresh hit", format!("{:.2}", ratio.median), ratio.median <= 1.3));
}
