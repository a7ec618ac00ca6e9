//! Values to bytes and back, without blocking the runtime's threads.
//!
//! Small values, which most are, are encoded and decoded where they are needed. Large ones are moved to a blocking
//! thread: tens of milliseconds on a worker would delay every task on it. The size of a value is known only while it is
//! encoded. So encoding stops at the smaller bound and starts again on a blocking thread; a function whose latest value
//! was large starts there at once.

use std::panic::resume_unwind;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;

use crate::cache::HybridCache;
use crate::cache::fill::Fill;
use crate::cache::write::Publishing;
use crate::entry::plan::Plan;
use crate::entry::value_type::{AnyValue, ValueType};
use crate::entry::{Entry, Meta};
use crate::function::Function;
use crate::observe::{EventKind, UnsendableReason};
use crate::shared::Lifespan;
use crate::shared::Remote;
use crate::shared::wire::codec::{CodecError, Kind};
use crate::shared::wire::compression::{Compression, check_length, decompress};
use crate::shared::wire::envelope::{self, Draft, Header, MESSAGE_PACK, OWN_FRESH_FOR, UNCOMPRESSED, Undecodable};

/// The number of bytes that a worker may encode or decode: it takes a fraction of a millisecond.
const SMALL: usize = 64 << 10;

/// Why a value stays in memory.
enum Unsendable {
    /// Its encoding is longer than the limit.
    TooLarge,
    /// It cannot be encoded.
    Unencodable(CodecError),
    /// Decoding the bytes would give another value.
    Changed(&'static str),
    /// The bytes cannot be decoded.
    Unreadable(CodecError),
}

impl Unsendable {
    fn reason(&self) -> UnsendableReason {
        match self {
            Self::TooLarge => UnsendableReason::TooLarge,
            Self::Unencodable(_) => UnsendableReason::Unencodable,
            Self::Changed(_) | Self::Unreadable(_) => UnsendableReason::Changed,
        }
    }
}

/// The bytes of a value for the shared tier.
pub(crate) struct Encoded {
    pub(crate) bytes: Vec<u8>,
    /// How many bytes they were before they were compressed: what the value weighs in memory.
    pub(crate) unpacked: usize,
}

/// The bytes of a complete entry of this key.
pub(crate) struct Opened {
    pub(crate) header: Header,
    bytes: Vec<u8>,
}

impl Opened {
    /// The length of the payload, before it was compressed.
    pub(crate) fn payload(&self) -> usize {
        self.header.length as usize
    }

