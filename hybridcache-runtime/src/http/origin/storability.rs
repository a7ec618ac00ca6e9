//! Whether an answer is kept, for how long, and under which tags.

use std::time::{Duration, SystemTime};

use http::header::SET_COOKIE;
use http::{StatusCode, request, response};

use crate::http::outcome::NotStored;
use crate::http::policy::CachePolicy;
use crate::http::rfc::directives::{ResponseDirectives, Scope};
use crate::http::rfc::targeted::Control;
use crate::http::rfc::vary::Vary;
use crate::http::rfc::{self, Refusal, Storing, Terms, groups, hop, store, vary};
use crate::http::settings::{Mode, Settings, StaleOn};

/// Whether an answer may be stored.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// For its requester only.
    Leave(NotStored),
    Keep(Kept),
}

/// On which terms it is kept.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) terms: Terms,
    /// How long at most.
    pub(crate) ttl: Duration,
    /// Of the handler's own; the groups are in `terms`.
    pub(crate) tags: Vec<String>,
    pub(crate) public: bool,
    pub(crate) authorized: bool,
}

/// Judges a head.
pub(crate) fn judge(
    settings: &Settings,
    request: &request::Parts,
    response: &response::Parts,
    policy: CachePolicy,
    times: (SystemTime, SystemTime),
) -> Verdict {
    let is_accepted = settings.accept_response.as_ref().is_none_or(|accept| accept(response));
    if policy.no_store {
        return Verdict::Leave(NotStored::NoStore);
    }
    if store::concerns_its_request(response.status) {
        return Verdict::Leave(NotStored::Request);
    }
    if !is_accepted && policy.ttl.is_none() {
        return Verdict::Leave(NotStored::NotAccepted);
    }
    let found = match settings.mode {
        Mode::Configured => configured(settings, response, &policy),
        Mode::OriginHeaders => match store::terms(request, response, &settings.rules, times.0, times.1) {
            Storing::Yes(terms) => Ok((terms, settings.ttl)),
            Storing::No(Refusal::Useless) if policy.ttl.is_some() => configured(settings, response, &policy),
            Storing::No(refusal) => Err(NotStored::of(refusal)),
        },
    };
    let (mut terms, ttl) = match found {
        Ok(found) => found,
        Err(why) => return Verdict::Leave(why),
    };
    let ttl = policy.ttl.unwrap_or(ttl);
    if policy.ttl.is_some() || policy.fresh_for.is_some() {
        let fresh_for = policy.fresh_for.or(policy.ttl).unwrap_or(terms.fresh_for).min(ttl);
        terms = with_times(terms, fresh_for, ttl, settings);
    }
    let said = Control::of(&response.headers, &settings.rules).directives;
    let (public, authorized) = (said.public, said.public || said.must_revalidate || said.s_maxage.is_there());
    Verdict::Keep(Kept { terms, ttl, tags: policy.tags, public, authorized })
}

/// The configured times, unless the answer forbids sharing.
fn configured(
    settings: &Settings,
    response: &response::Parts,
    policy: &CachePolicy,
) -> Result<(Terms, Duration), NotStored> {
    let headers = &response.headers;
    // A targeted field cannot lift a restriction of `Cache-Control`.
    let said = [ResponseDirectives::of(headers), Control::of(headers, &settings.rules).directives];
    if let Some(why) = said.iter().find_map(restriction) {
        return Err(why);
    }
    if headers.contains_key(SET_COOKIE) {
        return Err(NotStored::SetCookie);
    }
    let Vary::On(fields) = vary::of(headers) else { return Err(NotStored::VaryAny) };
    let (fresh_for, ttl) = match settings.negative {
        _ if policy.ttl.is_some() && can_be_kept(response.status) => (settings.fresh_for, settings.ttl),
        _ if response.status == StatusCode::OK => (settings.fresh_for, settings.ttl),
        _ if settings.accept_response.is_some() && response.status.as_u16() < 400 && can_be_kept(response.status) => {
            (settings.fresh_for, settings.ttl)
        }
        Some(negative) if response.status.as_u16() >= 400 => (negative, negative),
        _ => return Err(NotStored::Status),
    };
    let forbids_stale = said.iter().any(|said| said.must_revalidate || said.proxy_revalidate);
    let terms = Terms {
        must_revalidate: forbids_stale,
        vary: fields,
        groups: groups::of(headers),
        withheld: hop::names(headers),
        ..Terms::default()
    };
    Ok((with_times(terms, fresh_for, ttl, settings), ttl))
}

fn restriction(said: &ResponseDirectives) -> Option<NotStored> {
    match said {
        _ if said.no_store => Some(NotStored::NoStore),
        _ if said.private != Scope::Nothing => Some(NotStored::Private),
        _ if said.no_cache != Scope::Nothing => Some(NotStored::NoCache),
        _ => None,
    }
}

/// A final answer that is neither partial nor a confirmation.
fn can_be_kept(status: StatusCode) -> bool {
    !status.is_informational() && !matches!(status.as_u16(), 206 | 304)
}

/// Stale from `fresh_for` to `ttl`, where that is not forbidden.
fn with_times(terms: Terms, fresh_for: Duration, ttl: Duration, settings: &Settings) -> Terms {
    let stale = if terms.must_revalidate { Duration::ZERO } else { ttl.saturating_sub(fresh_for) };
    let stands_in = settings.stale_on != StaleOn::NEVER;
    Terms {
        fresh_for: fresh_for.saturating_add(terms.initial_age),
        stale_while_revalidate: stale,
        stale_if_error: if stands_in { stale } else { Duration::ZERO },
        ..terms
    }
}

/// How long a page is fresh for the engine, and how long it is kept: as long as it can be of any use.
pub(crate) fn lifetimes(kept: &Kept, head: &rfc::Stored) -> (Duration, Duration) {
    let terms = &kept.terms;
    let fresh = terms.fresh_for.saturating_sub(terms.initial_age).min(kept.ttl);
    let stale = terms.stale_while_revalidate.max(terms.stale_if_error);
    // It can be confirmed by the handler for as long as the layer keeps anything; and what forbids stale answers does so as long.
    let is_remembered = head.has_validator() || terms.must_revalidate;
    let useful = if is_remembered { kept.ttl } else { fresh.saturating_add(stale) };
    // The engine would serve it as fresh: the rules see to it that it is not.
    (fresh, useful.clamp(fresh, kept.ttl.max(fresh)))
}
