//! How the breaker closes: one task for each cache object sends what is pending, then tries whether the shared tier
//! answers in time. No caller ever does.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tracing::info;

use crate::cache::state::Local;
use crate::primitives::backoff::Backoff;
use crate::primitives::log_limit::{LogLimit, MINUTE, warn_or_debug};
use crate::shared::budget::ANSWERS;
use crate::shared::journal::{JournalEntry, Notice};
use crate::shared::{Remote, RemoteError, RemoteErrorKind};

/// The pause after the first attempt; it doubles with each further one. A tier that is back is noticed within the longest.
const PAUSES: Backoff = Backoff::new(Duration::from_millis(20), Duration::from_millis(400));

/// How many notices are sent at once.
const AT_ONCE: usize = 128;

/// The task. Dropping this ends it.
#[derive(Debug)]
pub(crate) struct Recovery {
    task: JoinHandle<()>,
}

impl Recovery {
    /// `budget`: within this time a healthy tier answers all that one call needs.
    pub(crate) fn start(local: Arc<Local>, remote: Arc<dyn Remote>, budget: Duration) -> Self {
        let runtime = remote.runtime().clone();
        Self { task: runtime.spawn(recover(local, remote, budget)) }
    }

    /// What has failed is not tried again.
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
    loop {
        local.breaker.changed().await;
        let mut failures = 0;
        while let Some(reasons) = local.breaker.reasons() {
            match attempt(&local, &*remote, budget).await {
                Ok(()) => {
                    local.breaker.close(reasons);
                    info!("Redis is in use again");
                }
                Err(error) => {
                    warn_or_debug!(log_limit, %error, "Redis is not in use; trying on in the background");
                    // Only a sign that the tier may be back shortens the pause.
                    let _ = timeout(PAUSES.jittered(failures), local.breaker.changed()).await;
                    failures = failures.saturating_add(1);
                }
            }
        }
    }
}

/// What is pending goes first, also to a tier that is too slow to be read: other processes wait for it.
async fn attempt(local: &Local, remote: &dyn Remote, budget: Duration) -> Result<(), RemoteError> {
    send_unsent(local, remote).await?;
    match timeout(budget / ANSWERS, remote.probe()).await {
        // Whatever it says, it says it in time.
        Ok(Ok(()) | Err(RemoteError { kind: RemoteErrorKind::Refused, .. })) => Ok(()),
        Ok(Err(error)) => Err(error),
        Err(_) => Err(RemoteError {
            kind: RemoteErrorKind::Timeout,
            message: "it answers, but too slowly for `redis_budget`".into(),
        }),
    }
}

/// What was sent of the journal.
pub(crate) enum Sent {
    All,
    /// A part of the tier is down. What concerns that part stays in the journal.
    AllButPartDown(RemoteError),
}

/// Sends what the shared tier does not know, or may have forgotten.
pub(crate) async fn send_unsent(local: &Local, remote: &dyn Remote) -> Result<Sent, RemoteError> {
    let gap = local.gap();
    let mut outcome = Sent::All;
    for unsent in local.journal.unsent(gap.is_some()).chunks(AT_ONCE) {
        for sent in join_all(unsent.iter().map(|unsent| send(local, remote, unsent))).await {
            match sent {
                // The part cannot be read either, and when it is back there is a gap.
                Err(error) if error.kind == RemoteErrorKind::PartDown => outcome = Sent::AllButPartDown(error),
                sent => sent?,
            }
        }
    }
    // What was acknowledged by a part that is down is kept until it was sent again: a replica without it may take over.
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
            // What is known of it is from before.
            local.stamps.forget(stamp.hash);
        }
    }
    local.journal.acknowledge(unsent);
    Ok(())
}
