//! The body of the layer's responses.

use std::collections::VecDeque;
use std::fmt;
use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tokio::sync::mpsc::UnboundedReceiver;

pin_project! {
    /// The body of a response that went through the layer: a stored one, or the inner service's own.
    pub struct CacheBody<B: Body> {
        #[pin]
        inner: Inner<B, B::Error>,
    }
}

pin_project! {
    #[project = Projected]
    enum Inner<B: Body, E> {
        /// The inner service's body, as it arrives.
        Origin { #[pin] body: B },
        Stored { bytes: Option<Bytes> },
        /// A body that is not stored after all: the frames that were read, the error that ended it, and the rest that
        /// is not read yet.
        Replayed { frames: VecDeque<Frame<Bytes>>, error: Option<E>, rest: Option<Pin<Box<B>>> },
        /// The pieces that a recording reads, and then the rest.
        Followed { pieces: UnboundedReceiver<Piece<B>>, rest: Option<Pin<Box<B>>> },
        /// A range of another body: `skip` bytes are left out, then `left` bytes follow.
        Sliced { whole: Pin<Box<CacheBody<B>>>, skip: u64, left: u64 },
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

    pub(super) fn followed(pieces: UnboundedReceiver<Piece<B>>) -> Self {
        Self { inner: Inner::Followed { pieces, rest: None } }
    }

    /// A range of this body.
    pub(super) fn sliced(self, range: &Range<u64>) -> Self {
        let (skip, left) = (range.start, range.end.saturating_sub(range.start));
        Self { inner: Inner::Sliced { whole: Box::pin(self), skip, left } }
    }
}

impl<B: Body> fmt::Debug for CacheBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CacheBody").finish_non_exhaustive()
    }
}

/// The pieces that a recording passes to the requester of the body.
pub(crate) enum Piece<B: Body> {
    Frame(Frame<Bytes>),
    /// The body failed.
    Failed(B::Error),
    /// The recording ended before the body did.
    Rest(Pin<Box<B>>),
}

type Polled<B> = Poll<Option<Result<Frame<Bytes>, <B as Body>::Error>>>;

impl<B: Body<Data = Bytes>> Body for CacheBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Polled<B> {
        match self.project().inner.project() {
            Projected::Origin { body } => body.poll_frame(cx),
            Projected::Stored { bytes } => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Projected::Replayed { frames, error, rest } => match (frames.pop_front(), rest) {
                (Some(frame), _) => Poll::Ready(Some(Ok(frame))),
                (None, Some(rest)) => rest.as_mut().poll_frame(cx),
                (None, None) => Poll::Ready(error.take().map(Err)),
            },
            Projected::Followed { pieces, rest } => follow(pieces, rest, cx),
            Projected::Sliced { whole, skip, left } => slice(whole.as_mut(), skip, left, cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.inner {
            Inner::Origin { body } => body.is_end_stream(),
            Inner::Stored { bytes } => bytes.is_none(),
            Inner::Replayed { frames, error, rest } => {
                frames.is_empty() && error.is_none() && rest.as_ref().is_none_or(|rest| rest.is_end_stream())
            }
            Inner::Followed { rest, .. } => rest.as_ref().is_some_and(|rest| rest.is_end_stream()),
            Inner::Sliced { left, .. } => *left == 0,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.inner {
            Inner::Origin { body } => body.size_hint(),
            Inner::Stored { bytes } => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Inner::Replayed { .. } | Inner::Followed { .. } => SizeHint::default(),
            Inner::Sliced { left, .. } => SizeHint::with_exact(*left),
        }
    }
}

/// A recording that was dropped has passed on the rest, so the end of the pieces is the end of the body.
fn follow<B: Body<Data = Bytes>>(
    pieces: &mut UnboundedReceiver<Piece<B>>,
    rest: &mut Option<Pin<Box<B>>>,
    cx: &mut Context<'_>,
) -> Polled<B> {
    if rest.is_none() {
        match ready!(pieces.poll_recv(cx)) {
            Some(Piece::Frame(frame)) => return Poll::Ready(Some(Ok(frame))),
            Some(Piece::Failed(error)) => return Poll::Ready(Some(Err(error))),
            Some(Piece::Rest(body)) => *rest = Some(body),
            None => return Poll::Ready(None),
        }
    }
    rest.as_mut().map_or(Poll::Ready(None), |rest| rest.as_mut().poll_frame(cx))
}

/// If the whole body ends within the range, this body ends too: it is then shorter than its `Content-Length`, and the
/// client notices that.
fn slice<B: Body<Data = Bytes>>(
    mut whole: Pin<&mut CacheBody<B>>,
    skip: &mut u64,
    left: &mut u64,
    cx: &mut Context<'_>,
) -> Polled<B> {
    while *left > 0 {
        let frame = match ready!(whole.as_mut().poll_frame(cx)) {
            Some(Ok(frame)) => frame,
            ended => return Poll::Ready(ended),
        };
        let Ok(mut data) = frame.into_data() else { continue };
        let within = |bytes: u64, data: &Bytes| usize::try_from(bytes).map_or(data.len(), |most| most.min(data.len()));
        let skipped = data.split_to(within(*skip, &data));
        *skip -= skipped.len() as u64;
        data.truncate(within(*left, &data));
        *left -= data.len() as u64;
        if !data.is_empty() {
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
    }
    Poll::Ready(None)
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::future::poll_fn;

    use super::*;

    struct Pieces(VecDeque<Bytes>);

    impl Body for Pieces {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Polled<Self> {
            Poll::Ready(self.0.pop_front().map(|bytes| Ok(Frame::data(bytes))))
        }
    }

    async fn collect(mut body: CacheBody<Pieces>) -> Vec<u8> {
        let mut bytes = Vec::new();
        while let Some(Ok(frame)) = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
            bytes.extend(frame.into_data().expect("data"));
        }
        bytes
    }

    /// Killed by: bytes counted from the frame, not from the body; a part of a frame that is lost.
    #[tokio::test]
    async fn ranges_are_cut_out_of_any_frames() {
        for size in 1..=10 {
            for range in [0..10, 0..1, 3..7, 9..10, 5..5] {
                let pieces = Pieces(b"0123456789".chunks(size).map(Bytes::from_static).collect());
                let sliced = CacheBody::origin(pieces).sliced(&range);
                assert_eq!(sliced.size_hint().exact(), Some(range.end - range.start));
                let expected: Vec<u8> =
                    range.clone().map(|at| b"0123456789"[usize::try_from(at).expect("a place")]).collect();
                assert_eq!(collect(sliced).await, expected, "{range:?} in pieces of {size}");
            }
        }
    }
}
