//! The settings of a [`Cached`], each with the name of the attribute's option.

use std::any::TypeId;
use std::convert::Infallible;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::cache::HybridCache;
use crate::call::cached::{Cached, Definition, Tags};
use crate::call::shape::is_none;
use crate::entry::freshness::{Freshness, NoneTtl, RefreshAhead};
use crate::entry::lifetimes::{Lifetimes, Part, rounded};
use crate::entry::plan::{Plan, Weigh, weight_by};
use crate::entry::value_type::{Typed, ValueType};
use crate::error::Error;
use crate::function::interned;
use crate::key::CacheKey;
use crate::primitives::clock::bounded;
use crate::shared::wire::codec::Codec;

impl HybridCache {
    /// Begins a [`Cached`]: a cached function without the attribute.
    ///
    /// `name` identifies its entries in Redis and its statistics. It is in one namespace with the attribute's
    /// `name = ".."`.
    pub fn cached<K: CacheKey + ?Sized, V>(&self, name: &str) -> CachedBuilder<K, V> {
        CachedBuilder {
            cache: self.clone(),
            name: name.to_owned(),
            version: 0,
            ttl: None,
            fresh_for: None,
            timeout: None,
            freshness: Freshness::default(),
            tags: None,
            weigh: None,
            max_value: None,
            compresses: true,
            value: PhantomData,
        }
    }
}

/// The settings of a [`Cached`]. Only [`ttl`](Self::ttl) is required.
///
/// ```
/// # use hybridcache_runtime as hybridcache;
/// use std::time::Duration;
/// use hybridcache::{Cached, HybridCache};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), hybridcache::Error> {
/// # let cache = HybridCache::builder().build().await?;
/// let users: Cached<u64, String> = cache
///     .cached("user")
///     .fresh_for(Duration::from_secs(60))
///     .ttl(Duration::from_secs(3600))
///     .timeout(Duration::from_secs(20))
///     .tags(|id: &u64| vec![format!("shard:{}", id % 8)])
///     .build()?;
/// # users.invalidate(&7).await?;
/// # Ok(()) }
/// ```
#[must_use = "call `build`"]
pub struct CachedBuilder<K: ?Sized, V> {
    cache: HybridCache,
    name: String,
    version: u32,
    ttl: Option<Duration>,
    fresh_for: Option<Duration>,
    timeout: Option<Duration>,
    freshness: Freshness,
    tags: Option<Tags<K>>,
    weigh: Option<Weigh>,
    max_value: Option<usize>,
    compresses: bool,
    value: PhantomData<fn() -> V>,
}

