//! Reading and changing stamps. One is stored as 16 lower-case hex digits, never zero; whatever else stands at its key
//! counts as absent.

use redis::{Cmd, Value, cmd};

use super::link::{Link, unexpected};
use super::messages::Message;
use crate::remote::{Fetched, RemoteError, StampName};

/// Reads an entry (`get` is how) and the stamps beside it.
///
/// The entry is read first: a stamp that changes in between makes it void, never valid.
pub(crate) async fn fetch(link: &Link, get: Cmd, names: &[StampName]) -> Result<Fetched, RemoteError> {
    if names.is_empty() {
        return Ok(Fetched { entry: entry_bytes(link.call(&get).await)?, stamps: Vec::new() });
    }
    let mut pipeline = redis::pipe();
    pipeline.add_command(get).add_command(read(names));
    let mut replies = link.pipeline(&pipeline).await?.into_iter();
    let mut next = || replies.next().unwrap_or_else(|| Err(unexpected("a pipeline")));
    let entry = entry_bytes(next())?;
    Ok(Fetched { entry, stamps: values(next()?, names.len())? })
}

/// Gives each stamp a new value and tells every process.
pub(crate) async fn restamp(
    link: &Link,
    names: &[StampName],
    broadcasts: &[u8],
    origin: u64,
) -> Result<(), RemoteError> {
    let mut pipeline = redis::pipe();
    for name in names {
        // A full server refuses the new value; that the old one is gone voids the entries just as well.
        pipeline.cmd("UNLINK").arg(&*name.key);
        pipeline.add_command(write(name));
        pipeline.cmd("PUBLISH").arg(broadcasts).arg(&Message::restamped(origin, name.hash));
    }
    let replies = link.pipeline(&pipeline).await?;
    replies.chunks(3).try_for_each(|replies| match replies {
        [Ok(_), _, Ok(_)] => Ok(()),
        [Err(error), _, _] | [_, _, Err(error)] => Err(error.clone()),
        _ => Err(unexpected("a pipeline")),
    })
}

/// Creates what is absent and reads all. Another process may create the same stamps at the same time: who comes first
/// wins, and both read that.
pub(crate) async fn create(link: &Link, names: &[StampName]) -> Result<Vec<u64>, RemoteError> {
    let mut known = vec![None; names.len()];
    // What is still not there after the first attempt is no stamp, and overwritten.
    for only_absent in [true, false] {
        let mut pipeline = redis::pipe();
        for (name, _) in names.iter().zip(&known).filter(|(_, value)| value.is_none()) {
            let mut write = write(name);
            if only_absent {
                write.arg("NX");
            }
            pipeline.add_command(write);
        }
        pipeline.add_command(read(names));
        let mut replies = link.pipeline(&pipeline).await?;
        let reading = replies.pop().unwrap_or_else(|| Err(unexpected("a pipeline")))?;
        known = values(reading, names.len())?;
        if let Some(stamps) = known.iter().copied().collect() {
            return Ok(stamps);
        }
        replies.into_iter().collect::<Result<Vec<_>, _>>()?;
    }
    Err(unexpected("SET"))
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

fn entry_bytes(reply: Result<Value, RemoteError>) -> Result<Option<Vec<u8>>, RemoteError> {
    match reply {
        Ok(Value::BulkString(bytes)) => Ok(Some(bytes)),
        Ok(Value::Nil) => Ok(None),
        // Something is there, and no envelope.
        Err(error) if error.message.starts_with("WRONGTYPE") => Ok(Some(Vec::new())),
        Err(error) => Err(error),
        Ok(_) => Err(unexpected("GET")),
    }
}

fn values(reply: Value, count: usize) -> Result<Vec<Option<u64>>, RemoteError> {
    match reply {
        Value::Array(items) if items.len() == count => Ok(items.iter().map(value).collect()),
        _ => Err(unexpected("MGET")),
    }
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
