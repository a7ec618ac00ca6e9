//! A load that fails: how its error reaches all who joined it, for each kind of error.

use std::error::Error;
use std::fmt;

use hybridcache::{LoadError, SharedError, hybrid_cached};
use tokio::task::JoinHandle;

use crate::world::{World, at_once, pass, secs, settle};

#[derive(Clone, Debug, PartialEq)]
struct Cloned(String);

#[hybrid_cached(ttl = 60s, key = "{id}", cache = world.cache)]
async fn cloned(world: &World, id: u64) -> Result<u64, Cloned> {
    let number = world.load(id).await;
    if world.is_failing() { Err(Cloned(format!("load {number} failed"))) } else { Ok(number) }
}

#[hybrid_cached(ttl = 60s, fresh_for = 10s, key = "{id}", cache = world.cache)]
async fn shared(world: &World, id: u64) -> anyhow::Result<u64> {
    let number = world.load(id).await;
    if world.is_failing() {
        return Err(anyhow::Error::new(Original(number)).context("no value"));
    }
    Ok(number)
}

/// Can neither be cloned nor made of a `LoadError`.
#[derive(Debug, PartialEq)]
pub(crate) struct Original(pub(crate) u64);

impl fmt::Display for Original {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "load {} failed", self.0)
    }
}

impl Error for Original {}

#[hybrid_cached(ttl = 60s, key = "{id}", cache = world.cache)]
async fn owned(world: &World, id: u64) -> Result<u64, Original> {
    let number = world.load(id).await;
    if world.is_failing() { Err(Original(number)) } else { Ok(number) }
}

