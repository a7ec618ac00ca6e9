//! Restrictions that are spelt badly hold.

use axum::extract::Request;

use crate::setups::Setup;
use crate::site::{Site, reply};

/// `Cache-Control` lines that mean to restrict; `|` separates field lines.
const RESTRICTED: [&str; 18] = [
    "private; max-age=60",
    "private;",
    "no-store; no-cache",
    "no-cache no-store",
    "max-age=60; private",
    "max-age=60 no-store",
    "max-age=60;No-Store",
    "max-age=60,\tprivate\t;",
    "\"no-store\"",
    "\"private, max-age=60\"",
    "'private'",
    "max-age=\"60, private\"",
    "max-age=no-store",
    "public=private",
    "no_store, max-age=60",
    "no store, max-age=60",
    "max-age=60|private;",
    "public, max-age=60|x=1; no-cache",
];

/// Answers with the line that the path numbers, and what else makes an answer worth keeping in both modes.
fn restricted(
    field: &'static str,
    lines: &'static [&'static str],
    request: &Request,
    nth: usize,
) -> axum::response::Response {
    let at: usize = request.uri().path()[1..].parse().unwrap();
    let mut fields = vec![("last-modified", "Sun, 06 Nov 1994 08:49:37 GMT")];
    fields.extend(lines[at].split('|').map(|line| (field, line)));
    reply(200, &fields, format!("secret {nth}"))
}

async fn nothing_is_shared(setup: &Setup, site: &Site, lines: &[&str]) {
    for (at, line) in lines.iter().enumerate() {
        let path = format!("/{at}");
        let (one, other) = (site.get(&path).await, site.get(&path).await);
        assert_ne!(one.body, other.body, "{setup:?}: {line}");
        assert!(!other.is_hit(), "{setup:?}: {line}");
    }
    // `no-cache` alone may be kept by the standard, to be asked about.
    assert!(!(setup.is_configured && setup.has_in_redis("secret")), "{setup:?}");
}

/// Killed by: reading a member up to its first `=` or to its end only, so that `private; max-age=60` is an extension.
#[tokio::test]
async fn restrictions_hold_however_badly_they_are_spelt() {
    for setup in Setup::all() {
        let site = setup
            .site(
                |builder| builder,
                async |request: Request, nth| restricted("cache-control", &RESTRICTED, &request, nth),
            )
            .await;
        nothing_is_shared(&setup, &site, &RESTRICTED).await;
    }
}

/// Killed by: passing over a targeted field that is not valid, with all that it restricts.
#[tokio::test]
async fn restrictions_hold_in_targeted_fields() {
    const LINES: [&str; 5] =
        ["max-age=60; private", "no-store; no-cache", "max-age=60, No-Store", "private max-age=60", "Private"];
    for setup in Setup::all() {
        let site = setup
            .site(
                |builder| builder,
                async |request: Request, nth| restricted("cdn-cache-control", &LINES, &request, nth),
            )
            .await;
        nothing_is_shared(&setup, &site, &LINES).await;
    }
}

/// Killed by: looking at `Pragma` in requests only.
#[tokio::test]
async fn pragma_restricts_where_it_stands_alone() {
    for setup in Setup::all() {
        let site = setup
            .site(|builder| builder, async |request: Request, nth| restricted("pragma", &["no-cache"], &request, nth))
            .await;
        nothing_is_shared(&setup, &site, &["no-cache"]).await;
    }
}

/// Killed by: taking any mention of a restriction for one.
#[tokio::test]
async fn what_restricts_nothing_is_stored() {
    const LINES: [&str; 5] = [
        "max-age=60",
        "max-age=60, x=\"private\"",
        "max-age=60, x-no-store",
        "public, max-age=60, immutable",
        "max-age=60, x=no-store",
    ];
    for setup in Setup::all() {
        let site = setup
            .site(|builder| builder, async |request: Request, nth| restricted("cache-control", &LINES, &request, nth))
            .await;
        for (at, line) in LINES.iter().enumerate() {
            site.get(&format!("/{at}")).await;
            assert!(site.get(&format!("/{at}")).await.is_hit(), "{setup:?}: {line}");
        }
    }
}
