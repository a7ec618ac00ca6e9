//! Which requests are the same.

use hybridcache::http::{Key, Query};

use crate::site::{Site, configured, field, reply};

/// Killed by: a key without the host.
#[tokio::test]
async fn case_1_each_host_has_its_own() {
    let site = Site::new(configured, async |request, _| field(&request, "host")).await;
    for _ in 0..2 {
        for host in ["evil", "good"] {
            assert_eq!(site.ask("GET", "/").header("host", host).send().await.body, host);
        }
    }
    assert_eq!(site.calls.count(), 2);
}

/// Killed by: a key without the query.
#[tokio::test]
async fn case_2_the_query_is_in_the_key() {
    let site = Site::new(configured, async |request, _| request.uri().to_string()).await;
    for _ in 0..2 {
        for path in ["/?id=1", "/?id=2", "/", "/?"] {
            assert_eq!(site.get(path).await.body, path);
        }
    }
    assert_eq!(site.calls.count(), 4);
}

/// Killed by: a path that is decoded or normalised.
#[tokio::test]
async fn case_12_paths_are_never_merged() {
    let site = Site::new(configured, async |request, _| request.uri().to_string()).await;
    for _ in 0..2 {
        for path in ["/a%2fb", "/a/b", "/x/../a/b", "//a", "/a%2Fb", "/a/b/", "/A/b"] {
            assert_eq!(site.get(path).await.body, path);
        }
    }
    assert_eq!(site.calls.count(), 7);
}

/// Killed by: a separator that is not escaped in values.
#[tokio::test]
async fn case_13_parts_of_the_key_do_not_run_into_each_other() {
    let keyed = |builder| configured(builder).key(Key::default().header("one").header("two"));
    let site =
        Site::new(keyed, async |request, _| format!("{}|{}", field(&request, "one"), field(&request, "two"))).await;
    for _ in 0..2 {
        for (one, two) in [("a:b", "c"), ("a", "b:c"), ("a", "b;c"), ("a;two=b", "c"), ("", "a:b"), ("a=b", "")] {
            let reply = site.ask("GET", "/").header("one", one).header("two", two).send().await;
            assert_eq!(reply.body, format!("{one}|{two}"));
        }
    }
    assert_eq!(site.calls.count(), 6);
}

/// Killed by: all of the query in the key.
#[tokio::test]
async fn a_parameter_that_is_left_out_makes_no_entry() {
    let keyed = |builder| configured(builder).key(Key::default().query(Query::only(["page"])));
    let site = Site::new(keyed, async |_, nth: usize| nth.to_string()).await;
    assert_eq!(site.get("/?page=1&utm=a").await.body, "1");
    assert_eq!(site.get("/?utm=b&page=1").await.body, "1");
    assert_eq!(site.get("/?page=2").await.body, "2");
}

/// Killed by: not asking `accept_request`.
#[tokio::test]
async fn a_request_that_may_be_refused_is_not_stored() {
    let only = |builder| configured(builder).accept_request(|request| request.uri.path() != "/live");
    let site = Site::new(only, async |_, nth: usize| reply(200, &[], nth.to_string())).await;
    assert_eq!(site.get("/live").await.body, "1");
    assert_eq!(site.get("/live").await.body, "2");
    assert_eq!(site.get("/page").await.body, "3");
    assert_eq!(site.get("/page").await.body, "3");
}
