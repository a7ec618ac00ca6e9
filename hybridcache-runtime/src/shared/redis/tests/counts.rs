//! The number of commands that the server gets.

use super::*;
use crate::shared::StampName;
use crate::shared::redis::INLINE;

fn calls(server: &RedisServer, commands: &[&str]) -> Vec<u64> {
    commands.iter().map(|command| server.command_calls(command)).collect()
}

/// Killed by: reading the namespace's stamp each time; a script on the way of a hit.
#[tokio::test]
async fn reading_is_one_command() {
    let server = RedisServer::start();
    let process = Process::start(&server, 1).await;
    let names = [StampName::of_namespace("test"), StampName::of_tag("test", "org:9")];
    server.reset_stats();
    process.fetch(&key()).await;
    assert_eq!(calls(&server, &["getrange", "get", "mget", "set", "evalsha"]), [1, 0, 0, 0, 0]);
    process.tier.fetch(&key(), &names).await.unwrap();
    assert_eq!(calls(&server, &["getrange", "get", "mget", "set", "evalsha"]), [2, 0, 1, 0, 0]);
    process.tier.create_stamps(&names, LIFE).await.unwrap();
    assert_eq!(
        calls(&server, &["getrange", "get", "mget", "set", "evalsha"]),
        [2, 2, 1, 2, 2],
        "each is looked at and created"
    );
}

/// Killed by: staging a small value; a publish that takes two round trips.
#[tokio::test]
async fn publishing_a_small_value_is_a_script_and_a_larger_one_is_staged_in_the_same_round_trip() {
    let server = RedisServer::start();
    let process = Process::start(&server, 1).await;
    for (bytes, expected) in [(INLINE, [100, 100, 0, 0]), (INLINE + 1, [100, 100, 0, 100])] {
        let keys: Vec<_> = (0..100).map(|nth| Address::new("test", "f", 0, &format!("{bytes}:{nth}"))).collect();
        for key in &keys {
            process.tier.acquire(key, process.token(1), LEASE * 10, b"").await.unwrap();
        }
        server.reset_stats();
        for key in &keys {
            let mut value = entry(process.token(1));
            value.resize(bytes, 7);
            let published = process.tier.publish(key, process.token(1), value.clone(), TTL).await.unwrap();
            assert_eq!((published, process.fetch(key).await), (Published::Stored, Some(value)));
        }
        assert_eq!(calls(&server, &["set", "evalsha", "eval", "rename"]), expected);
        // A pipeline arrives in one read. Heartbeats and this command are reads too.
        let stats = server.info("stats");
        let reads: u64 =
            stats.lines().find_map(|line| line.strip_prefix("total_reads_processed:")?.parse().ok()).unwrap();
        assert!(reads < 250, "{reads} reads for 100 publications, and 100 readings");
    }
}

/// Killed by: a script where the lease is free; registering for a lease that is held without one.
#[tokio::test]
async fn a_free_lease_is_taken_with_the_reading_and_without_a_script() {
    let server = RedisServer::start();
    let (process, other) = (Process::start(&server, 1).await, Process::start(&server, 2).await);
    server.reset_stats();
    let taken = process.tier.take(&key(), process.token(1), LEASE, LARGE).await.unwrap();
    assert!(taken.is_granted && taken.entry.is_none(), "{taken:?}");
    assert!(!other.tier.take(&key(), other.token(1), LEASE, LARGE).await.unwrap().is_granted);
    assert_eq!(calls(&server, &["set", "getrange", "evalsha"]), [2, 2, 0]);
    assert!((1..=3000).contains(&integer(server.command(&[b"PTTL", key().lease().as_bytes()]))));
    assert_eq!(process.publish(&key(), process.token(1)).await, Published::Stored);
    let beside = other.tier.take(&key(), other.token(2), LEASE, LARGE).await.unwrap();
    assert_eq!((beside.is_granted, beside.entry), (true, Some(entry(process.token(1)))));
}

#[tokio::test]
async fn other_steps_are_one_script_each() {
    let server = RedisServer::start();
    let process = Process::start(&server, 1).await;
    server.reset_stats();
    process.tier.create_stamps(&[key().stamp().used_by(1)], LIFE).await.unwrap();
    server.reset_stats();
    let token = process.lease(&key()).await;
    process.tier.renew(&key(), token, LEASE).await.unwrap();
    process.tier.invalidate(&key(), &[], Invalidation::Delete).await.unwrap();
    process.tier.seize(&key(), &[], token, LEASE).await.unwrap();
    process.tier.release(&key(), token, Release::NotLoaded);
    eventually("the release", || server.command_calls("evalsha") == 5).await;
    assert_eq!(calls(&server, &["eval", "script|load"]), [0, 0]);
}

/// Killed by: an invalidation that always asks twice; one that reads the stamp before it touches what it knows of.
#[tokio::test]
async fn an_invalidation_is_one_round_trip_unless_there_are_versions_that_it_does_not_know() {
    let server = RedisServer::start();
    let process = Process::start(&server, 1).await;
    for version in [1, 7, 20_261_130] {
        process.tier.create_stamps(&[key().stamp().used_by(version)], LIFE).await.unwrap();
    }
    server.reset_stats();
    for _ in 0..100 {
        process.tier.invalidate(&key(), &[1, 7, 20_261_130], Invalidation::Delete).await.unwrap();
    }
    assert_eq!(calls(&server, &["evalsha"]), [100]);
    let stats = server.info("stats");
    let reads: u64 = stats.lines().find_map(|line| line.strip_prefix("total_reads_processed:")?.parse().ok()).unwrap();
    assert!(reads < 150, "{reads} reads for 100 invalidations");
    process.tier.invalidate(&key(), &[7], Invalidation::Delete).await.unwrap();
    assert_eq!(calls(&server, &["evalsha"]), [102]);
}
