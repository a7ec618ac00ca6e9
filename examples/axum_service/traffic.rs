//! Visitors of the shop: most look at a few popular books, some browse, a few buy.

use std::io::Result;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::task::JoinSet;

use crate::catalogue::{BOOKS, book_of_rank};
use crate::client::Client;
use crate::random::{Random, Zipf};
use crate::routes::Sale;
use crate::shop::BookPage;
use crate::words::CATEGORIES;

/// Each sends its next request when it has its answer.
pub const VISITORS: u64 = 16;

/// What the visitors saw.
#[derive(Debug, Default)]
pub struct Observed {
    /// How long each request took, sorted.
    pub latencies: Vec<Duration>,
    pub sales: u64,
    /// Pages that did not know of a sale which was confirmed before they were asked for.
    pub outdated: u64,
}

impl Observed {
    /// The latency that this share of the requests did not exceed.
    pub fn quantile(&self, share: f64) -> Duration {
        let last = self.latencies.len().saturating_sub(1);
        self.latencies.get((share * last as f64) as usize).copied().unwrap_or_default()
    }
}

/// Sends requests to all replicas for a while.
pub async fn visit(replicas: &[SocketAddr], duration: Duration) -> Result<Observed> {
    let popularity = Arc::new(Zipf::new(BOOKS));
    let confirmed: Arc<[AtomicU64]> = (0..=BOOKS).map(|_| AtomicU64::new(0)).collect();
    let end = Instant::now() + duration;
    let mut visitors = JoinSet::new();
    for seed in 0..VISITORS {
        let mut clients = Vec::new();
        for replica in replicas {
            clients.push(Client::connect(*replica).await?);
        }
        let (popularity, confirmed) = (popularity.clone(), confirmed.clone());
        let visitor =
            Visitor { random: Random::new(seed), clients, popularity, confirmed, observed: Observed::default() };
        visitors.spawn(visitor.visit_until(end));
    }
    let mut all = Observed::default();
    while let Some(observed) = visitors.join_next().await {
        let observed = observed.expect("a visitor does not panic")?;
        all.latencies.extend(observed.latencies);
        all.sales += observed.sales;
        all.outdated += observed.outdated;
    }
    all.latencies.sort_unstable();
    Ok(all)
}

struct Visitor {
    random: Random,
    clients: Vec<Client>,
    popularity: Arc<Zipf>,
    /// For each book, the copies sold according to the last sale that was confirmed to anybody.
    confirmed: Arc<[AtomicU64]>,
    observed: Observed,
}

impl Visitor {
    async fn visit_until(mut self, end: Instant) -> Result<Observed> {
        while Instant::now() < end {
            let began = Instant::now();
            match self.random.below(100) {
                0..90 => self.look_at_a_book().await?,
                90..98 => self.browse_a_category().await?,
                _ => self.buy().await?,
            }
            self.observed.latencies.push(began.elapsed());
        }
        Ok(self.observed)
    }

    async fn look_at_a_book(&mut self) -> Result<()> {
        let book = self.a_book();
        let confirmed = self.confirmed[book].load(SeqCst);
        let page: BookPage = self.a_replica().get(&format!("/books/{book}")).await?;
        self.observed.outdated += u64::from(page.sold < confirmed);
        Ok(())
    }

    async fn browse_a_category(&mut self) -> Result<()> {
        let category = CATEGORIES[self.random.below(CATEGORIES.len())];
        self.a_replica().get::<Value>(&format!("/categories/{category}")).await?;
        Ok(())
    }

    async fn buy(&mut self) -> Result<()> {
        let book = self.a_book();
        let Sale { sold } = self.a_replica().post(&format!("/books/{book}/sell")).await?;
        self.confirmed[book].fetch_max(sold, SeqCst);
        self.observed.sales += 1;
        Ok(())
    }

    fn a_book(&mut self) -> usize {
        book_of_rank(self.popularity.rank(&mut self.random))
    }

    /// As a load balancer without stickiness would choose.
    fn a_replica(&mut self) -> &mut Client {
        let at = self.random.below(self.clients.len());
        &mut self.clients[at]
    }
}
