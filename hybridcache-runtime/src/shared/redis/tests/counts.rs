//! The number of commands that the server gets.

use super::*;
use crate::shared::StampName;

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

/// Killed by: awaiting the `SET` before sending the script.
#[tokio::test]
async fn publishing_is_a_set_and_a_script_in_one_round_trip() {
    let server = RedisServer::start();
    let process = Process::start(&server, 1).await;
    let mut tokens = Vec::new();
    for attempt in 0..100 {
        let (key, token) = (Address::new("test", "f", 0, &attempt.to_string()), process.token(attempt));
        process.tier.acquire(&key, token, LEASE * 10, b"").await.unwrap();
        tokens.push((key, token));
    }
    server.reset_stats();
    for (key, token) in &tokens {
        assert_eq!(process.publish(key, *token).await, Published::Stored);
    }
    assert_eq!(calls(&server, &["set", "evalsha", "eval", "rename"]), [100, 100, 0, 100]);
    // A pipeline arrives in one read. Heartbeats and this command are reads too.
    let stats = server.info("stats");
    let reads: u64 = stats.lines().find_map(|line| line.strip_prefix("total_reads_processed:")?.parse().ok()).unwrap();
    assert!(reads < 150, "{reads} reads for 100 publications");
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
