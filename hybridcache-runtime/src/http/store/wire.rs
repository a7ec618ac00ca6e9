//! Records as bytes. Bytes from the shared tier are not trusted: a field that no response could have, a status that
//! does not exist, or a body of another length makes the record a miss.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::{AGE, CONNECTION, CONTENT_LENGTH, SET_COOKIE, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde::de::{Error as _, Visitor};
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::record::{Page, Record, Trial, Variants};
use crate::http::rfc::{Stored, Terms};

#[derive(Serialize, Deserialize)]
enum Wire {
    Page(WirePage),
    Variants { id: u64, fields: Vec<String>, tags: Vec<String>, ttl: u64, trial: u64 },
    HitForPass(u64),
}

/// Times in milliseconds; `got` since 1970.
#[derive(Serialize, Deserialize)]
struct WirePage {
    status: u16,
    fields: Vec<(String, Blob)>,
    body: Blob,
    got: u64,
    fresh_for: u64,
    initial_age: u64,
    stale_while_revalidate: u64,
    stale_if_error: u64,
    must_revalidate: bool,
    no_cache: bool,
    public: bool,
    authorized: bool,
    fresh: u64,
    ttl: u64,
    trial: u64,
}

impl Serialize for Record {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let wire = match self {
            Self::Page(page) => Wire::Page(WirePage::of(page)),
            Self::Variants(variants) => {
                let Variants { id, fields, tags, ttl, trial } = &**variants;
                let fields = fields.iter().map(|name| name.as_str().to_owned()).collect();
                Wire::Variants { id: *id, fields, tags: tags.clone(), ttl: *ttl, trial: trial.millis() }
            }
            Self::HitForPass(millis) => Wire::HitForPass(*millis),
            Self::Failed(_) | Self::Again => return Err(S::Error::custom("not to be stored")),
        };
        wire.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Record {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match Wire::deserialize(deserializer)? {
            Wire::Page(page) => Self::Page(Arc::new(page.check().map_err(D::Error::custom)?)),
            Wire::Variants { id, fields, tags, ttl, trial } => {
                let fields = fields.iter().map(|name| name.parse()).collect::<Result<_, _>>();
                let fields = fields.map_err(|_| D::Error::custom("no name of a field"))?;
                Self::Variants(Arc::new(Variants { id, fields, tags, ttl, trial: Trial::of(trial) }))
            }
            Wire::HitForPass(millis) => Self::HitForPass(millis),
        })
    }
}

impl WirePage {
    fn of(page: &Page) -> Self {
        let Page { head, body, public, authorized, fresh, ttl, trial } = page;
        let field = |(name, value): (&HeaderName, &HeaderValue)| {
            (name.as_str().to_owned(), Blob(Bytes::copy_from_slice(value.as_bytes())))
        };
        let terms = &head.terms;
        Self {
            status: head.status.as_u16(),
            fields: head.headers.iter().filter(|(name, _)| *name != AGE).map(field).collect(),
            body: Blob(body.clone()),
            got: head.got.duration_since(SystemTime::UNIX_EPOCH).map_or(0, millis),
            fresh_for: millis(terms.fresh_for),
            initial_age: millis(terms.initial_age),
            stale_while_revalidate: millis(terms.stale_while_revalidate),
            stale_if_error: millis(terms.stale_if_error),
            must_revalidate: terms.must_revalidate,
            no_cache: terms.no_cache,
            public: *public,
            authorized: *authorized,
            fresh: *fresh,
            ttl: *ttl,
            trial: trial.millis(),
        }
    }

    fn check(self) -> Result<Page, &'static str> {
        let status = StatusCode::from_u16(self.status).map_err(|_| "no status")?;
        if !matches!(self.status, 200..=599) || matches!(self.status, 206 | 304) {
            return Err("a status that is not stored");
        }
        let mut headers = HeaderMap::new();
        for (name, value) in self.fields {
            let name: HeaderName = name.parse().map_err(|_| "no name of a field")?;
            let value = HeaderValue::from_maybe_shared(value.0).map_err(|_| "no value of a field")?;
            if [CONNECTION, SET_COOKIE, TRANSFER_ENCODING, UPGRADE].contains(&name) {
                return Err("a field that is not stored");
            }
            headers.try_append(name, value).map_err(|_| "too many fields")?;
        }
        let length =
            headers.get(CONTENT_LENGTH).map(|value| value.as_bytes() == self.body.0.len().to_string().as_bytes());
        if length == Some(false) || headers.get_all(CONTENT_LENGTH).iter().count() > 1 {
            return Err("a body of another length");
        }
        let duration = Duration::from_millis;
        let got = SystemTime::UNIX_EPOCH.checked_add(duration(self.got)).ok_or("no time")?;
        let terms = Terms {
            fresh_for: duration(self.fresh_for),
            initial_age: duration(self.initial_age),
            stale_while_revalidate: duration(self.stale_while_revalidate),
            stale_if_error: duration(self.stale_if_error),
            must_revalidate: self.must_revalidate,
            no_cache: self.no_cache,
            ..Terms::default()
        };
        let mut head = Stored::from_parts(status, headers, terms, got);
        head.frame(self.body.0.len() as u64);
        let Self { body: Blob(body), public, authorized, fresh, ttl, trial, .. } = self;
        Ok(Page { head, body, public, authorized, fresh, ttl, trial: Trial::of(trial) })
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Bytes that are written as bytes, not as a list of numbers.
struct Blob(Bytes);

impl Serialize for Blob {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Blob {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bin;
        impl Visitor<'_> for Bin {
            type Value = Blob;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("bytes")
            }

            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Blob, E> {
                Ok(Blob(Bytes::copy_from_slice(bytes)))
            }

