//! The key and circumstances of one load or read.

use std::sync::Arc;

use crate::entry::FilledUnder;
use crate::entry::plan::Plan;
use crate::function::call_key::Key;

/// The key to fill, the plan of the call, and what was captured before the load or read began.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fill<'a> {
    pub(crate) key: &'a Arc<Key>,
    pub(crate) plan: &'a Plan,
    pub(crate) origin: FilledUnder<'a>,
}
