//! Checks of durations that are constants. Each is evaluated in a `const` block of an expansion, so that a mistake stops
//! the build. The macro itself checks literals.

use std::time::Duration;

/// A `timeout`.
///
/// # Panics
/// When it is zero.
#[doc(hidden)]
#[track_caller]
pub const fn constant_timeout(timeout: Duration) {
    assert!(!timeout.is_zero(), "`timeout` must be longer than zero");
}

/// A `soft_timeout`.
///
/// # Panics
/// When it is zero.
#[doc(hidden)]
#[track_caller]
pub const fn constant_soft_timeout(soft_timeout: Duration) {
    assert!(!soft_timeout.is_zero(), "`soft_timeout` must be longer than zero; leave it out to wait for no refresh");
}

/// An `err_ttl`.
///
/// # Panics
/// When it is zero.
#[doc(hidden)]
#[track_caller]
pub const fn constant_err_ttl(err_ttl: Duration) {
    assert!(!err_ttl.is_zero(), "`err_ttl` must be longer than zero; leave it out to keep no error");
}

/// A `none_ttl`, which may be zero.
///
/// # Panics
/// When it is longer than `ttl`.
#[doc(hidden)]
#[track_caller]
pub const fn constant_none_ttl(none_ttl: Duration, ttl: Duration) {
    assert!(
        none_ttl.as_nanos() <= ttl.as_nanos(),
        "`none_ttl` must not be longer than `ttl`, after which every value is gone"
    );
}

/// A `jitter`.
///
/// # Panics
/// When it is zero, or not shorter than `fresh_for`.
#[doc(hidden)]
#[track_caller]
pub const fn constant_jitter(jitter: Duration, fresh_for: Duration) {
    assert!(!jitter.is_zero(), "`jitter` must be longer than zero; leave it out to have none");
    assert!(jitter.as_nanos() < fresh_for.as_nanos(), "`jitter` must be shorter than `fresh_for`, which it shortens");
}

/// A `refresh_ahead`.
///
/// # Panics
/// When it is zero, or not shorter than `fresh_for`.
#[doc(hidden)]
#[track_caller]
pub const fn constant_refresh_ahead(lead: Duration, fresh_for: Duration) {
    assert!(!lead.is_zero(), "`refresh_ahead` must be longer than zero; leave it out to refresh stale values only");
    assert!(
        lead.as_nanos() < fresh_for.as_nanos(),
        "`refresh_ahead` must be shorter than `fresh_for`: it is the last part of it"
    );
}

/// A `min_cost`, with the `timeout` if there is one.
///
/// # Panics
/// When it is zero, or not shorter than `timeout`.
#[doc(hidden)]
#[track_caller]
pub const fn constant_min_cost(min_cost: Duration, timeout: Option<Duration>) {
    assert!(!min_cost.is_zero(), "`min_cost` must be longer than zero; leave it out to store every value");
    if let Some(timeout) = timeout {
        assert!(
            min_cost.as_nanos() < timeout.as_nanos(),
            "`min_cost` must be shorter than `timeout`, or no value would be stored"
        );
    }
}
