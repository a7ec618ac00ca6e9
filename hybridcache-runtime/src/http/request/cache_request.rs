//! One request, as far as the types of its body and of the handler do not matter.

use std::mem::take;
use std::sync::Arc;

use http::header::{CONTENT_TYPE, RANGE};
use http::{Extensions, HeaderMap, HeaderName, HeaderValue, Request, Uri, request};

use super::field_kinds::Kinds;
use super::key::Credentials;
use super::public_uri::Public;
use crate::cache::HybridCache;
use crate::engine::scope;
use crate::entry::{Entry, State};
use crate::http::rfc::reuse::{self, RevalidationReason};
use crate::http::rfc::status::Forward;
use crate::http::rfc::stored::Aged;
use crate::http::rfc::{Asked, Reuse, Wants, conditional, range, request as requests, vary};
use crate::http::settings::{Mode, Private, Settings};
use crate::http::store::entry::{self, HttpEntry, RejectedEntry, variant_key};
use crate::http::store::record::{Page, Record, StoredPage, Variants};
use crate::http::store::tags::path_tag;
use crate::key::KeyBuf;
use crate::primitives::clock::Millis;
use crate::primitives::log_limit::{self, LogLimit};
use crate::primitives::sync::LockExt as _;

/// A request that the store may answer.
#[derive(Debug)]
pub(crate) struct CacheRequest {
    pub(crate) settings: Arc<Settings>,
    /// Method, URI and fields.
    pub(crate) parts: request::Parts,
    /// Of its fields, as they came.
    kinds: Kinds,
    /// The public URI, where it differs from the request's own.
    public: Option<Uri>,
    pub(crate) wants: Wants,
    pub(crate) secrets: Credentials,
    pub(crate) primary: KeyBuf,
}

/// How the layer handles a request.
pub(crate) enum Route {
    /// Look it up in the store. The extensions are for the handler.
    Lookup(Box<CacheRequest>, Extensions),
    /// Pass it to the handler unchanged.
    Bypass(request::Parts, Forward),
    /// The same, without an outcome: an outer layer of the same name reports it.
    Enclosed(request::Parts),
    /// Pass it to the handler unchanged; then invalidate what it may have changed.
    Unsafe(request::Parts, Public),
}

/// The result of a look-up.
pub(crate) enum StoreLookup {
    /// A page answers the request.
    Hit(StoredPage, Aged),
    /// A stale page answers the request, and the handler is called in the background.
    Refresh(StoredPage, VariantSlot),
    /// The handler has to be called, once for all that wait. The page may be revalidated.
    Load(VariantSlot, Option<StoredPage>),
    /// The handler has to be called for this request alone; its answer may be stored in the slot.
    Pass(Option<VariantSlot>, Option<StoredPage>),
    /// The same, unless this request is the one that probes.
    HitForPass(VariantSlot, Arc<Entry>),
    /// The handler has to be called with HEAD, which may show that the stored page is out of date.
    Head(VariantSlot, StoredPage),
    /// `only-if-cached`, and nothing may be used: 504.
    OnlyIfCached,
}

/// The key under which an answer belongs.
#[derive(Clone, Debug)]
pub(crate) struct VariantSlot {
    pub(crate) entry: HttpEntry,
    /// The record that leads to it; `None` for the request's own key.
    pub(crate) variants: Option<Arc<Variants>>,
}

