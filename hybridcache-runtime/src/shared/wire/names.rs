//! The names in a shared tier: of entries, leases, stages, stamps and channels.
//!
//! The names are part of the wire format: `tests/wire/vectors.json` spells them out for other implementations.
//!
//! A name consists of readable parts. A part is at most 64 bytes long; a part that is longer after it is escaped is
//! replaced by `#` and a hash of its unescaped text. `#` itself is always escaped, so no readable part equals a hashed
//! one. The hash (BLAKE3, 192 bits) is one for which it is infeasible to find two texts.

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use data_encoding::{BASE32_NOPAD, HEXLOWER};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use smallvec::SmallVec;
use xxhash_rust::xxh3::xxh3_64;

/// The greatest length of a readable part, in bytes.
const READABLE: usize = 64;

/// Escaped in a function's name and a tag: `@` ends the one, braces mark the hash slot, `#` a hashed part. Colons
/// stay, which keeps `module::function` readable.
const NAME: &AsciiSet = &CONTROLS.add(b' ').add(b'%').add(b'#').add(b'{').add(b'}').add(b'@');

/// Escaped in a namespace, which a colon ends.
const NAMESPACE: &AsciiSet = &NAME.add(b':');

/// The end of the key of an entry.
const ENTRY: &str = ":e";

/// The bytes of the names beside the named parts.
const FRAME: usize = 16;

/// The names of one key: `hc2:{<namespace>:<bucket>}:<function>@<version>:<args>`, followed by the kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    /// The entry's name: ends with [`ENTRY`].
    entry: String,
    /// The place of the version in `entry`. A colon and the arguments follow it.
    version_at: Range<usize>,
    version: u32,
    id: u64,
    /// The stamp of the function.
    stamp: StampName,
}

impl Address {
    /// `args` is the canonical text of the arguments, `id` the [`id`] of function and arguments, `stamp` the function's
    /// stamp; the other parts are as the user wrote them.
    pub(crate) fn with_id(
        (id, stamp): (u64, StampName),
        namespace: &str,
        function: &str,
        version: u32,
        args: &str,
    ) -> Self {
        let (namespace, function) = (readable(namespace, NAMESPACE), readable(function, NAME));
        let (mut number, args) = (itoa::Buffer::new(), readable_args(args));
        let number = number.format(version);
        let mut entry = String::with_capacity(FRAME + namespace.len() + function.len() + number.len() + args.len());
        push_group(&mut entry, &namespace, "", id);
        let version_at = entry.len() + function.len() + 2;
        for part in [":", &function, "@", number, ":", &args, ENTRY] {
            entry.push_str(part);
        }
        Self { entry, version_at: version_at..version_at + number.len(), version, id, stamp }
    }

    #[cfg(test)]
    pub(crate) fn new(namespace: &str, function: &str, version: u32, args: &str) -> Self {
        let stamp = StampName::of_function(namespace, function);
        Self::with_id((id(function, args), stamp), namespace, function, version, args)
    }

    /// The key of the entry.
    pub(crate) fn entry(&self) -> &str {
        &self.entry
    }

    /// The key of the lease.
    pub(crate) fn lease(&self) -> String {
        [self.base(), ":l"].concat()
    }

    /// The key at which the holder of `token` puts a value before it becomes the entry.
    pub(crate) fn stage(&self, token: &Token) -> String {
        [self.base(), ":s:", &token.digits()].concat()
    }

    fn base(&self) -> &str {
        self.entry.strip_suffix(ENTRY).unwrap_or(&self.entry)
    }

    /// The part of the names by which a cluster places them.
    pub(crate) fn group(&self) -> &str {
        group_of(&self.entry)
    }

    /// The key's id in messages: xxh3-64 of function and arguments, the same for all versions and namespaces.
    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    /// The arguments as they appear in the name.
    pub(crate) fn readable(&self) -> &str {
        &self.base()[self.version_at.end + 1..]
    }

    /// The version of the function.
    pub(crate) fn version(&self) -> u32 {
        self.version
    }

    /// The function's stamp: it names all versions in which the key can have an entry.
    pub(crate) fn stamp(&self) -> &StampName {
        &self.stamp
    }

