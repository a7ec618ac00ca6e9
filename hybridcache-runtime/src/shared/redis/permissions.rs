//! The commands that the tier needs, and the effect on users if one is not permitted. Checked once for each connection,
//! so that an operator sees everything missing at the start and not bit by bit in the errors of calls.

use std::fmt::Write as _;
use std::sync::Mutex;

use redis::{Cmd, Script, Value, cmd};

use super::connection::Connection;
use crate::primitives::sync::LockExt as _;
use crate::shared::{Listeners, RemoteError, RemoteErrorKind};

/// A command, and the effect if it is missing.
#[derive(Clone, Copy, Debug)]
struct Need {
    /// As written in a rule of the server: `get`, `script|load`.
    command: &'static str,
    subject: Subject,
    without: &'static str,
}

/// The kind of name that a command takes: a user's permissions may be limited to some names.
#[derive(Clone, Copy, Debug)]
enum Subject {
    Key,
    Channel,
    Script,
    Nothing,
}

use Subject::{Channel, Key, Nothing};

const NOTHING_IS_READ: &str = "no value is read from Redis";
const NO_MESSAGES: &str = "Redis is not used, since this process would not hear of invalidations";
const NO_STEPS: &str = "no value is stored in Redis, and invalidations stay pending";
const NO_MASTER: &str = "Redis is not used, since its role is not known";
const NO_NODES: &str = "Redis is not used, since its nodes are not known";

/// Needed for any kind of Redis. In the order of the README.
const NEEDS: [Need; 17] = [
    need("get", Key, "no value is stored in Redis, and large ones are not read"),
    need("getrange", Key, NOTHING_IS_READ),
    need("mget", Key, NOTHING_IS_READ),
    need("set", Key, "no value is stored in Redis, and each process loads for itself"),
    need("setrange", Key, "`expire()` deletes the entry"),
    need("append", Key, "processes do not wait for each other's loads"),
    need("rename", Key, "no value of more than 4 KiB is stored in Redis"),
    need("del", Key, "leases are not given back: other processes wait for up to 3 s"),
    need("unlink", Key, "invalidations stay pending, and other processes keep the old value"),
    need("exists", Key, "`expire()` stays pending"),
    need("pexpire", Key, "values of more than 4 KiB live in Redis for 30 s, and long loads lose their lease"),
    need("pttl", Key, "processes do not wait for each other's loads"),
    need(
        "eval",
        Subject::Script,
        "nothing is stored or invalidated when the server has lost its scripts, as after a restart",
    ),
    need("evalsha", Subject::Script, NO_STEPS),
    need("script|load", Nothing, "each script travels with its call"),
    need("time", Nothing, "Redis is not used, since the ages of values are not known"),
    need("info", Nothing, "each reconnection sends again what was invalidated in the last minute"),
];

const ONE_SERVER: [Need; 2] = [need("publish", Channel, NO_MESSAGES), need("subscribe", Channel, NO_MESSAGES)];

const CLUSTER: [Need; 4] = [
    need("spublish", Channel, NO_MESSAGES),
    need("ssubscribe", Channel, NO_MESSAGES),
    need("cluster|slots", Nothing, NO_NODES),
    need("cluster|info", Nothing, NO_NODES),
];

const SENTINEL: [Need; 1] = [need("role", Nothing, NO_MASTER)];

const fn need(command: &'static str, subject: Subject, without: &'static str) -> Need {
    Need { command, subject, without }
}

const SOURCE: &str = include_str!("scripts/permissions.lua");

/// The permissions that one tier's connections need.
#[derive(Debug)]
pub(crate) struct Permissions {
    needs: Vec<Need>,
    /// A key's name as the tier uses it.
    key: String,
    channel: String,
    /// The problem that was logged last: each reconnection finds the same.
    logged: Mutex<String>,
}