/// In the extensions of a request that a layer asks the handler with: the names of the layers that do. A layer of the same name
/// within would wait for the one around it, or store under one key what that one has not seen.
#[derive(Clone, Debug, Default)]
struct OuterLayers(Vec<&'static str>);

/// The longest key that is stored, in bytes: clients choose them. The same for what a request says in the fields that choose among
/// variants.
const LONGEST_KEY: usize = 8 << 10;

impl CacheRequest {
    /// Looks at a request. `is_empty`: it has no body.
    pub(crate) fn of(settings: &Arc<Settings>, request: request::Parts, public: Public, is_empty: bool) -> Route {
        if request.extensions.get().is_some_and(|OuterLayers(names)| names.contains(&settings.name)) {
            return Route::Enclosed(request);
        }
        let (scope, kinds) = (scope::mode(), settings.unkeyed.kinds.of_all(&request.headers));
        if (kinds.has(Kinds::CONTENT_TYPE) && is_grpc(&request.headers)) || scope == scope::Mode::Bypass {
            return Route::Bypass(request, Forward::Bypass);
        }
        let mut wants = match requests::ask(&request, kinds.has(Kinds::DIRECTIVES)) {
            Asked::Bypass(requests::Bypass::Method) => return Route::Bypass(request, Forward::Method),
            Asked::Bypass(_) => return Route::Bypass(request, Forward::Bypass),
            Asked::Unsafe => return Route::Unsafe(request, public),
            Asked::Lookup(wants) => wants,
        };
        let public = match public {
            Public::Same => None,
            Public::Other(uri) => Some(uri),
            Public::Unknown => {
                warn_of_unknown(settings);
                return Route::Bypass(request, Forward::Bypass);
            }
        };
        let secrets = secrets(settings, &request, kinds);
        let is_private = secrets.any() && settings.mode == Mode::Configured;
        if !is_empty || is_private || is_refused(settings, &request, kinds) {
            return Route::Bypass(request, Forward::Bypass);
        }
        if settings.mode == Mode::Configured {
            wants = Wants { head: wants.head, ..Wants::default() };
        }
        wants.no_cache |= scope == scope::Mode::Refresh;
        // Boxed before the key is written: the key is large to move.
        let (settings, primary) = (settings.clone(), KeyBuf::new());
        let mut request = Box::new(Self { settings, parts: request, kinds, public, wants, secrets, primary });
        if !request.write_key() {
            return Route::Bypass(request.parts, Forward::Bypass);
        }
        // After the key was made and the fields were judged, and before the handler is asked.
        if kinds.has(Kinds::HIDDEN) {
            request.settings.unkeyed.kinds.remove(Kinds::HIDDEN, &mut request.parts.headers);
        }
        let extensions = take(&mut request.parts.extensions);
        Route::Lookup(request, extensions)
    }

    /// False: the request names no single resource, or its key is too long.
    fn write_key(&mut self) -> bool {
        let Self { settings, parts, public, primary, .. } = self;
        let asked = parts.uri.path_and_query().map_or(0, |asked| asked.as_str().len());
        asked <= LONGEST_KEY
            && settings.key.write(primary, parts, public.as_ref()).is_some()
            && primary.as_bytes().len() <= LONGEST_KEY
    }

    /// Looks up the request in memory. `known`: the record at the request's own key, where memory may not have it.
    pub(crate) fn look(&self, known: Option<Arc<Variants>>) -> StoreLookup {
        let site = self.settings.site;
        let variants = match known {
            Some(variants) => variants,
            None => match entry::look(self.cache(), site, &self.primary) {
                None => return self.missing(self.slot(None)),
                Some(entry) => match Record::of(&entry) {
                    Some(Record::Variants(variants)) => {
                        HttpEntry::count_demand(self.cache(), &entry);
                        variants.clone()
                    }
                    _ => return self.found(entry, || self.slot(None)),
                },
            },
        };
        if !self.wants.only_if_cached && self.has_long_variant_values(&variants) {
            return StoreLookup::Pass(None, None);
        }
        let slot = || self.slot(Some(variants.clone()));
        match entry::look(self.cache(), site, &self.variant_key(&variants)) {
            None => self.missing(slot()),
            Some(entry) => self.found(entry, slot),
        }
    }

    fn found(&self, entry: Arc<Entry>, slot: impl Fn() -> VariantSlot) -> StoreLookup {
        let held = match StoredPage::new(entry) {
            Ok(held) => held,
            Err(entry) => {
                return match self.storing(slot()) {
                    _ if self.wants.only_if_cached => StoreLookup::OnlyIfCached,
                    Some(slot) if !self.secrets.any() && self.is_stale(&entry) => StoreLookup::HitForPass(slot, entry),
                    slot => StoreLookup::Pass(slot, None),
                };
            }
        };
        if !self.may_have(&held.page) {
            return StoreLookup::Pass(None, None);
        }
        let aged = self.aged(&held);
        match reuse::decide(&held.page.head, &self.wants, &aged) {
            Reuse::Fresh | Reuse::MaxStale => StoreLookup::Hit(held, aged),
            // A request without such restrictions will refresh it.
            Reuse::StaleWhileRevalidate if self.wants.head || self.wants.no_store || self.secrets.any() => {
                StoreLookup::Hit(held, aged)
            }
            Reuse::StaleWhileRevalidate => StoreLookup::Refresh(held, slot()),
            Reuse::OnlyIfCached => StoreLookup::OnlyIfCached,
            Reuse::Revalidate(_) if self.is_to_go_as_it_is() => StoreLookup::Pass(None, None),
            // A HEAD only shows whether the page has changed.
            Reuse::Revalidate(_) if self.wants.head => StoreLookup::Head(slot(), held),
            Reuse::Revalidate(_) if self.wants.no_store => StoreLookup::Pass(None, None),
            Reuse::Revalidate(_) if self.secrets.any() => StoreLookup::Pass(self.storing(slot()), Some(held)),
            Reuse::Revalidate(_) => StoreLookup::Load(slot(), Some(held)),
        }
    }

    fn missing(&self, slot: VariantSlot) -> StoreLookup {
        if self.wants.only_if_cached {
            StoreLookup::OnlyIfCached
        } else if self.wants.no_store || self.is_to_go_as_it_is() {
            StoreLookup::Pass(None, None)
        } else if self.secrets.any() {
            StoreLookup::Pass(self.storing(slot), None)
        } else {
            StoreLookup::Load(slot, None)
        }
    }

    /// Whether it asks for what the layer cannot make of the whole: a range far behind, or a precondition that only the handler
    /// can evaluate.
    fn is_to_go_as_it_is(&self) -> bool {
        let headers = &self.parts.headers;
        !range::is_near(headers, self.settings.body_limit) || conditional::is_for_the_origin(headers)
    }

    fn is_stale(&self, entry: &Entry) -> bool {
        self.cache().state(entry, self.cache().clock().now()) == State::Stale
    }

    /// The slot for the handler's answer to this request, if that may be stored.
    pub(crate) fn storing(&self, slot: VariantSlot) -> Option<VariantSlot> {
        let is_whole = !self.wants.head
            && !self.wants.no_store
            && !self.parts.headers.contains_key(RANGE)
            && !conditional::is_for_the_origin(&self.parts.headers);
        is_whole.then_some(slot)
    }

    /// Whether a page may be served to this request.
    pub(crate) fn may_have(&self, page: &Page) -> bool {
        self.may_share(page.public, page.authorized)
    }

    pub(crate) fn may_share(&self, public: bool, authorized: bool) -> bool {
        (!self.secrets.cookie || public) && (!self.secrets.authorization || authorized)
    }

    pub(crate) fn reuse(&self, held: &StoredPage) -> Reuse {
        reuse::decide(&held.page.head, &self.wants, &self.aged(held))
    }

    /// A stored page as it is now.
    pub(crate) fn aged(&self, held: &StoredPage) -> Aged {
        held.page.head.at(held.now(self.cache().clock()))
    }

    /// Whether an entry answers this request as it is.
    pub(crate) fn accepts(&self, entry: &Arc<Entry>) -> bool {
        StoredPage::of(entry).is_none_or(|held| !matches!(self.reuse(&held), Reuse::Revalidate(_)))
    }

    /// Whether an entry that others have just loaded answers this request, although it would not if it had stood there.
    pub(crate) fn accepts_shared(&self, held: &StoredPage) -> bool {
        !matches!(
            self.reuse(held),
            Reuse::Revalidate(RevalidationReason::Stale | RevalidationReason::NoCache) | Reuse::OnlyIfCached
        )
    }

    /// The rejected page, if it is still valid.
    pub(crate) fn standing(&self, refused: &RejectedEntry) -> Option<StoredPage> {
        let entry = refused.lock_unpoisoned().clone()?;
        let state = self.cache().state(&entry, self.cache().clock().now());
        StoredPage::of(&entry).filter(|_| matches!(state, State::Fresh | State::Stale))
    }

    /// Whether a page may be served because the handler failed.
    pub(crate) fn stands_in(&self, held: &StoredPage) -> bool {
        reuse::on_error(&held.page.head, &self.wants, held.now(self.cache().clock()))
    }

    pub(crate) fn slot(&self, variants: Option<Arc<Variants>>) -> VariantSlot {
        let key = variants.as_ref().map_or_else(|| self.primary.clone(), |variants| self.variant_key(variants));
        let tags = variants.iter().flat_map(|variants| variants.tags.iter().cloned());
        let tags = [path_tag(&self.settings, self.uri().path())].into_iter().chain(tags);
        let tags = tags.map(|tag| {
            let mut text = KeyBuf::new();
            text.text(&tag);
            text
        });
        let entry = HttpEntry::new(self.cache(), self.settings.site, &key, tags.collect(), self.settings.timeout);
        VariantSlot { entry, variants }
    }

    pub(crate) fn cache(&self) -> &HybridCache {
        &self.settings.cache
    }

    /// Whether the answer may be a 206, 304 or 416.
    pub(crate) fn has_conditions(&self) -> bool {
        self.kinds.has(Kinds::CONDITIONS)
    }

    /// The public URI.
    pub(crate) fn uri(&self) -> &Uri {
        self.public.as_ref().unwrap_or(&self.parts.uri)
    }

    /// Adds this layer's name for inner layers.
    pub(crate) fn enclose(&self, extensions: &mut Extensions) {
        extensions.get_or_insert_default::<OuterLayers>().0.push(self.settings.name);
    }

    /// Whether its values of the fields that choose a variant are too long.
    fn has_long_variant_values(&self, variants: &Variants) -> bool {
        let values = variants.fields.iter().flat_map(|name| self.parts.headers.get_all(name));
        values.map(HeaderValue::len).sum::<usize>() > LONGEST_KEY
    }

    /// How long the shared tier keeps a page after its first request, in milliseconds.
    pub(crate) fn trial(&self) -> Millis {
        u64::try_from(self.settings.trial.as_millis()).unwrap_or(u64::MAX)
    }

    fn variant_key(&self, variants: &Variants) -> KeyBuf {
        variant_key(&self.primary, variants, &vary::key(&variants.fields, &self.parts.headers))
    }
}

fn warn_of_unknown(settings: &Settings) {
    static UNKNOWN: LogLimit = LogLimit::every(log_limit::MINUTE);
    if UNKNOWN.allow() {
        let what = "a request has axum's body and not the `OriginalUri` of axum 0.8: whether a router has stripped a prefix of its path \
                    cannot be known, so nothing is stored; say which URI is public with `HttpCacheLayer::builder(..).public_uri(..)`";
        let layer = format_args!("layer `{}`", settings.name);
        settings.cache.events().warn(true, "http_unknown_uri", what, Some(&layer));
    }
}

/// gRPC: all calls are POST, also those that change nothing.
fn is_grpc(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"))
}

/// Whether a shown field changes the method or the path, or `accept_request` refuses.
fn is_refused(settings: &Settings, request: &request::Parts, kinds: Kinds) -> bool {
    kinds.has(Kinds::OVERRIDE) || settings.accept_request.as_ref().is_some_and(|accept| !accept(request))
}

/// The credentials that count under the settings.
fn secrets(settings: &Settings, request: &request::Parts, kinds: Kinds) -> Credentials {
    let mut found = Credentials::default();
    if kinds.has(Kinds::CREDENTIALS) {
        found = settings.key.secrets(&request.headers);
    }
    if settings.private == Private::Bypass {
        found.cookie |=
            kinds.has(Kinds::IDENTITY) || settings.unkeyed.has_identity(&settings.cache, &request.extensions);
    }
    match (settings.private, settings.mode) {
        (Private::Bypass, _) => found,
        (Private::Share, Mode::Configured) => Credentials::default(),
        // The standard has rules of its own for `Authorization`.
        (Private::Share, Mode::OriginHeaders) => Credentials { cookie: false, ..found },
    }
}

/// Method, public URI and fields: what the rules look at after a write.
pub(crate) fn written(request: &request::Parts, public: Public) -> request::Parts {
    let mut parts = for_rules(request);
    if let Public::Other(uri) = public {
        parts.uri = uri;
    }
    parts
}

/// Method, URI and fields: what the rules look at.
pub(crate) fn for_rules(request: &request::Parts) -> request::Parts {
    let (mut parts, ()) = Request::new(()).into_parts();
    parts.method = request.method.clone();
    parts.uri = request.uri.clone();
    parts.version = request.version;
    parts.headers = request.headers.clone();
    parts
}

/// Removes the fields of `hide_unkeyed`.
pub(crate) fn hide(hidden: &[HeaderName], headers: &mut HeaderMap) {
    for name in hidden {
        headers.remove(name);
    }
}
