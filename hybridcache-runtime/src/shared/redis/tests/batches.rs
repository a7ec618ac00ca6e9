//! Commands of many callers at once.

use futures_util::FutureExt;
use futures_util::future::join_all;

use super::*;

fn numbered(id: u64) -> Address {
    Address::new("test", "shop::user", 1, &format!("id:{id}"))
}

/// A caller that found others in flight sent its command with theirs. Some callers give up, one command is refused,
/// some callers send two commands at once, and the server has lost its scripts. Killed by: a pair that takes one
/// answer; no second attempt for who was sent with others.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everybody_gets_the_answer_to_what_was_asked() {
    let server = RedisServer::start();
    let process = Process::start(&server, 1).await;
    for id in 0..500 {
        server.command(&[b"SET", numbered(id).entry().as_bytes(), id.to_string().as_bytes()]);
    }
    plant_garbage(&server, numbered(7).entry(), 0);
    for round in 0..4 {
        if round % 2 == 1 {
            server.command(&[b"SCRIPT", b"FLUSH"]);
        }
        let given_up: Vec<_> = (0..100).map(numbered).collect();
        let mut leaving: Vec<_> = given_up.iter().map(|key| process.tier.fetch(key, &[])).collect();
        leaving.iter_mut().for_each(|asked| drop(asked.now_or_never()));
        let asking = (0..500).map(|id| {
            let (tier, token) = (process.tier.clone(), process.token(id));
            async move {
                let key = numbered(id);
                match id % 3 {
                    0 => tier.take(&key, token, LEASE, LARGE).await.unwrap().entry,
                    _ => tier.fetch(&key, &[]).await.unwrap().entry,
                }
            }
        });
        let asking: Vec<_> = asking.map(tokio::spawn).collect();
        drop(leaving);
        let found = join_all(asking).await;
        for (id, found) in found.into_iter().enumerate() {
            let expected = if id == 7 { Vec::new() } else { id.to_string().into_bytes() };
            assert_eq!(found.unwrap(), Some(expected), "{id}");
        }
    }
}

/// The answer to an `acquire` that was given up is not known. Its release must be sent behind it, or the `acquire` must
/// not be sent. Killed by: sending it all the same, and its release past what waits.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_release_does_not_overtake_what_it_takes_back() {
    let server = RedisServer::start();
    let process = Process::start(&server, 1).await;
    for round in 0..20 {
        if round % 2 == 1 {
            server.command(&[b"SCRIPT", b"FLUSH"]);
        }
        let keys: Vec<_> = (0..50).map(numbered).collect();
        // While these are in flight, the next commands wait to be sent.
        let mut others: Vec<_> = keys.iter().map(|key| process.tier.fetch(key, &[])).collect();
        others.iter_mut().for_each(|asked| drop(asked.now_or_never()));
        for (attempt, key) in keys.iter().enumerate() {
            let token = process.token(round * 100 + attempt as u64);
            drop(process.tier.acquire(key, token, LEASE, b"").now_or_never());
            process.tier.release(key, token, Release::NotLoaded);
        }
        eventually("no lease is left", || server.keys("*:l").is_empty()).await;
    }
    // Sent last: no command comes after its release.
    assert_eq!(process.fetch(&key()).await, None);
    assert_eq!(server.keys("*"), Vec::<String>::new());
}

/// A step that was given up (also while the server had lost its scripts) runs before the commands that are sent after
/// it, or never: a late step would leave a lease. Killed by: sending the steps of a batch again for every caller who
/// was in it; a command that finds nothing under way and overtakes the batch that is being put together.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_given_up_is_not_sent_behind_what_follows() {
    let server = RedisServer::start();
    let process = Process::start(&server, 1).await;
    for round in 0..100 {
        let keys: Vec<_> = (0..33).map(|nth| numbered(100 * round + nth)).collect();
        server.command(&[b"SCRIPT", b"FLUSH"]);
        // The only script that the server has again.
        process.tier.invalidate(&key(), &[], Invalidation::Delete).await.unwrap();
        let token = process.token(round);
        let mut putting: Vec<_> = keys.iter().map(|key| process.tier.seize(key, &[], token, LEASE)).collect();
        putting.iter_mut().for_each(|asked| drop(asked.now_or_never()));
        // Each round gives up at another moment.
        let (began, patience) = (Instant::now(), Duration::from_micros(100 + 25 * round));
        while began.elapsed() < patience {
            tokio::task::yield_now().await;
        }
        drop(putting);
        for key in &keys {
            process.tier.invalidate(key, &[], Invalidation::Delete).await.unwrap();
        }
    }
    assert_eq!(server.keys("*:l"), Vec::<String>::new());
}
