//! Values of many shapes come out of Redis as they went in.

use std::collections::BTreeMap;
use std::sync::Arc;

use hybridcache::hybrid_cached;
use serde::{Deserialize, Serialize};

use crate::fleet::{Fleet, item};
use crate::shop::{Failure, Shop};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Shape {
    Nothing,
    Number(i64),
    Pair(u8, Option<String>),
    Record { by: BTreeMap<String, Vec<f64>>, nested: Box<Shape> },
}

/// What the function with this number returns.
fn shapes() -> Vec<Shape> {
    let by = BTreeMap::from([("π".to_owned(), vec![2.5e-7, f64::MIN_POSITIVE, -0.0]), (String::new(), vec![])]);
    let record = Shape::Record { by, nested: Box::new(Shape::Pair(255, Some("\u{1f980}\0\n".into()))) };
    vec![
        Shape::Nothing,
        Shape::Number(i64::MIN),
        Shape::Number(i64::MAX),
        Shape::Pair(0, None),
        Shape::Record { by: BTreeMap::new(), nested: Box::new(record.clone()) },
        record,
    ]
}

type Fallible<T> = Result<T, Failure>;

/// Each counts a load.
impl Shop {
    async fn count(&self, id: u64) {
        self.database.load(id).await.unwrap();
    }

    #[hybrid_cached(name = "maybe", ttl = 2h, key = "{id}", skip(self), cache = self.cache)]
    async fn maybe(&self, id: u64) -> Option<u64> {
        self.count(id).await;
        [None, Some(0), Some(u64::MAX)][id as usize]
    }

    #[hybrid_cached(name = "nested", ttl = 2h, key = "{id}", skip(self), cache = self.cache)]
    async fn nested(&self, id: u64) -> Option<Option<u64>> {
        self.count(id).await;
        [None, Some(None), Some(Some(7))][id as usize]
    }

    #[hybrid_cached(name = "flag", ttl = 2h, key = "{id}", skip(self), cache = self.cache)]
    async fn flag(&self, id: u64) -> Option<()> {
        self.count(id).await;
        [None, Some(())][id as usize]
    }

    #[hybrid_cached(name = "fallible", ttl = 2h, key = "{id}", skip(self), cache = self.cache)]
    async fn fallible(&self, id: u64) -> Fallible<Option<Option<u64>>> {
        self.count(id).await;
        Ok([None, Some(None), Some(Some(7))][id as usize])
    }

    #[hybrid_cached(name = "unit", ttl = 2h, key = "{id}", skip(self), cache = self.cache)]
    async fn unit(&self, id: u64) {
        self.count(id).await;
    }

    #[hybrid_cached(name = "shape", ttl = 2h, key = "{id}", skip(self), cache = self.cache)]
    async fn shape(&self, id: u64) -> Arc<Shape> {
        self.count(id).await;
        Arc::new(shapes()[id as usize].clone())
    }

    #[hybrid_cached(name = "slice", ttl = 2h, key = "{id}", skip(self), cache = self.cache)]
    async fn slice(&self, id: u64) -> Arc<[u8]> {
        self.count(id).await;
        (0..id as usize).map(|place| (place % 251) as u8).collect()
    }
}

/// Calls a function through a process that loads and through one that reads, and its handle through a third: all must
/// give what is expected, with one load.
macro_rules! crosses {
    ($fleet:expr, $function:ident, $entry:ident, $id:expr, $expected:expr) => {{
        let (id, expected) = ($id as u64, $expected);
        let (first, second, third) = ($fleet.shop().await, $fleet.shop().await, $fleet.shop().await);
        let before = $fleet.database.loads(id).await;
        assert_eq!(first.$function(id).await, expected);
        assert_eq!(second.$function(id).await, expected);
        assert_eq!(third.$entry(id).get().await, Some(expected));
        assert_eq!($fleet.database.loads(id).await, before + 1);
        assert_eq!(second.cache.stats().hits_redis, 1);
    }};
}

/// Killed by: leaving an outer `Option` to the codec.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn options() {
    let fleet = Fleet::start();
    for (id, expected) in [None, Some(0), Some(u64::MAX)].into_iter().enumerate() {
        crosses!(fleet, maybe, maybe_entry, id, expected);
    }
    for (id, expected) in [None, Some(None), Some(Some(7))].into_iter().enumerate() {
        crosses!(fleet, nested, nested_entry, id, expected);
    }
    for (id, expected) in [None, Some(())].into_iter().enumerate() {
        crosses!(fleet, flag, flag_entry, id, expected);
    }
    crosses!(fleet, unit, unit_entry, 0, ());
}

/// Options as the value of a `Result`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn options_in_results() {
    let fleet = Fleet::start();
    for (id, expected) in (0..).zip([None, Some(None), Some(Some(7))]) {
        let (first, second) = (fleet.shop().await, fleet.shop().await);
        assert_eq!(first.fallible(id).await.unwrap(), expected);
        assert_eq!(second.fallible(id).await.unwrap(), expected);
        assert_eq!(fleet.shop().await.fallible_entry(id).get().await, Some(expected));
        assert_eq!(fleet.database.loads(id).await, 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shapes_behind_an_arc() {
    let fleet = Fleet::start();
    for (id, shape) in shapes().into_iter().enumerate() {
        crosses!(fleet, shape, shape_entry, id, Arc::new(shape.clone()));
    }
    crosses!(fleet, shared, shared_entry, 9, Arc::new(item(9, 1, 0)));
    let shop = fleet.shop().await;
    assert!(Arc::ptr_eq(&shop.shape(5).await, &shop.shape(5).await), "a hit copies nothing");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_values() {
    let fleet = Fleet::start();
    for length in [0, 1, 65_535, 65_536, 1 << 20, 5 << 20] {
        fleet.database.set_version(length, length).await;
        let expected = "x".repeat(length as usize);
        crosses!(fleet, text, text_entry, length, expected.clone());
    }
    for length in [0, 255, 100_000] {
        let expected: Arc<[u8]> = (0..length).map(|place: usize| (place % 251) as u8).collect();
        crosses!(fleet, slice, slice_entry, length, expected.clone());
    }
    fleet.leaves_no_trace().await;
}

/// What was put reads like what was loaded.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_put() {
    let fleet = Fleet::start();
    let (first, second) = (fleet.shop().await, fleet.shop().await);
    first.nested_entry(2).put(Some(None)).await.unwrap();
    assert_eq!(second.nested(2).await, Some(None));
    first.maybe_entry(1).put(None).await.unwrap();
    assert_eq!(second.maybe(1).await, None);
    first.fallible_entry(2).put(None).await.unwrap();
    assert_eq!(second.fallible(2).await.unwrap(), None);
    first.shape_entry(0).put(Arc::new(Shape::Number(7))).await.unwrap();
    assert_eq!(*second.shape(0).await, Shape::Number(7));
    assert_eq!(second.cache.stats().loads, 0);
}
