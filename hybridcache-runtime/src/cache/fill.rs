//! What one load or read is about to fill.

use std::sync::Arc;

use crate::entry::FilledUnder;
use crate::entry::plan::Plan;
use crate::function::call_key::Key;

/// What is to be filled, and under what.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fill<'a> {
    pub(crate) key: &'a Arc<Key>,
    pub(crate) plan: &'a Plan,
    pub(crate) origin: FilledUnder<'a>,
}
