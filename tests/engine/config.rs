//! Settings that cannot be used are refused by name.
//!
//! The environment and the installed cache belong to a process, so those cases run in processes of their own: this test
//! binary again, with one of the `child_*` tests, which do nothing unless they are asked.

use std::ffi::OsString;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use hybridcache::{Builder, Error, HybridCache, Memory, hybrid_cached};

use crate::world::at_once;

const ASKED: &str = "HYBRIDCACHE_TEST_CHILD";
const VARIABLES: [&str; 3] = ["HYBRIDCACHE_REDIS_URL", "HYBRIDCACHE_NAMESPACE", "HYBRIDCACHE_MEMORY_ENTRIES"];

/// What a child test printed after `=> `.
fn child(test: &str, variables: &[(&str, OsString)]) -> String {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", &format!("config::{test}"), "--nocapture"]).env(ASKED, test);
    for variable in VARIABLES {
        command.env_remove(variable);
    }
    let output = command.envs(variables.iter().cloned()).output().unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{printed}\n{errors}");
    let answer = printed.lines().find_map(|line| line.split_once("=> "));
    answer.unwrap_or_else(|| panic!("{printed}\n{errors}")).1.to_owned()
}

fn is_asked(test: &str) -> bool {
    std::env::var(ASKED).is_ok_and(|asked| asked == test)
}

async fn refused(builder: Builder) -> Error {
    let error = builder.build().await.expect_err("it cannot be used");
    assert!(error.is_config(), "{error}");
    assert!(!error.is_timeout() && !error.is_unavailable());
    error
}

/// Killed by: any of the checks left out.
#[tokio::test]
async fn the_message_names_the_setting() {
    let builder = HybridCache::builder;
    for (builder, setting) in [
        (builder().namespace(""), "namespace"),
        (builder().namespace(" \t"), "namespace"),
        (builder().memory(Memory::entries(0)), "memory"),
        (builder().memory(Memory::bytes(0)), "memory"),
        (builder().redis(""), "redis"),
        (builder().redis("127.0.0.1:6379"), "redis"),
        (builder().redis("http://127.0.0.1"), "redis"),
        (builder().redis("redis://127.0.0.1:port"), "redis"),
        (builder().redis("redis://127.0.0.1:6379/database"), "redis"),
        (builder().redis_budget(Duration::ZERO), "redis_budget"),
        (builder().lease_limit(Duration::from_millis(999)), "lease_limit"),
        (builder().value_limit(0), "value_limit"),
    ] {
        let shown = format!("{builder:?}");
        let message = refused(builder).await.to_string();
        let (named, problem) = message.split_once(": ").unwrap_or_else(|| panic!("{message} for {shown}"));
        assert_eq!(named, setting, "{message} for {shown}");
        assert!(!problem.is_empty());
    }
}

/// A password has no place in a message.
#[tokio::test]
async fn the_message_hides_passwords() {
    let error = refused(HybridCache::builder().redis("redis://user:hunter2@127.0.0.1:port/")).await;
    assert!(!error.to_string().contains("hunter2"), "{error}");
    assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
    let builder = HybridCache::builder().redis("redis://user:hunter2@127.0.0.1/");
    assert!(!format!("{builder:?}").contains("hunter2"), "{builder:?}");
}

#[tokio::test]
async fn good_settings_are_accepted() {
    let builder = HybridCache::builder()
        .namespace("shop: {ä}")
        .memory(Memory::entries(1))
        .redis_budget(Duration::from_millis(1))
        .lease_limit(Duration::from_secs(1))
        .value_limit(1);
    builder.build().await.unwrap();
    HybridCache::builder().memory(Memory::bytes(1)).build().await.unwrap();
    HybridCache::builder().memory(Memory::entries(u64::MAX)).build().await.unwrap();
}

#[tokio::test]
async fn child_from_env() {
    if is_asked("child_from_env") {
        match HybridCache::from_env().await {
            Ok(cache) => println!("=> {cache:?}"),
            Err(error) => println!("=> config {}: {error}", error.is_config()),
        }
    }
}

