//! Maintains the links to the servers: opens them, proves each second that they work, and replaces them.

use std::future::pending;
use std::pin::pin;
use std::sync::{Arc, Mutex, RwLock};
use std::time::Duration;

use futures_util::future::{Either, select};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep_until, timeout};

use super::links::{Links, Numbered, Purpose};
use super::server_clock::ServerClock;
use super::unreleased::Unreleased;
use crate::primitives::backoff::Backoff;
use crate::primitives::log_limit::{LogLimit, MINUTE};
use crate::primitives::sync::{LockExt as _, RwLockExt as _};
use crate::shared::RemoteError;

/// How often a heartbeat is sent.
const BEAT: Duration = Duration::from_secs(1);

/// How many heartbeats in a row may stay unanswered.
const MISSED_BEATS: u64 = 3;

/// Every n-th heartbeat, the server's time is requested.
const BEATS_PER_SAMPLE: u32 = 10;

/// Every n-th heartbeat, it is checked whether the servers are still the right ones. While a node is missing, this is
/// checked with every heartbeat.
const BEATS_PER_CHECK: u32 = 3;

/// The pauses between failed attempts to connect.
const PAUSES: Backoff = Backoff::new(Duration::from_millis(50), LONGEST_PAUSE);

/// A server that comes back is noticed within this time.
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// The state that a tier's callers share with the task that maintains the links.
pub(crate) struct SharedState {
    pub(crate) purpose: Purpose,
    pub(crate) clock: ServerClock,
    pub(crate) state: RwLock<State>,
    /// The latest finished attempt to connect.
    pub(crate) attempted: watch::Sender<Attempt>,
    /// Notified when the target changes.
    pub(crate) retargeted: Notify,
    pub(crate) unreleased: Unreleased,
    /// The history of the servers to which the last links led.
    pub(crate) history: Mutex<Option<(u64, Vec<String>)>>,
}

/// An attempt to connect.
#[derive(Debug, Default)]
pub(crate) struct Attempt {
    /// The number of its target. Zero: there was no attempt.
    pub(crate) target: u64,
    pub(crate) failure: Option<String>,
}

pub(crate) enum State {
    Connected(Arc<Links>),
    /// The reason.
    Disconnected(String),
}

impl SharedState {
    /// The links, if there are any now.
    pub(crate) fn links(&self) -> Result<Arc<Links>, RemoteError> {
        match &*self.state.read_unpoisoned() {
            State::Connected(links) => Ok(links.clone()),
            State::Disconnected(reason) => Err(RemoteError::unavailable(format!("not connected to Redis: {reason}"))),
        }
    }

    fn set_state(&self, state: State) {
        *self.state.write_unpoisoned() = state;
    }

    /// Opens links and prepares them before the first caller gets them: their messages arrive, and the listener has
    /// been notified that messages may have been lost.
    async fn open(&self, Numbered { target, number }: &Numbered) -> Result<Arc<Links>, String> {
        let links = Links::open(&self.purpose, target).await?;
        self.sample_time(&links).await.map_err(|error| error.to_string())?;
        // The older links may still work, but they are no longer the right ones: entries that are read through them
        // must not count for the new epoch.
        self.set_state(State::Disconnected("connecting again".to_owned()));
        let kept = self.keeps_history(*number, links.history().await);
        self.purpose.listener.resubscribed(kept);
        if links.is_complete() {
            self.purpose.listener.proven(links.began);
        }
        Ok(Arc::new(links))
    }

    /// Whether the servers still have everything that they acknowledged on the last links: they are the same servers,
    /// and none has restarted.
    ///
    /// `target` is the number of the URL: another URL may name another database of the same servers.
    fn keeps_history(&self, target: u64, servers: Option<Vec<String>>) -> bool {
        let now = servers.map(|servers| (target, servers));
        let mut last = self.history.lock_unpoisoned();
        let kept = now.is_some() && *last == now;
        *last = now;
        kept
    }

