//! The shared tier on Redis 7 and later, or Valkey: one server, the master behind sentinels, or a cluster.
//!
//! Each atomic step of the protocol is a Lua script (`scripts/*.lua`). A lease that is free is taken without one. Values
//! of more than a few kilobytes do not pass through a script: such a value is staged under a name of its own and then
//! renamed. Reading is a plain `GETRANGE`, or a `GET` for large values.

mod channels;
mod connection;
mod endpoint;
mod health;
mod kinds;
mod link;
mod links;
mod messages;
mod permissions;
mod pipeline;
mod scripts;
mod server_clock;
mod stamps;
mod supervisor;
#[cfg(test)]
mod tests;
mod transfers;
mod unreleased;
mod url;

use std::sync::{Arc, Mutex, RwLock};
use std::time::Duration;

use futures_util::future::join;
use redis::{Cmd, Pipeline, Value, cmd};
use tokio::runtime::Handle;
use tokio::sync::{Notify, watch};
use tokio::task::AbortHandle;
use tokio::time::timeout;

use self::channels::Channels;
use self::connection::{millis, unexpected};
use self::link::Link;
use self::links::{Links, Numbered, Purpose};
#[cfg(feature = "inspector")]
use self::messages::Message;
use self::permissions::Permissions;
use self::scripts::Step;
use self::server_clock::ServerClock;
use self::supervisor::{SharedState, State, supervise};
use self::transfers::TransferThread;
use self::unreleased::Unreleased;
use self::url::Target;
use crate::primitives::background::Background;
use crate::primitives::log_limit::{LogLimit, MINUTE};
use crate::primitives::timers::Standstill;
use crate::shared::Lifespan;
use crate::shared::leases::Leases;
use crate::shared::wire::names::{Address, digits, groups};
use crate::shared::{
    Acquired, Fetched, HEAD, Invalidation, LARGE, Listeners, Published, Release, Remote, RemoteError, RemoteErrorKind,
    RemoteFuture, StampName, StampValue, Taken, Token, Versions,
};

/// How long a staged value waits to be published. After that, the process that staged it is taken for dead.
const STAGE: Duration = Duration::from_secs(30);

/// The size of the largest entry that the script stores by itself. A larger one costs the server more as an argument of
/// a script than as a stage.
const INLINE: usize = 4 << 10;

/// The lifetime of the mark that a key's load stored nothing. If the next load under the lease takes longer, the mark
/// ends with its lease.
const IN_VAIN: Duration = Duration::from_secs(1);

/// How long building a tier waits for the first attempt to connect.
const FIRST_ATTEMPT: Duration = Duration::from_secs(1);

/// Redis, through links that are replaced whenever they fail. The links run on a thread of their own: see
/// [`Background`]. Dropping the tier ends the thread.
pub(crate) struct RedisTier {
    shared_state: Arc<SharedState>,
    supervisor: AbortHandle,
    background: Background,
    leases: Leases,
}

impl RedisTier {
    /// Begins to connect, and waits at most a second for the outcome of the first attempt. A server that is down is no
    /// error: see [`outage`](Self::outage).
    ///
    /// `process` identifies this process to other processes. The tier holds `listener`, and `listener` must not hold
    /// the tier.
    ///
    /// # Errors
    ///
    /// If the URL is malformed. The message does not repeat the URL, which may contain a password.
    pub(crate) async fn connect(
        url: &str,
        namespace: &str,
        process: u64,
        listener: Listeners,
    ) -> Result<Arc<Self>, String> {
        let target = Target::parse(url)?;
        let background =
            Background::start("hybridcache-redis").map_err(|error| format!("no thread for it: {error}"))?;
        let channels = Channels::new(namespace, process, target.database(), target.is_sharded());
        let groups = groups(namespace);
        let permissions =
            Permissions::new(target.is_sharded(), target.is_watched(), &groups[0], channels.invalidations(&groups[0]));
        let target = Mutex::new(Numbered { target: Arc::new(target), number: 1 });
        let transfers = Arc::new(TransferThread::default());
        let purpose = Purpose { target, channels, groups, process, listener, permissions, transfers };
        let shared_state = Arc::new(SharedState {
            purpose,
            clock: ServerClock::default(),
            state: RwLock::new(State::Disconnected("no attempt has ended yet".to_owned())),
            attempted: watch::Sender::default(),
            retargeted: Notify::new(),
            unreleased: Unreleased::default(),
            history: Mutex::default(),
        });
        let supervisor = background.runtime().spawn(supervise(shared_state.clone())).abort_handle();
        let tier = Arc::new(Self { shared_state, supervisor, background, leases: Leases::default() });
        // The outcome is ignored: without a link, each operation fails by itself.
        let _standstill = Standstill::begin();
        let _ = tier.attempt(1).await;
        Ok(tier)
    }

