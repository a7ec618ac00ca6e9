//! Functions that evict, in each form: what they return and borrow is as without the attribute.
#![deny(warnings, missing_docs, unreachable_pub, unused_qualifications)]
#![allow(dead_code, reason = "of some functions only the handles are called")]

use std::error::Error;
use std::fmt::Display;
use std::rc::Rc;
use std::sync::{Arc, LazyLock};

use async_trait::async_trait;
use hybridcache::{CacheKey, HybridCache, NoCache, hybrid_cached, hybrid_evict};
use tracing::instrument;

/// Somebody else's crate that passes the attribute on.
mod reexported {
    pub(crate) use hybridcache::*;
}

mod users {
    use hybridcache::hybrid_cached;

    #[hybrid_cached(ttl = 1h, key = "user:{id}", tags = ["org:{org}"])]
    pub(crate) async fn user(id: u64, org: &str) -> String {
        format!("{id} {org}")
    }
}

static CACHE: LazyLock<HybridCache> = LazyLock::new(|| {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    std::thread::spawn(move || runtime.block_on(HybridCache::builder().build()).expect("a cache")).join().expect("one")
});

#[hybrid_cached(ttl = 1h)]
async fn by_name(name: String) -> Option<u64> {
    Some(name.len() as u64)
}

#[hybrid_cached(ttl = 1h)]
async fn typed<T: CacheKey + Send + Sync + 'static>(id: T) -> u64 {
    drop(id);
    1
}

struct Order {
    user_id: u64,
    name: String,
    lines: Vec<String>,
}

/// The body consumes what the targets are made of.
#[hybrid_evict(users::user(order.user_id, org), by_name(order.name.clone()), tags = ["org:{org}", "{order.name}"])]
async fn consuming(order: Order, org: &str) -> Result<usize, std::fmt::Error> {
    let Order { name, lines, .. } = order;
    if name.is_empty() {
        return Err(std::fmt::Error);
    }
    Ok(lines.len() + org.len())
}

#[hybrid_evict(typed::<u8>(1), typed_entry((a, b)), when = always)]
async fn patterns(mut count: u64, (a, b): (u8, u8), _: &str, #[cfg(any())] missing: Missing) -> anyhow::Result<u64> {
    count += u64::from(a + b);
    Ok(count + "7".parse::<u64>()?)
}

#[hybrid_evict(tags = ["tag:{text}"], cache = CACHE)]
async fn borrowing<'a>(text: &'a mut String, rest: &str) -> &'a str {
    text.push_str(rest);
    text
}

#[hybrid_evict(tags = ["tag"], cache = *CACHE, crate = reexported)]
async fn elided(text: &str) -> Option<&str> {
    text.strip_prefix('x')
}

#[hybrid_evict(typed(id))]
async fn opaque(id: u8) -> Result<impl Display, Box<dyn Error>> {
    if id > 200 { Err("too large")? } else { Ok(id) }
}

#[hybrid_evict(typed(value.clone()))]
async fn generic<T: CacheKey + Clone + Send + Sync + 'static>(value: T, text: impl Display) -> (T, String) {
    (value, text.to_string())
}

/// Coerced to the declared type.
#[hybrid_evict(tags = ["tag"])]
async fn coerced(id: u64) -> Box<dyn Fn() -> u64 + Send> {
    Box::new(move || id)
}

#[hybrid_evict(tags = ["tag"])]
async fn diverging(id: u64) -> u64 {
    panic!("{id}")
}

/// No more `Send` than it was.
#[hybrid_evict(tags = ["tag"])]
async fn local(id: Rc<u64>) -> Rc<u64> {
    tokio::task::yield_now().await;
    id
}

/// And no less: of what it returns only the value is held.
#[hybrid_evict(tags = ["tag"])]
async fn error_not_send() -> Result<u64, Box<dyn Error>> {
    Ok(1)
}

#[hybrid_evict(tags = ["tag"])]
async fn boxed_error(text: &str) -> Result<u64, Box<dyn Error + Send + Sync>> {
    tokio::task::yield_now().await;
    Ok(text.parse()?)
}

#[hybrid_evict(tags = ["tag"])]
#[instrument(skip_all)]
async fn instrumented_below(_id: u64) -> Result<(), String> {
    Err("instrumented".to_owned())
}

#[instrument(err)]
#[hybrid_evict(tags = ["tag"])]
async fn instrumented_above(id: u64) -> Result<(), String> {
    let _ = id;
    Ok(())
}

/// A load that writes.
#[hybrid_evict(by_name(id.to_string()))]
#[hybrid_cached(ttl = 1h)]
async fn get_or_create(id: &u64) -> Result<u64, std::fmt::Error> {
    if *id == 0 {
        return Err(NoCache(*id));
    }
    if *id == 1 { Err(NoCache(1)) } else { Ok(*id) }
}

/// Twice, and with an attribute of its own.
#[hybrid_evict(typed(__eviction))]
#[hybrid_evict(tags = ["{__key}:{__cache}"])]
#[must_use]
#[inline]
async fn colliding(__eviction: u8, __cache: u8, __key: u8, __returned: u8) -> u8 {
    #![allow(unused_variables)]
    let unused = 1;
    __eviction + __cache + __key + __returned
}

#[derive(Clone)]
struct Service {
    tenant: u64,
    cache: HybridCache,
}

impl Service {
    #[hybrid_cached(ttl = 1h, key = "{self.tenant}:{id}", cache = self.cache)]
    async fn user(&self, id: u64) -> u64 {
        id
    }

