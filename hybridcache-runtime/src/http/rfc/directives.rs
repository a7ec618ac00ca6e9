//! `Cache-Control`: directives and their arguments.

use std::time::Duration;

use http::{HeaderMap, HeaderName, header};

use super::{fields, restrictions};

/// The directives of a response, from `Cache-Control` or a field that replaces it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ResponseDirectives {
    pub(crate) no_store: bool,
    pub(crate) private: Scope,
    pub(crate) no_cache: Scope,
    pub(crate) public: bool,
    pub(crate) must_revalidate: bool,
    pub(crate) proxy_revalidate: bool,
    pub(crate) must_understand: bool,
    pub(crate) max_age: Seconds,
    pub(crate) s_maxage: Seconds,
    pub(crate) stale_while_revalidate: Seconds,
    pub(crate) stale_if_error: Seconds,
}

/// The directives of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct RequestDirectives {
    pub(crate) no_store: bool,
    pub(crate) no_cache: bool,
    pub(crate) only_if_cached: bool,
    pub(crate) max_age: Seconds,
    pub(crate) min_fresh: Seconds,
    pub(crate) max_stale: Seconds,
    /// `max-stale` without a number: any staleness is accepted.
    pub(crate) any_stale: bool,
    pub(crate) stale_if_error: Seconds,
}

/// The scope of a directive that may name fields.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Scope {
    /// The directive is absent.
    #[default]
    Nothing,
    /// The named fields only; the rest of the response is not affected.
    Fields(Vec<HeaderName>),
    /// The whole response.
    Everything,
}

/// The number in a directive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Seconds {
    /// The directive is absent.
    #[default]
    Absent,
    Is(u64),
    /// No number, or several different ones: the time is unknown, so it is zero.
    Invalid,
}

impl Seconds {
    /// `None` if the directive is absent; zero if it is invalid.
    pub(crate) fn duration(self) -> Option<Duration> {
        match self {
            Seconds::Absent => None,
            Seconds::Is(seconds) => Some(Duration::from_secs(seconds)),
            Seconds::Invalid => Some(Duration::ZERO),
        }
    }

    pub(crate) fn is_there(self) -> bool {
        self != Seconds::Absent
    }

    pub(crate) fn is_invalid(self) -> bool {
        self == Seconds::Invalid
    }

    fn add(&mut self, found: Option<u64>) {
        *self = match (*self, found) {
            (Seconds::Absent, Some(seconds)) => Seconds::Is(seconds),
            (Seconds::Is(before), Some(seconds)) if before == seconds => Seconds::Is(before),
            _ => Seconds::Invalid,
        };
    }

    fn read(&mut self, argument: Option<&[u8]>) {
        let said = argument.and_then(fields::word);
        self.add(said.and_then(|said| fields::seconds(&said)));
    }
}

impl Scope {
    /// The fields of a list. If a name is not readable, or there is none, the directive applies to everything: the safe
    /// choice for a restriction.
    pub(super) fn naming(list: &[u8]) -> Self {
        let names: Option<Vec<_>> = fields::split(list).map(|name| HeaderName::from_bytes(name).ok()).collect();
        match names {
            Some(names) if !names.is_empty() => Scope::Fields(names),
            _ => Scope::Everything,
        }
    }

    fn read(&mut self, argument: Option<&[u8]>) {
        let found = argument.and_then(fields::word).map_or(Scope::Everything, |list| Scope::naming(&list));
        *self = match (std::mem::take(self), found) {
            (Scope::Nothing, found) => found,
            (Scope::Fields(before), Scope::Fields(more)) => Scope::Fields([before, more].concat()),
            _ => Scope::Everything,
        };
    }

    pub(crate) fn fields(&self) -> &[HeaderName] {
        match self {
            Scope::Fields(names) => names,
            Scope::Nothing | Scope::Everything => &[],
        }
    }
}

impl ResponseDirectives {
    /// All lines of `Cache-Control`. Without that field, `Pragma: no-cache` counts as `no-cache`: old frameworks send
    /// it alone.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let mut said = Self::default();
        each(headers, |name, argument| said.read(name, argument));
        if restrictions::is_pragma_no_cache(headers) {
            said.no_cache = Scope::Everything;
        }
        said
    }

    /// Applies the restrictions that an invalid text contains as words.
    pub(super) fn restrict(&mut self, text: &[u8]) {
        restrictions::named(text, |word| self.read(restrictions::without_grant(word), None));
    }

    fn read(&mut self, name: &str, argument: Option<&[u8]>) {
        match name {
            "no-store" => self.no_store = true,
            "private" => self.private.read(argument),
            "no-cache" => self.no_cache.read(argument),
            "public" => self.public = true,
            "must-revalidate" => self.must_revalidate = true,
            "proxy-revalidate" => self.proxy_revalidate = true,
            "must-understand" => self.must_understand = true,
            "max-age" => self.max_age.read(argument),
            "s-maxage" => self.s_maxage.read(argument),
            "stale-while-revalidate" => self.stale_while_revalidate.read(argument),
            "stale-if-error" => self.stale_if_error.read(argument),
            _ => {}
        }
    }
}

