//! The protocol's atomic steps: one Lua script each, beside this file.

use std::sync::LazyLock;

use redis::{Arg, Cmd, Pipeline, Script};

/// One atomic step of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Acquire,
    Renew,
    Release,
    Publish,
    Invalidate,
    Register,
}

/// In the order of [`Step`].
pub(crate) const SOURCES: [&str; 6] = [
    include_str!("acquire.lua"),
    include_str!("renew.lua"),
    include_str!("release.lua"),
    include_str!("publish.lua"),
    include_str!("invalidate.lua"),
    include_str!("register.lua"),
];

/// The scripts, with the hash by which the server knows each.
static SCRIPTS: LazyLock<[Script; 6]> = LazyLock::new(|| SOURCES.map(Script::new));

/// The bytes of the command's name, the script's hash and the numbers.
const FRAME: usize = 80;

/// The most words of most steps.
const WORDS: usize = 12;

impl Step {
    /// The command that runs the step on these keys. The caller appends the arguments. The server usually has the
    /// script.
    pub(crate) fn on<K: AsRef<str>>(self, keys: &[K]) -> Cmd {
        self.with_room(keys, 0)
    }

    /// The same, with room for so many bytes more.
    pub(crate) fn with_room<K: AsRef<str>>(self, keys: &[K], room: usize) -> Cmd {
        let bytes: usize = keys.iter().map(|key| key.as_ref().len()).sum();
        // The arguments take about as many bytes as the keys.
        let mut command = Cmd::with_capacity(WORDS, FRAME + 2 * bytes + room);
        command.arg("EVALSHA").arg(self.hash()).arg(keys.len());
        keys.iter().for_each(|key| {
            command.arg(key.as_ref());
        });
        command
    }

    fn hash(self) -> &'static str {
        SCRIPTS[self as usize].get_hash()
    }
}

/// The same command for a server that has lost the script (a restart, `SCRIPT FLUSH`): it loads the script again.
/// `None` if the command runs none of our scripts.
pub(crate) fn by_source(command: &Cmd) -> Option<Cmd> {
    let mut words = command.args_iter();
    let (Some(Arg::Simple(b"EVALSHA")), Some(Arg::Simple(hash))) = (words.next(), words.next()) else { return None };
    let place = SCRIPTS.iter().position(|script| script.get_hash().as_bytes() == hash)?;
    let mut command = redis::cmd("EVAL");
    command.arg(SOURCES[place]);
    for word in words {
        // A step has no other kind of argument.
        if let Arg::Simple(word) = word {
            command.arg(word);
        }
    }
    Some(command)
}

/// Loads all scripts into the server.
pub(crate) fn load() -> Pipeline {
    let mut pipeline = redis::pipe();
    for source in SOURCES {
        pipeline.cmd("SCRIPT").arg("LOAD").arg(source);
    }
    pipeline
}
