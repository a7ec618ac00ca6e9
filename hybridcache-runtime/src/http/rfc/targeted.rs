//! Targeted fields (RFC 9213).