impl RequestDirectives {
    /// All lines of `Cache-Control`. Without that field, `Pragma: no-cache`.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let mut said = Self::default();
        each(headers, |name, argument| said.read(name, argument));
        said.no_cache |= restrictions::is_pragma_no_cache(headers);
        said
    }

    fn read(&mut self, name: &str, argument: Option<&[u8]>) {
        match name {
            "no-store" => self.no_store = true,
            "no-cache" => self.no_cache = true,
            "only-if-cached" => self.only_if_cached = true,
            "max-age" => self.max_age.read(argument),
            "min-fresh" => self.min_fresh.read(argument),
            "max-stale" if argument.is_none() => self.any_stale = true,
            "max-stale" => self.max_stale.read(argument),
            "stale-if-error" => self.stale_if_error.read(argument),
            _ => {}
        }
    }
}

/// Each directive of `Cache-Control`, with its name in lower case. Space around `=` makes the argument invalid but not
/// the name: a restriction applies however it is spelt.
///
/// An invalid member is also searched for the words that restrict, and each of them counts as a directive: a misspelt
/// restriction applies, a misspelt permission does not.
fn each(headers: &HeaderMap, mut read: impl FnMut(&str, Option<&[u8]>)) {
    for member in fields::members(headers, &header::CACHE_CONTROL) {
        let equals = member.iter().position(|&byte| byte == b'=');
        let (name, argument) = match equals {
            Some(at) => (&member[..at], Some(&member[at + 1..])),
            None => (member, None),
        };
        let spaced = name.last().is_some_and(u8::is_ascii_whitespace);
        let name = String::from_utf8_lossy(name.trim_ascii()).to_ascii_lowercase();
        let argument = if spaced { Some(&b""[..]) } else { argument };
        read(&name, argument);
        // The name of a valid extension may be a restriction in another spelling: `no_store`, `'private'`.
        let text = if is_valid(&name, argument) { name.as_bytes() } else { member };
        restrictions::named(text, |word| {
            if word != name {
                read(restrictions::without_grant(word), None);
            }
        });
    }
}

/// Directives with a number of seconds.
const TIMES: [&str; 6] = ["max-age", "s-maxage", "stale-while-revalidate", "stale-if-error", "min-fresh", "max-stale"];

/// Directives without an argument.
const FLAGS: [&str; 8] = [
    "no-store",
    "no-transform",
    "public",
    "must-revalidate",
    "proxy-revalidate",
    "must-understand",
    "only-if-cached",
    "immutable",
];

