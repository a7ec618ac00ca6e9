//! Methods of traits, native and under `#[async_trait]`. There is no place for an entry handle.
#![deny(warnings)]

use std::pin::Pin;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use async_trait::async_trait;
use hybridcache::{CacheKey, LoadError, NoCache, hybrid_cached};

static LOADS: AtomicU32 = AtomicU32::new(0);

#[derive(Clone)]
struct Sql {
    prefix: String,
}

trait Names {
    async fn name(&self, id: u64) -> Result<String, LoadError>;
}

impl Names for Sql {
    #[hybrid_cached(ttl = 1h, key = "{self.prefix}:{id}", entry = false, timeout = 20s)]
    async fn name(&self, id: u64) -> Result<String, LoadError> {
        LOADS.fetch_add(1, Relaxed);
        Ok(format!("{}{id}", self.prefix))
    }
}

/// A method that the trait provides can have a handle, which it provides too.
trait Counted: CacheKey + Clone + Send + Sync + 'static {
    #[hybrid_cached(ttl = 1h)]
    fn count(&self, step: u32) -> Pin<Box<dyn Future<Output = u32> + Send + '_>> {
        Box::pin(async move { LOADS.fetch_add(step, Relaxed) })
    }
}

impl Counted for u8 {}

#[async_trait]
trait Titles: Send + Sync {
    async fn title(&self, id: u64, lang: &str, (x, y): (u8, u8), mut count: u32) -> Result<String, LoadError>;
    async fn length<T: AsRef<str> + Send + 'static>(&self, text: T) -> usize;
    async fn all() -> Option<u32>
    where
        Self: Sized;
}

#[async_trait]
impl Titles for Sql {
    #[hybrid_cached(ttl = 1h, key = "{self.prefix}:{id}:{lang}:{x}", entry = false)]
    async fn title(&self, id: u64, lang: &str, (x, y): (u8, u8), mut count: u32) -> Result<String, LoadError> {
        LOADS.fetch_add(1, Relaxed);
        count += 1;
        let title = format!("{}{id}{lang}{x}{y}{count}", self.prefix);
        if id == 0 {
            return Err(NoCache(title));
        }
        match x {
            9 => Err(NoCache(title)),
            _ => Ok(title),
        }
    }

    #[tracing::instrument(skip_all)]
    #[hybrid_cached(ttl = 1h, key = (text.as_ref(), self.prefix), entry = false)]
    async fn length<T: AsRef<str> + Send + 'static>(&self, text: T) -> usize {
        LOADS.fetch_add(1, Relaxed);
        text.as_ref().len() + self.prefix.len()
    }

    #[hybrid_cached(ttl = 1h, entry = false)]
    async fn all() -> Option<u32> {
        Some(LOADS.fetch_add(1, Relaxed))
    }
}

/// How many loads a call takes when it is made twice.
macro_rules! loads {
    ($call:expr) => {{
        LOADS.store(0, Relaxed);
        assert_eq!($call.await.ok(), $call.await.ok());
        LOADS.load(Relaxed)
    }};
}

#[tokio::test]
async fn runs() {
    let sql = Sql { prefix: "p".to_owned() };
    assert_eq!(sql.name(7).await.as_deref().ok(), Some("p7"));
    assert_eq!(loads!(sql.name(7)), 0);

    LOADS.store(5, Relaxed);
    assert_eq!((7_u8.count(1).await, 7_u8.count(1).await, 8_u8.count(1).await), (5, 5, 6));
    assert_eq!(7_u8.count_entry(1).get().await, Some(5));

    let titles = &sql;
    assert_eq!(titles.title(7, "en", (1, 2), 3).await.as_deref().ok(), Some("p7en124"));
    assert_eq!(loads!(titles.title(7, "en", (1, 2), 3)), 0);
    assert_eq!(loads!(titles.title(8, "en", (1, 2), 3)), 1);
    assert_eq!(loads!(titles.title(0, "en", (1, 2), 3)), 2, "not stored: an early return");
    assert_eq!(loads!(titles.title(7, "en", (9, 2), 3)), 2, "not stored: an arm");

    LOADS.store(0, Relaxed);
    assert_eq!((titles.length("four").await, titles.length("four").await), (5, 5));
    assert_eq!(titles.length("four".to_owned()).await, 5);
    assert_eq!(LOADS.load(Relaxed), 2, "one for each type");
    assert_eq!((Sql::all().await, Sql::all().await), (Some(2), Some(2)));
}
