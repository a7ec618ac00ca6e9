//! What faults of Redis do to calls.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::{Duration, Instant};

use crate::faults::Fault;
use crate::fleet::{Fleet, GENEROUS, item};
use crate::recovery::{cut_off, is_closed, is_connected, is_open};
use crate::shop::Shop;
use crate::waiting::{eventually, within};
use hybridcache_test_support::FaultProxy;

/// The budget is 50 ms, and five calls that spend it open the breaker. Without it the connection itself would give up
/// after a second, each time. Killed by: commands without a budget; an error of Redis that is handed to the caller.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i08_no_fault_of_redis_fails_a_call_or_holds_it_up() {
    for fault in Fault::ALL {
        let fleet = Fleet::start();
        let network = FaultProxy::start(fleet.redis.port());
        let shop = fleet.shop_at(&network.url(), |builder| builder).await;
        shop.item(100).await.unwrap();
        fault.begin(&fleet, &network);
        let mut waited = Duration::ZERO;
        for id in 1..=20 {
            let began = Instant::now();
            assert_eq!(within("a cold call", shop.item(id)).await.unwrap(), item(id, 1, 0), "{fault:?}");
            waited += began.elapsed();
            assert_eq!(within("a hit", shop.item(id)).await.unwrap(), item(id, 1, 0), "{fault:?}");
            assert_eq!(within("a hit", shop.item(100)).await.unwrap(), item(100, 1, 0), "{fault:?}");
        }
        assert!(waited < Duration::from_secs(5), "{fault:?}: {waited:?} is more than the budget");
        fault.end(&fleet, &network);
    }
}

/// One connection's order is everybody's order: what is pending goes before whatever callers ask. Killed by: a breaker
/// that a failed invalidation does not open; one that closes before the journal is sent; a replay after the first read.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i10_pending_invalidations_are_sent_before_redis_is_read() {
    for acknowledged in [false, true] {
        let fleet = Fleet::start();
        let proxy = FaultProxy::start(fleet.redis.port());
        let shop = fleet.shop_at(&proxy.url(), |builder| builder.redis_budget(GENEROUS)).await;
        shop.item(1).await.unwrap();
        fleet.database.set_version(1, 1).await;
        if acknowledged {
            // A failover could undo it.
            shop.item_entry(1).invalidate().await.unwrap();
            cut_off(&proxy);
        } else {
            cut_off(&proxy);
            eventually("it fails", async || shop.item_entry(1).invalidate().await.is_err()).await;
        }
        proxy.take_round_trips();
        let (callers, over) = callers(&shop);
        proxy.restore();
        eventually("it has reconnected", async || !fleet.redis.keys("*").is_empty() && read_again(&proxy)).await;
        is_closed(&shop).await;
        is_connected(&shop).await;
        over.store(true, SeqCst);
        for caller in callers {
            within("a caller", caller).await.unwrap();
        }
        assert!(!is_open(&shop));
    }
}

/// Whether Redis was read on the new connection: after it was told.
fn read_again(proxy: &FaultProxy) -> bool {
    let sent: Vec<String> = proxy.round_trips().into_iter().flatten().collect();
    let first = |name: &str| sent.iter().position(|sent| sent == name);
    let Some(read) = first("GET").into_iter().chain(first("GETRANGE")).min() else { return false };
    assert!(first("EVALSHA").is_some_and(|told| told < read), "{sent:?}");
    true
}

/// They call, and look, all the time, and never see the first version.
fn callers(shop: &Shop) -> (Vec<tokio::task::JoinHandle<()>>, Arc<AtomicBool>) {
    let over = Arc::new(AtomicBool::new(false));
    let caller = |looks: bool| {
        let (shop, over) = (shop.clone(), over.clone());
        tokio::spawn(async move {
            while !over.load(SeqCst) {
                let found = if looks { shop.item_entry(1).get().await } else { Some(shop.item(1).await.unwrap()) };
                assert!(found.is_none_or(|found| found.version == 1));
                tokio::task::yield_now().await;
            }
        })
    };
    ([true, false, true, false].map(caller).into(), over)
}
