//! One call of the handler, for all requests that wait.
//!
//! The value that the load returns to the engine reaches all of them, in all processes. An answer for the requester only goes through a
//! channel to that requester, and never to the engine.

use std::sync::{Arc, Mutex, OnceLock};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body::Body;
use tokio::sync::oneshot;
use tower_service::Service;

use super::exchange::{Ask, Drafted, Exchange, Fetched};
use super::placement::Placement;
use crate::engine::scope;
use crate::engine::task::Loaded;
use crate::http::body::CacheBody;
use crate::http::request::cache_request::{CacheRequest, VariantSlot};
use crate::http::rfc::reuse;
use crate::http::rfc::store::concerns_its_request;
use crate::http::rfc::vary::{self, Vary};
use crate::http::settings::StaleOn;
use crate::http::store::entry::{LoadStart, RejectedEntry};
use crate::http::store::record::{HIT_FOR_PASS, HIT_FOR_PASS_AFTER_FAILURE, Page, Record, StoredPage};
use crate::primitives::sync::LockExt as _;

/// The response, or the error of the inner service.
pub(crate) type Answered<B, E> = Result<Response<CacheBody<B>>, E>;

/// What a load sends to its own requester only.
pub(crate) enum LeaderReply<B: Body, E> {
    /// The handler's own answer.
    PassThrough(Answered<B, E>),
    /// A page that is stored under another key, or that has these fields for its requester only.
    Page(Arc<Page>, HeaderMap),
    /// The stale page to serve because the handler failed, and the handler's status.
    Stale(StoredPage, Option<StatusCode>),
    /// The handler failed, and stale pages are forbidden.
    GatewayTimeout,
}

/// A request and the page that its own load has made: shared by the request and its load.
pub(crate) struct SharedExchange<S, B> {
    exchange: Mutex<Option<Exchange<S, B>>>,
    page: OnceLock<Arc<Page>>,
}

impl<S, B> SharedExchange<S, B> {
    pub(crate) fn new(exchange: Exchange<S, B>) -> Self {
        Self { exchange: Mutex::new(Some(exchange)), page: OnceLock::new() }
    }

    /// Once: the handler is called once for a request.
    pub(crate) fn take(&self) -> Option<Exchange<S, B>> {
        self.exchange.lock_unpoisoned().take()
    }

    /// The page that its own load has stored.
    pub(crate) fn made(&self) -> Option<&Arc<Page>> {
        self.page.get()
    }

    pub(crate) fn has_made(&self, page: &Arc<Page>) -> bool {
        self.made().is_some_and(|made| Arc::ptr_eq(made, page))
    }
}

/// One load.
pub(crate) struct Load<S, B, B2: Body, E> {
    pub(crate) request: Arc<CacheRequest>,
    pub(crate) slot: VariantSlot,
    pub(crate) asking: Arc<SharedExchange<S, B>>,
    pub(crate) refused: RejectedEntry,
    pub(crate) direct: oneshot::Sender<LeaderReply<B2, E>>,
}

