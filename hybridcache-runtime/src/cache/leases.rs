//! Which leases this process has, or may have: what is to be given back when the cache is closed.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError};

use crate::function::call_key::Key;
use crate::primitives::sync::{Mutex, MutexGuard};
use crate::shared::Token;

/// By their tokens.
#[derive(Debug, Default)]
pub(crate) struct Leases {
    held: Mutex<HashMap<Token, Arc<Key>>>,
}

impl Leases {
    /// To be called before the lease is asked for.
    pub(crate) fn add(&self, token: Token, key: &Arc<Key>) {
        self.held().insert(token, key.clone());
    }

    pub(crate) fn remove(&self, token: Token) {
        self.held().remove(&token);
    }

    pub(crate) fn all(&self) -> Vec<(Token, Arc<Key>)> {
        self.held().iter().map(|(token, key)| (*token, key.clone())).collect()
    }

    fn held(&self) -> MutexGuard<'_, HashMap<Token, Arc<Key>>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
