//! A call that missed memory: joins the key's flight, or leads one.
//!
//! [`LoadJob::start`] decides what the call is, [`LoadJob::join_or_lead`] decides for a miss between joining and
//! leading, and [`wait`] waits for a joined flight. The flight itself runs in [`crate::engine::run`].

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::ready;
use tokio::runtime::Handle;
use tokio::time::Instant;

use crate::cache::InMemory;
use crate::engine::explain::Source;
use crate::engine::job::{Lead, LoadJob, Reason};
use crate::engine::remembered::recall;
use crate::engine::scope::Mode;
use crate::engine::soft_timeout::Softly;
use crate::entry::{Entry, RefreshClaim, State};
use crate::flight::outcome::Outcome;
use crate::flight::{Claim, Joined, Joiner, Leader};
use crate::function::call_key::Key;
use crate::observe::EventKind;
use crate::primitives::timers::timeout_at;

/// How late a load's timeout may be noticed on a busy runtime.
const SLACK: Duration = Duration::from_millis(250);

/// A stale entry in memory, or one in the last part of its freshness, as a call has found it.
#[derive(Debug)]
pub(crate) enum StaleHit {
    /// The call has taken the right to refresh it.
    Refreshes(Arc<Entry>, RefreshClaim),
    /// Another call refreshes it, and this one waits for that a little.
    Waits(Arc<Entry>),
}

/// The next step of a call.
#[expect(clippy::large_enum_variant, reason = "it is matched at once; a box would cost each miss an allocation")]
pub(crate) enum Next {
    Decided(Decision),
    /// Another caller's flight loads the key.
    Wait(LoadJob, Joiner),
    /// Another caller's flight refreshes the stale value.
    WaitSoftly(Softly, Arc<Entry>),
}

/// The decision about a call.
pub(crate) enum Decision {
    Answered(Outcome),
    /// This call has to load.
    Load(Box<Lead>),
}

impl Next {
    fn answered(outcome: Outcome) -> Self {
        Self::Decided(Decision::Answered(outcome))
    }

    /// Waits until the call is decided. Only a call that has to wait allocates a box.
    pub(crate) fn decided(self) -> impl Future<Output = Decision> + Send {
        match self {
            Self::Decided(decision) => ready(decision).left_future(),
            Self::Wait(job, joiner) => wait(job, joiner).boxed().right_future(),
            Self::WaitSoftly(softly, stale) => {
                softly.refreshed(Outcome::Value(stale)).map(Decision::Answered).boxed().right_future()
            }
        }
    }
}

impl LoadJob {
    /// Decides what the call is. `stale`: the entry in memory.
    pub(crate) fn start(mut self, mode: Mode, stale: Option<StaleHit>) -> Next {
        match (stale, mode) {
            (Some(StaleHit::Refreshes(entry, claim)), _) => self.refresh(entry, claim),
            (Some(StaleHit::Waits(entry)), _) => match self.softly() {
                Some(softly) => Next::WaitSoftly(softly, entry),
                None => Next::answered(Outcome::Value(entry)),
            },
            (None, Mode::Bypass) => self.bypass(),
            (None, Mode::Refresh) if self.is_within_its_load() => self.bypass(),
            (None, Mode::Refresh) => {
                self.reason = Reason::Reload;
                self.turned_out(EventKind::Bypassed);
                let leader = self.flights().supersede(&self.key, || self.capture_stamps());
                self.load(leader)
            }
            (None, Mode::Normal | Mode::Explained) => self.join_or_lead(),
        }
    }

    fn refresh(mut self, entry: Arc<Entry>, claim: RefreshClaim) -> Next {
        // A refresh runs in a task: outside of a runtime there is none, and the stale value is the answer.
        let leader = match Handle::try_current() {
            Ok(_) => self.flights().lead(&self.key, || self.capture_stamps()),
            Err(_) => None,
        };
        let Some(leader) = leader else {
            claim.done();
            return Next::answered(Outcome::Value(entry));
        };
        self.reason = Reason::Refresh(claim);
        self.in_memory = InMemory::Usable(entry);
        self.load(leader)
    }

    /// Loads beside any other load of the key, and stores nothing.
    fn bypass(mut self) -> Next {
        self.reason = Reason::Bypass;
        self.turned_out(EventKind::Bypassed);
        self.load_alone()
    }

    fn load_alone(self) -> Next {
        let leader = self.flights().solo(&self.key);
        self.load(leader)
    }

    fn load(self, leader: Leader) -> Next {
        Next::Decided(Decision::Load(self.lead(leader)))
    }

    /// One load per key in this process.
    ///
    /// The look into memory and the claim are one step, under the stripe's lock. Otherwise a flight could store its
    /// value and end between the two: this call would find neither the value nor the flight, and load the key a second
    /// time. A stale value answers the call too; it does not wait for that value's refresh.
    pub(crate) fn join_or_lead(self) -> Next {
        if self.is_within_its_load() {
            return self.bypass();
        }
        // Declared outside of the lock's scope, also for an entry that this call cannot use: it may be the last reference
        // to a user's value, whose `Drop` may take long.
        let mut found = InMemory::Nothing;
        let claim = {
            let job = &self;
            let look = || {
                found = job.cache.look(&job.key);
                job.usable(&found).cloned()
            };
            job.flights().claim_unless(&job.key, look, || job.capture_stamps())
        };
        match claim {
            ControlFlow::Break(entry) => self.answer(entry),
            ControlFlow::Continue(Claim::Lead(leader)) => self.load_missed(leader, found),
            ControlFlow::Continue(Claim::Join(joiner)) => Next::Wait(self, joiner),
        }
    }

