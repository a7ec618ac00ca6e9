//! One load in the fleet.

use std::time::Duration;

use crate::crossing::Commands;
use crate::database::Order;
use crate::fleet::{Fleet, item};
use crate::recovery::subscribers;
use crate::waiting::within;

/// How often a machine that is too busy is given another chance.
const CHANCES: usize = 8;

/// A machine that is too busy can let an answer wait for longer than a second, or a process for longer than its lease: then calls
/// load without Redis, or once more, as they should. A run with other loads than expected does not count if that was so: Redis has failed a
/// process, has another connection of it, or has ended a lease by itself. Killed by: an `acquire` that grants always; waiters
/// that give up at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eight_processes_with_fifty_callers_load_a_hundred_cold_keys_a_hundred_times() {
    for _ in 0..CHANCES {
        let fleet = Fleet::start();
        let processes = fleet.processes(8);
        // All are up and connected before any begins.
        for process in &processes {
            process.ask("stats").await;
        }
        let connections = subscribers(&fleet);
        let storms: Vec<_> = processes.iter().map(|process| process.ask("storm 100 50")).collect();
        let mut answers = Vec::new();
        for storm in storms {
            answers.push(storm.await);
        }
        let expected: Vec<String> = (0..100).map(|id| format!("{id}=[1]")).collect();
        let mut loads = 0;
        for id in 0..100 {
            loads += fleet.database.loads(id).await;
        }
        let as_expected = loads == 100 && answers.iter().all(|answer| *answer == expected.join(";"));
        let has_expired = !fleet.redis.info("stats").contains("expired_keys:0\r\n");
        if as_expected && !has_expired {
            return fleet.leaves_no_trace().await;
        }
        let mut failures = 0;
        for process in &processes {
            failures += process.stat("redis_errors").await + process.stat("degraded_loads").await;
        }
        let is_cut = connections != subscribers(&fleet);
        assert!(failures > 0 || is_cut || has_expired, "{loads} loads: {answers:?}");
        eprintln!("once more: {failures} failures, new connections: {is_cut}, a lease ended by itself: {has_expired}");
    }
    panic!("the machine is too busy for eight processes: none of {CHANCES} runs was without failures");
}

/// Killed by: a lease that is not renewed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_load_longer_than_the_lease_is_still_the_only_one() {
    let fleet = Fleet::start();
    let processes = fleet.processes(4);
    fleet.database.order(1, &[Order::Take(Duration::from_secs(4))]).await;
    let asked = Commands::during(&fleet.redis, async {
        let calls: Vec<_> = processes.iter().flat_map(|process| (0..10).map(|_| process.item(1))).collect();
        for call in calls {
            assert_eq!(call.await, item(1, 1, 0));
        }
    });
    let asked = asked.await;
    assert_eq!(fleet.database.loads(1).await, 1);
    fleet.leaves_no_trace().await;
    assert!(asked.renewals() >= 3, "{asked:?}");
    // Polling each 250 ms would be 16 for each of three processes, and more at first. What there is: the process's own
    // look, one behind the attempt to take the lease, one in the script that waits for it, the last two again after 3 s, a last
    // look, the holder's two.
    assert!(asked.of("getrange") <= 4 * 6, "{asked:?}");
}

/// What a waiter would send if it woke up by itself: it would ask for the lease again. Killed by: a publish that wakes
/// nobody.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn waiters_are_woken_by_a_message() {
    let fleet = Fleet::start();
    let processes = fleet.processes(4);
    fleet.database.order(1, &[Order::Hold]).await;
    let asked = Commands::during(&fleet.redis, async {
        let holder = processes[0].item(1);
        fleet.database.begun(1, 1).await;
        fleet.prolong_lease();
        let waiters: Vec<_> = processes[1..].iter().map(|process| process.item(1)).collect();
        fleet.waiting(3).await;
        fleet.database.release(1, 1).await;
        assert_eq!(holder.await, item(1, 1, 0));
        for waiter in waiters {
            assert_eq!(waiter.await, item(1, 1, 0));
        }
    });
    let asked = asked.await;
    // The test itself has prolonged the lease once.
    let renewals = asked.renewals() - 1;
    assert_eq!(asked.of("evalsha") - renewals, 3 + 1 + 2, "three times acquire, one publish, two stamps: {asked:?}");
    assert_eq!(fleet.database.loads(1).await, 1);
}

/// Killed by: a release that wakes nobody.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_a_load_fails_the_next_process_goes_on_at_once() {
    let fleet = Fleet::start();
    let (first, second) = (fleet.shop().await, fleet.process());
    for (id, failure) in [(1, Order::HoldAndFail), (2, Order::HoldAndPanic)] {
        fleet.database.order(id, &[failure]).await;
        let failing = tokio::spawn({
            let first = first.clone();
            async move { first.item(id).await }
        });
        fleet.database.begun(id, 1).await;
        fleet.prolong_lease();
        let waiting = second.item(id);
        fleet.waiting(1).await;
        fleet.database.release(id, 1).await;
        assert_eq!(waiting.await, item(id, 2, 0));
        assert!(!matches!(within("the failing call", failing).await, Ok(Ok(_))));
        fleet.leaves_at_most_marks().await;
        assert_eq!(fleet.database.loads(id).await, 2);
    }
}

/// What is not stored cannot be handed to another process, so that one loads for itself, at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_a_value_is_not_stored_the_next_process_goes_on_at_once() {
    let fleet = Fleet::start();
    let (first, second) = (fleet.shop().await, fleet.shop().await);
    fleet.database.order(1, &[Order::Hold]).await;
    let call = |shop: &crate::shop::Shop| {
        let shop = shop.clone();
        tokio::spawn(async move { shop.draft(1).await.unwrap() })
    };
    let unstored = call(&first);
    fleet.database.begun(1, 1).await;
    fleet.prolong_lease();
    let waiting = call(&second);
    fleet.waiting(1).await;
    fleet.database.set_version(1, 1).await;
    fleet.database.release(1, 1).await;
    assert_eq!(within("the first call", unstored).await.unwrap(), item(1, 1, 0));
    assert_eq!(within("the waiting call", waiting).await.unwrap(), item(1, 2, 1));
    fleet.leaves_at_most_marks().await;
    assert_eq!(first.draft(1).await.unwrap(), item(1, 2, 1), "the first call was not stored, the second was");
}