    #[hybrid_cached(ttl = 1h, name = "all")]
    async fn all() -> u64 {
        1
    }

    #[hybrid_evict(self.user(id), Self::all(), Service::all(), <Self>::all(), tags = ["t:{self.tenant}"], cache = self.cache)]
    async fn rename(&self, id: u64) -> &u64 {
        let _ = id;
        &self.tenant
    }

    #[hybrid_evict(self.user(id))]
    async fn by_value(self, id: u64) -> (Self, u64) {
        (self, id)
    }

    #[hybrid_evict(self.user(id))]
    async fn by_arc(self: Arc<Self>, id: u64) -> u64 {
        drop(self);
        id
    }

    #[hybrid_evict(self.user(1))]
    async fn mutably(&mut self) -> &mut u64 {
        self.tenant += 1;
        &mut self.tenant
    }

    #[hybrid_evict(Self::all())]
    async fn associated() -> Result<Self, String> {
        Err("none".to_owned())
    }
}

#[async_trait]
trait Boxed: Send + Sync {
    async fn save(&self, pair: (u64, u64), name: &str) -> anyhow::Result<u64>;
    async fn by_box(self: Box<Self>, id: u64) -> u64;
    async fn by_value(mut self, id: u64) -> u64
    where
        Self: Sized;

    #[hybrid_evict(tags = ["{id}"])]
    async fn provided(&self, id: u64) -> u64 {
        id
    }
}

#[async_trait]
impl Boxed for Service {
    #[hybrid_evict(self.user(a), tags = ["{self.tenant}:{b}:{name}"])]
    async fn save(&self, (a, b): (u64, u64), name: &str) -> anyhow::Result<u64> {
        Ok(self.tenant + a + b + name.parse::<u64>()?)
    }

    #[hybrid_evict(self.user(id))]
    async fn by_box(self: Box<Self>, mut id: u64) -> u64 {
        id += 1;
        self.tenant + id
    }

    #[hybrid_evict(self.user(id))]
    #[instrument(skip(self))]
    async fn by_value(mut self, id: u64) -> u64 {
        self.tenant += id;
        self.tenant
    }
}

trait Native {
    fn save(&self, id: u64) -> impl Future<Output = u64> + Send;

    #[hybrid_evict(tags = ["{id}"])]
    async fn provided(&self, id: u64) -> u64 {
        id
    }
}

impl Native for Service {
    #[hybrid_evict(self.user(id))]
    async fn save(&self, id: u64) -> u64 {
        self.tenant + id
    }
}

/// Made by a macro of the user.
macro_rules! writer {
    ($name:ident, $argument:ident, $target:expr, $tag:literal) => {
        #[hybrid_evict($target, tags = [$tag])]
        async fn $name($argument: u8) -> u8 {
            $argument
        }
    };
}

writer!(from_a_macro, id, typed(1_u8), "tag:{id}");

fn is_send<T: Send>(value: T) -> T {
    value
}

#[tokio::test]
async fn runs() {
    let order = || Order { user_id: 7, name: "Ada".to_owned(), lines: vec![String::new()] };
    assert_eq!(is_send(consuming(order(), "acme")).await, Ok(5));
    assert_eq!(consuming(Order { name: String::new(), ..order() }, "acme").await, Err(std::fmt::Error));
    assert_eq!(is_send(patterns(1, (2, 3), "")).await.ok(), Some(13));
    let mut text = "x".to_owned();
    assert_eq!(is_send(borrowing(&mut text, "y")).await, "xy");
    assert_eq!(is_send(elided(&text)).await, Some("y"));
    assert_eq!(opaque(7).await.map(|id| id.to_string()).ok().as_deref(), Some("7"));
    assert_eq!(is_send(generic(7_u8, 8)).await, (7, "8".to_owned()));
    assert_eq!((is_send(coerced(7)).await)(), 7);
    assert!(tokio::spawn(diverging(7)).await.is_err());
    assert_eq!(*local(Rc::new(7)).await, 7);
    assert!(is_send(error_not_send()).await.is_ok());
    assert_eq!(tokio::spawn(boxed_error("7")).await.ok().and_then(Result::ok), Some(7));
    assert!(is_send(instrumented_below(7)).await.is_err());
    assert!(is_send(instrumented_above(7)).await.is_ok());
    assert_eq!((get_or_create(&0).await, get_or_create(&1).await, get_or_create(&2).await), (Ok(0), Ok(1), Ok(2)));
    assert_eq!((get_or_create_entry(&1).get().await, get_or_create_entry(&2).get().await), (None, Some(2)));
    assert_eq!(colliding(1, 2, 3, 4).await, 10);

    let mut service = Service { tenant: 4, cache: CACHE.clone() };
    assert_eq!(*is_send(service.rename(7)).await, 4);
    assert_eq!(service.clone().by_value(7).await.1, 7);
    assert_eq!(Arc::new(service.clone()).by_arc(7).await, 7);
    *service.mutably().await += 1;
    assert!(Service::associated().await.is_err());
    assert_eq!(Boxed::save(&service, (1, 2), "3").await.ok(), Some(12));
    assert_eq!(Box::new(service.clone()).by_box(7).await, 14);
    assert_eq!(Boxed::by_value(service.clone(), 7).await, 13);
    assert_eq!(is_send(Native::save(&service, 7)).await, 13);
    assert_eq!((Boxed::provided(&service, 7).await, Native::provided(&service, 7).await), (7, 7));
    assert_eq!(from_a_macro(7).await, 7);
}
