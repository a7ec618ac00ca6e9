//! SQLite behind a small pool, with every query counted.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, Params, Result, Row, Transaction, TransactionBehavior};
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

/// A pool of connections; clones share it.
#[derive(Clone)]
pub struct Database {
    pool: Arc<Pool>,
}

struct Pool {
    path: PathBuf,
    idle: Mutex<Vec<Connection>>,
    places: Arc<Semaphore>,
    queries: AtomicU64,
}

/// Connections of one replica.
const CONNECTIONS: usize = 4;

impl Database {
    pub fn new(path: &Path) -> Self {
        let places = Arc::new(Semaphore::new(CONNECTIONS));
        Self { pool: Arc::new(Pool { path: path.into(), idle: Mutex::default(), places, queries: AtomicU64::new(0) }) }
    }

    /// How many queries were sent so far.
    pub fn queries(&self) -> u64 {
        self.pool.queries.load(Relaxed)
    }

    /// Runs queries on a thread that may block, since SQLite does.
    pub async fn run<T: Send + 'static>(
        &self,
        queries: impl FnOnce(&Session) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let pool = self.pool.clone();
        let place = pool.places.clone().acquire_owned().await.expect("the semaphore is never closed");
        let blocking = spawn_blocking(move || {
            let idle = pool.idle().pop();
            let connection = idle.map_or_else(|| connect(&pool.path), Ok)?;
            let session = Session { connection, pool: pool.clone() };
            let outcome = queries(&session);
            pool.idle().push(session.connection);
            drop(place);
            outcome
        });
        blocking.await.expect("queries do not panic")
    }
}

impl Pool {
    fn idle(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn connect(path: &Path) -> Result<Connection> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(Duration::from_secs(5))?;
    connection.pragma_update(None, "synchronous", "off")?;
    Ok(connection)
}

/// One connection, for a while.
pub struct Session {
    connection: Connection,
    pool: Arc<Pool>,
}

impl Session {
    /// Undone if it is dropped before its `commit`.
    pub fn transaction(&self) -> Result<Transaction<'_>> {
        Transaction::new_unchecked(&self.connection, TransactionBehavior::Immediate)
    }

    /// All rows of a query.
    pub fn rows<T>(&self, sql: &str, params: impl Params, row: impl FnMut(&Row<'_>) -> Result<T>) -> Result<Vec<T>> {
        self.pool.queries.fetch_add(1, Relaxed);
        self.connection.prepare_cached(sql)?.query_map(params, row)?.collect()
    }

    /// The first row of a query, if there is one.
    pub fn row<T>(&self, sql: &str, params: impl Params, row: impl FnMut(&Row<'_>) -> Result<T>) -> Result<Option<T>> {
        self.rows(sql, params, row).map(|rows| rows.into_iter().next())
    }
}
