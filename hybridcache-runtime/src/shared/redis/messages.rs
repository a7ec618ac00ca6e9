//! The messages on the channels: their format, and the listener that they are passed to.
//!
//! | channel | bytes | meaning |
//! |---|---|---|
//! | invalidations | `D` origin key | deleted |
//! | | `S` origin key | marked stale |
//! | | `T` origin stamp | restamped |
//! | | `C` origin stamp number | a function's stamp was absent, and has this number now |
//! | | `Q` origin nonce | what does each process say of itself? |
//! | the process's own | `P` key | a load published |
//! | | `R` key | a lease is free |
//! | | `N` key | a load has ended and stored nothing |
//! | | `H` nonce | our own heartbeat |
//! | | `A` nonce text | an answer to our own `Q`, as JSON |
//!
//! Origin, key, stamp, number and nonce are 16 hex digits each. All other messages are ignored.

use std::sync::Arc;

use redis::{PushInfo, PushKind, Value};
use smallvec::SmallVec;

use super::health::{DeliveryWatermark, Health};
use crate::shared::wire::names::number;
use crate::shared::{Invalidation, Listeners, Wake};

/// One message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Message {
    Invalidated { mode: Invalidation, origin: u64, key_id: u64 },
    Restamped { origin: u64, stamp: u64 },
    Renumbered { origin: u64, stamp: u64, number: u64 },
    Woken { key_id: u64, wake: Wake },
    Beat { nonce: u64 },
    Asked { origin: u64, nonce: u64 },
}

impl Message {
    /// Reads a message on the channel of invalidations.
    pub(crate) fn broadcast(bytes: &[u8]) -> Option<Self> {
        match split(bytes).as_ref().map(|(letter, numbers)| (*letter, numbers.as_slice()))? {
            (b'D', &[origin, key_id]) => Some(Self::Invalidated { mode: Invalidation::Delete, origin, key_id }),
            (b'S', &[origin, key_id]) => Some(Self::Invalidated { mode: Invalidation::Expire, origin, key_id }),
            (b'T', &[origin, stamp]) => Some(Self::Restamped { origin, stamp }),
            (b'C', &[origin, stamp, number]) => Some(Self::Renumbered { origin, stamp, number }),
            (b'Q', &[origin, nonce]) => Some(Self::Asked { origin, nonce }),
            _ => None,
        }
    }

    /// Reads a message on the process's own channel.
    pub(crate) fn personal(bytes: &[u8]) -> Option<Self> {
        match split(bytes).as_ref().map(|(letter, numbers)| (*letter, numbers.as_slice()))? {
            (b'P', &[key_id]) => Some(Self::Woken { key_id, wake: Wake::Published }),
            (b'R', &[key_id]) => Some(Self::Woken { key_id, wake: Wake::Released }),
            (b'N', &[key_id]) => Some(Self::Woken { key_id, wake: Wake::NothingStored }),
            (b'H', &[nonce]) => Some(Self::Beat { nonce }),
            _ => None,
        }
    }

    /// The message for a restamped stamp. (The scripts write the others.)
    pub(crate) fn restamped(origin: u64, stamp: u64) -> String {
        format!("T{origin:016x}{stamp:016x}")
    }

    /// The message for a function's stamp that was absent.
    pub(crate) fn renumbered(origin: u64, stamp: u64, number: u64) -> String {
        format!("C{origin:016x}{stamp:016x}{number:016x}")
    }

    /// The question what each process says of itself.
    #[cfg(feature = "inspector")]
    pub(crate) fn asked(origin: u64, nonce: u64) -> String {
        format!("Q{origin:016x}{nonce:016x}")
    }

    /// The answer to it.
    #[cfg(feature = "inspector")]
    pub(crate) fn answered(nonce: u64, answer: &[u8]) -> Vec<u8> {
        [format!("A{nonce:016x}").as_bytes(), answer].concat()
    }

    /// The message that proves that messages arrive.
    pub(crate) fn beat(nonce: u64) -> String {
        format!("H{nonce:016x}")
    }
}

