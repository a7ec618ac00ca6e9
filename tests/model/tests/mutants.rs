//! Each seeded bug is found, by the invariant that it breaks.

use std::collections::BTreeSet;
use std::time::Instant;

use hybridcache_model::{Bounds, Fleet, Mutant, promise};
use stateright::{Checker, HasDiscoveries, Model};

const NONE: Bounds = Bounds::NONE;
const QUIET: Bounds = Bounds { calls: 2, deletes: 1, ..NONE };
const TAGS: Bounds = Bounds { calls: 2, restamps: 1, ..NONE };
const GAP: Bounds = Bounds { cuts: 1, ..QUIET };
const FAILOVER: Bounds = Bounds { failovers: 1, ..QUIET };

fn found(mutant: Mutant, bounds: Bounds, promise: &'static str) {
    let began = Instant::now();
    let fleet = Fleet { processes: 2, bounds, mutant: Some(mutant) };
    let enough = HasDiscoveries::AllOf(BTreeSet::from([promise]));
    let checker = fleet.checker().threads(2).finish_when(enough).spawn_bfs().join();
    println!("{mutant:?}: {} states, {:.1?}", checker.unique_state_count(), began.elapsed());
    let Some(path) = checker.discovery(promise) else {
        panic!("{mutant:?} was not found by {promise:?}, but by {:?}", checker.discoveries().keys());
    };
    println!("  {:?}", path.into_actions());
}

macro_rules! mutants {
    ($($test:ident: $mutant:ident, $bounds:expr, $promise:ident;)*) => {
        $(#[test]
        fn $test() {
            found(Mutant::$mutant, $bounds, promise::$promise);
        })*
    };
}

mutants! {
    publish_ignores_token: PublishIgnoresToken, QUIET, FENCE;
    publish_ignores_token_and_redis_keeps_it: PublishIgnoresToken, QUIET, REDIS;
    invalidate_keeps_lease: InvalidateKeepsLease, QUIET, REDIS;
    invalidate_wakes_nobody: InvalidateWakesNobody, QUIET, WAKE;
    acquire_ignores_seen: AcquireIgnoresSeen, QUIET, REFRESH;
    release_ignores_token: ReleaseIgnoresToken, Bounds { calls: 3, discards: 1, lease_ends: 1, ..NONE }, ONE_HOLDER;
    register_after_acquire: RegisterAfterAcquire, QUIET, WAKE;
    message_leaves_flight: MessageLeavesFlight, QUIET, HEARD;
    capture_after_get: CaptureAfterGet, QUIET, HEARD;
    epoch_after_get: EpochAfterGet, GAP, GAP;
    stamps_after_load: StampsAfterLoad, TAGS, GROUP;
    origin_invalidates_once: OriginInvalidatesOnce, QUIET, OWN;
    origin_voids_once: OriginVoidsOnce, TAGS, GROUP;
    learns_voided_readings: LearnsVoidedReadings, Bounds { calls: 3, forgets: 1, ..TAGS }, GROUP;
    joins_voided_flight: JoinsVoidedFlight, TAGS, GROUP;
    joins_across_gap: JoinsAcrossGap, GAP, MISSED;
    fenced_ends_as_stored: FencedEndsAsStored, QUIET, CALL;
    epoch_stays_on_reconnect: EpochStaysOnReconnect, GAP, GAP;
    numbers_stay_on_reconnect: NumbersStayOnReconnect, Bounds { cuts: 1, ..TAGS }, GROUP;
    revalidation_compares_nothing: RevalidationComparesNothing, GAP, GAP;
    revalidation_ignores_mark: RevalidationIgnoresMark, Bounds { calls: 2, expires: 1, cuts: 1, ..NONE }, GAP;
    revalidation_ignores_stamps: RevalidationIgnoresStamps, Bounds { cuts: 1, ..TAGS }, GROUP;
    revalidation_stores_detached: RevalidationStoresDetached, GAP, HEARD;
    reads_before_replay: ReadsBeforeReplay, FAILOVER, OWN;
    serves_disowned: ServesDisowned, Bounds { give_ups: 1, ..GAP }, DISOWNED;
    closes_whatever_came: ClosesWhateverCame, Bounds { deletes: 2, refusals: 2, ..QUIET }, PENDING;
    answers_outlive_breaker: AnswersOutliveBreaker, FAILOVER, KNOWN;
    invalidates_before_opening: InvalidatesBeforeOpening, Bounds { refusals: 1, ..QUIET }, PENDING;
    recovery_tells_redis_only: RecoveryTellsRedisOnly, Bounds { abandons: 1, ..QUIET }, OWN;
    forgets_acknowledged: ForgetsAcknowledged, FAILOVER, OWN;
}
