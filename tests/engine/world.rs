//! What the loads of one test do, and what they did.

use std::fmt::Display;
use std::future::Future;
use std::ops::Deref;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use hybridcache::{Builder, HybridCache, Memory};
use tokio::sync::watch;
use tokio::task::{JoinHandle, yield_now};
use tokio::time::timeout;

/// One test's cache, and the place where its loads count, wait and fail.
#[derive(Clone)]
pub struct World(Arc<State>);

pub struct State {
    pub cache: HybridCache,
    loads: AtomicU64,
    running: AtomicU64,
    failing: AtomicBool,
    events: Mutex<Vec<String>>,
    released: watch::Sender<Released>,
}

/// In seconds: ten years, later than any test moves the clock.
const NEVER: u64 = 10 * 366 * 24 * 3600;

/// Which of the loads may go on, by their number.
struct Released {
    all: bool,
    numbers: Vec<u64>,
}

impl World {
    pub async fn new() -> Self {
        Self::with(Memory::entries(100_000)).await
    }

    pub async fn with(memory: Memory) -> Self {
        Self::built(HybridCache::builder().memory(memory)).await
    }

    pub async fn built(builder: Builder) -> Self {
        let cache = builder.build().await.expect("the settings are right");
        Self(Arc::new(State {
            cache,
            loads: AtomicU64::new(0),
            running: AtomicU64::new(0),
            failing: AtomicBool::new(false),
            events: Mutex::default(),
            released: watch::Sender::new(Released { all: true, numbers: Vec::new() }),
        }))
    }

    /// A call in its own task. One that hangs fails its test: a clock that stands still jumps when all tasks wait.
    pub fn call<F, Fut>(&self, call: F) -> JoinHandle<Fut::Output>
    where
        F: FnOnce(Self) -> Fut,
        Fut: Future<Output: Send> + Send + 'static,
    {
        let call = timeout(secs(NEVER), call(self.clone()));
        tokio::spawn(async move { call.await.expect("the call hangs") })
    }
}

impl Deref for World {
    type Target = State;

    fn deref(&self) -> &State {
        &self.0
    }
}

impl State {
    /// What a load does: it is counted and logged, waits to be let go, and gives its number, which begins at 1.
    pub async fn load(&self, what: impl Display) -> u64 {
        let number = self.loads.fetch_add(1, SeqCst) + 1;
        self.log(format!("load {what}"));
        self.running.fetch_add(1, SeqCst);
        let _running = Running(&self.running);
        let mut released = self.released.subscribe();
        let let_go = |released: &Released| released.all || released.numbers.contains(&number);
        released.wait_for(let_go).await.expect("the sender is in `self`");
        number
    }

    /// Loads that began.
    pub fn loads(&self) -> u64 {
        self.loads.load(SeqCst)
    }

    /// Loads that have neither ended nor been dropped.
    pub fn running(&self) -> u64 {
        self.running.load(SeqCst)
    }

    pub fn log(&self, event: impl Into<String>) {
        self.events.lock().unwrap().push(event.into());
    }

    /// What happened since the last look.
    pub fn events(&self) -> Vec<String> {
        std::mem::take(&mut self.events.lock().unwrap())
    }

    /// From now on loads wait.
    pub fn hold(&self) {
        self.released.send_modify(|released| released.all = false);
    }

    /// The load of this number goes on.
    pub fn let_go(&self, number: u64) {
        self.released.send_modify(|released| released.numbers.push(number));
    }

    /// All loads go on.
    pub fn let_all_go(&self) {
        self.released.send_modify(|released| released.all = true);
    }

    pub fn fail(&self, failing: bool) {
        self.failing.store(failing, SeqCst);
    }

    pub fn is_failing(&self) -> bool {
        self.failing.load(SeqCst)
    }

    /// Waits until so many loads began.
    pub async fn until_loads(&self, loads: u64) {
        until(|| self.loads() >= loads).await;
        settle().await;
        assert_eq!(self.loads(), loads, "loads that began");
    }
}

struct Running<'a>(&'a AtomicU64);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}

/// Waits on a condition while the clock stands still.
pub async fn until(mut condition: impl FnMut() -> bool) {
    for _ in 0..100_000 {
        if condition() {
            return;
        }
        yield_now().await;
    }
    panic!("what was waited for did not come");
}

/// Lets all tasks run until each waits for something, while the clock stands still.
pub async fn settle() {
    for _ in 0..1_000 {
        yield_now().await;
    }
}

/// Moves the clock and lets all tasks do what is due.
pub async fn pass(time: Duration) {
    tokio::time::advance(time).await;
    settle().await;
}

pub const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

pub const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// What a future gives without waiting for anything.
pub fn at_once<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("the future waits"),
    }
}

/// Polls as a caller does who then turns to something else for ever.
pub fn poll_once<F: Future>(future: &mut Pin<Box<F>>) -> Poll<F::Output> {
    future.as_mut().poll(&mut Context::from_waker(Waker::noop()))
}
