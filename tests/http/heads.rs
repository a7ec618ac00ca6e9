//! Heads of any bytes, held against the model of the fuzz target `http`: a bounded run.
//!
//! Killed by: a key of the path that the handler sees; `no-store; no-cache` that is not read as a restriction; a hidden field that is
//! shown; an identity that is not looked at; `Vary` that is not; a misspelt `must-revalidate` that allows what a well spelt one does.

use fastrand::Rng;

#[path = "../../fuzz/heads.rs"]
mod model;

/// Of cases like these each mutation above was found within some hundreds.
const CASES: usize = 1_500;

#[test]
fn nobody_sees_what_is_somebody_elses() {
    let seed = std::env::var("HYBRIDCACHE_HEADS_SEED").ok().and_then(|seed| seed.parse().ok());
    let mut random = Rng::with_seed(seed.unwrap_or(3));
    for _ in 0..CASES {
        let bytes: Vec<u8> = (0..64).map(|_| random.u8(..)).collect();
        model::check(&bytes);
    }
}
