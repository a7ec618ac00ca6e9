//! Servers that are down, stopped, full, read-only, forgetful or hostile.

use futures_util::FutureExt;
use futures_util::future::join_all;
use hybridcache_test_support::{Direction, FaultProxy, Flow};

use super::*;
use crate::shared::{LARGE, RemoteErrorKind, StampName};

/// The number of connections, not counting this one.
fn clients(server: &RedisServer) -> usize {
    let list = server.command(&[b"CLIENT", b"LIST"]).into_text().unwrap();
    list.lines().filter(|line| !line.contains("cmd=client")).count()
}

async fn serves(process: &Process) {
    for _ in 0..4000 {
        if process.tier.fetch(&key(), &[]).await.is_ok() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("no service within twenty seconds: {:?}", process.tier.outage());
}

/// Killed by: not resending; resending by hash.
#[tokio::test]
async fn scripts_that_the_server_forgot_are_sent_anew() {
    let server = RedisServer::start();
    let process = Process::start(&server, 1).await;
    let forget = || server.command(&[b"SCRIPT", b"FLUSH"]);
    forget();
    let token = process.lease(&key()).await;
    forget();
    assert!(process.tier.renew(&key(), token, LEASE).await.unwrap());
    forget();
    assert_eq!(process.publish(&key(), token).await, Published::Stored);
    forget();
    process.tier.invalidate(&key(), &[], Invalidation::Delete).await.unwrap();
    assert_eq!(process.fetch(&key()).await, None);
    forget();
    process.tier.seize(&key(), &[], token, LEASE).await.unwrap();
    forget();
    assert_eq!(process.publish(&key(), token).await, Published::Stored);
    assert_eq!(process.fetch(&key()).await, Some(entry(token)));
    server.flush();
    process.lease(&key()).await;
    forget();
    process.tier.release(&key(), token, Release::NotLoaded);
    eventually("the release", || !exists(&server, &key().lease())).await;

    process.lease(&key()).await;
    server.reset_stats();
    process.lease(&key()).await;
    assert_eq!((server.command_calls("evalsha"), server.command_calls("eval")), (1, 0), "it learnt the script again");
}

/// Killed by: taking each server for another; taking one that has restarted, or a replica that became the master, for
/// the same.
#[tokio::test]
async fn a_server_is_the_same_until_it_restarts_or_another_one_takes_its_place() {
    let server = RedisServer::start();
    let process = Process::start(&server, 1).await;
    let drop_connections = || {
        let killed = server.command(&[b"CLIENT", b"KILL", b"TYPE", b"pubsub"]);
        assert!(matches!(killed, Reply::Integer(1..)), "{killed:?}");
    };
    let connected = async |count| eventually("it connects again", || process.connections() == count).await;
    drop_connections();
    connected(2).await;
    eventually("it serves", || process.tier.outage().is_none()).await;
    server.restart_with_data();
    connected(3).await;
    eventually("it serves", || process.tier.outage().is_none()).await;
    drop_connections();
    connected(4).await;
    eventually("it serves", || process.tier.outage().is_none()).await;
    // A master that was a replica in between has changed its history.
    server.command(&[b"REPLICAOF", b"127.0.0.1", b"1"]);
    server.command(&[b"REPLICAOF", b"NO", b"ONE"]);
    drop_connections();
    connected(5).await;
    assert_eq!(*process.events.kept.lock().unwrap(), [false, true, false, true, false]);
}

/// The server closes the connection of a client whose pending output exceeds the limit. Killed by: reading it on the
/// link's connection; taking its end for one of the link.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_value_that_the_server_does_not_send_ends_a_connection_of_its_own() {
    let server = RedisServer::start();
    server.config_set("client-output-buffer-limit", "normal 1048576 0 0");
    let process = Process::start(&server, 1).await;
    let (large, medium) = (Address::new("test", "large", 1, "1"), Address::new("test", "large", 1, "2"));
    server.command(&[b"SET", large.entry().as_bytes(), &vec![7; 2 << 20]]);
    server.command(&[b"SET", medium.entry().as_bytes(), &vec![8; 100 << 10]]);
    let names = [StampName::of_tag("test", "org:9")];
    for _ in 0..10 {
        let error = process.tier.fetch_large(&large, &[], 2 << 20).await.unwrap_err();
        assert_eq!(error.kind, RemoteErrorKind::Transfer, "{error}");
        assert!(error.message.contains("client-output-buffer-limit"), "{error}");
        assert_eq!(process.fetch(&large).await, Some(vec![7; LARGE]), "its first bytes are small");
        let fetched = process.tier.fetch_large(&medium, &names, LARGE).await.unwrap();
        assert_eq!((fetched.entry, fetched.stamps), (Some(vec![8; 100 << 10]), vec![None]));
    }
    assert_eq!((process.tier.outage(), process.connections()), (None, 1));
}

