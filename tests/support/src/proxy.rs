//! A network that misbehaves on demand, between a client and its server.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::resp;

/// A TCP proxy on a loopback port of its own that delays, withholds or loses what passes, each direction by itself, and
/// breaks or refuses connections. Dropping it breaks all of them.
///
/// ```no_run
/// use std::time::Duration;
/// use hybridcache_test_support::{Direction, FaultProxy, Flow, RedisServer};
///
/// let server = RedisServer::start();
/// let proxy = FaultProxy::start(server.port()); // clients connect to proxy.url()
/// proxy.set(Direction::ToClient, Flow::Delay(Duration::from_millis(200)));
/// proxy.set(Direction::ToClient, Flow::Hold); // a black hole: no answer, no message, TCP stays up
/// proxy.restore(); // what was held arrives now
/// proxy.cut(); // every open connection breaks; clients may connect again
/// ```
///
/// Where nobody listens at the target, a connection is taken and ends at once: only the server's own port can be refused.
#[derive(Debug)]
pub struct FaultProxy {
    port: u16,
    network: Arc<Network>,
}

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Commands.
    ToServer,
    /// Answers and messages.
    ToClient,
}

/// What happens to bytes on their way, and to the end of a connection, which travels like them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// They arrive.
    Pass,
    /// They arrive that much later. Whatever is under way waits at the same time, as in a long cable.
    Delay(Duration),
    /// They arrive when the flow is another one: packets are lost and TCP sends them again.
    Hold,
    /// They arrive at this many bytes a second: a line that all connections of the direction share, in turns of up to 64 KiB.
    Rate(u64),
    /// They never arrive. As TCP skips no bytes, a connection that has lost some stays silent in this direction until it
    /// is broken: by [`FaultProxy::restore`], [`FaultProxy::cut`], or by one of its ends.
    Swallow,
}

#[derive(Debug)]
struct Network {
    target: u16,
    state: Mutex<State>,
    /// Something in `state` is another than before.
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    /// By direction.
    flows: [Flow; 2],
    /// The same, for connections that have subscribed to a channel.
    subscriber_flows: [Flow; 2],
    refuses: bool,
    is_over: bool,
    connections: Vec<Connection>,
    count: u64,
    cuts: u64,
    /// The names of the commands in each. `None` until a test asks for them.
    round_trips: Option<Vec<Vec<String>>>,
    /// When the line of each direction is free, where it has a rate.
    free_at: [Instant; 2],
}

#[derive(Debug)]
struct Connection {
    number: u64,
    ends: [TcpStream; 2],
    has_subscribed: bool,
    has_lost_bytes: bool,
    /// No answer has arrived since the client last began a round trip.
    is_unanswered: bool,
    /// What the client has sent and the server has not got yet.
    to_server: VecDeque<Vec<u8>>,
}

/// The server's ends of connections that have none to a client any more, with what was held on the way: see
/// [`FaultProxy::strand`]. Dropping it ends them.
#[derive(Debug)]
pub struct Stranded {
    ways: Vec<(TcpStream, Vec<u8>)>,
}

impl Stranded {
    /// Delivers those of the held commands that are wanted, in the order in which they were sent; the others are lost.
    /// Returns how many arrived.
    ///
    /// # Panics
    ///
    /// Where the server has closed a connection.
    pub fn arrive(&mut self, wanted: impl Fn(&[&[u8]]) -> bool) -> usize {
        let mut count = 0;
        for (server, held) in &mut self.ways {
            for (bytes, words) in resp::commands(&std::mem::take(held)) {
                if wanted(&words) {
                    server.write_all(bytes).unwrap_or_else(|error| panic!("the server is gone: {error}"));
                    count += 1;
                }
            }
        }
        count
    }
}

/// Bytes that were sent at a time; none are the end of the connection.
type Sent = (Instant, Vec<u8>);

/// What a connection sends by itself.
const HEARTBEAT: [&str; 2] = ["PUBLISH", "TIME"];