    /// Lets callers use the links until they must be replaced. Returns the reason.
    async fn serve(&self, links: Arc<Links>, target: u64) -> String {
        tracing::debug!("connected to Redis");
        self.set_state(State::Connected(links.clone()));
        self.attempted.send_replace(Attempt { target, failure: None });
        self.give_back(&links);
        let reason = match select(pin!(self.watch(&links)), pin!(self.other_target(target))).await {
            Either::Left((reason, _)) => reason,
            Either::Right(_) => "another URL was given".to_owned(),
        };
        // The reachable nodes of a cluster serve until the next attempt has ended.
        if links.usable().next().is_none() {
            self.set_state(State::Disconnected(reason.clone()));
        }
        self.purpose.listener.disconnected();
        reason
    }

    /// Waits until there is another target.
    async fn other_target(&self, number: u64) {
        while self.purpose.target().number == number {
            self.retargeted.notified().await;
        }
    }

    /// Gives back the leases that could not be given back while there was no connection.
    fn give_back(&self, links: &Links) {
        for (key, token, release) in self.unreleased.take() {
            if let Ok(link) = links.at(key.group()) {
                // If this fails too, the lease ends by itself soon.
                link.send_detached(self.purpose.release(&key, token, release), || {});
            }
        }
    }

    /// Checks the links until they must be replaced. Returns the reason.
    async fn watch(&self, links: &Links) -> String {
        let silence = format!("no heartbeat came back for {:?}", BEAT * MISSED_BEATS as u32);
        let mut number = 0;
        loop {
            links.check_beats(MISSED_BEATS, &silence);
            number += 1;
            let end = pin!(self.beat(links, number));
            // One beat takes one second, however slow the server is.
            match timeout(BEAT, select(pin!(links.troubled()), end)).await {
                Ok(Either::Left((reason, _)) | Either::Right((reason, _))) => return reason,
                Err(_) => {}
            }
        }
    }

    /// Sends one heartbeat and makes the periodic checks. Returns only if the links must be replaced.
    async fn beat(&self, links: &Links, number: u32) -> String {
        links.beat().await;
        if number.is_multiple_of(BEATS_PER_SAMPLE) {
            // If this fails, a later sample replaces it.
            let _ = self.sample_time(links).await;
        }
        if (!links.is_complete() || number.is_multiple_of(BEATS_PER_CHECK))
            && let Some(reason) = links.outdated(&self.purpose).await
        {
            return reason;
        }
        pending().await
    }

    /// In a cluster, all processes take the time from the same node while it can be reached.
    async fn sample_time(&self, links: &Links) -> Result<(), RemoteError> {
        let first = links.at(&self.purpose.groups[0]).ok().or_else(|| links.usable().next());
        let link = first.ok_or_else(|| RemoteError::unavailable("no server can be reached"))?;
        self.clock.learn(link.sample_time().await?);
        Ok(())
    }
}

/// Runs until it is aborted.
pub(crate) async fn supervise(shared_state: Arc<SharedState>) {
    // Runs when the tier is dropped or closed.
    let _disconnect_on_drop = DisconnectOnDrop(&shared_state);
    let (log_limit, listener) = (LogLimit::every(MINUTE), &shared_state.purpose.listener);
    let mut failures = 0;
    loop {
        let began = Instant::now();
        let target = shared_state.purpose.target();
        let number = target.number;
        match shared_state.open(&target).await {
            Ok(links) => {
                failures = 0;
                let reason = shared_state.serve(links, number).await;
                // A warning once a minute, also in an outage of hours.
                listener.warned(log_limit.allow(), "redis_lost", "lost a connection to Redis", &reason);
                // The links may have been lost at once: a replica, or a server that accepts connections only to close
                // them.
                if shared_state.purpose.target().number == number {
                    sleep_until(began + LONGEST_PAUSE).await;
                }
            }
            Err(reason) => {
                let what = "cannot connect to Redis; trying again in the background";
                listener.warned(log_limit.allow(), "redis_down", what, &reason);
                shared_state.set_state(State::Disconnected(reason.clone()));
                shared_state.attempted.send_replace(Attempt { target: number, failure: Some(reason) });
                // A new target is tried at once.
                let _ = timeout(PAUSES.jittered(failures), shared_state.retargeted.notified()).await;
                failures += 1;
            }
        }
    }
}

struct DisconnectOnDrop<'a>(&'a SharedState);

impl Drop for DisconnectOnDrop<'_> {
    fn drop(&mut self) {
        self.0.set_state(State::Disconnected("the cache was closed".to_owned()));
        // No flight waits for messages any more, and memory needs no proof that messages arrive.
        self.0.purpose.listener.disconnected();
    }
}
