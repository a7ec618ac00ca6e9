//! Dates of HTTP.
