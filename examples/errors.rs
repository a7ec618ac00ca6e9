//! What callers get when a load fails, hangs or panics, and how a function returns a value that is not to be stored.
//!
//! `cargo run --example errors`. With `HYBRIDCACHE_REDIS_URL` set, over Redis.

use std::panic;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context;
use hybridcache::{HybridCache, LoadError, NoCache, hybrid_cached, no_cache};
use tokio::sync::RwLock;
use tokio::time::timeout;

// ------------------------------------------------------------------------------------------ three kinds of error
//
// Many callers can wait for one load, and it has one error. What each of them gets depends on what that error can do;
// the attribute finds out by itself.

/// 1. It is `Clone`: each caller gets a clone. What cannot be cloned goes into an `Arc`.
#[derive(Clone, Debug, thiserror::Error)]
enum OrderError {
    #[error("the order service failed")]
    Service(#[from] Arc<Unreachable>),
    /// A function with a `timeout` can end in a `LoadError`, which needs a way into its error type: this one.
    #[error(transparent)]
    Load(#[from] LoadError),
}

#[hybrid_cached(timeout = 5s, ttl = 1h, key = "{id}")]
async fn order(service: &Service, id: u64) -> Result<String, OrderError> {
    Ok(service.fetch("order", id).await.map_err(Arc::new)?)
}

/// 2. It is not `Clone`, but it can be made of a `LoadError`, as `anyhow::Error` can and a `thiserror` enum with the variant
///    above: each caller gets a `LoadError::Failed` around the one original, which reads like it. Its type is inside, so
///    a function whose callers tell errors apart by type is better off with the first kind.
#[hybrid_cached(timeout = 5s, ttl = 1h, key = "{id}")]
async fn invoice(service: &Service, id: u64) -> anyhow::Result<String> {
    service.fetch("invoice", id).await.context("no invoice")
}

/// 3. It is neither: the caller who started the load gets it, and the others load for themselves, all at once. Right for
///    a cheap load only. There is no `timeout` here, since no `Unreachable` can be made of a `LoadError`.
#[hybrid_cached(ttl = 1h, key = "{id}")]
async fn parcel(service: &Service, id: u64) -> Result<String, Unreachable> {
    service.fetch("parcel", id).await
}

// ------------------------------------------------------------------------------- values that are not to be stored

#[derive(Debug, thiserror::Error)]
enum ReportError {
    #[error("no such report")]
    Missing,
    #[error(transparent)]
    Service(#[from] Unreachable),
}

/// `Err(NoCache(value))` gives the caller `Ok(value)`, whatever the error type is; no variant for it is needed.
#[hybrid_cached(ttl = 1h, key = "{id}")]
async fn report(service: &Service, id: u64) -> Result<String, ReportError> {
    if id == 0 {
        return Err(ReportError::Missing);
    }
    let report = service.fetch("report", id).await?;
    match report.contains("draft") {
        true => Err(NoCache(report)),
        false => Ok(report),
    }
}

/// The same with `anyhow`.
#[hybrid_cached(ttl = 1h, key = "{id}")]
async fn summary(service: &Service, id: u64) -> anyhow::Result<String> {
    let summary = service.fetch("summary", id).await?;
    anyhow::ensure!(!summary.is_empty(), "an empty summary");
    if summary.contains("draft") {
        return Err(NoCache(summary));
    }
    Ok(summary)
}

/// A function without an error says it with `no_cache()`. Here it returns `None` for "not there" and for "not known", and
/// only the first is worth remembering.
#[hybrid_cached(ttl = 1h, key = "{id}")]
async fn nickname(service: &Service, id: u64) -> Option<String> {
    match service.fetch("nickname", id).await {
        Ok(name) => Some(name).filter(|name| !name.contains("draft")),
        Err(_) => {
            no_cache();
            None
        }
    }
}

// ------------------------------------------------------------------------------------------------------ the story

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let cache = installed().await?;
    let service = Service::default();

    shared_errors(&cache, &service).await?;
    failed_loads(&cache, &service).await?;
    timeouts(&service).await?;
    panics(&cache, &service).await?;
    unstored_values(&service).await
}

async fn shared_errors(cache: &HybridCache, service: &Service) -> anyhow::Result<()> {
    println!("{CALLERS} callers wait for one load, and it fails");
    service.behave(Behaviour::Fail);

    let (errors, requests) = failures(cache, service, |service| async move { order(&service, 1).await }).await;
    println!("   Clone:             {requests:>3} request,  everybody got `{}`", errors[0]);
    assert_eq!(requests, 1);
    assert!(errors.iter().all(|error| matches!(error, OrderError::Service(_))), "each has a clone");

    let (errors, requests) = failures(cache, service, |service| async move { invoice(&service, 1).await }).await;
    println!("   From<LoadError>:   {requests:>3} request,  everybody got `{:#}`", errors[0]);
    assert_eq!(requests, 1);
    for error in &errors {
        assert_eq!(format!("{error:#}"), "no invoice: the service is unreachable", "it reads as the original does");
        assert!(matches!(error.downcast_ref(), Some(LoadError::Failed(_))), "it is shared");
    }

    let (errors, requests) = failures(cache, service, |service| async move { parcel(&service, 1).await }).await;
    println!("   neither:           {requests:>3} requests, everybody got `{}`, of a load of their own", errors[0]);
    assert_eq!((errors.len(), requests), (CALLERS, CALLERS as u64));
    Ok(())
}

async fn failed_loads(cache: &HybridCache, service: &Service) -> anyhow::Result<()> {
    println!("\na failed load is never stored");
    let requests = service.requests();
    assert!(order(service, 2).await.is_err());
    assert!(order(service, 2).await.is_err());
    assert_eq!(service.requests() - requests, 2, "each call tried");
    service.behave(Behaviour::Answer("42 books"));
    println!("   two calls failed, the third got {:?}", order(service, 2).await?);

    println!("\na stale value is better than an error");
    order_entry(2).expire().await?;
    service.behave(Behaviour::Fail);
    let failed = cache.stats().load_errors;
    println!("   the service is down, and a call still gets {:?}", order(service, 2).await?);
    until("a refresh is tried behind its back", || cache.stats().load_errors > failed).await;
    println!("   so does the next, after that refresh has failed: {:?}", order(service, 2).await?);
    Ok(())
}

async fn timeouts(service: &Service) -> anyhow::Result<()> {
    #[hybrid_cached(timeout = 100ms, ttl = 1h, key = "{id}")]
    async fn slow(service: &Service, id: u64) -> Result<String, OrderError> {
        Ok(service.fetch("slow", id).await.map_err(Arc::new)?)
    }

    println!("\na load that hangs ends at its timeout, for all who wait");
    service.behave(Behaviour::Hang);
    let call = |service: Service| async move { slow(&service, 1).await };
    let callers: Vec<_> = (0..CALLERS).map(|_| tokio::spawn(call(service.clone()))).collect();
    for caller in callers {
        let outcome = timeout(PATIENCE, caller).await.context("a caller hangs with the service")?;
        let error = outcome?.expect_err("the service hangs");
        assert!(matches!(error, OrderError::Load(LoadError::TimedOut)), "{error}");
    }
    println!("   {CALLERS} callers got `{}`", LoadError::TimedOut);
    Ok(())
}

async fn panics(cache: &HybridCache, service: &Service) -> anyhow::Result<()> {
    println!("\na load that panics panics in all callers that wait for it, and in no other");
    service.behave(Behaviour::Panic);
    let hook = panic::take_hook();
    panic::set_hook(Box::new(|panic| println!("   one load {}", panic.to_string().replace('\n', " "))));
    let panics = together(cache, service, |service| async move { invoice(&service, 3).await }).await.0;
    panic::set_hook(hook);
    for caller in panics {
        let panic = caller.expect_err("the load panicked").into_panic();
        let message = panic.downcast_ref::<String>().map(String::as_str);
        assert_eq!(message, Some("the service has a bug"));
    }
    service.behave(Behaviour::Answer("10 euros"));
    println!("   all {CALLERS} callers got that panic; the next call got {:?}", invoice(service, 3).await?);
    Ok(())
}

async fn unstored_values(service: &Service) -> anyhow::Result<()> {
    println!("\nvalues that are returned and not stored");
    service.behave(Behaviour::Answer("draft"));
    let requests = service.requests();
    for _ in 0..2 {
        assert_eq!(report(service, 1).await?, "report 1: draft", "an `Ok`");
        assert_eq!(summary(service, 1).await?, "summary 1: draft", "an `Ok`");
    }
    assert_eq!(service.requests() - requests, 4, "none was stored");
    println!("   Err(NoCache(..)), in a thiserror and in an anyhow function: an `Ok`, loaded again each time");
    assert!(matches!(report(service, 0).await, Err(ReportError::Missing)), "other errors stay what they are");

    let requests = service.requests();
    assert_eq!((nickname(service, 1).await, nickname(service, 1).await), (None, None));
    assert_eq!(service.requests() - requests, 1, "a `None` is stored like any value");
    assert_eq!(nickname_entry(1).get().await, Some(None));
    service.behave(Behaviour::Fail);
    assert_eq!((nickname(service, 2).await, nickname(service, 2).await), (None, None));
    assert_eq!(service.requests() - requests, 3, "unless the load called `no_cache()`");
    assert_eq!(nickname_entry(2).get().await, None);
    println!("   no_cache(): a `None` from an unreachable service is not remembered, one from its answer is");
    Ok(())
}

// -------------------------------------------------------------------------------------------------- to try it with

const CALLERS: usize = 100;
const PATIENCE: Duration = Duration::from_secs(4);

/// The cache of all functions here.
async fn installed() -> anyhow::Result<HybridCache> {
    // A namespace of its own, and empty: what another run left in Redis would spoil the counting.
    let mut builder = HybridCache::builder().namespace(format!("errors-{}", std::process::id()));
    if let Ok(url) = std::env::var("HYBRIDCACHE_REDIS_URL") {
        builder = builder.redis(url);
    }
    let cache = builder.build().await?;
    cache.clear().await?;
    cache.install()?;
    Ok(cache)
}

/// What [`together`] gives, where every call must fail.
async fn failures<E, F>(cache: &HybridCache, service: &Service, call: impl Fn(Service) -> F) -> (Vec<E>, u64)
where
    F: Future<Output = Result<String, E>> + Send + 'static,
    E: Send + 'static,
{
    let (outcomes, requests) = together(cache, service, call).await;
    let error = |outcome: Result<Result<String, E>, _>| outcome.expect("no panic").expect_err("the service fails");
    (outcomes.into_iter().map(error).collect(), requests)
}

/// Has many callers make the same call, and lets the service answer only when all of them wait for it. Returns what
/// they got, and how many requests that took.
async fn together<T, F>(
    cache: &HybridCache,
    service: &Service,
    call: impl Fn(Service) -> F,
) -> (Vec<Result<T, tokio::task::JoinError>>, u64)
where
    F: Future<Output = T> + Send + 'static,
    T: Send + 'static,
{
    let (requests, joined) = (service.requests(), cache.stats().joined);
    let held = service.held.write().await;
    let callers: Vec<_> = (0..CALLERS).map(|_| tokio::spawn(call(service.clone()))).collect();
    until("all callers but one join its load", || cache.stats().joined - joined == CALLERS as u64 - 1).await;
    drop(held);
    let mut outcomes = Vec::new();
    for caller in callers {
        outcomes.push(caller.await);
    }
    (outcomes, service.requests() - requests)
}

/// Waits for what must come soon.
async fn until(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "{what}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Another service, over the network. It behaves as it is set to.
#[derive(Clone, Default)]
struct Service {
    behaviour: Arc<Mutex<Behaviour>>,
    requests: Arc<AtomicU64>,
    held: Arc<RwLock<()>>,
}

#[derive(Clone, Copy, Default)]
enum Behaviour {
    #[default]
    Fail,
    Answer(&'static str),
    Hang,
    Panic,
}

/// Not `Clone`, like the errors of most database drivers and clients.
#[derive(Debug, thiserror::Error)]
#[error("the service is unreachable")]
struct Unreachable;

impl Service {
    async fn fetch(&self, what: &str, id: u64) -> Result<String, Unreachable> {
        self.requests.fetch_add(1, Relaxed);
        drop(self.held.read().await);
        let behaviour = *self.behaviour.lock().unwrap_or_else(PoisonError::into_inner);
        match behaviour {
            Behaviour::Fail => Err(Unreachable),
            Behaviour::Answer(answer) => Ok(format!("{what} {id}: {answer}")),
            Behaviour::Hang => std::future::pending().await,
            Behaviour::Panic => panic!("the service has a bug"),
        }
    }

    fn behave(&self, behaviour: Behaviour) {
        *self.behaviour.lock().unwrap_or_else(PoisonError::into_inner) = behaviour;
    }

    fn requests(&self) -> u64 {
        self.requests.load(Relaxed)
    }
}