/// The letter, and the numbers after it.
fn split(bytes: &[u8]) -> Option<(u8, SmallVec<[u64; 3]>)> {
    let (&letter, digits) = bytes.split_first()?;
    Some((letter, digits.chunks(16).map(number).collect::<Option<_>>()?))
}

/// The number of the question, and what is behind it.
#[cfg(feature = "inspector")]
fn answer(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (nonce, answer) = bytes.strip_prefix(b"A")?.split_at_checked(16)?;
    Some((number(nonce)?, answer))
}

/// Passes a link's messages on, in the order of their arrival. Called from the task that reads the connection.
pub(crate) struct Inbox {
    /// The end of the names of the process's own channels, and of no others.
    pub(crate) own_suffix: Arc<str>,
    pub(crate) process: u64,
    pub(crate) listener: Listeners,
    pub(crate) health: Arc<Health>,
    pub(crate) proofs: Arc<DeliveryWatermark>,
    /// The place of this link's node in `proofs`.
    pub(crate) place: usize,
}

impl Inbox {
    pub(crate) fn receive(&self, push: &PushInfo) {
        match push.kind {
            PushKind::Disconnection => self.health.report("the server closed a connection"),
            // A cluster moved the slot to another node.
            PushKind::SUnsubscribe => self.health.report("the server ended a subscription"),
            PushKind::Message | PushKind::SMessage => {
                if let [Value::BulkString(channel), Value::BulkString(bytes)] = push.data.as_slice() {
                    self.dispatch(channel, bytes);
                }
            }
            _ => {}
        }
    }

