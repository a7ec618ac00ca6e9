//! The arguments of a load. A load runs in its own task, so it must own them.

use std::borrow::Borrow;
use std::fmt;

/// The load's own copy of a `&T` argument, made when a load starts and never on a hit.
///
/// The owned type is erased, so `LoadArg` needs no bounds: a `T` that cannot be copied gives one compile error, where
/// the copy is made.
pub struct LoadArg<T: ?Sized>(Box<dyn Borrow<T> + Send>);

impl<T: ?Sized> LoadArg<T> {
    /// `&str` to `String`, `&[T]` to `Vec<T>`, `&Db` to `Db`.
    pub fn new(argument: &T) -> Self
    where
        T: ToLoad,
    {
        Self(Box::new(argument.to_load()))
    }

    /// The argument as the function's body gets it.
    pub fn get(&self) -> &T {
        (*self.0).borrow()
    }
}

impl<T: ?Sized> fmt::Debug for LoadArg<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LoadArg(..)")
    }
}

/// The bounds of an argument that the function takes by reference.
#[diagnostic::on_unimplemented(
    message = "a load cannot have its own `{Self}`: it must be `Clone + Send + Sync + 'static`",
    label = "cannot be cloned for a load that runs in its own task",
    note = "implement `Clone`, pass an `Arc<{Self}>`, or create it inside the function"
)]
pub trait ToLoad {
    /// The owned copy.
    type Owned: Borrow<Self> + Send + 'static;

    /// Makes the copy.
    fn to_load(&self) -> Self::Owned;
}

#[diagnostic::do_not_recommend]
impl<T: ToOwned<Owned: Send + 'static> + Sync + ?Sized> ToLoad for T {
    type Owned = T::Owned;

    fn to_load(&self) -> T::Owned {
        self.to_owned()
    }
}

/// The bounds of an argument that the function takes by value.
#[diagnostic::on_unimplemented(
    message = "a load cannot take a `{Self}` along: it must be `Send + 'static`",
    label = "cannot be sent to the load's own task",
    note = "use a type that is `Send` (`Arc` in place of `Rc`, `Mutex` in place of `RefCell`), or create it inside the function"
)]
pub trait SendArg: Send + 'static {}
#[diagnostic::do_not_recommend]
impl<T: Send + 'static> SendArg for T {}

/// Checks `SendArg` for a type.
pub const fn sendable<T: SendArg>() {}

/// Checks `SendArg` for the type of a value, where that type has no name.
pub fn sendable_value<T: SendArg>(_: &T) {}
