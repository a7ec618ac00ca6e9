//! How much happens in one run of the model.

/// How often each thing may happen at most: with them the states are finite, and few.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Bounds {
    /// Calls that memory alone does not settle. (Hits are no steps: in each state what a hit would give is looked at.)
    pub calls: u8,
    /// Calls that expect a miss: they ask for the lease with their first read.
    pub expectations: u8,
    /// Writes to the database, each with `invalidate`.
    pub deletes: u8,
    /// Writes to the database, each with `expire`.
    pub expires: u8,
    /// Writes to the database, each with an invalidation of the entry's tag.
    pub restamps: u8,
    /// Writes to the database, each with a put of what was written.
    pub puts: u8,
    /// Loads whose value is not to be stored.
    pub discards: u8,
    /// Leases that end by themselves, whoever holds them.
    pub lease_ends: u8,
    /// Answers for which the budget does not last, though the link is good.
    pub give_ups: u8,
    /// `FLUSHALL`, with all links left as they are.
    pub data_losses: u8,
    /// Stamps lost.
    pub stamp_losses: u8,
    /// Links lost, first unnoticed.
    pub cuts: u8,
    /// Failovers to a replica that lags.
    pub failovers: u8,
    /// Invalidations that Redis refuses.
    pub refusals: u8,
    /// Invalidations whose caller goes away.
    pub abandons: u8,
    /// Known numbers of stamps that are to be read again.
    pub forgets: u8,
}

impl Bounds {
    /// Nothing happens.
    pub const NONE: Self = Self {
        calls: 0,
        expectations: 0,
        deletes: 0,
        expires: 0,
        restamps: 0,
        puts: 0,
        discards: 0,
        lease_ends: 0,
        give_ups: 0,
        data_losses: 0,
        stamp_losses: 0,
        cuts: 0,
        failovers: 0,
        refusals: 0,
        abandons: 0,
        forgets: 0,
    };

    /// Whether something may happen once more when `spent` has happened.
    pub(crate) fn allow(self, spent: Self, of: impl Fn(&Self) -> u8) -> bool {
        of(&spent) < of(&self)
    }
}