/// Killed by: a connection for each transfer; one for all of them; a transfer that goes on when nobody waits for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn transfers_have_a_few_connections() {
    let server = RedisServer::start();
    let network = FaultProxy::start(server.port());
    let process = Process::at(&network.url(), 1).await;
    let key = key();
    server.command(&[b"SET", key.entry().as_bytes(), &vec![7; 100 << 10]]);
    let own = network.connections();
    for _ in 0..20 {
        process.tier.fetch_large(&key, &[], LARGE).await.unwrap();
    }
    assert_eq!(network.connections(), own + 1, "one after the other");
    network.set(Direction::ToClient, Flow::Rate(1_000_000));
    let mut reading: Vec<_> = (0..20).map(|_| process.tier.fetch_large(&key, &[], LARGE)).collect();
    reading.iter_mut().for_each(|reading| assert!(reading.now_or_never().is_none()));
    eventually("all that are allowed", || network.connections() == own + 4).await;
    reading.truncate(10);
    network.restore();
    for reading in reading {
        assert!(reading.await.unwrap().entry.is_some());
    }
    assert!(network.connections() <= own + 4);
}

/// Killed by: not reconnecting; not subscribing again; not saying so.
#[tokio::test]
async fn a_server_that_comes_back_serves_again() {
    let server = RedisServer::start();
    let (a, b) = (Process::start(&server, 1).await, Process::start(&server, 2).await);
    assert_eq!((a.tier.outage(), a.connections()), (None, 1));
    server.kill();
    eventually("the loss is noticed", || !a.tier.is_subscribed() && !b.tier.is_subscribed()).await;
    let error = a.tier.fetch(&key(), &[]).await.unwrap_err();
    assert_eq!(error.kind, RemoteErrorKind::Unavailable, "{error}");
    assert!(a.tier.outage().is_some());
    a.tier.release(&key(), a.token(1), Release::NotLoaded);

    server.restart();
    serves(&a).await;
    serves(&b).await;
    assert_eq!((a.tier.outage(), a.connections()), (None, 2));
    a.tier.invalidate(&key(), &[], Invalidation::Delete).await.unwrap();
    b.hears(&server, &[Event::Invalidated(key().id(), Invalidation::Delete, 1)]).await;
}

/// Killed by: an error from `connect`; giving up after the first attempt.
#[tokio::test]
async fn a_server_that_is_down_at_first_is_found_later() {
    let server = RedisServer::start();
    server.kill();
    let process = Process::start(&server, 1).await;
    assert!(process.tier.outage().is_some() && !process.tier.is_subscribed());
    assert_eq!((process.tier.now(), process.connections()), (None, 0));
    server.restart();
    serves(&process).await;
    assert!(process.tier.now().is_some());
}

/// TCP keeps acknowledging for a stopped server.
///
/// Killed by: no heartbeat; a heartbeat that takes the answer to its `PUBLISH` for the echo.
#[tokio::test]
async fn a_stopped_server_is_noticed() {
    let server = RedisServer::start();
    let process = Process::start(&server, 1).await;
    server.stop();
    let error = process.tier.fetch(&key(), &[]).await.unwrap_err();
    assert_eq!(error.kind, RemoteErrorKind::Timeout, "{error}");
    eventually("the loss is noticed", || process.tier.outage().is_some()).await;
    server.resume();
    serves(&process).await;
    assert_eq!(process.connections(), 2);
}

/// Every command is answered, but no message arrives: this server's `PUBLISH` is an `EXISTS`.
///
/// Killed by: counting a heartbeat as come back when its `PUBLISH` is answered.
#[tokio::test]
async fn a_connection_without_messages_is_replaced() {
    let renamed = ["--rename-command", "PUBLISH", "SILENCED", "--rename-command", "EXISTS", "PUBLISH"];
    let server = RedisServer::start_with(&renamed);
    let process = Process::start(&server, 1).await;
    assert_eq!(process.tier.outage(), None);
    eventually("a second connection", || process.connections() >= 2).await;
}

