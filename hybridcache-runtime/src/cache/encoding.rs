//! Values to bytes and back, without blocking the runtime's threads.
//!
//! Small values, which most are, are encoded and decoded where they are needed. Large ones are moved to a blocking
//! thread: tens of milliseconds on a worker would delay every task on it. The size of a value is known only while it is
//! encoded. So encoding stops at the smaller bound and starts again on a blocking thread; a function whose latest value
//! was large starts there at once.

use std::borrow::Cow;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;

use crate::cache::HybridCache;
use crate::cache::fill::Fill;
use crate::entry::freshness::Life;
use crate::entry::plan::Plan;
use crate::entry::value_type::{AnyValue, ValueType};
use crate::entry::{Entry, Meta};
use crate::function::Function;
use crate::function::call_key::Key;
use crate::observe::{EventKind, UnsendableReason};
use crate::shared::wire::codec::{CodecFault, Kind};
use crate::shared::wire::compression::Compression;
use crate::shared::wire::envelope::{self, Draft, Header, OWN_FRESH_FOR, UNCOMPRESSED, Undecodable};
use crate::shared::wire::packing::{Packing, Unsealable};
use crate::shared::{Lifespan, Remote, Token};

/// The number of bytes that a worker may encode or decode: it takes a fraction of a millisecond.
const SMALL: usize = 64 << 10;

/// A value that is published: under which token, and how long it lives.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Publishing {
    pub(crate) token: Token,
    pub(crate) life: Life,
}

/// Why a value stays in memory.
enum Unsendable {
    /// Its encoding is longer than the limit.
    TooLarge,
    /// It cannot be encoded.
    Unencodable(CodecFault),
    /// Decoding the bytes would give another value.
    Changed(&'static str),
    /// The bytes cannot be decoded.
    Unreadable(CodecFault),
    /// The system gave no random numbers.
    Unsealable,
}

impl Unsendable {
    fn reason(&self) -> UnsendableReason {
        match self {
            Self::TooLarge => UnsendableReason::TooLarge,
            Self::Unencodable(_) | Self::Unsealable => UnsendableReason::Unencodable,
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

    /// Whether it was sealed with another key than the primary one.
    pub(crate) fn is_old(&self, packing: &Packing) -> bool {
        packing.is_old(&self.header, &self.bytes)
    }

    /// Decodes the value, into an entry.
    pub(crate) async fn decode(
        self,
        packing: &Packing,
        key: &Arc<Key>,
        plan: &Plan,
        meta: Meta,
    ) -> Result<Arc<Entry>, Undecodable> {
        let (value, is_large) = (plan.value, self.bytes.len().max(self.payload()) > SMALL);
        let Self { header, bytes } = self;
        let decode = move |packing: &Packing, key: &Key| {
            let payload = packing.unpack(key.address().entry(), &header, &bytes)?;
            value.decode(header.kind, &payload, meta).map_err(Undecodable::Value)
        };
        if !is_large {
            return decode(packing, key);
        }
        let (packing, key) = (packing.clone(), key.clone());
        Box::pin(aside(move || decode(&packing, &key))).await
    }
}

/// Reads an envelope, and checks that it is of this key and codec, and that this cache may unpack it. `limit`: the greatest
/// length that a payload may have had before it was compressed.
pub(crate) async fn open(
    fill: &Fill<'_>,
    packing: &Packing,
    limit: usize,
    bytes: Vec<u8>,
) -> Result<Opened, Undecodable> {
    let (is_large, key, codec) = (bytes.len() > SMALL, fill.key.fingerprint(), fill.plan.value.codec());
    let open = move || {
        let (header, _) = envelope::decode_for(&key, &bytes)?;
        Ok(Opened { header, bytes })
    };
    let opened: Opened = if is_large { Box::pin(aside(open)).await? } else { open()? };
    if codec != Some(opened.header.codec) {
        return Err(Undecodable::Codec(opened.header.codec));
    }
    packing.check(&opened.header, limit).map(|()| opened)
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
        let mut packing = Cow::Borrowed(self.packing());
        if !fill.plan.compresses {
            packing.to_mut().compression = Compression::none();
        }
        let here = packing.compression.at_most_here(SMALL);
        let work = Work { header, value_type: fill.plan.value, packing, key: fill.key };
        let (encoded, value) = encode(work, function, value, tried, here).await;
        let why = match encoded {
            Ok(encoded) => {
                function.fit.fitted(encoded.unpacked > here);
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
            Unsendable::Unsealable => {
                let what = "a value cannot be encrypted and stays in memory";
                function.fit.log_failure(&function.events, "value_unsealable", what, &"no random numbers");
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
        codec: fill.plan.value.codec()?,
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
struct Work<'a> {
    header: Header,
    value_type: &'static ValueType,
    packing: Cow<'a, Packing>,
    key: &'a Arc<Key>,
}

/// `here`: how many bytes a worker may encode and pack.
async fn encode(
    work: Work<'_>,
    function: &Function,
    value: Box<AnyValue>,
    limit: usize,
    here: usize,
) -> (Result<Encoded, Unsendable>, Box<AnyValue>) {
    let proves = function.fit.asks_for_proof() || work.value_type.is_lossy();
    let (mut encoded, mut value) = (Err(Unsendable::TooLarge), value);
    let may_be_large = limit > here;
    if !(may_be_large && function.fit.is_large()) {
        encoded = work.encode_within(limit.min(here), &*value, proves);
    }
    if may_be_large && matches!(encoded, Err(Unsendable::TooLarge)) {
        let Work { header, value_type, packing, key } = work;
        let (packing, key) = (packing.into_owned(), key.clone());
        let encode = move || {
            let work = Work { header, value_type, packing: Cow::Owned(packing), key: &key };
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
    fn encode_within(&self, limit: usize, value: &AnyValue, proves: bool) -> Result<Encoded, Unsendable> {
        let mut draft = Draft::new(&self.header);
        let kind = self.value_type.encode(value, limit, draft.bytes_mut()).map_err(|error| match error {
            CodecFault::TooLarge => Unsendable::TooLarge,
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
        self.packing.pack(self.key.address().entry(), &mut draft).map_err(|Unsealable| Unsendable::Unsealable)?;
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