    /// The same key in another version of the function.
    pub(crate) fn at_version(&self, version: u32) -> Self {
        let Range { start, end } = self.version_at;
        let number = version.to_string();
        let entry = [&self.entry[..start], &number, &self.entry[end..]].concat();
        Self { entry, version_at: start..start + number.len(), version, id: self.id, stamp: self.stamp.clone() }
    }
}

/// Identifies a load: unique for each attempt in the fleet. Also the fence of the entry that the load stores.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Token {
    /// Drawn at random once per cache object.
    pub(crate) process: u64,
    /// Counts up.
    pub(crate) attempt: u64,
}

impl Token {
    /// The form in leases, stages and scripts: [`Self::to_bytes`] in lower-case hex.
    #[cfg_attr(not(feature = "redis"), allow(dead_code, reason = "for the tier"))]
    pub(crate) fn digits(self) -> String {
        HEXLOWER.encode(&self.to_bytes())
    }

    /// The form in an envelope: both halves little endian.
    pub(crate) fn to_bytes(self) -> [u8; 16] {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.process.to_le_bytes());
        bytes[8..].copy_from_slice(&self.attempt.to_le_bytes());
        bytes
    }
}

/// The name of a stamp: a namespace's, a function's or a tag's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StampName {
    /// The stamp's key in the tier.
    pub(crate) key: Arc<str>,
    /// xxh3-64 of its name: the stamp's id in envelopes and messages.
    pub(crate) hash: u64,
    /// For a function's stamp: the version that uses it.
    pub(crate) version: Option<u32>,
}

impl StampName {
    /// The stamp of all entries in a namespace.
    pub(crate) fn of_namespace(namespace: &str) -> Self {
        stamp(namespace, "n", "")
    }

    /// The stamp of all entries of a function, whatever their version.
    pub(crate) fn of_function(namespace: &str, function: &str) -> Self {
        stamp(namespace, "f", function)
    }

    /// The stamp of all entries with a tag. The tag's text is not escaped.
    pub(crate) fn of_tag(namespace: &str, tag: &str) -> Self {
        stamp(namespace, "t", tag)
    }

    /// The same stamp, as one version of the function uses it.
    pub(crate) fn used_by(&self, version: u32) -> Self {
        Self { version: Some(version), ..self.clone() }
    }
}

/// `hc2:{<namespace>:t:<bucket>}:` and `n`, `f:<function>` or `t:<tag>`.
fn stamp(namespace: &str, kind: &str, name: &str) -> StampName {
    let hash = hash_of([kind, name]);
    let group = group(&readable(namespace, NAMESPACE), "t:", hash);
    let key = if kind == "n" { format!("{group}:n") } else { format!("{group}:{kind}:{}", readable(name, NAME)) };
    StampName { key: key.into(), hash, version: None }
}

/// The part of a key's or a stamp's name by which a cluster places it, up to the end of its hash tag:
/// `hc2:{<namespace>:<bucket>}`.
pub(crate) fn group_of(name: &str) -> &str {
    name.find('}').map_or(name, |end| &name[..=end])
}

/// The groups of all keys and stamps of a namespace: 256 of each.
pub(crate) fn groups(namespace: &str) -> Vec<String> {
    let namespace = readable(namespace, NAMESPACE);
    let groups = |kind| {
        let namespace = &namespace;
        (0..=255).map(move |id| group(namespace, kind, id))
    };
    groups("").chain(groups("t:")).collect()
}

/// The group of the keys or stamps (`t:`) whose hash has this lowest byte.
fn group(namespace: &str, kind: &str, hash: u64) -> String {
    let mut group = String::with_capacity(FRAME + namespace.len());
    push_group(&mut group, namespace, kind, hash);
    group
}

/// Appends a group's name. Its bucket is the lowest byte of the hash, in hex: one of 256. All names of one key share
/// it, so that a cluster keeps them in one slot.
fn push_group(name: &mut String, namespace: &str, kind: &str, hash: u64) {
    for part in ["hc2:{", namespace, ":", kind] {
        name.push_str(part);
    }
    HEXLOWER.encode_append(&[hash as u8], name);
    name.push('}');
}

/// The beginning of the names of a namespace's channels on a single server. In a cluster each group has channels of its
/// own, whose names begin with the group's name.
///
/// Keys belong to one database, and channels to the server: all databases but the first have their number in the name.
pub(crate) fn channels(namespace: &str, database: i64) -> String {
    let namespace = readable(namespace, NAMESPACE);
    if database == 0 { format!("hc2:{namespace}") } else { format!("hc2:{namespace}:db{database}") }
}

