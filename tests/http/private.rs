//! What is not for everybody.

use axum::extract::Request;
use hybridcache::http::{Key, Private};

use crate::site::{Site, configured, field, origin_headers, reply};

/// Killed by: hiding after the key is made, or not at all.
#[tokio::test]
async fn case_6_hidden_fields_never_reach_the_handler() {
    let hiding = |builder| configured(builder).hide_unkeyed(["x-forwarded-host"]);
    let site =
        Site::new(hiding, async |request: Request, _| format!("host {}", field(&request, "x-forwarded-host"))).await;
    for method in ["GET", "POST"] {
        let reply = site.ask(method, "/").header("x-forwarded-host", "evil").send().await;
        assert_eq!(reply.body, "host ", "{method}");
    }
    assert_eq!(site.get("/").await.body, "host ");
}

/// Killed by: storing answers with `Set-Cookie`; joining lines of a field.
#[tokio::test]
async fn case_8_answers_that_set_cookies_are_not_stored() {
    for configure in [configured, origin_headers] {
        let site = Site::new(configure, async |_: Request, nth: usize| {
            reply(
                200,
                &[("set-cookie", "a=1"), ("set-cookie", "b=2"), ("cache-control", "max-age=60")],
                nth.to_string(),
            )
        })
        .await;
        for nth in ["1", "2"] {
            let reply = site.get("/").await;
            assert_eq!(reply.body, nth);
            let cookies: Vec<_> = reply.headers.get_all("set-cookie").iter().collect();
            assert_eq!(cookies, ["a=1", "b=2"]);
        }
    }
}

/// Killed by: not looking at `Authorization`; never sharing what is `public`.
#[tokio::test]
async fn case_9_authorization() {
    let ask =
        async |site: &Site, path: &str, who: &str| site.ask("GET", path).header("authorization", who).send().await.body;
    let site = Site::new(origin_headers, async |request: Request, _| {
        let control = if request.uri().path() == "/public" { "public, max-age=60" } else { "max-age=60" };
        reply(200, &[("cache-control", control)], field(&request, "authorization"))
    })
    .await;
    for who in ["A", "B"] {
        assert_eq!(ask(&site, "/plain", who).await, who);
        assert_eq!(ask(&site, "/public", who).await, "A");
    }
    assert_eq!(site.get("/plain").await.body, "", "nothing of them was stored");
    assert_eq!(ask(&site, "/plain", "B").await, "B", "what is stored for nobody is not for B");
    let site = Site::new(configured, async |request: Request, _| field(&request, "authorization")).await;
    for who in ["A", "B"] {
        assert_eq!(ask(&site, "/plain", who).await, who);
    }
    assert_eq!(site.get("/plain").await.body, "");
}

/// Killed by: not looking at cookies; bypassing what is keyed.
#[tokio::test]
async fn case_10_cookies() {
    let ask = async |site: &Site, cookie: &str| site.ask("GET", "/").header("cookie", cookie).send().await;
    let site = Site::new(configured, async |request: Request, _| field(&request, "cookie")).await;
    for cookie in ["sid=A", "sid=B"] {
        assert_eq!(ask(&site, cookie).await.body, cookie);
    }
    assert_eq!(site.get("/").await.body, "");
    let keyed = |builder| configured(builder).key(Key::default().cookie("sid"));
    let site = Site::new(keyed, async |request: Request, _| field(&request, "cookie")).await;
    for _ in 0..2 {
        for cookie in ["sid=A", "sid=B"] {
            assert_eq!(ask(&site, cookie).await.body, cookie);
        }
    }
    assert_eq!(site.calls.count(), 2);
    assert_eq!(ask(&site, "sid=A; cart=7").await.body, "sid=A; cart=7", "what is not keyed may matter");
    assert_eq!(site.calls.count(), 3);
}

/// Under `OriginHeaders` a cookie bypasses too, unless the answer says that it is public.
#[tokio::test]
async fn a_public_answer_is_for_requests_with_cookies_too() {
    let site = Site::new(origin_headers, async |request: Request, nth: usize| {
        let control = if request.uri().path() == "/public" { "public, max-age=60" } else { "max-age=60" };
        reply(200, &[("cache-control", control)], nth.to_string())
    })
    .await;
    let ask = async |path: &str| site.ask("GET", path).header("cookie", "sid=A").send().await.body;
    assert_eq!([ask("/plain").await, ask("/plain").await], ["1", "2"]);
    assert_eq!(site.get("/plain").await.body, "3");
    assert_eq!(ask("/plain").await, "4", "stored for those without a cookie");
    assert_eq!([ask("/public").await, ask("/public").await, site.get("/public").await.body], ["5", "5", "5"]);
}

#[tokio::test]
async fn what_is_said_to_be_shared_is() {
    let shared = |builder| configured(builder).private(Private::Share);
    let site = Site::new(shared, async |_: Request, nth: usize| nth.to_string()).await;
    assert_eq!(site.ask("GET", "/").header("cookie", "sid=A").send().await.body, "1");
    assert_eq!(site.get("/").await.body, "1");
}

/// Killed by: taking an extension for a sign of something static.
#[tokio::test]
async fn case_11_an_extension_makes_nothing_public() {
    let site = Site::new(configured, async |request: Request, _| field(&request, "cookie")).await;
    for path in ["/account/x.css", "/account;x.css", "/account%2fx.css"] {
        assert_eq!(site.ask("GET", path).header("cookie", "sid=A").send().await.body, "sid=A");
        assert_eq!(site.get(path).await.body, "", "{path}");
        assert_eq!(site.ask("GET", path).header("cookie", "sid=B").send().await.body, "sid=B");
    }
}

/// Killed by: comparing case; reading the first line only.
#[tokio::test]
async fn case_14_directives_in_any_case_and_on_any_line() {
    for configure in [configured, origin_headers] {
        let site = Site::new(configure, async |request: Request, nth: usize| {
            let lines: &[(&str, &str)] = match request.uri().path() {
                "/capital" => &[("cache-control", "max-age=60, No-Store")],
                "/lines" => &[("cache-control", "max-age=60"), ("cache-control", "private")],
                _ => &[("Cache-Control", "max-age=60")],
            };
            reply(200, lines, nth.to_string())
        })
        .await;
        assert_eq!([site.get("/capital").await.body, site.get("/capital").await.body], ["1", "2"]);
        assert_eq!([site.get("/lines").await.body, site.get("/lines").await.body], ["3", "4"]);
        assert_eq!([site.get("/").await.body, site.get("/").await.body], ["5", "5"]);
    }
}

/// Killed by: withholding them from everybody; storing them. With `Vary` the page stands elsewhere than it was looked for.
#[tokio::test]
async fn private_fields_reach_their_requester_alone() {
    for fields in [
        &[("cache-control", "max-age=60, private=\"user, a\""), ("user", "u")][..],
        &[("cache-control", "max-age=60, no-cache=user"), ("user", "u"), ("vary", "accept")],
    ] {
        let site =
            Site::new(origin_headers, move |_: Request, nth: usize| async move { reply(200, fields, nth.to_string()) })
                .await;
        let (first, second) = (site.get("/").await, site.get("/").await);
        assert_eq!((first.said(), first.header("user"), first.header("age")), ((200, "1"), Some("u"), None));
        assert_eq!((second.said(), second.header("user"), second.header("age")), ((200, "1"), None, Some("0")));
    }
}
