//! Which function a call belongs to.

use std::any::{TypeId, type_name};
use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use tracing::warn;

use crate::address::Address;
use crate::forecast::Forecast;
use crate::hashed::{AlreadyHashed, FNV_PRIME};
use crate::stamps::{Seen, Settled, Stamp};
use crate::stats::Counters;

/// Where an annotated function stands: constant data that its expansion embeds.
#[doc(hidden)]
#[derive(Debug)]
pub struct Site {
    /// Tells sites apart in this process. Equal for two sites that give the same explicit name and version.
    id: u64,
    /// Who a name belongs to: the site, or the explicit name.
    owner: u64,
    module: &'static str,
    function: &'static str,
    version: u32,
    explicit: bool,
}

impl Site {
    /// `nth` tells expansions of one crate apart: functions that a macro made on one line, say.
    pub const fn implicit(
        module: &'static str,
        file: &'static str,
        nth: u32,
        function: &'static str,
        version: u32,
    ) -> Self {
        let id = fnv(fnv(fnv(FNV_BASIS, module), file), function);
        let id = (id ^ nth as u64).wrapping_mul(FNV_PRIME);
        Self { id, owner: id, module, function, version, explicit: false }
    }

    /// The user chose the name.
    pub const fn named(name: &'static str, version: u32) -> Self {
        let owner = fnv(FNV_BASIS, name);
        let id = (owner ^ version as u64).wrapping_mul(FNV_PRIME);
        Self { id, owner, module: "", function: name, version, explicit: true }
    }
}

const FNV_BASIS: u64 = 0xcbf2_9ce4_8422_2325;

/// FNV-1a (Fowler, Noll, Vo) over the text and its length: short enough to run at compile time. Programmers choose what
/// goes in, users cannot.
const fn fnv(mut hash: u64, text: &str) -> u64 {
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        hash = (hash ^ bytes[at] as u64).wrapping_mul(FNV_PRIME);
        at += 1;
    }
    (hash ^ bytes.len() as u64).wrapping_mul(FNV_PRIME)
}

/// A type that tells instantiations apart: by identity here, by name in the shared tier. (Types in two blocks of one
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

    /// Of a type that has no name in the source.
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
    /// What its generic parameters are.
    pub generics: &'a [TypeTag],
}

impl Instance<'_> {
    /// Whether others may go by the same name, on purpose.
    #[inline]
    pub(crate) fn is_named(&self) -> bool {
        self.site.explicit
    }

    /// `crate::module::function`, `crate::module::Type::function`, generics appended; or the explicit name.
    fn name(&self) -> String {
        let Site { module, function, explicit, .. } = self.site;
        let mut name = match (explicit, self.receiver) {
            (true, _) => String::from(*function),
            (false, None) => format!("{module}::{function}"),
            (false, Some(receiver)) => format!("{}::{function}", receiver.name),
        };
        if !self.generics.is_empty() {
            let generics: Vec<_> = self.generics.iter().map(|generic| generic.name).collect();
            name.push_str(&format!("<{}>", generics.join(",")));
        }
        name
    }
}

/// What [`Function::is`] compares.
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

/// What a cache object knows of one function.
#[derive(Debug)]
pub(crate) struct Function {
    site: &'static Site,
    receiver: Option<TypeTag>,
    generics: Box<[TypeTag]>,
    namespace: Arc<str>,
    name: Arc<str>,
    /// Whether no other function of this process goes by the same name: only then may it use the shared tier.
    unambiguous: bool,
    /// Changes when the whole function is invalidated.
    pub(crate) stamp: Arc<Stamp>,
    settled: Settled,
    pub(crate) counters: Counters,
    /// Whether the shared tier is likely to have nothing of it.
    pub(crate) forecast: Forecast,
}

impl Function {
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn is_unambiguous(&self) -> bool {
        self.unambiguous
    }

    /// Stamps that a load began under, for its entry to keep.
    pub(crate) fn settled(&self, seen: &Seen) -> Seen {
        self.settled.share(seen)
    }

    /// Where its entry stands in a shared tier; `id` and `args` are of the key.
    pub(crate) fn address(&self, id: u64, args: &str) -> Address {
        Address::with_id(id, &self.namespace, &self.name, self.site.version, args)
    }

    #[inline]
    pub(crate) fn is(&self, instance: &Instance<'_>) -> bool {
        self.site.id == instance.site.id && self.receiver == instance.receiver && *self.generics == *instance.generics
    }
}

/// The functions that a cache object has seen. Asked on a miss only: an entry knows its function.
#[derive(Debug)]
pub(crate) struct Functions {
    namespace: Arc<str>,
    /// By the id of their site.
    known: RwLock<HashMap<u64, Vec<Arc<Function>>, AlreadyHashed>>,
}

impl Functions {
    pub(crate) fn new(namespace: &Arc<str>) -> Self {
        Self { namespace: namespace.clone(), known: RwLock::default() }
    }

    /// The function of a call; `stamp` makes the stamp of a new one from its name.
    pub(crate) fn resolve(&self, instance: &Instance<'_>, stamp: impl FnOnce(&str) -> Arc<Stamp>) -> Arc<Function> {
        let id = instance.site.id;
        let find = |functions: &Vec<Arc<Function>>| functions.iter().find(|function| function.is(instance)).cloned();
        if let Some(function) = self.known.read().unwrap_or_else(PoisonError::into_inner).get(&id).and_then(find) {
            return function;
        }
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let functions = known.entry(id).or_default();
        if let Some(function) = find(functions) {
            return function;
        }
        let function = Arc::new(self.new_function(instance, stamp));
        functions.push(function.clone());
        function
    }

    pub(crate) fn all(&self) -> Vec<Arc<Function>> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).values().flatten().cloned().collect()
    }

    fn new_function(&self, instance: &Instance<'_>, stamp: impl FnOnce(&str) -> Arc<Stamp>) -> Function {
        let name: Arc<str> = instance.name().into();
        Function {
            site: instance.site,
            receiver: instance.receiver,
            generics: instance.generics.into(),
            namespace: self.namespace.clone(),
            unambiguous: is_first_of_its_name(&name, instance),
            stamp: stamp(&name),
            name,
            settled: Settled::default(),
            counters: Counters::default(),
            forecast: Forecast::default(),
        }
    }
}

/// Two associated functions of two types in one module have the same implicit name; a macro cannot see that. The second
/// to be called is found here.
fn is_first_of_its_name(name: &Arc<str>, instance: &Instance<'_>) -> bool {
    type Owner = (u64, Option<TypeTag>, Box<[TypeTag]>);
    static OWNERS: Mutex<Option<HashMap<Arc<str>, Owner>>> = Mutex::new(None);
    let me: Owner = (instance.site.owner, instance.receiver, instance.generics.into());
    let mut owners = OWNERS.lock().unwrap_or_else(PoisonError::into_inner);
    let first = *owners.get_or_insert_default().entry(name.clone()).or_insert_with(|| me.clone()) == me;
    if !first {
        warn!(
            function = &**name,
            "two cached functions have this name: the second is kept apart, in memory only; \
             give each its own with `name = \"..\"`"
        );
    }
    first
}
