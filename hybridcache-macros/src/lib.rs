//! The attribute and the derive of [hybridcache](https://docs.rs/hybridcache). Use them through that crate.

mod cached;
mod derive;
mod errors;
mod evict;
mod input;
mod key;
mod parse;
mod span;

use std::sync::atomic::{AtomicU32, Ordering};

use proc_macro::TokenStream;
use syn::{DeriveInput, parse_macro_input};

/// Makes an `async fn` cached.
///
/// The function is called as before. Its result is stored in memory, and in Redis if the cache has one, under a key made
/// of its arguments. Until the entry expires, calls with the same key return it without running the body. Beside the
/// function the attribute emits `<function>_entry(..)`, which returns the handle of one entry: to invalidate, expire,
/// read or overwrite it.
///
/// ```
/// use hybridcache::{NoCache, hybrid_cached};
///
/// #[derive(Clone)]
/// struct Db;
///
/// #[hybrid_cached(fresh_for = 1m, ttl = 1h, key = "user:{id}", tags = ["org:{org}"])]
/// async fn user(db: &Db, id: u64, org: &str) -> Result<String, std::io::Error> {
///     let name = format!("user {id} of {org}"); // or from `db`
///     if id > 1000 {
///         return Err(NoCache(name)); // the caller gets `Ok(name)`; nothing is stored
///     }
///     Ok(name)
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// user(&Db, 7, "acme").await?; // runs the body
/// user(&Db, 7, "acme").await?; // does not
/// assert_eq!(user_entry(7, "acme").get().await.as_deref(), Some("user 7 of acme"));
/// user_entry(7, "acme").invalidate().await?;
/// hybridcache::invalidate_tag("org:acme").await?;
/// # Ok(()) }
/// ```
///
/// # Options
///
/// | option | form | meaning | default |
/// |---|---|---|---|
/// | `ttl` | duration | after it, the value is gone from every tier | required |
/// | `fresh_for` | duration, or `80%` of `ttl` | until then a hit is fresh; after it, a hit returns the stale value and starts a refresh | `ttl` |
/// | `timeout` | duration | deadline of one load, and of waiting for another caller's load | none |
/// | `refresh_ahead` | `auto`, `20%`, a duration, `xfetch` | in the last part of `fresh_for` a hit starts the refresh, and still gets the fresh value | none |
/// | `soft_timeout` | duration | a stale hit waits that long for its refresh, then takes the stale value | it does not wait |
/// | `err_ttl` | duration | an `Err` (`E: Clone`) is given again for that long, in this process only, without a load | none |
/// | `none_ttl` | duration, or `0s` | lifetime of a stored `None`, also in `Ok(None)`; `0s`: it is not stored | `ttl` |
/// | `jitter` | `10%`, or a duration | by how much `ttl` and `fresh_for` of each entry are shortened at random | none |
/// | `min_cost` | duration | the value of a load that was quicker is not stored | none |
/// | `key` | `"user:{id}"` or an expression | the text that identifies a call | all arguments not in `skip` |
/// | `skip` | `skip(db, self)` | arguments that are not part of the default key | none |
/// | `name` | string literal | the function's name in keys and metrics | its path, in an `impl` with the type and the trait; a function declared inside another body needs a `name` for Redis |
/// | `version` | integer, 32 bits | bump it when the value's type or meaning changes | `0` |
/// | `tags` | `["org:{org}", ..]` | groups of entries that are invalidated together | none |
/// | `tier` | `memory` | memory only: the value needs no serde | memory and the shared tier |
/// | `cache` | expression | which `HybridCache`: an argument, a field of `self`, a static | the installed one |
/// | `weigh` | closure <code>\|value: &T\| usize</code> | size of a value in bytes, for `Memory::bytes` | its encoded length, else its size in memory |
/// | `codec` | `Json`, `Raw`, or another type that implements `Codec` | the format of values in Redis | `MessagePack` |
/// | `compress` | `false` | values are stored in Redis as they are encoded, also where the cache compresses | `true` |
/// | `max_value` | `64kb` (1 kb is 1024 bytes), `1mb`, or an expression of type `usize` | values whose encoding is longer stay in memory | `Builder::value_limit` |
/// | `crate` | path | path of the facade crate | `::hybridcache` |
/// | `entry` | `false` | no entry handle: for trait implementations, where it would not be a member of the trait | `true` |
///
/// **Durations** are literals with the units `ms`, `s`, `m`, `h`, `d`: `250ms`, `20s`, `1.5s`, `1h30m`, up to 100
/// years; or an expression of type [`Duration`](std::time::Duration). Zero, and a `fresh_for`
/// longer than `ttl`, are compile errors for literals and constants; for computed values `fresh_for` is clamped to
/// `ttl`.
///
/// **Keys.** A placeholder of a template names an argument or a field of one, `{order.user_id}`, whose type implements
/// [`Display`](std::fmt::Display). Expressions, tuples of them, and the default key need types that implement `CacheKey`.
/// Values are escaped, so two different lists of values never give the same key. If a key expression consumes an
/// argument, as `id.into_bytes()` does, the argument is cloned on every call. `self` must be in the key or in
/// `skip(self)`.
///
/// # Functions
///
/// Any `async fn`: free functions, associated functions, methods with any kind of `self`, generic functions, functions
/// with `impl Trait` arguments or patterns as arguments, and trait implementations, native or under `#[async_trait]`,
/// with `entry = false`. Put the attribute above `#[instrument]` to trace every call, and below it to trace the loads.
///
/// A load runs in a task of its own, so it owns its arguments: arguments behind a `&` are cloned when a load starts, and
/// never on a hit; arguments by value are moved. They must be `Send + 'static`. An argument that a load cannot own (`&mut
/// T`, `&dyn Trait`, a borrow inside another type) is a compile error that says what to write.
///
/// **Task-locals** of the caller (`tokio::task_local!`) do not exist in a load, since it runs in its own task and serves
/// other callers too: `NAME.with(..)` panics there, `NAME.try_with(..)` returns an `AccessError`. Read the value before the
/// call and pass it as an argument; if the result depends on it, the key has to contain it. The load runs in the tracing
/// span of the call that started it.
///
/// The return type is `Result<T, E>` under any alias: `Ok` is stored, `Err` never is; `Option<T>`: `None` is stored too;
/// or any other `T`. `T` is `Clone + Send + Sync + 'static`, and `Serialize + DeserializeOwned` unless `tier = memory`.
/// With `timeout` the return type is a `Result` whose `E: From<hybridcache::LoadError>`.
///
/// If the function itself (not a closure, an `async` block or a macro in it) returns `Err(NoCache(value))`, every caller
/// gets `Ok(value)`, whatever `E` is, and nothing is stored. In other places `NoCache` would be an ordinary error; there
/// it is a compile error.
///
/// # Panics
///
/// If the body panics: the panic of a load is resumed in each call that waited for the load.
#[proc_macro_attribute]
pub fn hybrid_cached(options: TokenStream, item: TokenStream) -> TokenStream {
    static EXPANSIONS: AtomicU32 = AtomicU32::new(0);
    cached::attribute(options.into(), item.into(), EXPANSIONS.fetch_add(1, Ordering::Relaxed)).into()
}

