//! What the attribute accepts, run, and what it says about each mistake: one file per mistake, named after it.
//!
//! After a change of a message, `TRYBUILD=overwrite cargo test --test ui` writes the new ones. Read each as the person
//! who made the mistake: does it stand on what is wrong, and say what to do?

#[test]
fn ui() {
    let cases = trybuild::TestCases::new();
    cases.pass("tests/ui/pass/*.rs");
    cases.compile_fail("tests/ui/fail/*.rs");
}
