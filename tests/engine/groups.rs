//! Invalidating many entries together: by tag, by function, all of them.

use hybridcache::hybrid_cached;

use crate::world::{World, at_once, pass, secs, settle};

#[hybrid_cached(ttl = 60s, fresh_for = 10s, key = "{id}", tags = ["org:{org}", "all users"], cache = world.cache)]
async fn user(world: &World, id: u64, org: &str) -> u64 {
    world.load(format!("user {id} of {org}")).await
}

#[hybrid_cached(ttl = 60s, key = "{org}", tags = ["org:{org}"], cache = world.cache)]
async fn organisation(world: &World, org: String) -> u64 {
    world.load(format!("organisation {org}")).await
}

#[hybrid_cached(ttl = 60s, key = "{id}", cache = world.cache)]
async fn untagged(world: &World, id: u64) -> u64 {
    world.load(format!("untagged {id}")).await
}

#[hybrid_cached(ttl = 60s, key = "{id}", name = "named by hand", cache = world.cache)]
async fn named(world: &World, id: u64) -> u64 {
    world.load(format!("named {id}")).await
}

const USER: &str = "engine::groups::user";

/// All of them, in memory, in a new world.
async fn filled() -> World {
    let world = World::new().await;
    user(&world, 1, "a").await;
    user(&world, 2, "b").await;
    organisation(&world, "a".into()).await;
    untagged(&world, 1).await;
    named(&world, 1).await;
    world.events();
    world
}

/// Calls all of them, and tells which were loaded.
async fn loaded(world: &World) -> Vec<String> {
    user(world, 1, "a").await;
    user(world, 2, "b").await;
    organisation(world, "a".into()).await;
    untagged(world, 1).await;
    named(world, 1).await;
    settle().await;
    world.events()
}

/// Killed by: entries that do not look at their tags.
#[tokio::test(start_paused = true)]
async fn a_tag_takes_its_entries_of_all_functions() {
    let world = filled().await;
    world.cache.invalidate_tag("org:a").await.unwrap();
    assert_eq!(user_entry(&world, 1, "a").get().await, None);
    assert_eq!(loaded(&world).await, ["load user 1 of a", "load organisation a"]);
    assert_eq!(loaded(&world).await, [""; 0], "what was loaded since stays");
    world.cache.invalidate_tag("all users").await.unwrap();
    assert_eq!(loaded(&world).await, ["load user 1 of a", "load user 2 of b"]);
    world.cache.invalidate_tag("org:c").await.unwrap();
    world.cache.invalidate_tag("").await.unwrap();
    assert_eq!(loaded(&world).await, [""; 0], "nobody has these");
}

