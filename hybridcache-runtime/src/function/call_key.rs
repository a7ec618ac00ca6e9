//! The identity of a call in this process: the function, and the text of the arguments (which `key/text.rs` writes).

use std::borrow::Cow;
use std::fmt;
use std::hash::{BuildHasher, Hash, Hasher};
use std::ops::Deref;
use std::sync::{Arc, OnceLock};

use crate::function::{Function, Instance};
use crate::key::{KeyBuf, SHORT};
use crate::observe::{EventKind, Keyed};
use crate::shared::leases::Addressed;
use crate::shared::wire::names::{self, Address};

/// The key of one call in one cache object: the function and the canonical text of its arguments.
#[derive(Debug)]
pub(crate) struct Key {
    plain: PlainKey,
    id: u64,
    address: OnceLock<Address>,
}

impl Deref for Key {
    type Target = PlainKey;

    fn deref(&self) -> &PlainKey {
        &self.plain
    }
}

impl Key {
    pub(crate) fn new(plain: PlainKey) -> Self {
        Self { id: plain.id(), plain, address: OnceLock::new() }
    }

    /// The id of the key in messages, the same for all versions of the function.
    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    /// Its place in the shared tier.
    pub(crate) fn address(&self) -> &Address {
        self.address.get_or_init(|| self.function.address(self.id, self.text()))
    }
}

impl Addressed for Key {
    fn address(&self) -> &Address {
        Key::address(self)
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` of `{}`", self.address().readable(), self.function.name())
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.plain == other.plain
    }
}

impl Eq for Key {}

/// The part of a [`Key`] that an entry in memory needs. There may be millions of them.
#[derive(Clone, Debug)]
pub(crate) struct PlainKey {
    hash: u64,
    pub(crate) function: Arc<Function>,
    args: Args,
}

impl PlainKey {
    /// `function` is the one that the lookup's instance was resolved to.
    pub(crate) fn new(lookup: &Lookup<'_>, function: Arc<Function>) -> Self {
        Self { hash: lookup.hash ^ function.salt(), function, args: Args::new(lookup.args) }
    }

    pub(crate) fn args(&self) -> &[u8] {
        self.args.as_bytes()
    }

    /// The seeded hash of the function and the arguments, with the function's salt.
    #[inline]
    pub(crate) fn hash(&self) -> u64 {
        self.hash
    }

    /// Those of a text that does not fit into the key itself.
    pub(crate) fn bytes_on_heap(&self) -> usize {
        match &self.args {
            Args::Short { .. } => 0,
            Args::Long(text) => text.len(),
        }
    }

    fn text(&self) -> &str {
        // The same as `KeyBuf::as_str`.
        str::from_utf8(self.args()).expect("only ASCII is written")
    }

    /// Something has happened to this key.
    pub(crate) fn happened(&self, kind: EventKind<'_>) {
        self.function.events.happened(Some(self), kind);
    }

    /// The fingerprint of the key in its entry's envelope.
    pub(crate) fn fingerprint(&self) -> [u8; 16] {
        self.function.fingerprint(self.text())
    }

    /// The same as [`Key::id`], computed on each call.
    pub(crate) fn id(&self) -> u64 {
        names::id(self.function.name(), self.text())
    }

    /// Whether the lookup is for this key.
    #[inline]
    pub(crate) fn is(&self, lookup: &Lookup<'_>) -> bool {
        self.args.are(lookup.args) && self.function.is(lookup.instance)
    }
}

impl Keyed for PlainKey {
    fn readable(&self) -> Cow<'_, str> {
        names::readable_args(self.text())
    }

    fn id(&self) -> u64 {
        PlainKey::id(self)
    }
}

impl PartialEq for PlainKey {
    fn eq(&self, other: &Self) -> bool {
        self.hash == other.hash && Arc::ptr_eq(&self.function, &other.function) && self.args() == other.args()
    }
}

impl Eq for PlainKey {}

/// The text of the arguments. Most texts are short, and those allocate nothing.
#[derive(Clone, Debug)]
enum Args {
    Short { len: u8, padded: [u8; SHORT] },
    Long(Box<[u8]>),
}

impl Args {
    fn new(key: &KeyBuf) -> Self {
        match u8::try_from(key.as_bytes().len()) {
            Ok(len) if usize::from(len) <= SHORT => Self::Short { len, padded: *key.padded() },
            _ => Self::Long(key.as_bytes().into()),
        }
    }

    fn as_bytes(&self) -> &[u8] {
        match self {
            // `len` never exceeds the array.
            Self::Short { len, padded } => padded.get(..usize::from(*len)).unwrap_or_default(),
            Self::Long(bytes) => bytes,
        }
    }

    #[inline]
    fn are(&self, key: &KeyBuf) -> bool {
        match self {
            // A text of a known size is compared inline, without a call.
            Self::Short { len, padded } => usize::from(*len) == key.len_on_stack() && padded == key.padded(),
            Self::Long(bytes) => **bytes == *key.as_bytes(),
        }
    }
}

/// A [`PlainKey`] that borrows everything: a hit uses it to look in memory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lookup<'a> {
    hash: u64,
    instance: &'a Instance<'a>,
    args: &'a KeyBuf,
}

impl<'a> Lookup<'a> {
    /// The hasher is seeded: users choose the arguments, and must not be able to make keys collide.
    #[inline]
    pub(crate) fn new(instance: &'a Instance<'a>, args: &'a KeyBuf, hashing: &foldhash::fast::RandomState) -> Self {
        let mut hasher = hashing.build_hasher();
        instance.hash(&mut hasher);
        match args.numbers() {
            // Functions that share an explicit name may write the same text from other argument types.
            Some(numbers) if !instance.is_named() => numbers.iter().for_each(|number| hasher.write_u64(*number)),
            _ => hasher.write(args.as_bytes()),
        }
        Self { hash: hasher.finish(), instance, args }
    }

    /// With a chosen hash, to make keys collide.
    #[cfg(test)]
    pub(crate) fn with_hash(self, hash: u64) -> Self {
        Self { hash, ..self }
    }

    pub(crate) fn instance(&self) -> &'a Instance<'a> {
        self.instance
    }

    #[inline]
    pub(crate) fn hash(&self) -> u64 {
        self.hash
    }
}
