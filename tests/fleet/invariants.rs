//! The invariants of the protocol, one test or more for each, named after it. What else is promised of the same parts is
//! tested beside them; these stand by themselves.
//!
//! | | |
//! |---|---|
//! | I1 | at most one holder of a live lease per key and generation, while Redis keeps its data and the holder renews |
//! | I2 | Redis never holds a value whose load began before an acknowledged invalidation; memory serves none: at once in the same process, within message latency in others, within 3 s of a gap under `Outage::Strict` |
//! | I3 | a publish with a lost token changes nothing |
//! | I4 | no waiter sleeps past its budget; no lost wake-up |
//! | I5 | at most one refresh per stale period in the fleet |
//! | I6 | no call returns a load that began before an invalidation acknowledged before that call began (memory hits: as I2) |
//! | I7 | undecodable, foreign or colliding data is a miss, never a wrong value |
//! | I8 | a fault of Redis never fails a call whose load succeeds, and adds at most the budget |
//! | I9 | memory never outlives `expires_at`, nor serves past `fresh_until` as if fresh |
//! | I10 | pending invalidations are replayed before the first read after healing |
//! | I11 | nothing leaks: no lease beyond its time, no stage, no task, no waiter |
//! | I12 | an invalidation of a tag, a function or the namespace hides every load that began before it |

mod leases;
mod outages;
mod values;
