//! What a handler sees of a request and the key leaves out lets one client choose what others get: each part of a key.

use axum::extract::{OriginalUri, Request};
use hybridcache::http::{Builder, Key, Query};

use crate::client::{Ask, Reply};
use crate::setups::Setup;
use crate::site::{Site, configured, reply};

/// All of a request that a key may have parts of, as a handler sees it.
fn reflect(request: &Request) -> String {
    let lines = |name: &str| {
        let lines = request.headers().get_all(name).iter();
        lines.map(|line| format!("{name}: {}\n", String::from_utf8_lossy(line.as_bytes()))).collect::<String>()
    };
    let original = request.extensions().get::<OriginalUri>().map(|OriginalUri(uri)| uri);
    format!("{} {original:?}\n{}{}{}", request.uri(), lines("host"), lines("cookie"), lines("x-part"))
}

/// One request: path and query, and fields.
type Asked = (&'static str, &'static [(&'static str, &'static str)]);

async fn send(site: &Site, (path, fields): Asked) -> Reply {
    fields.iter().fold(site.ask("GET", path), |ask: Ask, (name, value)| ask.header(name, value)).send().await
}

/// Each request gets what it gets of a handler that nobody else has asked, whoever asked before.
async fn nobody_chooses_for_others(configure: fn(Builder) -> Builder, asked: &[Asked]) {
    for setup in Setup::all() {
        let handler = async |request: Request, _| reply(200, &[("cache-control", "max-age=60")], reflect(&request));
        let mut own = Vec::new();
        for one in asked {
            own.push(send(&setup.site(configure, handler).await, *one).await.body);
            setup.forget();
        }
        let site = setup.site(configure, handler).await;
        for _ in 0..2 {
            for (one, own) in asked.iter().zip(&own) {
                assert_eq!(send(&site, *one).await.body, *own, "{setup:?}: {one:?}");
            }
        }
    }
}

fn query(builder: Builder, query: Query) -> Builder {
    builder.key(Key::default().query(query))
}

/// Killed by: comparing names as they are spelt; a handler that sees the whole query.
#[tokio::test]
async fn parameters_in_any_spelling() {
    let asked: [Asked; 11] = [
        ("/?filter%5Bcolor%5D=red", &[]),
        ("/?filter%5Bcolor%5D=blue", &[]),
        ("/?filter[color]=green", &[]),
        ("/?page=1&p%61ge=2", &[]),
        ("/?page=1", &[]),
        ("/?p%61ge=2", &[]),
        ("/?page=1;page=2", &[]),
        ("/?page=2&page=1", &[]),
        ("/?page=1&page=2", &[]),
        ("/?a+b=1", &[]),
        ("/?a%20b=2", &[]),
    ];
    nobody_chooses_for_others(|builder| query(builder, Query::only(["filter[color]", "page", "a b"])), &asked).await;
    nobody_chooses_for_others(|builder| query(builder, Query::only(["filter%5Bcolor%5D", "a+b", "page"])), &asked)
        .await;
    nobody_chooses_for_others(|builder| query(builder, Query::without(["utm"])), &asked).await;
}

/// Killed by: a handler that sees what the key leaves out.
#[tokio::test]
async fn parameters_that_are_left_out_do_not_reach_the_handler() {
    let asked: [Asked; 8] = [
        ("/?x=evil&page=1", &[]),
        ("/?page=1", &[]),
        ("/?utm=evil", &[]),
        ("/", &[]),
        ("/?", &[]),
        ("/?%75tm=evil", &[]),
        ("/?page=1&utm=evil;page=2", &[]),
        ("/?=evil", &[]),
    ];
    nobody_chooses_for_others(|builder| query(builder, Query::only(["page"])), &asked).await;
    nobody_chooses_for_others(|builder| query(builder, Query::without(["utm", "x"])), &asked).await;
    nobody_chooses_for_others(|builder| query(builder, Query::None), &asked).await;
    let only = |builder| query(configured(builder), Query::only(["page"]));
    let site = Site::new(only, async |request: Request, _| request.uri().to_string()).await;
    assert_eq!(site.get("/p?x=1&page=2&page=3&y").await.body, "/p?page=2&page=3");
    assert_eq!(site.get("/q?x=1").await.body, "/q");
    // A writer, and a request that is not the cache's business, mean what they say.
    assert_eq!(site.ask("POST", "/p?x=1").send().await.body, "/p?x=1");
    assert_eq!(site.ask("GET", "/p?x=1").header("cookie", "sid=1").send().await.body, "/p?x=1");
    let site = Site::new(
        move |builder| only(builder).show_unkeyed_query(),
        async |request: Request, _| request.uri().to_string(),
    )
    .await;
    assert_eq!(site.get("/p?x=1&page=2").await.body, "/p?x=1&page=2");
    assert_eq!(site.get("/p?page=2&x=2").await.body, "/p?x=1&page=2", "as it was asked for");
}

/// Killed by: cookies that reach the handler as they came; names without their space.
#[tokio::test]
async fn cookies() {
    let asked: [Asked; 9] = [
        ("/", &[("cookie", "sid =A")]),
        ("/", &[("cookie", "sid=A")]),
        ("/", &[("cookie", "lang=de;sid=A")]),
        ("/", &[("cookie", "sid=A"), ("cookie", "lang=de")]),
        ("/", &[("cookie", "sid=A; lang=de; sid=B")]),
        ("/", &[("cookie", "sid=A; sid=B; lang=de")]),
        ("/", &[("cookie", "sid")]),
        ("/", &[("cookie", "sid=")]),
        ("/", &[]),
    ];
    nobody_chooses_for_others(|builder| builder.key(Key::default().cookie("sid").cookie("lang")), &asked).await;
}

/// Killed by: joining lines of a field, or leaving out host, path or scheme.
#[tokio::test]
async fn fields_hosts_and_paths() {
    let asked: [Asked; 12] = [
        ("/a", &[("x-part", "1"), ("x-part", "2")]),
        ("/a", &[("x-part", "1, 2")]),
        ("/a", &[("x-part", "1,2")]),
        ("/a", &[("x-part", "")]),
        ("/a", &[]),
        ("/a", &[("host", "evil")]),
        ("/a", &[("host", "EVIL")]),
        ("/a", &[("host", "evil:80")]),
        ("/%61", &[]),
        ("/a;x", &[]),
        ("//a", &[]),
        ("/a/.", &[]),
    ];
    nobody_chooses_for_others(|builder| builder.key(Key::default().header("x-part")), &asked).await;
}
