//! Lists, tokens and strings within fields.
