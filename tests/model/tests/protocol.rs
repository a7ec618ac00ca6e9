//! The protocol keeps its promises in every order of events within some bounds, and the bounds let enough happen.

use std::time::Instant;

use hybridcache_model::{Bounds, Fleet, example};
use stateright::{Checker, DiscoveryClassification, HasDiscoveries, Model};

const NONE: Bounds = Bounds::NONE;
const QUIET: Bounds = Bounds { calls: 2, deletes: 1, ..NONE };

fn holds(processes: usize, bounds: Bounds, examples: &[&'static str]) {
    holds_in(1, processes, bounds, examples);
}

fn holds_in(editions: usize, processes: usize, bounds: Bounds, examples: &[&'static str]) {
    let began = Instant::now();
    let fleet = Fleet { processes, editions, bounds, mutant: None };
    let checker = fleet.checker().threads(2).finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join();
    println!("{} states in {:.1?}: {bounds:?}", checker.unique_state_count(), began.elapsed());
    for (found, path) in checker.discoveries() {
        let is_example = matches!(checker.discovery_classification(found), DiscoveryClassification::Example);
        assert!(is_example, "{found}\nends in {:#?}\nafter {:#?}", path.last_state().clone(), path.into_actions());
    }
    for example in examples {
        assert!(checker.discovery(example).is_some(), "never: {example}");
    }
}

#[test]
fn one_invalidation() {
    let examples = [example::SHARED, example::WOKEN, example::FENCED, example::RETRY, example::TAKEN_OVER];
    holds(2, Bounds { calls: 3, ..QUIET }, &examples);
}

#[test]
fn a_miss_that_is_expected() {
    let examples = [example::NOT_NEEDED, example::SHARED, example::WOKEN, example::FENCED];
    holds(2, Bounds { expectations: 2, ..QUIET }, &examples);
    holds(2, Bounds { calls: 2, expectations: 1, expires: 1, ..NONE }, &[example::NOT_NEEDED]);
    holds(2, Bounds { calls: 2, expectations: 2, restamps: 1, forgets: 1, ..NONE }, &[example::HIDDEN]);
    holds(2, Bounds { calls: 2, expectations: 1, discards: 1, ..QUIET }, &[example::FENCED]);
    holds(2, Bounds { expectations: 1, lease_ends: 1, give_ups: 1, ..QUIET }, &[example::TAKEN_OVER]);
    holds(1, Bounds { expectations: 1, failovers: 1, ..QUIET }, &[example::REPLAYED]);
    holds_in(2, 2, Bounds { expectations: 1, ..QUIET }, &[example::REACHED]);
}

#[test]
fn three_processes() {
    holds(3, QUIET, &[example::SHARED, example::FENCED]);
}

#[test]
fn one_expiration() {
    holds(2, Bounds { calls: 3, expires: 1, ..NONE }, &[example::STALE, example::FENCED]);
}

#[test]
fn unstored_values() {
    holds(2, Bounds { calls: 3, discards: 1, ..QUIET }, &[example::FENCED, example::BESIDE]);
}

#[test]
fn leases_that_end_and_answers_that_are_late() {
    holds(2, Bounds { lease_ends: 1, give_ups: 1, ..QUIET }, &[example::TAKEN_OVER, example::LATE]);
}

#[test]
fn one_tag() {
    holds(2, Bounds { calls: 3, restamps: 1, ..NONE }, &[example::SHARED, example::HIDDEN]);
}

#[test]
fn lost_data() {
    let bounds = Bounds { calls: 2, restamps: 1, data_losses: 1, forgets: 1, ..NONE };
    holds(2, bounds, &[example::STAMP_LOST, example::HIDDEN]);
}

#[test]
fn a_gap() {
    holds(2, Bounds { cuts: 1, ..QUIET }, &[example::TRUSTED, example::DOUBTED, example::REPLAYED]);
}

#[test]
fn a_gap_and_an_expiration() {
    holds(2, Bounds { calls: 2, expires: 1, cuts: 1, ..NONE }, &[example::DOUBTED, example::REPLAYED]);
}

#[test]
fn a_gap_and_a_tag() {
    holds(2, Bounds { calls: 2, restamps: 1, cuts: 1, ..NONE }, &[example::HIDDEN, example::REPLAYED]);
}

#[test]
fn a_failover() {
    holds(1, Bounds { failovers: 1, ..QUIET }, &[example::UNDONE, example::REPLAYED]);
}

#[test]
fn invalidations_that_fail() {
    holds(2, Bounds { refusals: 1, abandons: 1, ..QUIET }, &[example::REPLAYED]);
    holds(1, Bounds { refusals: 2, deletes: 2, ..QUIET }, &[example::REPLAYED]);
}

#[test]
fn one_put() {
    holds(2, Bounds { calls: 2, puts: 1, ..NONE }, &[example::PUT, example::FENCED, example::SHARED]);
}

#[test]
fn a_put_and_an_invalidation() {
    holds(2, Bounds { calls: 1, deletes: 1, puts: 1, ..NONE }, &[example::PUT, example::OVERTAKEN]);
}

#[test]
fn puts_whose_steps_are_late() {
    let bounds = Bounds { calls: 1, deletes: 1, puts: 1, give_ups: 1, ..NONE };
    holds(2, bounds, &[example::OVERTAKEN, example::LATE, example::ORPHANED]);
    holds(1, Bounds { calls: 0, puts: 2, give_ups: 2, ..bounds }, &[example::OVERTAKEN, example::LATE]);
}

#[test]
fn a_put_across_a_gap() {
    holds(1, Bounds { calls: 1, deletes: 1, puts: 1, cuts: 1, ..NONE }, &[example::ORPHANED, example::REPLAYED]);
}

#[test]
fn a_put_and_a_failover() {
    holds(1, Bounds { calls: 1, deletes: 1, puts: 1, failovers: 1, ..NONE }, &[example::PUT, example::UNDONE]);
}

#[test]
fn a_put_and_a_tag() {
    holds(1, Bounds { calls: 2, restamps: 1, puts: 1, forgets: 1, ..NONE }, &[example::PUT, example::HIDDEN]);
}

#[test]
fn two_versions() {
    holds_in(2, 2, QUIET, &[example::REACHED, example::FENCED]);
    holds_in(2, 2, Bounds { calls: 2, expires: 1, ..NONE }, &[example::REACHED]);
    holds_in(2, 2, Bounds { calls: 2, puts: 1, ..NONE }, &[example::PUT, example::FENCED]);
    holds_in(2, 2, Bounds { forgets: 1, ..QUIET }, &[example::REACHED]);
}

#[test]
fn two_versions_and_a_lost_stamp() {
    holds_in(2, 2, Bounds { stamp_losses: 1, ..QUIET }, &[example::RENUMBERED]);
    holds_in(2, 2, Bounds { data_losses: 1, ..QUIET }, &[example::RENUMBERED]);
}

#[test]
fn two_versions_and_a_restamp() {
    holds_in(2, 2, Bounds { calls: 2, restamps: 1, ..NONE }, &[example::HIDDEN]);
}

#[test]
fn two_versions_and_invalidations_that_fail() {
    holds_in(2, 2, Bounds { refusals: 1, abandons: 1, ..QUIET }, &[example::REPLAYED]);
}

mod long {
    use super::*;

    #[test]
    #[ignore = "minutes, and gigabytes"]
    fn two_puts() {
        holds(2, Bounds { calls: 2, puts: 2, give_ups: 1, ..NONE }, &[example::OVERTAKEN]);
    }

    #[test]
    #[ignore = "minutes, and gigabytes"]
    fn three_processes_of_two_versions() {
        holds_in(2, 3, QUIET, &[example::REACHED]);
    }

    #[test]
    #[ignore = "minutes, and gigabytes"]
    fn everything_about_puts() {
        let bounds = Bounds { calls: 1, deletes: 1, puts: 1, give_ups: 1, lease_ends: 1, cuts: 1, ..NONE };
        holds(2, bounds, &[example::ORPHANED]);
    }

    #[test]
    #[ignore = "minutes, and gigabytes"]
    fn two_versions_an_invalidation_and_a_restamp() {
        holds_in(2, 2, Bounds { restamps: 1, ..QUIET }, &[example::HIDDEN, example::REACHED]);
    }

    #[test]
    #[ignore = "minutes, and gigabytes"]
    fn two_versions_and_a_gap() {
        holds_in(2, 2, Bounds { cuts: 1, ..QUIET }, &[example::REACHED]);
    }

    #[test]
    #[ignore = "minutes, and gigabytes"]
    fn two_invalidations() {
        holds(2, Bounds { calls: 3, deletes: 2, ..NONE }, &[]);
    }

    #[test]
    #[ignore = "minutes, and gigabytes"]
    fn three_processes_and_a_gap() {
        holds(3, Bounds { cuts: 1, ..QUIET }, &[example::TRUSTED]);
    }

    #[test]
    #[ignore = "minutes, and gigabytes"]
    fn everything_about_leases() {
        holds(2, Bounds { calls: 3, lease_ends: 1, give_ups: 1, discards: 1, ..QUIET }, &[]);
    }

    #[test]
    #[ignore = "minutes, and gigabytes"]
    fn everything_about_links() {
        holds(2, Bounds { cuts: 2, data_losses: 1, ..QUIET }, &[]);
    }

    #[test]
    #[ignore = "minutes, and gigabytes"]
    fn everything_about_tags() {
        holds(2, Bounds { calls: 2, deletes: 1, restamps: 1, cuts: 1, forgets: 1, ..NONE }, &[]);
    }

    #[test]
    #[ignore = "minutes, and gigabytes"]
    fn a_gap_and_a_failover() {
        holds(1, Bounds { cuts: 1, failovers: 1, ..QUIET }, &[]);
    }

    #[test]
    #[ignore = "minutes, and gigabytes"]
    fn a_failover_of_two() {
        holds(2, Bounds { failovers: 1, ..QUIET }, &[]);
    }
}
