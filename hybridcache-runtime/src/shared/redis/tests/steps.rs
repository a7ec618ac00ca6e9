//! The guarantees of each step of the protocol.

use super::*;
use crate::shared::RemoteErrorKind;
use crate::shared::redis::scripts::Step;

/// Killed by: granting a held lease; not registering; registering each time.
#[tokio::test]
async fn a_lease_is_granted_once_and_each_waiter_registered_once() {
    let server = RedisServer::start();
    let (a, b, c) =
        (Process::start(&server, 1).await, Process::start(&server, 2).await, Process::start(&server, 3).await);
    let token = a.lease(&key()).await;
    for _ in 0..3 {
        let answer = b.tier.acquire(&key(), b.token(1), LEASE, b"").await.unwrap();
        assert!(matches!(answer, Acquired::Held(left) if left > Duration::ZERO && left <= LEASE), "{answer:?}");
    }
    c.wait(&key()).await;
    let lease = format!("{}{:016x}{:016x}", token.digits(), 2, 3);
    assert_eq!(server.command(&[b"GET", key().lease().as_bytes()]), Reply::Bulk(lease.into_bytes()));
}

/// Killed by: leaving out the comparison with the own token.
#[tokio::test]
async fn repeating_an_acquire_is_granted_again() {
    let server = RedisServer::start();
    let process = Process::start(&server, 1).await;
    process.lease(&key()).await;
    process.lease(&key()).await;
}

/// Killed by: granting whatever was seen; answering `Changed` whatever was seen.
#[tokio::test]
async fn a_lease_is_not_granted_to_one_who_has_not_seen_the_entry() {
    let server = RedisServer::start();
    let process = Process::start(&server, 1).await;
    let first = process.lease(&key()).await;
    assert_eq!(process.publish(&key(), first).await, Published::Stored);
    let second = process.token(2);
    for (seen, answer) in [
        (b"".as_slice(), Acquired::Changed),
        (&second.to_bytes(), Acquired::Changed),
        (&first.to_bytes(), Acquired::Granted),
    ] {
        assert_eq!(process.tier.acquire(&key(), second, LEASE, seen).await.unwrap(), answer);
    }
}

/// Killed by: not setting the lifetime; renewing whatever token the lease has.
#[tokio::test]
async fn renewing_prolongs_the_own_lease_only() {
    let server = RedisServer::start();
    let process = Process::start(&server, 1).await;
    let lease = key().lease();
    let left = || integer(server.command(&[b"PTTL", lease.as_bytes()]));
    let token = process.lease(&key()).await;
    assert!(left() > 0 && left() <= 3000);
    assert!(process.tier.renew(&key(), token, LEASE * 10).await.unwrap());
    assert!(left() > 3000);
    assert!(!process.tier.renew(&key(), process.token(2), LEASE * 100).await.unwrap());
    assert!(left() <= 30_000);
    server.flush();
    assert!(!process.tier.renew(&key(), token, LEASE).await.unwrap());
}

/// Killed by: releasing whatever token the lease has; not publishing `R`.
#[tokio::test]
async fn releasing_wakes_who_waits() {
    let server = RedisServer::start();
    let (a, b) = (Process::start(&server, 1).await, Process::start(&server, 2).await);
    let token = a.lease(&key()).await;
    b.wait(&key()).await;
    server.reset_stats();
    a.tier.release(&key(), a.token(2), Release::NotLoaded);
    eventually("the release", || server.command_calls("evalsha") == 1).await;
    assert!(exists(&server, &key().lease()));
    a.tier.release(&key(), token, Release::NotLoaded);
    eventually("the release", || !exists(&server, &key().lease())).await;
    b.hears(&server, &[Event::Woken(key().id(), Wake::Released)]).await;
    assert!(!exists(&server, &key().lease()));
    b.lease(&key()).await;
    assert_eq!(a.heard(), []);
}

/// The engine releases after an `acquire` that ran out of its budget.
///
/// Killed by: sending releases on another connection, or not at all.
#[tokio::test]
async fn a_release_runs_behind_the_acquire_that_was_given_up() {
    let server = RedisServer::start();
    let process = Process::start(&server, 1).await;
    let key = key();
    server.stop();
    let acquire = process.tier.acquire(&key, process.token(1), LEASE * 100, b"");
    assert!(tokio::time::timeout(Duration::from_millis(50), acquire).await.is_err());
    process.tier.release(&key, process.token(1), Release::NotLoaded);
    server.resume();
    eventually("both have run", || server.command_calls("evalsha") == 2).await;
    assert!(!exists(&server, &key.lease()));
}

