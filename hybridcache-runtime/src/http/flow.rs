//! One request: answered from the store, by its own call of the handler, or by a call that other requests share.

use std::panic::{AssertUnwindSafe, resume_unwind};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::{Either, select};
use http::{HeaderMap, Request, Response};
use http_body::Body;
use tokio::sync::oneshot;
use tower_service::Service;

use super::body::CacheBody;
use super::origin::exchange::{Ask, Draft, Drafted, Exchange, Fetched};
use super::origin::load::{Answered, LeaderReply, Load, SharedExchange, failed};
use super::request::cache_request::{CacheRequest, StoreLookup, VariantSlot};
use super::rfc::freshen::contradicted_by_head;
use super::rfc::reuse::{self, RevalidationReason};
use super::rfc::status::Forward;
use super::rfc::{CacheStatus, Reuse};
use super::settings::StaleOn;
use super::store::entry::{HttpEntry, LoadStart, RejectedEntry};
use super::store::record::{Record, StoredPage, Variants};
use crate::engine::job::Lead;
use crate::engine::join::Decision;
use crate::engine::run::start;
use crate::engine::task::Work;
use crate::flight::Leader;
use crate::flight::outcome::Outcome;
use crate::primitives::timers;
use crate::shared::Invalidation;

/// How often a request looks again under another key. Keys change when a handler names new fields or tags.
const ROUNDS: usize = 4;

/// The outcome of a load, for a request that led it or waited for it.
enum WaitOutcome<B: Body, E> {
    Answered(Answered<B, E>),
    /// The page is under another key: look up there, or where memory leads.
    LookAgain(Option<Arc<Variants>>),
    /// This request has to ask the handler for itself, and may store the answer.
    PassThrough(VariantSlot),
}

/// One request and its handler.
pub(super) struct RequestFlow<S, B> {
    request: Arc<CacheRequest>,
    asking: Arc<SharedExchange<S, B>>,
    /// Why the handler is called, if it is.
    forward: Forward,
    /// Another request has called it.
    collapsed: bool,
}

