//! Which statuses are stored.

use std::time::Duration;

use axum::extract::Request;

use crate::site::{Site, configured, minutes, origin_headers, reply};

fn status_of(request: &Request) -> u16 {
    request.uri().path()[1..].parse().unwrap()
}

/// Killed by: storing errors under configured times; never storing them.
#[tokio::test]
async fn case_17_errors_are_not_stored_unless_that_is_asked_for() {
    let handler = async |request: Request, nth: usize| reply(status_of(&request), &[], nth.to_string());
    let site = Site::new(configured, handler).await;
    for status in [400, 404, 431, 500, 302, 204] {
        let (one, other) = (site.get(&format!("/{status}")).await, site.get(&format!("/{status}")).await);
        assert_eq!((one.status.as_u16(), other.status.as_u16()), (status, status));
        assert!(!other.is_hit(), "{status}");
    }
    assert_eq!(site.calls.count(), 12);
    let site = Site::new(|builder| configured(builder).negative(minutes(1)), handler).await;
    for status in [400, 404, 431, 500] {
        site.get(&format!("/{status}")).await;
        assert!(site.get(&format!("/{status}")).await.is_hit(), "{status}");
    }
    let site = Site::new(|builder| configured(builder).negative(Duration::from_millis(50)), handler).await;
    site.get("/404").await;
    let anew = site.get_until("/404", |reply| !reply.is_hit()).await;
    assert_eq!(anew.said(), (404, "2"));
}

/// What is accepted instead of 200.
#[tokio::test]
async fn statuses_below_400_can_be_accepted() {
    let accepting = |builder| configured(builder).accept_response(|response| response.status.as_u16() != 204);
    let site =
        Site::new(accepting, async |request: Request, nth: usize| reply(status_of(&request), &[], nth.to_string()))
            .await;
    for (status, is_stored) in
        [(200, true), (301, true), (204, false), (404, false), (500, false), (206, false), (304, false)]
    {
        let path = format!("/{status}");
        site.get(&path).await;
        assert_eq!(site.get(&path).await.is_hit(), is_stored, "{status}");
    }
}

/// Killed by: `accept_response` that widens what the standard allows.
#[tokio::test]
async fn accepting_makes_nothing_public() {
    for configure in [configured, origin_headers] {
        let accepting = |builder| configure(builder).accept_response(|_| true);
        let site = Site::new(accepting, async |_: Request, nth: usize| {
            reply(200, &[("cache-control", "no-store, max-age=60")], nth.to_string())
        })
        .await;
        assert_eq!([site.get("/").await.body, site.get("/").await.body], ["1", "2"]);
    }
}