/// Killed by: serving calls without messages.
#[tokio::test]
async fn a_server_that_permits_no_messages_is_not_used() {
    let server = RedisServer::start();
    server.command(&[b"ACL", b"SETUSER", b"default", b"resetchannels"]);
    let process = Process::start(&server, 1).await;
    let outage = process.tier.outage().unwrap();
    assert!(outage.contains("subscribe") && outage.to_uppercase().contains("NOPERM"), "{outage}");
    server.command(&[b"ACL", b"SETUSER", b"default", b"allchannels", b"-publish"]);
    let refused =
        || process.tier.outage().is_some_and(|outage| outage.contains("NOPERM") && outage.contains("publish"));
    eventually("the refusal is told", refused).await;
    server.command(&[b"ACL", b"SETUSER", b"default", b"+publish"]);
    serves(&process).await;
}

/// Killed by: going on where the scripts were refused with `LOADING`.
#[tokio::test]
async fn a_server_that_still_loads_its_data_is_not_used() {
    let slow = ["--key-load-delay", "10000", "--loading-process-events-interval-bytes", "1024"];
    let server = RedisServer::start_with(&slow);
    let process = Process::start(&server, 1).await;
    for number in 0..300 {
        server.command(&[b"SET", format!("filler:{number}").as_bytes(), &[b'x'; 100]]);
    }
    server.restart_with_data();
    let loading = || process.tier.outage().is_some_and(|outage| outage.contains("LOADING"));
    eventually("loading is told", loading).await;
    assert_eq!(process.connections(), 1);
    serves(&process).await;
    assert_eq!(process.connections(), 2);
}

/// Killed by: heartbeats that are not answered, or answers that are not counted.
#[tokio::test]
async fn a_connection_with_messages_is_kept() {
    let server = RedisServer::start();
    let process = Process::start(&server, 1).await;
    eventually("five heartbeats", || server.command_calls("publish") >= 5).await;
    assert_eq!((process.connections(), process.heard()), (1, vec![]));
}

/// Killed by: ending the pipeline at the refused `SET`; leaving the lease; a first step of a put that is refused,
/// or that leaves what the put was to replace.
#[tokio::test]
async fn a_full_server_takes_nothing_and_keeps_no_lease() {
    let server = RedisServer::start();
    let (a, b) = (Process::start(&server, 1).await, Process::start(&server, 2).await);
    let names = [StampName::of_tag("test", "org:9")];
    let old = key_at_version(8);
    let token = a.lease(&old).await;
    assert_eq!(a.publish(&old, token).await, Published::Stored);
    let stamps = a.tier.create_stamps(&names, LIFE).await.unwrap();
    let token = a.lease(&key()).await;
    b.wait(&key()).await;

    server.config_set("maxmemory", "1mb");
    assert_eq!(a.publish(&key(), token).await, Published::Refused);
    b.hears(&server, &[Event::Woken(key().id(), Wake::NothingStored)]).await;
    // The mark may be left for a second.
    let remove_mark = |lease: String| {
        let mark = server.command(&[b"GETDEL", lease.as_bytes()]);
        assert!([Reply::Nil, Reply::Bulk(vec![b'0'; 16])].contains(&mark), "{mark:?}");
    };
    remove_mark(key().lease());
    let error = a.tier.acquire(&key(), token, LEASE, b"").await.unwrap_err();
    assert!(error.kind == RemoteErrorKind::Refused && error.message.starts_with("OOM "), "{error}");
    assert_eq!(a.put(&old, token).await, Published::Refused);
    remove_mark(old.lease());
    assert_eq!(server.keys("*"), [names[0].key.to_string()], "no lease, no stage, no older value");
    assert!(a.tier.create_stamps(&[StampName::of_namespace("test")], LIFE).await.is_err());

    a.tier.restamp(&names).await.unwrap();
    server.config_set("maxmemory", "0");
    assert_ne!(a.tier.create_stamps(&names, LIFE).await.unwrap(), stamps);
    assert_eq!((a.connections(), a.tier.outage()), (1, None), "a full server is no reason to reconnect");
}

/// The server refuses only a script's first write, so only for the first version.
///
/// Killed by: giving up at the refused `SETRANGE`.
#[tokio::test]
async fn expiring_in_a_full_server_deletes() {
    let server = RedisServer::start();
    let process = Process::start(&server, 1).await;
    let key = key_at_version(0);
    let token = process.lease(&key).await;
    assert_eq!(process.publish(&key, token).await, Published::Stored);
    let later = process.token(2);
    assert_eq!(process.tier.acquire(&key, later, LEASE, &token.to_bytes()).await.unwrap(), Acquired::Granted);
    server.config_set("maxmemory", "1mb");
    process.tier.invalidate(&key, &[], Invalidation::Expire).await.unwrap();
    assert_eq!(keys(&server), [""; 0]);
}

