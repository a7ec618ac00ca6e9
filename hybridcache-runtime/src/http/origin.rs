//! Asking the handler, and what its answer is good for.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::{Bytes, BytesMut};
use http::header::{AGE, CONTENT_LENGTH, COOKIE};
use http::{Extensions, HeaderMap, Request, Response, StatusCode, response};
use http_body::{Body, Frame};
use tower_service::Service;

use super::body::CacheBody;
use super::keep::{self, Kept, Verdict};
use super::policy::CachePolicy;
use super::public::each_uri;
use super::record::{Held, Page};
use super::rfc::freshen::{self, Freshened};
use super::rfc::{self, conditional};
use super::settings::Settings;
use super::visit::{Visit, for_rules};

/// Who is to answer a request, and what of it only he has a use for. Used once.
#[derive(Debug)]
pub(super) struct Exchange<S, B> {
    pub(super) service: S,
    pub(super) extensions: Extensions,
    pub(super) body: B,
}

/// The answer.
pub(super) enum Fetched<B: Body, E> {
    /// It may be kept; with its body, which came whole, and the fields that its requester alone gets.
    Whole(Arc<Page>, Kept, HeaderMap),
    /// For its requester only; it comes as the handler makes it.
    Own(Response<CacheBody<B>>),
    /// Its body did not come whole. For its requester only.
    Torn(Response<CacheBody<B>>),
    /// A failure for which something stale may stand in.
    Failed(Result<Response<CacheBody<B>>, E>),
}

/// When what was asked, and when the head came.
type Times = (SystemTime, SystemTime);

