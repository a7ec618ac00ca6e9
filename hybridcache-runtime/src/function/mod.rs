//! The function that a call belongs to.

pub(crate) mod call_key;
pub(crate) mod declared;
pub(crate) mod fit;
pub(crate) mod interned;
pub(crate) mod miss_predictor;
pub(crate) mod sizes;

#[cfg(feature = "inspector")]
use std::any::Any;
use std::any::{TypeId, type_name};
use std::collections::{HashMap, HashSet};
use std::hash::{Hash, Hasher};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock, RwLock};

use crate::coherence::stamps::{SnapshotInterner, Stamp, StampSnapshot};
use crate::function::declared::{Declared, enclosing};
use crate::function::fit::Fit;
use crate::function::miss_predictor::MissPredictor;
use crate::function::sizes::Sizes;
use crate::observe::{Stream, Subject};
use crate::primitives::identity_hash::{AlreadyHashed, FNV_PRIME};
use crate::primitives::sync::{LockExt as _, RwLockExt as _};
#[cfg(feature = "inspector")]
use crate::shared::wire::codec::{CodecFault, Kind, decode_value};
use crate::shared::wire::names::{self, Address};

/// An annotated function: constant data that its expansion embeds.
#[doc(hidden)]
#[derive(Debug)]
pub struct Site {
    /// Identifies the site in this process. Equal for two sites with the same explicit name and version, and for a
    /// function and its entry handle.
    id: u64,
    /// The owner of a name: the site, or the explicit name.
    owner: u64,
    module: &'static str,
    function: &'static str,
    version: u32,
    /// The binary that the function is part of; empty for a library. A package's library and its binary may have the
    /// same name, and so may their functions.
    binary: &'static str,
    /// The compiler's name for a closure in the function. `None`: the user chose the function's name.
    printed: Option<fn() -> &'static str>,
    /// The weight of its entries in memory depends on their size.
    by_size: bool,
}

impl Site {
    /// `nth` distinguishes expansions of one crate: functions that a macro made on one line, for instance. `here` is
    /// any closure in the function.
    pub const fn implicit<F: Copy>(
        module: &'static str,
        file: &'static str,
        binary: &'static str,
        nth: u32,
        function: &'static str,
        version: u32,
        _here: F,
    ) -> Self {
        let id = fnv(fnv(fnv(fnv(FNV_BASIS, module), file), binary), function);
        let id = (id ^ nth as u64).wrapping_mul(FNV_PRIME);
        Self { id, owner: id, module, function, version, binary, printed: Some(type_name::<F>), by_size: false }
    }

    /// A function whose name the user chose.
    pub const fn named(name: &'static str, version: u32) -> Self {
        let owner = fnv(FNV_BASIS, name);
        let id = (owner ^ version as u64).wrapping_mul(FNV_PRIME);
        Self { id, owner, module: "", function: name, version, binary: "", printed: None, by_size: false }
    }

    /// The name that the user chose, for a site made by [`Self::named`].
    pub(crate) fn explicit_name(&self) -> &'static str {
        self.function
    }

    /// For entries whose number and size are chosen by clients.
    #[cfg(feature = "http")]
    pub(crate) const fn by_size(self) -> Self {
        Self { by_size: true, ..self }
    }

    /// The path that encloses the function, as the compiler prints it.
    fn enclosing(&self) -> Option<&'static str> {
        enclosing(self.printed?(), self.function)
    }

    /// An entry handle has a site of its own, and an instantiation can have several. The instantiations of one
    /// associated function have the same id and differ in the enclosing path: `Self` may be generic, and there may be
    /// no receiver that distinguishes them.
    fn is_same(&self, other: &Self) -> bool {
        self.id == other.id && self.enclosing() == other.enclosing()
    }
}

const FNV_BASIS: u64 = 0xcbf2_9ce4_8422_2325;

/// FNV-1a (Fowler, Noll, Vo) over the text and its length: short enough to run at compile time. The text comes from
/// programmers, never from users, so it need not resist collisions made on purpose.
const fn fnv(mut hash: u64, text: &str) -> u64 {
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        hash = (hash ^ bytes[at] as u64).wrapping_mul(FNV_PRIME);
        at += 1;
    }
    (hash ^ bytes.len() as u64).wrapping_mul(FNV_PRIME)
}

/// A type that distinguishes instantiations: by identity here, by name in the shared tier. (Types in two blocks of one
/// function can have the same name.)
#[doc(hidden)]
#[derive(Clone, Copy, Debug)]
pub struct TypeTag {
    id: TypeId,
    name: &'static str,
}

