//! The page's files, and how answers look.

use axum::body::Body;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, LOCATION, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderValue, Response, StatusCode};
use serde::Serialize;

/// Nothing from elsewhere, nothing inline, in no frame.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; \
                      frame-ancestors 'none'";

pub(super) fn page() -> Response<Body> {
    answer(StatusCode::OK, "text/html; charset=utf-8", include_str!("page/index.html"))
}

pub(super) fn script() -> Response<Body> {
    answer(StatusCode::OK, "text/javascript; charset=utf-8", include_str!("page/app.js"))
}

pub(super) fn style() -> Response<Body> {
    answer(StatusCode::OK, "text/css; charset=utf-8", include_str!("page/style.css"))
}

pub(super) fn json(content: &impl Serialize) -> Response<Body> {
    match serde_json::to_string(content) {
        Ok(text) => answer(StatusCode::OK, "application/json", text),
        Err(error) => problem(500, &error.to_string()),
    }
}

/// A refusal that says why.
pub(super) fn problem(status: u16, why: &str) -> Response<Body> {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let text = serde_json::json!({ "problem": why }).to_string();
    answer(status, "application/json", text)
}

/// To the same path with a slash, relative to it: a proxy may have put another path in front.
pub(super) fn redirect(public: &str) -> Response<Body> {
    let last = public.rsplit('/').next().unwrap_or_default();
    let mut response = answer(StatusCode::SEE_OTHER, "text/plain", String::new());
    if let Ok(target) = HeaderValue::from_str(&format!("./{last}/")) {
        response.headers_mut().insert(LOCATION, target);
    }
    response
}

fn answer(status: StatusCode, kind: &'static str, body: impl Into<Body>) -> Response<Body> {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    for (name, value) in [
        (CONTENT_TYPE, kind),
        (CONTENT_SECURITY_POLICY, POLICY),
        (CACHE_CONTROL, "no-store"),
        (REFERRER_POLICY, "no-referrer"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}