    /// Why there is no link now, if there is none.
    #[cfg(test)]
    pub(crate) fn outage(&self) -> Option<String> {
        self.shared_state.links().err().map(|error| error.message)
    }

    fn links(&self) -> Result<Arc<Links>, RemoteError> {
        self.shared_state.links()
    }

    /// The link to the server that has the key.
    fn link(&self, key: &Address) -> Result<Arc<Link>, RemoteError> {
        self.links()?.at(key.group()).cloned()
    }

    fn channels(&self) -> &Channels {
        &self.shared_state.purpose.channels
    }

    /// Waits up to [`FIRST_ATTEMPT`] for the first attempt to connect to a target.
    async fn attempt(&self, target: u64) -> Result<(), RemoteError> {
        let mut attempts = self.shared_state.attempted.subscribe();
        let attempt = self.background.runtime().spawn(async move {
            timeout(FIRST_ATTEMPT, async move {
                let ended = attempts.wait_for(|attempt| attempt.target >= target).await;
                ended.map_or(None, |attempt| attempt.failure.clone())
            })
            .await
        });
        match attempt.await {
            Ok(Ok(None)) => Ok(()),
            Ok(Ok(Some(reason))) => Err(RemoteError::unavailable(reason)),
            Ok(Err(_)) | Err(_) => Err(RemoteError::unavailable("no attempt has ended within a second")),
        }
    }

    /// Sends a message of which nothing depends: it may be lost.
    #[cfg(feature = "inspector")]
    fn send(&self, channel: &str, message: Vec<u8>) {
        let mut publish = cmd(self.channels().publish());
        publish.arg(channel).arg(message);
        let Ok(links) = self.links() else { return };
        if let Ok(link) = links.at(&self.shared_state.purpose.groups[0]) {
            link.send_detached(publish, || ());
        }
    }

    fn origin(&self) -> String {
        digits(self.shared_state.purpose.process)
    }

    fn acquisition(&self, key: &Address, token: Token, lease: Duration, seen: &[u8]) -> Cmd {
        let mut step = Step::Acquire.on(&[key.entry(), &key.lease()]);
        step.arg(token.digits()).arg(millis(lease)).arg(seen).arg(self.origin());
        step
    }

    /// The script that publishes what was staged. Without a `stage`, the caller appends the entry, which has `room` bytes.
    fn publication(&self, key: &Address, token: Token, ttl: Duration, stage: Option<&str>, room: usize) -> Cmd {
        let (channels, lease) = (self.channels(), key.lease());
        let keys = [key.entry(), &*lease, stage.unwrap_or_default()];
        let mut step = Step::Publish.with_room(&keys[..if stage.is_some() { 3 } else { 2 }], room);
        step.arg(token.digits())
            .arg(millis(ttl))
            .arg(channels.publish())
            .arg(&*channels.wake_prefix(key.group()))
            .arg(digits(key.id()))
            .arg(millis(IN_VAIN));
        step
    }

    fn invalidation(&self, key: &Address, versions: &[u32], mode: Invalidation) -> Cmd {
        let mode = match mode {
            Invalidation::Delete => "D",
            Invalidation::Expire => "S",
        };
        let channels = self.channels();
        let names: Vec<_> = versions.iter().flat_map(|version| names(&key.at_version(*version))).collect();
        let mut step = Step::Invalidate.on(&names);
        step.arg(channels.publish())
            .arg(&*channels.invalidations(key.group()))
            .arg(&*channels.wake_prefix(key.group()))
            .arg(digits(key.id()))
            .arg(mode)
            .arg(self.origin());
        step
    }

    /// Invalidates the entries of the known versions, and then those of the other versions that the stamp names. A
    /// version that is registered after the stamp was read is not missed: its loads begin after the caller's write.
    async fn reach_all(
        &self,
        key: &Address,
        touched: &[u32],
        mode: Invalidation,
        step: Cmd,
    ) -> Result<Option<StampValue>, RemoteError> {
        let links = self.links()?;
        let Some(stamp) = stamps::read_beside(&links, key, step).await? else {
            return self.announce_number(&links, key).await;
        };
        let rest: Versions = stamp.versions.iter().copied().filter(|version| !touched.contains(version)).collect();
        if !rest.is_empty() {
            links.at(key.group())?.ask(self.invalidation(key, &rest, mode)).await?;
        }
        Ok(Some(stamp))
    }

