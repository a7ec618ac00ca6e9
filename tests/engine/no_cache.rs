//! Values that are returned and not stored, whatever the error type is.

use hybridcache::{NoCache, hybrid_cached};

use crate::world::{World, at_once, settle};

#[derive(Debug, thiserror::Error)]
enum AppError {
    #[error("not a number")]
    NotANumber(#[from] std::num::ParseIntError),
    #[error("no such user")]
    NotFound,
}

/// Neither `Clone` nor `Error`.
#[derive(Debug, PartialEq)]
struct Bare(&'static str);

/// What the functions below do with an input: a draft is returned and not stored, `none` is an error of their own, what
/// is no number is one by `?`.
const DRAFT: &str = "-7";

#[hybrid_cached(ttl = 60s, key = "{input}", cache = world.cache)]
async fn with_anyhow(world: &World, input: &str) -> anyhow::Result<i64> {
    world.load(input).await;
    if input == "none" {
        return Err(AppError::NotFound.into());
    }
    let number = input.parse::<i64>()?;
    if number < 0 { Err(NoCache(number)) } else { Ok(number) }
}

#[hybrid_cached(ttl = 60s, key = "{input}", cache = world.cache)]
async fn with_thiserror(world: &World, input: &str) -> Result<i64, AppError> {
    world.load(input).await;
    if input == "none" {
        return Err(AppError::NotFound);
    }
    let number = input.parse::<i64>()?;
    if number < 0 {
        return Err(NoCache(number));
    }
    Ok(number)
}

#[hybrid_cached(ttl = 60s, key = "{input}", cache = world.cache)]
async fn with_bare(world: &World, input: &str) -> Result<i64, Bare> {
    world.load(input).await;
    match input.parse::<i64>().map_err(|_| Bare("no number"))? {
        number @ ..0 => Err(NoCache(number)),
        number => Ok(number),
    }
}

#[hybrid_cached(ttl = 60s, key = "{input}", cache = world.cache)]
async fn with_itself(world: &World, input: &str) -> Result<i64, NoCache<i64>> {
    world.load(input).await;
    let number = input.parse::<i64>().unwrap_or(0);
    if number < 0 { Err(NoCache(number)) } else { Ok(number) }
}

type Fallible<T> = Result<T, AppError>;

#[hybrid_cached(ttl = 60s, key = "{input}", cache = world.cache)]
async fn with_alias(world: &World, input: &str) -> Fallible<i64> {
    world.load(input).await;
    let number = input.parse::<i64>()?;
    if number < 0 { Err(NoCache(number)) } else { Ok(number) }
}

/// Killed by: a mark that nobody looks at.
#[tokio::test(start_paused = true)]
async fn a_marked_value_is_returned_and_not_stored() {
    let world = World::new().await;
    for _ in 0..2 {
        assert_eq!(with_anyhow(&world, DRAFT).await.unwrap(), -7);
        assert_eq!(with_thiserror(&world, DRAFT).await.unwrap(), -7);
        assert_eq!(with_bare(&world, DRAFT).await, Ok(-7));
        assert_eq!(with_itself(&world, DRAFT).await.unwrap(), -7);
        assert_eq!(with_alias(&world, DRAFT).await.unwrap(), -7);
    }
    assert_eq!(world.loads(), 10);
    assert_eq!(with_anyhow_entry(&world, DRAFT).get().await, None);
    assert_eq!(with_itself_entry(&world, DRAFT).get().await, None);
}

#[tokio::test(start_paused = true)]
async fn other_values_are_stored() {
    let world = World::new().await;
    for _ in 0..2 {
        assert_eq!(with_anyhow(&world, "7").await.unwrap(), 7);
        assert_eq!(with_thiserror(&world, "7").await.unwrap(), 7);
        assert_eq!(with_bare(&world, "7").await, Ok(7));
        assert_eq!(with_itself(&world, "7").await.unwrap(), 7);
        assert_eq!(with_alias(&world, "7").await.unwrap(), 7);
    }
    assert_eq!(world.loads(), 5);
}

#[tokio::test(start_paused = true)]
async fn errors_are_what_they_were() {
    let world = World::new().await;
    assert!(matches!(with_anyhow(&world, "none").await.unwrap_err().downcast_ref(), Some(AppError::NotFound)));
    assert!(with_anyhow(&world, "x").await.unwrap_err().is::<std::num::ParseIntError>());
    assert!(matches!(with_thiserror(&world, "none").await, Err(AppError::NotFound)));
    assert!(matches!(with_thiserror(&world, "x").await, Err(AppError::NotANumber(_))));
    assert_eq!(with_bare(&world, "x").await, Err(Bare("no number")));
}

#[tokio::test(start_paused = true)]
async fn all_waiters_get_a_marked_value() {
    let world = World::new().await;
    world.hold();
    let anyhow: Vec<_> =
        (0..10).map(|_| world.call(|world| async move { with_anyhow(&world, DRAFT).await.unwrap() })).collect();
    world.until_loads(1).await;
    let bare: Vec<_> =
        (0..10).map(|_| world.call(|world| async move { with_bare(&world, DRAFT).await.unwrap() })).collect();
    world.until_loads(2).await;
    let itself: Vec<_> =
        (0..10).map(|_| world.call(|world| async move { with_itself(&world, DRAFT).await.unwrap() })).collect();
    world.until_loads(3).await;
    world.let_all_go();
    for caller in anyhow.into_iter().chain(bare).chain(itself) {
        assert_eq!(caller.await.unwrap(), -7);
    }
    assert_eq!(world.loads(), 3);
    assert_eq!(with_bare(&world, DRAFT).await, Ok(-7));
    assert_eq!(world.loads(), 4);
}

/// Killed by: a mark on the load that asked for the marked value.
#[hybrid_cached(ttl = 60s, key = "{input}", cache = world.cache)]
async fn outer(world: &World, input: &str) -> Result<i64, AppError> {
    with_thiserror(world, input).await
}

#[tokio::test(start_paused = true)]
async fn the_mark_is_the_innermost_loads() {
    let world = World::new().await;
    assert_eq!(outer(&world, DRAFT).await.unwrap(), -7);
    assert_eq!(at_once(outer(&world, DRAFT)).unwrap(), -7, "the outer function said nothing of the kind");
    assert_eq!(with_thiserror_entry(&world, DRAFT).get().await, None);
    assert_eq!(world.loads(), 1);
}

/// What the arguments of `NoCache` do comes first: if they fail, nothing is marked and the error is the function's.
#[hybrid_cached(ttl = 60s, key = "{input}", cache = world.cache)]
async fn in_the_argument(world: &World, input: &str) -> Result<i64, AppError> {
    world.load(input).await;
    Err(NoCache(input.parse::<i64>()?))
}

#[tokio::test(start_paused = true)]
async fn the_marked_value_may_be_computed_with_question_marks() {
    let world = World::new().await;
    assert_eq!(in_the_argument(&world, "7").await.unwrap(), 7);
    assert!(matches!(in_the_argument(&world, "x").await, Err(AppError::NotANumber(_))));
}

fn checked(number: i64) -> Result<i64, NoCache<i64>> {
    if number < 0 { Err(NoCache(number)) } else { Ok(number) }
}

/// Where the declared error is `NoCache<T>`, what a helper made is recognised by its type.
#[hybrid_cached(ttl = 60s, key = "{number}", cache = world.cache)]
async fn by_type(world: &World, number: i64) -> Result<i64, NoCache<i64>> {
    world.load(number).await;
    let number = checked(number)?;
    Some(number).filter(|number| *number < 1_000).ok_or_else(|| NoCache(number))
}

#[tokio::test(start_paused = true)]
async fn no_cache_is_recognised_by_type() {
    let world = World::new().await;
    for _ in 0..2 {
        assert_eq!(by_type(&world, -7).await.unwrap(), -7);
        assert_eq!(by_type(&world, 7_000).await.unwrap(), 7_000);
        assert_eq!(by_type(&world, 7).await.unwrap(), 7);
    }
    assert_eq!(world.events(), ["load -7", "load 7000", "load 7", "load -7", "load 7000"]);
}

#[test]
fn no_cache_is_an_error() {
    let error: Box<dyn std::error::Error + Send + Sync> = Box::new(NoCache(7));
    assert!(!error.to_string().is_empty());
    assert_eq!(NoCache(7).into_value().unwrap(), 7);
    assert!(NoCache::<u64>::from(hybridcache::LoadError::TimedOut).into_value().is_err());
}

#[tokio::test(start_paused = true)]
async fn an_older_value_is_left_alone() {
    let world = World::new().await;
    with_bare_entry(&world, DRAFT).put(99).await.unwrap();
    assert_eq!(hybridcache::refresh(with_bare(&world, DRAFT)).await, Ok(-7));
    settle().await;
    assert_eq!(at_once(with_bare(&world, DRAFT)), Ok(99));
}
