//! Configuring a layer.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::{Extensions, HeaderName, Uri, request, response};

use super::request::key::Key;
use super::request::unkeyed::{IDENTITY_FIELDS, Unkeyed, has};
use super::rfc::Rules;
use super::service::HttpCacheLayer;
use super::settings::{Mode, Private, Settings, StaleOn};
use super::store::tags::path_seed;
use crate::cache::HybridCache;
use crate::error::Error;
use crate::function::Site;
use crate::primitives::clock::bounded;
use crate::primitives::sync::LockExt as _;

/// How long answers are kept unless a setting or the answer says otherwise.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The largest body that is stored unless [`Builder::body_limit`] says otherwise.
const BODY_LIMIT: u64 = 1 << 20;

/// How long Redis keeps a page after its first request, unless [`Builder::trial`] says otherwise.
const TRIAL: Duration = Duration::from_secs(10);

/// Configures an [`HttpCacheLayer`].
#[must_use = "a builder does nothing before `build()`"]
pub struct Builder {
    name: String,
    fresh_for: Option<Duration>,
    ttl: Option<Duration>,
    hidden: Vec<String>,
    shown: Vec<String>,
    identities: Vec<String>,
    identity_extensions: Vec<fn(&Extensions) -> bool>,
    minds_connect_info: bool,
    targeted: Option<Vec<String>>,
    stale_on: Option<StaleOn>,
    settings: Settings,
}

impl HttpCacheLayer {
    /// A layer over a cache, to be configured.
    pub fn builder(cache: HybridCache) -> Builder {
        Builder::new(cache)
    }
}

impl Builder {
    fn new(cache: HybridCache) -> Self {
        let settings = Settings {
            cache,
            name: "",
            site: named("http").1,
            path_seed: [0; 32],
            mode: Mode::default(),
            timeout: None,
            fresh_for: DAY,
            ttl: DAY,
            negative: None,
            key: Key::default(),
            shows_query: false,
            private: Private::default(),
            public_uri: None,
            accept_request: None,
            accept_response: None,
            hidden: Vec::new(),
            unkeyed: Unkeyed::default(),
            body_limit: BODY_LIMIT,
            trial: TRIAL,
            stale_on: StaleOn::SERVER_ERRORS,
            cache_status: None,
            rules: Rules::default(),
        };
        Self {
            name: "http".to_owned(),
            fresh_for: None,
            ttl: None,
            hidden: Vec::new(),
            shown: Vec::new(),
            identities: IDENTITY_FIELDS.iter().map(|name| (*name).to_owned()).collect(),
            identity_extensions: Vec::new(),
            minds_connect_info: true,
            targeted: None,
            stale_on: None,
            settings,
        }
    }

    /// The layer's name in keys and in [`HybridCache::function_stats`]; `http` by default. Layers of one name share
    /// their entries, so layers that answer the same paths differently need different names. Must not be empty. The name is never freed.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Where the times come from; [`Mode::Configured`] by default.
    pub fn mode(mut self, mode: Mode) -> Self {
        self.settings.mode = mode;
        self
    }

