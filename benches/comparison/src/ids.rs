//! Which entries are called: drawn before anything is measured, the same for all.

/// How many there are in a draw.
const DRAWN: usize = 1 << 18;

/// Zipf's law: the entry of rank `r` is drawn in proportion to `1 / r^exponent`. The ranks are spread over the ids at random.
pub(crate) fn zipf(entries: usize, exponent: f64) -> Vec<u64> {
    let mut random = fastrand::Rng::with_seed(1);
    let mut sum = 0.0;
    let up_to: Vec<f64> = (1..=entries)
        .map(|rank| {
            sum += (rank as f64).powf(-exponent);
            sum
        })
        .collect();
    let mut ids: Vec<u64> = (0..entries as u64).collect();
    random.shuffle(&mut ids);
    (0..DRAWN)
        .map(|_| {
            let drawn = random.f64() * sum;
            ids[up_to.partition_point(|&up_to| up_to < drawn).min(entries - 1)]
        })
        .collect()
}

pub(crate) fn uniform(entries: usize) -> Vec<u64> {
    let mut random = fastrand::Rng::with_seed(2);
    (0..DRAWN).map(|_| random.u64(0..entries as u64)).collect()
}
