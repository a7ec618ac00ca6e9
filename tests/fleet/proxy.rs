//! A network between a cache and its Redis: it counts round trips, and can be cut.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

pub(crate) struct Proxy {
    port: u16,
    network: Arc<Mutex<Network>>,
}

#[derive(Default)]
struct Network {
    server: u16,
    is_cut: bool,
    is_over: bool,
    streams: Vec<TcpStream>,
    /// The names of the commands that each write of the client carried.
    writes: Vec<Vec<String>>,
    /// By how much each answer is late.
    delay: Duration,
}

/// What a connection sends by itself.
const HEARTBEAT: [&str; 2] = ["PUBLISH", "TIME"];

impl Proxy {
    pub(crate) fn before(server: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let network = Arc::new(Mutex::new(Network { server, ..Network::default() }));
        let shared = network.clone();
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let network = lock(&shared);
                if network.is_over {
                    return;
                }
                connect(&shared, network, client);
            }
        });
        Self { port, network }
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Delays every answer, by far longer than two commands that wait for no answer are apart: these then count as one round
    /// trip, in however many writes they come.
    pub(crate) fn delay_answers(&self) {
        lock(&self.network).delay = Duration::from_millis(250);
    }

    /// Breaks all connections; new ones end at once.
    pub(crate) fn cut(&self) {
        let mut network = lock(&self.network);
        network.is_cut = true;
        network.hang_up();
    }

    pub(crate) fn restore(&self) {
        lock(&self.network).is_cut = false;
    }

    /// The same, to be seen again.
    pub(crate) fn round_trips(&self) -> Vec<Vec<String>> {
        lock(&self.network).writes.clone()
    }

    /// What was sent since the last look, one list for each round trip: a caller sends again only when it was answered.
    pub(crate) fn take_round_trips(&self) -> Vec<Vec<String>> {
        std::mem::take(&mut lock(&self.network).writes)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let mut network = lock(&self.network);
        network.is_over = true;
        network.hang_up();
        // The listener looks up when somebody comes.
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
    }
}

impl Network {
    fn hang_up(&mut self) {
        for stream in self.streams.drain(..) {
            // It may be closed already.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

fn lock(network: &Mutex<Network>) -> MutexGuard<'_, Network> {
    network.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn connect(shared: &Arc<Mutex<Network>>, mut network: MutexGuard<'_, Network>, client: TcpStream) {
    if network.is_cut {
        return;
    }
    let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, network.server)) else { return };
    for stream in [&client, &server] {
        stream.set_nodelay(true).unwrap();
        network.streams.push(stream.try_clone().unwrap());
    }
    let (from_client, from_server) = (client.try_clone().unwrap(), server.try_clone().unwrap());
    let (record, answers) = (shared.clone(), shared.clone());
    // Of this connection.
    let (unanswered, answered) = {
        let unanswered = Arc::new(AtomicBool::new(false));
        (unanswered.clone(), unanswered)
    };
    thread::spawn(move || {
        forward(from_client, server, |bytes| {
            let mut names = command_names(bytes);
            // One may fall into the same write as a caller's command.
            names.retain(|name| !HEARTBEAT.contains(&name.as_str()));
            if names.is_empty() {
                return;
            }
            let mut network = lock(&record);
            let is_later_trip = network.delay.is_zero() || !unanswered.swap(true, Ordering::SeqCst);
            match network.writes.last_mut() {
                Some(last) if !is_later_trip => last.extend(names),
                _ => network.writes.push(names),
            }
        });
    });
    thread::spawn(move || {
        forward(from_server, client, |_| {
            let delay = lock(&answers).delay;
            thread::sleep(delay);
            answered.store(false, Ordering::SeqCst);
        });
    });
}

fn forward(mut from: TcpStream, mut to: TcpStream, mut look: impl FnMut(&[u8])) {
    let mut buffer = vec![0; 1 << 16];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        look(&buffer[..length]);
        if to.write_all(&buffer[..length]).is_err() {
            break;
        }
    }
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}

/// The first word of each command: `*2\r\n$3\r\nGET\r\n$1\r\nk\r\n`. Small commands arrive whole.
fn command_names(mut bytes: &[u8]) -> Vec<String> {
    let mut names = Vec::new();
    while let Some(words) = number(&mut bytes, b'*') {
        for place in 0..words {
            let Some(length) = number(&mut bytes, b'$') else { return names };
            let Some(word) = bytes.get(..length) else { return names };
            if place == 0 {
                names.push(String::from_utf8_lossy(word).to_ascii_uppercase());
            }
            bytes = bytes.get(length + 2..).unwrap_or_default();
        }
    }
    names
}

/// `<kind><number>\r\n`
fn number(bytes: &mut &[u8], kind: u8) -> Option<usize> {
    let line = bytes.split(|byte| *byte == b'\r').next()?;
    let (&first, digits) = line.split_first()?;
    let number = std::str::from_utf8(digits).ok()?.parse().ok()?;
    *bytes = bytes.get(line.len() + 2..)?;
    (first == kind).then_some(number)
}
