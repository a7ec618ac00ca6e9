//! Asks the handler, and reads its answer.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::{AGE, CONTENT_LENGTH, CONTENT_TYPE, COOKIE, TRAILER, TRANSFER_ENCODING};
use http::{Extensions, HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, response};
use http_body::{Body, Frame};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::Instant;
use tower_service::Service;

use super::recording::{Recorded, Recording, next};
use super::storability::{self, Kept, Verdict};
use crate::http::body::{CacheBody, Piece};
use crate::http::outcome::NotStored;
use crate::http::policy::CachePolicy;
use crate::http::request::cache_request::{CacheRequest, for_rules};
use crate::http::request::public_uri::each_uri;
use crate::http::rfc::freshen::{self, Freshened};
use crate::http::rfc::{self, conditional};
use crate::http::settings::Settings;
use crate::http::store::record::{Page, StoredPage, Trial};

/// The handler of one request, and the parts of the request that only the handler uses. Used once.
#[derive(Debug)]
pub(crate) struct Exchange<S, B> {
    pub(crate) service: S,
    pub(crate) extensions: Extensions,
    pub(crate) body: B,
}

/// The handler's answer.
pub(crate) enum Fetched<B: Body, E> {
    /// It may be stored: the page with its whole body, and the fields for its requester only.
    Storable(Arc<Page>, Kept, HeaderMap),
    /// For its requester, as it comes; the draft records the body meanwhile.
    Streamed(Response<CacheBody<B>>, Box<Draft<B>>),
    /// For its requester only, as it comes.
    PassThrough(Response<CacheBody<B>>),
    /// The body ended early or is longer than its length. For its requester only.
    Incomplete(Response<CacheBody<B>>),
    /// A failure for which a stale page may be served.
    Failed(Result<Response<CacheBody<B>>, E>),
}

/// Which request the handler gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ask {
    /// A request for the whole page, for all that wait.
    Whole,
    /// The client's request with its conditions, which the handler evaluates. The answer may still be the whole page.
    AsAsked,
}

/// A page whose body is being recorded.
pub(crate) struct Draft<B: Body> {
    head: response::Parts,
    pub(crate) kept: Kept,
    got: SystemTime,
    recording: Recording<B>,
}

/// How a recording ended.
pub(crate) enum Drafted {
    Page(Arc<Page>, Kept),
    /// Too long, or for too long.
    Unfinished(Kept),
    Incomplete,
}

impl<B: Body<Data = Bytes>> Draft<B> {
    pub(crate) async fn record(self) -> Drafted {
        let Self { head, kept, got, recording } = self;
        match recording.run().await {
            Recorded::Whole(data) => Drafted::Page(Arc::new(new_page(&head, join(&data), &kept, got)), kept),
            Recorded::Unfinished => Drafted::Unfinished(kept),
            Recorded::Incomplete => Drafted::Incomplete,
        }
    }
}

/// When the handler was called, and when the head came.
type Times = (SystemTime, SystemTime);

impl<S, B> Exchange<S, B> {
    /// The client's request, without the query and cookies that are not in the key.
    fn outgoing(self, request: &CacheRequest) -> (S, Request<B>) {
        let mut parts = for_rules(&request.parts);
        parts.extensions = self.extensions;
        let Settings { key, shows_query, .. } = &*request.settings;
        if !shows_query {
            each_uri(&mut parts, |uri| {
                if let Some(shown) = key.shown_uri(uri) {
                    *uri = shown;
                }
            });
        }
        if let Some(cookies) = key.shown_cookies(&parts.headers) {
            parts.headers.insert(COOKIE, cookies);
        }
        (self.service, Request::from_parts(parts, self.body))
    }

    /// Passes the client's request on.
    pub(crate) async fn forward<B2>(self, request: &CacheRequest) -> Result<Response<CacheBody<B2>>, S::Error>
    where
        S: Service<Request<B>, Response = Response<B2>>,
        B2: Body<Data = Bytes>,
    {
        let (service, outgoing) = self.outgoing(request);
        forward(service, outgoing).await
    }