/// Killed by: not setting the lifetime; leaving the lease; waking with `R`.
#[tokio::test]
async fn publishing_stores_ends_the_lease_and_wakes() {
    let server = RedisServer::start();
    let (a, b) = (Process::start(&server, 1).await, Process::start(&server, 2).await);
    let token = a.lease(&key()).await;
    b.wait(&key()).await;
    assert_eq!(a.publish(&key(), token).await, Published::Stored);
    b.hears(&server, &[Event::Woken(key().id(), Wake::Published)]).await;
    assert_eq!(b.fetch(&key()).await, Some(entry(token)));
    let left = integer(server.command(&[b"PTTL", key().entry().as_bytes()]));
    assert!(left > 50_000 && left <= 60_000, "{left}");
    assert_eq!(keys(&server), [key().entry()], "neither lease nor stage is left");
}

/// Killed by: publishing whatever token the lease has.
#[tokio::test]
async fn a_publish_without_the_lease_changes_nothing() {
    let server = RedisServer::start();
    let (a, b) = (Process::start(&server, 1).await, Process::start(&server, 2).await);
    let late = a.lease(&key()).await;
    a.tier.invalidate(&key(), &[], Invalidation::Delete).await.unwrap();
    assert_eq!(a.publish(&key(), late).await, Published::Fenced);
    assert_eq!(keys(&server), [""; 0]);

    let winner = b.lease(&key()).await;
    assert_eq!(a.publish(&key(), late).await, Published::Fenced);
    assert_eq!(keys(&server), [key().lease()]);
    assert_eq!(b.publish(&key(), winner).await, Published::Stored);
    assert_eq!(a.publish(&key(), late).await, Published::Fenced);
    assert_eq!(b.fetch(&key()).await, Some(entry(winner)));
    assert_eq!(keys(&server), [key().entry()]);
}

/// An invalidation, or another put, that comes between the steps of a put. Killed by: a second step that is not fenced;
/// an invalidation, or a first step, that leaves the lease.
#[tokio::test]
async fn a_put_that_was_overtaken_stores_nothing() {
    let server = RedisServer::start();
    let (a, b) = (Process::start(&server, 1).await, Process::start(&server, 2).await);
    let (first, second) = (a.token(1), b.token(1));
    a.tier.seize(&key(), &[], first, LEASE).await.unwrap();
    b.tier.invalidate(&key(), &[], Invalidation::Delete).await.unwrap();
    assert_eq!(a.publish(&key(), first).await, Published::Fenced);
    assert_eq!(keys(&server), [""; 0]);
    a.tier.seize(&key(), &[], first, LEASE).await.unwrap();
    b.tier.seize(&key(), &[], second, LEASE).await.unwrap();
    assert_eq!(a.publish(&key(), first).await, Published::Fenced);
    assert_eq!(b.publish(&key(), second).await, Published::Stored);
    assert_eq!(a.publish(&key(), first).await, Published::Fenced);
    assert_eq!(a.fetch(&key()).await, Some(entry(second)));
    assert_eq!(keys(&server), [key().entry()]);
}

/// No process will publish under this lease. Killed by: a lease without a lifetime.
#[tokio::test]
async fn the_lease_of_a_put_ends_by_itself() {
    let server = RedisServer::start();
    let process = Process::start(&server, 1).await;
    process.tier.seize(&key(), &[], process.token(1), LEASE).await.unwrap();
    let left = integer(server.command(&[b"PTTL", key().lease().as_bytes()]));
    assert!(left > 0 && left <= 3000, "{left}");
}

/// Killed by: answering 0 to a replay.
#[tokio::test]
async fn a_repeated_publish_is_stored_still() {
    let server = RedisServer::start();
    let process = Process::start(&server, 1).await;
    let token = process.lease(&key()).await;
    for _ in 0..2 {
        assert_eq!(process.publish(&key(), token).await, Published::Stored);
        assert_eq!(keys(&server), [key().entry()]);
    }
}

