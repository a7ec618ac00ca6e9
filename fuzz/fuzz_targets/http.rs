//! Whatever bytes two requests and an answer have, nobody sees what is somebody else's.
#![no_main]

#[path = "../heads.rs"]
mod heads;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| heads::check(bytes));