impl PartialEq for TypeTag {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl Eq for TypeTag {}

impl TypeTag {
    pub fn of<T: ?Sized>() -> Self {
        Self { id: typeid::of::<T>(), name: type_name::<T>() }
    }

    /// The tag of a type that has no name in the source.
    pub fn of_value<T: ?Sized>(_: &T) -> Self {
        Self::of::<T>()
    }
}

/// One instantiation of an annotated function.
#[doc(hidden)]
#[derive(Clone, Copy, Debug)]
pub struct Instance<'a> {
    pub site: &'static Site,
    /// `Self` where the function has a receiver.
    pub receiver: Option<TypeTag>,
    /// The types of its generic parameters.
    pub generics: &'a [TypeTag],
}

impl Instance<'_> {
    /// Whether other functions may have the same name on purpose.
    #[inline]
    pub(crate) fn is_named(&self) -> bool {
        self.site.printed.is_none()
    }

    /// The name: `crate::module::function`, `crate::module::Type::function`, `<crate::Type as crate::Trait>::function`,
    /// generics appended; or the explicit name. The flag: whether the name is unambiguous; an explicit name counts as
    /// unambiguous.
    fn name(&self) -> (String, bool) {
        let Site { module, function, .. } = self.site;
        if self.is_named() {
            return (String::from(*function), true);
        }
        let declared = match self.site.enclosing() {
            Some(enclosing) => Declared::new(enclosing, module, self.receiver.is_some()),
            None => Declared { enclosing: String::from(*module), is_unique: false },
        };
        let mut name = format!("{}::{function}", declared.enclosing);
        if !self.generics.is_empty() {
            let generics: Vec<_> = self.generics.iter().map(|generic| generic.name).collect();
            name.push_str(&format!("<{}>", generics.join(",")));
        }
        // All closures of one function have the same name.
        let is_unique = declared.is_unique && !name.contains('{');
        (name, is_unique)
    }
}

/// Hashes the fields that [`Function::is`] compares.
impl Hash for Instance<'_> {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.site.id);
        if let Some(receiver) = &self.receiver {
            receiver.id.hash(state);
        }
        for generic in self.generics {
            generic.id.hash(state);
        }
    }
}

#[cfg(feature = "inspector")]
type Encode = fn(&(dyn Any + Send + Sync), usize, &mut Vec<u8>) -> Result<Kind, CodecFault>;

/// The state of one function in a cache object.
#[derive(Debug)]
pub(crate) struct Function {
    site: &'static Site,
    /// The second site of the function: its handle's, or its own if the handle came first.
    also: OnceLock<&'static Site>,
    receiver: Option<TypeTag>,
    generics: Box<[TypeTag]>,
    /// Zero, unless another function has the same site, receiver and generics: an instantiation that only its path
    /// distinguishes.
    salt: u64,
    namespace: Arc<str>,
    name: Arc<str>,
    name_is: Name,
    /// Changes when the whole function is invalidated.
    pub(crate) stamp: Arc<Stamp>,
    settled: SnapshotInterner,
    /// What happens to it.
    pub(crate) events: Subject,
    /// Its name in metrics.
    label: Arc<str>,
    /// The warning about its name was logged.
    has_warned: AtomicBool,
    /// Encodes its values, where they can be shown.
    #[cfg(feature = "inspector")]
    encode: OnceLock<(u8, Encode)>,
    /// Predicts whether the shared tier has no entry of it.
    pub(crate) miss_predictor: MissPredictor,
    pub(crate) fit: Fit,
    pub(crate) sizes: Sizes,
    /// Its stale hits wait for a refresh that runs (`soft_timeout`).
    pub(crate) waits_for_refresh: AtomicBool,
    /// A load has asked for a previous value of another type, which was logged.
    pub(crate) asked_for_another_type: AtomicBool,
}

/// The owner of a function's name. Only a function that owns its name may use the shared tier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Name {
    Own,
    /// Functions of other processes can have the same name: the function is local to a body.
    Local,
    /// Another function of this process has it.
    Taken,
}

impl Function {
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Its name in metrics: all instantiations of a generic function have one, and so have all functions beyond [`LABELS`].
    pub(crate) fn label(&self) -> &str {
        &self.label
    }

    #[cfg(feature = "inspector")]
    pub(crate) fn learn_encoding(&self, encode: (u8, Encode)) {
        let _ = self.encode.set(encode);
    }

