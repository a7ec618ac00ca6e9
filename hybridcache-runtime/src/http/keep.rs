//! Whether an answer is kept, for how long, and under which tags.

use std::time::{Duration, SystemTime};

use http::header::{ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_RANGE, SET_COOKIE};
use http::{HeaderMap, HeaderName, StatusCode, request, response};

use super::policy::CachePolicy;
use super::rfc::vary::Vary;
use super::rfc::{self, Refusal, Storing, Terms, groups, hop, store, vary};
use super::settings::{Mode, Settings};

/// What is to be done with an answer whose body comes whole.
#[derive(Debug)]
pub(super) enum Verdict {
    /// For its requester only.
    Leave,
    Keep(Kept),
}

/// On which terms it is kept.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) terms: Terms,
    /// How long at most.
    pub(super) ttl: Duration,
    /// Of the handler's own; the groups are in `terms`.
    pub(super) tags: Vec<String>,
    pub(super) public: bool,
    pub(super) authorized: bool,
}

/// Judges a head.
pub(super) fn judge(
    settings: &Settings,
    request: &request::Parts,
    response: &response::Parts,
    policy: CachePolicy,
    times: (SystemTime, SystemTime),
) -> Verdict {
    let is_accepted = settings.accept_response.as_ref().is_none_or(|accept| accept(response));
    if policy.no_store || (!is_accepted && policy.ttl.is_none()) || response.headers.contains_key(CONTENT_RANGE) {
        return Verdict::Leave;
    }
    let found = match settings.mode {
        Mode::Configured => configured(settings, response, &policy),
        Mode::OriginHeaders => match store::terms(request, response, &settings.rules, times.0, times.1) {
            Storing::Yes(terms) => Some((terms, settings.ttl)),
            Storing::No(Refusal::Useless) if policy.ttl.is_some() => configured(settings, response, &policy),
            Storing::No(_) => None,
        },
    };
    let Some((mut terms, ttl)) = found else { return Verdict::Leave };
    let ttl = policy.ttl.unwrap_or(ttl);
    if policy.ttl.is_some() || policy.fresh_for.is_some() {
        let fresh_for = policy.fresh_for.or(policy.ttl).unwrap_or(terms.fresh_for).min(ttl);
        terms = with_times(terms, fresh_for, ttl, settings);
    }
    if response.headers.contains_key(CONTENT_ENCODING) && !terms.vary.contains(&ACCEPT_ENCODING) {
        // Handlers forget to say it: a client that cannot read these bytes must not get them.
        terms.vary.push(ACCEPT_ENCODING);
    }
    let public = directives(&response.headers, |name| name == "public");
    let authorized = public || directives(&response.headers, |name| name == "s-maxage" || name == "must-revalidate");
    Verdict::Keep(Kept { terms, ttl, tags: policy.tags, public, authorized })
}

/// The three times, unless the answer says that it is not for others.
fn configured(settings: &Settings, response: &response::Parts, policy: &CachePolicy) -> Option<(Terms, Duration)> {
    let headers = &response.headers;
    let is_refused = |name: &str| matches!(name, "no-store" | "private" | "no-cache");
    if headers.contains_key(SET_COOKIE) || directives(headers, is_refused) {
        return None;
    }
    let Vary::On(fields) = vary::of(headers) else { return None };
    let (fresh_for, ttl) = match settings.negative {
        _ if policy.ttl.is_some() && can_be_kept(response.status) => (settings.fresh_for, settings.ttl),
        _ if response.status == StatusCode::OK => (settings.fresh_for, settings.ttl),
        _ if settings.accept_response.is_some() && response.status.as_u16() < 400 && can_be_kept(response.status) => {
            (settings.fresh_for, settings.ttl)
        }
        Some(negative) if response.status.as_u16() >= 400 => (negative, negative),
        _ => return None,
    };
    let forbids_stale = directives(headers, |name| matches!(name, "must-revalidate" | "proxy-revalidate"));
    let terms = Terms {
        must_revalidate: forbids_stale,
        vary: fields,
        groups: groups::of(headers),
        withheld: hop::names(headers),
        ..Terms::default()
    };
    Some((with_times(terms, fresh_for, ttl, settings), ttl))
}

/// A final answer that is whole and its own.
fn can_be_kept(status: StatusCode) -> bool {
    !status.is_informational() && !matches!(status.as_u16(), 206 | 304)
}

/// Stale from `fresh_for` to `ttl`, where that is not forbidden.
fn with_times(terms: Terms, fresh_for: Duration, ttl: Duration, settings: &Settings) -> Terms {
    let stale = if terms.must_revalidate { Duration::ZERO } else { ttl.saturating_sub(fresh_for) };
    let stands_in = settings.stale_on != super::StaleOn::NEVER;
    Terms {
        fresh_for: fresh_for.saturating_add(terms.initial_age),
        stale_while_revalidate: stale,
        stale_if_error: if stands_in { stale } else { Duration::ZERO },
        ..terms
    }
}

/// How long a page is fresh for the engine, and how long it is kept: as long as it can be of any use.
pub(super) fn lifetimes(kept: &Kept, head: &rfc::Stored) -> (Duration, Duration) {
    let terms = &kept.terms;
    let fresh = terms.fresh_for.saturating_sub(terms.initial_age).min(kept.ttl);
    let stale = terms.stale_while_revalidate.max(terms.stale_if_error);
    // It can be confirmed by the handler for as long as the layer keeps anything.
    let useful = if head.has_validator() { kept.ttl } else { fresh.saturating_add(stale) };
    // The engine would serve it as fresh: the rules see to it that it is not.
    (fresh, useful.clamp(fresh, kept.ttl.max(fresh)))
}

/// Whether one of the directives of `Cache-Control` is such. Of a value in quotes nothing is taken for a directive.
fn directives(headers: &HeaderMap, is_such: impl Fn(&str) -> bool) -> bool {
    let named = |name: HeaderName| headers.get_all(name).into_iter().any(|line| line_has(line.as_bytes(), &is_such));
    named(CACHE_CONTROL)
}

fn line_has(line: &[u8], is_such: &impl Fn(&str) -> bool) -> bool {
    let (mut quoted, mut escaped) = (false, false);
    let parts = line.split(|byte| {
        let separates = *byte == b',' && !quoted;
        quoted ^= *byte == b'"' && !escaped;
        escaped = quoted && *byte == b'\\' && !escaped;
        separates
    });
    parts.into_iter().any(|part| {
        let name = part.split(|byte| *byte == b'=').next().unwrap_or_default().trim_ascii();
        is_such(&String::from_utf8_lossy(name).to_ascii_lowercase())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn has(lines: &[&str], name: &str) -> bool {
        let fields = lines.iter().map(|line| (CACHE_CONTROL, line.parse().expect("a value")));
        let headers = fields.fold(HeaderMap::new(), |mut headers, (name, value)| {
            headers.append(name, value);
            headers
        });
        directives(&headers, |found| found == name)
    }

    /// Killed by: comparing case; the first line only; splitting within quotes.
    #[test]
    fn directives_are_found_on_all_lines_whatever_their_case() {
        assert!(has(&["max-age=60", "Private"], "private"));
        assert!(has(&["max-age=60 , NO-STORE"], "no-store"));
        assert!(has(&["private=\"set-cookie\""], "private"));
        assert!(!has(&["x=\"a, no-store\", max-age=1"], "no-store"));
        assert!(has(&["x=\"a\\\", b\", no-store"], "no-store"));
    }
}
