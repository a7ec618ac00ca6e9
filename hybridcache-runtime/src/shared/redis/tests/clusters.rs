//! The events that a tier on a cluster reports to its listener.

use hybridcache_test_support::RedisCluster;

use super::*;
use crate::shared::StampName;
use crate::shared::wire::names::groups;

async fn process(cluster: &RedisCluster, id: u64) -> Process {
    let events = Arc::new(Events::default());
    let tier = RedisTier::connect(&cluster.url(), "test", id, events.clone()).await.unwrap();
    eventually("it is connected", || tier.is_subscribed()).await;
    Process { id, tier, events }
}

/// Killed by: the newest proof of any node; a heartbeat for one node only.
#[tokio::test]
async fn messages_are_proven_once_all_nodes_have_proven_them() {
    let cluster = RedisCluster::start();
    let process = process(&cluster, 1).await;
    let last = || process.events.proven.lock().unwrap().iter().max().copied().unwrap();
    let connected = last();
    eventually("a proof", || last() > connected).await;
    assert_eq!(process.connections(), 1);
    let beats = |node: &RedisServer| node.command_calls("spublish");
    for node in &cluster.nodes {
        node.stop();
        let stopped = Instant::now();
        let others: Vec<_> = cluster.nodes.iter().filter(|other| other.port() != node.port()).collect();
        let before: Vec<_> = others.iter().map(|other| beats(other)).collect();
        let came = || others.iter().zip(&before).all(|(other, before)| beats(other) >= before + 2);
        eventually("the others prove", came).await;
        assert!(last() <= stopped);
        node.resume();
        eventually("all prove again", || last() > stopped).await;
    }
}

/// Messages about every group of keys and of stamps, each sent to the node of its group.
///
/// Killed by: not listening to one of the channels; sending wake-ups to another.
#[tokio::test]
async fn messages_of_all_groups_arrive() {
    let cluster = RedisCluster::start();
    let (a, b) = (process(&cluster, 1).await, process(&cluster, 2).await);
    let (mut missing, mut number) = (groups("test"), 0);
    let mut expected = Vec::new();
    while !missing.is_empty() {
        let text = format!("number:{number}");
        number += 1;
        let (key, stamp) = (Address::new("test", "f", 1, &text), StampName::of_tag("test", &text));
        if let Some(place) = missing.iter().position(|group| group == key.group()) {
            missing.remove(place);
            a.lease(&key).await;
            b.wait(&key).await;
            a.tier.invalidate(&key, &[], Invalidation::Delete).await.unwrap();
            expected.push(Event::Woken(key.id(), Wake::Released));
            expected.push(Event::Invalidated(key.id(), Invalidation::Delete, 1));
        }
        if let Some(place) = missing.iter().position(|group| stamp.key.starts_with(group.as_str())) {
            missing.remove(place);
            a.tier.restamp(std::slice::from_ref(&stamp)).await.unwrap();
            expected.push(Event::Restamped(stamp.hash, 1));
        }
    }
    eventually("all messages", || b.heard().len() >= expected.len()).await;
    for event in &expected {
        assert!(b.heard().contains(event), "{event:?}");
    }
    assert_eq!((b.heard().len(), b.connections()), (expected.len(), 1));
}

/// A slot that moves takes its subscriptions with it.
///
/// Killed by: subscribing anew without saying so.
#[tokio::test]
async fn a_slot_that_moves_begins_a_new_stream() {
    let cluster = RedisCluster::start();
    let process = process(&cluster, 1).await;
    let (slot, from) = cluster.owner(&cluster.nodes[0], key().entry());
    let to = cluster.nodes.iter().find(|node| node.port() != from.port()).unwrap();
    cluster.move_slot(slot, from, to);
    eventually("a new stream", || process.connections() >= 2).await;
    eventually("the lease can be had", || process.tier.is_subscribed()).await;
    for attempt in 0..1000 {
        let acquired = process.tier.acquire(&key(), process.token(1), LEASE, b"").await;
        if acquired.is_ok() {
            return;
        }
        assert!(attempt < 999, "{acquired:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
