//! Who may see what: two requests and an answer, made of any bytes, go through the layer, and what the second one sees is held against a
//! small model. The model knows no grammar: where it forbids, no reading of the bytes allows.
//!
//! Used by the fuzz target `http`, and with random bytes by `tests/http`.

use std::convert::Infallible;
use std::fmt;
use std::future::{Ready, ready};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Empty, Full};
use tokio::runtime::{Builder, Runtime};
use tower_layer::Layer;
use tower_service::Service;

use hybridcache::HybridCache;
use hybridcache::http::{CacheOutcome, HttpCacheLayer, Key, Mode, PublicUri, Query};

const MOUNTS: [&str; 4] = ["", "", "/a", "/b"];
const PATHS: [&str; 5] = ["/items", "/items", "/items/", "/item%73", "/b/items"];
const QUERIES: [&str; 6] = ["", "", "?page=1", "?page=2", "?p%61ge=2", "?page=1&x=2"];
const HOSTS: [&str; 4] = ["shop.test", "shop.test", "SHOP.test", "other.test"];
const IDENTITIES: [&str; 3] = ["x-api-key", "x-forwarded-user", "proxy-authorization"];
const HIDDEN: [&str; 3] = ["x-forwarded-host", "x-original-url", "x-http-method-override"];
const ASKED: [&str; 12] = [
    "accept-language",
    "accept-language",
    "accept-encoding",
    "x-keyed",
    "cookie",
    "authorization",
    "x-api-key",
    "x-forwarded-user",
    "proxy-authorization",
    "x-forwarded-host",
    "x-original-url",
    "x-http-method-override",
];
const VALUES: [&str; 7] = ["a", "b", "c=1", "c=2", "c=1; sid=7", "a, b", ""];
const ANSWERED: [&str; 5] = ["cache-control", "cache-control", "vary", "set-cookie", "content-encoding"];
const PIECES: [&str; 22] = [
    "no-store",
    "private",
    "no-cache",
    "No-Store",
    "PRIVATE",
    "public",
    "max-age=60",
    "s-maxage=60",
    "must-revalidate",
    ",",
    ";",
    " ",
    "\t",
    "=",
    "\"",
    "\\",
    "foo",
    "*",
    "accept-language",
    "x-forwarded-host",
    "gzip",
    "\u{fc}",
];
/// Whole values.
const MEANT: [&str; 6] =
    ["max-age=60", "accept-language", "accept-encoding, accept-language", "*", "gzip", "no-store; max-age=60"];
const STATUSES: [u16; 8] = [200, 200, 200, 203, 301, 404, 429, 500];

thread_local! {
    static RUNTIME: Runtime = Builder::new_current_thread().enable_time().build().expect("a runtime");
}

/// Runs one case.
///
/// # Panics
/// Where the second request sees what it may not.
pub fn check(bytes: &[u8]) {
    let mut dice = Dice { bytes, at: 0 };
    let setup = Setup::of(&mut dice);
    let first = Ask::of(&mut dice);
    let mut second = first.clone();
    for _ in 0..dice.pick(4) {
        second.change(&mut dice);
    }
    let answer = Answer::of(&mut dice);
    let (is_shown, seen) = RUNTIME.with(|runtime| runtime.block_on(setup.run(&first, &second, &answer)));
    if let Some(why) = setup.forbids(&first, &second, &answer, &seen).filter(|_| is_shown) {
        panic!("{why}: {setup:?}\n{first:#?}\n{second:#?}\n{answer:#?}\nthe handler saw {seen:#?}");
    }
}

/// Choices that bytes make.
struct Dice<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Dice<'_> {
    fn byte(&mut self) -> u8 {
        self.at += 1;
        self.bytes.get(self.at - 1).copied().unwrap_or_default()
    }

    fn pick(&mut self, of: usize) -> usize {
        usize::from(self.byte()) % of
    }

    fn of<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        choices[self.pick(choices.len())]
    }

    /// Of pieces that mean something, or of any bytes.
    fn value(&mut self) -> Vec<u8> {
        let length = self.pick(8);
        if self.pick(8) == 0 {
            return (0..length).map(|_| self.byte()).collect();
        }
        (0..length).flat_map(|_| self.of(&PIECES).bytes()).collect()
    }
}

#[derive(Clone, Debug)]
struct Setup {
    mode: Mode,
    /// The field `x-keyed`, the cookie `c`, and of the query the parameter `page`.
    is_keyed: bool,
}

type Fields = Vec<(&'static str, Value)>;

/// Bytes, shown as text.
#[derive(Clone, PartialEq)]
struct Value(Vec<u8>);

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0.escape_ascii())
    }
}

#[derive(Clone, Debug)]
struct Ask {
    is_head: bool,
    mount: &'static str,
    path: &'static str,
    query: &'static str,
    host: &'static str,
    fields: Fields,
}

#[derive(Clone, Debug)]
struct Answer {
    status: u16,
    fields: Fields,
}