/// Cannot be cloned, and is made of a `LoadError`.
#[derive(Debug, thiserror::Error)]
enum Row {
    #[error("no row of load {0}")]
    Missing(u64, #[source] Original),
    #[error(transparent)]
    Load(#[from] LoadError),
}

#[hybrid_cached(ttl = 60s, timeout = 20s, key = "{id}", cache = world.cache)]
async fn row(world: &World, id: u64) -> Result<u64, Row> {
    let number = world.load(id).await;
    if world.is_failing() { Err(Row::Missing(number, Original(number))) } else { Ok(number) }
}

#[hybrid_cached(ttl = 60s, timeout = 20s, key = "{id}", cache = world.cache)]
async fn row_for_all(world: &World, id: u64) -> Result<u64, SharedError<Row>> {
    let number = world.load(id).await;
    if world.is_failing() {
        Err(Original(number)).map_err(|source| Row::Missing(number, source))?;
    }
    Ok(number)
}

/// A caller whose load is held, and nine who joined it.
async fn ten<T, Fut>(world: &World, call: impl Fn(World) -> Fut) -> Vec<JoinHandle<T>>
where
    T: Send + 'static,
    Fut: Future<Output = T> + Send + 'static,
{
    world.hold();
    world.fail(true);
    let mut callers = vec![world.call(&call)];
    world.until_loads(1).await;
    callers.extend((1..10).map(|_| world.call(&call)));
    settle().await;
    callers
}

#[tokio::test(start_paused = true)]
async fn a_failed_load_is_not_stored() {
    let world = World::new().await;
    world.fail(true);
    assert_eq!(cloned(&world, 7).await, Err(Cloned("load 1 failed".into())));
    assert_eq!(cloned(&world, 7).await, Err(Cloned("load 2 failed".into())));
    world.fail(false);
    assert_eq!(cloned(&world, 7).await, Ok(3));
    assert_eq!(at_once(cloned(&world, 7)), Ok(3));
}

#[tokio::test(start_paused = true)]
async fn an_error_that_can_be_cloned_is() {
    let world = World::new().await;
    let callers = ten(&world, |world| async move { cloned(&world, 7).await }).await;
    world.let_all_go();
    for caller in callers {
        assert_eq!(caller.await.unwrap(), Err(Cloned("load 1 failed".into())));
    }
    assert_eq!(world.loads(), 1);
}

/// Killed by: a `LoadError` without the source of its original.
#[tokio::test(start_paused = true)]
async fn an_error_that_cannot_be_cloned_is_shared() {
    let world = World::new().await;
    let callers = ten(&world, |world| async move { shared(&world, 7).await }).await;
    world.let_all_go();
    for caller in callers {
        let error = caller.await.unwrap().unwrap_err();
        assert!(matches!(error.downcast_ref(), Some(LoadError::Failed(_))), "{error:?}");
        assert_eq!(error.to_string(), "no value");
        assert_eq!(format!("{error:#}"), "no value: load 1 failed");
        assert_eq!(error.root_cause().downcast_ref(), Some(&Original(1)));
    }
    assert_eq!(world.loads(), 1);
}

/// Killed by: one `LoadError::Failed` for all once somebody has joined.
#[tokio::test(start_paused = true)]
async fn the_caller_that_started_a_load_has_its_own_error_also_where_others_joined() {
    let world = World::new().await;
    let callers = ten(&world, |world| async move { row(&world, 7).await }).await;
    world.let_all_go();
    for (nth, caller) in callers.into_iter().enumerate() {
        match (nth, caller.await.unwrap().unwrap_err()) {
            (0, error) => assert!(matches!(error, Row::Missing(1, Original(1))), "{error:?}"),
            (_, Row::Load(LoadError::Failed(told))) => {
                assert_eq!(told.to_string(), "no row of load 1");
                assert_eq!(format!("{told:?}"), "Missing(1, Original(1))");
                assert_eq!(told.source().unwrap().to_string(), "load 1 failed");
            }
            (_, error) => panic!("{error:?}"),
        }
    }
    assert_eq!(world.loads(), 1);
}

/// The caller who started it is gone: what it would have had is nobody's.
#[tokio::test(start_paused = true)]
async fn waiters_get_the_text_of_the_error_when_the_caller_went_away() {
    let world = World::new().await;
    let callers = ten(&world, |world| async move { row(&world, 7).await }).await;
    callers[0].abort();
    settle().await;
    world.let_all_go();
    for caller in callers.into_iter().skip(1) {
        let error = caller.await.unwrap().unwrap_err();
        assert!(matches!(error, Row::Load(LoadError::Failed(_))), "{error:?}");
        assert_eq!(error.to_string(), "no row of load 1");
    }
    assert_eq!(world.loads(), 1);
}

/// Killed by: an error that is told where it could be shared.
#[tokio::test(start_paused = true)]
async fn a_shared_error_reaches_everybody_as_it_was() {
    let world = World::new().await;
    let callers = ten(&world, |world| async move { row_for_all(&world, 7).await }).await;
    world.let_all_go();
    for caller in callers {
        let error = caller.await.unwrap().unwrap_err();
        assert!(matches!(*error, Row::Missing(1, Original(1))), "{error:?}");
    }
    assert_eq!(world.loads(), 1);
}

/// Also for those who did not join: the time that a load may take is an error like others.
#[tokio::test(start_paused = true)]
async fn a_shared_error_is_made_of_a_load_error() {
    let world = World::new().await;
    world.hold();
    let caller = world.call(|world| async move { row_for_all(&world, 7).await });
    pass(secs(20)).await;
    assert!(matches!(*caller.await.unwrap().unwrap_err(), Row::Load(LoadError::TimedOut)));
}

/// Killed by: a `SharedError` that becomes a `Box<dyn Error>` before it is shared.
#[tokio::test(start_paused = true)]
async fn a_shared_error_of_anyhow_can_be_downcast_by_everybody() {
    let world = World::new().await;
    let callers = ten(&world, |world| async move { anyhow_for_all(&world, 7).await }).await;
    world.let_all_go();
    for caller in callers {
        assert_eq!(caller.await.unwrap().unwrap_err().downcast_ref(), Some(&Original(1)));
    }
}

#[hybrid_cached(ttl = 60s, timeout = 20s, key = "{id}", cache = world.cache)]
async fn anyhow_for_all(world: &World, id: u64) -> Result<u64, SharedError<anyhow::Error>> {
    let number = world.load(id).await;
    if world.is_failing() {
        Err(Original(number))?;
    }
    Err(SharedError::new(anyhow::Error::new(Original(number))))
}

/// Killed by: sharing every error.
#[tokio::test(start_paused = true)]
async fn the_original_comes_out_where_nobody_joined() {
    let world = World::new().await;
    world.fail(true);
    let error = shared(&world, 7).await.unwrap_err();
    assert!(error.downcast_ref::<LoadError>().is_none(), "{error:?}");
    assert_eq!(error.to_string(), "no value");
    assert_eq!(error.downcast_ref(), Some(&Original(1)));
}

/// One that found a stale value did not join the load that somebody asked for beside it.
#[tokio::test(start_paused = true)]
async fn a_stale_hit_joins_nobody() {
    let world = World::new().await;
    shared(&world, 7).await.unwrap();
    pass(secs(10)).await;
    world.hold();
    world.fail(true);
    let refreshed = world.call(|world| async move { hybridcache::refresh(shared(&world, 7)).await });
    world.until_loads(2).await;
    assert_eq!(at_once(shared(&world, 7)).unwrap(), 1);
    settle().await;
    world.let_all_go();
    let error = refreshed.await.unwrap().unwrap_err();
    assert_eq!(error.downcast_ref(), Some(&Original(2)), "nobody joined: {error:?}");
}

/// Killed by: waiters who claim the key again and join each other.
#[tokio::test(start_paused = true)]
async fn with_an_error_that_cannot_be_shared_each_loads_at_once() {
    let world = World::new().await;
    let callers = ten(&world, |world| async move { owned(&world, 7).await }).await;
    world.let_go(1);
    world.until_loads(10).await;
    assert_eq!(world.running(), 9, "side by side");
    world.let_all_go();
    let mut errors = Vec::new();
    for caller in callers {
        errors.push(caller.await.unwrap().unwrap_err().0);
    }
    assert_eq!(errors[0], 1, "the caller who started the load has its error");
    errors.sort_unstable();
    assert_eq!(errors, (1..=10).collect::<Vec<_>>());
}

/// While ten fail side by side another comes: it waits for one load at most, then runs its own.
#[tokio::test(start_paused = true)]
async fn a_later_caller_waits_for_no_queue_of_failing_loads() {
    let world = World::new().await;
    let callers = ten(&world, |world| async move { owned(&world, 7).await }).await;
    world.let_go(1);
    world.until_loads(10).await;
    let late: Vec<_> = (0..5).map(|_| world.call(|world| async move { owned(&world, 7).await })).collect();
    settle().await;
    (2..=10).for_each(|number| world.let_go(number));
    for caller in callers {
        caller.await.unwrap().unwrap_err();
    }
    world.until_loads(15).await;
    assert_eq!(world.running(), 5);
    world.fail(false);
    world.let_all_go();
    for caller in late {
        caller.await.unwrap().unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn with_an_error_that_cannot_be_shared_a_value_still_is() {
    let world = World::new().await;
    let callers = ten(&world, |world| async move { owned(&world, 7).await }).await;
    world.fail(false);
    world.let_all_go();
    for caller in callers {
        assert_eq!(caller.await.unwrap(), Ok(1));
    }
}

#[tokio::test(start_paused = true)]
async fn errors_reach_the_waiters_when_the_caller_went_away() {
    let world = World::new().await;
    let callers = ten(&world, |world| async move { owned(&world, 7).await }).await;
    callers[0].abort();
    settle().await;
    world.let_go(1);
    world.until_loads(10).await;
    world.let_all_go();
    for caller in callers.into_iter().skip(1) {
        assert!(caller.await.unwrap().is_err());
    }
}

#[derive(Debug, thiserror::Error)]
enum AppError {
    #[error("not found")]
    NotFound,
    #[error("app: {0}")]
    Load(#[from] LoadError),
}

#[hybrid_cached(ttl = 60s, key = "{id}", cache = world.cache)]
async fn app(world: &World, id: u64) -> Result<u64, AppError> {
    world.load(id).await;
    Err(AppError::NotFound)
}

#[tokio::test(start_paused = true)]
async fn an_enum_with_a_variant_for_it_is_shared() {
    let world = World::new().await;
    let callers = ten(&world, |world| async move { app(&world, 7).await }).await;
    world.let_all_go();
    for (nth, caller) in callers.into_iter().enumerate() {
        let error = caller.await.unwrap().unwrap_err();
        if nth == 0 {
            assert!(matches!(error, AppError::NotFound), "the caller who started the load: {error:?}");
            continue;
        }
        assert_eq!(error.to_string(), "app: not found");
        assert!(matches!(error, AppError::Load(LoadError::Failed(_))));
    }
    assert!(matches!(app(&world, 7).await, Err(AppError::NotFound)));
}

/// An error need not be `Sync`.
#[derive(Clone, Debug)]
struct NotSync(std::cell::Cell<u64>);

#[hybrid_cached(ttl = 60s, key = "{id}", cache = world.cache)]
async fn not_sync(world: &World, id: u64) -> Result<u64, NotSync> {
    let number = world.load(id).await;
    Err(NotSync(std::cell::Cell::new(number)))
}

#[tokio::test(start_paused = true)]
async fn an_error_need_not_be_sync() {
    let world = World::new().await;
    let callers = ten(&world, |world| async move { not_sync(&world, 7).await.map_err(|error| error.0.get()) }).await;
    world.let_all_go();
    for caller in callers {
        assert_eq!(caller.await.unwrap(), Err(1));
    }
}

/// The bounds that are written decide, not the type that is put in.
#[hybrid_cached(ttl = 60s, key = "{id}", cache = world.cache, entry = false)]
async fn generic<E: From<Cloned> + Send + 'static>(world: &World, id: u64) -> Result<u64, E> {
    let number = world.load(id).await;
    Err(Cloned(format!("load {number} failed")).into())
}

#[tokio::test(start_paused = true)]
async fn a_generic_error_is_shared_as_its_bounds_allow() {
    let world = World::new().await;
    let callers = ten(&world, |world| async move { generic::<Cloned>(&world, 7).await }).await;
    world.let_go(1);
    world.until_loads(10).await;
    world.let_all_go();
    for caller in callers {
        assert!(caller.await.unwrap().is_err());
    }
}
