//! What arrives on the channels: who says what, and to whom it is passed on.
//!
//! | channel | bytes | meaning |
//! |---|---|---|
//! | invalidations | `D` origin key | deleted |
//! | | `S` origin key | marked stale |
//! | | `T` origin stamp | restamped |
//! | | `C` origin stamp number | a function's stamp was absent, and has this number now |
//! | the process's own | `P` key | a load published |
//! | | `R` key | a lease is free |
//! | | `N` key | a load has ended and stored nothing |
//! | | `H` nonce | our own heartbeat |
//!
//! Origin, key, stamp, number and nonce are eight bytes, little endian. Everything else is somebody else's and ignored.

use std::sync::Arc;

use redis::{PushInfo, PushKind, Value};

use super::health::{DeliveryWatermark, Health};
use crate::shared::{Invalidation, Listeners, Wake};

/// One message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Message {
    Invalidated { mode: Invalidation, origin: u64, key_id: u64 },
    Restamped { origin: u64, stamp: u64 },
    Renumbered { origin: u64, stamp: u64, number: u64 },
    Woken { key_id: u64, wake: Wake },
    Beat { nonce: u64 },
}

impl Message {
    /// Reads what stands on the channel of invalidations.
    pub(crate) fn broadcast(bytes: &[u8]) -> Option<Self> {
        let (&kind, rest) = bytes.split_first()?;
        let (origin, subject) = rest.split_first_chunk()?;
        let origin = u64::from_le_bytes(*origin);
        if kind == b'C' {
            let (stamp, new) = subject.split_first_chunk()?;
            return Some(Self::Renumbered { origin, stamp: u64::from_le_bytes(*stamp), number: number(new)? });
        }
        let subject = number(subject)?;
        match kind {
            b'D' => Some(Self::Invalidated { mode: Invalidation::Delete, origin, key_id: subject }),
            b'S' => Some(Self::Invalidated { mode: Invalidation::Expire, origin, key_id: subject }),
            b'T' => Some(Self::Restamped { origin, stamp: subject }),
            _ => None,
        }
    }

    /// Reads what stands on the process's own channel.
    pub(crate) fn personal(bytes: &[u8]) -> Option<Self> {
        let (&kind, rest) = bytes.split_first()?;
        let subject = number(rest)?;
        match kind {
            b'P' => Some(Self::Woken { key_id: subject, wake: Wake::Published }),
            b'R' => Some(Self::Woken { key_id: subject, wake: Wake::Released }),
            b'N' => Some(Self::Woken { key_id: subject, wake: Wake::NothingStored }),
            b'H' => Some(Self::Beat { nonce: subject }),
            _ => None,
        }
    }

    /// What is sent for a restamped stamp. (The scripts write the others.)
    pub(crate) fn restamped(origin: u64, stamp: u64) -> [u8; 17] {
        let mut bytes = [b'T'; 17];
        bytes[1..9].copy_from_slice(&origin.to_le_bytes());
        bytes[9..].copy_from_slice(&stamp.to_le_bytes());
        bytes
    }

    /// What is sent for a function's stamp that was absent.
    pub(crate) fn renumbered(origin: u64, stamp: u64, number: u64) -> [u8; 25] {
        let mut bytes = [b'C'; 25];
        bytes[1..9].copy_from_slice(&origin.to_le_bytes());
        bytes[9..17].copy_from_slice(&stamp.to_le_bytes());
        bytes[17..].copy_from_slice(&number.to_le_bytes());
        bytes
    }

    /// What is sent to prove that messages arrive.
    pub(crate) fn beat(nonce: u64) -> [u8; 9] {
        let mut bytes = [b'H'; 9];
        bytes[1..].copy_from_slice(&nonce.to_le_bytes());
        bytes
    }
}

fn number(bytes: &[u8]) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.try_into().ok()?))
}

