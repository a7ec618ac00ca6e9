//! Reads and changes stamps. A stamp is stored as 16 lower-case hex digits, never zero. In a function's stamp, a comma
//! and a number follow for each version that uses it. Any other value at its key counts as absent.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join;
use redis::{Cmd, Value, cmd};

use super::channels::Channels;
use super::connection::{millis, unexpected};
use super::links::Links;
use super::messages::Message;
use super::scripts::Step;
use crate::shared::wire::names::{Address, group_of};
use crate::shared::{Fetched, RemoteError, StampName, StampValue, Versions};

/// How many versions of a function one stamp may name. One version more gets a new number, and the stamp then names
/// that version alone.
const MOST_VERSIONS: usize = 64;

/// Reads an entry and the stamps. `get` reads the entry at `key`.
pub(crate) async fn fetch(links: &Links, key: &str, get: Cmd, names: &[StampName]) -> Result<Fetched, RemoteError> {
    if names.is_empty() {
        return fetch_alone(links.at(key)?.ask(get).await);
    }
    // The order of the reads does not matter: the call began before all of them.
    let commands = [(key, get)].into_iter().chain(readings(links, names)).collect();
    let mut replies = links.scatter(commands).await.into_iter();
    let entry = entry_bytes(replies.next().unwrap_or_else(|| Err(unexpected("a pipeline"))))?;
    Ok(Fetched { entry, stamps: values(replies, names.len())? })
}

/// Reads stamps without an entry.
pub(crate) async fn read_all(links: &Links, names: &[StampName]) -> Result<Vec<Option<StampValue>>, RemoteError> {
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let replies = links.scatter(readings(links, names).collect()).await;
    values(replies.into_iter(), names.len())
}

/// The answer to reading an entry without stamps.
pub(crate) fn fetch_alone(reply: Result<Value, RemoteError>) -> Result<Fetched, RemoteError> {
    Ok(Fetched { entry: entry_bytes(reply)?, stamps: Vec::new() })
}

/// Reads a stamp right behind the invalidation of a key, in the same round trip. If another server has the stamp, it is
/// read at the same time.
pub(crate) async fn read_beside(links: &Links, key: &Address, step: Cmd) -> Result<Option<StampValue>, RemoteError> {
    let (there, stamp) = (links.at(key.group())?, links.at(&key.stamp().key));
    let (told, read) = match stamp {
        Ok(stamp) if Arc::ptr_eq(there, stamp) => there.ask_both(step, get(key.stamp())).await?,
        Ok(stamp) => join(there.ask(step), stamp.ask(get(key.stamp()))).await,
        Err(error) => (there.ask(step).await, Err(error)),
    };
    told?;
    stamp_of(read)
}

fn stamp_of(reply: Result<Value, RemoteError>) -> Result<Option<StampValue>, RemoteError> {
    match reply {
        Ok(reply) => Ok(value(&reply)),
        Err(error) if error.message.starts_with("WRONGTYPE") => Ok(None),
        Err(error) => Err(error),
    }
}

/// Removes each stamp and notifies every process. The next process that uses the stamp creates it with a new number: a
/// random number does not come back.
pub(crate) async fn restamp(
    links: &Links,
    names: &[StampName],
    channels: &Channels,
    origin: u64,
) -> Result<(), RemoteError> {
    let mut commands = Vec::new();
    for name in names {
        let (mut unlink, mut publish) = (cmd("UNLINK"), cmd(channels.publish()));
        unlink.arg(&*name.key);
        publish.arg(channels.invalidations(group_of(&name.key))).arg(Message::restamped(origin, name.hash));
        commands.extend([unlink, publish].map(|command| (&*name.key, command)));
    }
    links.scatter(commands).await.into_iter().try_for_each(|reply| reply.map(drop))
}

/// Makes sure that stamps exist, name the version that uses them, and live for `lifetime`. If another process creates
/// the same stamps at the same time, the first one wins, and both processes read its number.
pub(crate) async fn create(
    links: &Links,
    names: &[StampName],
    lifetime: Duration,
    channels: &Channels,
    origin: u64,
) -> Result<Vec<StampValue>, RemoteError> {
    let commands = names.iter().map(|name| (&*name.key, register(name, lifetime, channels, origin))).collect();
    let replies = links.scatter(commands).await.into_iter();
    replies.map(|reply| value(&reply?).ok_or_else(|| unexpected("register"))).collect()
}