impl<S, B> Exchange<S, B> {
    /// The request as it came, but for what the key leaves out.
    fn request(self, visit: &Visit) -> (S, Request<B>) {
        let mut parts = for_rules(&visit.request);
        parts.extensions = self.extensions;
        let Settings { key, shows_query, .. } = &*visit.settings;
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

    /// Asks as the client does.
    pub(super) async fn forward<B2>(self, visit: &Visit) -> Result<Response<CacheBody<B2>>, S::Error>
    where
        S: Service<Request<B>, Response = Response<B2>>,
        B2: Body<Data = Bytes>,
    {
        let (service, request) = self.request(visit);
        forward(service, request).await
    }

    /// Asks for the whole answer, or whether `stored` is still what it would be.
    pub(super) async fn fetch<B2>(self, visit: &Visit, stored: Option<&Held>) -> Fetched<B2, S::Error>
    where
        S: Service<Request<B>, Response = Response<B2>>,
        B2: Body<Data = Bytes>,
    {
        let (mut service, mut request) = self.request(visit);
        let confirms = prepare(request.headers_mut(), stored);
        let asked = SystemTime::now();
        let (mut head, body) = match service.call(request).await {
            Ok(response) => response.into_parts(),
            Err(error) => return Fetched::Failed(Err(error)),
        };
        let times = (asked, SystemTime::now());
        if let Some(stored) = stored.filter(|_| confirms && head.status == StatusCode::NOT_MODIFIED) {
            return confirmed(visit, stored, &head, times);
        }
        if visit.settings.stale_on.has_status(head.status) && stored.is_some() {
            return Fetched::Failed(Ok(Response::from_parts(head, CacheBody::origin(body))));
        }
        let policy = head.extensions.remove::<CachePolicy>().unwrap_or_default();
        let (verdict, length) =
            (keep::judge(&visit.settings, &visit.request, &head, policy, times), length(&head, &body));
        match (verdict, length) {
            (Verdict::Keep(kept), Some(length))
                if length <= visit.settings.body_limit && visit.may_share(kept.public, kept.authorized) =>
            {
                whole(head, body, length, kept, times.1).await
            }
            _ => Fetched::Own(Response::from_parts(head, CacheBody::origin(body))),
        }
    }
}

/// Asks as the client does.
pub(super) async fn forward<S, B, B2>(mut service: S, request: Request<B>) -> Result<Response<CacheBody<B2>>, S::Error>
where
    S: Service<Request<B>, Response = Response<B2>>,
    B2: Body<Data = Bytes>,
{
    Ok(service.call(request).await?.map(CacheBody::origin))
}

/// Whether the request asks for a confirmation.
fn prepare(headers: &mut HeaderMap, stored: Option<&Held>) -> bool {
    match stored {
        Some(held) => conditional::revalidate(&held.page.head, headers),
        None => {
            conditional::unconditional(headers);
            false
        }
    }
}

/// The stored page under the head that a 304 gives it.
fn confirmed<B: Body<Data = Bytes>, E>(
    visit: &Visit,
    stored: &Held,
    head: &response::Parts,
    times: Times,
) -> Fetched<B, E> {
    let (settings, page) = (&visit.settings, &stored.page);
    let updated = match freshen::by_304(&page.head, &visit.request, head, &settings.rules, times.0, times.1) {
        Freshened::Yes(updated) | Freshened::YesButDrop(updated, _) => updated,
        // It is about something that nobody has. The handler cannot be asked twice, and has said that what we have will do; but
        // who comes next asks anew.
        Freshened::No => return Fetched::Own(visit.untold(page, times.1)),
    };
    let (mut parts, ()) = Response::new(()).into_parts();
    (parts.status, parts.headers) = (updated.status, updated.headers);
    if let Some(age) = head.headers.get(AGE) {
        parts.headers.insert(AGE, age.clone());
    }
    let policy = head.extensions.get::<CachePolicy>().cloned().unwrap_or_default();
    match keep::judge(settings, &visit.request, &parts, policy, times) {
        Verdict::Keep(kept) => {
            let page = new_page(&parts, page.body.clone(), &kept, times.1);
            Fetched::Whole(Arc::new(page), kept, HeaderMap::new())
        }
        Verdict::Leave => {
            let head = rfc::Stored { headers: parts.headers, got: times.1, ..page.head.clone() };
            Fetched::Own(visit.untold(&Page { head, body: page.body.clone(), ..**page }, times.1))
        }
    }
}

/// How long the body will be, where that is known.
fn length<B: Body>(head: &response::Parts, body: &B) -> Option<u64> {
    let said = head.headers.get(CONTENT_LENGTH).map(|value| value.to_str().ok()?.parse::<u64>().ok());
    match (body.size_hint().exact(), said) {
        (Some(exact), None) => Some(exact),
        (Some(exact), Some(said)) => (said == Some(exact)).then_some(exact),
        (None, said) => said?,
    }
}

/// Reads a body of known length.
async fn whole<B: Body<Data = Bytes>, E>(
    head: response::Parts,
    body: B,
    length: u64,
    kept: Kept,
    got: SystemTime,
) -> Fetched<B, E> {
    let (mut body, mut frames, mut read) = (Box::pin(body), VecDeque::new(), 0_u64);
    let error = loop {
        match next(body.as_mut()).await {
            None if read == length => {
                let page = new_page(&head, join(frames, read), &kept, got);
                let personal = withheld(&head.headers, &kept);
                return Fetched::Whole(Arc::new(page), kept, personal);
            }
            None => break None,
            Some(Err(error)) => break Some(error),
            Some(Ok(frame)) => {
                read += frame.data_ref().map_or(0, |data| data.len() as u64);
                let is_strange = frame.is_trailers() || read > length;
                frames.push_back(frame);
                if is_strange {
                    // Longer than it said, or with something behind it that would be lost.
                    return Fetched::Torn(Response::from_parts(head, CacheBody::replayed(frames, None, Some(body))));
                }
            }
        }
    };
    Fetched::Torn(Response::from_parts(head, CacheBody::replayed(frames, error, None)))
}

/// What is not stored, because it concerns one connection or is not for others (`private="field"`).
fn withheld(headers: &HeaderMap, kept: &Kept) -> HeaderMap {
    let mut personal = HeaderMap::new();
    for name in &kept.terms.withheld {
        personal.remove(name);
        for value in headers.get_all(name) {
            personal.append(name, value.clone());
        }
    }
    personal
}

async fn next<B: Body>(mut body: Pin<&mut B>) -> Option<Result<Frame<B::Data>, B::Error>> {
    poll_fn(|context| body.as_mut().poll_frame(context)).await
}

/// A copy: what is kept for hours must not hold on to the buffer that it was read into.
fn join(frames: VecDeque<Frame<Bytes>>, length: u64) -> Bytes {
    let mut bytes = BytesMut::with_capacity(usize::try_from(length).unwrap_or_default());
    frames.into_iter().filter_map(|frame| frame.into_data().ok()).for_each(|data| bytes.extend_from_slice(&data));
    bytes.freeze()
}

fn new_page(head: &response::Parts, body: Bytes, kept: &Kept, got: SystemTime) -> Page {
    let now = SystemTime::now();
    let mut head = rfc::Stored::new(head, kept.terms.clone(), got);
    // The time that the body took is part of its age.
    let took = now.duration_since(got).unwrap_or(Duration::ZERO);
    head.terms.initial_age = head.terms.initial_age.saturating_add(took);
    head.got = now;
    let (fresh, ttl) = keep::lifetimes(kept, &head);
    let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let (fresh, ttl) = (millis(fresh).max(1), millis(ttl).max(1));
    Page { head, body, public: kept.public, authorized: kept.authorized, fresh, ttl }
}
