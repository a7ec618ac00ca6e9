//! One request, as far as the types of its body and of the handler do not matter.

use std::mem::take;
use std::sync::{Arc, PoisonError};

use http::header::{CONTENT_TYPE, RANGE};
use http::{Extensions, HeaderMap, HeaderName, Request, request};
use xxhash_rust::xxh3::xxh3_64;

use super::key::{self, Secrets};
use super::record::{Held, Page, Record, Variants};
use super::rfc::reuse::{self, Reason};
use super::rfc::status::Forward;
use super::rfc::{Asked, Reuse, Wants, request as requests, vary};
use super::settings::{Mode, Private, Settings};
use super::slot::{self, Refused, Slot, variant_key};
use crate::cache::HybridCache;
use crate::entry::{Entry, State};
use crate::key::KeyBuf;
use crate::scope;

/// Fields by which a request says that it means another method or path than it names. A handler that heeds them would fill the
/// wrong entry.
const OVERRIDES: [&str; 5] =
    ["x-http-method-override", "x-http-method", "x-method-override", "x-original-url", "x-rewrite-url"];

/// A request that the store may answer.
#[derive(Debug)]
pub(super) struct Visit {
    pub(super) settings: Arc<Settings>,
    pub(super) cache: HybridCache,
    /// Method, URI and fields.
    pub(super) request: request::Parts,
    pub(super) wants: Wants,
    pub(super) secrets: Secrets,
    pub(super) primary: KeyBuf,
}

/// What a request is to the layer.
pub(super) enum Arrival {
    /// The store is looked into; with what only the handler has a use for.
    Visit(Box<Visit>, Extensions),
    /// To the handler as it is.
    Bypass(request::Parts, Forward),
    /// To the handler as it is; then it is seen what that makes void.
    Unsafe(request::Parts),
}

/// What the store has for a request.
pub(super) enum Looked {
    /// It answers.
    Hit(Held),
    /// It answers, and the handler is asked in the background.
    Refresh(Held, Place),
    /// The handler has to be asked, once for all who wait. With what may be confirmed by it.
    Load(Place, Option<Held>),
    /// The handler has to be asked, by each for himself.
    Pass(Option<Place>, Option<Held>),
    /// The same, unless this one is to see whether that has changed.
    Mark(Place, Arc<Entry>),
    /// The handler has to be asked, by a HEAD, which may tell that what is stored is out of date.
    Head(Place, Held),
    /// The client would rather have nothing.
    OnlyIfCached,
}

/// Where an answer belongs.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) slot: Slot,
    /// Of which it is one; `None` where it stands at the request's own key.
    pub(super) variants: Option<Arc<Variants>>,
}

impl Visit {
    /// Looks at a request. `is_empty`: it has no body.
    pub(super) fn of(
        settings: &Arc<Settings>,
        cache: &HybridCache,
        mut request: request::Parts,
        is_empty: bool,
    ) -> Arrival {
        let scope = scope::mode();
        if is_grpc(&request.headers) || scope == scope::Mode::Bypass {
            return Arrival::Bypass(request, Forward::Bypass);
        }
        let mut wants = match requests::ask(&request) {
            Asked::Bypass(requests::Bypass::Method) => return Arrival::Bypass(request, Forward::Method),
            Asked::Bypass(_) => return Arrival::Bypass(request, Forward::Bypass),
            Asked::Unsafe => return Arrival::Unsafe(request),
            Asked::Lookup(wants) => wants,
        };
        let secrets = secrets(settings, &request.headers);
        let is_private = secrets.any() && settings.mode == Mode::Configured;
        let primary = settings.key.of(&request).filter(|_| is_empty && !is_private && !is_refused(settings, &request));
        let Some(primary) = primary else { return Arrival::Bypass(request, Forward::Bypass) };
        if settings.mode == Mode::Configured {
            wants = Wants { head: wants.head, ..Wants::default() };
        }
        wants.no_cache |= scope == scope::Mode::Refresh;
        let extensions = take(&mut request.extensions);
        let (settings, cache) = (settings.clone(), cache.clone());
        Arrival::Visit(Box::new(Self { settings, cache, request, wants, secrets, primary }), extensions)
    }