/// How much may be under way before the sender feels it.
const UNDER_WAY: usize = 1024;

impl FaultProxy {
    /// A proxy before a server on a loopback port; everything passes.
    ///
    /// # Panics
    ///
    /// Where no port can be had.
    pub fn start(target: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap_or_else(|error| panic!("no port: {error}"));
        let port = listener.local_addr().unwrap_or_else(|error| panic!("no address: {error}")).port();
        let state = State {
            flows: [Flow::Pass; 2],
            subscriber_flows: [Flow::Pass; 2],
            refuses: false,
            is_over: false,
            connections: Vec::new(),
            count: 0,
            cuts: 0,
            round_trips: None,
            free_at: [Instant::now(); 2],
        };
        let network = Arc::new(Network { target, state: Mutex::new(state), changed: Condvar::new() });
        let shared = network.clone();
        thread::spawn(move || accept(&shared, &listener));
        Self { port, network }
    }

    /// `redis://127.0.0.1:<port>`.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// The port, the same as long as the proxy lives.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What happens from now on in one direction of all connections, open ones and later ones. Bytes that are under way
    /// are treated by the new rule.
    pub fn set(&self, direction: Direction, flow: Flow) {
        self.network.change(|state| {
            state.flows[direction as usize] = flow;
            state.subscriber_flows[direction as usize] = flow;
        });
    }

    /// Like [`set`](Self::set), for those connections alone that have sent a `SUBSCRIBE`, in whichever variant.
    pub fn set_for_subscribers(&self, direction: Direction, flow: Flow) {
        self.network.change(|state| state.subscriber_flows[direction as usize] = flow);
    }

    /// Breaks all open connections, at once in both directions. New ones are taken.
    pub fn cut(&self) {
        self.network.change(|state| {
            state.cuts += 1;
            state.hang_up(|_| true);
        });
    }

    /// Breaks all open connections towards their clients alone: the server's ends stay open, and what is held on the way
    /// there can still arrive ([`Stranded::arrive`]), when the client has long connected again.
    pub fn strand(&self) -> Stranded {
        let mut ways = Vec::new();
        self.network.change(|state| {
            for Connection { ends: [client, server], to_server, .. } in state.connections.drain(..) {
                // It may be closed already.
                let _ = client.shutdown(Shutdown::Both);
                ways.push((server, to_server.into_iter().flatten().collect()));
            }
        });
        Stranded { ways }
    }

    /// The commands that clients have sent since the last call, by round trip; the first call begins the recording. A connection's
    /// heartbeats are left out.
    ///
    /// Each write of a client is a round trip: a caller sends again when it was answered. While answers are delayed, what a
    /// connection sends before the next answer is one round trip, in however many writes: set a delay that is far longer than two
    /// commands are apart of which the first is not waited for.
    pub fn take_round_trips(&self) -> Vec<Vec<String>> {
        self.network.state().round_trips.replace(Vec::new()).unwrap_or_default()
    }

    /// The same, left in place.
    pub fn round_trips(&self) -> Vec<Vec<String>> {
        self.network.state().round_trips.clone().unwrap_or_default()
    }

    /// How many of the commands that are on their way to the server are wanted.
    pub fn under_way(&self, wanted: impl Fn(&[&[u8]]) -> bool) -> usize {
        let count = |connection: &Connection| {
            let bytes: Vec<u8> = connection.to_server.iter().flatten().copied().collect();
            resp::commands(&bytes).filter(|(_, words)| wanted(words)).count()
        };
        self.network.state().connections.iter().map(count).sum()
    }

    /// New connections end at once; open ones go on.
    pub fn refuse(&self) {
        self.network.change(|state| state.refuses = true);
    }

    /// Everything passes, new connections are taken; those that have lost bytes are broken.
    pub fn restore(&self) {
        self.network.change(|state| {
            state.flows = [Flow::Pass; 2];
            state.subscriber_flows = [Flow::Pass; 2];
            state.refuses = false;
            state.hang_up(|connection| connection.has_lost_bytes);
        });
    }

