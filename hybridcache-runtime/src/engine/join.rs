//! A call that missed memory: joins the key's flight, or leads one.
//!
//! [`LoadJob::start`] decides what the call is, [`LoadJob::join_or_lead`] is the choice of a miss, and [`wait`] is what joining
//! means. From there on a flight goes its own way ([`crate::engine::run`]), and its callers wait for its outcome.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::ready;
use tokio::runtime::Handle;

use crate::cache::InMemory;
use crate::engine::job::{Lead, LoadJob, Reason};
use crate::engine::scope::Mode;
use crate::entry::{Entry, RefreshClaim};
use crate::flight::outcome::Outcome;
use crate::flight::{Claim, Joined, Joiner, Leader};
use crate::primitives::timers::timeout_at;
use crate::stats::count;

/// How late a load's timeout may come to be known on a busy runtime.
const SLACK: Duration = Duration::from_millis(250);

/// What a call does next.
#[expect(clippy::large_enum_variant, reason = "it is matched at once; a box would cost each miss an allocation")]
pub(crate) enum Next {
    Decided(Decision),
    /// Another caller's flight loads the key.
    Wait(LoadJob, Joiner),
}

/// What a call has come to.
pub(crate) enum Decision {
    Answered(Outcome),
    /// The load is this call's to make.
    Load(Box<Lead>),
}

impl Next {
    fn answered(outcome: Outcome) -> Self {
        Self::Decided(Decision::Answered(outcome))
    }

    /// Waits until it is decided. Only a call that has to wait pays for a box.
    pub(crate) fn decided(self) -> impl Future<Output = Decision> + Send {
        match self {
            Self::Decided(decision) => ready(decision).left_future(),
            Self::Wait(job, joiner) => wait(job, joiner).boxed().right_future(),
        }
    }
}

impl LoadJob {
    /// Decides what the call is. `stale`: memory has an entry, and the refresh of it is this call's to make.
    pub(crate) fn start(mut self, mode: Mode, stale: Option<(Arc<Entry>, RefreshClaim)>) -> Next {
        match (stale, mode) {
            (Some((entry, claim)), _) => self.refresh(entry, claim),
            (None, Mode::Bypass) => self.bypass(),
            (None, Mode::Refresh) if self.is_within_its_load() => self.bypass(),
            (None, Mode::Refresh) => {
                self.reason = Reason::Reload;
                let leader = self.flights().supersede(&self.key, || self.capture_stamps());
                self.load(leader)
            }
            (None, Mode::Normal) => self.join_or_lead(),
        }
    }

    fn refresh(mut self, entry: Arc<Entry>, claim: RefreshClaim) -> Next {
        // Outside of a runtime nothing can run in the background.
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

    /// Loads beside whatever is under way, and stores nothing.
    fn bypass(mut self) -> Next {
        self.reason = Reason::Bypass;
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
    /// The look into memory and the claim are one step: a value that another flight has stored since this call's first look answers
    /// it, and it does not wait for that value's refresh.
    pub(crate) fn join_or_lead(mut self) -> Next {
        if self.is_within_its_load() {
            return self.bypass();
        }
        // What the look finds outlives the lock: dropping a user's value may take its time.
        let mut found = InMemory::Nothing;
        let claim = {
            let job = &self;
            let look = || {
                found = job.look();
                matches!(found, InMemory::Usable(_))
            };
            job.flights().claim_unless(&job.key, look, || job.capture_stamps())
        };
        self.in_memory = found;
        match claim {
            None => self.answer_from_memory(),
            Some(Claim::Lead(leader)) => self.load_missed(leader),
            Some(Claim::Join(joiner)) => Next::Wait(self, joiner),
        }
    }

    /// What memory has that this call can use.
    fn look(&self) -> InMemory {
        match self.cache.look(&self.key) {
            InMemory::Usable(entry) if self.can_use(&entry) => InMemory::Usable(entry),
            InMemory::Unverified(entry) if self.can_use(&entry) => InMemory::Unverified(entry),
            _ => InMemory::Nothing,
        }
    }

    fn answer_from_memory(self) -> Next {
        let InMemory::Usable(entry) = self.in_memory else { return self.load_alone() };
        self.key.function.counters.hits_memory.count();
        Next::answered(Outcome::Value(entry))
    }

    fn load_missed(self, leader: Leader) -> Next {
        self.cache.local().memory.missed(&self.key);
        self.load(leader)
    }

    /// The error of the flight that this call had joined is not to be had twice: loads now, and not behind the others.
    fn lead_next(mut self) -> Next {
        let Some(leader) = self.flights().lead(&self.key, || self.capture_stamps()) else { return self.bypass() };
        self.in_memory = self.look();
        if let InMemory::Usable(entry) = &self.in_memory {
            leader.finish(|_| Outcome::Value(entry.clone()));
            return self.answer_from_memory();
        }
        self.load_missed(leader)
    }

    /// Waits until the call's own deadline. A load that is running by then, and will have run into its own timeout before the
    /// caller's would have passed once more, is waited for: if it hangs, another one by each of its waiters would only hang
    /// too.
    async fn outcome_of(&self, mut joiner: Joiner) -> Option<Joined> {
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

    /// Whether the entry is of this call's type, and not refused by it. Two functions that share an explicit name could differ.
    fn can_use(&self, entry: &Arc<Entry>) -> bool {
        Any::type_id(&entry.value) == self.plan.value.value_type() && self.plan.accepts(entry)
    }

    /// Whether an outcome has this call's types, and can be had by a call that only joined.
    fn can_have(&self, outcome: &Outcome) -> bool {
        match outcome {
            Outcome::Value(entry) => Any::type_id(&entry.value) == self.plan.value.value_type(),
            Outcome::Failed(failure) => failure.is_shared() && failure.error_type() == self.plan.error_type,
            Outcome::TimedOut => self.plan.timeout.is_some(),
            Outcome::Panicked(_) | Outcome::Abandoned => true,
        }
    }
}

/// Waits for the flight that a call has joined, and for the next one where the outcome of that one is not for it.
async fn wait(mut job: LoadJob, mut joiner: Joiner) -> Decision {
    count(&job.key.function.counters.joined);
    loop {
        if job.frame.is_some() {
            joiner.hurry();
        }
        let next = match job.outcome_of(joiner).await {
            Some(Joined::Outcome(outcome)) if job.can_have(&outcome) => Next::answered(outcome),
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
        }
    }
}