/// Killed by: unlinking the entries of other versions but not their leases; not waking who waits for those.
#[tokio::test]
async fn putting_ends_the_leases_of_all_versions() {
    let server = RedisServer::start();
    let (a, b, c) =
        (Process::start(&server, 1).await, Process::start(&server, 2).await, Process::start(&server, 3).await);
    let [before, own, next] = [0, 1, 2].map(key_at_version);
    for version in [&before, &own, &next] {
        let token = b.lease(version).await;
        assert_eq!(b.publish(version, token).await, Published::Stored);
        let later = b.token(2);
        assert_eq!(b.tier.acquire(version, later, LEASE, &token.to_bytes()).await.unwrap(), Acquired::Granted);
        let held = c.tier.acquire(version, c.token(1), LEASE, &token.to_bytes()).await.unwrap();
        assert!(matches!(held, Acquired::Held(_)));
    }
    let token = a.token(1);
    a.tier.seize(&own, &[0, 2], token, LEASE).await.unwrap();
    assert_eq!(keys(&server), [own.lease()], "nothing is stored, and the lease is the put's");
    c.wait(&own).await;
    assert_eq!(a.publish(&own, token).await, Published::Stored);
    assert_eq!(keys(&server), [own.entry()]);
    assert_eq!(a.fetch(&own).await, Some(entry(token)));
    let left = integer(server.command(&[b"PTTL", own.entry().as_bytes()]));
    assert!(left > 50_000 && left <= 60_000, "{left}");
    for version in [&before, &own, &next] {
        assert_eq!(b.publish(version, b.token(2)).await, Published::Fenced);
    }
    let id = key().id();
    let told = Event::Invalidated(id, Invalidation::Delete, 1);
    let woken = |wake| Event::Woken(id, wake);
    let released = woken(Wake::Released);
    c.hears(&server, &[released, released, released, told, woken(Wake::Published)]).await;
    b.hears(&server, &[told]).await;
    a.hears(&server, &[]).await;
}

/// Killed by: keeping the lease; touching the known versions alone; passing on the own echo.
#[tokio::test]
async fn deleting_takes_all_versions_and_their_leases() {
    let server = RedisServer::start();
    let (a, b) = (Process::start(&server, 1).await, Process::start(&server, 2).await);
    let [before, own, next, far] = [0, 1, 2, 20_261_130].map(key_at_version);
    for version in [&before, &own, &next, &far] {
        register(&a, version).await;
        let token = a.lease(version).await;
        assert_eq!(a.publish(version, token).await, Published::Stored);
        assert_eq!(a.tier.acquire(version, a.token(2), LEASE, &token.to_bytes()).await.unwrap(), Acquired::Granted);
    }
    let held = b.tier.acquire(&next, b.token(1), LEASE, &a.token(1).to_bytes()).await.unwrap();
    assert!(matches!(held, Acquired::Held(_)));
    let stamp = a.tier.invalidate(&own, &[0], Invalidation::Delete).await.unwrap().unwrap();
    assert_eq!(stamp.versions.as_slice(), [0, 1, 2, 20_261_130]);
    assert_eq!(keys(&server), [""; 0]);
    let id = key().id();
    let (told, woken) = (Event::Invalidated(id, Invalidation::Delete, 1), Event::Woken(id, Wake::Released));
    b.hears(&server, &[told, woken, told]).await;
    a.hears(&server, &[]).await;
}

async fn register(process: &Process, key: &Address) {
    let name = key.stamp().used_by(key.version());
    process.tier.create_stamps(&[name], LIFE).await.unwrap();
}

/// Killed by: deleting; setting another byte; keeping the lease; losing the lifetime.
#[tokio::test]
async fn expiring_marks_the_entry_and_ends_the_lease() {
    let server = RedisServer::start();
    let (a, b) = (Process::start(&server, 1).await, Process::start(&server, 2).await);
    let token = a.lease(&key()).await;
    assert_eq!(a.publish(&key(), token).await, Published::Stored);
    assert_eq!(a.tier.acquire(&key(), a.token(2), LEASE, &token.to_bytes()).await.unwrap(), Acquired::Granted);
    a.tier.invalidate(&key(), &[], Invalidation::Expire).await.unwrap();
    let mut marked = entry(token);
    marked[4] = 1;
    assert_eq!(a.fetch(&key()).await, Some(marked));
    assert!(integer(server.command(&[b"PTTL", key().entry().as_bytes()])) > 50_000);
    assert_eq!(keys(&server), [key().entry()]);
    b.hears(&server, &[Event::Invalidated(key().id(), Invalidation::Expire, 1)]).await;
}