    /// How long the handler may take, and how long a request waits for another request's call of it. By default the handler has no
    /// limit, and waiting ends after 30 s. After it, the client gets a stale page if there is one that may be used, else 504. Zero is an error.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.settings.timeout = Some(timeout);
        self
    }

    /// Under [`Mode::Configured`]: the time in which hits do not call the handler. From then to `ttl` an answer is stale: it is served
    /// and refreshed in the background. Equal to `ttl` by default; zero and more than `ttl` are errors.
    pub fn fresh_for(mut self, fresh_for: Duration) -> Self {
        self.fresh_for = Some(fresh_for);
        self
    }

    /// After it an answer is removed. Required under [`Mode::Configured`]. Under [`Mode::OriginHeaders`] it bounds the times that answers
    /// state, and is how long an answer with a validator is kept for revalidation; a day by default. Zero is an error.
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = Some(ttl);
        self
    }

    /// Under [`Mode::Configured`]: stores errors, 400 to 599, for this time; they are not stored by default. Zero is an error.
    ///
    /// A status about its own request or client is never stored, in both modes: 400, 406 to 408, 411 to 413, 415 to 417, 421, 422, 425, 426,
    /// 428, 429, 431, 451, 511. It does not replace a stored page either. Of the requests that waited for it, one asks the handler
    /// again for all.
    pub fn negative(mut self, ttl: Duration) -> Self {
        self.settings.negative = Some(ttl);
        self
    }

    /// The parts of a request in its key, beside host and path; by default the query.
    pub fn key(mut self, key: Key) -> Self {
        self.settings.key = key;
        self
    }

    /// The URI that clients request, in place of [`PublicUri`](super::PublicUri) or axum's `OriginalUri` in the request's
    /// extensions.
    ///
    /// Keys, tags of paths and the targets of writes are made of it. The layer knows the prefixes that axum's `nest` strips without
    /// this setting. It is needed for other routers, and for other versions of axum, where nothing is stored without it.
    pub fn public_uri(mut self, public_uri: impl Fn(&request::Parts) -> Uri + Send + Sync + 'static) -> Self {
        self.settings.public_uri = Some(Arc::new(public_uri));
        self
    }

    /// Shows the handler the whole query also where [`Query`](super::Query) leaves parameters out of the key. Its answer must not
    /// depend on them, or one client could choose the answers of others.
    pub fn show_unkeyed_query(mut self) -> Self {
        self.settings.shows_query = true;
        self
    }

    /// Which requests may be answered from the cache; all by default. It can only narrow: requests that the layer bypasses by its own rules
    /// stay bypassed.
    pub fn accept_request(mut self, accept: impl Fn(&request::Parts) -> bool + Send + Sync + 'static) -> Self {
        self.settings.accept_request = Some(Arc::new(accept));
        self
    }

    /// Which answers are stored, in place of "status 200" under [`Mode::Configured`], and in addition to the standard's rules under
    /// [`Mode::OriginHeaders`]. An answer that forbids sharing is never stored.
    pub fn accept_response(mut self, accept: impl Fn(&response::Parts) -> bool + Send + Sync + 'static) -> Self {
        self.settings.accept_response = Some(Arc::new(accept));
        self
    }

    /// How requests that identify their caller are handled; [`Private::Bypass`] by default.
    pub fn private(mut self, private: Private) -> Self {
        self.settings.private = private;
        self
    }

    /// The fields that identify the caller, beside `Cookie` and `Authorization`, in place of [`IDENTITY_FIELDS`]. Fields in the key do
    /// not count.
    ///
    /// ```
    /// # use hybridcache_runtime as hybridcache;
    /// # async fn run(builder: hybridcache::http::Builder) -> hybridcache::http::Builder {
    /// use hybridcache::http::IDENTITY_FIELDS;
    /// builder.identity_fields(IDENTITY_FIELDS.iter().copied().chain(["x-team"]))
    /// # }
    /// ```
    pub fn identity_fields<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        self.identities = names.into_iter().map(Into::into).collect();
        self
    }

    /// A type in the extensions of a request that identifies the caller: an outer layer inserts it. axum's
    /// `ConnectInfo<SocketAddr>` is one by default.
    pub fn identity_extension<T: Send + Sync + 'static>(mut self) -> Self {
        self.identity_extensions.push(has::<T>);
        self
    }

    /// The answers do not depend on the address of the client: requests with axum's `ConnectInfo<SocketAddr>` are like others.
    /// Without this, nothing is stored for a server that was started with `into_make_service_with_connect_info`, and a warning is logged.
    pub fn ignore_connect_info(mut self) -> Self {
        self.minds_connect_info = false;
        self
    }

    /// Fields of [`HIDDEN_FIELDS`](super::HIDDEN_FIELDS) that handlers see although they are not in the key, because the
    /// answers do not depend on them. The answers to requests with a field that changes the method or the path (`X-HTTP-Method-Override`,
    /// `X-Original-URL`) are then not stored. [`Key::header`] adds a field to the key instead, which also shows it.
    pub fn show_unkeyed<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        self.shown.extend(names.into_iter().map(Into::into));
        self
    }

    /// Fields that are removed from every request before a handler sees it, because they are not in the key and a handler might
    /// use them; in addition to [`HIDDEN_FIELDS`](super::HIDDEN_FIELDS), which are removed from requests whose answers may be stored.
    pub fn hide_unkeyed<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        self.hidden.extend(names.into_iter().map(Into::into));
        self
    }

    /// The largest body that is stored, in bytes; 1 MiB by default. With 0, only empty bodies are stored. Longer bodies pass through as they
    /// come. A body of unknown length passes through as well, and is recorded up to this limit: it is stored if it ends within the limit,
    /// within 10 s and within the layer's `timeout`.
    pub fn body_limit(mut self, bytes: u64) -> Self {
        self.settings.body_limit = bytes;
        self
    }

    /// How long Redis keeps an answer without a second request for it; 10 s by default. After a second request within that
    /// time, in any process, Redis keeps the answer for its lifetime, and stores later loads of it for their lifetime. Otherwise clients could fill
    /// Redis with pages that are requested once. With a `trial` of `ttl`, Redis keeps every answer for its lifetime. Zero is an error.
    pub fn trial(mut self, time: Duration) -> Self {
        self.settings.trial = time;
        self
    }

    /// For which failures of the handler a stale answer is served. [`StaleOn::SERVER_ERRORS`] by default under [`Mode::Configured`]. Under
    /// [`Mode::OriginHeaders`] an answer's `stale-if-error` decides, unless this is called: then stale answers are served for
    /// as long as they are kept.
    pub fn stale_on(mut self, stale_on: StaleOn) -> Self {
        self.stale_on = Some(stale_on);
        self
    }

    /// Adds the field `Cache-Status` (RFC 9211) to every response, under this name of the cache; not added by default. Its `detail` says why
    /// an answer is not stored: `private`, `set-cookie`, `body-limit`, .. The name consists of letters, digits and `-._`, a letter first.
    pub fn cache_status(mut self, name: impl Into<String>) -> Self {
        self.settings.cache_status = Some(name.into());
        self
    }

    /// Under [`Mode::OriginHeaders`]: the response fields with directives for this cache alone (RFC 9213), the most specific first;
    /// `CDN-Cache-Control` by default.
    pub fn targeted<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        self.targeted = Some(names.into_iter().map(Into::into).collect());
        self
    }

    /// Checks the settings.
    ///
    /// # Errors
    /// If a setting is invalid, or two contradict each other: [`Error::is_config`], and the message names them.
    pub fn build(mut self) -> Result<HttpCacheLayer, Error> {
        (self.settings.fresh_for, self.settings.ttl) = self.times()?;
        let unkeyed = self.unkeyed()?;
        let Self { name, hidden, targeted, stale_on, mut settings, .. } = self;
        if name.is_empty() {
            return Err(Error::config("name", "must not be empty"));
        }
        settings.hidden = fields("hide_unkeyed", &hidden)?;
        if let Some(targeted) = targeted {
            settings.rules.targeted = fields("targeted", &targeted)?;
        }
        let keyed = settings.key.fields().map_err(|problem| Error::config("key", problem))?;
        if let Some(name) = settings.hidden.iter().find(|name| keyed.contains(name)) {
            return Err(Error::config("hide_unkeyed", format!("`{name}` is in the key, and cannot be hidden")));
        }
        settings.unkeyed = unkeyed;
        if settings.cache_status.as_ref().is_some_and(|name| !is_token(name)) {
            return Err(Error::config("cache_status", "must be a name of letters, digits and `-._`, a letter first"));
        }
        if let (Mode::OriginHeaders, Some(stale_on)) = (settings.mode, stale_on) {
            settings.rules.stale_on_error = if stale_on == StaleOn::NEVER { Duration::ZERO } else { settings.ttl };
        }
        settings.stale_on = stale_on.unwrap_or(StaleOn::SERVER_ERRORS);
        settings.timeout = settings.timeout.map(bounded);
        (settings.name, settings.site) = named(&name);
        settings.path_seed = path_seed(settings.cache.namespace(), &name);
        Ok(HttpCacheLayer { settings: Arc::new(settings) })
    }

    fn unkeyed(&self) -> Result<Unkeyed, Error> {
        let identities = fields("identity_fields", &self.identities)?;
        let shown = fields("show_unkeyed", &self.shown)?;
        let unkeyed = Unkeyed::new(&self.settings.key, identities, &shown);
        Ok(Unkeyed {
            extensions: self.identity_extensions.clone(),
            minds_connect_info: self.minds_connect_info,
            ..unkeyed
        })
    }

    /// `fresh_for` and `ttl`.
    fn times(&self) -> Result<(Duration, Duration), Error> {
        let Self { fresh_for, ttl, settings: Settings { timeout, negative, mode, .. }, .. } = self;
        let trial = &Some(self.settings.trial);
        let all =
            [("timeout", timeout), ("fresh_for", fresh_for), ("ttl", ttl), ("negative", negative), ("trial", trial)];
        if let Some((setting, _)) = all.iter().find(|(_, time)| time.is_some_and(|time| time.is_zero())) {
            return Err(Error::config(setting, "must be longer than zero"));
        }
        let ttl = match (ttl, mode) {
            (Some(ttl), _) => *ttl,
            (None, Mode::OriginHeaders) => DAY,
            (None, Mode::Configured) => return Err(Error::config("ttl", "is needed under `Mode::Configured`")),
        };
        let fresh_for = fresh_for.unwrap_or(ttl);
        if fresh_for > ttl {
            return Err(Error::config("fresh_for", "must not be longer than `ttl`"));
        }
        Ok((fresh_for, ttl))
    }
}

fn fields(setting: &str, names: &[String]) -> Result<Vec<HeaderName>, Error> {
    let field = |name: &String| {
        HeaderName::try_from(name).map_err(|_| Error::config(setting, format!("{name:?} is no name of a field")))
    };
    names.iter().map(field).collect()
}

fn is_token(name: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    name.starts_with(|first: char| first.is_ascii_alphabetic()) && name.bytes().all(is_part)
}

/// The name, leaked, and the site of all layers of that name: one for each name, not for each layer.
fn named(name: &str) -> (&'static str, &'static Site) {
    static NAMED: Mutex<Option<HashMap<&'static str, &'static Site>>> = Mutex::new(None);
    let mut named = NAMED.lock_unpoisoned();
    let named = named.get_or_insert_default();
    if let Some((name, site)) = named.get_key_value(name) {
        return (name, site);
    }
    let name: &'static str = name.to_owned().leak();
    let site: &'static Site = Box::leak(Box::new(Site::named(name, 0).by_size()));
    named.insert(name, site);
    (name, site)
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder").field("name", &self.name).field("settings", &self.settings).finish_non_exhaustive()
    }
}