/// Makes an `async fn` that writes data invalidate the cache entries of that data.
///
/// The cached functions are written as calls with the arguments of their entry handles: the arguments that their `key`,
/// `tags` and `cache` use, in the same order. The compiler checks that they are cached and take these arguments. When the
/// function returns, the entries are removed from memory and from Redis; other processes remove theirs when the message
/// arrives. A load that read the data before the write does not store its result after it.
///
/// ```
/// use hybridcache::{hybrid_cached, hybrid_evict};
///
/// #[hybrid_cached(ttl = 1h, key = "user:{id}", tags = ["org:{org}"])]
/// async fn user(id: u64, org: &str) -> String {
///     format!("user {id} of {org}")
/// }
///
/// #[hybrid_cached(ttl = 1h)]
/// async fn orders(user: u64) -> Vec<u64> {
///     vec![user]
/// }
///
/// struct Order {
///     user: u64,
///     org: String,
/// }
///
/// #[hybrid_evict(orders(order.user), tags = ["org:{order.org}"])]
/// async fn place(order: Order) -> Result<u64, std::io::Error> {
///     Ok(order.user) // or what the database says
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), std::io::Error> {
/// orders(7).await;
/// user(7, "acme").await;
/// place(Order { user: 7, org: "acme".to_owned() }).await?;
/// assert_eq!(orders_entry(7).get().await, None);
/// assert_eq!(user_entry(7, "acme").get().await, None);
/// # Ok(()) }
/// ```
///
/// | in the attribute | form | meaning |
/// |---|---|---|
/// | targets | `user(order.user, &order.org)` or `user_entry(..)`, `users::user(..)`, `Self::user(..)`, `self.user(..)`, `users.user(..)` | the entries of cached functions; any number |
/// | `tags` | `["org:{order.org}", ..]` | groups: templates over the arguments, as `#[hybrid_cached]` takes them |
/// | `when` | `ok` or `always` | `ok` (default): evicts unless the function returned `Err`, under any alias of `Result`. `always`: after an `Err` too |
/// | `cache` | expression | the `HybridCache` of the tags: an argument, a field of `self`, a static; default: the installed one. Each target names its own cache |
/// | `crate` | path | path of the facade crate, if not at `::hybridcache` |
///
/// Name a target in another module by its path, or import its handle too. If the name of a cached function itself ends
/// in `_entry`, name its handle, `.._entry_entry(..)`. A function with `entry = false` has no handle: evict it by a tag.
///
/// **Arguments** of targets are evaluated before the body runs, since the body may consume them. If a target takes an
/// argument by value and the body needs it too, pass a clone. If a key is known only after the write, such as a new row's
/// number, invalidate in the body, with the handle: `user_entry(id, org).invalidate().await`.
///
/// **When it evicts.** An eviction too many costs a load; an eviction too few leaves an old value until its `ttl`. So only
/// `Err` means that nothing was written. `None` does not: a function may return the previous value. A body that panics,
/// or that is dropped while it runs, may have written, so it evicts too; if the database executes the write later than
/// that, a reader can still load and store the old value. A call that was never polled evicts nothing. Put the attribute
/// on the function that commits: after an eviction before the commit, a reader can load and store the old value again.
///
/// **What the caller waits for.** All targets and tags are invalidated concurrently, and the function returns when that is
/// done, so its caller reads what it wrote. If Redis does not answer, this takes about a second at most. If the call is
/// dropped meanwhile, the invalidations continue in a task. Failures do not change the function's result: they are logged
/// as warnings, at most one per second, and counted in `Stats::redis_errors`. In this process the entries are removed in
/// any case; the invalidation is sent to Redis when it answers again, as after any invalidation.
///
/// # Functions
///
/// Any `async fn`: free functions, associated functions, methods with any kind of `self`, generic functions; trait
/// implementations, native or under `#[async_trait]`; beside `#[instrument]`. The signature does not change, and the
/// returned value may borrow. The future holds the returned value (of a `Result` the value in `Ok`) while it evicts, so
/// the future is `Send` if that value is.
///
/// If a function is cached itself and writes in its loads, put this attribute *above* `#[hybrid_cached]`: then its loads
/// evict, and its hits do not.
///
/// # Panics
///
/// If the body or the evaluation of the arguments panics.
#[proc_macro_attribute]
pub fn hybrid_evict(options: TokenStream, item: TokenStream) -> TokenStream {
    evict::attribute(options.into(), item.into()).into()
}

/// Implements `CacheKey` for a struct or an enum, so that its values can be parts of keys.
///
/// Every field is part of the key, and must implement `CacheKey` itself. A struct is written as `(a,b)`, a variant as
/// `Variant` or `Variant(a,b)`. Type parameters get the bound `CacheKey`. If only some fields identify a value, or one is
/// a float, implement the trait by hand.
///
/// ```
/// use hybridcache::{CacheKey, hybrid_cached};
///
/// #[derive(CacheKey)]
/// struct Page {
///     number: u32,
///     order: Order,
/// }
///
/// #[derive(CacheKey)]
/// enum Order {
///     Newest,
///     By(String),
/// }
///
/// #[hybrid_cached(ttl = 1m)]
/// async fn titles(page: Page) -> Vec<String> {
///     vec![format!("page {}", page.number)]
/// }
///
/// let page = Page { number: 2, order: Order::By("title".to_owned()) };
/// assert_eq!(titles_entry(page).key(), "(2,By(title))");
/// # let _ = Order::Newest;
/// ```
///
/// `#[cache_key(crate = path)]` is the path of the facade crate, if it is not `::hybridcache`.
#[proc_macro_derive(CacheKey, attributes(cache_key))]
pub fn derive_cache_key(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    derive::cache_key(&input).unwrap_or_else(syn::Error::into_compile_error).into()
}