/// The channel for invalidations. `of` is a namespace's [`channels`], or a group.
pub(crate) fn invalidation_channel(of: &str) -> String {
    [of, ":inv"].concat()
}

/// The part before the [`digits`] of a process's id in the name of its wake-up channel. `of` as above.
pub(crate) fn wake_prefix(of: &str) -> String {
    [of, ":w:"].concat()
}

/// A number in names and messages: 16 lower-case hex digits, most significant first. Everything that is sent is
/// readable in the server's `MONITOR` and in its errors, which quote arguments (and which clients decode as text).
#[cfg_attr(not(feature = "redis"), allow(dead_code, reason = "for the tier"))]
pub(crate) fn digits(number: u64) -> String {
    HEXLOWER.encode(&number.to_be_bytes())
}

/// Reads [`digits`], and no other form.
#[cfg_attr(not(feature = "redis"), allow(dead_code, reason = "for the tier"))]
pub(crate) fn number(digits: &[u8]) -> Option<u64> {
    let mut bytes = [0; 8];
    let length = HEXLOWER.decode_len(digits.len()).ok().filter(|length| *length == bytes.len())?;
    HEXLOWER.decode_mut(digits, bytes.get_mut(..length)?).ok()?;
    Some(u64::from_be_bytes(bytes))
}

fn readable<'a>(text: &'a str, escaped: &'static AsciiSet) -> Cow<'a, str> {
    let readable = Cow::from(utf8_percent_encode(text, escaped));
    if readable.len() <= READABLE { readable } else { hashed(text).into() }
}

/// Arguments are escaped already. If they are not, they are hashed: all bytes that a name shows are safe there.
pub(crate) fn readable_args(args: &str) -> Cow<'_, str> {
    let is_safe = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'{' | b'}' | b'#');
    if args.len() <= READABLE && args.bytes().all(is_safe) { args.into() } else { hashed(args).into() }
}

fn hashed(text: &str) -> String {
    let hash = blake3::hash(text.as_bytes());
    let mut hashed = format!("#{}", BASE32_NOPAD.encode(&hash.as_bytes()[..24]));
    hashed.make_ascii_lowercase();
    hashed
}

/// The id of a key in an entry's envelope: the first 16 bytes of the BLAKE3 hash of all parts of a key, each after its
/// length (4 bytes, little endian). `binary` is the binary that contains a function without an explicit name; otherwise
/// it is empty.
pub(crate) fn fingerprint(namespace: &str, binary: &str, function: &str, version: u32, args: &str) -> [u8; 16] {
    let mut number = itoa::Buffer::new();
    let parts = [namespace, binary, function, number.format(version), args];
    let length = parts.iter().map(|part| 4 + part.len()).sum();
    // Gathered first: to give a hasher ten short pieces takes longer than to hash them.
    let mut text = SmallVec::<[u8; 256]>::with_capacity(length);
    for part in parts {
        text.extend_from_slice(&(part.len() as u32).to_le_bytes());
        text.extend_from_slice(part.as_bytes());
    }
    let mut fingerprint = [0; 16];
    fingerprint.copy_from_slice(&blake3::hash(&text).as_bytes()[..16]);
    fingerprint
}

/// The id of a key in messages, from the function and these arguments.
pub(crate) fn id(function: &str, args: &str) -> u64 {
    hash_of([function, args])
}

/// xxh3-64 of the parts, each after its length: 4 bytes, little endian.
fn hash_of([first, second]: [&str; 2]) -> u64 {
    // A part of 4 GiB or more gets a length that is short by a multiple of 4 GiB: each text still has one hash.
    let length = |part: &str| (part.len() as u32).to_le_bytes();
    let parts = [&length(first)[..], first.as_bytes(), &length(second), second.as_bytes()];
    // Most names are short: they need no allocation.
    let (mut short, mut len) = ([0; 192], 0);
    for part in parts {
        let Some(room) = short.get_mut(len..len + part.len()) else { return xxh3_64(&parts.concat()) };
        room.copy_from_slice(part);
        len += part.len();
    }
    xxh3_64(&short[..len])
}