impl<S, B, B2> Load<S, B, B2, S::Error>
where
    S: Service<Request<B>, Response = Response<B2>>,
    B2: Body<Data = Bytes>,
{
    pub(crate) async fn run(self) -> Loaded {
        let Self { request, slot, asking, refused, direct } = self;
        let Some(exchange) = asking.take() else { return not_stored(Record::Failed(None)) };
        let begun = slot.entry.begin();
        let stored = request.standing(&refused);
        // The channel may be closed: the requester has disconnected, or has an answer already.
        match exchange.fetch(&request, stored.as_ref(), Ask::Whole).await {
            Fetched::Storable(page, kept, personal) => {
                if stored.is_none() {
                    page.trial.begin(request.trial());
                }
                match slot.settle(&request, &begun, &page, &kept).await {
                    Placement::Here => {
                        // There is one load of it.
                        let _ = asking.page.set(page.clone());
                        if !personal.is_empty() {
                            let _ = direct.send(LeaderReply::Page(page.clone(), personal));
                        }
                        Loaded::Value(Box::new(Record::Page(page)))
                    }
                    Placement::Elsewhere(variants) => {
                        let _ = direct.send(LeaderReply::Page(page, personal));
                        slot.announce(&request, variants).await
                    }
                }
            }
            Fetched::Streamed(response, draft) => {
                let _ = direct.send(LeaderReply::PassThrough(Ok(response)));
                recorded(&request, &slot, &begun, draft.record().await, stored.is_none()).await
            }
            Fetched::PassThrough(response) if concerns_its_request(response.status()) => {
                let _ = direct.send(LeaderReply::PassThrough(Ok(response)));
                not_stored(Record::Again)
            }
            Fetched::PassThrough(response) => {
                let is_failure = response.status().is_server_error();
                let millis = if is_failure { HIT_FOR_PASS_AFTER_FAILURE } else { HIT_FOR_PASS };
                // A failure often varies on other fields than the page. Keyed by those, the pages of all variants would be lost.
                let vary = match vary::of(response.headers()) {
                    Vary::On(fields) if !is_failure => fields,
                    Vary::On(_) | Vary::Any => Vec::new(),
                };
                let _ = direct.send(LeaderReply::PassThrough(Ok(response)));
                slot.mark(&request, &begun, &vary, millis).await
            }
            Fetched::Incomplete(response) => {
                scope::note_failure();
                let _ = direct.send(LeaderReply::PassThrough(Ok(response)));
                not_stored(Record::Failed(None))
            }
            Fetched::Failed(answered) => {
                scope::note_failure();
                let is_first = stored.is_none();
                let (direct_now, stands_in) = failed(&request, answered, stored);
                let _ = direct.send(direct_now);
                if is_first {
                    return Loaded::Value(Box::new(Record::HitForPass(HIT_FOR_PASS_AFTER_FAILURE)));
                }
                not_stored(Record::Failed(stands_in))
            }
        }
    }
}

/// Stores a recorded body.
async fn recorded(
    request: &CacheRequest,
    slot: &VariantSlot,
    begun: &LoadStart,
    drafted: Drafted,
    is_first: bool,
) -> Loaded {
    match drafted {
        Drafted::Page(page, kept) => {
            if is_first {
                page.trial.begin(request.trial());
            }
            match slot.settle(request, begun, &page, &kept).await {
                Placement::Here => Loaded::Value(Box::new(Record::Page(page))),
                Placement::Elsewhere(variants) => slot.announce(request, variants).await,
            }
        }
        Drafted::Unfinished(kept) => slot.mark(request, begun, &kept.terms.vary, HIT_FOR_PASS).await,
        Drafted::Incomplete => {
            scope::note_failure();
            not_stored(Record::Failed(None))
        }
    }
}

/// The results of a failure: for its requester, and for the requests that wait.
pub(crate) fn failed<B: Body, E>(
    request: &CacheRequest,
    answered: Answered<B, E>,
    stored: Option<StoredPage>,
) -> (LeaderReply<B, E>, Option<StoredPage>) {
    let status = answered.as_ref().ok().map(Response::status);
    let counts = status.is_some() || request.settings.stale_on.has(StaleOn::ERROR);
    match stored {
        Some(held) if counts && request.stands_in(&held) => (LeaderReply::Stale(held.clone(), status), Some(held)),
        Some(held) if reuse::forbids_stale(&held.page.head) && status.is_some_and(is_of_a_gateway) => {
            (LeaderReply::GatewayTimeout, None)
        }
        _ => (LeaderReply::PassThrough(answered), None),
    }
}

/// Whether a gateway reports that the origin cannot be reached.
fn is_of_a_gateway(status: StatusCode) -> bool {
    matches!(status.as_u16(), 502..=504)
}

fn not_stored(record: Record) -> Loaded {
    Loaded::NotStored(Box::new(record))
}
