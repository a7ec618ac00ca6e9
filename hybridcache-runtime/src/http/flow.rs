//! The way of one request: the store, or the handler, alone or for all who wait.

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
use super::origin::load::{Answered, Asking, Direct, Load, failed};
use super::request::cache_request::{Looked, Place, Visit};
use super::rfc::freshen::contradicted_by_head;
use super::rfc::reuse::{self, Reason};
use super::rfc::status::Forward;
use super::rfc::{CacheStatus, Reuse};
use super::settings::StaleOn;
use super::store::entry::{Begun, Refused, Slot};
use super::store::record::{Held, Record, Variants};
use crate::engine::join::{Duty, Settled, fly};
use crate::engine::task::Work;
use crate::flight::Leader;
use crate::flight::outcome::Outcome;
use crate::primitives::timers;
use crate::shared::Invalidation;

/// How often a request is sent on to where its answer stands. It moves when a handler names new fields or tags.
const ROUNDS: usize = 4;

/// What came of waiting for a load.
enum Ended<B: Body, E> {
    Answered(Answered<B, E>),
    /// The answers stand apart: there, or where memory says.
    Elsewhere(Option<Arc<Variants>>),
    /// This request has to ask the handler for itself, and may store what it says.
    Alone(Place),
}

/// One request and its handler.
pub(super) struct Drive<S, B> {
    visit: Arc<Visit>,
    asking: Arc<Asking<S, B>>,
    /// Why the handler is asked, if it is.
    forward: Forward,
    /// Somebody else has asked it.
    collapsed: bool,
}