    /// What memory has for it. `known` is what stands at the request's own key where memory may not have it.
    pub(super) fn look(&self, known: Option<Arc<Variants>>) -> Looked {
        let site = self.settings.site;
        let variants = match known {
            Some(variants) => variants,
            None => match slot::look(&self.cache, site, &self.primary) {
                None => return self.missing(self.place(None)),
                Some(entry) => match Record::of(&entry) {
                    Some(Record::Variants(variants)) => variants.clone(),
                    _ => return self.found(&entry, || self.place(None)),
                },
            },
        };
        let place = || self.place(Some(variants.clone()));
        match slot::look(&self.cache, site, &self.variant_key(&variants)) {
            None => self.missing(place()),
            Some(entry) => self.found(&entry, place),
        }
    }

    fn found(&self, entry: &Arc<Entry>, place: impl Fn() -> Place) -> Looked {
        let Some(held) = Held::of(entry) else {
            return match self.storing(place()) {
                _ if self.wants.only_if_cached => Looked::OnlyIfCached,
                Some(place) if !self.secrets.any() && self.is_stale(entry) => Looked::Mark(place, entry.clone()),
                place => Looked::Pass(place, None),
            };
        };
        if !self.may_have(&held.page) {
            return Looked::Pass(None, None);
        }
        match self.reuse(&held) {
            Reuse::Fresh | Reuse::MaxStale => Looked::Hit(held),
            // Whoever asks like all others will refresh it.
            Reuse::StaleWhileRevalidate if self.wants.head || self.wants.no_store || self.secrets.any() => {
                Looked::Hit(held)
            }
            Reuse::StaleWhileRevalidate => Looked::Refresh(held, place()),
            Reuse::OnlyIfCached => Looked::OnlyIfCached,
            // What a HEAD says fills nothing.
            Reuse::Revalidate(_) if self.wants.head => Looked::Head(place(), held),
            Reuse::Revalidate(_) if self.wants.no_store => Looked::Pass(None, None),
            Reuse::Revalidate(_) if self.secrets.any() => Looked::Pass(self.storing(place()), Some(held)),
            Reuse::Revalidate(_) => Looked::Load(place(), Some(held)),
        }
    }

    fn missing(&self, place: Place) -> Looked {
        let is_partial = self.request.headers.contains_key(RANGE);
        if self.wants.only_if_cached {
            Looked::OnlyIfCached
        } else if self.wants.head || self.wants.no_store || is_partial {
            Looked::Pass(None, None)
        } else if self.secrets.any() {
            Looked::Pass(self.storing(place), None)
        } else {
            Looked::Load(place, None)
        }
    }

    fn is_stale(&self, entry: &Entry) -> bool {
        self.cache.state(entry, self.cache.clock().now()) == State::Stale
    }

    /// Where what the handler says to this request may be stored, if it may.
    fn storing(&self, place: Place) -> Option<Place> {
        let is_whole = !self.wants.head && !self.wants.no_store && !self.request.headers.contains_key(RANGE);
        is_whole.then_some(place)
    }

    /// Whether a page is for who asks.
    pub(super) fn may_have(&self, page: &Page) -> bool {
        self.may_share(page.public, page.authorized)
    }

    pub(super) fn may_share(&self, public: bool, authorized: bool) -> bool {
        (!self.secrets.cookie || public) && (!self.secrets.authorization || authorized)
    }

    pub(super) fn reuse(&self, held: &Held) -> Reuse {
        reuse::decide(&held.page.head, &self.wants, held.now(self.cache.clock()))
    }

    /// Whether an entry answers this request as it is.
    pub(super) fn accepts(&self, entry: &Arc<Entry>) -> bool {
        Held::of(entry).is_none_or(|held| !matches!(self.reuse(&held), Reuse::Revalidate(_)))
    }

