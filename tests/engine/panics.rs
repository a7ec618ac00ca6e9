//! A load that panics: everybody gets the panic, nobody hangs, nothing is stored.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use hybridcache::{LoadError, hybrid_cached};
use tokio::task::JoinError;
use tokio::time::Instant;

use crate::world::{World, settle};

#[hybrid_cached(ttl = 60s, key = "{id}", cache = world.cache)]
async fn plain(world: &World, id: u64) -> u64 {
    let number = world.load(id).await;
    assert!(!world.is_failing(), "no {id}");
    number
}

#[hybrid_cached(ttl = 60s, timeout = 20s, key = "{id}", cache = world.cache)]
async fn fallible(world: &World, id: u64) -> Result<u64, LoadError> {
    let number = world.load(id).await;
    if world.is_failing() {
        panic!("static text");
    }
    Ok(number)
}

#[hybrid_cached(ttl = 60s, key = "{id}", cache = world.cache)]
async fn with_any_payload(world: &World, id: u64) -> u64 {
    world.load(id).await;
    std::panic::panic_any(id)
}

tokio::task_local! {
    static TENANT: u64;
}

#[hybrid_cached(ttl = 60s, key = "{id}", cache = world.cache)]
async fn of_the_tenant(world: &World, id: u64) -> u64 {
    world.load(id).await;
    TENANT.get()
}

#[hybrid_cached(ttl = 60s, key = "{id}", cache = world.cache)]
async fn if_there_is_a_tenant(world: &World, id: u64) -> u64 {
    world.load(id).await;
    TENANT.try_with(|tenant| *tenant).map_err(|error| error.to_string()).unwrap()
}

fn message(error: JoinError) -> String {
    match error.into_panic().downcast::<String>() {
        Ok(message) => *message,
        Err(other) => other.downcast_ref::<&str>().expect("a message").to_string(),
    }
}

/// Killed by: an outcome for the caller who started the load only.
#[tokio::test(start_paused = true)]
async fn everybody_gets_the_panic_with_its_message() {
    let world = World::new().await;
    world.hold();
    world.fail(true);
    let callers: Vec<_> = (0..10).map(|_| world.call(|world| async move { plain(&world, 7).await })).collect();
    world.until_loads(1).await;
    world.let_go(1);
    for caller in callers {
        assert_eq!(message(caller.await.unwrap_err()), "no 7");
    }
    assert_eq!(world.loads(), 1);
    world.let_all_go();
    world.fail(false);
    assert_eq!(plain(&world, 7).await, 2, "the next call loads");
}

/// A panic stays one where the function could return an error.
#[tokio::test(start_paused = true)]
async fn a_panic_does_not_turn_into_an_error() {
    let world = World::new().await;
    world.fail(true);
    let callers: Vec<_> = (0..3).map(|_| world.call(|world| async move { fallible(&world, 7).await })).collect();
    for caller in callers {
        assert_eq!(message(caller.await.unwrap_err()), "static text");
    }
}

#[tokio::test(start_paused = true)]
async fn a_payload_that_is_no_text_hangs_nobody() {
    let world = World::new().await;
    world.hold();
    let callers: Vec<_> =
        (0..3).map(|_| world.call(|world| async move { with_any_payload(&world, 7).await })).collect();
    world.until_loads(1).await;
    world.let_go(1);
    for caller in callers {
        assert!(caller.await.unwrap_err().is_panic());
    }
}

#[tokio::test(start_paused = true)]
async fn a_panic_reaches_the_waiters_when_its_caller_went_away() {
    let world = World::new().await;
    world.hold();
    world.fail(true);
    let leader = world.call(|world| async move { plain(&world, 7).await });
    world.until_loads(1).await;
    let joined = world.call(|world| async move { plain(&world, 7).await });
    settle().await;
    leader.abort();
    settle().await;
    world.let_go(1);
    assert_eq!(message(joined.await.unwrap_err()), "no 7");
}

#[derive(Clone, Debug, PartialEq)]
struct Fragile;

#[hybrid_cached(
    ttl = 60s, key = "{id}", tier = memory, cache = world.cache,
    weigh = |_: &Fragile| panic!("cannot be weighed")
)]
async fn fragile(world: &World, id: u64) -> Fragile {
    world.load(id).await;
    Fragile
}

/// What is the user's own code in the engine must not take those down who wait.
#[tokio::test(start_paused = true)]
async fn a_panic_behind_the_load_hangs_nobody() {
    let world = World::new().await;
    world.hold();
    let callers: Vec<_> = (0..3).map(|_| world.call(|world| async move { fragile(&world, 7).await })).collect();
    world.until_loads(1).await;
    world.let_all_go();
    for caller in callers {
        assert!(caller.await.unwrap_err().is_panic());
    }
}

/// Panics when it is cloned, once.
struct Reluctant(Arc<AtomicBool>);

impl Clone for Reluctant {
    fn clone(&self) -> Self {
        assert!(!self.0.swap(false, SeqCst), "not now");
        Self(self.0.clone())
    }
}

#[hybrid_cached(ttl = 60s, key = "{id}", cache = world.cache)]
async fn with_reluctant(world: &World, id: u64, argument: &Reluctant) -> u64 {
    world.load(id).await + u64::from(argument.0.load(SeqCst))
}

/// Killed by: a flight that stays when its leader is dropped.
#[tokio::test(start_paused = true)]
async fn an_argument_that_cannot_be_cloned_leaves_the_key_free() {
    let world = World::new().await;
    let reluctant = Arc::new(AtomicBool::new(true));
    let argument = Reluctant(reluctant.clone());
    let refused = world.call(|world| async move { with_reluctant(&world, 7, &argument).await });
    assert_eq!(message(refused.await.unwrap_err()), "not now");
    let began = Instant::now();
    assert_eq!(with_reluctant(&world, 7, &Reluctant(reluctant)).await, 1);
    assert_eq!(began.elapsed(), Duration::ZERO, "nobody waited");
}

/// Killed by: the panic's own message only.
#[test]
fn a_panic_about_a_task_local_says_why_there_is_none() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    let mut messages = Vec::new();
    let log = hybridcache_test_support::log_of(|| {
        runtime.block_on(async {
            let world = World::new().await;
            let caller = world.call(|world| TENANT.scope(7, async move { of_the_tenant(&world, 7).await }));
            messages.push(message(caller.await.unwrap_err()));
            let caller = world.call(|world| TENANT.scope(7, async move { if_there_is_a_tenant(&world, 8).await }));
            messages.push(message(caller.await.unwrap_err()));
        });
    });
    for message in &messages {
        assert!(message.contains("task-local") && message.contains("pass it as an argument"), "{message}");
    }
    assert_eq!(log.matches("without the task-locals of its caller").count(), 2, "{log}");
}
