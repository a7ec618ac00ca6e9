//! The sites of functions whose names are made at run time.

use std::collections::HashMap;
use std::sync::Mutex;

use crate::function::Site;
use crate::primitives::sync::LockExt as _;

/// A site lives for as long as the process, since entries and statistics refer to it. So names that are made from data
/// without a bound would be a leak.
pub(crate) const MOST: usize = 4_096;

/// The site of a name and version; the same one for each call. `None`: the process has [`MOST`] others already.
pub(crate) fn site(name: &str, version: u32) -> Option<&'static Site> {
    type Sites = HashMap<(Box<str>, u32), &'static Site>;
    static SITES: Mutex<Option<Sites>> = Mutex::new(None);
    let mut sites = SITES.lock_unpoisoned();
    let sites = sites.get_or_insert_default();
    let key = (Box::from(name), version);
    if let Some(site) = sites.get(&key) {
        return Some(site);
    }
    if sites.len() >= MOST {
        return None;
    }
    let site: &'static Site = Box::leak(Box::new(Site::named(String::from(name).leak(), version)));
    sites.insert(key, site);
    Some(site)
}
