//! The future of a response.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::Response;
use http_body::Body;
use pin_project_lite::pin_project;

use super::body::CacheBody;

pin_project! {
    /// The future of [`HttpCache`](super::HttpCache). A hit in memory is there when it is made.
    ///
    /// Dropping it before its end cancels nothing that others wait for: the handler runs in a task of its own.
    #[must_use = "futures do nothing unless polled"]
    pub struct ResponseFuture<B: Body, E> {
        state: State<B, E>,
    }
}

type Answered<B, E> = Result<Response<CacheBody<B>>, E>;

enum State<B: Body, E> {
    /// `None` once it was handed over.
    Ready(Option<Response<CacheBody<B>>>),
    Running(BoxFuture<'static, Answered<B, E>>),
}

impl<B: Body<Data = Bytes>, E> ResponseFuture<B, E> {
    /// A response that needs no allocation of its own.
    pub(super) fn ready(response: Response<CacheBody<B>>) -> Self {
        Self { state: State::Ready(Some(response)) }
    }

    pub(super) fn new(future: impl Future<Output = Answered<B, E>> + Send + 'static) -> Self {
        Self { state: State::Running(Box::pin(future)) }
    }
}

impl<B: Body<Data = Bytes>, E> Future for ResponseFuture<B, E> {
    type Output = Answered<B, E>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state {
            State::Ready(response) => response.take().map_or(Poll::Pending, |response| Poll::Ready(Ok(response))),
            State::Running(future) => future.as_mut().poll(context),
        }
    }
}

impl<B: Body, E> fmt::Debug for ResponseFuture<B, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
