//! Requests as they come to caches: generated from seeds, or recorded.

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use rand::SeedableRng;
use rand::rngs::SmallRng;
use rand_distr::{Distribution, Zipf};

/// The keys that are asked for, in order.
pub struct Trace {
    pub name: String,
    /// How many keys come again and again; capacities are shares of this.
    pub keys: u64,
    pub requests: Vec<u64>,
}

/// One of each kind, all from the same seed.
pub fn all(keys: u64, requests: u64, seed: u64) -> [Trace; 5] {
    [
        zipf("Zipf 0.7", 0.7, keys, requests, seed),
        zipf("Zipf 0.9", 0.9, keys, requests, seed),
        zipf("Zipf 1.1", 1.1, keys, requests, seed),
        polluted("Zipf 0.9 and scans", keys, requests, seed),
        looping("looping", (keys / 10).max(1), requests),
    ]
}

/// Key k is asked for with a probability proportional to k^-exponent, each time independently. `rand_distr` samples it
/// by rejection, after Jason Crease, "Rejection Sampling the Zipf Distribution".
fn zipf(name: &'static str, exponent: f64, keys: u64, requests: u64, seed: u64) -> Trace {
    let law = Zipf::new(keys as f64, exponent).expect("there are keys, and the exponent is positive");
    let chance = SmallRng::seed_from_u64(seed);
    let requests = law.sample_iter(chance).take(requests as usize).map(|rank| rank as u64).collect();
    Trace { name: name.into(), keys, requests }
}

/// Zipf 0.9, and after each 3 requests for every tenth of the keys a scan over as many keys that nobody asks for again: a
/// quarter of the requests are scans. (The pattern that admission by frequency is for: Einziger, Friedman, Manes, "TinyLFU: A
/// Highly Efficient Cache Admission Policy".)
fn polluted(name: &'static str, keys: u64, requests: u64, seed: u64) -> Trace {
    let scan = (keys / 10).max(1);
    let mut wanted = zipf(name, 0.9, keys, requests, seed).requests.into_iter();
    let mut next = keys + 1;
    let request = |at| {
        if at % (4 * scan) < 3 * scan {
            return wanted.next().expect("there are as many as requests");
        }
        next += 1;
        next
    };
    Trace { name: name.into(), keys, requests: (0..requests).map(request).collect() }
}

/// All keys in turn, over and over: what recency alone never hits. Over fewer keys than the others, since moka takes a hundred
/// turns until it has settled on those it keeps; before that its runs differ by more than the bar.
fn looping(name: &'static str, keys: u64, requests: u64) -> Trace {
    Trace { name: name.into(), keys, requests: (0..requests).map(|at| at % keys).collect() }
}

/// The beginning of a trace in the format of Megiddo and Modha, "ARC: A Self-Tuning, Low Overhead Replacement Cache": a
/// line for each request, with its first block and how many follow.
pub fn recorded(path: &Path, most: u64) -> Trace {
    let text = fs::read_to_string(path).expect("the trace is a file of text");
    let blocks = text.lines().flat_map(|line| {
        let mut numbers = line.split(' ').map(|number| number.parse::<u64>().expect("a line begins with two numbers"));
        let (first, blocks) = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
        first..first + blocks
    });
    let requests: Vec<u64> = blocks.take(most as usize).collect();
    let keys = requests.iter().collect::<HashSet<_>>().len() as u64;
    let name = path.file_stem().expect("the file has a name").to_string_lossy().into_owned();
    Trace { name, keys, requests }
}