impl<S, B, B2> RequestFlow<S, B>
where
    S: Service<Request<B>, Response = Response<B2>> + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
    B: Send + 'static,
    B2: Body<Data = Bytes> + Send + 'static,
    B2::Error: Send + 'static,
{
    pub(super) fn new(request: Arc<CacheRequest>, exchange: Exchange<S, B>) -> Self {
        Self { request, asking: Arc::new(SharedExchange::new(exchange)), forward: Forward::UriMiss, collapsed: false }
    }

    pub(super) async fn run(mut self, mut looked: StoreLookup) -> Answered<B2, S::Error> {
        for _ in 0..ROUNDS {
            let known = match looked {
                StoreLookup::Hit(held, aged) => return Ok(self.request.hit(&held, aged)),
                StoreLookup::Refresh(held, slot) => {
                    self.refresh(slot, &held).await;
                    return Ok(self.request.hit(&held, self.request.aged(&held)));
                }
                StoreLookup::OnlyIfCached => return Ok(self.request.gateway_timeout(None)),
                StoreLookup::Pass(slot, stored) => return self.pass(slot, stored).await,
                StoreLookup::HitForPass(slot, mark) => match slot.entry.refresh(&mark) {
                    Some(lead) => return self.probe_hit_for_pass(lead, slot).await,
                    None => return self.pass(Some(slot), None).await,
                },
                StoreLookup::Head(slot, held) => return self.head(slot, held).await,
                StoreLookup::Load(slot, stored) => match self.load(slot, stored).await {
                    WaitOutcome::Answered(answered) => return answered,
                    WaitOutcome::LookAgain(variants) => variants,
                    WaitOutcome::PassThrough(slot) => {
                        let slot = self.request.storing(slot);
                        return self.pass(slot, None).await;
                    }
                },
            };
            looked = self.request.look(known);
        }
        self.pass(None, None).await
    }

    /// Asks the handler in the background, unless a refresh is running.
    async fn refresh(&self, slot: VariantSlot, held: &StoredPage) {
        if let Some(lead) = slot.entry.refresh(&held.entry) {
            let (work, _) = self.work(slot, Arc::new(Mutex::new(Some(held.entry.clone()))));
            start(lead, work).await;
        }
    }

    /// Joins the load of this key, or leads it.
    async fn load(&mut self, slot: VariantSlot, stored: Option<StoredPage>) -> WaitOutcome<B2, S::Error> {
        self.forward = self.why(&slot, stored.as_ref());
        let request = self.request.clone();
        let refused: RejectedEntry = Arc::new(Mutex::new(stored.map(|held| held.entry)));
        match slot.entry.join(move |entry| request.accepts(entry), &refused).await {
            Decision::Load(lead) => self.lead(lead, slot, refused).await,
            Decision::Answered(outcome) => {
                self.collapsed = true;
                self.end(outcome, slot, &refused)
            }
        }
    }

    /// Probes a hit-for-pass key: the answer is for this request, and may end the state. No other request waits for it.
    async fn probe_hit_for_pass(self, lead: Box<Lead>, slot: VariantSlot) -> Answered<B2, S::Error> {
        let (work, direct) = self.work(slot.clone(), RejectedEntry::default());
        drop(start(lead, work));
        match (direct.await, self.asking.made()) {
            (Ok(told), _) => self.told(told),
            (Err(_), Some(page)) => Ok(self.request.fresh(page, self.status(true))),
            // Another request probes already.
            (Err(_), None) => self.pass(Some(slot), None).await,
        }
    }

    async fn lead(&mut self, lead: Box<Lead>, slot: VariantSlot, refused: RejectedEntry) -> WaitOutcome<B2, S::Error> {
        let (work, direct) = self.work(slot.clone(), refused.clone());
        let flying = start(lead, work);
        let (told, outcome) = match select(direct, flying).await {
            Either::Left((Ok(told), _)) => (Some(told), None),
            // The load sent no reply of its own, or did not run.
            Either::Left((Err(_), flying)) => (None, Some(flying.await)),
            Either::Right((outcome, mut direct)) => (direct.try_recv().ok(), Some(outcome)),
        };
        match (told, outcome) {
            (Some(told), _) => WaitOutcome::Answered(self.told(told)),
            (None, Some(outcome)) => self.end(outcome, slot, &refused),
            (None, None) => WaitOutcome::PassThrough(slot),
        }
    }

    fn work(&self, slot: VariantSlot, refused: RejectedEntry) -> (Work, oneshot::Receiver<LeaderReply<B2, S::Error>>) {
        let (direct, told) = oneshot::channel();
        let load = Load { request: self.request.clone(), slot, asking: self.asking.clone(), refused, direct };
        (Work::new(load.run()), told)
    }

    /// The reply of this request's own load.
    fn told(&self, told: LeaderReply<B2, S::Error>) -> Answered<B2, S::Error> {
        let (request, forward) = (&self.request, self.forward);
        Ok(match told {
            LeaderReply::PassThrough(answered) => request.own(answered?, forward),
            LeaderReply::Page(page, personal) => with(request.fresh(&page, self.status(true)), personal),
            LeaderReply::Stale(held, status) => request.stale(&held, forward, status),
            LeaderReply::GatewayTimeout => request.gateway_timeout(Some(forward)),
        })
    }

    /// What a load's outcome means for a request that waited for it.
    fn end(&self, outcome: Outcome, slot: VariantSlot, refused: &RejectedEntry) -> WaitOutcome<B2, S::Error> {
        let entry = match outcome {
            Outcome::Value(entry) => entry,
            Outcome::TimedOut => {
                return WaitOutcome::Answered(Ok(self
                    .failed(refused, StaleOn::TIMEOUT)
                    .unwrap_or_else(|| self.late())));
            }
            Outcome::Panicked(message) => match self.failed(refused, StaleOn::PANIC) {
                Some(response) => return WaitOutcome::Answered(Ok(response)),
                None => resume_unwind(Box::new(message.to_string())),
            },
            Outcome::Failed(_) | Outcome::Abandoned => return WaitOutcome::PassThrough(slot),
        };
        match Record::of(&entry) {
            Some(Record::Page(page)) => self.loaded(StoredPage { page: page.clone(), entry }, slot),
            Some(Record::Variants(variants)) => {
                HttpEntry::count_demand(self.request.cache(), &entry);
                WaitOutcome::LookAgain(Some(variants.clone()))
            }
            Some(Record::Again) => WaitOutcome::LookAgain(None),
            Some(Record::Failed(Some(held))) => WaitOutcome::Answered(Ok(self.request.stale(held, self.forward, None))),
            Some(Record::Failed(None) | Record::HitForPass(_)) | None => WaitOutcome::PassThrough(slot),
        }
    }

    /// The answer after a load without any result: a stale page, or 504 where stale pages are forbidden; `None`: neither.
    fn failed(&self, refused: &RejectedEntry, failure: StaleOn) -> Option<Response<CacheBody<B2>>> {
        let held = self.request.standing(refused)?;
        if self.request.settings.stale_on.has(failure) && self.request.stands_in(&held) {
            return Some(self.request.stale(&held, self.forward, None));
        }
        reuse::forbids_stale(&held.page.head).then(|| self.late())
    }

    fn late(&self) -> Response<CacheBody<B2>> {
        self.request.gateway_timeout(Some(self.forward))
    }

    /// A loaded page: by this request, another one, or another process.
    fn loaded(&self, held: StoredPage, slot: VariantSlot) -> WaitOutcome<B2, S::Error> {
        let response = if self.asking.has_made(&held.page) {
            self.request.fresh(&held.page, self.status(true))
        } else if self.collapsed && !self.request.accepts_shared(&held) {
            return WaitOutcome::PassThrough(slot);
        } else if self.collapsed {
            HttpEntry::count_demand(self.request.cache(), &held.entry);
            self.request.fresh(&held.page, self.status(true))
        } else {
            self.request.hit(&held, self.request.aged(&held))
        };
        WaitOutcome::Answered(Ok(response))
    }

    /// Asks the handler for this request alone. Where there is a place for it, its answer is stored in this process.
    async fn pass(mut self, slot: Option<VariantSlot>, stored: Option<StoredPage>) -> Answered<B2, S::Error> {
        let Some(exchange) = self.asking.take() else { return Ok(self.late()) };
        let timeout = self.request.settings.timeout;
        let Some(slot) = slot else {
            let forward = if self.request.secrets.any() { Forward::Bypass } else { Forward::Miss };
            return self.forward(exchange, forward).await;
        };
        self.forward = self.why(&slot, stored.as_ref());
        let begun = slot.entry.begin();
        let reserved = slot.entry.reserve(&begun);
        let fetching = AssertUnwindSafe(exchange.fetch(&self.request, stored.as_ref(), Ask::AsAsked)).catch_unwind();
        let refused: RejectedEntry = Arc::new(Mutex::new(stored.as_ref().map(|held| held.entry.clone())));
        match within(timeout, fetching).await {
            None => Ok(self.failed(&refused, StaleOn::TIMEOUT).unwrap_or_else(|| self.late())),
            Some(Err(panic)) => Ok(self.failed(&refused, StaleOn::PANIC).unwrap_or_else(|| resume_unwind(panic))),
            Some(Ok(Fetched::PassThrough(response) | Fetched::Incomplete(response))) => {
                Ok(self.request.own(response, self.forward))
            }
            Some(Ok(Fetched::Streamed(response, draft))) => {
                tokio::spawn(keep(self.request.clone(), slot, begun, reserved, draft));
                Ok(self.request.own(response, self.forward))
            }
            Some(Ok(Fetched::Failed(answered))) => self.told(failed(&self.request, answered, stored).0),
            Some(Ok(Fetched::Storable(page, kept, personal))) => {
                let record = Record::Page(page.clone());
                let is_kept = slot.fits(&self.request, &kept) && slot.entry.keep(reserved, &begun, record);
                Ok(with(self.request.fresh(&page, self.status(is_kept)), personal))
            }
        }
    }

    /// Asks the handler as the client does, and stores nothing.
    async fn forward(self, exchange: Exchange<S, B>, forward: Forward) -> Answered<B2, S::Error> {
        match within(self.request.settings.timeout, exchange.forward(&self.request)).await {
            Some(answered) => Ok(self.request.own(answered?, forward)),
            None => Ok(self.request.gateway_timeout(Some(forward))),
        }
    }

    async fn head(self, slot: VariantSlot, held: StoredPage) -> Answered<B2, S::Error> {
        let Some(exchange) = self.asking.take() else { return Ok(self.late()) };
        let (head, body) = self.forward(exchange, Forward::Stale).await?.into_parts();
        if contradicted_by_head(&held.page.head, &head) {
            // If Redis cannot be reached, the journal keeps it: other processes hear of it later.
            let _ = slot.entry.cache.invalidate(&slot.entry.key, Invalidation::Delete).await;
        }
        Ok(Response::from_parts(head, body))
    }

    fn status(&self, stored: bool) -> CacheStatus {
        CacheStatus { forward: Some(self.forward), stored, collapsed: self.collapsed, ..CacheStatus::default() }
    }

    /// Why the handler is called.
    fn why(&self, slot: &VariantSlot, stored: Option<&StoredPage>) -> Forward {
        match stored.map(|held| self.request.reuse(held)) {
            Some(Reuse::Revalidate(RevalidationReason::Request)) => Forward::Request,
            Some(_) => Forward::Stale,
            None if slot.variants.is_some() => Forward::VaryMiss,
            None => Forward::UriMiss,
        }
    }
}

/// Records a body on its way to its requester, and stores the page in this process.
async fn keep<B: Body<Data = Bytes>>(
    request: Arc<CacheRequest>,
    slot: VariantSlot,
    begun: LoadStart,
    reserved: Leader,
    draft: Box<Draft<B>>,
) {
    if let Drafted::Page(page, kept) = draft.record().await
        && slot.fits(&request, &kept)
    {
        slot.entry.keep(reserved, &begun, Record::Page(page));
    }
}

/// With the fields that its requester alone gets.
fn with<B>(mut response: Response<B>, personal: HeaderMap) -> Response<B> {
    response.headers_mut().extend(personal);
    response
}

/// `None`: it took too long.
async fn within<F: Future>(timeout: Option<Duration>, future: F) -> Option<F::Output> {
    match timeout {
        Some(timeout) => timers::timeout(timeout, future).await.ok(),
        None => Some(future.await),
    }
}