/// Whether a member follows the definition of its directive, or for an extension, the grammar.
fn is_valid(name: &str, argument: Option<&[u8]>) -> bool {
    let Some(argument) = argument else { return fields::is_token(name.as_bytes()) };
    let Some(said) = fields::word(argument) else { return false };
    match name {
        name if TIMES.contains(&name) => fields::seconds(&said).is_some(),
        name => fields::is_token(name.as_bytes()) && !FLAGS.contains(&name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(lines: &[&str]) -> ResponseDirectives {
        ResponseDirectives::of(&headers(lines))
    }

    fn headers(lines: &[&str]) -> HeaderMap {
        lines.iter().map(|line| (header::CACHE_CONTROL, line.parse().unwrap())).collect()
    }

    #[test]
    fn numbers() {
        let cases: &[(&[&str], Seconds)] = &[
            (&[], Seconds::Absent),
            (&["max-age=60"], Seconds::Is(60)),
            (&["MaX-aGe=60"], Seconds::Is(60)),
            (&["foobar, max-age=60"], Seconds::Is(60)),
            (&[r#"max-age="60""#], Seconds::Is(60)),
            (&["max-age=003600"], Seconds::Is(3600)),
            (&["max-age=99999999999"], Seconds::Is(fields::MOST_SECONDS)),
            (&["max-age=60, max-age=60"], Seconds::Is(60)),
            (&["max-age=60, max-age=30"], Seconds::Invalid),
            (&["max-age=30", "max-age=60"], Seconds::Invalid),
            (&["max-age=30, max-age=30, max-age=60, max-age=60"], Seconds::Invalid),
            (&["max-age"], Seconds::Invalid),
            (&["max-age="], Seconds::Invalid),
            (&["max-age=-60"], Seconds::Invalid),
            (&["max-age='60'"], Seconds::Invalid),
            (&["max-age=60.0"], Seconds::Invalid),
            (&["max-age=60a"], Seconds::Invalid),
            (&["max-age =60"], Seconds::Invalid),
            (&["max-age= 60"], Seconds::Invalid),
            (&[r#"extension="max-age=60", max-age=1"#], Seconds::Is(1)),
            (&[r#"max-age="1", extension="max-age=60""#], Seconds::Is(1)),
            (&[r#"extension="max-age=60""#], Seconds::Absent),
        ];
        for (lines, expected) in cases {
            assert_eq!(response(lines).max_age, *expected, "{lines:?}");
        }
    }

    #[test]
    fn restrictions_hold_however_they_are_spelt() {
        for line in ["no-store", "No-StOrE", "max-age=1,no-store", "no-store=\"x\"", "no-store =1", r#"x="a, no-store"#]
        {
            assert!(response(&[line]).no_store, "{line}");
        }
        assert!(response(&["max-age=60", "no-store"]).no_store);
        assert!(!response(&[r#"x="a, no-store""#]).no_store);
    }

    /// Killed by: reading a member up to its `=` only; taking any member with a known name for a valid one.
    #[test]
    fn restrictions_hold_in_members_that_are_no_directives() {
        let said = |line: &str| {
            let said = response(&[line]);
            (said.no_store, said.private == Scope::Everything, said.no_cache == Scope::Everything)
        };
        for (line, expected) in [
            ("private; max-age=60", (false, true, false)),
            ("private;", (false, true, false)),
            ("no-store; no-cache", (true, false, true)),
            ("no-cache no-store", (true, false, true)),
            ("max-age=60; private", (false, true, false)),
            ("max-age=60 no-store", (true, false, false)),
            ("max-age=\"60, private\"", (false, true, false)),
            ("max-age=no-store", (true, false, false)),
            ("public=private", (false, true, false)),
            ("\"no-store\"", (true, false, false)),
            ("\"private, max-age=60\"", (false, true, false)),
            ("'private'", (false, true, false)),
            ("=no-store", (true, false, false)),
            ("no-store:", (true, false, false)),
            ("No-Store;\tMax-Age=60", (true, false, false)),
            ("no_store", (true, false, false)),
            ("nocache", (false, false, true)),
            ("no store", (true, false, false)),
            ("cache-control: private", (false, true, false)),
            ("private=\"a\"; no-store", (true, true, false)),
            // Valid directives, and members of which no word is a directive.
            ("x-no-store", (false, false, false)),
            ("x=no-store", (false, false, false)),
            ("x=\"private\", max-age=60", (false, false, false)),
            ("private-key; stored", (false, false, false)),
        ] {
            assert_eq!(said(line), expected, "{line}");
        }
        let headers = HeaderMap::from_iter([(
            header::CACHE_CONTROL,
            http::HeaderValue::from_bytes(b"max-age=60;\xa0no-store").unwrap(),
        )]);
        assert!(ResponseDirectives::of(&headers).no_store);
        let said = response(&["max-age=60; must-revalidate; proxy-revalidate"]);
        assert!(said.proxy_revalidate && said.max_age == Seconds::Invalid);
        assert!(!said.must_revalidate, "it would allow what it was not written for");
        assert_eq!(
            response(&["public; max-age=60"]),
            ResponseDirectives::default(),
            "what allows is not read out of it"
        );
    }

    #[test]
    fn fields_named() {
        let names = |names: &[&str]| Scope::Fields(names.iter().map(|name| name.parse().unwrap()).collect());
        let cases: &[(&[&str], Scope)] = &[
            (&["max-age=1"], Scope::Nothing),
            (&["private"], Scope::Everything),
            (&[r#"private="a""#], names(&["a"])),
            (&["private=a"], names(&["a"])),
            (&[r#"private="A, b""#], names(&["a", "b"])),
            (&[r#"private="a""#, r#"private="b""#], names(&["a", "b"])),
            (&[r#"private="a", private"#], Scope::Everything),
            (&[r#"private, private="a""#], Scope::Everything),
            (&[r#"private="""#], Scope::Everything),
            (&[r#"private="a b""#], Scope::Everything),
            (&[r#"private="a"#], Scope::Everything),
        ];
        for (lines, expected) in cases {
            assert_eq!(response(lines).private, *expected, "{lines:?}");
        }
    }

    #[test]
    fn pragma_counts_where_there_is_no_cache_control() {
        let mut request = HeaderMap::new();
        request.insert(header::PRAGMA, "x, No-Cache".parse().unwrap());
        assert!(RequestDirectives::of(&request).no_cache);
        request.insert(header::CACHE_CONTROL, "max-stale".parse().unwrap());
        let said = RequestDirectives::of(&request);
        assert!(!said.no_cache && said.any_stale);
        let mut response = HeaderMap::from_iter([(header::PRAGMA, "no-cache".parse().unwrap())]);
        assert_eq!(ResponseDirectives::of(&response).no_cache, Scope::Everything);
        response.insert(header::CACHE_CONTROL, "max-age=60".parse().unwrap());
        assert_eq!(ResponseDirectives::of(&response).no_cache, Scope::Nothing);
    }
}
