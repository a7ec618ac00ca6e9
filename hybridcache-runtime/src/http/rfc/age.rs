//! Age: how old an answer is.
