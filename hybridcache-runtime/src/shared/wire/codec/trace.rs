//! Whether a value that was encoded comes back as it was.
//!
//! Bytes that are the same do not prove it: `'a'` and `"a"`, or `5_u8` and `5_u64`, have the same ones, and serde takes the first
//! variant of an untagged enum that fits. So each value is written once more with what it calls itself. A type that comes
//! back says the same of itself, but for the order of maps and sets, which a hash of their items leaves out.

use serde::Serialize;
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use super::encoder::Encoder;
use super::format::{CodecError, is_map, step_into};

/// Whether the two say the same of themselves. `true` also where `value` does not say the same twice: then nothing can be known.
pub(super) fn is_same<T: Serialize + ?Sized>(value: &T, copy: &T) -> Result<bool, CodecError> {
    let value_first = trace(value)?;
    Ok(hash(&value_first) == hash(&trace(copy)?) || value_first != trace(value)?)
}

fn trace<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, CodecError> {
    let mut bytes = Vec::new();
    value.serialize(&mut Encoder::traced(&mut bytes))?;
    Ok(bytes)
}

/// Of one object.
fn hash(bytes: &[u8]) -> u64 {
    let mut rest = bytes;
    object(&mut rest).unwrap_or_default()
}

/// As deep as values may be, and twice that for what they call themselves.
fn object(rest: &mut &[u8]) -> Result<u64, CodecError> {
    let start = *rest;
    let inner = step_into(rest)?;
    let head = xxh3_64(&start[..start.len() - rest.len()]);
    if !is_map(start) {
        return (0..inner).try_fold(head, |sum, _| Ok(sum.wrapping_add(xxh3_64(&object(rest)?.to_le_bytes()))));
    }
    (0..inner / 2).try_fold(head, |sum, _| {
        let key = object(rest)?;
        Ok(sum.wrapping_add(xxh3_64_with_seed(&object(rest)?.to_le_bytes(), key)))
    })
}