impl Ask {
    fn of(dice: &mut Dice<'_>) -> Self {
        let (mount, path) = (dice.of(&MOUNTS), dice.of(&PATHS));
        let (query, host) = (dice.of(&QUERIES), dice.of(&HOSTS));
        let mut ask = Self { is_head: false, mount, path, query, host, fields: Vec::new() };
        for _ in 0..dice.pick(3) {
            ask.add(dice);
        }
        ask
    }

    fn add(&mut self, dice: &mut Dice<'_>) {
        self.fields.push((dice.of(&ASKED), Value(dice.of(&VALUES).into())));
    }

    fn change(&mut self, dice: &mut Dice<'_>) {
        match dice.pick(8) {
            0 => self.mount = dice.of(&MOUNTS),
            1 => self.path = dice.of(&PATHS),
            2 => self.query = dice.of(&QUERIES),
            3 => self.host = dice.of(&HOSTS),
            4 => self.is_head = true,
            5 => drop(self.fields.pop()),
            6 => self.fields = vec![("accept-language", Value(dice.of(&VALUES).into()))],
            _ => self.add(dice),
        }
    }

    fn request(&self) -> Request<Empty<Bytes>> {
        let mut request = Request::new(Empty::new());
        *request.method_mut() = if self.is_head { Method::HEAD } else { Method::GET };
        // As a router that strips a prefix passes it on.
        *request.uri_mut() = uri(&[self.path, self.query]);
        request.extensions_mut().insert(PublicUri(uri(&[self.mount, self.path, self.query])));
        *request.headers_mut() = headers(&self.fields);
        request.headers_mut().insert("host", HeaderValue::from_static(self.host));
        request
    }

    fn has(&self, names: &[&str]) -> bool {
        self.fields.iter().any(|(name, _)| names.contains(name))
    }

    fn values(&self, wanted: &str) -> Vec<&[u8]> {
        self.fields.iter().filter(|(name, _)| *name == wanted).map(|(_, value)| &*value.0).collect()
    }

    /// The cookies of one name, and whether there are others.
    fn cookies(&self) -> (Vec<String>, bool) {
        let lines = self.values("cookie").into_iter().map(String::from_utf8_lossy).collect::<Vec<_>>().join(";");
        let cookies = lines.split(';').map(|cookie| cookie.trim().to_owned()).filter(|cookie| !cookie.is_empty());
        let (keyed, others): (Vec<_>, Vec<_>) = cookies.partition(|cookie| cookie.starts_with("c="));
        (keyed, !others.is_empty())
    }

    fn pages(&self) -> Vec<String> {
        let decoded = self.query.replace("%61", "a");
        decoded.trim_start_matches('?').split('&').filter(|pair| pair.starts_with("page=")).map(str::to_owned).collect()
    }
}

fn uri(parts: &[&str]) -> Uri {
    parts.concat().parse().expect("they are paths")
}

fn headers(fields: &Fields) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        if let Ok(value) = HeaderValue::from_bytes(&value.0) {
            headers.append(HeaderName::from_static(name), value);
        }
    }
    headers
}

impl Answer {
    fn of(dice: &mut Dice<'_>) -> Self {
        let status = STATUSES[dice.pick(STATUSES.len())];
        let field = |dice: &mut Dice<'_>| {
            let name = dice.of(&ANSWERED);
            let value = if dice.pick(3) == 0 { dice.of(&MEANT).into() } else { dice.value() };
            (name, Value(value))
        };
        let varying = (dice.pick(4) == 0).then(|| ("vary", Value(b"accept-language".to_vec())));
        let fields = (0..dice.pick(4)).map(|_| field(dice)).chain(varying).collect();
        Self { status, fields }
    }

    fn response(&self, body: String) -> Response<Full<Bytes>> {
        let mut response = Response::new(Full::from(body));
        *response.status_mut() = StatusCode::from_u16(self.status).expect("a status");
        *response.headers_mut() = headers(&self.fields);
        response
    }

    fn lines(&self, wanted: &str) -> Vec<String> {
        let sent = headers(&self.fields);
        sent.get_all(wanted).iter().map(|line| String::from_utf8_lossy(line.as_bytes()).to_ascii_lowercase()).collect()
    }

    /// Whether a word stands by itself somewhere in `Cache-Control`: not within a quoted string, nor as what another word is
    /// set to.
    fn says(&self, word: &str) -> bool {
        self.lines("cache-control").iter().any(|line| {
            unquoted(line)
                .split([',', ';', ' ', '\t'])
                .any(|part| part == word || part.strip_prefix(word).is_some_and(|rest| rest.starts_with('=')))
        })
    }
}

