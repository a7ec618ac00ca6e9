//! The questions of this process to its fleet, and the answers to them.

use std::collections::HashMap;
use std::sync::Mutex;

use crate::primitives::sync::LockExt as _;

/// How many answers are kept, and how long one may be.
const MOST: usize = 1_000;
const LONGEST: usize = 4 << 10;

/// The questions of this process that wait for answers.
#[derive(Debug, Default)]
pub(crate) struct Questions(Mutex<HashMap<u64, Vec<Vec<u8>>>>);

impl Questions {
    pub(crate) fn answered(&self, nonce: u64, answer: &[u8]) {
        if let Some(answers) = self.0.lock_unpoisoned().get_mut(&nonce)
            && answers.len() < MOST
            && answer.len() <= LONGEST
        {
            answers.push(answer.to_vec());
        }
    }
}

/// A question. Dropped, it waits for no more answers.
pub(crate) struct Question<'a> {
    questions: &'a Questions,
    nonce: u64,
}

impl<'a> Question<'a> {
    pub(crate) fn ask(questions: &'a Questions) -> Self {
        let nonce = fastrand::u64(..);
        questions.0.lock_unpoisoned().insert(nonce, Vec::new());
        Self { questions, nonce }
    }

    pub(crate) fn nonce(&self) -> u64 {
        self.nonce
    }

    pub(crate) fn answers(&self) -> Vec<Vec<u8>> {
        self.questions.0.lock_unpoisoned().get_mut(&self.nonce).map(std::mem::take).unwrap_or_default()
    }
}

impl Drop for Question<'_> {
    fn drop(&mut self) {
        self.questions.0.lock_unpoisoned().remove(&self.nonce);
    }
}
