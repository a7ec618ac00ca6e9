//! Stands in for moka, whose locks are none of shuttle's. It does what the index counts on, and no more: what has to go is
//! taken out first and the listener told then, and anything can happen in between. (moka holds a lock of the key
//! meanwhile, though not always.) What goes is chosen at random.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use moka::notification::RemovalCause;
use shuttle::rand::{Rng, thread_rng};
use shuttle::sync::Mutex;

type Listener<K, V> = Box<dyn Fn(Arc<K>, V, RemovalCause) + Send + Sync>;

pub(crate) struct Cache<K, V, S> {
    kept: Mutex<Vec<(K, V)>>,
    capacity: usize,
    listener: Listener<K, V>,
    hasher: PhantomData<S>,
}

pub(crate) struct Builder<K, V, S>(Cache<K, V, S>);

impl<K, V, S> Cache<K, V, S> {
    pub(crate) fn builder() -> Builder<K, V, S> {
        let (kept, listener) = (Mutex::default(), Box::new(|_, _, _| {}));
        Builder(Self { kept, capacity: usize::MAX, listener, hasher: PhantomData })
    }
}

impl<K, V, S> Builder<K, V, S> {
    pub(crate) fn eviction_listener(
        mut self,
        listener: impl Fn(Arc<K>, V, RemovalCause) + Send + Sync + 'static,
    ) -> Self {
        self.0.listener = Box::new(listener);
        self
    }

    pub(crate) fn max_capacity(mut self, capacity: u64) -> Self {
        self.0.capacity = capacity as usize;
        self
    }

    pub(crate) fn weigher(self, _: impl Fn(&K, &V) -> u32) -> Self {
        self
    }

    pub(crate) fn build_with_hasher(self, _: S) -> Cache<K, V, S> {
        self.0
    }
}

impl<K: Copy + Eq, V: Copy, S> Cache<K, V, S> {
    pub(crate) fn get(&self, key: &K) -> Option<V> {
        self.kept.lock().unwrap().iter().find(|(kept, _)| kept == key).map(|(_, value)| *value)
    }

    pub(crate) fn insert(&self, key: K, value: V) {
        let replaced = {
            let mut kept = self.kept.lock().unwrap();
            let replaced = take(&mut kept, &key);
            kept.push((key, value));
            replaced
        };
        self.tell(replaced, RemovalCause::Replaced);
        self.run_pending_tasks();
    }

    pub(crate) fn invalidate(&self, key: &K) {
        self.take_out(key, RemovalCause::Explicit);
    }

    /// As if there were no room for it.
    pub(crate) fn evict(&self, key: &K) {
        self.take_out(key, RemovalCause::Size);
    }

    pub(crate) fn run_pending_tasks(&self) {
        while let Some(key) = self.too_many() {
            self.evict(&key);
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (Arc<K>, V)> {
        self.kept.lock().unwrap().clone().into_iter().map(|(key, value)| (Arc::new(key), value))
    }

    fn too_many(&self) -> Option<K> {
        let kept = self.kept.lock().unwrap();
        (kept.len() > self.capacity).then(|| kept[thread_rng().gen_range(0..kept.len())].0)
    }

    fn take_out(&self, key: &K, cause: RemovalCause) {
        let taken = take(&mut self.kept.lock().unwrap(), key);
        self.tell(taken, cause);
    }

    fn tell(&self, taken: Option<(K, V)>, cause: RemovalCause) {
        if let Some((key, value)) = taken {
            shuttle::thread::yield_now();
            (self.listener)(Arc::new(key), value, cause);
        }
    }
}

fn take<K: Eq, V>(kept: &mut Vec<(K, V)>, key: &K) -> Option<(K, V)> {
    kept.iter().position(|(kept, _)| kept == key).map(|at| kept.remove(at))
}

impl<K, V, S> fmt::Debug for Cache<K, V, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache").finish_non_exhaustive()
    }
}
