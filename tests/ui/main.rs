//! What the attributes accept (`pass`), and the message for each mistake (`fail`): one file per mistake, named after it.
//!
//! Files of `pass` are modules of this binary: that they compile, under the lints that they deny, is what they show. They are public, so
//! lints about public items apply.
//!
//! After a change of a message, `TRYBUILD=overwrite cargo test --test ui` writes the new ones. Read each as the person
//! who made the mistake: is it on the token at fault, and does it say what to do?

#![allow(clippy::unwrap_used, reason = "a test panics to fail")]

/// What the attributes accept.
pub mod pass {
    pub mod blanket_traits;
    pub mod evicting;
    pub mod free_functions;
    pub mod freshness;
    pub mod generics;
    pub mod instrumented;
    pub mod keys;
    pub mod methods;
    pub mod no_cache;
    pub mod options;
    pub mod patterns;
    pub mod return_types;
    pub mod send;
    pub mod surroundings;
    pub mod trait_impls;
}

#[tokio::test]
async fn blanket_traits() {
    pass::blanket_traits::runs().await;
}

#[test]
fn fail() {
    trybuild::TestCases::new().compile_fail("tests/ui/fail/*.rs");
}
