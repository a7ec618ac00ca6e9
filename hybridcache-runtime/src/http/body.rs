//! The body of what the layer answers.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

pin_project! {
    /// The body of an answer that went through the layer: what is stored, or the inner service's own.
    #[derive(Debug)]
    pub struct CacheBody<B: Body> {
        #[pin]
        inner: Inner<B, B::Error>,
    }
}

pin_project! {
    #[project = Projected]
    #[derive(Debug)]
    enum Inner<B, E> {
        /// The inner service's, as it comes.
        Origin { #[pin] body: B },
        Stored { bytes: Option<Bytes> },
        /// What was read of a body that is not stored after all, how it ended, or what is yet to come.
        Replayed { frames: VecDeque<Frame<Bytes>>, error: Option<E>, rest: Option<Pin<Box<B>>> },
    }
}

impl<B: Body> CacheBody<B> {
    pub(super) fn origin(body: B) -> Self {
        Self { inner: Inner::Origin { body } }
    }

    pub(super) fn stored(bytes: Bytes) -> Self {
        Self { inner: Inner::Stored { bytes: Some(bytes).filter(|bytes| !bytes.is_empty()) } }
    }

    pub(super) fn replayed(frames: VecDeque<Frame<Bytes>>, error: Option<B::Error>, rest: Option<Pin<Box<B>>>) -> Self {
        Self { inner: Inner::Replayed { frames, error, rest } }
    }
}

impl<B: Body<Data = Bytes>> Body for CacheBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        match self.project().inner.project() {
            Projected::Origin { body } => body.poll_frame(cx),
            Projected::Stored { bytes } => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Projected::Replayed { frames, error, rest } => match (frames.pop_front(), rest) {
                (Some(frame), _) => Poll::Ready(Some(Ok(frame))),
                (None, Some(rest)) => rest.as_mut().poll_frame(cx),
                (None, None) => Poll::Ready(error.take().map(Err)),
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.inner {
            Inner::Origin { body } => body.is_end_stream(),
            Inner::Stored { bytes } => bytes.is_none(),
            Inner::Replayed { frames, error, rest } => {
                frames.is_empty() && error.is_none() && rest.as_ref().is_none_or(|rest| rest.is_end_stream())
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.inner {
            Inner::Origin { body } => body.size_hint(),
            Inner::Stored { bytes } => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Inner::Replayed { .. } => SizeHint::default(),
        }
    }
}