    /// How many connections are open.
    pub fn connections(&self) -> usize {
        self.network.state().connections.len()
    }
}

impl Drop for Stranded {
    fn drop(&mut self) {
        for (server, _) in &self.ways {
            // It may be closed already.
            let _ = server.shutdown(Shutdown::Both);
        }
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.network.change(|state| {
            state.is_over = true;
            state.hang_up(|_| true);
        });
        // The listener looks up when somebody comes.
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
    }
}

impl Network {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state());
        self.changed.notify_all();
    }

    /// Waits until something that was sent at a time has to arrive: `true`; or to be lost: `false`. `None` where the
    /// connection has been broken.
    fn transit(&self, number: u64, direction: Direction, sent: Instant, length: usize) -> Option<bool> {
        let mut state = self.state();
        // The end of these bytes on a line with a rate, reserved once.
        let mut passed_at = None;
        loop {
            let flow = state.flow(number, direction)?;
            let due = match flow {
                Flow::Pass => return Some(true),
                Flow::Swallow => {
                    state.connection(number)?.has_lost_bytes = true;
                    return Some(false);
                }
                Flow::Delay(delay) => Some(delay.saturating_sub(sent.elapsed())),
                Flow::Rate(rate) => {
                    let passed_at = *passed_at.get_or_insert_with(|| state.reserve(direction, sent, length, rate));
                    Some(passed_at.saturating_duration_since(Instant::now()))
                }
                Flow::Hold => None,
            };
            state = match due {
                Some(Duration::ZERO) => return Some(true),
                Some(left) => self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0,
                None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
            };
        }
    }
}

impl State {
    fn connection(&mut self, number: u64) -> Option<&mut Connection> {
        self.connections.iter_mut().find(|connection| connection.number == number)
    }

    fn flow(&mut self, number: u64, direction: Direction) -> Option<Flow> {
        let has_subscribed = self.connection(number)?.has_subscribed;
        let flows = if has_subscribed { &self.subscriber_flows } else { &self.flows };
        Some(flows[direction as usize])
    }

    /// Takes a write of a client down.
    fn record(&mut self, number: u64, bytes: &[u8]) {
        if self.round_trips.is_none() {
            return;
        }
        let name = |words: &[&[u8]]| String::from_utf8_lossy(words.first()?).to_ascii_uppercase().into();
        let names = resp::commands(bytes).filter_map(|(_, words)| name(&words));
        // One may be in the same write as a caller's command.
        let names: Vec<String> = names.filter(|name| !HEARTBEAT.contains(&name.as_str())).collect();
        if names.is_empty() {
            return;
        }
        let is_delayed = matches!(self.flow(number, Direction::ToClient), Some(Flow::Delay(_)));
        let Some(connection) = self.connection(number) else { return };
        let goes_on = std::mem::replace(&mut connection.is_unanswered, is_delayed) && is_delayed;
        let round_trips = self.round_trips.get_or_insert_default();
        match round_trips.last_mut() {
            Some(last) if goes_on => last.extend(names),
            _ => round_trips.push(names),
        }
    }

    /// The line's next time for so many bytes: when they have passed. They begin when the line is free and they were sent, however late the
    /// proxy's thread runs: on a busy machine the line would else be slower with each turn.
    fn reserve(&mut self, direction: Direction, sent: Instant, length: usize, rate: u64) -> Instant {
        let free_at = &mut self.free_at[direction as usize];
        *free_at = (*free_at).max(sent) + Duration::from_secs_f64(length as f64 / rate as f64);
        *free_at
    }

    fn hang_up(&mut self, which: impl Fn(&Connection) -> bool) {
        for connection in self.connections.extract_if(.., |connection| which(connection)) {
            for end in connection.ends {
                // It may be closed already.
                let _ = end.shutdown(Shutdown::Both);
            }
        }
    }
}