/// Where a link's messages go, in the order of their arrival. Called from the task that reads the connection.
pub(crate) struct Inbox {
    /// What the names of the process's own channels end with, and no others.
    pub(crate) own_suffix: Arc<[u8]>,
    pub(crate) process: u64,
    pub(crate) listener: Listeners,
    pub(crate) health: Arc<Health>,
    pub(crate) proofs: Arc<DeliveryWatermark>,
    /// Which of the proofs is this link's.
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
        let is_own = channel.ends_with(&self.own_suffix);
        match if is_own { Message::personal(bytes) } else { Message::broadcast(bytes) } {
            // Our own echo: the engine acted before it sent.
            Some(Message::Invalidated { origin, .. } | Message::Restamped { origin, .. }) if origin == self.process => {
            }
            Some(Message::Invalidated { mode, origin, key_id }) => self.listener.invalidated(key_id, mode, origin),
            Some(Message::Restamped { origin, stamp }) => self.listener.restamped(stamp, origin),
            // Our own too: the number was drawn as the message was sent, and the caller who waited for it may have gone away.
            Some(Message::Renumbered { stamp, number, .. }) => self.listener.renumbered(stamp, number),
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
        fn disconnected(&self) {}
    }

    /// Otherwise it would take three heartbeats to notice, or for ever. Killed by: ignoring either.
    #[test]
    fn the_end_of_a_connection_or_subscription_is_noticed_at_once() {
        for end in [PushKind::Disconnection, PushKind::SUnsubscribe] {
            let health = Arc::new(Health::new());
            let inbox = Inbox {
                own_suffix: [1; 11].into(),
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

    /// The wire format, as other implementations see it. Killed by: any other order of bytes or fields.
    #[test]
    fn messages_stand_on_the_wire_as_specified() {
        let origin = 0x0102_0304_0506_0708;
        let broadcast = |kind: &[u8]| {
            Message::broadcast(&[kind, b"\x08\x07\x06\x05\x04\x03\x02\x01", b"\x2a\0\0\0\0\0\0\0"].concat())
        };
        let invalidated = |mode| Some(Message::Invalidated { mode, origin, key_id: 42 });
        assert_eq!(broadcast(b"D"), invalidated(Invalidation::Delete));
        assert_eq!(broadcast(b"S"), invalidated(Invalidation::Expire));
        assert_eq!(broadcast(b"T"), Some(Message::Restamped { origin, stamp: 42 }));
        assert_eq!(broadcast(b"P"), None);
        let bytes = [&b"C\x08\x07\x06\x05\x04\x03\x02\x01"[..], b"\x2a\0\0\0\0\0\0\0", b"\x2b\0\0\0\0\0\0\0"].concat();
        assert_eq!(Message::broadcast(&bytes), Some(Message::Renumbered { origin, stamp: 42, number: 43 }));

        let personal = |kind: &[u8]| Message::personal(&[kind, b"\x2a\0\0\0\0\0\0\0"].concat());
        assert_eq!(personal(b"P"), Some(Message::Woken { key_id: 42, wake: Wake::Published }));
        assert_eq!(personal(b"R"), Some(Message::Woken { key_id: 42, wake: Wake::Released }));
        assert_eq!(personal(b"N"), Some(Message::Woken { key_id: 42, wake: Wake::NothingStored }));
        assert_eq!(personal(b"H"), Some(Message::Beat { nonce: 42 }));
        assert_eq!(personal(b"D"), None);
    }

    #[test]
    fn what_is_sent_is_what_is_read() {
        let restamped = Message::Restamped { origin: u64::MAX - 1, stamp: 7 };
        assert_eq!(Message::broadcast(&Message::restamped(u64::MAX - 1, 7)), Some(restamped));
        assert_eq!(Message::personal(&Message::beat(9)), Some(Message::Beat { nonce: 9 }));
        let renumbered = Message::Renumbered { origin: u64::MAX - 1, stamp: 7, number: 8 };
        assert_eq!(Message::broadcast(&Message::renumbered(u64::MAX - 1, 7, 8)), Some(renumbered));
    }

    /// Killed by: ignoring what follows.
    #[test]
    fn other_lengths_are_no_messages() {
        for length in 0..64 {
            for kind in 0..=255 {
                let bytes = vec![kind; length];
                let is_known = if kind == b'C' { length == 25 } else { length == 17 };
                assert!(is_known || Message::broadcast(&bytes).is_none());
                assert!(length == 9 || Message::personal(&bytes).is_none());
            }
        }
    }
}
