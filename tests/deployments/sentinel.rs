//! A master that sentinels watch.

use hybridcache_test_support::{Reply, Sentinels};

use crate::fleet::{Fleet, item};
use crate::log::log_of_connecting;
use crate::process::Process;
use crate::shop::Shop;
use crate::waiting::{eventually, within};

/// Two processes that know an item, and what both must follow.
struct Followers {
    fleet: Fleet,
    shop: Shop,
    other: Process,
}

impl Followers {
    async fn of(sentinels: &Sentinels) -> Self {
        let fleet = Fleet::at(sentinels.url());
        fleet.all_works(&[&sentinels.servers[0]], 0).await;
        let (shop, other) = (fleet.shop().await, fleet.process());
        fleet.are_connected(&shop, &other, 9000).await;
        assert_eq!((shop.item(1000).await.unwrap(), other.item(1000).await), (item(1000, 1, 0), item(1000, 1, 0)));
        Self { fleet, shop, other }
    }

    /// Calls are served all the while, and in the end all goes by way of the new master: what was invalidated meanwhile
    /// is not served any more, and invalidations reach both.
    async fn follow(&self, sentinels: &Sentinels) {
        let Self { fleet, shop, other } = self;
        sentinels.wait_for_master(&sentinels.servers[1]);
        // A process that has just started has been at no other.
        let new = fleet.shop().await;
        fleet.database.set_version(1000, 1).await;
        eventually("a new process invalidates", async || new.item_entry(1000).invalidate().await.is_ok()).await;
        eventually("one follows", async || shop.item(1000).await.unwrap().version == 1).await;
        eventually("the other follows", async || other.item(1000).await.version == 1).await;
        fleet.is_used_again(shop, 2000).await;
        let is_there = async |id: u64| fleet.in_redis(id).await.is_some();
        let mut id = 3000;
        eventually("the other process uses it too", async || {
            id += 1;
            other.item(id).await;
            is_there(id).await
        })
        .await;
        fleet.database.set_version(1000, 2).await;
        shop.item_entry(1000).invalidate().await.unwrap();
        eventually("the other is told", async || other.item(1000).await.version == 2).await;
        fleet.database.set_version(1000, 3).await;
        assert_eq!(within("an answer", other.ask("invalidate 1000")).await, "done");
        eventually("and the other way round", async || shop.item(1000).await.unwrap().version == 3).await;
        fleet.all_works(&[&sentinels.servers[1]], 4000).await;
    }

    async fn are_served(&self, first: u64) {
        for id in first..first + 10 {
            assert_eq!(within("a call", self.shop.item(id)).await.unwrap().id, id);
            assert_eq!(within("a call", self.other.item(id)).await.id, id);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_master_that_dies() {
    let sentinels = Sentinels::start();
    let followers = Followers::of(&sentinels).await;
    sentinels.servers[0].kill();
    followers.are_served(6000).await;
    followers.follow(&sentinels).await;
}

/// When it goes on it takes itself for the master still.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_master_that_stops_and_comes_back() {
    let sentinels = Sentinels::start();
    let followers = Followers::of(&sentinels).await;
    sentinels.servers[0].stop();
    followers.are_served(6000).await;
    sentinels.wait_for_master(&sentinels.servers[1]);
    sentinels.servers[0].resume();
    followers.follow(&sentinels).await;
}

/// Nobody tells the former master, and its connections live on.
///
/// Killed by: asking the sentinels only when a connection is lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_master_that_only_the_sentinels_cannot_reach() {
    let sentinels = Sentinels::start();
    let followers = Followers::of(&sentinels).await;
    sentinels.cut_off(&sentinels.servers[0]);
    followers.follow(&sentinels).await;
    assert!(sentinels.servers[0].info("replication").contains("role:master"));
}

/// Killed by: asking only the first sentinel.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sentinels_that_are_down_or_ask_for_a_password() {
    let sentinels = Sentinels::start();
    for sentinel in &sentinels.sentinels {
        let user = "on >p@ss resetchannels -@all +sentinel|get-master-addr-by-name +sentinel|master";
        let words = user.split(' ').map(str::as_bytes);
        sentinel.command(&[b"ACL".as_slice(), b"SETUSER", b"asker"].into_iter().chain(words).collect::<Vec<_>>());
    }
    sentinels.sentinels[0].kill();
    sentinels.sentinels[1].stop();
    let url = |password: &str| format!("{}?sentinel_user=asker&sentinel_password={password}", sentinels.url());
    Fleet::at(url("p%40ss")).all_works(&[&sentinels.servers[0]], 0).await;
    let log = log_of_connecting(&url("wrong")).await;
    assert!(log.contains("authentication failed") && !log.contains("wrong"), "{log}");
    let log = log_of_connecting(&sentinels.url().replace("/shop", "/another")).await;
    assert!(log.contains("it watches no master `another`"), "{log}");
    sentinels.sentinels[1].resume();
}

/// What sentinels name may have been demoted since.
///
/// Killed by: not asking the server for its role.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_no_master_is_not_used() {
    let sentinels = Sentinels::start();
    let demoted = &sentinels.servers[0];
    // Nobody listens on port 1.
    assert_eq!(demoted.command(&[b"REPLICAOF", b"127.0.0.1", b"1"]), Reply::Simple("OK".into()));
    let log = log_of_connecting(&sentinels.url()).await;
    assert!(log.contains("is no master"), "{log}");
}
