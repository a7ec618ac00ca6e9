//! Under which key a page or a hit-for-pass record is stored.

use std::sync::Arc;

use http::HeaderName;

use super::storability::Kept;
use crate::engine::task::Loaded;
use crate::http::request::cache_request::{CacheRequest, VariantSlot};
use crate::http::store::entry::LoadStart;
use crate::http::store::record::{Page, Record, Trial, Variants};
use crate::http::store::tags::group_tag;
use crate::primitives::clock::Millis;

/// How many tags the answers of one key may have together. Beyond, each new one counts alone.
const MANY_TAGS: usize = 64;

/// Where a page belongs.
pub(crate) enum Placement {
    /// At the key where the request looked.
    Here,
    /// It is stored under another key, because it differs by more fields or tags than were known: these.
    Elsewhere(Arc<Variants>),
}

impl VariantSlot {
    /// Stores a page that differs by more fields or tags than this slot's key has, in the slot where it belongs.
    pub(crate) async fn settle(
        &self,
        request: &CacheRequest,
        begun: &LoadStart,
        page: &Arc<Page>,
        kept: &Kept,
    ) -> Placement {
        let tags = tags(request, kept);
        let (fields_here, tags_here) = self.known();
        let has_new_tags = tags.iter().any(|tag| !tags_here.contains(tag));
        if !has_new_tags && kept.terms.vary.iter().all(|field| fields_here.contains(field)) {
            return Placement::Here;
        }
        let fields = sorted(fields_here.iter().chain(&kept.terms.vary).cloned());
        let new: Vec<_> = tags.iter().filter(|tag| !tags_here.contains(tag)).cloned().collect();
        let tags = if tags_here.len() + new.len() > MANY_TAGS { tags } else { [tags_here, &new].concat() };
        let variants = Arc::new(Variants::new(fields, tags, page.ttl, page.trial.clone()));
        let slot = request.slot(Some(variants.clone()));
        let record = Record::Page(page.clone());
        if has_new_tags {
            slot.entry.keep_tagged(begun, &variants.tags, record);
        } else {
            slot.entry.publish(begun, record).await;
        }
        Placement::Elsewhere(variants)
    }

    /// Makes the key hit-for-pass, for requests that agree in `vary` only: another variant of the page may be stored.
    pub(crate) async fn mark(
        &self,
        request: &CacheRequest,
        begun: &LoadStart,
        vary: &[HeaderName],
        millis: Millis,
    ) -> Loaded {
        let record = Record::HitForPass(millis);
        let (fields_here, tags_here) = self.known();
        if vary.iter().all(|field| fields_here.contains(field)) {
            return Loaded::Value(Box::new(record));
        }
        let fields = sorted(fields_here.iter().chain(vary).cloned());
        let variants = Arc::new(Variants::new(fields, tags_here.to_vec(), 0, Trial::of(request.trial())));
        request.slot(Some(variants.clone())).entry.publish(begun, record).await;
        self.announce(request, variants).await
    }

    /// Whether a page may be stored in this slot.
    pub(crate) fn fits(&self, request: &CacheRequest, kept: &Kept) -> bool {
        let (fields, known) = self.known();
        kept.terms.vary.iter().all(|field| fields.contains(field))
            && tags(request, kept).iter().all(|tag| known.contains(tag))
    }

    /// Stores at the request's own key by which fields and tags its answers differ from now on.
    pub(crate) async fn announce(&self, request: &CacheRequest, variants: Arc<Variants>) -> Loaded {
        let record = Box::new(Record::Variants(variants));
        if self.variants.is_none() {
            return Loaded::Value(record);
        }
        let primary = request.slot(None).entry;
        // Should it be lost, others load under the older one, and find out for themselves.
        let _ = primary.cache.put(&primary.key, &primary.plan, record).await;
        Loaded::NotStored(Box::new(Record::Again))
    }

    fn known(&self) -> (&[HeaderName], &[String]) {
        self.variants.as_ref().map_or((&[], &[]), |variants| (&variants.fields, &variants.tags))
    }
}

/// The handler's own, and its groups.
fn tags(request: &CacheRequest, kept: &Kept) -> Vec<String> {
    let groups = kept
        .terms
        .groups
        .iter()
        .map(|group| group_tag(&request.settings, request.uri(), &request.parts.headers, group));
    sorted(kept.tags.iter().cloned().chain(groups))
}

/// Each once.
fn sorted<T: AsRef<str>>(items: impl Iterator<Item = T>) -> Vec<T> {
    let mut items: Vec<T> = items.collect();
    items.sort_by(|one, other| one.as_ref().cmp(other.as_ref()));
    items.dedup_by(|one, other| (*one).as_ref() == (*other).as_ref());
    items
}
