//! Carrying out what was planned, and writing down when.

use std::thread::sleep;
use std::time::Duration;

use hybridcache_test_support::{Direction, Flow, Reply};

use crate::history::{Fault, Harm, Micros, Span, now};
use crate::plan::{Global, Local};
use crate::round::{Round, sleep_until};

impl Round {
    pub(crate) fn harm(&self, place: usize, local: Local, end: Micros) {
        let begin = now();
        let proxy = &self.proxies[place];
        match local {
            Local::Kill => self.worker(place).kill(),
            Local::Pause => self.worker(place).pause(),
            Local::Snap => proxy.cut(),
            Local::Delay(delay) => {
                let delay = Flow::Delay(Duration::from_millis(delay));
                proxy.set(Direction::ToServer, delay);
                proxy.set(Direction::ToClient, delay);
            }
            Local::Cut => {
                proxy.refuse();
                proxy.cut();
            }
            Local::Mute => proxy.set(Direction::ToServer, Flow::Hold),
            Local::Deaf => proxy.set(Direction::ToClient, Flow::Hold),
            Local::Unheard => proxy.set_for_subscribers(Direction::ToClient, Flow::Hold),
            Local::Missed => proxy.set_for_subscribers(Direction::ToClient, Flow::Swallow),
            Local::Swallow { to_server: true } => proxy.set(Direction::ToServer, Flow::Swallow),
            Local::Swallow { to_server: false } => proxy.set(Direction::ToClient, Flow::Swallow),
        }
        sleep_until(end);
        match local {
            Local::Kill => self.replace(place),
            Local::Pause => self.worker(place).resume(),
            _ => proxy.restore(),
        }
        let what = match local {
            Local::Kill => Harm::Killed,
            Local::Pause => Harm::Stopped,
            Local::Delay(_) => Harm::Slow,
            _ => Harm::Deaf,
        };
        self.note(what, Some(place), begin);
    }

    pub(crate) fn harm_redis(&self, global: Global, end: Micros) {
        // Starting a server can take longer than the plan allows for.
        let _alone = self.alone.lock().unwrap();
        let begin = now();
        let harms: &[Harm] = match global {
            Global::Stop => {
                self.redis.stop();
                sleep_until(end);
                self.redis.resume();
                &[Harm::Deaf]
            }
            Global::Crash => {
                self.redis.kill();
                sleep_until(end);
                self.redis.restart();
                &[Harm::Deaf, Harm::Lost]
            }
            Global::Rollback => {
                let saved = self.redis.command(&[b"SAVE"]);
                assert_eq!(saved, Reply::Simple("OK".to_owned()));
                sleep_until(end);
                self.redis.kill();
                sleep(Duration::from_millis(fastrand::u64(..200)));
                self.redis.start_again();
                &[Harm::Undone]
            }
            Global::Refuse => self.set_for_a_while("min-replicas-to-write", ["1", "0"], end),
            Global::Fill => self.set_for_a_while("maxmemory", ["1", "0"], end),
            Global::Flush => {
                self.redis.flush();
                &[Harm::Lost]
            }
            Global::ScriptFlush => {
                self.redis.command(&[b"SCRIPT", b"FLUSH"]);
                &[Harm::Harmless]
            }
        };
        harms.iter().for_each(|harm| self.note(*harm, None, begin));
    }

    fn set_for_a_while(&self, setting: &str, [meanwhile, afterwards]: [&str; 2], end: Micros) -> &'static [Harm] {
        self.redis.config_set(setting, meanwhile);
        sleep_until(end);
        self.redis.config_set(setting, afterwards);
        &[Harm::Slow]
    }

    fn note(&self, what: Harm, place: Option<usize>, begin: Micros) {
        self.faults.lock().unwrap().push(Fault { what, place, span: Span { begin, end: now() } });
    }
}
