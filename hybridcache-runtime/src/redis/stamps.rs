//! Reading and changing stamps. One is stored as 16 lower-case hex digits, never zero; whatever else stands at its key
//! counts as absent.

use redis::{Cmd, Value, cmd};

use super::channels::Channels;
use super::links::Links;
use super::messages::Message;
use super::wire::unexpected;
use crate::address::group_of;
use crate::remote::{Fetched, RemoteError, StampName};

/// Reads an entry (`get` is how, `key` where) and the stamps beside it.
pub(crate) async fn fetch(links: &Links, key: &str, get: Cmd, names: &[StampName]) -> Result<Fetched, RemoteError> {
    if names.is_empty() {
        return fetch_alone(links.at(key)?.ask(get).await);
    }
    // Whichever is read first: the call began before both.
    let commands = [(key, get)].into_iter().chain(readings(links, names)).collect();
    let mut replies = links.scatter(commands).await.into_iter();
    let entry = entry_bytes(replies.next().unwrap_or_else(|| Err(unexpected("a pipeline"))))?;
    Ok(Fetched { entry, stamps: values(replies, names.len())? })
}

/// The entry that was read without stamps.
pub(crate) fn fetch_alone(reply: Result<Value, RemoteError>) -> Result<Fetched, RemoteError> {
    Ok(Fetched { entry: entry_bytes(reply)?, stamps: Vec::new() })
}

/// Gives each stamp a new value and tells every process.
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
        publish.arg(channels.invalidations(group_of(&name.key))).arg(&Message::restamped(origin, name.hash));
        // A full server refuses the new value; that the old one is gone voids the entries just as well.
        commands.extend([unlink, write(name), publish].map(|command| (&*name.key, command)));
    }
    let replies = links.scatter(commands).await;
    replies.chunks(3).try_for_each(|replies| match replies {
        [Ok(_), _, Ok(_)] => Ok(()),
        [Err(error), _, _] | [_, _, Err(error)] => Err(error.clone()),
        _ => Err(unexpected("a pipeline")),
    })
}

/// Creates what is absent and reads all. Another process may create the same stamps at the same time: who comes first
/// wins, and both read that.
pub(crate) async fn create(links: &Links, names: &[StampName]) -> Result<Vec<u64>, RemoteError> {
    let mut known = vec![None; names.len()];
    // What is still not there after the first attempt is no stamp, and overwritten.
    for only_absent in [true, false] {
        let absent = names.iter().zip(&known).filter(|(_, value)| value.is_none());
        let writes = absent.map(|(name, _)| {
            let mut write = write(name);
            if only_absent {
                write.arg("NX");
            }
            (&*name.key, write)
        });
        let commands: Vec<_> = writes.chain(readings(links, names)).collect();
        let written = commands.len() - readings(links, names).count();
        let mut replies = links.scatter(commands).await;
        known = values(replies.drain(written..), names.len())?;
        if let Some(stamps) = known.iter().copied().collect() {
            return Ok(stamps);
        }
        replies.into_iter().collect::<Result<Vec<_>, _>>()?;
    }
    Err(unexpected("SET"))
}

/// All at once, or one by one where they may be in different slots.
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

fn write(name: &StampName) -> Cmd {
    let mut set = cmd("SET");
    set.arg(&*name.key).arg(format!("{:016x}", fastrand::u64(1..)));
    set
}

/// The answer to reading an entry.
pub(crate) fn entry_bytes(reply: Result<Value, RemoteError>) -> Result<Option<Vec<u8>>, RemoteError> {
    match reply {
        Ok(Value::BulkString(bytes)) => Ok(Some(bytes)),
        Ok(Value::Nil) => Ok(None),
        // Something is there, and no envelope.
        Err(error) if error.message.starts_with("WRONGTYPE") => Ok(Some(Vec::new())),
        Err(error) => Err(error),
        Ok(_) => Err(unexpected("GET")),
    }
}

fn values(
    replies: impl Iterator<Item = Result<Value, RemoteError>>,
    count: usize,
) -> Result<Vec<Option<u64>>, RemoteError> {
    let mut read = Vec::with_capacity(count);
    for reply in replies {
        let Value::Array(items) = reply? else { return Err(unexpected("MGET")) };
        read.extend(items.iter().map(value));
    }
    if read.len() == count { Ok(read) } else { Err(unexpected("MGET")) }
}

fn value(item: &Value) -> Option<u64> {
    let Value::BulkString(bytes) = item else { return None };
    let is_digit = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    if bytes.len() != 16 || !bytes.iter().all(is_digit) {
        return None;
    }
    let value = u64::from_str_radix(std::str::from_utf8(bytes).ok()?, 16).ok()?;
    (value != 0).then_some(value)
}
