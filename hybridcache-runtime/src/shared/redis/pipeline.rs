//! Sends the commands of many callers in one pipeline.
//!
//! Each write to a connection wakes the server, and each of its answers wakes this process. With many callers that
//! costs more than the commands themselves. So commands that are sent at the same time go out together: a command that
//! finds others in flight waits until the other tasks that are ready have run. A command that finds none in flight is
//! sent at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::FutureExt;
use redis::{Cmd, Pipeline};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use tokio::task::yield_now;

use super::connection::{Connection, Reply};
use crate::shared::RemoteError;

/// How many callers' commands are sent together at most: the first is answered only when the last is.
const LARGEST: usize = 32;

/// Collects the commands of a connection into batches. Dropping it ends its task.
pub(crate) struct Batches {
    queue: mpsc::UnboundedSender<Job>,
    underway: Arc<AtomicUsize>,
}

/// One caller's commands, and the channel for their answers.
struct Job {
    commands: Commands,
    answer: oneshot::Sender<Result<Answers, RemoteError>>,
    /// Held until the commands are answered, or dropped unsent.
    place: InFlight,
}

/// One command, or two of which the second runs right behind the first.
pub(crate) struct Commands(pub(crate) Cmd, pub(crate) Option<Cmd>);

/// The answers to one command, or to two.
type Answers = (Option<Reply>, Option<Reply>);

impl Batches {
    pub(crate) fn start(wire: Arc<Connection>, runtime: &Handle) -> Self {
        let (queue, jobs) = mpsc::unbounded_channel();
        runtime.spawn(send_all(wire, jobs, runtime.clone()));
        Self { queue, underway: Arc::default() }
    }

    /// Counts commands as in flight.
    pub(crate) fn enter(&self) -> InFlight {
        // Pairs with the decrement in `InFlight`: commands that find no others in flight are sent behind all that have
        // left.
        let others = self.underway.fetch_add(1, Ordering::AcqRel);
        InFlight { underway: self.underway.clone(), is_alone: others == 0 }
    }

    /// Sends commands behind all commands that were sent before this call.
    pub(crate) fn send(
        &self,
        commands: Commands,
        place: InFlight,
    ) -> impl Future<Output = Result<Answers, RemoteError>> + Send + use<> {
        let (answer, answered) = oneshot::channel();
        // If the task has ended, the `answer` is dropped with the job.
        let _ = self.queue.send(Job { commands, answer, place });
        async move { answered.await.unwrap_or_else(|_| Err(RemoteError::unavailable("the connection's runtime has ended"))) }
    }
}

/// Commands that are in flight. The count belongs to the commands and not to their caller: a caller may give up
/// commands that still wait to be sent. If they were no longer counted, the next command would find none in flight, be
/// sent at once, and overtake them.
pub(crate) struct InFlight {
    underway: Arc<AtomicUsize>,
    pub(crate) is_alone: bool,
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.underway.fetch_sub(1, Ordering::AcqRel);
    }
}

async fn send_all(wire: Arc<Connection>, mut queue: mpsc::UnboundedReceiver<Job>, runtime: Handle) {
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
        // The first poll sends the batch behind the one before; another task waits for the answers.
        if sending.as_mut().now_or_never().is_none() {
            runtime.spawn(sending);
        }
    }
}

/// Sends a batch and hands out the answers.
async fn answer(wire: Arc<Connection>, mut jobs: Vec<Job>) {
    jobs.retain(|job| !job.answer.is_closed());
    let mut pipeline = Pipeline::with_capacity(2 * jobs.len());
    let mut waiting = Vec::with_capacity(jobs.len());
    for Job { commands: Commands(first, second), answer, place } in jobs {
        waiting.push((second.is_some(), answer, place));
        pipeline.add_command(first);
        second.into_iter().for_each(|second| {
            pipeline.add_command(second);
        });
    }
    if waiting.is_empty() {
        return;
    }
    let mut replies = wire.replies(&pipeline).await;
    for (is_pair, answer, place) in waiting {
        let answers = match &mut replies {
            Ok(replies) => Ok((replies.next(), if is_pair { replies.next() } else { None })),
            Err(error) => Err(error.clone()),
        };
        drop(place);
        // The caller may have been dropped.
        let _ = answer.send(answers);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test panics to fail")]
mod tests {
    use hybridcache_test_support::RedisServer;
    use redis::{Client, cmd};

    use super::*;
    use crate::shared::redis::health::Health;

    /// Killed by: a count that follows the callers.
    #[tokio::test]
    async fn a_command_counts_until_it_was_answered_also_when_its_caller_has_gone() {
        let server = RedisServer::start();
        let client = Client::open(server.url()).unwrap();
        let commands = client.get_multiplexed_async_connection().await.unwrap();
        let wire = Arc::new(Connection { commands, health: Arc::new(Health::new()), runtime: Handle::current() });
        let batches = Batches::start(wire, &Handle::current());
        let first = batches.enter();
        assert!(first.is_alone);
        let second = batches.enter();
        assert!(!second.is_alone);
        let mut given_up = Box::pin(batches.send(Commands(cmd("PING"), None), second));
        assert!(given_up.as_mut().now_or_never().is_none());
        drop(first);
        drop(given_up);
        let third = batches.enter();
        assert!(!third.is_alone, "the second may still be sent");
        batches.send(Commands(cmd("PING"), None), third).await.unwrap();
        assert!(batches.enter().is_alone, "all have been answered");
    }
}
