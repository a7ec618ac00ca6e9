//! A body of unknown length on its way to its requester, recorded as it passes: what a compression layer makes, say.
//!
//! The load reads the body, not the requester: a slow client does not hold up those who wait for the page. Whatever ends the
//! recording (the limit, the time, a load that is dropped), the requester gets the rest from the body itself.

use std::future::poll_fn;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::{Instant, timeout_at};

use crate::http::body::Piece;

/// How long a body may take. Others wait for the page meanwhile.
const LONGEST: Duration = Duration::from_secs(10);

/// A body that is read, and handed to its requester.
pub(crate) struct Recording<B: Body> {
    tape: Tape<B>,
    limit: u64,
    until: Instant,
}

/// How a recording ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Recorded {
    /// The body came to its end. With all of it.
    Whole(Vec<Bytes>),
    /// It is too long, takes too long, or has trailers.
    Unfinished,
    /// It ended with an error.
    Incomplete,
}

impl<B: Body<Data = Bytes>> Recording<B> {
    /// `by`: the load ends then.
    pub(crate) fn new(body: B, limit: u64, by: Option<Instant>) -> (Self, UnboundedReceiver<Piece<B>>) {
        let (listener, pieces) = unbounded_channel();
        let longest = Instant::now() + LONGEST;
        let until = by.map_or(longest, |by| by.min(longest));
        (Self { tape: Tape { body: Some(Box::pin(body)), listener }, limit, until }, pieces)
    }

    pub(crate) async fn run(mut self) -> Recorded {
        let (mut data, mut read) = (Vec::new(), 0);
        loop {
            let Some(body) = &mut self.tape.body else { return Recorded::Unfinished };
            let frame = match timeout_at(self.until, next(body.as_mut())).await {
                Err(_late) => return Recorded::Unfinished,
                Ok(None) => {
                    self.tape.body = None;
                    return Recorded::Whole(data);
                }
                Ok(Some(Err(error))) => {
                    self.tape.body = None;
                    self.tape.send(Piece::Failed(error));
                    return Recorded::Incomplete;
                }
                Ok(Some(Ok(frame))) => frame,
            };
            let recorded = frame.data_ref().cloned();
            self.tape.send(Piece::Frame(frame));
            // Trailers are nothing that is stored.
            let Some(bytes) = recorded else { return Recorded::Unfinished };
            read += bytes.len() as u64;
            if read > self.limit {
                return Recorded::Unfinished;
            }
            data.push(bytes);
        }
    }
}

/// Dropped before the body has ended, it hands the body over.
struct Tape<B: Body> {
    body: Option<Pin<Box<B>>>,
    listener: UnboundedSender<Piece<B>>,
}

impl<B: Body> Tape<B> {
    fn send(&self, piece: Piece<B>) {
        // The requester may have gone.
        let _ = self.listener.send(piece);
    }
}

impl<B: Body> Drop for Tape<B> {
    fn drop(&mut self) {
        if let Some(body) = self.body.take() {
            self.send(Piece::Rest(body));
        }
    }
}

pub(crate) async fn next<B: Body>(mut body: Pin<&mut B>) -> Option<Result<Frame<B::Data>, B::Error>> {
    poll_fn(|context| body.as_mut().poll_frame(context)).await
}