    /// There is no stamp. A process may still use the number of a stamp that was lost, for entries of versions that are
    /// unknown here. A new stamp is created, so that this process is notified that the lost number is void.
    async fn announce_number(&self, links: &Links, key: &Address) -> Result<Option<StampValue>, RemoteError> {
        let name = key.stamp().used_by(key.version());
        let (lifetime, process) = (Lifespan::unused().given, self.shared_state.purpose.process);
        match stamps::create(links, std::slice::from_ref(&name), lifetime, self.channels(), process).await {
            Ok(mut stamps) => Ok(stamps.pop()),
            // A full server has no room for the stamp, but has notified all processes.
            Err(error) if error.message.starts_with("OOM") => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl Drop for RedisTier {
    fn drop(&mut self) {
        self.supervisor.abort();
    }
}

impl Remote for RedisTier {
    fn fetch<'a>(&'a self, key: &'a Address, stamps: &'a [StampName]) -> RemoteFuture<'a, Fetched> {
        let read = get_range(key, LARGE);
        if stamps.is_empty() {
            return Box::pin(async move { stamps::fetch_alone(self.link(key)?.ask(read).await) });
        }
        Box::pin(async move {
            let links = self.links()?;
            links.at(key.group())?;
            stamps::fetch(&links, key.group(), read, stamps).await
        })
    }

    fn fetch_large<'a>(&'a self, key: &'a Address, stamps: &'a [StampName], bytes: usize) -> RemoteFuture<'a, Fetched> {
        let mut get = cmd("GET");
        get.arg(key.entry());
        Box::pin(async move {
            let links = self.links()?;
            let reading = links.at(key.group())?.transfer(bytes, move || pipeline([get]));
            // The order of the two reads does not matter: the call began before both.
            let (answers, stamps) = join(reading, stamps::read_all(&links, stamps)).await;
            let entry = answers?.pop().unwrap_or_else(|| Err(unexpected("GET")));
            Ok(Fetched { entry: stamps::entry_bytes(entry)?, stamps: stamps? })
        })
    }

    fn fetch_head<'a>(&'a self, key: &'a Address, stamps: &'a [StampName]) -> RemoteFuture<'a, Fetched> {
        let read = get_range(key, HEAD);
        Box::pin(async move { stamps::fetch(&*self.links()?, key.group(), read, stamps).await })
    }

    fn create_stamps<'a>(&'a self, stamps: &'a [StampName], lifetime: Duration) -> RemoteFuture<'a, Vec<StampValue>> {
        let (channels, process) = (self.channels(), self.shared_state.purpose.process);
        Box::pin(async move { stamps::create(&*self.links()?, stamps, lifetime, channels, process).await })
    }

    fn prolong_stamps(&self, stamps: &[StampName], lifetime: Duration) {
        // Without a link no entry is published either.
        let Ok(links) = self.links() else { return };
        for name in stamps {
            if let Ok(link) = links.at(&name.key) {
                link.send_detached(stamps::prolong(name, lifetime), || {});
            }
        }
    }

    fn take<'a>(&'a self, key: &'a Address, token: Token, lease: Duration, bytes: usize) -> RemoteFuture<'a, Taken> {
        let (set, read) = (set_lease(key, token, lease), get_range(key, bytes));
        Box::pin(async move {
            let (set, entry) = self.link(key)?.ask_both(set, read).await?;
            let is_granted = match set {
                Ok(Value::Okay) => true,
                Ok(Value::Nil) => false,
                // A server that is full, say, still reads. If the lease is needed, `acquire` says what is wrong.
                Err(error) if error.kind == RemoteErrorKind::Refused => false,
                Err(error) => return Err(error),
                Ok(_) => return Err(unexpected("SET")),
            };
            Ok(Taken { is_granted, entry: stamps::entry_bytes(entry)? })
        })
    }

    fn acquire<'a>(
        &'a self,
        key: &'a Address,
        token: Token,
        lease: Duration,
        seen: &'a [u8],
    ) -> RemoteFuture<'a, Acquired> {
        let step = self.acquisition(key, token, lease, seen);
        Box::pin(async move { acquired(&self.link(key)?.ask(step).await?) })
    }

    fn renew<'a>(&'a self, key: &'a Address, token: Token, lease: Duration) -> RemoteFuture<'a, bool> {
        let mut step = Step::Renew.on(&[&key.lease()]);
        step.arg(token.digits()).arg(millis(lease));
        Box::pin(async move {
            match self.link(key)?.ask(step).await? {
                Value::Int(renewed) => Ok(renewed == 1),
                _ => Err(unexpected("renew")),
            }
        })
    }

    fn release(&self, key: &Address, token: Token, release: Release) {
        let later = {
            // The last handle of the cache may be dropped before this is sent.
            let (shared_state, key, keep_alive) =
                (self.shared_state.clone(), key.clone(), self.background.keep_alive());
            move || {
                shared_state.unreleased.push(key, token, release);
                drop(keep_alive);
            }
        };
        match self.link(key) {
            Ok(link) => link.send_detached(self.shared_state.purpose.release(key, token, release), later),
            Err(_) => later(),
        }
    }

    fn give_back<'a>(&'a self, key: &'a Address, token: Token) -> RemoteFuture<'a, ()> {
        Box::pin(async move {
            self.link(key)?.ask(self.shared_state.purpose.release(key, token, Release::NotLoaded)).await.map(drop)
        })
    }

    fn publish<'a>(
        &'a self,
        key: &'a Address,
        token: Token,
        entry: Vec<u8>,
        ttl: Duration,
    ) -> RemoteFuture<'a, Published> {
        let bytes = entry.len();
        if bytes <= INLINE {
            let mut step = self.publication(key, token, ttl, None, bytes);
            step.arg(entry);
            return Box::pin(async move {
                published(&self.link(key)?.ask(step).await?, None, &self.shared_state.purpose.listener)
            });
        }
        let stage = key.stage(&token);
        let step = self.publication(key, token, ttl, Some(&stage), 0);
        if bytes >= LARGE {
            return Box::pin(async move {
                // The order relative to this process's other commands does not matter: the token fences it.
                let commands = move || pipeline([set_stage(&stage, &entry), step]);
                let answers = self.link(key)?.transfer(bytes, commands).await?;
                let [staged, reply] = answers.try_into().map_err(|_| unexpected("publish"))?;
                published(&reply?, staged.err(), &self.shared_state.purpose.listener)
            });
        }
        let stage = set_stage(&stage, &entry);
        Box::pin(async move {
            let (staged, reply) = self.link(key)?.ask_both(stage, step).await?;
            published(&reply?, staged.err(), &self.shared_state.purpose.listener)
        })
    }

    fn seize<'a>(
        &'a self,
        key: &'a Address,
        known: &'a [u32],
        token: Token,
        lease: Duration,
    ) -> RemoteFuture<'a, Option<StampValue>> {
        let touched = with_own(key, known);
        let mut step = self.invalidation(key, &touched, Invalidation::Delete);
        step.arg(token.digits()).arg(millis(lease));
        Box::pin(async move { self.reach_all(key, &touched, Invalidation::Delete, step).await })
    }

    #[cfg(feature = "http")]
    fn keep(&self, key: &Address, ttl: Duration) {
        let mut expire = cmd("PEXPIRE");
        // `GT` never shortens the lifetime: another entry may have replaced the intended one.
        expire.arg(key.entry()).arg(millis(ttl)).arg("GT");
        if let Ok(link) = self.link(key) {
            // If this fails, Redis forgets an HTTP response earlier.
            link.send_detached(expire, || ());
        }
    }

    fn invalidate<'a>(
        &'a self,
        key: &'a Address,
        known: &'a [u32],
        mode: Invalidation,
    ) -> RemoteFuture<'a, Option<StampValue>> {
        let touched = with_own(key, known);
        let step = self.invalidation(key, &touched, mode);
        Box::pin(async move { self.reach_all(key, &touched, mode, step).await })
    }

    fn restamp<'a>(&'a self, stamps: &'a [StampName]) -> RemoteFuture<'a, ()> {
        let process = self.shared_state.purpose.process;
        Box::pin(async move { stamps::restamp(&*self.links()?, stamps, self.channels(), process).await })
    }

    fn probe(&self) -> RemoteFuture<'_, ()> {
        Box::pin(async move { self.links()?.ping().await })
    }

    fn now(&self) -> Option<u64> {
        self.shared_state.clock.now()
    }

    fn is_subscribed(&self) -> bool {
        self.shared_state.links().is_ok()
    }

    #[cfg(feature = "inspector")]
    fn ask_fleet(&self, nonce: u64) {
        let purpose = &self.shared_state.purpose;
        let group = &purpose.groups[0];
        self.send(&purpose.channels.invalidations(group), Message::asked(purpose.process, nonce).into_bytes());
    }

    #[cfg(feature = "inspector")]
    fn answer_fleet(&self, to: u64, nonce: u64, answer: Vec<u8>) {
        let purpose = &self.shared_state.purpose;
        let channel = purpose.channels.wake_prefix(&purpose.groups[0]) + &digits(to);
        self.send(&channel, Message::answered(nonce, &answer));
    }

    fn server(&self) -> Option<(String, u16)> {
        self.shared_state.purpose.target().target.server()
    }

    fn runtime(&self) -> &Handle {
        self.background.runtime()
    }

    fn leases(&self) -> &Leases {
        &self.leases
    }

    fn reconnect(&self, url: &str) -> Result<RemoteFuture<'_, ()>, String> {
        let target = Target::parse(url)?;
        let purpose = &self.shared_state.purpose;
        if target.is_sharded() != purpose.target().target.is_sharded() {
            return Err("a cluster cannot take the place of a single server, nor the other way round".to_owned());
        }
        if target.database() != purpose.target().target.database() {
            return Err("the number of the database cannot change".to_owned());
        }
        let number = purpose.set_target(target);
        self.shared_state.retargeted.notify_one();
        Ok(Box::pin(self.attempt(number)))
    }

    fn close(&self) {
        self.supervisor.abort();
    }
}

