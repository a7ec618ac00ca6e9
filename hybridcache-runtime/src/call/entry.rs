//! Makes the handle of one entry from the arguments that the expansion of `<function>_entry(..)` passes.

use crate::cache::HybridCache;
use crate::cache::handle::CacheEntry;
use crate::call::settings::FullSettings;
use crate::call::shape::Shape;
use crate::function::Instance;
use crate::key::KeyBuf;

/// Makes a handle.
pub fn entry<S: Shape>(
    cache: &HybridCache,
    instance: Instance<'_>,
    key: KeyBuf,
    settings: impl Into<FullSettings<S>>,
) -> CacheEntry<S::Return> {
    let key = cache.key(&cache.lookup(&instance, &key));
    let mut plan = settings.into().plan;
    plan.freshness.spread = cache.spread();
    CacheEntry::new(cache.clone(), key, plan)
}
