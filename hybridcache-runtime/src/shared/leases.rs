//! The leases that this process holds or may hold. They are given back when the cache is closed.

use std::collections::HashMap;
use std::sync::Arc;

use crate::primitives::sync::{LockExt as _, Mutex, MutexGuard};
use crate::shared::wire::names::{Address, Token};

/// A key for which a lease can be taken.
pub(crate) trait Addressed: std::fmt::Debug + Send + Sync {
    fn address(&self) -> &Address;
}

/// The leases by their tokens.
#[derive(Debug, Default)]
pub(crate) struct Leases {
    held: Mutex<HashMap<Token, Arc<dyn Addressed>>>,
}

impl Leases {
    /// Called before the lease is requested.
    pub(crate) fn add(&self, token: Token, key: Arc<dyn Addressed>) {
        self.held().insert(token, key);
    }

    pub(crate) fn remove(&self, token: Token) {
        self.held().remove(&token);
    }

    pub(crate) fn all(&self) -> Vec<(Token, Arc<dyn Addressed>)> {
        self.held().iter().map(|(token, key)| (*token, key.clone())).collect()
    }

    fn held(&self) -> MutexGuard<'_, HashMap<Token, Arc<dyn Addressed>>> {
        self.held.lock_unpoisoned()
    }
}
