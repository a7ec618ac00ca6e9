//! A body that is made as it is read.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame};

const PIECE: u64 = 64 << 10;

/// So many bytes, of which nobody knows before.
pub struct Zeros {
    left: u64,
}

impl Zeros {
    pub fn new(length: u64) -> Self {
        Self { left: length }
    }
}

impl Body for Zeros {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let piece = self.left.min(PIECE);
        self.left -= piece;
        // Each has memory of its own: one that is held shows.
        Poll::Ready((piece > 0).then(|| Ok(Frame::data(vec![b'x'; piece as usize].into()))))
    }
}