impl<K: CacheKey + ?Sized, V: Clone + Send + Sync + 'static> CachedBuilder<K, V> {
    /// How long a value lives: at least 1 ms, rounded up to milliseconds. Required.
    pub fn ttl(self, ttl: Duration) -> Self {
        Self { ttl: Some(ttl), ..self }
    }

    /// How long a value is fresh: at most `ttl`, which is the default. After that it is stale: a call returns it, and
    /// one refresh runs.
    pub fn fresh_for(self, fresh_for: Duration) -> Self {
        Self { fresh_for: Some(fresh_for), ..self }
    }

    /// How long a load may take, and how long a call waits for another call's load. By default a load may take as long
    /// as it likes, and a call waits for 30 s.
    pub fn timeout(self, timeout: Duration) -> Self {
        Self { timeout: Some(timeout), ..self }
    }

    /// By how much `ttl` and `fresh_for` of each entry are shortened at random, at most: a part of them, in percent from 1
    /// to 99. So entries that were filled together do not end together. See [`jitter_up_to`](Self::jitter_up_to) for a
    /// duration.
    pub fn jitter_percent(mut self, percent: u8) -> Self {
        self.freshness.jitter = Some(Part::Percent(percent));
        self
    }

    /// By how much `ttl` and `fresh_for` of each entry are shortened at random, at most.
    pub fn jitter_up_to(mut self, most: Duration) -> Self {
        self.freshness.jitter = Some(Part::of(most));
        self
    }

    /// The value of a load that was quicker is not stored.
    pub fn min_cost(mut self, min_cost: Duration) -> Self {
        self.freshness.min_cost = min_cost;
        self
    }

    /// In the last part of `fresh_for` a hit starts the refresh and still gets the fresh value. The part is three times the
    /// cost of the latest load, at least 50 ms, at most 20 % of `fresh_for`, and differs from process to process.
    pub fn refresh_ahead_auto(self) -> Self {
        self.refresh_ahead(RefreshAhead::Auto)
    }

    /// As [`refresh_ahead_auto`](Self::refresh_ahead_auto), in this part of `fresh_for`: percent, from 1 to 99.
    pub fn refresh_ahead_percent(self, percent: u8) -> Self {
        self.refresh_ahead(RefreshAhead::Part(Part::Percent(percent)))
    }

    /// As [`refresh_ahead_auto`](Self::refresh_ahead_auto), this long before the end of `fresh_for`.
    pub fn refresh_ahead_by(self, lead: Duration) -> Self {
        self.refresh_ahead(RefreshAhead::Part(Part::of(lead)))
    }

    /// As [`refresh_ahead_auto`](Self::refresh_ahead_auto), at random, the likelier the nearer the end is: "Optimal
    /// Probabilistic Cache Stampede Prevention" (Vattani, Chierichetti, Lowenstein 2015).
    pub fn refresh_ahead_xfetch(self) -> Self {
        self.refresh_ahead(RefreshAhead::XFetch)
    }

    fn refresh_ahead(mut self, ahead: RefreshAhead) -> Self {
        self.freshness.refresh_ahead = Some(ahead);
        self
    }

    /// How long a stale hit waits for its refresh, before it takes the stale value. By default it does not wait.
    pub fn soft_timeout(mut self, soft_timeout: Duration) -> Self {
        self.freshness.soft_timeout = Some(bounded(soft_timeout));
        self
    }

    /// How long the error of [`get_or_load_cloning`](Cached::get_or_load_cloning) is given again without a load, in this
    /// process. The other calls have errors that cannot be given twice, and keep none.
    pub fn err_ttl(mut self, err_ttl: Duration) -> Self {
        self.freshness.err_ttl = Some(rounded(err_ttl)).filter(|millis| *millis > 0);
        self
    }

    /// The version of the value's type: entries of other versions are not read. By default 0.
    pub fn version(self, version: u32) -> Self {
        Self { version, ..self }
    }

    /// The tags of an entry, by its key. [`invalidate_tag`](HybridCache::invalidate_tag) invalidates all entries of a
    /// tag. They are asked for when a call misses, and by handles.
    pub fn tags(self, tags: impl Fn(&K) -> Vec<String> + Send + Sync + 'static) -> Self {
        Self { tags: Some(Box::new(tags)), ..self }
    }

    /// How many bytes a value takes in memory. By default: the length of its encoding, or its size on the stack.
    pub fn weigh(self, weigh: impl Fn(&V) -> usize + Send + Sync + 'static) -> Self {
        Self { weigh: Some(weight_by(weigh)), ..self }
    }

    /// The largest encoded length of a value in Redis, in bytes; longer values stay in memory. By default
    /// [`Builder::value_limit`](crate::Builder::value_limit).
    pub fn max_value(self, bytes: usize) -> Self {
        Self { max_value: Some(bytes), ..self }
    }

    /// Values are stored in Redis as they are encoded, also where the cache compresses: the attribute's
    /// `compress = false`.
    pub fn uncompressed(self) -> Self {
        Self { compresses: false, ..self }
    }

    /// A cached function over both tiers.
    ///
    /// # Errors
    /// `ttl` is missing, a duration is zero, `fresh_for` is longer than `ttl`, the name is empty, or the process has
    /// 4,096 names of this kind already: names are kept for as long as the process lives. Take the varying part of a
    /// name as part of the key.
    pub fn build(self) -> Result<Cached<K, V>, Error>
    where
        V: Serialize + DeserializeOwned,
    {
        self.finish(&Typed::<V>::SHARED_ANY)
    }

    /// As [`build`](Self::build), with another codec: the attribute's `codec = ..`. The value need not be serializable by
    /// serde.
    ///
    /// # Errors
    /// As [`build`](Self::build).
    pub fn build_with_codec<C: Codec<V>>(self) -> Result<Cached<K, V>, Error> {
        self.finish(const { &Typed::<V>::coded::<C>() })
    }

    /// A cached function whose values stay in the memory of this process: the attribute's `tier = memory`. They need
    /// not be serializable.
    ///
    /// # Errors
    /// As [`build`](Self::build).
    pub fn build_in_memory(self) -> Result<Cached<K, V>, Error> {
        self.finish(&Typed::<V>::MEMORY)
    }

    fn finish(self, value: &'static ValueType) -> Result<Cached<K, V>, Error> {
        let lifetimes = self.lifetimes()?;
        if self.name.is_empty() {
            return Err(Error::config("cached", "the name is empty"));
        }
        let site = interned::site(&self.name, self.version).ok_or_else(|| {
            let most = interned::MOST;
            Error::config("cached", format_args!("`{}` would be one name more than {most}: a name is kept for as long as the process lives, so it must not be made from data; take the varying part as part of the key", self.name))
        })?;
        let Self { cache, timeout, freshness, tags, weigh, max_value, compresses, .. } = self;
        let timeout = timeout.map(bounded);
        let of_no_error = Plan::new(value, lifetimes, TypeId::of::<Infallible>());
        let plan = Plan { freshness, timeout, weigh, max_value, compresses, ..of_no_error };
        Ok(Cached { definition: Arc::new(Definition { cache, site, plan, tags }), value: PhantomData })
    }

    fn lifetimes(&self) -> Result<Lifetimes, Error> {
        let times = [
            ("ttl", self.ttl),
            ("fresh_for", self.fresh_for),
            ("timeout", self.timeout),
            ("soft_timeout", self.freshness.soft_timeout),
        ];
        for (setting, time) in times {
            if time.is_some_and(|time| time.is_zero()) {
                return Err(Error::config(setting, format_args!("of `{}`, it must be longer than zero", self.name)));
            }
        }
        if let Some(Part::Percent(0 | 100..)) = self.freshness.jitter {
            return Err(Error::config("jitter_percent", format_args!("of `{}`, it must be from 1 to 99", self.name)));
        }
        if let Some(RefreshAhead::Part(Part::Percent(0 | 100..))) = self.freshness.refresh_ahead {
            return Err(Error::config(
                "refresh_ahead_percent",
                format_args!("of `{}`, it must be from 1 to 99", self.name),
            ));
        }
        let Some(ttl) = self.ttl else {
            return Err(Error::config(
                "ttl",
                format_args!("of `{}`, it is missing: say how long a value lives", self.name),
            ));
        };
        match self.fresh_for {
            Some(fresh_for) if fresh_for > ttl => Err(Error::config(
                "fresh_for",
                format_args!(
                    "of `{}`, {fresh_for:?} is longer than `ttl` ({ttl:?}): a value is first fresh, then stale until `ttl`",
                    self.name
                ),
            )),
            fresh_for => {
                self.contradictions(ttl, fresh_for.unwrap_or(ttl)).map(|()| Lifetimes::computed(ttl, fresh_for))
            }
        }
    }
}

