//! Each seeded bug is found, by the invariant that it breaks.

use std::collections::BTreeSet;
use std::time::Instant;

use hybridcache_model::{Bounds, Fleet, Mutant, promise};
use stateright::{Checker, HasDiscoveries, Model};

const NONE: Bounds = Bounds::NONE;
const QUIET: Bounds = Bounds { calls: 2, deletes: 1, ..NONE };
const EXPECTING: Bounds = Bounds { expectations: 1, ..QUIET };
const TAGS: Bounds = Bounds { calls: 2, restamps: 1, ..NONE };
const GAP: Bounds = Bounds { cuts: 1, ..QUIET };
const FAILOVER: Bounds = Bounds { failovers: 1, ..QUIET };

fn found(processes: usize, editions: usize, mutant: Mutant, bounds: Bounds, promise: &'static str) {
    let began = Instant::now();
    let fleet = Fleet { processes, editions, bounds, mutant: Some(mutant) };
    let enough = HasDiscoveries::AllOf(BTreeSet::from([promise]));
    let checker = fleet.checker().threads(2).finish_when(enough).spawn_bfs().join();
    println!("{mutant:?}: {} states, {:.1?}", checker.unique_state_count(), began.elapsed());
    let Some(path) = checker.discovery(promise) else {
        panic!("{mutant:?} was not found by {promise:?}, but by {:?}", checker.discoveries().keys());
    };
    println!("  {:?}", path.into_actions());
}

macro_rules! mutants {
    ($editions:literal: $($test:ident: $processes:literal, $mutant:ident, $bounds:expr, $promise:ident;)*) => {
        $(#[test]
        fn $test() {
            found($processes, $editions, Mutant::$mutant, $bounds, promise::$promise);
        })*
    };
}

mutants! { 1:
    publish_ignores_token: 2, PublishIgnoresToken, QUIET, FENCE;
    publish_ignores_token_and_redis_keeps_it: 2, PublishIgnoresToken, QUIET, REDIS;
    invalidate_keeps_lease: 2, InvalidateKeepsLease, QUIET, REDIS;
    invalidate_wakes_nobody: 2, InvalidateWakesNobody, QUIET, WAKE;
    acquire_ignores_seen: 2, AcquireIgnoresSeen, QUIET, REFRESH;
    take_ignores_seen: 2, TakeIgnoresSeen, QUIET, REFRESH;
    reads_before_taking: 2, ReadsBeforeTaking, EXPECTING, REFRESH;
    takes_held_lease: 2, TakesHeldLease, QUIET, ONE_HOLDER;
    keeps_lease_of_hit: 2, KeepsLeaseOfHit, EXPECTING, GIVEN_BACK;
    release_ignores_token: 2, ReleaseIgnoresToken, Bounds { calls: 3, discards: 1, lease_ends: 1, ..NONE }, ONE_HOLDER;
    mark_outlives_value: 2, MarkOutlivesValue, Bounds { calls: 2, discards: 1, ..NONE }, MARK;
    unleased_load_publishes: 2, UnleasedLoadPublishes, Bounds { calls: 3, deletes: 1, discards: 1, ..NONE }, REDIS;
    register_after_acquire: 2, RegisterAfterAcquire, QUIET, WAKE;
    message_leaves_flight: 2, MessageLeavesFlight, QUIET, HEARD;
    capture_after_get: 2, CaptureAfterGet, QUIET, HEARD;
    epoch_after_get: 2, EpochAfterGet, GAP, GAP;
    stamps_after_load: 1, StampsAfterLoad, TAGS, GROUP;
    origin_invalidates_once: 2, OriginInvalidatesOnce, QUIET, OWN;
    origin_voids_once: 1, OriginVoidsOnce, TAGS, GROUP;
    learns_voided_readings: 1, LearnsVoidedReadings, Bounds { calls: 3, forgets: 1, ..TAGS }, GROUP;
    joins_voided_flight: 2, JoinsVoidedFlight, TAGS, GROUP;
    joins_across_gap: 2, JoinsAcrossGap, GAP, MISSED;
    fenced_ends_as_stored: 2, FencedEndsAsStored, QUIET, CALL;
    epoch_stays_on_reconnect: 2, EpochStaysOnReconnect, GAP, GAP;
    numbers_stay_on_reconnect: 2, NumbersStayOnReconnect, Bounds { cuts: 1, ..TAGS }, GROUP;
    revalidation_compares_nothing: 2, RevalidationComparesNothing, GAP, GAP;
    revalidation_ignores_mark: 2, RevalidationIgnoresMark, Bounds { calls: 2, expires: 1, cuts: 1, ..NONE }, GAP;
    revalidation_ignores_stamps: 2, RevalidationIgnoresStamps, Bounds { cuts: 1, ..TAGS }, GROUP;
    revalidation_stores_detached: 2, RevalidationStoresDetached, GAP, HEARD;
    reads_before_replay: 1, ReadsBeforeReplay, FAILOVER, OWN;
    serves_disowned: 2, ServesDisowned, Bounds { give_ups: 1, ..GAP }, DISOWNED;
    closes_whatever_came: 1, ClosesWhateverCame, Bounds { deletes: 2, refusals: 2, ..QUIET }, PENDING;
    answers_outlive_breaker: 1, AnswersOutliveBreaker, FAILOVER, KNOWN;
    invalidates_before_opening: 2, InvalidatesBeforeOpening, Bounds { refusals: 1, ..QUIET }, PENDING;
    recovery_tells_redis_only: 2, RecoveryTellsRedisOnly, Bounds { abandons: 1, ..QUIET }, OWN;
    takes_each_server_for_the_same: 1, TakesEachServerForTheSame, FAILOVER, OWN;
    forgets_older_gap: 1, ForgetsOlderGap, Bounds { cuts: 1, ..FAILOVER }, OWN;
    put_in_one_step: 1, PutInOneStep, Bounds { deletes: 1, puts: 1, give_ups: 1, ..NONE }, REDIS;
    put_in_one_step_and_a_call_reads_it: 2, PutInOneStep, Bounds { calls: 1, deletes: 1, puts: 1, give_ups: 1, ..NONE }, CALL;
    put_ignores_token: 1, PutIgnoresToken, Bounds { deletes: 1, puts: 1, give_ups: 1, ..NONE }, REDIS;
    put_ignores_token_of_another: 2, PutIgnoresToken, Bounds { deletes: 1, puts: 1, ..NONE }, REDIS;
    forgets_acknowledged: 1, ForgetsAcknowledged, FAILOVER, OWN;
}

mutants! { 2:
    trusts_before_registering: 2, TrustsBeforeRegistering, QUIET, REDIS;
    touches_known_editions: 2, TouchesKnownEditions, QUIET, REDIS;
    creates_silently: 2, CreatesSilently, Bounds { stamp_losses: 1, ..QUIET }, HEARD;
    ignores_absent_stamp: 2, IgnoresAbsentStamp, Bounds { stamp_losses: 1, ..QUIET }, HEARD;
    registers_alone: 2, RegistersAlone, Bounds { forgets: 1, ..QUIET }, REDIS;
}