fn register(name: &StampName, lifetime: Duration, channels: &Channels, origin: u64) -> Cmd {
    let number = fastrand::u64(1..);
    let mut step = Step::Register.on(&[&*name.key]);
    step.arg(format!("{number:016x}"))
        .arg(millis(lifetime))
        .arg(name.version.map(|version| version.to_string()).unwrap_or_default())
        .arg(MOST_VERSIONS)
        .arg(channels.publish())
        .arg(channels.invalidations(group_of(&name.key)))
        .arg(Message::renumbered(origin, name.hash, number));
    step
}

/// Makes a stamp live for `lifetime` from now, unless it already lives longer.
pub(crate) fn prolong(name: &StampName, lifetime: Duration) -> Cmd {
    let mut prolong = cmd("PEXPIRE");
    prolong.arg(&*name.key).arg(millis(lifetime)).arg("GT");
    prolong
}

/// Reads all stamps in one command, or one by one if they may be in different slots.
fn readings<'a>(links: &Links, names: &'a [StampName]) -> impl Iterator<Item = (&'a str, Cmd)> {
    names.chunks(links.names_at_once().min(names.len())).map(|names| (&*names[0].key, read(names)))
}

fn read(names: &[StampName]) -> Cmd {
    let mut mget = cmd("MGET");
    names.iter().for_each(|name| {
        mget.arg(&*name.key);
    });
    mget
}

fn get(name: &StampName) -> Cmd {
    let mut get = cmd("GET");
    get.arg(&*name.key);
    get
}

/// The answer to reading an entry.
pub(crate) fn entry_bytes(reply: Result<Value, RemoteError>) -> Result<Option<Vec<u8>>, RemoteError> {
    match reply {
        // A range of an absent key is empty. A value of no bytes would be no entry either.
        Ok(Value::BulkString(bytes)) => Ok((!bytes.is_empty()).then_some(bytes)),
        Ok(Value::Nil) => Ok(None),
        // There is a value, and it is no envelope.
        Err(error) if error.message.starts_with("WRONGTYPE") => Ok(Some(Vec::new())),
        Err(error) => Err(error),
        Ok(_) => Err(unexpected("GET")),
    }
}

fn values(
    replies: impl Iterator<Item = Result<Value, RemoteError>>,
    count: usize,
) -> Result<Vec<Option<StampValue>>, RemoteError> {
    let mut read = Vec::with_capacity(count);
    for reply in replies {
        let Value::Array(items) = reply? else { return Err(unexpected("MGET")) };
        read.extend(items.iter().map(value));
    }
    if read.len() == count { Ok(read) } else { Err(unexpected("MGET")) }
}

/// `None` if the value is no stamp.
fn value(item: &Value) -> Option<StampValue> {
    let Value::BulkString(bytes) = item else { return None };
    let text = std::str::from_utf8(bytes).ok()?;
    let (number, versions) = text.split_at_checked(16)?;
    let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    let number = number.bytes().all(is_digit).then(|| u64::from_str_radix(number, 16).ok())??;
    (number != 0).then_some(StampValue { number, versions: named(versions)? })
}

/// Reads `,<version>` for each version. No version is larger than 32 bits.
fn named(versions: &str) -> Option<Versions> {
    let Some(versions) = versions.strip_prefix(',') else { return versions.is_empty().then(Versions::new) };
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    versions.split(',').all(is_number).then(|| versions.split(',').filter_map(|text| text.parse().ok()).collect())
}

#[cfg(test)]
mod tests {
    use redis::Value;

    use crate::shared::{StampValue, Versions};

    /// As other implementations read stamps. Killed by: taking any of what is no stamp for one.
    #[test]
    fn values_stand_on_the_wire_as_specified() {
        let all: serde_json::Value =
            serde_json::from_str(include_str!("../../../../tests/wire/vectors.json")).expect("valid JSON");
        let vectors = all["stamp_values"]["vectors"].as_array().expect("vectors");
        assert!(!vectors.is_empty());
        for vector in vectors {
            let read = vector["read"].as_object().map(|read| {
                let number = u64::from_str_radix(read["number"].as_str().expect("a number"), 16).expect("hex");
                let versions = read["versions"].as_array().expect("versions").iter();
                let versions: Versions = versions.map(|version| version.as_u64().expect("one") as u32).collect();
                StampValue { number, versions }
            });
            let text = vector["value"].as_str().expect("a value");
            assert_eq!(super::value(&Value::BulkString(text.into())), read, "{text:?}");
        }
    }
}