    /// Asks for the whole page, or for a confirmation of `stored`. The result is fitted to the request.
    pub(crate) async fn fetch<B2>(
        self,
        request: &CacheRequest,
        stored: Option<&StoredPage>,
        ask: Ask,
    ) -> Fetched<B2, S::Error>
    where
        S: Service<Request<B>, Response = Response<B2>>,
        B2: Body<Data = Bytes>,
    {
        let by = request.settings.timeout.map(|timeout| Instant::now() + timeout - timeout / 8);
        let (mut service, mut outgoing) = self.outgoing(request);
        let confirms = prepare(&mut outgoing, stored, ask);
        let asked = SystemTime::now();
        let (mut head, body) = match service.call(outgoing).await {
            Ok(response) => response.into_parts(),
            Err(error) => return Fetched::Failed(Err(error)),
        };
        let times = (asked, SystemTime::now());
        if let Some(stored) = stored.filter(|_| confirms && head.status == StatusCode::NOT_MODIFIED) {
            return confirmed(request, stored, &head, times);
        }
        if request.settings.stale_on.has_status(head.status) && stored.is_some() {
            return Fetched::Failed(Ok(Response::from_parts(head, CacheBody::origin(body))));
        }
        let policy = head.extensions.remove::<CachePolicy>().unwrap_or_default();
        let kept = match storability::judge(&request.settings, &request.parts, &head, policy, times) {
            Verdict::Keep(kept) if request.may_share(kept.public, kept.authorized) => kept,
            Verdict::Keep(_) => return own(request, head, body, NotStored::Identified),
            Verdict::Leave(why) => return own(request, head, body, why),
        };
        let limit = request.settings.body_limit;
        match Length::of(&head, &body) {
            Length::Known(length) if length <= limit => whole(request, head, body, length, kept, times.1).await,
            Length::Unknown if is_live(&head) => own(request, head, body, NotStored::Live),
            Length::Unknown if body.size_hint().lower() <= limit => {
                streamed(request, head, Recording::new(body, limit, by), kept, times.1)
            }
            Length::Known(_) | Length::Unknown => own(request, head, body, NotStored::Long),
            Length::Contradicted => own(request, head, body, NotStored::Incomplete),
        }
    }
}

/// An answer that is not stored, fitted to its request.
fn own<B: Body<Data = Bytes>, E>(
    request: &CacheRequest,
    head: response::Parts,
    body: B,
    why: NotStored,
) -> Fetched<B, E> {
    let length = Length::of(&head, &body).known();
    let mut response = request.tailored(Response::from_parts(head, CacheBody::origin(body)), length);
    response.extensions_mut().insert(why);
    Fetched::PassThrough(response)
}

/// An answer that is passed on and recorded.
fn streamed<B: Body<Data = Bytes>, E>(
    request: &CacheRequest,
    head: response::Parts,
    (recording, pieces): (Recording<B>, UnboundedReceiver<Piece<B>>),
    kept: Kept,
    got: SystemTime,
) -> Fetched<B, E> {
    let (mut recorded, ()) = Response::new(()).into_parts();
    (recorded.status, recorded.headers) = (head.status, head.headers.clone());
    let mut response = request.tailored(Response::from_parts(head, CacheBody::followed(pieces)), None);
    response.extensions_mut().insert(NotStored::Streamed);
    Fetched::Streamed(response, Box::new(Draft { head: recorded, kept, got, recording }))
}

/// Passes the client's request on.
pub(crate) async fn forward<S, B, B2>(mut service: S, request: Request<B>) -> Result<Response<CacheBody<B2>>, S::Error>
where
    S: Service<Request<B>, Response = Response<B2>>,
    B2: Body<Data = Bytes>,
{
    Ok(service.call(request).await?.map(CacheBody::origin))
}

/// Whether the request asks for a confirmation.
fn prepare<B>(request: &mut Request<B>, stored: Option<&StoredPage>, ask: Ask) -> bool {
    // The head that a HEAD asks for is that of the GET.
    *request.method_mut() = Method::GET;
    let headers = request.headers_mut();
    match (stored, ask) {
        (Some(held), _) => return conditional::revalidate(&held.page.head, headers),
        (None, Ask::Whole) => conditional::unconditional(headers),
        (None, Ask::AsAsked) => {}
    }
    false
}

/// The stored page under the head that a 304 gives it.
fn confirmed<B: Body<Data = Bytes>, E>(
    request: &CacheRequest,
    stored: &StoredPage,
    head: &response::Parts,
    times: Times,
) -> Fetched<B, E> {
    let (settings, page) = (&request.settings, &stored.page);
    let updated = match freshen::by_304(&page.head, &request.parts, head, &settings.rules, times.0, times.1) {
        Freshened::Yes(updated) | Freshened::YesButDrop(updated, _) => updated,
        // It is about something that nobody has. The handler cannot be asked twice, and has said that what we have will do; but
        // who comes next asks anew.
        Freshened::No => return Fetched::PassThrough(request.untold(page, page.head.age(times.1))),
    };
    let (mut parts, ()) = Response::new(()).into_parts();
    (parts.status, parts.headers) = (updated.status, updated.headers);
    match head.headers.get(AGE) {
        Some(age) => parts.headers.insert(AGE, age.clone()),
        None => parts.headers.remove(AGE),
    };
    let policy = head.extensions.get::<CachePolicy>().cloned().unwrap_or_default();
    match storability::judge(settings, &request.parts, &parts, policy, times) {
        Verdict::Keep(kept) => {
            let page = new_page(&parts, page.body.clone(), &kept, times.1);
            Fetched::Storable(Arc::new(page), kept, HeaderMap::new())
        }
        Verdict::Leave(_) => {
            let head = rfc::Stored { headers: parts.headers, got: times.1, ..page.head.clone() };
            let age = head.age(times.1);
            Fetched::PassThrough(request.untold(&Page { head, body: page.body.clone(), ..Page::clone(page) }, age))
        }
    }
}