    /// Whether an entry that others have just loaded answers this request, although it would not if it had stood there.
    pub(super) fn accepts_shared(&self, held: &Held) -> bool {
        !matches!(self.reuse(held), Reuse::Revalidate(Reason::Stale | Reason::NoCache) | Reuse::OnlyIfCached)
    }

    /// The entry that was refused, where it still stands.
    pub(super) fn standing(&self, refused: &Refused) -> Option<Held> {
        let entry = refused.lock().unwrap_or_else(PoisonError::into_inner).clone()?;
        let state = self.cache.state(&entry, self.cache.clock().now());
        Held::of(&entry).filter(|_| matches!(state, State::Fresh | State::Stale))
    }

    /// Whether a page stands in for a handler that failed.
    pub(super) fn stands_in(&self, held: &Held) -> bool {
        reuse::on_error(&held.page.head, &self.wants, held.now(self.cache.clock()))
    }

    pub(super) fn place(&self, variants: Option<Arc<Variants>>) -> Place {
        let key = variants.as_ref().map_or_else(|| self.primary.clone(), |variants| self.variant_key(variants));
        let tags = variants.iter().flat_map(|variants| variants.tags.iter().cloned());
        let tags = key::path(&self.request).map(|path| path_tag(&self.settings, path)).into_iter().chain(tags);
        let tags = tags.map(|tag| {
            let mut text = KeyBuf::new();
            text.text(&tag);
            text
        });
        let slot = Slot::new(&self.cache, self.settings.site, &key, tags.collect(), self.settings.timeout);
        Place { slot, variants }
    }

    fn variant_key(&self, variants: &Variants) -> KeyBuf {
        variant_key(&self.primary, variants, &vary::key(&variants.fields, &self.request.headers))
    }
}

/// All calls are POST there, and say nothing about what their path has.
fn is_grpc(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"))
}

/// Whether the request means another than it names, or the configuration says so.
fn is_refused(settings: &Settings, request: &request::Parts) -> bool {
    let overrides = |name: &&str| request.headers.contains_key(*name) && !settings.key.has_name(name);
    OVERRIDES.iter().any(overrides) || settings.accept_request.as_ref().is_some_and(|accept| !accept(request))
}

/// What of who asks counts.
fn secrets(settings: &Settings, headers: &HeaderMap) -> Secrets {
    let found = settings.key.secrets(headers);
    match (settings.private, settings.mode) {
        (Private::Bypass, _) => found,
        (Private::Share, Mode::Configured) => Secrets::default(),
        // The standard has rules of its own for `Authorization`.
        (Private::Share, Mode::OriginHeaders) => Secrets { cookie: false, ..found },
    }
}

/// What all entries of a path carry, whatever host, query and variant they are of.
///
/// Paths share 65,536 tags: a tag costs the shared tier some bytes for ever, and clients choose paths.
pub(super) fn path_tag(settings: &Settings, path: &str) -> String {
    format!("http:{}:{:04x}", settings.name, xxh3_64(path.as_bytes()) as u16)
}

/// Of RFC 9875: within one origin.
pub(super) fn group_tag(settings: &Settings, request: &request::Parts, group: &str) -> String {
    let host = String::from_utf8_lossy(key::host(request).unwrap_or_default());
    let scheme = request.uri.scheme_str().unwrap_or_default();
    // No host has a line feed in it.
    format!("http-group:{}:{scheme}:{host}\n{group}", settings.name)
}

/// Method, URI and fields: what the rules look at.
pub(super) fn for_rules(request: &request::Parts) -> request::Parts {
    let (mut parts, ()) = Request::new(()).into_parts();
    parts.method = request.method.clone();
    parts.uri = request.uri.clone();
    parts.version = request.version;
    parts.headers = request.headers.clone();
    parts
}

/// Takes out what the handler must not see.
pub(super) fn hide(hidden: &[HeaderName], headers: &mut HeaderMap) {
    for name in hidden {
        headers.remove(name);
    }
}
