//! `async fn` with owned and borrowed arguments: called as before, loaded once per key, with a handle for each entry.
#![deny(warnings, missing_docs)]

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use hybridcache::hybrid_cached;

static LOADS: AtomicU32 = AtomicU32::new(0);

/// Counts its clones, which only a load may make.
pub struct Db(&'static AtomicU32);

impl Clone for Db {
    fn clone(&self) -> Self {
        self.0.fetch_add(1, Relaxed);
        Self(self.0)
    }
}

/// By value and by reference.
#[hybrid_cached(ttl = 1h, key = "label:{id}:{name}")]
pub async fn label(db: &Db, id: u64, name: &str, tags: &[&'static str], owned: String) -> String {
    LOADS.fetch_add(1, Relaxed);
    let _: &Db = db;
    let length: usize = tags.len();
    format!("{id} {name} {length} {owned}")
}

/// No argument at all.
#[hybrid_cached(ttl = 1h)]
pub async fn constant() -> u32 {
    LOADS.fetch_add(1, Relaxed)
}

/// Nothing to return.
#[hybrid_cached(ttl = 1h)]
pub async fn nothing(id: u8) {
    LOADS.fetch_add(u32::from(id), Relaxed);
}

#[tokio::test]
async fn runs() {
    static CLONES: AtomicU32 = AtomicU32::new(0);
    let db = Db(&CLONES);
    let call = || label(&db, 7, "seven", &["a", "b"], "x".to_owned());
    assert_eq!(call().await, "7 seven 2 x");
    assert_eq!(call().await, "7 seven 2 x");
    assert_eq!((LOADS.load(Relaxed), CLONES.load(Relaxed)), (1, 1), "a hit neither loads nor clones");
    assert_eq!(label_entry(7, "seven").get().await.as_deref(), Some("7 seven 2 x"));
    assert_eq!(label_entry(7, "seven").key(), "label:7:seven");
    assert_eq!(label_entry(8, "seven").get().await, None);

    label_entry(7, "seven").invalidate().await.expect("memory only");
    call().await;
    assert_eq!(LOADS.load(Relaxed), 2);

    assert_eq!((constant().await, constant().await), (2, 2));
    constant_entry().put(9).await.expect("memory only");
    assert_eq!(constant().await, 9);

    nothing(10).await;
    nothing(10).await;
    assert_eq!(LOADS.load(Relaxed), 13);
}