            fn visit_byte_buf<E>(self, bytes: Vec<u8>) -> Result<Blob, E> {
                Ok(Blob(bytes.into()))
            }
        }
        deserializer.deserialize_bytes(Bin)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::shared::wire::codec::{Kind, decode_value, encode_value};

    fn page(fields: &[(&'static str, &'static str)], body: &'static str) -> Page {
        let headers =
            fields.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        let terms = Terms {
            fresh_for: Duration::from_secs(60),
            initial_age: Duration::from_millis(1500),
            stale_while_revalidate: Duration::from_secs(1),
            stale_if_error: Duration::from_secs(2),
            must_revalidate: true,
            ..Terms::default()
        };
        let got = SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_123);
        let mut head = Stored::from_parts(StatusCode::NOT_FOUND, HeaderMap::from_iter(headers), terms, got);
        head.frame(body.len() as u64);
        Page {
            head,
            body: Bytes::from_static(body.as_bytes()),
            public: true,
            authorized: false,
            fresh: 7,
            ttl: 8,
            trial: Trial::of(9),
        }
    }

    fn encoded(record: &Record) -> Vec<u8> {
        let mut bytes = Vec::new();
        encode_value(record, &mut bytes).expect("it can be stored");
        bytes
    }

    fn decoded(bytes: &[u8]) -> Option<Record> {
        decode_value(Kind::Value, bytes).ok()
    }

    #[test]
    fn a_page_comes_back_as_it_was() {
        let mut page = page(&[("content-length", "4"), ("x-a", "1")], "\u{0}ab\n");
        page.head.headers.append("x-a", HeaderValue::from_bytes(b"\xff\tb").expect("a value"));
        let Some(Record::Page(again)) = decoded(&encoded(&Record::Page(Arc::new(page.clone())))) else {
            panic!("no page")
        };
        assert_eq!(again.head, page.head);
        assert_eq!((&again.body, again.public, again.authorized), (&page.body, true, false));
        assert_eq!((again.fresh, again.ttl, again.trial.millis()), (7, 8, 9));
    }

    #[test]
    fn variants_and_marks_come_back() {
        let variants =
            Variants { id: 9, fields: vec![CONTENT_LENGTH], tags: vec!["a b".into()], ttl: 5, trial: Trial::of(6) };
        let again = decoded(&encoded(&Record::Variants(Arc::new(variants.clone()))));
        assert!(matches!(again, Some(Record::Variants(again)) if *again == variants));
        assert!(matches!(decoded(&encoded(&Record::HitForPass(7))), Some(Record::HitForPass(7))));
    }

    /// Records that are only for the waiters.
    #[test]
    fn the_end_of_a_load_is_not_stored() {
        for record in [Record::Failed(None), Record::Again] {
            assert!(encode_value(&record, &mut Vec::new()).is_err());
        }
    }

    #[test]
    fn what_no_answer_has_is_a_miss() {
        for fields in [
            &[("content-length", "5")][..],
            &[("set-cookie", "a=b")],
            &[("transfer-encoding", "chunked")],
            &[("connection", "close")],
        ] {
            let mut page = page(&[], "body");
            for (name, value) in fields {
                page.head.headers.insert(*name, HeaderValue::from_static(value));
            }
            assert!(decoded(&encoded(&Record::Page(Arc::new(page)))).is_none(), "{fields:?}");
        }
        for status in [100, 199, 206, 304, 600, 999] {
            let mut page = page(&[], "body");
            page.head.status = StatusCode::from_u16(status).expect("a status");
            assert!(decoded(&encoded(&Record::Page(Arc::new(page)))).is_none(), "{status}");
        }
    }

    proptest! {
        /// A page whose bytes were changed decodes to another valid page, or fails.
        #[test]
        fn nothing_panics(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)) {
            let mut bytes = encoded(&Record::Page(Arc::new(page(&[("content-length", "4"), ("x-a", "1")], "body"))));
            for (at, byte) in changes {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            if let Some(Record::Page(page)) = decoded(&bytes) {
                for value in page.head.headers.values() {
                    prop_assert!(!value.as_bytes().iter().any(|byte| b"\r\n\0".contains(byte)));
                }
            }
        }
    }
}