    /// A value as JSON, where that is known how and the value is not longer than `limit` bytes.
    #[cfg(feature = "inspector")]
    pub(crate) fn as_json(&self, value: &(dyn Any + Send + Sync), limit: usize) -> Option<serde_json::Value> {
        const MESSAGE_PACK: u8 = 1;
        const JSON: u8 = 2;
        let ((codec, encode), mut bytes) = (self.encode.get()?, Vec::new());
        match (encode(value, limit, &mut bytes).ok()?, *codec) {
            (Kind::None, _) => Some(serde_json::Value::Null),
            (kind, MESSAGE_PACK) => decode_value(kind, &bytes).ok(),
            (_, JSON) => serde_json::from_slice(&bytes).ok(),
            _ => None,
        }
    }

    /// Whether the weight of an entry in memory depends on its size.
    pub(crate) fn is_by_size(&self) -> bool {
        self.site.by_size
    }

    pub(crate) fn version(&self) -> u32 {
        self.site.version
    }

    pub(crate) fn is_unambiguous(&self) -> bool {
        self.name_is == Name::Own
    }

    /// Warns once that the function is excluded from the shared tier, where it would use it.
    pub(crate) fn warn_of_its_name(&self) {
        if self.has_warned.swap(true, Relaxed) {
            return;
        }
        let why = match self.name_is {
            Name::Own => return,
            Name::Local => {
                "its path does not tell it from others: it is local to a function's body, or one of its types is"
            }
            Name::Taken => "another cached function has this name",
        };
        let message =
            format!("this function is cached in memory only: {why}; give it a name of its own with `name = \"..\"`");
        self.events.warn(true, "ambiguous_name", &message, None);
    }

    /// The value by which its keys' hashes are changed.
    pub(crate) fn salt(&self) -> u64 {
        self.salt
    }

    /// The shared copy of the stamps of a load, for its entry to keep.
    pub(crate) fn settled(&self, seen: &StampSnapshot) -> StampSnapshot {
        self.settled.share(seen)
    }

    /// The place of its entry in the shared tier; `id` and `args` are those of the key.
    pub(crate) fn address(&self, id: u64, args: &str) -> Address {
        Address::with_id((id, self.stamp.name.clone()), &self.namespace, &self.name, self.site.version, args)
    }

    /// The fingerprint of the key in its entry's envelope.
    pub(crate) fn fingerprint(&self, args: &str) -> [u8; 16] {
        let Site { binary, version, .. } = self.site;
        names::fingerprint(&self.namespace, binary, &self.name, *version, args)
    }

    #[inline]
    pub(crate) fn is(&self, instance: &Instance<'_>) -> bool {
        let is_at = |site: &'static Site| std::ptr::eq(site, instance.site);
        // The types are compared first: another instantiation must not become the second site.
        self.has_types_of(instance)
            && (is_at(self.site) || self.also.get().copied().is_some_and(is_at) || self.is_elsewhere(instance.site))
    }

    #[cold]
    fn is_elsewhere(&self, site: &'static Site) -> bool {
        let is_same = self.site.is_same(site);
        if is_same {
            // A third site does not fit in, and is compared each time.
            let _ = self.also.set(site);
        }
        is_same
    }

    #[inline]
    fn has_types_of(&self, instance: &Instance<'_>) -> bool {
        self.receiver == instance.receiver && *self.generics == *instance.generics
    }
}

/// The functions that a cache object has seen. Looked up on a miss only: an entry knows its function.
#[derive(Debug)]
pub(crate) struct Functions {
    namespace: Arc<str>,
    stream: Arc<Stream>,
    /// The names in metrics.
    labels: Mutex<HashSet<Arc<str>>>,
    /// By the id of their site.
    known: RwLock<HashMap<u64, Vec<Arc<Function>>, AlreadyHashed>>,
}

impl Functions {
    pub(crate) fn new(namespace: &Arc<str>, stream: Arc<Stream>) -> Self {
        Self { namespace: namespace.clone(), stream, labels: Mutex::default(), known: RwLock::default() }
    }

    /// The function of a call; `stamp` makes the stamp of a new one from its name.
    pub(crate) fn resolve(&self, instance: &Instance<'_>, stamp: impl FnOnce(&str) -> Arc<Stamp>) -> Arc<Function> {
        let id = instance.site.id;
        let find = |functions: &Vec<Arc<Function>>| functions.iter().find(|function| function.is(instance)).cloned();
        if let Some(function) = self.known.read_unpoisoned().get(&id).and_then(find) {
            return function;
        }
        let mut known = self.known.write_unpoisoned();
        let functions = known.entry(id).or_default();
        if let Some(function) = find(functions) {
            return function;
        }
        let is_variant = functions.iter().any(|function| function.has_types_of(instance));
        let function = Arc::new(self.new_function(instance, is_variant, stamp));
        functions.push(function.clone());
        function
    }

