//! What a miss asks of Redis, as the server counts it.

use std::collections::BTreeMap;
use std::time::Duration;

use hybridcache_test_support::RedisServer;
use tokio::time::sleep;

pub(super) struct Traffic {
    /// How many batches of commands the server has read, in the median.
    pub(super) round_trips: u64,
    /// How often each command ran in one miss, on average.
    pub(super) commands: String,
}

/// What the server has counted up to now.
struct Counts {
    reads: u64,
    commands: BTreeMap<String, u64>,
}

/// Makes so many misses, one after the other, with something before each of them that does not count.
pub(super) async fn of_misses(
    server: &RedisServer,
    misses: u64,
    mut before: impl AsyncFnMut(),
    miss: impl AsyncFn(),
) -> Traffic {
    let mut reads = Vec::new();
    let mut commands = BTreeMap::<String, u64>::new();
    // The counting is counted too.
    let counting = Counts::since(&Counts::of(server), server).reads;
    for _ in 0..misses {
        before().await;
        settle().await;
        let begun = Counts::of(server);
        miss().await;
        settle().await;
        let counted = Counts::since(&begun, server);
        reads.push(counted.reads - counting);
        counted.commands.into_iter().for_each(|(name, calls)| *commands.entry(name).or_default() += calls);
    }
    reads.sort_unstable();
    let commands = commands.iter().filter(|(name, calls)| *name != "info" && **calls * 2 >= misses);
    let commands: Vec<_> =
        commands.map(|(name, calls)| format!("`{name}` {:.1}", *calls as f64 / misses as f64)).collect();
    Traffic { round_trips: reads[reads.len() / 2], commands: commands.join(", ") }
}

/// Anything may be sent after the caller has its answer; a heartbeat each second is far from the median.
async fn settle() {
    sleep(Duration::from_millis(5)).await;
}

impl Counts {
    fn of(server: &RedisServer) -> Self {
        let reads = server.info("stats");
        let reads = reads.lines().find_map(|line| line.strip_prefix("total_reads_processed:"));
        let commands = server.info("commandstats");
        let commands = commands.lines().filter_map(|line| {
            let (name, rest) = line.strip_prefix("cmdstat_")?.split_once(":calls=")?;
            Some((name.to_owned(), rest.split(',').next()?.parse().ok()?))
        });
        Self { reads: reads.unwrap().trim().parse().unwrap(), commands: commands.collect() }
    }

    fn since(before: &Self, server: &RedisServer) -> Self {
        let now = Self::of(server);
        let grown = |name: &String, calls: u64| calls - before.commands.get(name).unwrap_or(&0);
        let commands = now.commands.iter().map(|(name, calls)| (name.clone(), grown(name, *calls)));
        Self { reads: now.reads - before.reads, commands: commands.filter(|(_, calls)| *calls > 0).collect() }
    }
}