    fn dispatch(&self, channel: &[u8], bytes: &[u8]) {
        let is_own = channel.ends_with(self.own_suffix.as_bytes());
        #[cfg(feature = "inspector")]
        if let (true, Some((nonce, answer))) = (is_own, answer(bytes)) {
            return self.listener.answered(nonce, answer);
        }
        match if is_own { Message::personal(bytes) } else { Message::broadcast(bytes) } {
            // This process's own message: the engine acted before it sent the message.
            Some(Message::Invalidated { origin, .. } | Message::Restamped { origin, .. }) if origin == self.process => {
            }
            Some(Message::Invalidated { mode, origin, key_id }) => self.listener.invalidated(key_id, mode, origin),
            Some(Message::Restamped { origin, stamp }) => self.listener.restamped(stamp, origin),
            // Own messages too: the number was created with the message, and the caller that waited for it may have
            // been dropped.
            Some(Message::Renumbered { stamp, number, .. }) => self.listener.renumbered(stamp, number),
            #[cfg(feature = "inspector")]
            Some(Message::Asked { origin, nonce }) if origin != self.process => self.listener.asked(origin, nonce),
            Some(Message::Asked { .. }) => {}
            Some(Message::Woken { key_id, wake }) => self.listener.woken(key_id, wake),
            Some(Message::Beat { nonce }) => {
                if let Some(until) = self.health.answered(nonce).and_then(|sent| self.proofs.proven(self.place, sent)) {
                    self.listener.proven(until);
                }
            }
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;
    use crate::shared::Listener;

    struct Deaf;

    impl Listener for Deaf {
        fn woken(&self, _: u64, _: Wake) {}
        fn invalidated(&self, _: u64, _: Invalidation, _: u64) {}
        fn restamped(&self, _: u64, _: u64) {}
        fn renumbered(&self, _: u64, _: u64) {}
        fn resubscribed(&self, _: bool) {}
        fn proven(&self, _: Instant) {}
        fn warned(&self, _: bool, _: &'static str, _: &str, _: &str) {}
        fn disconnected(&self) {}
    }

    /// Otherwise the process would notice only after three heartbeats, or never. Killed by: ignoring either.
    #[test]
    fn the_end_of_a_connection_or_subscription_is_noticed_at_once() {
        for end in [PushKind::Disconnection, PushKind::SUnsubscribe] {
            let health = Arc::new(Health::new());
            let inbox = Inbox {
                own_suffix: ":w:0000000000000001".into(),
                process: 1,
                listener: Arc::new(Deaf),
                health: health.clone(),
                proofs: Arc::new(DeliveryWatermark::new(1, Instant::now())),
                place: 0,
            };
            inbox.receive(&PushInfo { kind: PushKind::Subscribe, data: Vec::new() });
            assert_eq!(health.trouble(), None);
            inbox.receive(&PushInfo { kind: end, data: Vec::new() });
            assert!(health.trouble().is_some());
        }
    }

    /// The wire format, as other implementations see it. Killed by: any other order of digits or fields.
    #[test]
    fn messages_stand_on_the_wire_as_specified() {
        let all: serde_json::Value =
            serde_json::from_str(include_str!("../../../../tests/wire/vectors.json")).expect("valid JSON");
        let vectors = all["messages"]["vectors"].as_array().expect("vectors");
        let mut letters = String::new();
        for vector in vectors {
            let (letter, text) =
                (vector["letter"].as_str().expect("a letter"), vector["text"].as_str().expect("a text"));
            let numbers = vector["numbers"].as_array().expect("numbers").iter();
            let numbers: Vec<_> = numbers
                .map(|number| u64::from_str_radix(number.as_str().expect("a number"), 16).expect("hex digits"))
                .collect();
            let (broadcast, personal) = match (letter, &numbers[..]) {
                ("D", &[origin, key_id]) => {
                    (Some(Message::Invalidated { mode: Invalidation::Delete, origin, key_id }), None)
                }
                ("S", &[origin, key_id]) => {
                    (Some(Message::Invalidated { mode: Invalidation::Expire, origin, key_id }), None)
                }
                ("T", &[origin, stamp]) => (Some(Message::Restamped { origin, stamp }), None),
                ("C", &[origin, stamp, number]) => (Some(Message::Renumbered { origin, stamp, number }), None),
                ("Q", &[origin, nonce]) => (Some(Message::Asked { origin, nonce }), None),
                ("P", &[key_id]) => (None, Some(Message::Woken { key_id, wake: Wake::Published })),
                ("R", &[key_id]) => (None, Some(Message::Woken { key_id, wake: Wake::Released })),
                ("N", &[key_id]) => (None, Some(Message::Woken { key_id, wake: Wake::NothingStored })),
                ("H", &[nonce]) => (None, Some(Message::Beat { nonce })),
                _ => panic!("{vector}"),
            };
            assert_eq!(Message::broadcast(text.as_bytes()), broadcast);
            assert_eq!(Message::personal(text.as_bytes()), personal);
            letters += letter;
        }
        assert_eq!(letters, "DSTCQPRNH");
    }

    #[test]
    fn what_is_sent_is_what_is_read() {
        let restamped = Message::Restamped { origin: u64::MAX - 1, stamp: 7 };
        assert_eq!(Message::broadcast(Message::restamped(u64::MAX - 1, 7).as_bytes()), Some(restamped));
        assert_eq!(Message::personal(Message::beat(9).as_bytes()), Some(Message::Beat { nonce: 9 }));
        let renumbered = Message::Renumbered { origin: u64::MAX - 1, stamp: 7, number: 8 };
        assert_eq!(Message::broadcast(Message::renumbered(u64::MAX - 1, 7, 8).as_bytes()), Some(renumbered));
    }

    /// Killed by: ignoring what follows; other digits than those of lower case.
    #[test]
    fn other_texts_are_no_messages() {
        for length in 0..80 {
            for kind in 0..=255 {
                let bytes = [vec![kind], vec![b'0'; length]].concat();
                let numbers = if kind == b'C' { 48 } else { 32 };
                assert!(length == numbers || Message::broadcast(&bytes).is_none());
                assert!(length == 16 || Message::personal(&bytes).is_none());
            }
        }
        for digits in [
            "0000000000000A00",
            "000000000000000g",
            "+000000000000001",
            "0000000 00000001",
            "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
        ] {
            assert_eq!(Message::personal(format!("P{digits}").as_bytes()), None);
        }
        assert!(Message::personal(b"P0000000000000a00").is_some());
    }
}
