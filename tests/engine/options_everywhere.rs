//! The options of lifetimes on every kind of function: each of them does here what it does on a free function.

use hybridcache::{LoadError, hybrid_cached, this_load};

use crate::world::{World, at_once, millis, pass, secs, settle};

#[derive(Clone)]
struct Shop {
    world: World,
    lead: std::time::Duration,
}

impl Shop {
    async fn load(&self, id: u64) -> Result<Option<u64>, LoadError> {
        let number = self.world.load(id).await;
        if self.world.is_failing() {
            return Err(LoadError::TimedOut);
        }
        let previous: Option<Option<u64>> = this_load().previous();
        self.world.log(format!("{previous:?}"));
        Ok((id != 0).then_some(number))
    }

    #[hybrid_cached(
        ttl = 200s, fresh_for = 50%, refresh_ahead = self.lead, none_ttl = 30s, err_ttl = 5s, key = "{id}", skip(self),
        cache = self.world.cache
    )]
    async fn method(&self, id: u64) -> Result<Option<u64>, LoadError> {
        self.load(id).await
    }
}

trait Prices {
    fn price(&self, id: u64) -> impl Future<Output = Result<Option<u64>, LoadError>> + Send;
}

impl Prices for Shop {
    #[hybrid_cached(
        ttl = 200s, fresh_for = 50%, refresh_ahead = 20s, none_ttl = 30s, err_ttl = 5s, key = "{id}", skip(self),
        cache = self.world.cache, entry = false
    )]
    async fn price(&self, id: u64) -> Result<Option<u64>, LoadError> {
        self.load(id).await
    }
}

#[async_trait::async_trait]
trait Names {
    async fn name(&self, id: u64) -> Result<Option<u64>, LoadError>;
}

#[async_trait::async_trait]
impl Names for Shop {
    #[hybrid_cached(
        ttl = 200s, fresh_for = 50%, refresh_ahead = 20%, none_ttl = 30s, err_ttl = 5s, key = "{id}", skip(self),
        cache = self.world.cache, entry = false
    )]
    async fn name(&self, id: u64) -> Result<Option<u64>, LoadError> {
        self.load(id).await
    }
}

#[hybrid_cached(
    ttl = 200s, fresh_for = 50%, refresh_ahead = shop.lead, none_ttl = 30s, err_ttl = 5s, key = "{id}",
    cache = shop.world.cache
)]
async fn generic<T>(shop: &Shop, id: T) -> Result<Option<u64>, LoadError>
where
    T: Into<u64> + Copy + std::fmt::Display + Send + 'static,
{
    shop.load(id.into()).await
}

type Call = fn(&Shop, u64) -> std::pin::Pin<Box<dyn Future<Output = Result<Option<u64>, LoadError>> + Send + '_>>;

async fn behaves(call: Call) {
    let shop = Shop { world: World::new().await, lead: secs(20) };
    let world = &shop.world;
    world.fail(true);
    assert!(call(&shop, 7).await.is_err() && call(&shop, 7).await.is_err());
    assert_eq!(world.loads(), 1, "`err_ttl`");
    pass(secs(5)).await;
    world.fail(false);
    assert_eq!((call(&shop, 7).await.unwrap(), call(&shop, 0).await.unwrap()), (Some(2), None));
    pass(secs(30)).await;
    assert_eq!(call(&shop, 0).await.unwrap(), None);
    assert_eq!(world.loads(), 4, "`none_ttl`");
    pass(secs(50) - millis(1)).await;
    assert_eq!(at_once(call(&shop, 7)).unwrap(), Some(2));
    settle().await;
    assert_eq!(world.loads(), 4);
    world.events();
    pass(millis(1)).await;
    assert_eq!(at_once(call(&shop, 7)).unwrap(), Some(2));
    world.until_loads(5).await;
    assert_eq!(world.events(), ["load 7", "Some(Some(2))"], "`refresh_ahead`, and what the load replaces");
    assert_eq!(world.cache.stats().stale_hits, 0);
}

/// Killed by: options that are not emitted for one of the kinds.
#[tokio::test(start_paused = true)]
async fn each_kind_of_function_has_them() {
    behaves(|shop, id| Box::pin(shop.method(id))).await;
    behaves(|shop, id| Box::pin(shop.price(id))).await;
    behaves(|shop, id| shop.name(id)).await;
    behaves(|shop, id| Box::pin(generic(shop, id))).await;
    behaves(|shop, id| Box::pin(generic(shop, id as u32))).await;
}