    /// The entry that answers this call, if the look into memory found one.
    fn usable<'a>(&self, found: &'a InMemory) -> Option<&'a Arc<Entry>> {
        match found {
            InMemory::Usable(entry) => {
                Some(entry).filter(|entry| self.can_use(entry) || self.remembered(entry).is_some())
            }
            InMemory::Unverified(_) | InMemory::Nothing => None,
        }
    }

    /// The error of an earlier load, if it answers this call too.
    fn remembered(&self, entry: &Entry) -> Option<Outcome> {
        self.plan.freshness.err_ttl?;
        recall(&self.cache, entry).filter(|outcome| self.can_have(outcome))
    }

    /// Answers with an entry of memory.
    fn answer(&self, entry: Arc<Entry>) -> Next {
        if let Some(outcome) = self.remembered(&entry) {
            if !self.has_outcome {
                self.key.happened(EventKind::Joined);
            }
            return Next::answered(outcome);
        }
        if !self.has_outcome {
            let is_stale = self.cache.state(&entry, self.cache.clock().now()) == State::Stale;
            self.cache.hit_in_memory(&entry, is_stale);
            self.explained.iter().for_each(|explained| explained.source(Source::Memory));
        }
        self.answered(Some(&entry));
        Next::answered(Outcome::Value(entry))
    }

    /// Loads what no entry in memory answers. `found`: the result of the look into memory.
    fn load_missed(mut self, leader: Leader, found: InMemory) -> Next {
        if matches!(&found, InMemory::Unverified(entry) if self.can_use(entry)) {
            self.in_memory = found;
        }
        self.load(leader)
    }

    /// The flight that this call had joined ended with an outcome that this call cannot have: an error for one caller
    /// only, or a value of another type. This call leads the next flight, as joining again could end the same way, once
    /// for each waiter.
    fn lead_next(self) -> Next {
        let Some(leader) = self.flights().lead(&self.key, || self.capture_stamps()) else { return self.bypass() };
        let found = self.cache.look(&self.key);
        if let Some(entry) = self.usable(&found) {
            let outcome = self.remembered(entry).unwrap_or_else(|| Outcome::Value(entry.clone()));
            leader.finish(|_| outcome);
            return self.answer(entry.clone());
        }
        self.load_missed(leader, found)
    }

    /// Waits until the call's own deadline, and longer for a load that is running by then, if that load's timeout ends
    /// it within one more timeout of this call. If that load hangs, a load by each of its waiters would probably hang
    /// too, and add to the overload.
    async fn outcome_of(&self, mut joiner: Joiner) -> Option<Joined> {
        // The caller that drives the flight inline may stop polling it: from now on a task drives it.
        if let Some(future) = joiner.detach() {
            tokio::spawn(future);
        }
        if let Ok(joined) = timeout_at(self.deadline, &mut joiner).await {
            return Some(joined);
        }
        let soon = self.deadline + self.plan.timeout?;
        let ends_by = joiner.ends_by().filter(|ends_by| *ends_by <= soon)?;
        timeout_at(ends_by + SLACK, joiner).await.ok()
    }

    fn can_use(&self, entry: &Arc<Entry>) -> bool {
        self.plan.has_type_of(entry) && self.plan.accepts(entry)
    }

    /// Whether an outcome has this call's types and may be given to a call that joined.
    fn can_have(&self, outcome: &Outcome) -> bool {
        match outcome {
            Outcome::Value(entry) => self.plan.has_type_of(entry),
            Outcome::Failed(failure) => failure.is_shared() && failure.error_type() == self.plan.error_type,
            Outcome::TimedOut => self.plan.timeout.is_some(),
            Outcome::Panicked(_) | Outcome::Abandoned => true,
        }
    }
}

/// Waits for the flight that a call has joined. Where this call cannot use its outcome, joins or leads the next one.
async fn wait(mut job: LoadJob, joiner: Joiner) -> Decision {
    job.turned_out(EventKind::Joined);
    let waiting = Waiting { key: job.key.clone(), began: Instant::now() };
    let softly = job.softly();
    let decision = match (decide(job, joiner).await, softly) {
        (Decision::Answered(outcome), Some(softly)) => Decision::Answered(softly.refreshed(outcome).await),
        (decision, _) => decision,
    };
    drop(waiting);
    decision
}

/// Measures how long a call waits, also if it is dropped.
struct Waiting {
    key: Arc<Key>,
    began: Instant,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.key.happened(EventKind::Waited { took: self.began.elapsed() });
    }
}

async fn decide(mut job: LoadJob, mut joiner: Joiner) -> Decision {
    loop {
        // The load that makes this call may hold a permit of the degraded queue. The flight that it waits for must not
        // queue for another one.
        if job.frame.is_some() {
            joiner.hurry();
        }
        let next = match job.outcome_of(joiner).await {
            Some(Joined::Outcome(outcome)) if job.can_have(&outcome) => {
                job.answered(outcome.entry());
                Next::answered(outcome)
            }
            Some(Joined::Retry) => job.join_or_lead(),
            Some(Joined::Outcome(_)) => job.lead_next(),
            None => {
                job.reason = Reason::WaitedTooLong;
                job.load_alone()
            }
        };
        match next {
            Next::Decided(decision) => return decision,
            Next::Wait(again, other) => (job, joiner) = (again, other),
            Next::WaitSoftly(_, stale) => return Decision::Answered(Outcome::Value(stale)),
        }
    }
}