fn accept(network: &Arc<Network>, listener: &TcpListener) {
    for client in listener.incoming().map_while(Result::ok) {
        let (is_over, refuses) = {
            let state = network.state();
            (state.is_over, state.refuses)
        };
        if is_over {
            return;
        }
        if !refuses {
            // What cannot be connected ends.
            let _ = connect(network, client);
        }
    }
}

fn connect(network: &Arc<Network>, client: TcpStream) -> std::io::Result<()> {
    let cuts = network.state().cuts;
    let server = TcpStream::connect((Ipv4Addr::LOCALHOST, network.target))?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let ways = [
        (Direction::ToServer, client.try_clone()?, server.try_clone()?),
        (Direction::ToClient, server.try_clone()?, client.try_clone()?),
    ];
    let mut state = network.state();
    // The server may have seen it before the cut.
    if state.is_over || state.cuts != cuts {
        return Ok(());
    }
    state.count += 1;
    let number = state.count;
    let ends = [client, server];
    state.connections.push(Connection {
        number,
        ends,
        has_subscribed: false,
        has_lost_bytes: false,
        is_unanswered: false,
        to_server: VecDeque::new(),
    });
    drop(state);
    for (direction, from, to) in ways {
        let (sender, under_way) = sync_channel(UNDER_WAY);
        let (taking, delivering) = (network.clone(), network.clone());
        thread::spawn(move || take(&taking, number, direction, from, &sender));
        thread::spawn(move || deliver(&delivering, number, direction, &under_way, to));
    }
    Ok(())
}

fn take(network: &Network, number: u64, direction: Direction, mut from: TcpStream, under_way: &SyncSender<Sent>) {
    let mut buffer = vec![0; 1 << 16];
    loop {
        let length = from.read(&mut buffer).unwrap_or(0);
        if direction == Direction::ToServer {
            let mut state = network.state();
            state.record(number, &buffer[..length]);
            if let Some(connection) = state.connection(number) {
                connection.to_server.push_back(buffer[..length].to_vec());
            }
        }
        let is_over = under_way.send((Instant::now(), buffer[..length].to_vec())).is_err();
        if is_over || length == 0 {
            return;
        }
    }
}

fn deliver(network: &Network, number: u64, direction: Direction, under_way: &Receiver<Sent>, mut to: TcpStream) {
    let mut is_silent = false;
    for (sent, bytes) in under_way {
        let Some(arrives) = network.transit(number, direction, sent, bytes.len()) else { return };
        {
            let mut state = network.state();
            // Else it has been stranded just now.
            let Some(connection) = state.connection(number) else { return };
            match direction {
                Direction::ToServer => drop(connection.to_server.pop_front()),
                Direction::ToClient => connection.is_unanswered = false,
            }
        }
        is_silent |= !arrives;
        if is_silent {
            continue;
        }
        if direction == Direction::ToServer && subscribes(&bytes) {
            network.change(|state| {
                if let Some(connection) = state.connection(number) {
                    connection.has_subscribed = true;
                }
            });
        }
        if bytes.is_empty() || to.write_all(&bytes).is_err() {
            break;
        }
    }
    if !is_silent {
        network.change(|state| state.hang_up(|connection| connection.number == number));
    }
}

/// `SUBSCRIBE`, `PSUBSCRIBE` or `SSUBSCRIBE`, as clients write commands: in lower case it is an argument. Small commands arrive whole.
fn subscribes(bytes: &[u8]) -> bool {
    const COMMAND: &[u8] = b"SUBSCRIBE\r\n";
    let is_command = |end: &[u8]| end == COMMAND;
    // Not `UNSUBSCRIBE`; something stands before each of them, be it the end of a line.
    bytes.windows(COMMAND.len() + 1).any(|window| !matches!(window[0], b'n' | b'N') && is_command(&window[1..]))
}

#[cfg(test)]
mod tests;
