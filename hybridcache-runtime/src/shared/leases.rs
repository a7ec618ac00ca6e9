//! Which leases this process has, or may have: what is to be given back when the cache is closed.

use std::collections::HashMap;
use std::sync::Arc;

use crate::primitives::sync::LockExt as _;
use crate::primitives::sync::{Mutex, MutexGuard};
use crate::shared::wire::names::{Address, Token};

/// A key that a lease can be for.
pub(crate) trait Addressed: std::fmt::Debug + Send + Sync {
    fn address(&self) -> &Address;
}

/// By their tokens.
#[derive(Debug, Default)]
pub(crate) struct Leases {
    held: Mutex<HashMap<Token, Arc<dyn Addressed>>>,
}

impl Leases {
    /// To be called before the lease is asked for.
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
