//! The values of the layer's entries.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::HeaderName;

use crate::entry::Entry;
use crate::entry::lifetimes::Lifetimes;
use crate::entry::value_type::AnyValue;
use crate::http::rfc;
use crate::primitives::clock::{Clock, Millis};

/// The value of an entry.
#[derive(Clone, Debug)]
pub(crate) enum Record {
    /// A response.
    Page(Arc<Page>),
    /// The responses differ by fields or tags that are not part of the request's key.
    Variants(Arc<Variants>),
    /// Hit-for-pass (Varnish's word): each response here is for one requester only, so no request waits for another.
    /// After this number of milliseconds, one request probes whether that has changed.
    HitForPass(Millis),
    /// Never stored. The load failed: the requests that waited get the stale page, if there is one, or ask the handler.
    Failed(Option<StoredPage>),
    /// Never stored. The load has no result for its waiters and says nothing about the resource: the waiters look
    /// again, and one of them leads. Either the page is stored under another key, or the response was about the
    /// leader's own request.
    Again,
}

/// A stored response.
#[derive(Clone, Debug)]
pub(crate) struct Page {
    pub(crate) head: rfc::Stored,
    pub(crate) body: Bytes,
    /// The response is explicitly `public`.
    pub(crate) public: bool,
    /// Also for requests with `Authorization`.
    pub(crate) authorized: bool,
    /// How long the engine treats it as fresh, and how long it keeps it.
    pub(crate) fresh: Millis,
    pub(crate) ttl: Millis,
    pub(crate) trial: Trial,
}

/// How long the shared tier keeps a record after its first request, in milliseconds; 0 after the second request.
/// Clients choose which pages exist, so pages without a second request are removed soon.
#[derive(Debug, Default)]
pub(crate) struct Trial(AtomicU64);

impl Trial {
    pub(crate) fn of(millis: Millis) -> Self {
        Self(AtomicU64::new(millis))
    }

    pub(crate) fn millis(&self) -> Millis {
        self.0.load(Relaxed)
    }

    pub(crate) fn begin(&self, millis: Millis) {
        self.0.store(millis, Relaxed);
    }

    /// Ends the trial. Returns whether the record was on trial: `true` once only.
    pub(crate) fn end(&self) -> bool {
        self.millis() != 0 && self.0.swap(0, Relaxed) != 0
    }
}

impl Clone for Trial {
    fn clone(&self) -> Self {
        Self::of(self.millis())
    }
}

/// The trial is not part of a record's identity.
impl PartialEq for Trial {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Trial {}

/// The fields and tags by which the responses at one key differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Variants {
    /// Part of the key of each variant: the variants of another id are not found.
    pub(crate) id: u64,
    /// The fields of the request that choose the variant.
    pub(crate) fields: Vec<HeaderName>,
    /// The tags of all variants, known before a variant is read or loaded.
    pub(crate) tags: Vec<String>,
    pub(crate) ttl: Millis,
    pub(crate) trial: Trial,
}

/// How soon a request probes again: after a response for one requester only, and after a failure.
pub(crate) const HIT_FOR_PASS: Millis = 5_000;
pub(crate) const HIT_FOR_PASS_AFTER_FAILURE: Millis = 1_000;

/// How long a hit-for-pass record is kept without renewal. In that time one request probes, and no request waits.
const HIT_FOR_PASS_TTL: Millis = 60_000;

/// Variants outlive their pages: without them each page would be loaded again.
const VARIANTS: Millis = 24 * 60 * 60 * 1000;

impl Variants {
    /// `ttl`: the lifetime of the first variant.
    pub(crate) fn new(fields: Vec<HeaderName>, tags: Vec<String>, ttl: Millis, trial: Trial) -> Self {
        Self { id: fastrand::u64(..), fields, tags, ttl: VARIANTS.max(ttl.saturating_mul(2)), trial }
    }
}

impl Record {
    pub(crate) fn of(entry: &Entry) -> Option<&Self> {
        entry.value.downcast_ref()
    }

    /// The least number of bytes of its encoded form.
    pub(super) fn least(value: &AnyValue) -> usize {
        match value.downcast_ref() {
            Some(Self::Page(page)) => page.body.len(),
            _ => 0,
        }
    }

    /// Called by the engine.
    pub(crate) fn lifetimes(value: &AnyValue) -> Lifetimes {
        let (fresh, ttl) = match value.downcast_ref() {
            Some(Self::Page(page)) => (page.fresh, page.ttl),
            Some(Self::Variants(variants)) => (variants.ttl, variants.ttl),
            // After a failure the record ends soon: then one request at a time calls the failing handler again.
            Some(Self::HitForPass(HIT_FOR_PASS_AFTER_FAILURE)) => {
                (HIT_FOR_PASS_AFTER_FAILURE, HIT_FOR_PASS_AFTER_FAILURE)
            }
            Some(Self::HitForPass(millis)) => (*millis, (*millis).max(HIT_FOR_PASS_TTL)),
            Some(Self::Failed(_) | Self::Again) | None => (1, 1),
        };
        let duration = Duration::from_millis;
        Lifetimes::computed(duration(ttl), Some(duration(fresh)))
    }

    pub(crate) fn trial(&self) -> Option<&Trial> {
        match self {
            Self::Page(page) => Some(&page.trial),
            Self::Variants(variants) => Some(&variants.trial),
            Self::HitForPass(_) | Self::Failed(_) | Self::Again => None,
        }
    }

    /// Called by the engine: how long the shared tier keeps a record that is on trial.
    pub(crate) fn shared_for(value: &AnyValue) -> Option<Duration> {
        let millis = value.downcast_ref().and_then(Self::trial)?.millis();
        (millis != 0).then(|| Duration::from_millis(millis))
    }

    /// The bytes that it takes in memory.
    pub(crate) fn weight(&self) -> usize {
        let fields = |page: &Page| {
            page.head.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 64).sum::<usize>()
        };
        match self {
            Self::Page(page) => size_of::<Page>() + page.body.len() + fields(page),
            Self::Variants(variants) => size_of::<Variants>() + 64 * (variants.fields.len() + variants.tags.len()),
            Self::HitForPass(_) | Self::Failed(_) | Self::Again => size_of::<Self>(),
        }
    }
}

/// A page and its entry.
#[derive(Clone, Debug)]
pub(crate) struct StoredPage {
    pub(crate) entry: Arc<Entry>,
    pub(crate) page: Arc<Page>,
}

impl StoredPage {
    /// Returns the entry itself if it is no page.
    pub(crate) fn new(entry: Arc<Entry>) -> Result<Self, Arc<Entry>> {
        match Record::of(&entry) {
            Some(Record::Page(page)) => Ok(Self { page: page.clone(), entry }),
            _ => Err(entry),
        }
    }

    pub(crate) fn of(entry: &Arc<Entry>) -> Option<Self> {
        Self::new(entry.clone()).ok()
    }

    /// The present time, by the clock of the process that stored it. This process measures the time that has passed
    /// since, so that the clocks need not agree.
    pub(crate) fn now(&self, clock: Clock) -> SystemTime {
        let stored_at = self.entry.meta.expires_at.saturating_sub(self.page.ttl);
        self.page.head.got + Duration::from_millis(clock.now().saturating_sub(stored_at))
    }
}