    /// Decodes the value, into an entry.
    pub(crate) async fn decode(self, plan: &Plan, meta: Meta) -> Result<Arc<Entry>, Undecodable> {
        let (value, is_large) = (plan.value, self.bytes.len().max(self.payload()) > SMALL);
        let Self { header, bytes } = self;
        let decode = move || {
            let payload = decompress(&header, &bytes[envelope::payload_at(&header)..])?;
            value.decode(header.kind, &payload, meta).map_err(Undecodable::Value)
        };
        if is_large { Box::pin(aside(decode)).await } else { decode() }
    }
}

/// Reads an envelope, and checks that it is of the key with this fingerprint. `limit`: the greatest length that a payload
/// may have had before it was compressed.
pub(crate) async fn open(key: [u8; 16], limit: usize, bytes: Vec<u8>) -> Result<Opened, Undecodable> {
    let is_large = bytes.len() > SMALL;
    let open = move || {
        let (header, _) = envelope::decode_for(&key, &bytes)?;
        check_length(&header, limit)?;
        Ok(Opened { header, bytes })
    };
    if is_large { Box::pin(aside(open)).await } else { open() }
}

impl HybridCache {
    /// The envelope of a value that was loaded just now, and the value again. `None`: the value stays in memory; the
    /// reason was counted and logged.
    pub(crate) async fn encode(
        &self,
        remote: &dyn Remote,
        fill: &Fill<'_>,
        value: Box<AnyValue>,
        publishing: Publishing,
    ) -> (Option<Encoded>, Box<AnyValue>) {
        let Some(header) = header(remote, fill, publishing) else { return (None, value) };
        let (function, limit) = (&fill.key.function, fill.plan.value_limit(self.limits().value_limit));
        let now = self.clock().now();
        if fill.plan.value.least(&*value) > limit {
            fill.key.happened(EventKind::Unsendable { reason: UnsendableReason::TooLarge });
            function.fit.log_too_large(&function.events, limit);
            return (None, value);
        }
        let is_paused = function.fit.is_paused(now);
        let tried = if is_paused { limit.min(SMALL) } else { limit };
        let compression = if fill.plan.compresses { self.packing().compression } else { Compression::none() };
        let work = Work { header: &header, value_type: fill.plan.value, compression };
        let (encoded, value) = encode(work, function, value, tried).await;
        let why = match encoded {
            Ok(encoded) => {
                function.fit.fitted(encoded.unpacked > compression.at_most_here(SMALL));
                function.sizes.learn(encoded.bytes.len());
                return (Some(encoded), value);
            }
            Err(why) => why,
        };
        fill.key.happened(EventKind::Unsendable { reason: why.reason() });
        match why {
            Unsendable::TooLarge if is_paused => {}
            Unsendable::TooLarge => function.fit.did_not_fit(&function.events, limit, now),
            Unsendable::Unencodable(error) => {
                let what = "a value cannot be encoded and stays in memory";
                function.fit.log_failure(&function.events, "value_unencodable", what, &error);
            }
            Unsendable::Changed(why) => function.fit.exclude(&function.events, &why),
            Unsendable::Unreadable(error) => {
                function.fit.exclude(&function.events, &format_args!("what was encoded cannot be decoded: {error}"));
            }
        }
        (None, value)
    }
}

fn header(remote: &dyn Remote, fill: &Fill<'_>, Publishing { token, life }: Publishing) -> Option<Header> {
    let now = remote.now()?;
    let took = life.took.as_millis();
    // Prolonged even if the value is not sent: the value in memory carries the same stamps.
    fill.origin.seen.prolong(Lifespan::of(life.ttl(), Duration::ZERO), remote);
    Some(Header {
        expired_by_hand: false,
        codec: MESSAGE_PACK,
        compression: UNCOMPRESSED,
        kind: Kind::Value,
        flags: if life.is_amended { OWN_FRESH_FOR } else { 0 },
        cost_ms: u32::try_from(took).unwrap_or(u32::MAX),
        fence: token.to_bytes(),
        loaded_at: now.saturating_sub(took as u64),
        fresh_until: now + life.lifetimes.fresh_for(),
        expires_at: now + life.lifetimes.ttl(),
        length: 0,
        key: fill.key.fingerprint(),
        stamps: fill.origin.seen.remote()?,
    })
}

/// What makes the bytes of a value.
#[derive(Clone, Copy)]
struct Work<'a> {
    header: &'a Header,
    value_type: &'static ValueType,
    compression: Compression,
}

async fn encode(
    work: Work<'_>,
    function: &Function,
    value: Box<AnyValue>,
    limit: usize,
) -> (Result<Encoded, Unsendable>, Box<AnyValue>) {
    let proves = function.fit.asks_for_proof();
    let (mut encoded, mut value) = (Err(Unsendable::TooLarge), value);
    let here = work.compression.at_most_here(SMALL);
    let may_be_large = limit > here;
    if !(may_be_large && function.fit.is_large()) {
        encoded = work.encode_within(limit.min(here), &*value, proves);
    }
    if may_be_large && matches!(encoded, Err(Unsendable::TooLarge)) {
        let (header, Work { value_type, compression, .. }) = (work.header.clone(), work);
        let encode = move || {
            let work = Work { header: &header, value_type, compression };
            (work.encode_within(limit, &*value, proves), value)
        };
        (encoded, value) = Box::pin(aside(encode)).await;
    }
    if proves && encoded.is_ok() {
        function.fit.is_proven();
    }
    (encoded, value)
}

impl Work<'_> {
    fn encode_within(self, limit: usize, value: &AnyValue, proves: bool) -> Result<Encoded, Unsendable> {
        let mut draft = Draft::new(self.header);
        let kind = self.value_type.encode(value, limit, draft.bytes_mut()).map_err(|error| match error {
            CodecError::TooLarge => Unsendable::TooLarge,
            error => Unsendable::Unencodable(error),
        })?;
        if proves {
            match self.value_type.comes_back(value, kind, draft.payload()) {
                Ok(true) => {}
                Ok(false) => return Err(Unsendable::Changed("decoded and encoded again it is not the same")),
                Err(error) => return Err(Unsendable::Unreadable(error)),
            }
        }
        draft.encoded(kind);
        let unpacked = draft.bytes_mut().len();
        if let Some((number, payload)) = self.compression.compress(draft.payload()) {
            draft.compressed(number, &payload);
        }
        Ok(Encoded { bytes: draft.finish(), unpacked })
    }
}

/// Runs `work` on a blocking thread. Outside of a runtime there is none, and no task that would be delayed.
async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let Ok(runtime) = Handle::try_current() else { return work() };
    match runtime.spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => resume_unwind(panic),
            // The runtime is shutting down, and this task ends with it.
            Err(_) => std::future::pending().await,
        },
    }
}
