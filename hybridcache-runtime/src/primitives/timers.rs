//! Timers that work on every runtime. If the runtime was built without timers, those of a spare thread are used. In a
//! program whose panics abort the process, those of the spare thread are always used: only a panic shows whether a
//! runtime has timers.

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

/// Enters the spare runtime if the current one has no timers.
fn spare() -> Option<EnterGuard<'static>> {
    spare_unless(cfg!(panic = "unwind"))
}

fn spare_unless(may_panic: bool) -> Option<EnterGuard<'static>> {
    static SPARE: OnceCell<Background> = OnceCell::new();
    // Outside of a runtime nothing can be loaded either: the message of tokio's own panic is better.
    if Handle::try_current().is_err() || (may_panic && has_timers()) {
        return None;
    }
    // If the system has no thread left, tokio's own panic says what is missing.
    let spare = SPARE.get_or_try_init(|| Background::start("hybridcache-timers")).ok()?;
    Some(spare.runtime().enter())
}

/// tokio shows only by a panic whether its runtime has timers (`Handle` does not say how its runtime was built). One
/// panic per thread is enough: its result stays true, and the spare timers are right on any runtime.
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

/// While this exists, a paused clock of the current runtime does not advance by itself. It would advance as soon as all
/// tasks wait, also while they wait for a real server's answer, and each timeout would expire.
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
        // tokio does not advance a clock while a blocking task runs.
        runtime.spawn_blocking(move || {
            // Fails when the sender is dropped, which is the signal to end.
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
