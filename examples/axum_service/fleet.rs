//! Replicas of the service, as tasks of this process or as processes of their own.

use std::io::{Error, Result};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::task::JoinSet;

use crate::client::Client;
use crate::routes::{Counters, routes};
use crate::shop::Shop;

/// Servers that end when this is dropped.
#[derive(Default)]
pub struct Fleet {
    pub addresses: Vec<SocketAddr>,
    tasks: JoinSet<Result<()>>,
    processes: Vec<Child>,
}

/// The arguments that make a process a replica: `axum_service replica <database> <cached>`.
pub const REPLICA: &str = "replica";

impl Fleet {
    /// Replicas in this process. Each has a cache of its own, and gets no message about what the others write.
    pub async fn of_tasks(replicas: usize, database: &Path, cached: bool) -> Result<Self> {
        let mut fleet = Self::default();
        for _ in 0..replicas {
            let shop = Shop::open(database).await.map_err(Error::other)?;
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
            fleet.addresses.push(listener.local_addr()?);
            let routes = routes(shop, cached);
            fleet.tasks.spawn(async { axum::serve(listener, routes).await });
        }
        Ok(fleet)
    }

    /// Replicas as they are in production: processes that share nothing but the database and Redis.
    pub async fn of_processes(replicas: usize, database: &Path, cached: bool, namespace: &str) -> Result<Self> {
        let mut fleet = Self::default();
        for _ in 0..replicas {
            let mut process = Command::new(std::env::current_exe()?)
                .arg(REPLICA)
                .arg(database)
                .arg(cached.to_string())
                .env("HYBRIDCACHE_NAMESPACE", namespace)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .kill_on_drop(true)
                .spawn()?;
            let output = process.stdout.take().ok_or_else(|| Error::other("a replica has no output"))?;
            let address = BufReader::new(output).lines().next_line().await?;
            let address = address.and_then(|line| line.parse().ok());
            fleet.addresses.push(address.ok_or_else(|| Error::other("a replica did not start"))?);
            fleet.processes.push(process);
        }
        Ok(fleet)
    }

    /// What all replicas have counted.
    pub async fn counters(&self) -> Result<Counters> {
        let mut sum = Counters::default();
        for address in &self.addresses {
            let one: Counters = Client::connect(*address).await?.get("/stats").await?;
            sum.queries += one.queries;
            sum.from_memory += one.from_memory;
            sum.from_redis += one.from_redis;
            sum.joined += one.joined;
            sum.missed += one.missed;
            sum.stale += one.stale;
            sum.loads += one.loads;
            sum.redis_errors += one.redis_errors;
        }
        Ok(sum)
    }
}

/// The whole life of a replica that is a process: it ends when the process that started it does.
pub async fn run_replica(database: &Path, cached: bool) -> Result<()> {
    let shop = Shop::open(database).await.map_err(Error::other)?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    println!("{}", listener.local_addr()?);
    tokio::select! {
        served = async { axum::serve(listener, routes(shop, cached)).await } => served,
        // Nothing is ever written to it: this is its end.
        _ = async { tokio::io::stdin().read_u8().await } => Ok(()),
    }
}
