//! Checks that an encoded value comes back unchanged.
//!
//! Equal bytes do not prove it: `'a'` and `"a"`, or `5_u8` and `5_u64`, have the same bytes, and serde takes the first
//! variant of an untagged enum that fits. So each value is written once more as a trace, which includes the names that
//! its `Serialize` gives. A value that comes back unchanged has the same trace, except for the order of maps and sets:
//! the hash of their items ignores the order.

use serde::Serialize;
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use super::encoder::Encoder;
use super::format::{CodecFault, is_map, step_into};

/// Whether both have the same trace. Also `true` if `value` has a different trace each time: then nothing can be
/// concluded.
pub(super) fn is_same<T: Serialize + ?Sized>(value: &T, copy: &T) -> Result<bool, CodecFault> {
    let value_first = trace(value)?;
    Ok(hash(&value_first) == hash(&trace(copy)?) || value_first != trace(value)?)
}

fn trace<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, CodecFault> {
    let mut bytes = Vec::new();
    value.serialize(&mut Encoder::traced(&mut bytes))?;
    Ok(bytes)
}

/// The hash of one object.
fn hash(bytes: &[u8]) -> u64 {
    let mut rest = bytes;
    object(&mut rest).unwrap_or_default()
}

/// As deep as values may be nested, and twice that for the names.
fn object(rest: &mut &[u8]) -> Result<u64, CodecFault> {
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
