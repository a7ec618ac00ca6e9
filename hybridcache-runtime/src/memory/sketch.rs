//! How often keys were requested in the recent past, approximately: a count-min sketch with counters of four bits
//! (Einziger, Friedman and Manes, "TinyLFU: A Highly Efficient Cache Admission Policy", 2017). It also counts keys that
//! are not in memory.

/// The counters of one key are in different rows of one block, which is one cache line.
const ROWS: usize = 4;
const WORDS_OF_A_ROW: usize = 2;
const BLOCK: usize = ROWS * WORDS_OF_A_ROW;

/// The greatest number that a counter holds.
const HIGHEST: u64 = 15;

/// The lowest bit of each counter of a word is cleared by this after a shift.
const HALVES: u64 = 0x7777_7777_7777_7777;

/// After this many requests for each entry all counters are halved. The ten of moka and Caffeine forget too early if
/// memory holds a small part of the keys; with 30, a loop over twice as many keys as fit loses hits.
const REMEMBERED: usize = 20;

/// Sixteen counters, in eight bytes, for each entry of memory.
#[derive(Debug)]
pub(super) struct Sketch {
    words: Vec<u64>,
    /// The number of entries in memory.
    entries: usize,
    counted: usize,
}

impl Default for Sketch {
    fn default() -> Self {
        Self { words: vec![0; BLOCK], entries: 0, counted: 0 }
    }
}

impl Sketch {
    /// Sets the number of entries in memory. What is counted about keys that have left stays: they may return.
    pub(super) fn fit(&mut self, entries: usize) {
        self.entries = entries;
        while self.words.len() < entries {
            // Each block splits in two, and both halves start with its counters.
            self.words.extend_from_within(..);
        }
    }

    pub(super) fn count(&mut self, hash: u64, times: u8) {
        for (word, shift) in self.counters(hash) {
            let word = &mut self.words[word];
            let count = *word >> shift & HIGHEST;
            *word += (HIGHEST.min(count + u64::from(times)) - count) << shift;
        }
        self.counted += usize::from(times);
        if self.counted >= REMEMBERED * self.entries.max(BLOCK) {
            self.halve();
        }
    }

    /// An upper bound of the number of requests for a key since the counters were made, halved at times.
    pub(super) fn estimate(&self, hash: u64) -> u8 {
        let counts = self.counters(hash).map(|(word, shift)| self.words[word] >> shift & HIGHEST);
        counts.into_iter().min().unwrap_or(0) as u8
    }

    fn halve(&mut self) {
        self.words.iter_mut().for_each(|word| *word = *word >> 1 & HALVES);
        self.counted /= 2;
    }

    /// The word and the shift of a key's counter in each row.
    fn counters(&self, hash: u64) -> [(usize, u32); ROWS] {
        let block = (hash >> 32) as usize & (self.words.len() / BLOCK - 1);
        std::array::from_fn(|row| {
            let at = (hash >> (5 * row)) as usize;
            (block * BLOCK + row * WORDS_OF_A_ROW + at % WORDS_OF_A_ROW, (at / WORDS_OF_A_ROW % 16) as u32 * 4)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(nth: u64) -> u64 {
        (nth + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }

    /// Killed by: counts that run over into the next one; a row that is left out; an estimate below the count.
    #[test]
    fn a_key_is_counted_up_to_fifteen_and_others_hardly() {
        let mut sketch = Sketch::default();
        sketch.fit(1_000);
        (0..1_000).for_each(|nth| sketch.count(hash(nth), 1));
        for times in 2..20 {
            sketch.count(hash(7), 1);
            assert!((times.min(15)..=15).contains(&sketch.estimate(hash(7))), "{times}");
        }
        sketch.count(hash(8), 3);
        assert!((4..=7).contains(&sketch.estimate(hash(8))));
        let overestimated = (10..1_000).filter(|nth| sketch.estimate(hash(*nth)) > 1).count();
        assert!(overestimated < 100, "{overestimated}");
        assert!((0..1_000).all(|nth| sketch.estimate(hash(nth)) >= 1));
    }

    /// Killed by: blocks that begin at zero when they split.
    #[test]
    fn a_sketch_that_grows_knows_what_it_has_counted() {
        let mut sketch = Sketch::default();
        for nth in 0..10_000 {
            sketch.fit(nth + 1);
            sketch.count(hash(0), u8::from(nth < 5));
            sketch.count(hash(nth as u64), 1);
        }
        assert!(sketch.estimate(hash(0)) >= 6);
        assert!(sketch.words.len() < 2 * 10_000, "{} words", sketch.words.len());
    }

    /// Killed by: never halving; bits of one counter that become its neighbour's.
    #[test]
    fn counts_are_halved_after_twenty_requests_for_each_entry() {
        let mut sketch = Sketch::default();
        sketch.fit(8);
        (0..15).for_each(|_| sketch.count(hash(0), 1));
        (0..20 * 8 - 15 - 1).for_each(|nth| sketch.count(hash(1 + nth % 2), 1));
        assert_eq!(sketch.estimate(hash(0)), 15);
        sketch.count(hash(1), 1);
        assert_eq!([0, 1, 2].map(|nth| sketch.estimate(hash(nth))), [7, 7, 7]);
        assert_eq!(sketch.counted, 80);
    }
}
