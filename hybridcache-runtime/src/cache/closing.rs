//! How a cache closes: pending invalidations are sent, leases are returned, and then the connections end.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{join, join_all};
use tokio::time::{Instant, sleep, timeout_at};

use crate::cache::recovery::{Sent, send_unsent};
use crate::cache::state::Local;
use crate::shared::LEASE;
use crate::shared::{Remote, RemoteError, RemoteErrorKind};

/// The pause between two attempts.
const PAUSE: Duration = Duration::from_millis(20);

/// Returns the leases, sends pending invalidations, and closes the tier. `Err`: the number of invalidations that were
/// not sent, and the reason.
pub(crate) async fn close(
    local: Arc<Local>,
    remote: Arc<dyn Remote>,
    deadline: Instant,
) -> Result<(), (usize, RemoteError)> {
    let mut failure = RemoteError { kind: RemoteErrorKind::Timeout, message: "no answer before the deadline".into() };
    let (given_back, sent) = (give_back(&*remote), send_pending(&local, &*remote, &mut failure));
    let ending = async {
        join(given_back, sent).await;
        // A call that was under way may have got a lease since then: its request has been answered by now.
        give_back_once(&*remote).await
    };
    // At the deadline the rest is given up.
    let _ = timeout_at(deadline, ending).await;
    remote.close();
    match local.journal.pending() {
        0 => Ok(()),
        pending => Err((pending, failure)),
    }
}

/// Tries until all leases are returned, or have expired.
async fn give_back(remote: &dyn Remote) {
    let end = Instant::now() + LEASE;
    while !give_back_once(remote).await && Instant::now() < end {
        sleep(PAUSE).await;
    }
}

async fn give_back_once(remote: &dyn Remote) -> bool {
    let leases = remote.leases().all();
    let giving = leases.iter().map(|(token, key)| remote.give_back(key.address(), *token));
    join_all(giving).await.into_iter().all(|given| given.is_ok())
}

async fn send_pending(local: &Local, remote: &dyn Remote, failure: &mut RemoteError) {
    // After a failover the journal replays acknowledged invalidations too. The recovery task that was replaying them
    // has ended.
    while local.journal.pending() > 0 || local.gap().is_some() {
        match send_unsent(local, remote).await {
            Ok(Sent::All) => continue,
            Ok(Sent::AllButPartDown(error)) | Err(error) => *failure = error,
        }
        sleep(PAUSE).await;
    }
}
