//! Memory is bounded, over all functions of a cache together.

use hybridcache::{Memory, hybrid_cached};

use crate::world::{World, pass, secs};

#[hybrid_cached(ttl = 60s, key = "{id}", cache = world.cache)]
async fn small(world: &World, id: u64) -> u64 {
    world.load("small").await;
    id
}

#[hybrid_cached(ttl = 60s, key = "{id}", cache = world.cache)]
async fn text(world: &World, id: u64) -> String {
    world.load("text").await;
    id.to_string()
}

#[hybrid_cached(ttl = 60s, key = "{id}", weigh = |bytes: &Vec<u8>| bytes.len(), cache = world.cache)]
async fn bytes(world: &World, id: u64, length: usize) -> Vec<u8> {
    world.load(id).await;
    vec![id as u8; length]
}

#[hybrid_cached(ttl = 60s, key = "{id}", weigh = |bytes: &Vec<u8>| bytes.len(), cache = world.cache)]
async fn fallible_bytes(world: &World, id: u64, length: usize) -> Result<Vec<u8>, String> {
    world.load(id).await;
    Ok(vec![id as u8; length])
}

#[hybrid_cached(ttl = 60s, key = "{id}", tier = memory, cache = world.cache)]
async fn array(world: &World, id: u64) -> [u8; 4_000] {
    world.load(id).await;
    [id as u8; 4_000]
}

#[hybrid_cached(ttl = 60s, key = "{key}", cache = world.cache)]
async fn with_long_key(world: &World, key: String) -> u64 {
    world.load("long").await;
    key.len() as u64
}

#[tokio::test(start_paused = true)]
async fn entries_are_bounded_over_all_functions() {
    let world = World::with(Memory::entries(100)).await;
    for id in 0..1_000 {
        assert_eq!(small(&world, id).await, id);
        assert_eq!(text(&world, id).await, id.to_string());
    }
    let held = world.cache.memory_entries();
    assert!((90..=100).contains(&held), "{held}");
    assert_eq!(world.cache.stats().evictions, 2_000 - held);
}

#[tokio::test(start_paused = true)]
async fn what_was_evicted_is_loaded_again() {
    let world = World::with(Memory::entries(10)).await;
    for _ in 0..3 {
        for id in 0..100 {
            assert_eq!(small(&world, id).await, id);
        }
    }
    // What is asked for here makes room first, of which otherwise loads take care, some at a time.
    let entries = world.cache.memory_entries();
    assert!((1..=10).contains(&entries), "{entries}");
    let mut held = 0;
    for id in 0..100 {
        let had = small_entry(&world, id).get().await;
        assert!(had.is_none_or(|value| value == id));
        held += u64::from(had.is_some());
    }
    assert_eq!(held, entries);
}

#[tokio::test(start_paused = true)]
async fn one_entry_is_enough_room_for_one() {
    let world = World::with(Memory::entries(1)).await;
    small(&world, 7).await;
    small(&world, 7).await;
    assert_eq!(world.loads(), 1);
}

/// Killed by: weights that leave out the value.
#[tokio::test(start_paused = true)]
async fn bytes_are_bounded_by_what_values_weigh() {
    let world = World::with(Memory::bytes(100_000)).await;
    for id in 0..50 {
        bytes(&world, id, 10_000).await;
        fallible_bytes(&world, id, 10_000).await.unwrap();
    }
    let held = world.cache.memory_entries();
    assert!((8..=9).contains(&held), "{held} of 10,000 bytes and some each");
}

#[tokio::test(start_paused = true)]
async fn unweighed_values_count_as_large_as_their_type() {
    let world = World::with(Memory::bytes(100_000)).await;
    for id in 0..100 {
        array(&world, id).await;
    }
    let held = world.cache.memory_entries();
    assert!((20..=24).contains(&held), "{held} of 4,200 bytes each");
}

/// Killed by: weights that leave out keys and bookkeeping.
#[tokio::test(start_paused = true)]
async fn keys_and_bookkeeping_weigh_too() {
    let world = World::with(Memory::bytes(100_000)).await;
    for id in 0..1_000 {
        small(&world, id).await;
    }
    let held = world.cache.memory_entries();
    assert!((470..=500).contains(&held), "{held} of 208 bytes each");
    let world = World::with(Memory::bytes(100_000)).await;
    for id in 0..100 {
        with_long_key(&world, format!("{id:010000}")).await;
    }
    let held = world.cache.memory_entries();
    assert!((8..=9).contains(&held), "{held} of 10,208 bytes each");
}

#[tokio::test(start_paused = true)]
async fn what_is_larger_than_all_of_memory_is_returned_all_the_same() {
    let world = World::with(Memory::bytes(10_000)).await;
    for _ in 0..2 {
        assert_eq!(bytes(&world, 7, 20_000).await.len(), 20_000);
    }
    assert_eq!(bytes(&world, 8, usize::from(u16::MAX)).await.len(), 65_535);
    assert_eq!(world.cache.memory_entries(), 0);
    assert_eq!(bytes(&world, 9, 10).await.len(), 10);
    assert_eq!(world.cache.memory_entries(), 1, "and has not taken the others' room");
}

#[hybrid_cached(ttl = 60s, key = "{id}", weigh = |_: &u64| usize::MAX, cache = world.cache)]
async fn heavy(world: &World, id: u64) -> u64 {
    world.load(id).await
}

#[tokio::test(start_paused = true)]
async fn weights_do_not_overflow() {
    let world = World::with(Memory::bytes(u64::MAX)).await;
    for id in 0..10 {
        heavy(&world, id).await;
    }
    heavy(&world, 0).await;
    assert_eq!(world.loads(), 10, "there is room");
}

#[tokio::test(start_paused = true)]
async fn a_replaced_or_invalidated_entry_makes_room() {
    let world = World::with(Memory::bytes(100_000)).await;
    for round in 0..100 {
        bytes_entry(&world, 1).put(vec![round; 60_000]).await.unwrap();
    }
    assert_eq!(bytes_entry(&world, 1).get().await, Some(vec![99; 60_000]));
    bytes_entry(&world, 1).invalidate().await.unwrap();
    bytes(&world, 2, 90_000).await;
    assert!(bytes_entry(&world, 2).get().await.is_some());
    assert_eq!(world.cache.stats().evictions, 0, "nothing was given up for want of room");
}

/// Killed by: entries that live as long as memory has room for them.
#[tokio::test(start_paused = true)]
async fn room_is_no_reason_to_serve_what_has_expired() {
    let world = World::new().await;
    for id in 0..1_000 {
        small(&world, id).await;
    }
    pass(secs(60)).await;
    for id in 0..1_000 {
        assert_eq!(small_entry(&world, id).get().await, None);
    }
    assert_eq!(small(&world, 7).await, 7);
    assert_eq!(world.loads(), 1_001);
}