/// Killed by: taking the error of `GETRANGE` for a fence; `call` in place of `pcall` anywhere; passing an empty `seen`.
#[tokio::test]
async fn whatever_stands_at_the_entry_is_a_miss_and_overwritten() {
    let server = RedisServer::start();
    let process = Process::start(&server, 1).await;
    let key = key();
    for kind in (0..).take_while(|&kind| plant_garbage(&server, key.entry(), kind)) {
        let token = process.token(kind as u64);
        let found = process.fetch(&key).await.unwrap_or_default();
        let seen = &found[found.len().min(16)..found.len().min(32)];
        assert_eq!(process.publish(&key, token).await, Published::Fenced, "{kind}");
        assert_eq!(process.tier.acquire(&key, token, LEASE, seen).await.unwrap(), Acquired::Granted, "{kind}");
        assert_eq!(process.publish(&key, token).await, Published::Stored, "{kind}");
        assert_eq!(process.fetch(&key).await, Some(entry(token)));
    }
    for mode in [Invalidation::Delete, Invalidation::Expire] {
        for kind in (0..).take_while(|&kind| plant_garbage(&server, key.entry(), kind)) {
            process.lease_over_garbage(&key).await;
            process.tier.invalidate(&key, &[], mode).await.unwrap();
            assert!(!exists(&server, &key.lease()), "{kind}");
            let is_string = process.fetch(&key).await.is_some();
            assert_eq!(exists(&server, key.entry()), is_string, "{kind}: another type is gone");
        }
    }
}

impl Process {
    async fn lease_over_garbage(&self, key: &Address) {
        let found = self.fetch(key).await.unwrap_or_default();
        let seen = &found[found.len().min(16)..found.len().min(32)];
        assert_eq!(self.tier.acquire(key, self.token(1), LEASE, seen).await.unwrap(), Acquired::Granted);
    }
}

/// Killed by: `call` in place of `pcall` in any of the scripts; holding a lease without a lifetime for one.
#[tokio::test]
async fn whatever_stands_at_the_lease_is_no_lease() {
    let server = RedisServer::start();
    let process = Process::start(&server, 1).await;
    let (key, token) = (key(), process.token(1));
    let plant = |kind| plant_garbage(&server, &key.lease(), kind);
    for kind in (0..).take_while(|&kind| plant(kind)) {
        assert!(!process.tier.renew(&key, token, LEASE).await.unwrap(), "{kind}");
        let mut release = Step::Release.on(&[key.lease()]);
        release.arg(token.digits());
        let released = process.tier.link(&key).unwrap().ask(release).await.unwrap();
        assert_eq!(released, redis::Value::Int(0), "{kind}");
        assert_eq!(process.publish(&key, token).await, Published::Fenced, "{kind}");
        assert_eq!(keys(&server), [key.lease()], "{kind}: no stage is left");
        process.lease(&key).await;
        assert!(integer(server.command(&[b"PTTL", key.lease().as_bytes()])) > 0, "{kind}");

        plant(kind);
        process.tier.invalidate(&key, &[], Invalidation::Delete).await.unwrap();
        assert!(!exists(&server, &key.lease()), "{kind}");

        plant(kind);
        assert_eq!(process.put(&key, token).await, Published::Stored, "{kind}");
        assert_eq!(keys(&server), [key.entry()], "{kind}");
        server.flush();
    }
}

const MARK: [u8; 16] = [b'0'; 16];

fn lease_bytes(server: &RedisServer) -> Reply {
    server.command(&[b"GET", key().lease().as_bytes()])
}

