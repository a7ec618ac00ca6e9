//! What may no longer be served. The model's own bookkeeping: the protocol knows nothing of it.

/// How a write tells others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Mode {
    /// `invalidate`.
    Delete,
    /// `expire`.
    Expire,
    /// `invalidate_tag`.
    Restamp,
}

/// Versions before which a value is not to be served any more, by how they were invalidated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Floor {
    pub deleted: u8,
    /// Before which none is fresh.
    pub expired: u8,
    pub restamped: u8,
}

impl Floor {
    pub(crate) fn raise(&mut self, mode: Mode, version: u8) {
        let floor = match mode {
            Mode::Delete => &mut self.deleted,
            Mode::Expire => &mut self.expired,
            Mode::Restamp => &mut self.restamped,
        };
        *floor = version.max(*floor);
    }

    pub(crate) fn max(self, other: Self) -> Self {
        Self {
            deleted: self.deleted.max(other.deleted),
            expired: self.expired.max(other.expired),
            restamped: self.restamped.max(other.restamped),
        }
    }

    pub(crate) fn min(self, other: Self) -> Self {
        Self {
            deleted: self.deleted.min(other.deleted),
            expired: self.expired.min(other.expired),
            restamped: self.restamped.min(other.restamped),
        }
    }

    /// Whether the key's invalidations allow a value.
    pub(crate) fn allows(&self, version: u8, fresh: bool) -> bool {
        version >= self.deleted && (!fresh || version >= self.expired)
    }
}

/// What one process must know of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Floors {
    /// Its own invalidations that Redis acknowledged.
    pub own: Floor,
    /// Its own invalidations that were reported as pending.
    pub pending: Floor,
    /// Other processes' invalidations whose message was delivered.
    pub heard: Floor,
    /// What Redis had been told when this process last subscribed.
    pub gap: Floor,
}

/// What the value of one call must be, from what had happened when the call began.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Due {
    /// Invalidations of the key that Redis had executed.
    pub redis: u8,
    /// Invalidations that this process had reported as pending.
    pub pending: u8,
    /// Invalidations of the key that this process knew of.
    pub deleted: u8,
    /// Invalidations of the tag that this process knew of.
    pub restamped: u8,
    /// Invalidations of either of which it could have missed the message.
    pub gap: u8,
}

impl Floors {
    pub(crate) fn due(&self, redis: Floor) -> Due {
        let known = self.own.max(self.heard);
        Due {
            redis: redis.deleted,
            pending: self.pending.deleted.max(self.pending.restamped),
            deleted: known.deleted,
            restamped: known.restamped,
            gap: self.gap.deleted.max(self.gap.restamped),
        }
    }

    /// Redis has lost what it had been told since `redis`. Until it is told again only the process that will tell it
    /// hides what came back.
    pub(crate) fn forget(&mut self, redis: Floor) {
        self.heard = self.heard.min(redis);
        self.gap = self.gap.min(redis);
    }
}

impl Due {
    pub(crate) fn forget(&mut self, redis: Floor, own: Floor) {
        self.redis = self.redis.min(redis.deleted.max(own.deleted));
        self.deleted = self.deleted.min(redis.deleted.max(own.deleted));
        self.restamped = self.restamped.min(redis.restamped.max(own.restamped));
        self.gap = self.gap.min(redis.deleted.max(redis.restamped));
    }
}