#[test]
fn the_environment_is_read() {
    let printed = child("child_from_env", &[]);
    assert!(printed.contains(r#"namespace: "default""#) && printed.contains("shared: false"), "{printed}");
    let printed = child(
        "child_from_env",
        &[("HYBRIDCACHE_NAMESPACE", "shop".into()), ("HYBRIDCACHE_MEMORY_ENTRIES", "5".into())],
    );
    assert!(printed.contains(r#"namespace: "shop""#), "{printed}");
}

#[test]
fn the_message_names_the_variable() {
    for (variable, value) in [
        ("HYBRIDCACHE_NAMESPACE", ""),
        ("HYBRIDCACHE_NAMESPACE", "  "),
        ("HYBRIDCACHE_MEMORY_ENTRIES", ""),
        ("HYBRIDCACHE_MEMORY_ENTRIES", "0"),
        ("HYBRIDCACHE_MEMORY_ENTRIES", "-1"),
        ("HYBRIDCACHE_MEMORY_ENTRIES", "many"),
        ("HYBRIDCACHE_MEMORY_ENTRIES", "1.5"),
        ("HYBRIDCACHE_MEMORY_ENTRIES", "99999999999999999999"),
        ("HYBRIDCACHE_REDIS_URL", "localhost"),
        ("HYBRIDCACHE_REDIS_URL", "redis://:secret@127.0.0.1:port"),
    ] {
        let printed = child("child_from_env", &[(variable, value.into())]);
        assert!(printed.starts_with(&format!("config true: {variable}: ")), "{printed}");
        assert!(!printed.contains("secret"), "{printed}");
    }
}

/// As deployment tools write what is not set. Killed by: taking it for a URL.
#[test]
fn an_empty_redis_url_is_none() {
    for empty in ["", " "] {
        let printed = child("child_from_env", &[("HYBRIDCACHE_REDIS_URL", empty.into())]);
        assert!(printed.contains("shared: false"), "{printed}");
    }
}

#[cfg(unix)]
#[test]
fn a_variable_that_is_no_text_is_refused() {
    use std::os::unix::ffi::OsStringExt;

    for variable in VARIABLES {
        let printed = child("child_from_env", &[(variable, OsString::from_vec(vec![b'a', 0xff]))]);
        assert!(printed.starts_with(&format!("config true: {variable}: ")), "{printed}");
    }
}

#[hybrid_cached(ttl = 60s)]
async fn by_default(id: u64) -> u64 {
    id * 2
}

#[tokio::test]
async fn child_without_set_up() {
    if is_asked("child_without_set_up") {
        by_default(7).await;
        let hit = at_once(by_default(7));
        by_default_entry(7).put(1).await.unwrap();
        println!("=> {hit} {} {}", by_default(7).await, by_default(8).await);
    }
}

#[test]
fn functions_work_without_any_set_up() {
    assert_eq!(child("child_without_set_up", &[]), "14 1 16");
}

#[tokio::test]
async fn child_installs() {
    if is_asked("child_installs") {
        let (first, second) = (HybridCache::builder(), HybridCache::builder());
        let (first, second) = (first.build().await.unwrap(), second.build().await.unwrap());
        first.install().unwrap();
        by_default(7).await;
        let errors: Vec<Error> = [&second, &first].map(|cache| cache.install().unwrap_err()).into();
        by_default(8).await;
        let loads = (first.stats().loads, second.stats().loads);
        println!("=> {} {} {loads:?} {}", errors[0].is_config(), errors[1].is_config(), errors[0]);
    }
}

#[test]
fn a_cache_is_installed_once() {
    let printed = child("child_installs", &[]);
    assert!(printed.starts_with("true true (2, 0) install: "), "{printed}");
}

/// Counts warnings.
struct Warnings(&'static AtomicUsize);

impl tracing::Subscriber for Warnings {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        *metadata.level() == tracing::Level::WARN && metadata.target().starts_with("hybridcache")
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, _: &tracing::Event<'_>) {
        self.0.fetch_add(1, SeqCst);
    }

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}

/// Calls from before the installation do not keep others on the cache they used, and a warning says what became of them. Killed by:
/// no warning.
#[tokio::test]
async fn child_installs_late() {
    if is_asked("child_installs_late") {
        static WARNED: AtomicUsize = AtomicUsize::new(0);
        tracing::dispatcher::set_global_default(tracing::Dispatch::new(Warnings(&WARNED))).unwrap();
        by_default(7).await;
        let cache = HybridCache::builder().build().await.unwrap();
        cache.install().unwrap();
        by_default(8).await;
        println!("=> {} {}", cache.stats().loads, WARNED.load(SeqCst));
    }
}

#[test]
fn a_cache_may_be_installed_after_the_first_call() {
    assert_eq!(child("child_installs_late", &[]), "1 1");
}

fn is_a_cheap_handle<T: Clone + Send + Sync + 'static>() -> usize {
    size_of::<T>()
}

#[test]
fn a_cache_is_a_cheap_handle() {
    assert_eq!(is_a_cheap_handle::<HybridCache>(), size_of::<usize>());
}
