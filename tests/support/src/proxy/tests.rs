use super::*;
use std::io;

/// Longer than any machine takes that still works.
const PATIENCE: Duration = Duration::from_secs(20);

/// Long enough to see that nothing comes. A slow machine can only make such a check pass, never fail.
const MOMENT: Duration = Duration::from_millis(100);

/// A server that sends back what it gets, and a client that reaches it through a proxy.
struct World {
    server: TcpListener,
    proxy: FaultProxy,
}

impl World {
    fn start() -> Self {
        let server = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let proxy = FaultProxy::start(server.local_addr().expect("an address").port());
        Self { server, proxy }
    }

    fn client(&self) -> TcpStream {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.proxy.port())).expect("the proxy listens");
        stream.set_nodelay(true).expect("an open stream");
        stream
    }

    fn pair(&self) -> (TcpStream, TcpStream) {
        let client = self.client();
        let deadline = Instant::now() + PATIENCE;
        self.server.set_nonblocking(true).expect("an open socket");
        let server = loop {
            match self.server.accept() {
                Ok((server, _)) => break server,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock && Instant::now() < deadline => {
                    thread::sleep(Duration::from_millis(1));
                }
                Err(error) => panic!("the proxy does not connect: {error}"),
            }
        };
        server.set_nonblocking(false).expect("an open stream");
        server.set_nodelay(true).expect("an open stream");
        (client, server)
    }
}

fn send(stream: &mut TcpStream, text: &str) {
    stream.write_all(text.as_bytes()).expect("an open stream");
}

/// Waits for exactly these bytes.
fn expect(stream: &mut TcpStream, text: &str) {
    stream.set_read_timeout(Some(PATIENCE)).expect("an open stream");
    let mut bytes = vec![0; text.len()];
    stream.read_exact(&mut bytes).expect("bytes in time");
    assert_eq!(String::from_utf8_lossy(&bytes), text);
}

fn expect_end(stream: &mut TcpStream) {
    stream.set_read_timeout(Some(PATIENCE)).expect("an open stream");
    match stream.read(&mut [0]) {
        Ok(0) => {}
        Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {}
        other => panic!("the connection goes on: {other:?}"),
    }
}

fn expect_silence(stream: &mut TcpStream) {
    stream.set_read_timeout(Some(MOMENT)).expect("an open stream");
    let error = stream.read(&mut [0]).expect_err("nothing arrives");
    assert!(matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut), "{error}");
}

/// Killed by: passing bytes to where they came from; forgetting the end of a stream in `deliver`.
#[test]
fn bytes_and_ends_pass_both_ways() {
    let world = World::start();
    let (mut client, mut server) = world.pair();
    send(&mut client, "to the server");
    expect(&mut server, "to the server");
    send(&mut server, "to the client");
    expect(&mut client, "to the client");
    assert_eq!(world.proxy.connections(), 1);
    drop(server);
    expect_end(&mut client);
}

/// Killed by: a delay of zero; delays one after the other (a hundred of them).
#[test]
fn delayed_bytes_wait_together_and_keep_their_order() {
    const DELAY: Duration = Duration::from_millis(300);
    let world = World::start();
    let (mut client, mut server) = world.pair();
    world.proxy.set(Direction::ToClient, Flow::Delay(DELAY));
    send(&mut client, "at once");
    expect(&mut server, "at once");
    let began = Instant::now();
    let text = "in order ".repeat(12);
    for byte in text.chars() {
        send(&mut server, &byte.to_string());
        // Messages of their own, most of them.
        thread::sleep(Duration::from_millis(2));
    }
    expect(&mut client, &text);
    let took = began.elapsed();
    assert!(took >= DELAY, "{took:?}");
    assert!(took < PATIENCE, "one after the other: {took:?}");
}

/// Killed by: dropping what is held; waking nobody in `change`.
#[test]
fn held_bytes_arrive_when_the_flow_is_restored() {
    let world = World::start();
    let (mut client, mut server) = world.pair();
    world.proxy.set(Direction::ToClient, Flow::Hold);
    send(&mut client, "question");
    expect(&mut server, "question");
    send(&mut server, "answer");
    expect_silence(&mut client);
    drop(server);
    expect_silence(&mut client);
    world.proxy.restore();
    expect(&mut client, "answer");
    expect_end(&mut client);
}

/// Killed by: letting a connection speak again after bytes of it were lost; breaking the others too in `restore`.
#[test]
fn a_connection_that_lost_bytes_never_speaks_again() {
    let world = World::start();
    let (mut client, mut server) = world.pair();
    let (mut untouched, mut its_server) = world.pair();
    world.proxy.set(Direction::ToClient, Flow::Swallow);
    send(&mut server, "lost");
    expect_silence(&mut client);
    world.proxy.set(Direction::ToClient, Flow::Pass);
    send(&mut server, "silent");
    expect_silence(&mut client);
    send(&mut client, "the other direction");
    expect(&mut server, "the other direction");
    world.proxy.restore();
    expect_end(&mut client);
    send(&mut its_server, "untouched");
    expect(&mut untouched, "untouched");
}

/// Killed by: a cut of one end only; a cut that keeps new connections out.
#[test]
fn a_cut_breaks_both_ends_of_every_connection() {
    let world = World::start();
    let mut pairs = [world.pair(), world.pair()];
    // Held bytes hold up no cut.
    world.proxy.set(Direction::ToServer, Flow::Hold);
    send(&mut pairs[0].0, "held");
    world.proxy.cut();
    for (client, server) in &mut pairs {
        expect_end(client);
        expect_end(server);
    }
    assert_eq!(world.proxy.connections(), 0);
    world.proxy.restore();
    let (mut client, mut server) = world.pair();
    send(&mut client, "again");
    expect(&mut server, "again");
}