/// A server closes the connection of a subscriber for which it holds back 32 MB.
///
/// Killed by: one connection for commands and messages.
#[tokio::test]
async fn large_values_read_at_once_do_not_cost_the_connection() {
    let server = RedisServer::start();
    let process = Process::start(&server, 1).await;
    let keys: Vec<Address> = (0..6).map(|number| Address::new("test", "f", 0, &number.to_string())).collect();
    for key in &keys {
        server.command(&[b"SET", key.entry().as_bytes(), &vec![b'x'; 8 << 20]]);
    }
    let found = join_all(keys.iter().map(|key| process.tier.fetch_large(key, &[], 8 << 20))).await;
    for fetched in found {
        assert_eq!(fetched.unwrap().entry.map(|entry| entry.len()), Some(8 << 20));
    }
    assert_eq!((process.connections(), process.tier.outage()), (1, None));
}

/// Killed by: neither listening to the end of a connection nor counting heartbeats.
#[tokio::test]
async fn losing_either_connection_is_losing_both() {
    let server = RedisServer::start();
    let process = Process::start(&server, 1).await;
    for (round, kind) in [b"normal".as_slice(), b"pubsub"].into_iter().enumerate() {
        assert_eq!(server.command(&[b"CLIENT", b"KILL", b"TYPE", kind]), Reply::Integer(1));
        eventually("a new link", || process.connections() == 2 + round).await;
        serves(&process).await;
        eventually("the other connection is closed", || clients(&server) == 2).await;
    }
}

/// A failover turned the master into a replica.
///
/// Killed by: keeping the connection after `READONLY`.
#[tokio::test]
async fn a_read_only_server_is_left_and_found_again() {
    let server = RedisServer::start();
    let process = Process::start(&server, 1).await;
    server.command(&[b"REPLICAOF", b"127.0.0.1", b"1"]);
    let error = process.tier.acquire(&key(), process.token(1), LEASE, b"").await.unwrap_err();
    assert!(error.kind == RemoteErrorKind::Refused && error.message.starts_with("READONLY "), "{error}");
    eventually("another connection", || process.connections() >= 2).await;
    server.command(&[b"REPLICAOF", b"NO", b"ONE"]);
    serves(&process).await;
    process.lease(&key()).await;
}

/// Killed by: taking an error for an absent entry.
#[tokio::test]
async fn refusals_carry_the_words_of_the_server() {
    let server = RedisServer::start();
    let process = Process::start(&server, 1).await;
    let acl = |rule: &[u8]| server.command(&[b"ACL", b"SETUSER", b"default", rule]);
    acl(b"-getrange");
    acl(b"-get");
    for reading in [process.tier.fetch(&key(), &[]), process.tier.fetch_large(&key(), &[], LARGE)] {
        let error = reading.await.unwrap_err();
        assert!(error.kind == RemoteErrorKind::Refused && error.message.starts_with("NOPERM "), "{error}");
    }
    acl(b"+getrange");
    server.command(&[b"CONFIG", b"SET", b"replica-serve-stale-data", b"no"]);
    server.command(&[b"REPLICAOF", b"127.0.0.1", b"1"]);
    let error = process.tier.fetch(&key(), &[]).await.unwrap_err();
    assert!(error.kind == RemoteErrorKind::Refused && error.message.starts_with("MASTERDOWN "), "{error}");
    eventually("another connection", || process.connections() >= 2).await;
    server.command(&[b"REPLICAOF", b"NO", b"ONE"]);
    serves(&process).await;
    acl(b"+get");
    let before = process.connections();
    server.command(&[b"REPLICAOF", b"127.0.0.1", b"1"]);
    let error = process.tier.fetch_large(&key(), &[], LARGE).await.unwrap_err();
    assert!(error.kind == RemoteErrorKind::Refused, "{error}");
    eventually("a large value's answer says so too", || process.connections() > before).await;
}

/// Killed by: failing to connect where scripts must not be loaded.
#[tokio::test]
async fn scripts_travel_with_the_call_where_they_cannot_be_loaded() {
    let server = RedisServer::start();
    server.command(&[b"ACL", b"SETUSER", b"default", b"-script", b"-evalsha"]);
    server.command(&[b"ACL", b"SETUSER", b"default", b"-script", b"+evalsha"]);
    let process = Process::start(&server, 1).await;
    let token = process.lease(&key()).await;
    assert_eq!(process.publish(&key(), token).await, Published::Stored);
}

