//! How long an answer is fresh.
