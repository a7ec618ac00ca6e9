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
/// The function is called as before. What it returned is kept in memory, and in Redis where the cache has one, under a
/// key made of its arguments; until it expires, calls with the same key get it without running the body. Beside the
/// function the attribute emits `<function>_entry(..)`, which gives the handle of one entry: to invalidate, expire,
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
/// | `fresh_for` | duration | until then a hit asks nobody; then it returns the stale value and starts a refresh | `ttl` |
/// | `timeout` | duration | deadline of one load, and of waiting for somebody else's | none |
/// | `key` | `"user:{id}"` or an expression | what tells two calls apart | all arguments not in `skip` |
/// | `skip` | `skip(db, self)` | arguments that are no part of the default key | none |
/// | `name` | string literal | the function's name in keys and metrics | its path, in an `impl` with the type and the trait; what is local to a body needs one for Redis |
/// | `version` | integer, 32 bits | bump it when the value's type or meaning changes | `0` |
/// | `tags` | `["org:{org}", ..]` | groups that are invalidated together | none |
/// | `tier` | `memory` | memory only: the value needs no serde | memory and the shared tier |
/// | `cache` | expression | which `HybridCache`: an argument, a field of `self`, a static | the installed one |
/// | `weigh` | closure <code>\|value: &T\| usize</code> | bytes of a value under `Memory::bytes` | its length encoded, else its size |
/// | `crate` | path | where the facade crate is | `::hybridcache` |
/// | `entry` | `false` | no entry handle: for implementations of traits, which have no place for one | `true` |
///
/// **Durations** are written as people write them, in the units `ms`, `s`, `m`, `h`, `d`: `250ms`, `20s`, `1.5s`,
/// `1h30m`, up to 100 years; or as an expression of type [`Duration`](std::time::Duration). Zero, and a `fresh_for`
/// longer than `ttl`, are compile errors for literals and constants; for computed values `fresh_for` is clamped to
/// `ttl`.
///
/// **Keys.** A placeholder of a template names an argument, or fields of one, `{order.user_id}`, and takes what
/// implements [`Display`](std::fmt::Display). Expressions, their tuples, and the default key take what implements
/// `CacheKey`. Values are escaped, so two lists of values never give the same key. An argument by value that a key
/// expression consumes, as `id.into_bytes()` does, is cloned on every call. A `self` must be in the key or in
/// `skip(self)`.
///
/// # Functions
///
/// `async fn` of any kind: free functions, methods, whatever their `self` is, associated functions; generic ones, with
/// `impl Trait` arguments, with patterns for arguments; in implementations of traits, natively or under
/// `#[async_trait]`, with `entry = false`. Put it above `#[instrument]` to trace every call, and below to trace the
/// loads.
///
/// A load runs in a task of its own, so it owns its arguments: those behind a `&` are cloned when a load starts and
/// never on a hit, and those by value are moved. They must be `Send + 'static`. What a load cannot own (`&mut T`, `&dyn
/// Trait`, a borrow inside another type) is a compile error that names the way out.
///
/// It returns `Result<T, E>` under any alias, of which `Ok` is stored and `Err` never is; `Option<T>`, of which `None`
/// is stored too; or any other `T`. `T` is `Clone + Send + Sync + 'static`, and has serde's traits unless `tier =
/// memory`. With `timeout` it returns a `Result` whose `E: From<hybridcache::LoadError>`.
///
/// `Err(NoCache(value))` returned by the function itself (not from a closure, an `async` block or a macro in it) gives
/// every caller `Ok(value)`, whatever `E` is, and stores nothing. Where it would be an ordinary error instead, it is a
/// compile error.
///
/// # Panics
///
/// As the body does: a panic of a load is resumed in each call that waited for it.
#[proc_macro_attribute]
pub fn hybrid_cached(options: TokenStream, item: TokenStream) -> TokenStream {
    static EXPANSIONS: AtomicU32 = AtomicU32::new(0);
    cached::attribute(options.into(), item.into(), EXPANSIONS.fetch_add(1, Ordering::Relaxed)).into()
}

/// Makes an `async fn` that writes invalidate what is cached of what it wrote.
///
/// The cached functions are named as they are called, with the arguments of their entry handle: those that their `key`,
/// `tags` and `cache` use, in their order. That they are cached, and take these arguments, is checked by the compiler.
/// When the function returns, their entries are gone from memory and from Redis, and other processes drop theirs within
/// the time that a message takes. What a load read before that is stored nowhere after it.
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
/// | `when` | `ok` or `always` | `ok`, which is the default: unless the function returned `Err`, under any alias of `Result`. `always`: after an `Err` too |
/// | `cache` | expression | which `HybridCache` has the tags: an argument, a field of `self`, a static; else the installed one. Targets know their own |
/// | `crate` | path | where the facade crate is, if not at `::hybridcache` |
///
/// A target in another module is named by a path, or its handle imported too. A cached function whose own name ends in
/// `_entry` is named by its handle, `.._entry_entry(..)`; one with `entry = false` has none, and is evicted by a tag.
///
/// **Arguments** are evaluated before the body runs, which may consume them. A target that takes an argument by value takes
/// it from the body: pass a clone. What is known only after the write, such as a new row's number, is evicted in the body,
/// by the handle itself: `user_entry(id, org).invalidate().await`.
///
/// **When it evicts.** Too many evictions cost loads, too few leave old values until their `ttl`. So only an `Err` is
/// taken to say that nothing was written: `None` is not, since a function may return what was there before. A body that
/// panics, or whose caller goes away while it runs, may have written, and evicts too; this is the best that can be done,
/// but a write that the database has not carried out by then can still be overtaken by a reader. A call that was never
/// polled evicts nothing. Put the attribute on the function that commits: what is evicted before the commit can be read
/// and cached again from before it.
///
/// **What the caller waits for.** All targets and tags are told at once, and the function returns when that is done, so
/// its caller reads what it wrote. A Redis that does not answer holds it up for about a second at most. A caller who goes
/// away meanwhile stops nothing: what is left to do runs in a task. Failures never show in the function's result: they are
/// logged, as warnings once a second, and counted in `Stats::redis_errors`. This process has forgotten the entries all
/// the same, and tells the others when Redis answers again, as after any invalidation.
///
/// # Functions
///
/// `async fn` of any kind: free functions, methods, whatever their `self` is, associated functions, generic ones; in
/// implementations of traits, natively or under `#[async_trait]`; beside `#[instrument]`. Signatures stay as they are, and
/// what they return may borrow. What the function returned (of a `Result` the value of its `Ok`) is held while it
/// evicts, so its future is `Send` where that is.
///
/// A function that is cached itself and writes in its loads has this attribute *above* `#[hybrid_cached]`: then its loads
/// evict, and its hits do not.
///
/// # Panics
///
/// As the body does, and as the evaluation of the arguments does.
#[proc_macro_attribute]
pub fn hybrid_evict(options: TokenStream, item: TokenStream) -> TokenStream {
    evict::attribute(options.into(), item.into()).into()
}

/// Lets the values of a struct or an enum be parts of keys.
///
/// Every field counts, and must be `CacheKey` itself. A struct is written as `(a,b)`, a variant as `Variant` or
/// `Variant(a,b)`. Type parameters get the bound `CacheKey`. Where only some fields count, or one is a float, write the
/// trait by hand.
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
/// `#[cache_key(crate = path)]` says where the facade crate is, if not at `::hybridcache`.
#[proc_macro_derive(CacheKey, attributes(cache_key))]
pub fn derive_cache_key(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    derive::cache_key(&input).unwrap_or_else(syn::Error::into_compile_error).into()
}