    pub(crate) fn all(&self) -> Vec<Arc<Function>> {
        self.known.read_unpoisoned().values().flatten().cloned().collect()
    }

    fn new_function(
        &self,
        instance: &Instance<'_>,
        is_variant: bool,
        stamp: impl FnOnce(&str) -> Arc<Stamp>,
    ) -> Function {
        let (name, is_unique) = instance.name();
        let name: Arc<str> = name.into();
        let name_is = match is_unique {
            false => Name::Local,
            true if is_first_of_its_name(&name, instance) => Name::Own,
            true => Name::Taken,
        };
        Function {
            site: instance.site,
            also: OnceLock::new(),
            receiver: instance.receiver,
            generics: instance.generics.into(),
            salt: if is_variant { fnv(FNV_BASIS, &name) } else { 0 },
            namespace: self.namespace.clone(),
            name_is,
            stamp: stamp(&name),
            name: name.clone(),
            settled: SnapshotInterner::default(),
            label: self.label(&name, instance),
            events: Subject::of_function(self.stream.clone(), name),
            has_warned: AtomicBool::new(false),
            #[cfg(feature = "inspector")]
            encode: OnceLock::new(),
            miss_predictor: MissPredictor::default(),
            fit: Fit::new(),
            sizes: Sizes::default(),
            waits_for_refresh: AtomicBool::new(false),
            asked_for_another_type: AtomicBool::new(false),
        }
    }
}

/// How many names of functions metrics have at most. What a program makes of its types (functions in generic code, say) must not grow
/// without bound where each name costs a time series.
const LABELS: usize = 512;

/// The name in metrics of all functions beyond [`LABELS`].
const OTHER: &str = "other";

impl Functions {
    fn label(&self, name: &Arc<str>, instance: &Instance<'_>) -> Arc<str> {
        let label = if instance.is_named() { name.clone() } else { without_generics(name).into() };
        let mut labels = self.labels.lock_unpoisoned();
        if labels.len() >= LABELS && !labels.contains(&label) {
            return OTHER.into();
        }
        labels.insert(label.clone());
        label
    }
}

/// `crate::Type<u8>::function<u8>` is `crate::Type::function`; `<crate::Type<u8> as crate::Trait>::function` keeps the brackets that
/// begin it.
fn without_generics(name: &str) -> String {
    let (mut label, mut depth, mut last) = (String::with_capacity(name.len()), 0_usize, ' ');
    for next in name.chars() {
        match next {
            '<' if depth > 0 || last.is_alphanumeric() || last == '_' => depth += 1,
            // `fn(u8) -> u8` as a type
            '>' if depth > 0 && last != '-' => depth -= 1,
            _ if depth == 0 => label.push(next),
            _ => {}
        }
        last = next;
    }
    label
}

/// Functions can have the same name although they are different, such as instantiations for types of one name. The
/// first of them that is called in this process owns the name.
fn is_first_of_its_name(name: &Arc<str>, instance: &Instance<'_>) -> bool {
    type Owner = (u64, Option<TypeTag>, Box<[TypeTag]>);
    static OWNERS: Mutex<Option<HashMap<Arc<str>, Owner>>> = Mutex::new(None);
    let me: Owner = (instance.site.owner, instance.receiver, instance.generics.into());
    let mut owners = OWNERS.lock_unpoisoned();
    *owners.get_or_insert_default().entry(name.clone()).or_insert_with(|| me.clone()) == me
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Killed by: cutting at the first bracket; an arrow that ends a list of types.
    #[test]
    fn the_label_of_a_function_has_no_types_of_its_instantiation() {
        for (name, label) in [
            ("app::user", "app::user"),
            ("app::user<alloc::vec::Vec<u8>,u8>", "app::user"),
            ("app::Shop<u8>::user<fn(u8) -> u8>", "app::Shop::user"),
            ("<app::Shop<u8> as app::Users<u8>>::user<u8>", "<app::Shop as app::Users>::user"),
        ] {
            assert_eq!(without_generics(name), label);
        }
    }

    /// Killed by: no bound; giving a name that has a place to another.
    #[test]
    fn functions_beyond_the_bound_share_one_label() {
        let functions = Functions::new(&"test".into(), Arc::new(Stream::new("test", Default::default())));
        let site = Site::named("f", 0);
        let instance = Instance { site: Box::leak(Box::new(site)), receiver: None, generics: &[] };
        let label = |nth: usize| functions.label(&format!("f{nth}").into(), &instance);
        for nth in 0..LABELS {
            assert_eq!(*label(nth), *format!("f{nth}"));
        }
        assert_eq!(*label(LABELS), *OTHER);
        assert_eq!(*label(7), *"f7");
    }
}
