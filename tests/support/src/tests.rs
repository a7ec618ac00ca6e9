use super::*;

fn ok() -> Reply {
    Reply::Simple("OK".to_owned())
}

#[test]
fn every_kind_of_reply_is_read() {
    let server = RedisServer::start();
    assert_eq!(server.command(&[b"SET", b"k", b"\r\n\0\xff"]), ok());
    assert_eq!(server.command(&[b"GET", b"k"]), Reply::Bulk(b"\r\n\0\xff".to_vec()));
    assert_eq!(server.command(&[b"GET", b"absent"]), Reply::Nil);
    assert_eq!(server.command(&[b"STRLEN", b"k"]), Reply::Integer(4));
    assert_eq!(server.command(&[b"MGET", b"absent", b"absent"]), Reply::Array(vec![Reply::Nil, Reply::Nil]));
    assert!(matches!(server.command(&[b"LPUSH", b"k", b"v"]), Reply::Error(text) if text.starts_with("WRONGTYPE")));
}

#[test]
fn a_restart_keeps_the_port_and_the_data_only_on_demand() {
    let server = RedisServer::start();
    server.command(&[b"SET", b"k", b"v"]);
    server.restart_with_data();
    assert_eq!(server.keys("*"), ["k"]);
    server.kill();
    assert!(resp::call(server.port(), &[b"PING"], PATIENCE).is_err());
    server.restart();
    assert!(server.keys("*").is_empty());
}

#[test]
fn a_server_that_starts_again_has_what_was_saved() {
    let server = RedisServer::start();
    server.command(&[b"SET", b"saved", b"v"]);
    assert_eq!(server.command(&[b"SAVE"]), ok());
    server.command(&[b"SET", b"lost", b"v"]);
    server.kill();
    server.start_again();
    assert_eq!(server.keys("*"), ["saved"]);
}

#[test]
fn a_stopped_server_is_silent_and_goes_on() {
    let server = RedisServer::start();
    server.stop();
    assert!(resp::call(server.port(), &[b"PING"], Duration::from_millis(100)).is_err());
    server.resume();
    assert_eq!(server.command(&[b"PING"]), Reply::Simple("PONG".to_owned()));
}

#[test]
fn commands_are_counted() {
    let server = RedisServer::start();
    server.command(&[b"GET", b"k"]);
    server.command(&[b"GET", b"k"]);
    assert_eq!(server.command_calls("get"), 2);
    assert_eq!(server.command_calls("set"), 0);
    server.reset_stats();
    assert_eq!(server.command_calls("get"), 0);
}

#[test]
fn settings_keys_and_flush() {
    let server = RedisServer::start();
    server.config_set("maxmemory", "100mb");
    server.command(&[b"MSET", b"a:2", b"", b"a:1", b"", b"b", b""]);
    assert_eq!(server.keys("a:*"), ["a:1", "a:2"]);
    server.flush();
    assert!(server.keys("*").is_empty());
}

#[test]
fn a_panicking_test_leaves_no_server() {
    let port = thread::spawn(|| {
        let server = RedisServer::start();
        let port = server.port();
        let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || {
            let _server = server;
            panic!("as a failing test");
        }));
        assert!(caught.is_err());
        port
    });
    let port = port.join().expect("the thread caught its panic");
    assert!(resp::call(port, &[b"PING"], PATIENCE).is_err());
}

#[test]
fn a_server_with_a_password_starts() {
    let server = RedisServer::start_with(&["--requirepass", "secret"]);
    assert!(matches!(server.command(&[b"PING"]), Reply::Error(text) if text.starts_with("NOAUTH")));
}

/// Does nothing unless a test below starts it as another process.
#[test]
fn a_worker() {
    worker::run_worker(async |[first, second]: [String; 2]| {
        worker::serve_requests(|request| {
            let answer = format!("{first} {second} {request}");
            async move {
                if answer.ends_with("late") {
                    std::future::pending::<()>().await;
                }
                answer
            }
        })
        .await;
    });
}

/// Killed by: answers in the order of the requests only; a worker that outlives its input.
#[test]
fn a_worker_answers_until_its_input_ends() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let mut process = worker::WorkerProcess::start("tests::a_worker", &["1", "@ 2"]);
        let late = process.ask("late");
        process.tell("unheard");
        assert_eq!(process.ask("x").await, "1 @ 2 x");
        process.pause();
        process.resume();
        process.close_input();
        assert!(process.ends_within(PATIENCE));
        assert!(tokio::spawn(late).await.is_err_and(|error| error.is_panic()), "it ended without that answer");
        process.tell("unheard");
    });
}
