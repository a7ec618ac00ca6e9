//! Reading, creating and changing stamps.

use super::*;
use crate::remote::StampName;

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
        let (here, there) = tokio::join!(a.tier.create_stamps(&names), b.tier.create_stamps(&names));
        let (here, there) = (here.unwrap(), there.unwrap());
        assert_eq!(here, there, "{round}");
        assert!(here.len() == 3 && here[0] != here[1] && !here.contains(&0));
        let read = a.tier.fetch(&key, &names[1..]).await.unwrap().stamps;
        assert_eq!(read, [Some(here[1]), Some(here[2])]);
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
        let stamps = process.tier.create_stamps(&names).await.unwrap();
        let stored = server.command(&[b"GET", stamp_key.as_bytes()]).into_text().unwrap();
        assert_eq!(stored, format!("{:016x}", stamps[1]), "{what}");
        assert_ne!(stamps[1], 0);
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
    assert_eq!(process.tier.fetch(&key(), &names).await.unwrap().stamps[1], Some(0xab));
}

/// Killed by: not writing; not telling; passing on the own echo.
#[tokio::test]
async fn restamping_changes_each_stamp_and_tells_everybody() {
    let server = RedisServer::start();
    let (a, b) = (Process::start(&server, 1).await, Process::start(&server, 2).await);
    let names = names();
    let before = a.tier.create_stamps(&names).await.unwrap();
    a.tier.restamp(&names[1..]).await.unwrap();
    let after = b.tier.create_stamps(&names).await.unwrap();
    assert!(after[0] == before[0] && after[1] != before[1] && after[2] != before[2]);
    b.hears(&server, &[Event::Restamped(names[1].hash, 1), Event::Restamped(names[2].hash, 1)]).await;
    a.hears(&server, &[]).await;
}
