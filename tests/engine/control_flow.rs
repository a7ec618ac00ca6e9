//! `Err(NoCache(..))` wherever a function's own control flow may have it.
#![allow(
    clippy::let_and_return,
    clippy::needless_return,
    clippy::never_loop,
    clippy::manual_is_multiple_of,
    reason = "the forms are the point"
)]

use hybridcache::{NoCache, hybrid_cached};

use crate::world::World;

type Outcome = Result<u64, String>;

#[hybrid_cached(ttl = 60s, key = "{id}", cache = world.cache)]
async fn in_a_tail(world: &World, id: u64) -> Outcome {
    world.load(id).await;
    Err(NoCache(id))
}

#[hybrid_cached(ttl = 60s, key = "{id}", cache = world.cache)]
async fn in_a_match(world: &World, id: u64) -> Outcome {
    world.load(id).await;
    match id {
        0 => Ok(0),
        1 | 2 => {
            let doubled = id * 2;
            Err(NoCache(doubled / 2))
        }
        _ if id > 100 => return Err(NoCache(id)),
        _ => match id % 2 {
            0 => Err(NoCache(id)),
            _ => Err(NoCache(id)),
        },
    }
}

#[hybrid_cached(ttl = 60s, key = "{id}", cache = world.cache)]
async fn in_an_if(world: &World, id: u64) -> Outcome {
    world.load(id).await;
    if id == 0 {
        Ok(0)
    } else if let 1..10 = id {
        Err(NoCache(id))
    } else {
        (Err(NoCache(id)))
    }
}

#[hybrid_cached(ttl = 60s, key = "{id}", cache = world.cache)]
async fn in_blocks(world: &World, id: u64) -> Outcome {
    world.load(id).await;
    'found: {
        if id == 1 {
            break 'found Err(NoCache(id));
        }
        {
            if id == 2 {
                return Err(NoCache(id));
            }
        }
        let _tried = id;
        {
            let id = id;
            Err(NoCache(id))
        }
    }
}

#[hybrid_cached(ttl = 60s, key = "{id}", cache = world.cache)]
async fn in_loops(world: &World, id: u64) -> Outcome {
    world.load(id).await;
    for tried in 0..3 {
        if tried == id {
            return Err(NoCache(id));
        }
    }
    let mut at = 0;
    while at < 10 {
        at += 1;
        if at == id {
            return Err(NoCache(id));
        }
    }
    'outer: loop {
        loop {
            at += 1;
            if at == id && id % 2 == 0 {
                break 'outer Err(NoCache(id));
            }
            if at > id {
                break;
            }
        }
        break Err(NoCache(id));
    }
}

#[hybrid_cached(ttl = 60s, key = "{id}", cache = world.cache)]
async fn in_let_else(world: &World, id: u64) -> Outcome {
    world.load(id).await;
    let Some(_) = None::<u64> else { return Err(NoCache(id)) };
    Ok(id)
}

#[hybrid_cached(ttl = 60s, key = "{id}", cache = world.cache)]
async fn by_its_path(world: &World, id: u64) -> Outcome {
    world.load(id).await;
    if id % 2 == 0 {
        return Result::Err(hybridcache::NoCache(id));
    }
    Err(hybridcache::NoCache::<u64>(id))
}

#[hybrid_cached(ttl = 60s, key = "{id}", cache = world.cache)]
async fn in_a_binding(world: &World, id: u64) -> Outcome {
    world.load(id).await;
    let outcome = if id == 0 { Ok(0) } else { Err(NoCache(id)) };
    outcome
}

#[tokio::test(start_paused = true)]
async fn nothing_is_stored_wherever_it_stands() {
    let world = World::new().await;
    let mut loads = 0;
    for id in [1, 2, 5, 8, 50, 51, 200] {
        for _ in 0..2 {
            for (name, outcome) in [
                ("in_a_tail", in_a_tail(&world, id).await),
                ("in_a_match", in_a_match(&world, id).await),
                ("in_an_if", in_an_if(&world, id).await),
                ("in_blocks", in_blocks(&world, id).await),
                ("in_loops", in_loops(&world, id).await),
                ("in_let_else", in_let_else(&world, id).await),
                ("by_its_path", by_its_path(&world, id).await),
                ("in_a_binding", in_a_binding(&world, id).await),
            ] {
                assert_eq!(outcome, Ok(id), "{name}");
                loads += 1;
            }
            assert_eq!(world.loads(), loads, "with {id}");
        }
    }
}

/// The function's own error in the same places.
#[hybrid_cached(ttl = 60s, key = "{id}", cache = world.cache)]
async fn mixed(world: &World, id: u64) -> Outcome {
    world.load(id).await;
    let attempt = |id: u64| -> Result<u64, String> { if id == 3 { Err("three".to_owned()) } else { Ok(id) } };
    match id {
        0 => Ok(0),
        1 => Err("one".to_owned()),
        2 => return Err("two".to_owned()),
        _ => Err(NoCache(attempt(id)?)),
    }
}

#[tokio::test(start_paused = true)]
async fn other_errors_stay_errors() {
    let world = World::new().await;
    for _ in 0..2 {
        assert_eq!(mixed(&world, 0).await, Ok(0));
        assert_eq!(mixed(&world, 1).await, Err("one".into()));
        assert_eq!(mixed(&world, 2).await, Err("two".into()));
        assert_eq!(mixed(&world, 3).await, Err("three".into()));
        assert_eq!(mixed(&world, 4).await, Ok(4));
    }
    assert_eq!(world.loads(), 9, "only the first is stored");
}
