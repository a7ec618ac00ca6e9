//! The guide: one topic a page. The same pages are in the repository's folder `docs`.

#[doc = include_str!("../docs/comparison.md")]
pub mod comparison {}

#[doc = include_str!("../docs/errors.md")]
pub mod errors {}

#[doc = include_str!("../docs/from_cached.md")]
pub mod from_cached {}

#[cfg(feature = "http")]
#[doc = include_str!("../docs/http.md")]
pub mod http {}

#[doc = include_str!("../docs/invalidation.md")]
pub mod invalidation {}

#[doc = include_str!("../docs/keys.md")]
pub mod keys {}

#[doc = include_str!("../docs/options.md")]
pub mod options {}

#[doc = include_str!("../docs/protocol.md")]
pub mod protocol {}

#[doc = include_str!("../docs/testing.md")]
pub mod testing {}

#[doc = include_str!("../docs/tuning.md")]
pub mod tuning {}
