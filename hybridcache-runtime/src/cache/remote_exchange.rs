//! One exchange with the shared tier.

use std::sync::Arc;

use crate::cache::fill::Fill;
use crate::shared::Remote;
use crate::shared::budget::Budget;

/// The tier, the entry to fill, and the time budget.
pub(crate) struct RemoteExchange<'a> {
    pub(crate) remote: &'a Arc<dyn Remote>,
    pub(crate) fill: Fill<'a>,
    pub(crate) budget: &'a mut Budget,
}