/// How long a body will be.
enum Length {
    Known(u64),
    Unknown,
    /// `Content-Length` is no number, or differs from the body's own length.
    Contradicted,
}

impl Length {
    fn of<B: Body>(head: &response::Parts, body: &B) -> Self {
        let said = head.headers.get(CONTENT_LENGTH).map(|value| value.to_str().ok()?.parse::<u64>().ok());
        match (body.size_hint().exact(), said) {
            (Some(exact), None) => Self::Known(exact),
            (Some(exact), Some(Some(said))) if said == exact => Self::Known(exact),
            (None, Some(Some(said))) => Self::Known(said),
            (None, None) => Self::Unknown,
            (_, Some(_)) => Self::Contradicted,
        }
    }

    fn known(self) -> Option<u64> {
        match self {
            Self::Known(length) => Some(length),
            Self::Unknown | Self::Contradicted => None,
        }
    }
}

/// Whether the body is made of events, as they happen: it has no end that is worth waiting for.
fn is_live(head: &response::Parts) -> bool {
    const LIVE: [&[u8]; 2] = [b"text/event-stream", b"multipart/x-mixed-replace"];
    let kind = head.headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    LIVE.iter().any(|live| kind.get(..live.len()).is_some_and(|begins| begins.eq_ignore_ascii_case(live)))
}

/// Reads a body of known length.
async fn whole<B: Body<Data = Bytes>, E>(
    request: &CacheRequest,
    head: response::Parts,
    body: B,
    length: u64,
    kept: Kept,
    got: SystemTime,
) -> Fetched<B, E> {
    let (mut body, mut frames, mut read) = (Box::pin(body), VecDeque::<Frame<Bytes>>::new(), 0_u64);
    let (error, rest) = loop {
        match next(body.as_mut()).await {
            None if read == length => {
                let data: Vec<_> = frames.into_iter().filter_map(|frame| frame.into_data().ok()).collect();
                let page = new_page(&head, join(&data), &kept, got);
                let personal = withheld(&head.headers, &kept);
                return Fetched::Storable(Arc::new(page), kept, personal);
            }
            None => break (None, None),
            Some(Err(error)) => break (Some(error), None),
            Some(Ok(frame)) => {
                read += frame.data_ref().map_or(0, |data| data.len() as u64);
                let is_strange = frame.is_trailers() || read > length;
                frames.push_back(frame);
                if is_strange {
                    // Longer than it said, or with something behind it that would be lost.
                    break (None, Some(body));
                }
            }
        }
    };
    let mut response = Response::from_parts(head, CacheBody::replayed(frames, error, rest));
    if request.wants.head {
        *response.body_mut() = CacheBody::stored(Bytes::new());
    }
    response.extensions_mut().insert(NotStored::Incomplete);
    Fetched::Incomplete(response)
}

/// The fields for the requester only: those of one connection, and those of `private="field"`.
fn withheld(headers: &HeaderMap, kept: &Kept) -> HeaderMap {
    let mut personal = HeaderMap::new();
    // The layer sends a `Content-Length`.
    let is_framing = |name: &&HeaderName| [TRANSFER_ENCODING, TRAILER].contains(*name);
    for name in kept.terms.withheld.iter().filter(|name| !is_framing(name)) {
        personal.remove(name);
        for value in headers.get_all(name) {
            personal.append(name, value.clone());
        }
    }
    personal
}

/// A copy: a page that is kept for hours must not keep the buffers of a connection alive.
fn join(data: &[Bytes]) -> Bytes {
    data.concat().into()
}

fn new_page(head: &response::Parts, body: Bytes, kept: &Kept, got: SystemTime) -> Page {
    let now = SystemTime::now();
    let mut head = rfc::Stored::new(head, kept.terms.clone(), got);
    // The time that the body took is part of its age.
    let took = now.duration_since(got).unwrap_or(Duration::ZERO);
    head.terms.initial_age = head.terms.initial_age.saturating_add(took);
    head.got = now;
    head.frame(body.len() as u64);
    let (fresh, ttl) = storability::lifetimes(kept, &head);
    let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let (fresh, ttl) = (millis(fresh).max(1), millis(ttl).max(1));
    Page { head, body, public: kept.public, authorized: kept.authorized, fresh, ttl, trial: Trial::default() }
}