impl Permissions {
    pub(crate) fn new(is_sharded: bool, is_watched: bool, group: &str, channel: String) -> Self {
        let messages: &[Need] = if is_sharded { &CLUSTER } else { &ONE_SERVER };
        let role: &[Need] = if is_watched { &SENTINEL } else { &[] };
        let needs = [&NEEDS, messages, role].concat();
        Self { needs, key: format!("{group}:permissions:e"), channel, logged: Mutex::default() }
    }

    /// Logs which commands are missing and does nothing else: features that work without them are used.
    pub(crate) async fn check(&self, wire: &Connection, listener: &Listeners) {
        let problem = match self.ask(wire).await {
            Ok(Value::Array(missing)) if missing.is_empty() => String::new(),
            Ok(Value::Array(missing)) => self.describe(&missing),
            // `redis.acl_check_cmd` is new in Redis 7.0.
            Ok(Value::Nil) => "the server is older than Redis 7.0, which is needed".to_owned(),
            // Neither `eval` nor `evalsha` is permitted, or the server serves nothing now: the next commands report
            // that.
            Err(error) if error.kind == RemoteErrorKind::Refused && error.message.starts_with("NOPERM") => {
                format!("`eval` and `evalsha`: {NO_STEPS} ({error})")
            }
            answer => return tracing::debug!(?answer, "cannot ask Redis which commands are missing"),
        };
        let mut logged = self.logged.lock_unpoisoned();
        if !problem.is_empty() && *logged != problem {
            let what = "Redis lacks commands, or its user lacks the permission to run them (see \"Which Redis\" in the documentation)";
            listener.warned(true, "redis_permissions", what, &problem);
        }
        *logged = problem;
    }

    async fn ask(&self, wire: &Connection) -> Result<Value, RemoteError> {
        let mut eval = cmd("EVAL");
        eval.arg(SOURCE);
        match wire.call_quietly(&self.with_words(eval)).await {
            Err(error) if error.kind == RemoteErrorKind::Refused => {}
            answer => return answer,
        }
        let mut load = cmd("SCRIPT");
        load.arg("LOAD").arg(SOURCE);
        // If it is refused, the next answer shows that.
        let _ = wire.call_quietly(&load).await;
        let mut eval = cmd("EVALSHA");
        eval.arg(Script::new(SOURCE).get_hash());
        wire.call_quietly(&self.with_words(eval)).await
    }

    fn with_words(&self, mut eval: Cmd) -> Cmd {
        eval.arg(0);
        for need in &self.needs {
            let mut words: Vec<&str> = need.command.split('|').collect();
            words.extend(match need.subject {
                // The most names that any of these commands needs to be valid.
                Key => vec![&*self.key, &*self.key],
                Channel => vec![&*self.channel, &*self.channel],
                Subject::Script => vec!["x", "0"],
                Nothing => Vec::new(),
            });
            // The script that it loads.
            if need.command == "script|load" {
                words.push("x");
            }
            eval.arg(words.len());
            words.iter().for_each(|word| {
                eval.arg(word);
            });
        }
        eval
    }

    fn describe(&self, missing: &[Value]) -> String {
        let mut text = String::new();
        for place in missing {
            let Value::Int(place) = place else { continue };
            let need = usize::try_from(place - 1).ok().and_then(|place| self.needs.get(place));
            if let Some(Need { command, without, .. }) = need {
                let _ = write!(text, "Without `{command}` {without}. ");
            }
        }
        text.trim_end().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::super::scripts::SOURCES;
    use super::*;

    /// Killed by: a script that runs one more command.
    #[test]
    fn each_command_of_a_script_is_needed() {
        let all: Vec<_> = [&NEEDS, &ONE_SERVER[..], &CLUSTER, &SENTINEL].concat();
        let mut found = 0;
        for source in SOURCES {
            for call in source.split("call('").skip(1) {
                let command = call.split('\'').next().unwrap_or_default().to_lowercase();
                assert!(all.iter().any(|need| need.command == command), "{command}");
                found += 1;
            }
        }
        assert!(found > 20);
    }
}