impl Purpose {
    /// The step that gives a lease back.
    fn release(&self, key: &Address, token: Token, release: Release) -> Cmd {
        let mark = match release {
            Release::NotLoaded => 0,
            Release::NothingStored => millis(IN_VAIN),
        };
        let mut step = Step::Release.on(&[&key.lease()]);
        step.arg(token.digits())
            .arg(self.channels.publish())
            .arg(&*self.channels.wake_prefix(key.group()))
            .arg(digits(key.id()))
            .arg(mark);
        step
    }
}

/// The names of the entry and its lease.
fn names(key: &Address) -> [String; 2] {
    [key.entry().to_owned(), key.lease()]
}

/// The versions that an invalidation reaches first.
fn with_own(key: &Address, known: &[u32]) -> Versions {
    let others = known.iter().copied().filter(|version| *version != key.version());
    [key.version()].into_iter().chain(others).collect()
}

/// Reads the first bytes of an entry. The answer is small, so it does not delay other answers.
fn get_range(key: &Address, bytes: usize) -> Cmd {
    let entry = key.entry();
    let mut read = Cmd::with_capacity(4, 24 + entry.len());
    read.arg("GETRANGE").arg(entry).arg(0).arg(bytes - 1);
    read
}

fn pipeline<const N: usize>(commands: [Cmd; N]) -> Pipeline {
    let mut pipeline = Pipeline::with_capacity(N);
    commands.into_iter().for_each(|command| {
        pipeline.add_command(command);
    });
    pipeline
}

