//! Every kind of `self`.
#![deny(warnings)]
#![allow(clippy::needless_arbitrary_self_type, reason = "each form of a receiver")]

use std::fmt;
use std::sync::Arc;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use hybridcache::{CacheKey, hybrid_cached};

static LOADS: AtomicU32 = AtomicU32::new(0);

#[derive(Clone, CacheKey)]
struct Shop {
    tenant: String,
}

impl fmt::Display for Shop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "shop of {}", self.tenant)
    }
}

impl Shop {
    fn new(tenant: &str) -> Self {
        Self { tenant: tenant.to_owned() }
    }

    #[hybrid_cached(ttl = 1h, key = "{self.tenant}:{id}")]
    async fn by_reference(&self, id: u64) -> String {
        LOADS.fetch_add(1, Relaxed);
        // In a macro, in a nested closure, captured by a format string; not the `self` of another item.
        struct Inner(u8);
        impl Inner {
            fn get(&self) -> u8 {
                self.0
            }
        }
        let tenant = || self.tenant.clone();
        format!("{self} {{self}} {} {} {} {id}", self.tenant, tenant(), Inner(1).get())
    }

    #[hybrid_cached(ttl = 1h)]
    async fn in_the_default_key(&self, id: u64) -> String {
        LOADS.fetch_add(1, Relaxed);
        Self::join(self, id)
    }

    /// In macros that show what was written: `dbg!` and fields of `tracing`.
    #[hybrid_cached(ttl = 1h, key = (self.tenant, id))]
    async fn shown(&self, id: u64) -> String {
        LOADS.fetch_add(1, Relaxed);
        tracing::info!(self.tenant, id, "{}", self.tenant);
        tracing::info!(%self.tenant, shop = %self);
        tracing::debug_span!("shown", ?self.tenant).in_scope(|| tracing::info!("{self} of {}", self.tenant));
        let (tenant, id) = dbg!(&self.tenant, id + self.tenant.len() as u64);
        dbg!(self.tenant.len());
        assert!(!self.tenant.is_empty());
        format!("{tenant}{id}")
    }

    #[hybrid_cached(ttl = 1h, skip(self))]
    async fn skipped(&self, id: u64) -> u64 {
        LOADS.fetch_add(1, Relaxed);
        id
    }

    #[hybrid_cached(ttl = 1h, key = (self.tenant, id))]
    async fn shared(self: Arc<Self>, id: u64) -> String {
        LOADS.fetch_add(1, Relaxed);
        self.join(id)
    }

    #[hybrid_cached(ttl = 1h, key = "{self.tenant}")]
    async fn shared_by_reference(self: &Arc<Self>) -> usize {
        LOADS.fetch_add(1, Relaxed);
        let shared: &Arc<Self> = self;
        shared.tenant.len()
    }

    #[hybrid_cached(ttl = 1h, key = "{self.tenant}")]
    async fn by_value(mut self) -> String {
        LOADS.fetch_add(1, Relaxed);
        self.tenant.push('!');
        self.tenant
    }

    #[hybrid_cached(ttl = 1h, key = self)]
    async fn boxed(self: Box<Self>, id: u64) -> String {
        LOADS.fetch_add(1, Relaxed);
        self.join(id)
    }

    #[hybrid_cached(ttl = 1h)]
    async fn associated(tenant: &str) -> String {
        LOADS.fetch_add(1, Relaxed);
        Self::new(tenant).tenant
    }

    #[hybrid_cached(ttl = Self::TTL, fresh_for = Duration::from_secs(Self::FRESH_SECONDS), key = (self, other))]
    async fn beside_another(self: &Self, other: &Self) -> Option<String>
    where
        Self: Sized,
    {
        LOADS.fetch_add(1, Relaxed);
        Some(format!("{self} and {other}"))
    }

    #[hybrid_cached(ttl = 1h, tier = memory)]
    async fn forever(&'static self) -> &'static str {
        LOADS.fetch_add(1, Relaxed);
        &self.tenant
    }

    const TTL: Duration = Duration::from_secs(60);
    const FRESH_SECONDS: u64 = 60;

    fn join(&self, id: u64) -> String {
        format!("{}/{id}", self.tenant)
    }
}

/// Calls twice, expects one load, and gives the value.
macro_rules! once {
    ($call:expr) => {{
        LOADS.store(0, Relaxed);
        let first = $call.await;
        assert_eq!(first, $call.await);
        assert_eq!(LOADS.load(Relaxed), 1, stringify!($call));
        first
    }};
}

#[tokio::test]
async fn runs() {
    let (a, b) = (Shop::new("a"), Shop::new("b"));
    assert_eq!(once!(a.by_reference(7)), "shop of a {self} a a 1 7");
    assert_eq!(once!(b.by_reference(7)), "shop of b {self} b b 1 7");
    assert_eq!(a.by_reference_entry(7).key(), "a:7");

    assert_eq!(once!(a.in_the_default_key(7)), "a/7");
    assert_eq!(once!(b.in_the_default_key(7)), "b/7");
    assert_eq!(a.in_the_default_key_entry(7).get().await.as_deref(), Some("a/7"));

    assert_eq!(once!(a.shown(7)), "a8");

    assert_eq!(once!(a.skipped(7)), 7);
    assert_eq!(b.skipped(7).await, 7);
    assert_eq!(LOADS.load(Relaxed), 1, "one entry for all of them");
    assert_eq!(Shop::skipped_entry(7).get().await, Some(7));

    let shared = Arc::new(a.clone());
    assert_eq!(once!(shared.clone().shared(7)), "a/7");
    assert_eq!(shared.clone().shared_entry(7).key(), "(a,7)");
    assert_eq!(once!(shared.shared_by_reference()), 1);
    assert_eq!(shared.shared_by_reference_entry().get().await, Some(1));
    assert_eq!(once!(a.clone().by_value()), "a!");
    assert_eq!(once!(Box::new(a.clone()).boxed(7)), "a/7");
    assert_eq!(Box::new(a.clone()).boxed_entry().key(), "(a)");
    assert_eq!(once!(a.beside_another(&b)).as_deref(), Some("shop of a and shop of b"));
    static FOREVER: LazyLock<Shop> = LazyLock::new(|| Shop::new("f"));
    assert_eq!(once!(FOREVER.forever()), "f");
    assert_eq!(once!(Shop::associated("c")), "c");
    assert_eq!(Shop::associated_entry("c").get().await.as_deref(), Some("c"));
}