impl<S, B, B2> Drive<S, B>
where
    S: Service<Request<B>, Response = Response<B2>> + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
    B: Send + 'static,
    B2: Body<Data = Bytes> + Send + 'static,
    B2::Error: Send + 'static,
{
    pub(super) fn new(visit: Arc<Visit>, exchange: Exchange<S, B>) -> Self {
        Self { visit, asking: Arc::new(Asking::new(exchange)), forward: Forward::UriMiss, collapsed: false }
    }

    pub(super) async fn run(mut self, mut looked: Looked) -> Answered<B2, S::Error> {
        for _ in 0..ROUNDS {
            let known = match looked {
                Looked::Hit(held, aged) => return Ok(self.visit.hit(&held, aged)),
                Looked::Refresh(held, place) => {
                    self.refresh(place, &held).await;
                    return Ok(self.visit.hit(&held, self.visit.aged(&held)));
                }
                Looked::OnlyIfCached => return Ok(self.visit.gateway_timeout(None)),
                Looked::Pass(place, stored) => return self.pass(place, stored).await,
                Looked::Mark(place, mark) => match place.slot.refresh(&mark) {
                    Some(duty) => return self.look_after(duty, place).await,
                    None => return self.pass(Some(place), None).await,
                },
                Looked::Head(place, held) => return self.head(place, held).await,
                Looked::Load(place, stored) => match self.load(place, stored).await {
                    Ended::Answered(answered) => return answered,
                    Ended::Elsewhere(variants) => variants,
                    Ended::Alone(place) => {
                        let place = self.visit.storing(place);
                        return self.pass(place, None).await;
                    }
                },
            };
            looked = self.visit.look(known);
        }
        self.pass(None, None).await
    }

    /// Asks the handler in the background, where nobody does already.
    async fn refresh(&self, place: Place, held: &Held) {
        if let Some(duty) = place.slot.refresh(&held.entry) {
            let (work, _) = self.work(place, Arc::new(Mutex::new(Some(held.entry.clone()))));
            fly(duty, work).await;
        }
    }

    /// Asks the handler for all who wait, or waits for who has asked.
    async fn load(&mut self, place: Place, stored: Option<Held>) -> Ended<B2, S::Error> {
        self.forward = self.why(&place, stored.as_ref());
        let visit = self.visit.clone();
        let refused: Refused = Arc::new(Mutex::new(stored.map(|held| held.entry)));
        match place.slot.join(move |entry| visit.accepts(entry), &refused).await {
            Settled::Load(duty) => self.lead(duty, place, refused).await,
            Settled::Answered(outcome) => {
                self.collapsed = true;
                self.end(outcome, place, &refused)
            }
        }
    }

    /// Asks the handler where nobody waits for another: its answer is this request's, and may end that.
    async fn look_after(self, duty: Duty, place: Place) -> Answered<B2, S::Error> {
        let (work, direct) = self.work(place.clone(), Refused::default());
        drop(fly(duty, work));
        match (direct.await, self.asking.made()) {
            (Ok(told), _) => self.told(told),
            (Err(_), Some(page)) => Ok(self.visit.fresh(page, self.status(true))),
            // Somebody else has looked.
            (Err(_), None) => self.pass(Some(place), None).await,
        }
    }

    async fn lead(&mut self, duty: Duty, place: Place, refused: Refused) -> Ended<B2, S::Error> {
        let (work, direct) = self.work(place.clone(), refused.clone());
        let flying = fly(duty, work);
        let (told, outcome) = match select(direct, flying).await {
            Either::Left((Ok(told), _)) => (Some(told), None),
            // It has nothing to tell, or nothing was loaded.
            Either::Left((Err(_), flying)) => (None, Some(flying.await)),
            Either::Right((outcome, mut direct)) => (direct.try_recv().ok(), Some(outcome)),
        };
        match (told, outcome) {
            (Some(told), _) => Ended::Answered(self.told(told)),
            (None, Some(outcome)) => self.end(outcome, place, &refused),
            (None, None) => Ended::Alone(place),
        }
    }

    fn work(&self, place: Place, refused: Refused) -> (Work, oneshot::Receiver<Direct<B2, S::Error>>) {
        let (direct, told) = oneshot::channel();
        let load = Load { visit: self.visit.clone(), place, asking: self.asking.clone(), refused, direct };
        (Work::new(load.run()), told)
    }

    /// What this request's own load told it.
    fn told(&self, told: Direct<B2, S::Error>) -> Answered<B2, S::Error> {
        let (visit, forward) = (&self.visit, self.forward);
        Ok(match told {
            Direct::Own(answered) => visit.own(answered?, forward),
            Direct::Page(page, personal) => with(visit.fresh(&page, self.status(true)), personal),
            Direct::Stale(held, status) => visit.stale(&held, forward, status),
            Direct::GatewayTimeout => visit.gateway_timeout(Some(forward)),
        })
    }

    /// What the end of a load is to one who waited for it.
    fn end(&self, outcome: Outcome, place: Place, refused: &Refused) -> Ended<B2, S::Error> {
        let entry = match outcome {
            Outcome::Value(entry) => entry,
            Outcome::TimedOut => {
                return Ended::Answered(Ok(self.failed(refused, StaleOn::TIMEOUT).unwrap_or_else(|| self.late())));
            }
            Outcome::Panicked(message) => match self.failed(refused, StaleOn::PANIC) {
                Some(response) => return Ended::Answered(Ok(response)),
                None => resume_unwind(Box::new(message.to_string())),
            },
            Outcome::Failed(_) | Outcome::Abandoned => return Ended::Alone(place),
        };
        match Record::of(&entry) {
            Some(Record::Page(page)) => self.loaded(Held { page: page.clone(), entry }, place),
            Some(Record::Variants(variants)) => {
                Slot::count_demand(self.visit.cache(), &entry);
                Ended::Elsewhere(Some(variants.clone()))
            }
            Some(Record::Again) => Ended::Elsewhere(None),
            Some(Record::Failed(Some(held))) => Ended::Answered(Ok(self.visit.stale(held, self.forward, None))),
            Some(Record::Failed(None) | Record::Alone(_)) | None => Ended::Alone(place),
        }
    }

    /// What is to be had where the load gave nothing at all; `None`: nothing.
    fn failed(&self, refused: &Refused, failure: StaleOn) -> Option<Response<CacheBody<B2>>> {
        let held = self.visit.standing(refused)?;
        if self.visit.settings.stale_on.has(failure) && self.visit.stands_in(&held) {
            return Some(self.visit.stale(&held, self.forward, None));
        }
        reuse::forbids_stale(&held.page.head).then(|| self.late())
    }

    fn late(&self) -> Response<CacheBody<B2>> {
        self.visit.gateway_timeout(Some(self.forward))
    }

    /// A page that somebody has loaded: this request, another one, or another process.
    fn loaded(&self, held: Held, place: Place) -> Ended<B2, S::Error> {
        let response = if self.asking.has_made(&held.page) {
            self.visit.fresh(&held.page, self.status(true))
        } else if self.collapsed && !self.visit.accepts_shared(&held) {
            return Ended::Alone(place);
        } else if self.collapsed {
            Slot::count_demand(self.visit.cache(), &held.entry);
            self.visit.fresh(&held.page, self.status(true))
        } else {
            self.visit.hit(&held, self.visit.aged(&held))
        };
        Ended::Answered(Ok(response))
    }

    /// Asks the handler for this request alone. Where there is a place for it, its answer is stored in this process.
    async fn pass(mut self, place: Option<Place>, stored: Option<Held>) -> Answered<B2, S::Error> {
        let Some(exchange) = self.asking.take() else { return Ok(self.late()) };
        let timeout = self.visit.settings.timeout;
        let Some(place) = place else {
            let forward = if self.visit.secrets.any() { Forward::Bypass } else { Forward::Miss };
            return self.forward(exchange, forward).await;
        };
        self.forward = self.why(&place, stored.as_ref());
        let begun = place.slot.begin();
        let reserved = place.slot.reserve(&begun);
        let fetching = AssertUnwindSafe(exchange.fetch(&self.visit, stored.as_ref(), Ask::AsAsked)).catch_unwind();
        let refused: Refused = Arc::new(Mutex::new(stored.as_ref().map(|held| held.entry.clone())));
        match within(timeout, fetching).await {
            None => Ok(self.failed(&refused, StaleOn::TIMEOUT).unwrap_or_else(|| self.late())),
            Some(Err(panic)) => Ok(self.failed(&refused, StaleOn::PANIC).unwrap_or_else(|| resume_unwind(panic))),
            Some(Ok(Fetched::Own(response) | Fetched::Torn(response))) => Ok(self.visit.own(response, self.forward)),
            Some(Ok(Fetched::Streamed(response, draft))) => {
                tokio::spawn(keep(self.visit.clone(), place, begun, reserved, draft));
                Ok(self.visit.own(response, self.forward))
            }
            Some(Ok(Fetched::Failed(answered))) => self.told(failed(&self.visit, answered, stored).0),
            Some(Ok(Fetched::Whole(page, kept, personal))) => {
                let record = Record::Page(page.clone());
                let is_kept = place.fits(&self.visit, &kept) && place.slot.keep(reserved, &begun, record);
                Ok(with(self.visit.fresh(&page, self.status(is_kept)), personal))
            }
        }
    }

    /// Asks the handler as the client does, and stores nothing.
    async fn forward(self, exchange: Exchange<S, B>, forward: Forward) -> Answered<B2, S::Error> {
        match within(self.visit.settings.timeout, exchange.forward(&self.visit)).await {
            Some(answered) => Ok(self.visit.own(answered?, forward)),
            None => Ok(self.visit.gateway_timeout(Some(forward))),
        }
    }

    async fn head(self, place: Place, held: Held) -> Answered<B2, S::Error> {
        let Some(exchange) = self.asking.take() else { return Ok(self.late()) };
        let (head, body) = self.forward(exchange, Forward::Stale).await?.into_parts();
        if contradicted_by_head(&held.page.head, &head) {
            // Pending where others cannot be told: they will be.
            let _ = place.slot.cache.invalidate(&place.slot.key, Invalidation::Delete).await;
        }
        Ok(Response::from_parts(head, body))
    }

    fn status(&self, stored: bool) -> CacheStatus {
        CacheStatus { forward: Some(self.forward), stored, collapsed: self.collapsed, ..CacheStatus::default() }
    }

    /// Why the handler is asked.
    fn why(&self, place: &Place, stored: Option<&Held>) -> Forward {
        match stored.map(|held| self.visit.reuse(held)) {
            Some(Reuse::Revalidate(Reason::Request)) => Forward::Request,
            Some(_) => Forward::Stale,
            None if place.variants.is_some() => Forward::VaryMiss,
            None => Forward::UriMiss,
        }
    }
}

/// Stores in this process what is recorded on its way to its requester.
async fn keep<B: Body<Data = Bytes>>(
    visit: Arc<Visit>,
    place: Place,
    begun: Begun,
    reserved: Leader,
    draft: Box<Draft<B>>,
) {
    if let Drafted::Page(page, kept) = draft.record().await
        && place.fits(&visit, &kept)
    {
        place.slot.keep(reserved, &begun, Record::Page(page));
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
