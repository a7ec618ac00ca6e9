//! The kinds of servers that a URL may name: one server, the master that sentinels watch, a cluster; and certificates.

#[cfg(feature = "cluster")]
pub(crate) mod cluster;
#[cfg(feature = "sentinel")]
pub(crate) mod sentinel;
pub(crate) mod tls;
