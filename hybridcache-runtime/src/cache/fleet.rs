//! What the processes of a fleet say of themselves: a question on the channel of invalidations, answers on the channel of the process that asks.

use std::sync::{Arc, Weak};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::cache::questions::Question;
use crate::cache::{HybridCache, Inner};
use crate::primitives::timers::sleep;

/// How long answers are waited for.
const PATIENCE: Duration = Duration::from_millis(200);

/// A process, in short.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Summary {
    pub(crate) process: String,
    pub(crate) pid: u32,
    pub(crate) has_shared: bool,
    pub(crate) connected: bool,
    pub(crate) breaker_open: bool,
    pub(crate) pending_invalidations: u64,
    pub(crate) calls: u64,
    pub(crate) hit_ratio: f64,
    pub(crate) memory_entries: u64,
    pub(crate) memory_bytes: u64,
}

impl HybridCache {
    pub(crate) fn summary(&self) -> Summary {
        let stats = self.stats();
        let in_memory =
            self.functions().iter().map(|function| function.events.counters.in_memory()).collect::<Vec<_>>();
        Summary {
            process: format!("{:016x}", self.inner.process),
            pid: std::process::id(),
            has_shared: self.remote().is_some(),
            connected: self.is_connected(),
            breaker_open: self.local().breaker.is_open(),
            pending_invalidations: stats.pending_invalidations,
            calls: stats.calls(),
            hit_ratio: stats.hit_ratio(),
            memory_entries: in_memory.iter().map(|(entries, _)| entries).sum(),
            memory_bytes: in_memory.iter().map(|(_, bytes)| bytes).sum(),
        }
    }

    /// This process, and the others that answer in time.
    pub(crate) async fn fleet(&self) -> Vec<Summary> {
        let mut fleet = vec![self.summary()];
        if let Some(remote) = self.remote() {
            let question = Question::ask(&self.local().questions);
            remote.ask_fleet(question.nonce());
            sleep(PATIENCE).await;
            let answers = question.answers();
            fleet.extend(answers.iter().filter_map(|answer| serde_json::from_slice::<Summary>(answer).ok()));
        }
        fleet[1..].sort_by(|one, other| one.process.cmp(&other.process));
        fleet
    }

    /// Lets the cache answer the questions of other processes, as long as it lives.
    pub(super) fn answer_questions(&self) {
        let inner: Weak<Inner> = Arc::downgrade(&self.inner);
        let answer = move |to: u64, nonce: u64| {
            let Some(inner) = inner.upgrade() else { return };
            let Some(remote) = inner.shared.as_ref().map(|shared| shared.remote.clone()) else { return };
            // Not on the thread that reads messages.
            remote.clone().runtime().spawn(async move {
                if let Ok(answer) = serde_json::to_vec(&HybridCache { inner }.summary()) {
                    remote.answer_fleet(to, nonce, answer);
                }
            });
        };
        self.local().answer_with(Box::new(answer));
    }
}
