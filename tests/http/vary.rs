//! Answers that depend on fields of the request.

use axum::extract::Request;

use crate::site::{Site, configured, field, origin_headers, reply};

/// Killed by: reading one line of `Vary`; storing what varies by everything.
#[tokio::test]
async fn case_15_vary() {
    for configure in [configured, origin_headers] {
        let site = Site::new(configure, async |request: Request, nth: usize| {
            let said = format!("{} {} {nth}", field(&request, "accept-language"), field(&request, "dnt"));
            let lines: &[(&str, &str)] = match request.uri().path() {
                "/any" => &[("vary", "dnt"), ("vary", "*"), ("cache-control", "max-age=60")],
                _ => &[("vary", "dnt"), ("vary", "accept-language"), ("cache-control", "max-age=60")],
            };
            reply(200, lines, said)
        })
        .await;
        let ask = async |path: &str, language: &str| {
            site.ask("GET", path).header("accept-language", language).send().await.body
        };
        assert_eq!(ask("/", "de").await, "de  1");
        assert_eq!(ask("/", "en").await, "en  2");
        assert_eq!(ask("/", "de").await, "de  1");
        assert_eq!(ask("/", "en").await, "en  2");
        assert_eq!(site.ask("GET", "/").header("accept-language", "de").header("dnt", "1").send().await.body, "de 1 3");
        assert_eq!([ask("/any", "de").await, ask("/any", "de").await], ["de  4", "de  5"]);
    }
}

/// Killed by: not telling encoded answers apart.
#[tokio::test]
async fn case_16_a_client_without_gzip_never_gets_gzip() {
    for configure in [configured, origin_headers] {
        let site = Site::new(configure, async |request: Request, _| {
            let control = ("cache-control", "max-age=60");
            match field(&request, "accept-encoding").as_str() {
                "gzip" => reply(200, &[control, ("content-encoding", "gzip")], "packed"),
                _ => reply(200, &[control], "plain"),
            }
        })
        .await;
        let packed = async || site.ask("GET", "/").header("accept-encoding", "gzip").send().await;
        assert_eq!(packed().await.body, "packed");
        assert_eq!(site.get("/").await.body, "plain");
        assert_eq!(packed().await.body, "packed");
        assert_eq!(site.get("/").await.body, "plain");
        assert_eq!(site.calls.count(), 2);
    }
}

/// A handler that names one more field: what was stored without it is not found any more.
///
/// Killed by: keeping the older list of fields.
#[tokio::test]
async fn a_field_that_is_named_later_counts() {
    let site = Site::new(configured, async |request: Request, nth: usize| {
        let fields = if field(&request, "theme").is_empty() { "accept-language" } else { "accept-language, theme" };
        let said = format!("{}{} {nth}", field(&request, "accept-language"), field(&request, "theme"));
        reply(200, &[("vary", fields)], said)
    })
    .await;
    let ask = async |language: &str, theme: &str| {
        let ask = site.ask("GET", "/").header("accept-language", language);
        if theme.is_empty() { ask } else { ask.header("theme", theme) }.send().await.body
    };
    assert_eq!(ask("de", "").await, "de 1");
    assert_eq!(ask("fr", "dark").await, "frdark 2");
    assert_eq!(ask("fr", "light").await, "frlight 3");
    assert_eq!(ask("fr", "dark").await, "frdark 2");
    assert_eq!(ask("fr", "light").await, "frlight 3");
    assert_eq!(ask("de", "").await, "de 4");
    assert_eq!(ask("de", "").await, "de 4");
}

/// Killed by: a path that does not stand for its variants.
#[tokio::test]
async fn invalidating_a_path_invalidates_its_variants() {
    let site = Site::new(configured, async |request: Request, nth: usize| {
        reply(200, &[("vary", "accept-language")], format!("{} {nth}", field(&request, "accept-language")))
    })
    .await;
    let ask =
        async |path: &str, language: &str| site.ask("GET", path).header("accept-language", language).send().await.body;
    assert_eq!([ask("/a", "de").await, ask("/a", "en").await, ask("/b", "en").await], ["de 1", "en 2", "en 3"]);
    site.layer.invalidate("/a").await.unwrap();
    assert_eq!([ask("/a", "de").await, ask("/a", "en").await, ask("/b", "en").await], ["de 4", "en 5", "en 3"]);
}

/// Answers that name now this field and now that: they come to be told apart by both.
///
/// Killed by: fields that are forgotten when another one is named.
#[tokio::test]
async fn fields_that_take_turns_are_all_kept() {
    let site = Site::new(configured, async |request: Request, nth: usize| {
        let fields = if field(&request, "theme").is_empty() { "accept-language" } else { "theme" };
        reply(200, &[("vary", fields)], nth.to_string())
    })
    .await;
    for _ in 0..3 {
        site.get("/").await;
        site.ask("GET", "/").header("theme", "dark").header("accept-language", "fr").send().await;
    }
    let calls = site.calls.count();
    site.get("/").await;
    site.ask("GET", "/").header("theme", "dark").header("accept-language", "fr").send().await;
    assert_eq!(site.calls.count(), calls, "both are stored");
}
