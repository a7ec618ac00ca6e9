//! What becomes pending while the breaker is being closed.

use std::sync::Arc;

use shuttle::thread::spawn;

use super::explore;
use crate::shared::breaker::Breaker;
use crate::shared::journal::{Journal, Notice};
use crate::shared::wire::names::Address;
use crate::shared::{Invalidation, StampName};

fn notice(args: &str) -> Notice {
    Notice::Entry(Address::new("test", "f", 0, args), Invalidation::Delete)
}

/// As `recovery.rs` has it.
fn recover(journal: &Journal, breaker: &Breaker) {
    if let Some(reasons) = breaker.reasons() {
        journal.unsent(false).iter().for_each(|unsent| journal.acknowledge(unsent));
        breaker.close(reasons);
    }
}

/// Killed by: `close` closing whatever has come; the reasons looked at after what is to be sent; `open` leaving an open
/// breaker as it is.
#[test]
fn while_something_is_pending_the_breaker_is_open() {
    explore(|| {
        let breaker = Arc::new(Breaker::default());
        let journal = Arc::new(Journal::new(StampName::of_namespace("test"), breaker.clone()));
        drop(journal.note(notice("1")));
        let failing = journal.clone();
        let failing = spawn(move || {
            drop(failing.note(notice("2")));
            drop(failing.note(notice("1")));
        });
        recover(&journal, &breaker);
        failing.join().unwrap();
        assert!(journal.pending() == 0 || breaker.is_open());
        recover(&journal, &breaker);
        assert!(journal.pending() == 0 && !breaker.is_open());
    });
}
