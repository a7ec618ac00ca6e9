//! Timers that work on every runtime: on one that was built without timers, those of a spare thread. In a program whose panics abort
//! it, always those of the spare thread: only a panic tells whether a runtime has timers.

use std::cell::Cell;
use std::panic::catch_unwind;
use std::sync::mpsc;
use std::time::Duration;

use once_cell::sync::OnceCell;
use tokio::runtime::{EnterGuard, Handle};
use tokio::time::{Instant, Sleep, Timeout};

use crate::primitives::background::Background;
use crate::primitives::clock::is_paused;

pub(crate) fn timeout<F: Future>(time: Duration, future: F) -> Timeout<F> {
    let _spare = spare();
    tokio::time::timeout(time, future)
}

pub(crate) fn timeout_at<F: Future>(deadline: Instant, future: F) -> Timeout<F> {
    let _spare = spare();
    tokio::time::timeout_at(deadline, future)
}

pub(crate) fn sleep(time: Duration) -> Sleep {
    let _spare = spare();
    tokio::time::sleep(time)
}

/// Enters the spare runtime where the current one has no timers.
fn spare() -> Option<EnterGuard<'static>> {
    spare_unless(cfg!(panic = "unwind"))
}

fn spare_unless(may_panic: bool) -> Option<EnterGuard<'static>> {
    static SPARE: OnceCell<Background> = OnceCell::new();
    // Outside of a runtime nothing can be loaded either: tokio says that better.
    if Handle::try_current().is_err() || (may_panic && has_timers()) {
        return None;
    }
    // Where the system has no thread to give, tokio says what is missing.
    let spare = SPARE.get_or_try_init(|| Background::start("hybridcache-timers")).ok()?;
    Some(spare.runtime().enter())
}

/// tokio tells by a panic only (`Handle` does not say what its runtime was built with). One is enough for each thread: what it has shown stays true, and the spare timers are
/// right on any runtime.
fn has_timers() -> bool {
    thread_local! {
        static IS_WITHOUT: Cell<bool> = const { Cell::new(false) };
    }
    if IS_WITHOUT.get() {
        return false;
    }
    let has_timers = catch_unwind(|| drop(tokio::time::sleep(Duration::ZERO))).is_ok();
    if !has_timers {
        IS_WITHOUT.set(true);
        tracing::info!("this runtime has no timers (`enable_time`): a thread of hybridcache's keeps the time instead");
    }
    has_timers
}

/// While this lives, a paused clock of the current runtime does not advance by itself. It would as soon as all its tasks wait,
/// for an answer of a real server too, and whatever has a timeout would have run into it.
#[derive(Debug)]
pub(crate) struct Standstill {
    _end: Option<mpsc::Sender<()>>,
}

impl Standstill {
    pub(crate) fn begin() -> Self {
        let Some(runtime) = is_paused().then(Handle::try_current).and_then(Result::ok) else {
            return Self { _end: None };
        };
        let (end, ended) = mpsc::channel::<()>();
        // tokio advances no clock while such a task runs.
        runtime.spawn_blocking(move || {
            // Fails when the sender is dropped, which is what it is for.
            let _: Result<(), _> = ended.recv();
        });
        Self { _end: Some(end) }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test panics to fail")]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::runtime::Builder;

    use super::*;

    /// Killed by: trying whether there are timers where that would end the process; a spare runtime without timers.
    #[test]
    fn where_a_panic_aborts_the_spare_timers_are_used_and_nothing_is_tried() {
        static PANICS: AtomicUsize = AtomicUsize::new(0);
        let without = Builder::new_current_thread().build().unwrap();
        let thread = std::thread::current().id();
        let hook = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if std::thread::current().id() == thread {
                PANICS.fetch_add(1, Ordering::SeqCst);
            } else {
                hook(panic);
            }
        }));
        without.block_on(async {
            let timers = spare_unless(false);
            assert!(timers.is_some());
            let timed = tokio::time::timeout(Duration::from_millis(1), std::future::pending::<()>());
            drop(timers);
            assert!(timed.await.is_err());
        });
        assert_eq!(PANICS.load(Ordering::SeqCst), 0);
        let _ = std::panic::take_hook();
        assert!(spare_unless(false).is_none(), "there is no runtime");
        let with = Builder::new_current_thread().enable_all().build().unwrap();
        with.block_on(async { assert!(spare_unless(true).is_none() && spare_unless(false).is_some()) });
    }
}
