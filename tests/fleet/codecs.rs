//! Values in other formats than MessagePack.

use std::collections::HashMap;

use bytes::Bytes;
use hybridcache::{Codec, CodecError, Json, MessagePack, Raw, hybrid_cached};
use prost::Message;
use serde::{Deserialize, Serialize};

use crate::database::Item;
use crate::envelope::{CODEC, HEADER, KIND, STAMPS};
use crate::fleet::{Fleet, item};
use crate::shop::{Failure, Shop};

/// Protobuf, without serde.
struct Protobuf;

impl<T: Message + Default> Codec<T> for Protobuf {
    const ID: u8 = 64;

    fn encode(value: &T, bytes: &mut Vec<u8>) -> Result<(), CodecError> {
        value.encode(bytes).map_err(CodecError::new)
    }

    fn decode(bytes: &[u8]) -> Result<T, CodecError> {
        T::decode(bytes).map_err(CodecError::new)
    }
}

#[derive(Clone, PartialEq, Message)]
struct Account {
    #[prost(uint64, tag = "1")]
    id: u64,
    #[prost(string, tag = "2")]
    name: String,
    /// A map's order differs from copy to copy.
    #[prost(map = "string, uint64", tag = "3")]
    limits: HashMap<String, u64>,
}

fn account(id: u64) -> Account {
    let limits = (0..20).map(|nth| (format!("limit {nth}"), nth)).collect();
    Account { id, name: "Ada".into(), limits }
}

/// Forgets what the value says, and always writes the same.
struct Forgetful;

impl Codec<u64> for Forgetful {
    const ID: u8 = 127;

    fn encode(value: &u64, bytes: &mut Vec<u8>) -> Result<(), CodecError> {
        bytes.extend_from_slice(&value.to_le_bytes());
        Ok(())
    }

    fn decode(_: &[u8]) -> Result<u64, CodecError> {
        Ok(0)
    }
}

/// Fails.
struct Broken;

impl Codec<u64> for Broken {
    const ID: u8 = 66;

    fn encode(_: &u64, _: &mut Vec<u8>) -> Result<(), CodecError> {
        Err(CodecError::new("no"))
    }

