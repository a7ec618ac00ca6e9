//! The guide: one topic a page. The same pages are in the repository's folder `docs`.
//!
//! To begin with: [`options`], [`freshness`], [`keys`], [`invalidation`], [`errors`], [`testing`], [`without_the_macro`]. With Redis: [`mod@redis`], [`outages`], [`tuning`], [`values`].
//! In front of handlers: [`mod@http`]. Seeing what it does: [`mod@observability`]. What holds, and what does not: [`semantics`], [`protocol`]. Beside others: [`comparison`],
//! [`from_cached`].

/// A page. A link `[keys]` leads to a file on GitHub and to a module here: `links.md` comes first, and the first definition of a
/// link is the one that counts. Doctests are compiled without it, and so are reported with the file and line of their page.
macro_rules! page {
    ($name:ident, $file:literal) => {
        #[cfg_attr(not(doctest), doc = include_str!("links.md"))]
        #[doc = include_str!($file)]
        pub mod $name {}
    };
}

page!(comparison, "../docs/comparison.md");
page!(errors, "../docs/errors.md");
page!(freshness, "../docs/freshness.md");
page!(from_cached, "../docs/from_cached.md");
page!(invalidation, "../docs/invalidation.md");
page!(keys, "../docs/keys.md");
page!(options, "../docs/options.md");
page!(outages, "../docs/outages.md");
page!(protocol, "../docs/protocol.md");
page!(redis, "../docs/redis.md");
page!(semantics, "../docs/semantics.md");
page!(testing, "../docs/testing.md");
page!(tuning, "../docs/tuning.md");
page!(without_the_macro, "../docs/without_the_macro.md");

#[cfg(feature = "http")]
page!(http, "../docs/http.md");

#[cfg(feature = "inspector")]
page!(observability, "../docs/observability.md");

/// This page is compiled with the feature `inspector`.
#[cfg(not(feature = "inspector"))]
pub mod observability {}

/// This page is compiled with the feature `http`.
#[cfg(not(feature = "http"))]
pub mod http {}

#[cfg(all(feature = "encryption", feature = "lz4"))]
page!(values, "../docs/values.md");

/// This page is compiled with the features `encryption` and `lz4`.
#[cfg(not(all(feature = "encryption", feature = "lz4")))]
pub mod values {}