/// Killed by: a release that says nothing of the load; a mark without a lifetime; a mark that refuses the lease.
#[tokio::test]
async fn a_load_that_stored_nothing_wakes_who_waits_and_leaves_a_mark() {
    let server = RedisServer::start();
    let (a, b, c) =
        (Process::start(&server, 1).await, Process::start(&server, 2).await, Process::start(&server, 3).await);
    let token = a.lease(&key()).await;
    b.wait(&key()).await;
    a.tier.release(&key(), a.token(2), Release::NothingStored);
    a.tier.release(&key(), token, Release::NothingStored);
    eventually("the release", || lease_bytes(&server) == Reply::Bulk(MARK.to_vec())).await;
    assert!((1..=1000).contains(&integer(server.command(&[b"PTTL", key().lease().as_bytes()]))));
    b.hears(&server, &[Event::Woken(key().id(), Wake::NothingStored)]).await;
    assert!(!a.tier.renew(&key(), token, LEASE).await.unwrap(), "it is no lease");
    // While the mark exists, each process may load beside the other.
    server.command(&[b"PERSIST", key().lease().as_bytes()]);
    let next = b.lease(&key()).await;
    assert_eq!(c.tier.acquire(&key(), c.token(1), LEASE, b"").await.unwrap(), Acquired::HeldInVain);
    assert_eq!(b.tier.acquire(&key(), next, LEASE, b"").await.unwrap(), Acquired::Granted, "its own retry");
    assert!(b.tier.renew(&key(), next, LEASE).await.unwrap());
    b.tier.release(&key(), next, Release::NothingStored);
    eventually("the release", || lease_bytes(&server) == Reply::Bulk(MARK.to_vec())).await;
    c.hears(&server, &[]).await;
}

/// Killed by: a mark that outlives what ends it.
#[tokio::test]
async fn a_mark_ends_with_a_value_with_an_invalidation_and_with_a_lease_that_was_not_used() {
    let server = RedisServer::start();
    let (a, b) = (Process::start(&server, 1).await, Process::start(&server, 2).await);
    for end in 0..4 {
        server.flush();
        server.command(&[b"SET", key().lease().as_bytes(), &MARK]);
        let token = a.lease(&key()).await;
        match end {
            0 => assert_eq!(a.publish(&key(), token).await, Published::Stored),
            1 => a.tier.release(&key(), token, Release::NotLoaded),
            2 => drop(a.tier.invalidate(&key(), &[], Invalidation::Delete).await.unwrap()),
            _ => {
                server.command(&[b"SET", key().lease().as_bytes(), &MARK]);
                a.tier.invalidate(&key(), &[], Invalidation::Expire).await.unwrap();
            }
        }
        eventually("it has ended", || !exists(&server, &key().lease())).await;
        server.command(&[b"DEL", key().entry().as_bytes()]);
        a.lease(&key()).await;
        b.wait(&key()).await;
    }
}

/// Killed by: waking as if the next load were worth waiting for; a script that fails where there is no room for the
/// mark.
#[tokio::test]
async fn a_publish_that_finds_no_room_has_stored_nothing() {
    let server = RedisServer::start();
    let (a, b) = (Process::start(&server, 1).await, Process::start(&server, 2).await);
    let token = a.lease(&key()).await;
    b.wait(&key()).await;
    server.config_set("maxmemory", "1");
    assert_eq!(a.publish(&key(), token).await, Published::Refused);
    server.config_set("maxmemory", "0");
    b.hears(&server, &[Event::Woken(key().id(), Wake::NothingStored)]).await;
    assert_ne!(lease_bytes(&server), Reply::Bulk(token.digits().into_bytes()));
}

/// Killed by: a lease that is refused, and what was read with it is lost.
#[tokio::test]
async fn a_full_server_still_reads_where_the_lease_was_asked_for_too() {
    let server = RedisServer::start();
    let process = Process::start(&server, 1).await;
    let token = process.lease(&key()).await;
    assert_eq!(process.publish(&key(), token).await, Published::Stored);
    server.config_set("maxmemory", "1");
    let taken = process.tier.take(&key(), process.token(2), LEASE, LARGE).await.unwrap();
    assert_eq!((taken.is_granted, taken.entry), (false, Some(entry(token))));
    let refused = process.tier.acquire(&key(), process.token(2), LEASE, &token.to_bytes()).await;
    assert_eq!(refused.unwrap_err().kind, RemoteErrorKind::Refused);
}

/// A failover to a server whose clock is behind: a lease that should live for three seconds lives for minutes.
/// Killed by: waiting for that.
#[tokio::test]
async fn a_lease_that_a_clock_has_prolonged_ends_as_any_other() {
    let server = RedisServer::start();
    let (a, b) = (Process::start(&server, 1).await, Process::start(&server, 2).await);
    a.lease(&key()).await;
    server.command(&[b"PEXPIRE", key().lease().as_bytes(), b"900000"]);
    let answer = b.tier.acquire(&key(), b.token(1), LEASE, b"").await.unwrap();
    assert!(matches!(answer, Acquired::Held(left) if left <= LEASE), "{answer:?}");
    assert!(integer(server.command(&[b"PTTL", key().lease().as_bytes()])) <= 3000);
}
