//! Keeps a link to the server: opens it, proves each second that it lives, replaces it.

use std::future::pending;
use std::pin::pin;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use futures_util::future::{Either, select};
use redis::Client;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::clock::ServerClock;
use super::health::Health;
use super::link::Link;
use super::messages::Inbox;
use crate::remote::{Listeners, RemoteError, RemoteErrorKind};

/// How often a heartbeat is sent.
const BEAT: Duration = Duration::from_secs(1);

/// How many heartbeats in a row may stay unanswered.
const MISSED_BEATS: u64 = 3;

/// The server's time is asked for with each n-th heartbeat.
const BEATS_PER_SAMPLE: u32 = 10;

/// The pause after the first failed attempt to connect; it doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(50);

/// A server that comes back is noticed within this time.
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// How long after a warning the next ones are only debug messages.
const COMPLAINT_PAUSE: Duration = Duration::from_secs(60);

/// What a tier's callers and the task that keeps its link share.
pub(crate) struct Uplink {
    pub(crate) client: Client,
    /// The channel of invalidations.
    pub(crate) broadcasts: Vec<u8>,
    /// The process's own channel.
    pub(crate) own_channel: Vec<u8>,
    pub(crate) process: u64,
    pub(crate) listener: Listeners,
    pub(crate) clock: ServerClock,
    pub(crate) state: RwLock<State>,
    /// Woken when the first attempt to connect has ended.
    pub(crate) attempted: Notify,
}

pub(crate) enum State {
    Connected(Arc<Link>),
    /// With the reason.
    Disconnected(String),
}

impl Uplink {
    /// The link, where there is one now.
    pub(crate) fn link(&self) -> Result<Arc<Link>, RemoteError> {
        match &*self.state.read().unwrap_or_else(PoisonError::into_inner) {
            State::Connected(link) => Ok(link.clone()),
            State::Disconnected(reason) => Err(RemoteError {
                kind: RemoteErrorKind::Unavailable,
                message: format!("not connected to Redis: {reason}"),
            }),
        }
    }

    fn set_state(&self, state: State) {
        *self.state.write().unwrap_or_else(PoisonError::into_inner) = state;
    }

    /// Opens a link and makes it ready: its messages flow, and whoever must know that they were interrupted
    /// knows, before the first caller gets it.
    async fn open(&self) -> Result<(Arc<Link>, Arc<Health>), String> {
        let health = Arc::new(Health::new());
        let inbox = Inbox {
            broadcasts: self.broadcasts.clone(),
            process: self.process,
            listener: self.listener.clone(),
            health: health.clone(),
        };
        let began = Instant::now();
        let link = Link::open(&self.client, inbox, &self.own_channel).await?;
        let sample = link.sample_time().await.map_err(|error| error.to_string())?;
        self.clock.learn(sample);
        link.load_scripts().await.map_err(|error| error.to_string())?;
        self.listener.resubscribed();
        self.listener.proven(began);
        Ok((Arc::new(link), health))
    }

    /// Gives callers the link as long as it is good. Returns why it no longer is.
    async fn serve(&self, link: Arc<Link>, health: &Health) -> String {
        tracing::debug!("connected to Redis");
        self.set_state(State::Connected(link.clone()));
        self.attempted.notify_one();
        let reason = self.attend(&link, health).await;
        self.set_state(State::Disconnected(reason.clone()));
        self.listener.disconnected();
        reason
    }

    /// Returns why the link has to go.
    async fn attend(&self, link: &Link, health: &Health) -> String {
        let mut beat = 0;
        loop {
            if health.unanswered() >= MISSED_BEATS {
                return format!("no heartbeat came back for {:?}", BEAT * MISSED_BEATS as u32);
            }
            beat += 1;
            let beating = pin!(async {
                self.beat(link, health, beat % BEATS_PER_SAMPLE == 0).await;
                pending::<()>().await
            });
            // However long the server takes, a beat takes its second.
            if let Ok(Either::Left((trouble, _))) = timeout(BEAT, select(pin!(health.troubled()), beating)).await {
                return trouble.to_owned();
            }
        }
    }

    /// An answer that is late says nothing yet; a refusal (no permission, say) will not change.
    async fn beat(&self, link: &Link, health: &Health, samples_time: bool) {
        match link.beat(&self.own_channel).await {
            Err(error) if error.kind == RemoteErrorKind::Refused => return health.report(error.message),
            _ => {}
        }
        if samples_time && let Ok(sample) = link.sample_time().await {
            self.clock.learn(sample);
        }
    }
}

/// Runs until it is aborted.
pub(crate) async fn supervise(uplink: Arc<Uplink>) {
    // Also when the runtime ends: the drivers of the connections end with it.
    let _departure = Departure(&uplink);
    let mut complaints = Complaints { next: Instant::now() };
    let mut failures = 0;
    loop {
        let began = Instant::now();
        match uplink.open().await {
            Ok((link, health)) => {
                failures = 0;
                complaints.tell("lost the connection to Redis", &uplink.serve(link, &health).await);
                // Lost at once: a replica, or a server that takes connections only to drop them.
                sleep_until(began + LONGEST_PAUSE).await;
            }
            Err(reason) => {
                complaints.tell("cannot connect to Redis; trying on in the background", &reason);
                uplink.set_state(State::Disconnected(reason));
                uplink.attempted.notify_one();
                sleep(pause(failures)).await;
                failures += 1;
            }
        }
    }
}

/// Exponential with jitter: a fleet that lost its server together does not come back in step.
fn pause(failures: u32) -> Duration {
    let longest = FIRST_PAUSE.saturating_mul(2_u32.saturating_pow(failures)).min(LONGEST_PAUSE);
    longest.mul_f64(0.5 + fastrand::f64() / 2.0)
}

/// An outage of hours is told every minute, not with each attempt.
struct Complaints {
    next: Instant,
}

impl Complaints {
    fn tell(&mut self, what: &str, reason: &str) {
        let now = Instant::now();
        if now < self.next {
            tracing::debug!(reason, "{what}");
            return;
        }
        self.next = now + COMPLAINT_PAUSE;
        tracing::warn!(reason, "{what}");
    }
}

struct Departure<'a>(&'a Uplink);

impl Drop for Departure<'_> {
    fn drop(&mut self) {
        self.0.set_state(State::Disconnected("the runtime of its tasks has ended".to_owned()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_up_to_the_longest() {
        for failures in 0..100 {
            let longest = Duration::from_millis(50 << failures.min(10)).min(LONGEST_PAUSE);
            let pause = pause(failures);
            assert!(pause >= longest / 2 && pause <= longest, "{failures}: {pause:?}");
        }
    }
}
