//! Reading, creating and changing stamps.

use super::*;
use crate::shared::StampName;

fn names() -> Vec<StampName> {
    vec![
        StampName::of_namespace("test"),
        StampName::of_function("test", "shop::user"),
        StampName::of_tag("test", "org:9"),
    ]
}

/// Killed by: creating them anew on each reading; creating them without `NX`.
#[tokio::test]
async fn absent_stamps_are_created_once_for_all() {
    let server = RedisServer::start();
    let (a, b) = (Process::start(&server, 1).await, Process::start(&server, 2).await);
    for round in 0..50 {
        let (key, names) = (key(), names());
        assert_eq!(a.tier.fetch(&key, &names).await.unwrap().stamps, [None, None, None]);
        let (here, there) = tokio::join!(a.tier.create_stamps(&names, LIFE), b.tier.create_stamps(&names, LIFE));
        let (here, there) = (here.unwrap(), there.unwrap());
        assert_eq!(here, there, "{round}");
        assert!(here.len() == 3 && here[0] != here[1] && here.iter().all(|stamp| stamp.number != 0));
        let read = a.tier.fetch(&key, &names[1..]).await.unwrap().stamps;
        assert_eq!(read, [Some(here[1].clone()), Some(here[2].clone())]);
        server.flush();
    }
}

/// Killed by: not reading the entry; accepting any hex number; never overwriting.
#[tokio::test]
async fn what_is_no_stamp_is_overwritten() {
    let server = RedisServer::start();
    let process = Process::start(&server, 1).await;
    let names = names();
    let token = process.lease(&key()).await;
    process.publish(&key(), token).await;
    let stamp_key = &names[1].key;
    let check = async |what: &str| {
        let fetched = process.tier.fetch(&key(), &names).await.unwrap();
        assert_eq!(fetched.entry, Some(entry(token)));
        assert_eq!(fetched.stamps[1], None, "{what}");
        let stamps = process.tier.create_stamps(&names, LIFE).await.unwrap();
        let stored = server.command(&[b"GET", stamp_key.as_bytes()]).into_text().unwrap();
        assert_eq!(stored, format!("{:016x}", stamps[1].number), "{what}");
        assert_ne!(stamps[1].number, 0);
    };
    for kind in (0..).take_while(|&kind| plant_garbage(&server, stamp_key, kind)) {
        if kind != 7 {
            check(&kind.to_string()).await;
        }
    }
    for text in ["0000000000000000", "00000000000000AB", "+0000000000000ab", "ab", "00000000000000000ab"] {
        server.command(&[b"SET", stamp_key.as_bytes(), text.as_bytes()]);
        check(text).await;
        assert_ne!(server.command(&[b"GET", stamp_key.as_bytes()]).into_text().as_deref(), Some(text));
    }
    server.command(&[b"SET", stamp_key.as_bytes(), b"00000000000000ab"]);
    assert_eq!(process.tier.fetch(&key(), &names).await.unwrap().stamps[1], Some(0xab.into()));
}

/// Killed by: not writing; not telling; passing on the own echo.
#[tokio::test]
async fn restamping_changes_each_stamp_and_tells_everybody() {
    let server = RedisServer::start();
    let (a, b) = (Process::start(&server, 1).await, Process::start(&server, 2).await);
    let names = names();
    let before = a.tier.create_stamps(&names, LIFE).await.unwrap();
    a.tier.restamp(&names[1..]).await.unwrap();
    let after = b.tier.create_stamps(&names, LIFE).await.unwrap();
    assert!(after[0] == before[0] && after[1] != before[1] && after[2] != before[2]);
    b.hears(&server, &[Event::Restamped(names[1].hash, 1), Event::Restamped(names[2].hash, 1)]).await;
    a.hears(&server, &[]).await;
}

fn function() -> StampName {
    names().remove(1)
}

fn stored(server: &RedisServer, name: &StampName) -> String {
    server.command(&[b"GET", name.key.as_bytes()]).into_text().unwrap()
}

async fn registered(process: &Process, version: u32) -> (u64, Vec<u32>) {
    let stamp = process.tier.create_stamps(&[function().used_by(version)], LIFE).await.unwrap().remove(0);
    (stamp.number, stamp.versions.to_vec())
}