#[tokio::test(start_paused = true)]
async fn a_tag_is_called_by_its_plain_text() {
    let world = World::new().await;
    for org in ["a:b", "ä ö", "100%", "{x}", ""] {
        organisation(&world, org.into()).await;
        world.cache.invalidate_tag(&format!("org:{org}")).await.unwrap();
        assert_eq!(organisation_entry(&world, org.into()).get().await, None, "{org}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_tag_invalidated_before_its_first_entry_hides_nothing_later() {
    let world = World::new().await;
    world.cache.invalidate_tag("org:a").await.unwrap();
    organisation(&world, "a".into()).await;
    assert_eq!(at_once(organisation(&world, "a".into())), 1);
}

#[tokio::test(start_paused = true)]
async fn a_function_is_invalidated_by_its_name() {
    let world = filled().await;
    world.cache.invalidate_function(USER).await.unwrap();
    assert_eq!(loaded(&world).await, ["load user 1 of a", "load user 2 of b"]);
    world.cache.invalidate_function("named by hand").await.unwrap();
    assert_eq!(loaded(&world).await, ["load named 1"]);
    world.cache.invalidate_function("no such function").await.unwrap();
    assert_eq!(loaded(&world).await, [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn clear_takes_everything() {
    let world = filled().await;
    world.cache.clear().await.unwrap();
    assert_eq!(loaded(&world).await.len(), 5);
    assert_eq!(loaded(&world).await, [""; 0]);
}

/// Killed by: noting the tags when a load ends and not when it begins.
#[tokio::test(start_paused = true)]
async fn a_load_that_began_before_is_not_stored() {
    for invalidate in ["tag", "function", "all"] {
        let world = World::new().await;
        world.hold();
        let before: Vec<_> = (0..3).map(|_| world.call(|world| async move { user(&world, 1, "a").await })).collect();
        world.until_loads(1).await;
        match invalidate {
            "tag" => world.cache.invalidate_tag("org:a").await.unwrap(),
            "function" => world.cache.invalidate_function(USER).await.unwrap(),
            _ => world.cache.clear().await.unwrap(),
        }
        let after = world.call(|world| async move { user(&world, 1, "a").await });
        world.until_loads(2).await;
        world.let_go(1);
        for caller in before {
            assert_eq!(caller.await.unwrap(), 1, "who joined before may have the old value");
        }
        assert_eq!(user_entry(&world, 1, "a").get().await, None);
        let late = world.call(|world| async move { user(&world, 1, "a").await });
        settle().await;
        assert!(!late.is_finished());
        world.let_go(2);
        assert_eq!(after.await.unwrap(), 2);
        assert_eq!(late.await.unwrap(), 2);
        assert_eq!(at_once(user(&world, 1, "a")), 2, "{invalidate}");
        assert_eq!(world.loads(), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn a_load_that_ends_after_the_new_one_does_not_replace_it() {
    let world = World::new().await;
    world.hold();
    let before = world.call(|world| async move { user(&world, 1, "a").await });
    world.until_loads(1).await;
    world.cache.invalidate_tag("org:a").await.unwrap();
    let after = world.call(|world| async move { user(&world, 1, "a").await });
    world.until_loads(2).await;
    world.let_go(2);
    assert_eq!(after.await.unwrap(), 2);
    world.let_go(1);
    before.await.unwrap();
    assert_eq!(at_once(user(&world, 1, "a")), 2);
    assert_eq!(world.loads(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_refresh_that_began_before_is_not_stored() {
    let world = World::new().await;
    user(&world, 1, "a").await;
    pass(secs(10)).await;
    world.hold();
    assert_eq!(user(&world, 1, "a").await, 1);
    world.until_loads(2).await;
    world.cache.invalidate_tag("org:a").await.unwrap();
    world.let_all_go();
    settle().await;
    assert_eq!(user_entry(&world, 1, "a").get().await, None);
    assert_eq!(user(&world, 1, "a").await, 3);
}

#[tokio::test(start_paused = true)]
async fn what_was_put_has_the_tags_too() {
    let world = World::new().await;
    user_entry(&world, 1, "a").put(99).await.unwrap();
    world.cache.invalidate_tag("org:a").await.unwrap();
    assert_eq!(user(&world, 1, "a").await, 1);
}

#[tokio::test(start_paused = true)]
async fn caches_do_not_share_their_groups() {
    let (one, other) = (filled().await, filled().await);
    one.cache.clear().await.unwrap();
    one.cache.invalidate_tag("org:a").await.unwrap();
    assert_eq!(loaded(&other).await, [""; 0]);
}

#[hybrid_cached(ttl = 60s, tags = ["installed:{id}"], key = "{id}")]
async fn on_the_installed_cache(id: u64, world: &World) -> u64 {
    world.load(id).await
}

#[tokio::test(start_paused = true)]
async fn the_free_function_means_the_installed_cache() {
    let world = World::new().await;
    on_the_installed_cache(1, &world).await;
    on_the_installed_cache(2, &world).await;
    hybridcache::invalidate_tag("installed:1").await.unwrap();
    assert_eq!(on_the_installed_cache(1, &world).await, 3);
    assert_eq!(on_the_installed_cache(2, &world).await, 2);
}
