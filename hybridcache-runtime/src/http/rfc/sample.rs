//! Messages for tests.

use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, request, response};

/// Names and values of fields.
pub(super) type Lines<'a> = &'a [(&'a str, &'a str)];

pub(super) fn headers(lines: Lines<'_>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
        headers.append(name.parse::<HeaderName>().unwrap(), value);
    }
    headers
}

pub(super) fn request(method: &str, uri: &str, lines: Lines<'_>) -> request::Parts {
    let (mut request, ()) = Request::builder().method(method).uri(uri).body(()).unwrap().into_parts();
    request.headers = headers(lines);
    request
}

pub(super) fn response(status: u16, lines: Lines<'_>) -> response::Parts {
    let (mut response, ()) = Response::builder().status(status).body(()).unwrap().into_parts();
    response.headers = headers(lines);
    response
}