/// Takes the lease if it is free.
fn set_lease(key: &Address, token: Token, lifetime: Duration) -> Cmd {
    let lease = key.lease();
    let mut set = Cmd::with_capacity(6, lease.len() + 96);
    set.arg("SET").arg(lease).arg(token.digits()).arg("NX").arg("PX").arg(millis(lifetime));
    set
}

fn set_stage(key: &str, entry: &[u8]) -> Cmd {
    let mut set = Cmd::with_capacity(5, key.len() + entry.len() + 16);
    set.arg("SET").arg(key).arg(entry).arg("PX").arg(millis(STAGE));
    set
}

fn acquired(reply: &Value) -> Result<Acquired, RemoteError> {
    let Value::Array(parts) = reply else { return Err(unexpected("acquire")) };
    match parts.as_slice() {
        [Value::Int(0)] => Ok(Acquired::Granted),
        [Value::Int(1), Value::Int(left)] => Ok(Acquired::Held(Duration::from_millis((*left).max(0).unsigned_abs()))),
        [Value::Int(2)] => Ok(Acquired::Changed),
        [Value::Int(3)] => Ok(Acquired::HeldInVain),
        _ => Err(unexpected("acquire")),
    }
}

/// `unstaged`: why the value was not staged.
fn published(reply: &Value, unstaged: Option<RemoteError>, listener: &Listeners) -> Result<Published, RemoteError> {
    match reply {
        Value::Int(1 | 2) => Ok(Published::Stored),
        Value::Int(0) => Ok(Published::Fenced),
        Value::BulkString(error) => {
            let reason =
                unstaged.map_or_else(|| String::from_utf8_lossy(error).into_owned(), |unstaged| unstaged.message);
            // A full server refuses each value. The engine decides how the call goes on.
            listener.warned(UNSTORED.allow(), "redis_full", "Redis did not store a value", &reason);
            Ok(Published::Refused)
        }
        _ => Err(unexpected("publish")),
    }
}

static UNSTORED: LogLimit = LogLimit::every(MINUTE);