/// Killed by: panicking or disconnecting on what does not parse.
#[tokio::test]
async fn foreign_messages_are_ignored() {
    let server = RedisServer::start();
    let process = Process::start(&server, 1).await;
    let own_channel = b"hc2:test:w:0000000000000001";
    for length in 0..80 {
        for kind in *b"DSTPRHX\0" {
            let message = [vec![kind; 1], vec![b'0'; length]].concat();
            for (channel, meant) in [(b"hc2:test:inv".as_slice(), 32), (own_channel, 16)] {
                if length != meant {
                    assert_eq!(server.command(&[b"PUBLISH", channel, &message]), Reply::Integer(1));
                }
            }
        }
    }
    process.hears(&server, &[]).await;
    assert_eq!((process.connections(), process.tier.outage()), (1, None));
    server.command(&[b"PUBLISH", own_channel, b"P0123456789abcdef"]);
    process.hears(&server, &[Event::Woken(0x0123_4567_89ab_cdef, Wake::Published)]).await;
}

/// Killed by: a task that keeps the tier alive; not aborting the supervisor.
#[tokio::test]
async fn a_dropped_tier_leaves_nothing() {
    let server = RedisServer::start();
    let process = Process::start(&server, 1).await;
    process.lease(&key()).await;
    assert_eq!(clients(&server), 2);
    let Process { tier, events, .. } = process;
    drop(tier);
    eventually("no connection", || clients(&server) == 0).await;
    eventually("no task", || Arc::strong_count(&events) == 1).await;
    assert!(exists(&server, &key().lease()), "what the engine did not release ends by itself");
}

/// A cache in a static, and tests that each have their own runtime.
///
/// Killed by: links on the runtime that built the tier.
#[test]
fn a_tier_outlives_the_runtime_it_was_built_on() {
    let server = RedisServer::start();
    let runtime = || tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let process = runtime().block_on(Process::start(&server, 1));
    runtime().block_on(serves(&process));
    for _ in 0..3 {
        runtime().block_on(process.fetch(&key()));
        assert_eq!((process.connections(), process.tier.outage()), (1, None));
    }
}

/// Killed by: repeating the URL in the message.
#[tokio::test]
async fn a_malformed_url_is_an_error_without_the_password() {
    for url in [
        "",
        "not a url",
        "http://u:secret@h",
        "redis://u:secret@h:99999",
        "redis://u:secret@h/secret",
        "redis://:secret@",
    ] {
        let result = RedisTier::connect(url, "test", 1, Arc::new(Events::default())).await;
        let message = result.err().unwrap_or_else(|| panic!("{url} was accepted"));
        assert!(message.contains("not a Redis URL") && !message.contains("secret"), "{message}");
    }
}

/// Killed by: an outage without its reason.
#[tokio::test]
async fn a_wrong_password_is_told_without_the_password() {
    let server = RedisServer::start_with(&["--requirepass", "right"]);
    let url = format!("redis://:wrong@127.0.0.1:{}", server.port());
    let tier = RedisTier::connect(&url, "test", 1, Arc::new(Events::default())).await.unwrap();
    let outage = tier.outage().unwrap();
    assert!(outage.contains("WRONGPASS") && !outage.contains(":wrong"), "{outage}");
    let url = format!("redis://:right@127.0.0.1:{}", server.port());
    let tier = RedisTier::connect(&url, "test", 1, Arc::new(Events::default())).await.unwrap();
    assert_eq!(tier.outage(), None);
}

/// Killed by: taking the process's own clock.
#[tokio::test]
async fn the_servers_clock_is_read() {
    let server = RedisServer::start();
    let process = Process::start(&server, 1).await;
    let Reply::Array(time) = server.command(&[b"TIME"]) else { panic!("no time") };
    let seconds: u64 = time[0].clone().into_text().unwrap().parse().unwrap();
    let now = process.tier.now().unwrap();
    assert!(now.abs_diff(seconds * 1000) < 60_000, "{now} is not near {seconds} s");
}

/// Killed by: asking for the time once.
#[tokio::test]
async fn the_servers_clock_is_read_again() {
    let server = RedisServer::start();
    let process = Process::start(&server, 1).await;
    server.reset_stats();
    eventually("another sample", || server.command_calls("time") == 1).await;
    assert_eq!(process.connections(), 1);
}
