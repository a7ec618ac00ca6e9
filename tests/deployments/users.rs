//! Users with no more permissions than are needed.

use hybridcache_test_support::{RedisCluster, RedisServer, Reply, Sentinels};

use crate::fleet::{Fleet, item};
use crate::log::log_of_connecting;
use crate::waiting::within;

/// What docs/redis.md gives to operators.
const PERMISSIONS: &str = "~hc2:* &hc2:* +get +getrange +mget +set +setrange +append +rename +del +unlink +exists \
     +pexpire +pttl +publish +subscribe +eval +evalsha +script|load +time +info";

fn permit(server: &RedisServer, rules: &str) {
    let words: Vec<&[u8]> = rules.split_whitespace().map(str::as_bytes).collect();
    let reply = server.command(&[&[&b"ACL"[..], b"SETUSER", b"cache"], words.as_slice()].concat());
    assert_eq!(reply, Reply::Simple("OK".into()), "{rules}");
}

fn server() -> (RedisServer, String) {
    let server = RedisServer::start();
    permit(&server, &format!("reset on >p@ss/word {PERMISSIONS}"));
    let url = format!("redis://cache:p%40ss%2Fword@127.0.0.1:{}", server.port());
    (server, url)
}

/// Killed by: a command that needs another.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_documented_permissions_are_enough() {
    assert!(
        PAGE.contains(&PERMISSIONS.split_whitespace().collect::<Vec<_>>().join(" ")),
        "docs/redis.md says otherwise"
    );
    let (server, url) = server();
    Fleet::at(url).all_works(&[&server], 0).await;
    assert_eq!(server.command(&[b"ACL", b"LOG"]), Reply::Array(Vec::new()), "nothing was denied");
    for command in commands() {
        assert!(server.command_calls(command) > 0, "{command} is not needed");
    }
}

fn commands() -> impl Iterator<Item = &'static str> {
    PERMISSIONS.split_whitespace().filter_map(|permission| permission.strip_prefix('+'))
}

/// Each one alone, at once and by name. Killed by: a command that is not asked for; a check that needs one of the commands.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_command_is_named_when_a_connection_is_made() {
    let (server, url) = server();
    let log = log_of_connecting(&url).await;
    assert!(!log.contains("WARN"), "nothing is missing: {log}");
    for command in commands() {
        permit(&server, &format!("-{command}"));
        let log = log_of_connecting(&url).await;
        assert!(log.contains(&format!("Without `{command}` ")), "{command}: {log}");
        assert_eq!(log.matches("Without `").count(), 1, "{command}: {log}");
        permit(&server, &format!("+{command}"));
    }
    permit(&server, "-eval -evalsha");
    let log = log_of_connecting(&url).await;
    assert!(log.contains("`eval` and `evalsha`"), "{log}");
}

/// Killed by: a check that gives up at a command which the server does not know.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_renamed_command_is_named_too() {
    for command in ["PUBLISH", "PEXPIRE", "EVAL"] {
        let server = RedisServer::start_with(&["--rename-command", command, "HIDDEN"]);
        let log = log_of_connecting(&server.url()).await;
        assert!(log.contains(&format!("Without `{}` ", command.to_lowercase())), "{log}");
    }
}

/// Killed by: "broken pipe".
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_with_too_many_clients_is_called_so() {
    let (server, url) = server();
    server.config_set("maxclients", "1");
    // The one that says so.
    let log = log_of_connecting(&url).await;
    assert!(log.contains("maxclients") || log.contains("max number of clients"), "{log}");
}

/// Killed by: taking a refused connection for one that the server has closed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_port_where_no_server_listens_refuses_and_has_no_other_reason() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let log = log_of_connecting(&format!("redis://127.0.0.1:{port}")).await;
    assert!(log.contains("refused") && !log.contains("maxclients"), "{log}");
}

const PAGE: &str = include_str!("../../docs/redis.md");

/// Killed by: a command that needs another.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_documented_permissions_are_enough_in_a_cluster_and_behind_sentinels() {
    let denied = |server: &RedisServer| server.command(&[b"ACL", b"LOG"]);
    let cluster = RedisCluster::start();
    let rules = PERMISSIONS.replace("+publish +subscribe", "+spublish +ssubscribe +cluster|slots +cluster|info");
    cluster.nodes.iter().for_each(|node| permit(node, &format!("reset on >secret {rules}")));
    let url = cluster.url().replace("://", "://cache:secret@");
    Fleet::at(url).all_works(&cluster.nodes.iter().collect::<Vec<_>>(), 0).await;
    assert!(cluster.nodes.iter().all(|node| denied(node) == Reply::Array(Vec::new())));

    let sentinels = Sentinels::start();
    sentinels.servers.iter().for_each(|server| permit(server, &format!("reset on >secret {PERMISSIONS} +role")));
    let url = sentinels.url().replace("://", "://cache:secret@");
    Fleet::at(url).all_works(&[&sentinels.servers[0]], 0).await;
    assert!(sentinels.servers.iter().all(|server| denied(server) == Reply::Array(Vec::new())));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_permission_fails_no_call() {
    let (server, url) = server();
    let fleet = Fleet::at(url);
    let mut first = 0;
    for permission in PERMISSIONS.split_whitespace() {
        let (taken, given) = match permission.split_at(1) {
            ("~", _) => ("resetkeys".to_owned(), permission.to_owned()),
            ("&", _) => ("resetchannels".to_owned(), permission.to_owned()),
            (_, command) => (format!("-{command}"), permission.to_owned()),
        };
        permit(&server, &taken);
        let shop = fleet.hasty_shop().await;
        first += 10;
        for id in first..first + 3 {
            assert_eq!(within("a call", shop.item(id)).await.unwrap(), item(id, 1, 0), "{taken}");
            // Done, or refused with a reason.
            for told in [shop.item_entry(id).expire().await, shop.item_entry(id).invalidate().await] {
                assert!(told.is_ok() || told.is_err_and(|error| error.is_unavailable()), "{taken}");
            }
            assert_eq!(within("a call", shop.item(id)).await.unwrap().id, id, "{taken}");
        }
        permit(&server, &given);
    }
}
