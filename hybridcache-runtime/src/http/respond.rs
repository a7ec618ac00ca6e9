//! Responses: from a stored page, or from the handler's answer; with what the layer did.

use std::time::Duration;

use bytes::Bytes;
use http::header::{AGE, TRANSFER_ENCODING};
use http::{Response, StatusCode};
use http_body::Body;

use super::body::CacheBody;
use super::outcome::{CacheOutcome, NotStored};
use super::request::cache_request::CacheRequest;
use super::rfc::CacheStatus;
use super::rfc::reply::{self, Part};
use super::rfc::status::Forward;
use super::rfc::stored::Aged;
use super::settings::Settings;
use super::store::entry::HttpEntry;
use super::store::record::{Page, StoredPage};

const SECOND: Duration = Duration::from_secs(1);

impl CacheRequest {
    /// From the store.
    pub(super) fn hit<B: Body<Data = Bytes>>(&self, held: &StoredPage, aged: Aged) -> Response<CacheBody<B>> {
        HttpEntry::count_hit(self.cache(), &held.entry, !aged.stale_for.is_zero());
        HttpEntry::count_demand(self.cache(), &held.entry);
        self.page(&held.page, aged, CacheStatus { hit: true, ..CacheStatus::default() })
    }

    /// From the store, because the handler failed; with the handler's status.
    pub(super) fn stale<B: Body<Data = Bytes>>(
        &self,
        held: &StoredPage,
        forward: Forward,
        forward_status: Option<StatusCode>,
    ) -> Response<CacheBody<B>> {
        let aged = self.aged(held);
        HttpEntry::count_hit(self.cache(), &held.entry, true);
        let (forward, detail) = (Some(forward), Some("stale-on-error".to_owned()));
        self.page(&held.page, aged, CacheStatus { forward, forward_status, detail, ..CacheStatus::default() })
    }

    /// A page that the handler has just made, whether it is stored or not.
    pub(super) fn fresh<B: Body<Data = Bytes>>(&self, page: &Page, status: CacheStatus) -> Response<CacheBody<B>> {
        let aged = page.head.at(page.head.got);
        let mut response = self.page(page, aged, status);
        if aged.age < SECOND {
            // It would say that the answer was not made for this request (RFC 9111, 5.1).
            response.headers_mut().remove(AGE);
        }
        response
    }

    /// The handler's own answer.
    pub(super) fn own<B: Body>(
        &self,
        mut response: Response<CacheBody<B>>,
        forward: Forward,
    ) -> Response<CacheBody<B>> {
        let detail = response.extensions_mut().remove::<NotStored>().map(|why| why.detail().to_owned());
        let status = CacheStatus { forward: Some(forward), detail, ..CacheStatus::default() };
        write_outcome(&self.settings, &mut response, CacheOutcome { status, age: None, stale: false });
        response
    }

    /// An answer that is not stored, as the request asked for it: the handler was asked without its conditions, and by GET. `length`
    /// is that of the body, where it is known.
    pub(super) fn tailored<B: Body<Data = Bytes>>(
        &self,
        response: Response<CacheBody<B>>,
        length: Option<u64>,
    ) -> Response<CacheBody<B>> {
        let (mut head, body) = response.into_parts();
        let reply = reply::own(&self.parts, head.status, head.headers.clone(), length);
        if reply.part == Part::Whole {
            return Response::from_parts(head, body);
        }
        (head.status, head.headers) = (reply.status, reply.headers);
        // The layer sends a `Content-Length`.
        head.headers.remove(TRANSFER_ENCODING);
        let body = match reply.part {
            Part::Range(range) => body.sliced(&range),
            Part::Whole | Part::Nothing => CacheBody::stored(Bytes::new()),
        };
        Response::from_parts(head, body)
    }

    /// The layer's own; `forward`: the handler was asked.
    pub(super) fn gateway_timeout<B: Body>(&self, forward: Option<Forward>) -> Response<CacheBody<B>> {
        let mut response = of_the_layer(StatusCode::GATEWAY_TIMEOUT);
        let status = CacheStatus { forward, ..CacheStatus::default() };
        write_outcome(&self.settings, &mut response, CacheOutcome { status, age: None, stale: false });
        response
    }

    fn page<B: Body<Data = Bytes>>(&self, page: &Page, aged: Aged, status: CacheStatus) -> Response<CacheBody<B>> {
        let mut response = self.untold(page, aged.age);
        let is_stale = !aged.stale_for.is_zero();
        let ttl = if is_stale { Err(aged.stale_for) } else { Ok(aged.fresh_for) };
        let outcome =
            CacheOutcome { age: Some(aged.age), stale: is_stale, status: CacheStatus { ttl: Some(ttl), ..status } };
        write_outcome(&self.settings, &mut response, outcome);
        response
    }

    /// A page as this request gets it, without the outcome.
    pub(super) fn untold<B: Body<Data = Bytes>>(&self, page: &Page, age: Duration) -> Response<CacheBody<B>> {
        let reply = reply::answer(&self.parts, &page.head, page.body.len() as u64, age, self.has_conditions());
        let body = match reply.part {
            Part::Whole => page.body.clone(),
            Part::Nothing => Bytes::new(),
            Part::Range(range) => slice(&page.body, &range),
        };
        let mut response = Response::new(CacheBody::stored(body));
        *response.status_mut() = reply.status;
        *response.headers_mut() = reply.headers;
        response
    }
}

/// Adds the outcome to a response.
pub(super) fn write_outcome<B>(settings: &Settings, response: &mut Response<B>, outcome: CacheOutcome) {
    if let Some(name) = &settings.cache_status {
        outcome.status.append(name, response.headers_mut());
    }
    response.extensions_mut().insert(outcome);
}

/// Without a body.
pub(super) fn of_the_layer<B: Body>(status: StatusCode) -> Response<CacheBody<B>> {
    let mut response = Response::new(CacheBody::stored(Bytes::new()));
    *response.status_mut() = status;
    response
}

fn slice(body: &Bytes, range: &std::ops::Range<u64>) -> Bytes {
    let bound = |at: u64| usize::try_from(at).unwrap_or(usize::MAX).min(body.len());
    let (start, end) = (bound(range.start), bound(range.end));
    body.slice(start.min(end)..end)
}