impl<K: ?Sized, V> CachedBuilder<K, V> {
    fn contradictions(&self, ttl: Duration, fresh_for: Duration) -> Result<(), Error> {
        let name = &self.name;
        if self.freshness.soft_timeout.is_some() && fresh_for == ttl {
            let problem = "no value is ever stale: give `fresh_for` less than `ttl`";
            return Err(Error::config("soft_timeout", format_args!("of `{name}`: {problem}")));
        }
        match self.freshness.refresh_ahead {
            Some(RefreshAhead::Part(Part::Millis(lead))) if u128::from(lead) >= fresh_for.as_millis() => {
                let problem = "it must be shorter than `fresh_for`";
                Err(Error::config("refresh_ahead_by", format_args!("of `{name}`: {problem}")))
            }
            _ => Ok(()),
        }
    }
}

impl<K: CacheKey + ?Sized, U: Clone + Send + Sync + 'static> CachedBuilder<K, Option<U>> {
    /// The lifetime of a stored `None`, at most `ttl`. Zero: it is not stored.
    pub fn none_ttl(mut self, none_ttl: Duration) -> Self {
        self.freshness.none = Some(NoneTtl { is_none: is_none::<U>, millis: rounded(none_ttl) });
        self
    }
}

impl<K: ?Sized, V> fmt::Debug for CachedBuilder<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CachedBuilder").field("name", &self.name).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Killed by: no bound; a name that counts each time it is used. (It fills the table of this process, so no other
    /// unit test uses names.)
    #[test]
    fn names_made_of_data_are_an_error_and_no_leak() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let cache = runtime.block_on(HybridCache::builder().build()).expect("a cache");
        let build = |name: &str| cache.cached::<u64, u64>(name).ttl(Duration::from_secs(60)).build();
        let mistake = (0..10_000).find_map(|nth| build(&format!("name of {nth}")).err()).expect("10,000 names");
        assert!(mistake.is_config() && mistake.to_string().contains("4096"), "{mistake}");
        build("name of 0").expect("a name that is known");
    }
}