/// Without quoted strings that end.
fn unquoted(line: &str) -> String {
    let (mut kept, mut rest) = (String::new(), line);
    while let Some(start) = rest.find('"') {
        kept.push_str(&rest[..start]);
        let (mut is_escaped, inner) = (false, &rest[start + 1..]);
        let end = inner.char_indices().find(|(_, letter)| {
            let ends = *letter == '"' && !is_escaped;
            is_escaped = *letter == '\\' && !is_escaped;
            ends
        });
        kept.push('"');
        rest = end.map_or(inner, |(at, _)| &inner[at + 1..]);
    }
    kept + rest
}

/// Answers with how often it was asked, and notes what it saw first.
#[derive(Clone)]
struct Handler(Answer, Arc<Mutex<Vec<HeaderMap>>>);

impl Service<Request<Empty<Bytes>>> for Handler {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Empty<Bytes>>) -> Self::Future {
        let mut seen = self.1.lock().expect("nobody panics");
        seen.push(request.headers().clone());
        ready(Ok(self.0.response(seen.len().to_string())))
    }
}

impl Setup {
    fn of(dice: &mut Dice<'_>) -> Self {
        let mode = if dice.pick(2) == 0 { Mode::Configured } else { Mode::OriginHeaders };
        Self { mode, is_keyed: dice.pick(2) == 0 }
    }

    /// Whether the second request is answered with what was said to the first, and the fields with which the handler was asked.
    async fn run(&self, first: &Ask, second: &Ask, answer: &Answer) -> (bool, HeaderMap) {
        let cache = HybridCache::builder().build().await.expect("a cache");
        let key = Key::default().header("x-keyed").cookie("c").query(Query::only(["page"]));
        let key = if self.is_keyed { key } else { Key::default() };
        let builder = HttpCacheLayer::builder(cache).mode(self.mode).ttl(Duration::from_secs(60)).key(key);
        let handler = Handler(answer.clone(), Arc::default());
        let mut service = builder.build().expect("a layer").layer(handler.clone());
        let _ = service.call(first.request()).await;
        let response = service.call(second.request()).await.expect("no error");
        let outcome = response.extensions().get::<CacheOutcome>().cloned().expect("an outcome");
        let body = response.into_body().collect().await.expect("a body").to_bytes();
        let seen = handler.1.lock().expect("nobody panics").first().cloned().unwrap_or_default();
        (outcome.is_hit() || *body == *b"1", seen)
    }

    /// Why what was said to the first request is not for the second.
    fn forbids(&self, first: &Ask, second: &Ask, answer: &Answer, seen: &HeaderMap) -> Option<&'static str> {
        let both = [first, second];
        let public = self.mode == Mode::OriginHeaders && answer.says("public");
        let authorized =
            public || self.mode == Mode::OriginHeaders && (answer.says("must-revalidate") || answer.says("s-maxage"));
        let rules: [(bool, &'static str); 13] = [
            ((first.mount, first.path) != (second.mount, second.path), "another public path"),
            (first.host != second.host, "another host"),
            (
                if self.is_keyed { first.pages() != second.pages() } else { first.query != second.query },
                "another query",
            ),
            (self.is_keyed && first.values("x-keyed") != second.values("x-keyed"), "another keyed field"),
            (self.is_keyed && first.cookies().0 != second.cookies().0, "another keyed cookie"),
            (!public && both.iter().any(|ask| self.has_secret_cookies(ask)), "a cookie that is not keyed"),
            (!public && both.iter().any(|ask| ask.has(&IDENTITIES)), "a field that says who asks"),
            (!authorized && both.iter().any(|ask| ask.has(&["authorization"])), "an authorization"),
            (HIDDEN.iter().any(|name| seen.contains_key(*name)), "the handler has seen what is hidden"),
            (answer.says("no-store") || answer.says("private"), "it is for nobody else"),
            (answer.says("no-cache"), "the handler has to be asked"),
            (!answer.lines("set-cookie").is_empty() || self.is_refused(answer.status), "never stored"),
            (self.varies(first, second, answer), "another variant"),
        ];
        rules.into_iter().find(|(forbids, _)| *forbids).map(|(_, why)| why)
    }

    fn has_secret_cookies(&self, ask: &Ask) -> bool {
        let (keyed, has_others) = ask.cookies();
        has_others || (!self.is_keyed && !keyed.is_empty())
    }

    fn is_refused(&self, status: u16) -> bool {
        status == 429 || (self.mode == Mode::Configured && status != 200)
    }

    fn varies(&self, first: &Ask, second: &Ask, answer: &Answer) -> bool {
        let mut vary = answer.lines("vary").join(",");
        if answer.lines("content-encoding").iter().any(|line| line.contains("gzip")) {
            vary.push_str(",accept-encoding");
        }
        // The others are what the handler has not seen.
        let matters = ["accept-language", "accept-encoding"]
            .into_iter()
            .filter(|name| vary.split([',', ' ', '\t']).any(|said| said == *name));
        vary.split([',', ' ', '\t']).any(|said| said == "*")
            || matters.into_iter().any(|name| first.values(name).concat() != second.values(name).concat())
    }
}
