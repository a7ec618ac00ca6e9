//! Commands of many callers in one pipeline.
//!
//! Each write to a connection wakes the server, and each of its answers this process; with many callers that costs more than
//! the commands do. So those who ask at the same time are sent together: a command that finds others under way waits until
//! whoever else is ready to run has had its turn. One that finds none is sent at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::FutureExt;
use redis::{Cmd, Pipeline};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use tokio::task::yield_now;

use super::wire::{Reply, Wire};
use crate::remote::RemoteError;

/// How many callers' commands are sent together at most: the first of them is answered when the last of them is.
const LARGEST: usize = 32;

/// Where a wire's commands are put together. Dropping it ends its task.
pub(crate) struct Batches {
    queue: mpsc::UnboundedSender<Job>,
    underway: AtomicUsize,
}

/// One caller's commands, and where the answers go.
struct Job {
    commands: Commands,
    answer: oneshot::Sender<Result<Answers, RemoteError>>,
}

/// One command, or two of which the second runs right behind the first.
pub(crate) struct Commands(pub(crate) Cmd, pub(crate) Option<Cmd>);

/// To one command, or two.
type Answers = (Option<Reply>, Option<Reply>);

impl Batches {
    pub(crate) fn start(wire: Arc<Wire>, runtime: &Handle) -> Self {
        let (queue, jobs) = mpsc::unbounded_channel();
        runtime.spawn(send_all(wire, jobs, runtime.clone()));
        Self { queue, underway: AtomicUsize::new(0) }
    }

    /// Counts the caller among those who ask.
    pub(crate) fn enter(&self) -> Place<'_> {
        let others = self.underway.fetch_add(1, Ordering::Relaxed);
        Place { batches: self, is_alone: others == 0 }
    }

    /// Sends commands behind all that were sent this way before.
    pub(crate) async fn send(&self, commands: Commands) -> Result<Answers, RemoteError> {
        let (answer, answered) = oneshot::channel();
        let ended = || RemoteError::unavailable("the connection's runtime has ended");
        self.queue.send(Job { commands, answer }).map_err(|_| ended())?;
        answered.await.unwrap_or_else(|_| Err(ended()))
    }
}

/// One who asks.
pub(crate) struct Place<'a> {
    batches: &'a Batches,
    pub(crate) is_alone: bool,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.batches.underway.fetch_sub(1, Ordering::Relaxed);
    }
}

async fn send_all(wire: Arc<Wire>, mut queue: mpsc::UnboundedReceiver<Job>, runtime: Handle) {
    let mut jobs = Vec::with_capacity(LARGEST);
    while queue.recv_many(&mut jobs, LARGEST).await > 0 {
        yield_now().await;
        while jobs.len() < LARGEST
            && let Ok(job) = queue.try_recv()
        {
            jobs.push(job);
        }
        let jobs = std::mem::replace(&mut jobs, Vec::with_capacity(LARGEST));
        let mut sending = Box::pin(answer(wire.clone(), jobs));
        // The first poll puts it behind the batch before; another task waits for the answers.
        if sending.as_mut().now_or_never().is_none() {
            runtime.spawn(sending);
        }
    }
}

/// Sends a batch and hands out the answers.
async fn answer(wire: Arc<Wire>, mut jobs: Vec<Job>) {
    jobs.retain(|job| !job.answer.is_closed());
    let mut pipeline = Pipeline::with_capacity(2 * jobs.len());
    let mut waiting = Vec::with_capacity(jobs.len());
    for Job { commands: Commands(first, second), answer } in jobs {
        waiting.push((second.is_some(), answer));
        pipeline.add_command(first);
        second.into_iter().for_each(|second| {
            pipeline.add_command(second);
        });
    }
    if waiting.is_empty() {
        return;
    }
    let mut replies = wire.replies(&pipeline).await;
    for (is_pair, answer) in waiting {
        let answers = match &mut replies {
            Ok(replies) => Ok((replies.next(), if is_pair { replies.next() } else { None })),
            Err(error) => Err(error.clone()),
        };
        // Whoever asked may be gone.
        let _ = answer.send(answers);
    }
}