/// Killed by: refusing nobody; breaking those that are open; never taking connections again.
#[test]
fn refused_connections_end_and_open_ones_go_on() {
    let world = World::start();
    let (mut client, mut server) = world.pair();
    world.proxy.refuse();
    expect_end(&mut world.client());
    send(&mut client, "open");
    expect(&mut server, "open");
    world.proxy.restore();
    drop(world.pair());
}

/// Killed by: leaving the client waiting where the target refuses.
#[test]
fn a_connection_to_nobody_ends() {
    let World { server, proxy } = World::start();
    drop(server);
    expect_end(&mut TcpStream::connect((Ipv4Addr::LOCALHOST, proxy.port())).expect("the proxy listens"));
}

/// Killed by: taking every connection, or none, for a subscriber; taking `UNSUBSCRIBE` for a subscription.
#[test]
fn subscribers_can_be_treated_alone() {
    let world = World::start();
    let mut pairs = [world.pair(), world.pair(), world.pair()];
    let commands =
        ["*2\r\n$3\r\nGET\r\n$1\r\nk\r\n", "*1\r\n$11\r\nUNSUBSCRIBE\r\n", "*2\r\n$9\r\nSUBSCRIBE\r\n$1\r\nc\r\n"];
    for ((client, server), command) in pairs.iter_mut().zip(commands) {
        send(client, command);
        expect(server, command);
    }
    world.proxy.set_for_subscribers(Direction::ToClient, Flow::Hold);
    for (_, server) in &mut pairs {
        send(server, "answer");
    }
    expect(&mut pairs[0].0, "answer");
    expect(&mut pairs[1].0, "answer");
    expect_silence(&mut pairs[2].0);
}

/// Killed by: leaving connections open in `drop`.
#[test]
fn a_dropped_proxy_leaves_nothing() {
    let world = World::start();
    let (mut client, mut server) = world.pair();
    let port = world.proxy.port();
    drop(world.proxy);
    expect_end(&mut client);
    expect_end(&mut server);
    let address = (Ipv4Addr::LOCALHOST, port).into();
    let deadline = Instant::now() + PATIENCE;
    loop {
        match TcpStream::connect_timeout(&address, PATIENCE) {
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => return,
            other => assert!(Instant::now() < deadline, "the proxy still listens: {other:?}"),
        }
        thread::sleep(Duration::from_millis(1));
    }
}

/// Killed by: ending the server's side too; delivering what nobody wants; delivering at once.
#[test]
fn what_is_stranded_arrives_late_at_a_server_that_has_seen_no_end() {
    let world = World::start();
    let (mut client, mut server) = world.pair();
    let words = |text: &'static str| format!("*2\r\n$3\r\n{text}\r\n$3\r\nkey\r\n");
    send(&mut client, &words("ONE"));
    expect(&mut server, &words("ONE"));
    world.proxy.set(Direction::ToServer, Flow::Hold);
    send(&mut client, &(words("TWO") + &words("SIX") + &words("TEN")));
    let is = |name: &'static [u8]| move |words: &[&[u8]]| words[0] == name;
    let deadline = Instant::now() + PATIENCE;
    while world.proxy.under_way(is(b"TEN")) == 0 {
        assert!(Instant::now() < deadline, "it does not take what was sent");
        thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(world.proxy.under_way(is(b"ONE")), 0, "it has arrived");
    let mut stranded = world.proxy.strand();
    expect_end(&mut client);
    assert_eq!(world.proxy.connections(), 0);
    world.proxy.restore();
    expect_silence(&mut server);
    assert_eq!(stranded.arrive(is(b"SIX")), 1);
    expect(&mut server, &words("SIX"));
    expect_silence(&mut server);
    drop(stranded);
    expect_end(&mut server);
}

/// Killed by: round trips that a delayed answer does not separate; a heartbeat that counts.
#[test]
fn what_is_sent_before_an_answer_is_one_round_trip() {
    let world = World::start();
    let (mut client, mut server) = world.pair();
    send(&mut client, "*1\r\n$6\r\nBEFORE\r\n");
    expect(&mut server, "*1\r\n$6\r\nBEFORE\r\n");
    assert!(world.proxy.take_round_trips().is_empty(), "nobody has asked for them yet");
    for command in ["*2\r\n$3\r\nget\r\n$1\r\nk\r\n*1\r\n$4\r\nMGET\r\n", "*1\r\n$4\r\nTIME\r\n", "*1\r\n$3\r\nSET\r\n"]
    {
        send(&mut client, command);
        expect(&mut server, command);
    }
    assert_eq!(world.proxy.take_round_trips(), [vec!["GET", "MGET"], vec!["SET"]]);
    world.proxy.set(Direction::ToClient, Flow::Delay(MOMENT));
    for round in 0..2 {
        for command in ["*1\r\n$1\r\nA\r\n", "*1\r\n$1\r\nB\r\n"] {
            send(&mut client, command);
            expect(&mut server, command);
        }
        send(&mut server, "+OK\r\n");
        expect(&mut client, "+OK\r\n");
        assert_eq!(world.proxy.round_trips().len(), round + 1);
    }
    assert_eq!(world.proxy.take_round_trips(), [["A", "B"], ["A", "B"]]);
}
