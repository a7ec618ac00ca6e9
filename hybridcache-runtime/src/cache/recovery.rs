//! How the breaker closes: one task for each cache object sends the pending invalidations, and then probes whether the
//! shared tier answers in time. No caller probes.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tracing::{debug, info};

use crate::cache::state::Local;
use crate::primitives::backoff::Backoff;
use crate::primitives::log_limit::{LogLimit, MINUTE};
use crate::shared::budget::ANSWERS;
use crate::shared::journal::{JournalEntry, Notice};
use crate::shared::{Remote, RemoteError, RemoteErrorKind};

/// The pause after the first failed attempt; it doubles with each further one. A tier that is up again is noticed
/// within the longest pause.
const PAUSES: Backoff = Backoff::new(Duration::from_millis(20), Duration::from_millis(400));

/// How many notices are sent at once.
const AT_ONCE: usize = 128;

/// The task. Dropping this ends it.
#[derive(Debug)]
pub(crate) struct Recovery {
    task: JoinHandle<()>,
}

impl Recovery {
    /// `budget`: a healthy tier gives all answers that one call needs within this time.
    pub(crate) fn start(local: Arc<Local>, remote: Arc<dyn Remote>, budget: Duration) -> Self {
        let runtime = remote.runtime().clone();
        Self { task: runtime.spawn(recover(local, remote, budget)) }
    }

    /// Ends the task.
    pub(crate) fn end(&self) {
        self.task.abort();
    }
}

impl Drop for Recovery {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Runs until it is aborted.
async fn recover(local: Arc<Local>, remote: Arc<dyn Remote>, budget: Duration) {
    let log_limit = LogLimit::every(MINUTE);
    // The way back is logged as information where the failure was a warning: each warning has its end in the log.
    let mut is_logged = false;
    loop {
        local.breaker.changed().await;
        let mut failures = 0;
        while let Some(reasons) = local.breaker.reasons() {
            match attempt(&local, &*remote, budget).await {
                Ok(()) => {
                    local.breaker.close(reasons);
                    if std::mem::take(&mut is_logged) {
                        info!("Redis is in use again");
                    } else {
                        debug!("Redis is in use again");
                    }
                }
                Err(error) => {
                    let is_due = log_limit.allow();
                    is_logged |= is_due;
                    let what = "Redis is not in use; trying again in the background";
                    local.events.warn(is_due, "redis_not_in_use", what, Some(&error));
                    // Only a sign that the tier may be back shortens the pause.
                    let _ = timeout(PAUSES.jittered(failures), local.breaker.changed()).await;
                    failures = failures.saturating_add(1);
                }
            }
        }
    }
}

/// Pending invalidations are sent first, also to a tier that is too slow to be read: other processes wait for them.
async fn attempt(local: &Local, remote: &dyn Remote, budget: Duration) -> Result<(), RemoteError> {
    send_unsent(local, remote).await?;
    match timeout(budget / ANSWERS, remote.probe()).await {
        // A refusal is an answer in time, too.
        Ok(Ok(()) | Err(RemoteError { kind: RemoteErrorKind::Refused, .. })) => Ok(()),
        Ok(Err(error)) => Err(error),
        Err(_) => Err(RemoteError {
            kind: RemoteErrorKind::Timeout,
            message: "it answers, but too slowly for `redis_budget`".into(),
        }),
    }
}

/// The result of sending the journal.
pub(crate) enum Sent {
    All,
    /// A part of the tier is down. The journal keeps the invalidations for that part.
    AllButPartDown(RemoteError),
}

/// Sends the invalidations that the shared tier has not acknowledged, and after a gap those that it may have lost.
pub(crate) async fn send_unsent(local: &Local, remote: &dyn Remote) -> Result<Sent, RemoteError> {
    let gap = local.gap();
    let mut outcome = Sent::All;
    for unsent in local.journal.unsent(gap.is_some()).chunks(AT_ONCE) {
        for sent in join_all(unsent.iter().map(|unsent| send(local, remote, unsent))).await {
            match sent {
                // That part cannot be read either, and a gap begins when it is up again.
                Err(error) if error.kind == RemoteErrorKind::PartDown => outcome = Sent::AllButPartDown(error),
                sent => sent?,
            }
        }
    }
    // Invalidations that a part which is down had acknowledged are kept until they have been replayed: a replica
    // without them may take over.
    if let (Some(gap), Sent::All) = (gap, &outcome) {
        local.replayed_through(gap);
    }
    Ok(outcome)
}

async fn send(local: &Local, remote: &dyn Remote, unsent: &JournalEntry) -> Result<(), RemoteError> {
    match &unsent.notice {
        Notice::Entry(address, mode) => local.tell_invalidated(remote, address, *mode).await?,
        Notice::Group(stamp) => {
            remote.restamp(std::slice::from_ref(stamp)).await?;
            // The number known here is from before the restamp.
            local.stamps.forget(stamp.hash);
        }
    }
    local.journal.acknowledge(unsent);
    Ok(())
}