/// Killed by: a version that is named twice, or takes the place of others; a number that changes with it; one that is
/// found in another (`1` in `10`).
#[tokio::test]
async fn each_version_is_named_once() {
    let server = RedisServer::start();
    let (a, b) = (Process::start(&server, 1).await, Process::start(&server, 2).await);
    let (number, versions) = registered(&a, 20_261_130).await;
    assert_eq!(versions, [20_261_130]);
    assert_eq!(registered(&b, 10).await, (number, vec![20_261_130, 10]));
    for process in [&a, &b] {
        assert_eq!(registered(process, 10).await, (number, vec![20_261_130, 10]));
    }
    assert_eq!(registered(&b, 1).await, (number, vec![20_261_130, 10, 1]));
    assert_eq!(stored(&server, &function()), format!("{number:016x},20261130,10,1"));
}

/// A process that uses the number of a lost stamp is notified that it is void, and so is the process that created the
/// new one. Killed by: telling nobody; telling of other stamps than functions', of which none needs it; passing over
/// the own echo.
#[tokio::test]
async fn a_function_s_number_is_announced_when_it_is_created() {
    let server = RedisServer::start();
    let (a, b) = (Process::start(&server, 1).await, Process::start(&server, 2).await);
    let created = a.tier.create_stamps(&[names().remove(0), names().remove(2)], LIFE).await.unwrap();
    assert_eq!(created.len(), 2);
    let (number, _) = registered(&a, 1).await;
    registered(&b, 2).await;
    for process in [&a, &b] {
        process.hears(&server, &[]).await;
        assert_eq!(process.numbers(), [(function().hash, number)], "who created it may have given up");
    }
    server.flush();
    let (key, lost) = (key(), key().stamp().hash);
    let stamp = a.tier.invalidate(&key, &[], Invalidation::Delete).await.unwrap().unwrap();
    assert_eq!(stamp.versions.as_slice(), [key.version()]);
    b.hears(&server, &[Event::Invalidated(key.id(), Invalidation::Delete, 1)]).await;
    assert_eq!(b.numbers().len(), 2, "where an invalidation finds no stamp, too");
    assert!(b.numbers()[1] == (lost, stamp.number) && stamp.number != number);
    assert_eq!(a.tier.invalidate(&key, &[], Invalidation::Delete).await.unwrap(), Some(stamp), "it is there now");
}

/// Killed by: naming ever more; a new number that nobody hears of.
#[tokio::test]
async fn too_many_versions_are_named_by_a_new_number_each_for_itself() {
    let server = RedisServer::start();
    let (a, b) = (Process::start(&server, 1).await, Process::start(&server, 2).await);
    let (number, _) = registered(&a, 0).await;
    for version in 1..64 {
        assert_eq!(registered(&a, version).await.0, number);
    }
    let (next, versions) = registered(&a, 64).await;
    assert!(next != number && versions == [64]);
    b.hears(&server, &[]).await;
    assert_eq!(b.numbers(), [(function().hash, number), (function().hash, next)]);
    assert_eq!(registered(&b, 5).await, (next, vec![64, 5]));
}

fn left(server: &RedisServer, name: &StampName) -> i64 {
    integer(server.command(&[b"PTTL", name.key.as_bytes()]))
}

/// Killed by: a stamp without a lifetime; one that is cut short; one that is not prolonged, by whatever creates it once
/// more, registers in it, or asks for it.
#[tokio::test]
async fn stamps_live_as_long_as_the_longest_that_was_asked_for() {
    let server = RedisServer::start();
    let process = Process::start(&server, 1).await;
    let seconds = Duration::from_secs;
    let names: Vec<_> = names().into_iter().map(|name| name.used_by(1)).collect();
    let all_live = |at_least: i64| {
        let lives = |name: &StampName| (at_least * 1000 - 5_000..=at_least * 1000).contains(&left(&server, name));
        assert!(names.iter().all(lives), "{at_least}: {:?}", names.iter().map(|name| left(&server, name)));
    };
    process.tier.create_stamps(&names, seconds(100)).await.unwrap();
    all_live(100);
    process.tier.create_stamps(&names, seconds(50)).await.unwrap();
    all_live(100);
    process.tier.create_stamps(&names, seconds(200)).await.unwrap();
    all_live(200);
    let others: Vec<_> = names.iter().map(|name| name.used_by(2)).collect();
    process.tier.create_stamps(&others, seconds(300)).await.unwrap();
    all_live(300);
    process.tier.prolong_stamps(&names, seconds(50));
    process.tier.prolong_stamps(&names, seconds(400));
    eventually("both are done", || server.command_calls("pexpire") >= 15).await;
    all_live(400);
}

/// Killed by: a restamp that leaves a new number.
#[tokio::test]
async fn a_restamp_leaves_nothing() {
    let server = RedisServer::start();
    let process = Process::start(&server, 1).await;
    process.tier.create_stamps(&names(), LIFE).await.unwrap();
    process.tier.restamp(&names()).await.unwrap();
    assert_eq!(server.keys("*"), [""; 0]);
}