    fn decode(_: &[u8]) -> Result<u64, CodecError> {
        Err(CodecError::new("no"))
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Reading {
    value: Option<f64>,
}

impl Shop {
    #[hybrid_cached(name = "json", ttl = 2h, key = "{id}", skip(self), cache = self.cache, codec = Json)]
    async fn json(&self, id: u64) -> Result<Item, Failure> {
        self.load(id).await
    }

    /// The same entries.
    #[hybrid_cached(name = "json", ttl = 2h, key = "{id}", skip(self), cache = self.cache, codec = MessagePack)]
    async fn packed(&self, id: u64) -> Result<Item, Failure> {
        self.load(id).await
    }

    #[hybrid_cached(name = "raw", ttl = 2h, key = "{id}", skip(self), cache = self.cache, codec = Raw)]
    async fn raw(&self, id: u64) -> Vec<u8> {
        vec![200; self.database.load(id).await.unwrap().version as usize]
    }

    #[hybrid_cached(name = "bytes", ttl = 2h, key = "{id}", skip(self), cache = self.cache, codec = Raw)]
    async fn bytes(&self, id: u64) -> Result<Option<Bytes>, Failure> {
        let version = self.load(id).await?.version;
        Ok((version > 0).then(|| Bytes::from(vec![7; version as usize])))
    }

    #[hybrid_cached(name = "account", ttl = 2h, key = "{id}", skip(self), cache = self.cache, codec = Protobuf)]
    async fn account(&self, id: u64) -> Option<Account> {
        self.database.load(id).await.unwrap();
        (id != 404).then(|| account(id))
    }

    #[hybrid_cached(name = "forgotten", ttl = 2h, key = "{id}", skip(self), cache = self.cache, codec = Forgetful)]
    async fn forgotten(&self, id: u64) -> u64 {
        self.database.load(id).await.unwrap().load
    }

    #[hybrid_cached(name = "broken", ttl = 2h, key = "{id}", skip(self), cache = self.cache, codec = Broken)]
    async fn broken(&self, id: u64) -> u64 {
        self.database.load(id).await.unwrap().load
    }

    /// Not a number where the version is 0.
    #[hybrid_cached(name = "reading", ttl = 2h, key = "{id}", skip(self), cache = self.cache, codec = Json)]
    async fn reading(&self, id: u64) -> Reading {
        let version = self.database.load(id).await.unwrap().version;
        Reading { value: Some(0.1 / version as f64 * version as f64) }
    }
}

fn payload(entry: &[u8]) -> &[u8] {
    &entry[HEADER + 16 * usize::from(entry[STAMPS])..]
}

/// Killed by: a codec that is not asked, or for another type than the value's; an `Option` that is part of the payload.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn values_are_stored_in_the_format_of_their_codec() {
    let fleet = Fleet::start();
    fleet.database.set_version(2, 3).await;
    for shop in [fleet.shop().await, fleet.shop().await] {
        assert_eq!(shop.json(1).await.unwrap(), item(1, 1, 0));
        assert_eq!(shop.json_entry(1).get().await, Some(item(1, 1, 0)));
        assert_eq!(shop.raw(2).await, [200; 3]);
        assert_eq!(shop.bytes(2).await.unwrap(), Some(Bytes::from(vec![7; 3])));
        assert_eq!(shop.bytes(3).await.unwrap(), None);
        assert_eq!(shop.account(1).await, Some(account(1)));
        assert_eq!(shop.account(404).await, None);
        assert_eq!((shop.cache.stats().undecodable, shop.cache.stats().unsendable), (0, 0));
    }
    let json = fleet.entry("json", 1);
    assert_eq!((json[CODEC], payload(&json)), (2, &br#"{"id":1,"load":1,"version":0}"#[..]));
    let raw = fleet.entry("raw", 2);
    assert_eq!((raw[CODEC], payload(&raw)), (4, &[200; 3][..]));
    let bytes = [fleet.entry("bytes", 2), fleet.entry("bytes", 3)];
    assert_eq!((bytes[0][KIND], payload(&bytes[0])), (1, &[7; 3][..]));
    assert_eq!((bytes[1][CODEC], bytes[1][KIND], payload(&bytes[1])), (4, 2, &b""[..]));
    let stored = fleet.entry("account", 1);
    assert_eq!((stored[CODEC], <Account as Message>::decode(payload(&stored)).unwrap()), (64, account(1)));
    // 1: loaded as an item and as an account.
    assert_eq!((fleet.database.loads(1).await, fleet.database.loads(2).await), (2, 2));
}

/// Two releases of one function. Killed by: a codec that is not compared; a `None` of another codec that is taken.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_entry_of_another_codec_is_a_miss() {
    let fleet = Fleet::start();
    let (older, newer) = (fleet.shop().await, fleet.shop().await);
    assert_eq!(older.packed(1).await.unwrap(), item(1, 1, 0));
    assert_eq!(newer.json_entry(1).get().await, None);
    assert_eq!(newer.json(1).await.unwrap(), item(1, 2, 0));
    assert_eq!(fleet.shop().await.packed_entry(1).get().await, None);
    // Each keeps its own in memory.
    for _ in 0..3 {
        older.packed(1).await.unwrap();
        newer.json(1).await.unwrap();
    }
    assert_eq!(fleet.database.loads(1).await, 2);
    assert_eq!(newer.cache.stats().undecodable, 2);
}

/// Killed by: a codec of a user's own whose first value is not compared; comparing the first value of JSON alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_would_come_back_as_another_value_is_not_stored() {
    let fleet = Fleet::start();
    let shop = fleet.shop().await;
    for _ in 0..2 {
        assert_eq!(shop.forgotten(1).await, 1);
        assert_eq!(shop.broken(2).await, 1);
    }
    assert!(!fleet.has_entry("forgotten", 1) && !fleet.has_entry("broken", 2));
    assert_eq!(shop.cache.stats().unsendable, 2);

    fleet.database.set_version(3, 3).await;
    let good = shop.reading(3).await;
    assert!(fleet.has_entry("reading", 3));
    assert_eq!(fleet.shop().await.reading(3).await, good);
    // 0.1 / 0 * 0 is no number, for which JSON has no form but `null`.
    assert!(shop.reading(4).await.value.is_some_and(f64::is_nan));
    assert!(!fleet.has_entry("reading", 4));
    assert_eq!(shop.cache.function_stats("reading").unsendable, 1);
}
