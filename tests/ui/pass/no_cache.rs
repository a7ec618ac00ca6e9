//! `Err(NoCache(value))` wherever the function itself returns it, whatever its error type is.
#![deny(warnings)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use hybridcache::{NoCache, hybrid_cached, no_cache};

static LOADS: AtomicU32 = AtomicU32::new(0);

#[derive(Debug)]
struct NotClone;

impl From<std::num::ParseIntError> for NotClone {
    fn from(_: std::num::ParseIntError) -> Self {
        Self
    }
}

fn load<T>(value: T) -> T {
    LOADS.fetch_add(1, Relaxed);
    value
}

#[hybrid_cached(ttl = 1h)]
async fn tail(text: &str) -> Result<u32, NotClone> {
    let number = load(text.parse()?);
    Err(NoCache(number))
}

#[hybrid_cached(ttl = 1h)]
async fn returned(text: &str) -> anyhow::Result<u32> {
    let number = load(text.parse()?);
    if number > 5 {
        return Err(NoCache(number));
    }
    Ok(number)
}

/// The value is coerced to the declared type, as it was before.
#[hybrid_cached(ttl = 1h, tier = memory)]
async fn coerced(id: u32) -> Result<Arc<dyn Fn() -> u32 + Send + Sync>, NotClone> {
    load(());
    if id > 5 {
        return Err(NoCache(Arc::new(move || id)));
    }
    Ok(Arc::new(move || id))
}

#[hybrid_cached(ttl = 1h)]
async fn flow(id: u32) -> Result<u32, NotClone> {
    load(());
    match id {
        0 => Ok(0),
        1 => Err(NoCache(1)),
        2 => {
            if true {
                Err::<_, NotClone>(hybridcache::NoCache(2))
            } else {
                Ok(0)
            }
        }
        3 => loop {
            if load(3) == 3 {
                break Err(NoCache(3));
            }
        },
        4 => 'found: {
            for number in 0.. {
                if number == 4 {
                    break 'found Result::Err(NoCache(number));
                }
            }
            Ok(0)
        }
        5 => {
            let value = Err(NoCache(5));
            value
        }
        _ => {
            let Some(number) = id.checked_sub(100) else { return Err(NoCache(id)) };
            Ok(number)
        }
    }
}

#[hybrid_cached(ttl = 1h)]
async fn plain(id: u32) -> u32 {
    no_cache();
    load(id)
}

/// How many loads a call takes when it is made twice.
macro_rules! loads {
    ($call:expr) => {{
        LOADS.store(0, Relaxed);
        let _ = $call.await;
        let _ = $call.await;
        LOADS.load(Relaxed)
    }};
}

#[tokio::test]
async fn runs() {
    assert_eq!(tail("7").await.ok(), Some(7), "the caller gets `Ok`");
    assert_eq!(loads!(tail("7")), 2);
    assert!(tail("x").await.is_err());
    assert_eq!(returned("7").await.ok(), Some(7));
    assert_eq!((loads!(returned("7")), loads!(returned("2"))), (2, 1));
    assert_eq!(coerced(7).await.ok().map(|number| number()), Some(7));
    assert_eq!((loads!(coerced(7)), loads!(coerced(2))), (2, 1));
    for id in 0..7 {
        assert_eq!(flow(id).await.ok(), Some(id));
        let expected = match id {
            0 => 0,
            3 => 4,
            _ => 2,
        };
        assert_eq!(loads!(flow(id)), expected, "{id}");
    }
    assert_eq!(loads!(flow(107)), 1);
    assert_eq!(loads!(plain(7)), 2);
}
