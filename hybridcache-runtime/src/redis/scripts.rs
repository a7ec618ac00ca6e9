//! The protocol's atomic steps: one Lua script each, beside this file.

use std::sync::LazyLock;

use redis::{Cmd, Pipeline, Script};

/// One atomic step of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Acquire,
    Renew,
    Release,
    Publish,
    Put,
    Invalidate,
}

/// In the order of [`Step`].
const SOURCES: [&str; 6] = [
    include_str!("acquire.lua"),
    include_str!("renew.lua"),
    include_str!("release.lua"),
    include_str!("publish.lua"),
    include_str!("put.lua"),
    include_str!("invalidate.lua"),
];

/// By the name the server knows them under.
static SCRIPTS: LazyLock<[Script; 6]> = LazyLock::new(|| SOURCES.map(Script::new));

impl Step {
    fn source(self) -> &'static str {
        SOURCES[self as usize]
    }

    fn hash(self) -> &'static str {
        SCRIPTS[self as usize].get_hash()
    }
}

/// One run of a step.
#[derive(Clone, Debug)]
pub(crate) struct Invocation {
    step: Step,
    keys: usize,
    /// Keys, then arguments, one behind the other.
    words: Vec<u8>,
    /// Where each word ends.
    ends: Vec<usize>,
}

/// What most words take, and how many there are.
const BYTES: usize = 512;
const WORDS: usize = 12;

impl Invocation {
    pub(crate) fn new(step: Step) -> Self {
        Self { step, keys: 0, words: Vec::with_capacity(BYTES), ends: Vec::with_capacity(WORDS) }
    }

    /// Adds a key. All keys come before the first argument.
    pub(crate) fn key(mut self, key: impl AsRef<[u8]>) -> Self {
        debug_assert_eq!(self.keys, self.ends.len(), "a key after an argument");
        self.keys += 1;
        self.argument(key)
    }

    pub(crate) fn argument(mut self, argument: impl AsRef<[u8]>) -> Self {
        self.words.extend_from_slice(argument.as_ref());
        self.ends.push(self.words.len());
        self
    }

    /// The usual way: the server has the script.
    pub(crate) fn by_hash(&self) -> Cmd {
        self.command("EVALSHA", self.step.hash())
    }

    /// Where the server has lost it (a restart, `SCRIPT FLUSH`): this teaches it anew.
    pub(crate) fn by_source(&self) -> Cmd {
        self.command("EVAL", self.step.source())
    }

    fn command(&self, name: &str, script: &str) -> Cmd {
        let mut command = Cmd::with_capacity(self.ends.len() + 3, self.words.len() + script.len() + 16);
        command.arg(name).arg(script).arg(self.keys);
        let mut start = 0;
        for &end in &self.ends {
            command.arg(&self.words[start..end]);
            start = end;
        }
        command
    }
}

/// Loads all scripts into the server.
pub(crate) fn load() -> Pipeline {
    let mut pipeline = redis::pipe();
    for source in SOURCES {
        pipeline.cmd("SCRIPT").arg("LOAD").arg(source);
    }
    pipeline
}
