//! Redis on a Unix socket.

use hybridcache_test_support::RedisServer;

use crate::fleet::Fleet;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_unix_socket() {
    let path = std::env::temp_dir().join(format!("hybridcache-deployments-{}.sock", std::process::id()));
    let path = path.to_str().unwrap();
    let server = RedisServer::start_with(&["--unixsocket", path]);
    Fleet::at(format!("unix://{path}")).all_works(&[&server], 0).await;
    let fleet = Fleet::at(format!("redis+unix://{path}?db=1"));
    fleet.is_used_again(&fleet.shop().await, 0).await;
    assert!(server.info("keyspace").contains("db0:") && server.info("keyspace").contains("db1:"));
    server.kill();
    let _ = std::fs::remove_file(path);
}
