//! When a hit on a fresh value starts its refresh: the formulas of `hybridcache-runtime/src/entry/freshness.rs`.

use rand::Rng;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Strategy {
    None,
    Auto,
    Percent,
    XFetch,
}

impl Strategy {
    pub(crate) const ALL: [Self; 4] = [Self::None, Self::Auto, Self::Percent, Self::XFetch];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Auto => "auto",
            Self::Percent => "20%",
            Self::XFetch => "xfetch",
        }
    }

    /// Whether a hit with `left` of `fresh_for` starts the refresh of a value whose load took `cost`; in milliseconds.
    /// `spread`: where the process is in the fleet, from 0 to 1.
    pub(crate) fn starts(self, left: f64, fresh_for: f64, cost: f64, spread: f64, random: &mut impl Rng) -> bool {
        match self {
            Self::None => false,
            Self::Auto => left <= ((3.0 * cost).max(50.0) * (0.75 + spread / 2.0)).min(0.2 * fresh_for),
            Self::Percent => left <= 0.2 * fresh_for,
            Self::XFetch => -cost * (1.0 - random.random::<f64>()).ln() >= left,
        }
    }
}
