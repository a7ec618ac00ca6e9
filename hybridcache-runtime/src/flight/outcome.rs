//! The ways in which a load can end, for the callers that wait for it. The types of value and error are erased.

use std::any::{Any, TypeId};
use std::fmt;
use std::sync::{Arc, Mutex};

use crate::entry::Entry;
use crate::primitives::sync::LockExt as _;

/// The outcome for all callers of a load.
#[derive(Clone)]
pub(crate) enum Outcome {
    Value(Arc<Entry>),
    Failed(Arc<Failure>),
    Panicked(Arc<str>),
    TimedOut,
    /// The task that loaded was dropped, with its runtime for instance.
    Abandoned,
}

impl Outcome {
    pub(crate) fn entry(&self) -> Option<&Entry> {
        match self {
            Self::Value(entry) => Some(entry),
            Self::Failed(_) | Self::Panicked(_) | Self::TimedOut | Self::Abandoned => None,
        }
    }
}

/// The error of a load. (Public only because [`crate::call::shape`] is, for expansions.)
pub struct Failure {
    error_type: TypeId,
    original: Mutex<Option<Box<dyn Any + Send>>>,
    copies: Option<Copies>,
}

/// Makes another error like the original.
pub(crate) type Copies = Box<dyn Fn() -> Box<dyn Any + Send> + Send + Sync>;

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Failure").field("shared", &self.copies.is_some()).finish_non_exhaustive()
    }
}

impl Failure {
    /// An error that only one caller can have.
    pub(crate) fn unshared<E: Send + 'static>(error: E) -> Self {
        Self { error_type: TypeId::of::<E>(), original: Mutex::new(Some(Box::new(error))), copies: None }
    }

    /// An error that the caller that started the load gets, and copies of it for the callers that joined.
    pub(crate) fn kept<E: Send + 'static>(error: E, copy: impl Fn() -> E + Send + Sync + 'static) -> Self {
        Self { original: Mutex::new(Some(Box::new(error))), ..Self::shared(copy) }
    }

    /// An error of which every caller gets a copy.
    pub(crate) fn shared<E: Send + 'static>(copy: impl Fn() -> E + Send + Sync + 'static) -> Self {
        let copies: Copies = Box::new(move || Box::new(copy()));
        Self { error_type: TypeId::of::<E>(), original: Mutex::new(None), copies: Some(copies) }
    }

    pub(crate) fn error_type(&self) -> TypeId {
        self.error_type
    }

    /// Whether more than one caller can have it.
    pub(crate) fn is_shared(&self) -> bool {
        self.copies.is_some()
    }

    /// The error for one caller. `None`: another caller has taken the only one.
    pub(crate) fn take(&self, role: Role) -> Option<Box<dyn Any + Send>> {
        let kept = || self.original.lock_unpoisoned().take();
        match (&self.copies, role) {
            (None, _) => kept(),
            (Some(copy), Role::Starter) => kept().or_else(|| Some(copy())),
            (Some(copy), Role::Joiner) => Some(copy()),
        }
    }
}

/// How a caller took part in the load whose outcome it gets.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Role {
    /// It started the load.
    Starter,
    /// It joined the load of another caller.
    Joiner,
}
