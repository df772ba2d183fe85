//! A child process writes as fast as it can and is killed with SIGKILL, again and again, over one data directory.
//!
//! After each kill: every acknowledged write is there, revisions go on rising, and the feed goes on from the last
//! revision that was seen, without a gap.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the child reports on stdout, the test prints its seed"
)]

use bytes::Bytes;
use component_base::clock::Clock;
use component_base::rng::Seed;
use futures::StreamExt;
use rand::RngExt;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use storage::embedded::{Compaction, Config, Embedded};
use storage::store::{Change, Key, Origin, Precondition, Revision, Store, Write};
use xxhash_rust::xxh3::xxh3_64;

const KILLS: usize = 100;
const WRITERS: usize = 8;
const KEYS: usize = 40;
/// The child writes for at most this long after its first acknowledged write; now and then it dies before that.
const LONGEST_LIFE: Duration = Duration::from_millis(60);
const CHILD: &str = "ORRERY_CRASH_TEST_CHILD";
const SEED: &str = "ORRERY_CRASH_TEST_SEED";

fn config(directory: &Path) -> Config {
    Config {
        // Compaction runs into the kills too.
        compaction: Compaction {
            keep_changes: 3_000,
            keep_age: Duration::from_secs(3600),
            every: Duration::from_millis(20),
        },
        ..Config::new(directory)
    }
}

/// What the child says of an acknowledged write.
#[derive(Debug, PartialEq)]
struct Acknowledged {
    revision: Revision,
    key: String,
    /// 0 for a removal.
    hash: u64,
}

impl Acknowledged {
    fn of(change: &Change) -> Self {
        Self {
            revision: change.revision,
            key: change.key.as_str().to_owned(),
            hash: change.after.as_ref().map_or(0, |value| xxh3_64(value)),
        }
    }

    fn line(&self) -> String {
        format!("ack {} {} {}\n", self.revision, self.key, self.hash)
    }

    fn parse(line: &str) -> Option<Self> {
        let mut words = line.strip_prefix("ack ")?.split(' ');
        Some(Self {
            revision: words.next()?.parse().ok()?,
            key: words.next()?.to_owned(),
            hash: words.next()?.parse().ok()?,
        })
    }
}

/// Not a test by itself: what the child runs.
async fn write_until_killed(directory: &Path, seed: Seed) {
    let store = Arc::new(Embedded::open(config(directory), Clock::system()).await.unwrap());
    let out = Arc::new(Mutex::new(std::io::stdout()));
    let writers = (0..WRITERS).map(|writer| {
        let (store, out) = (store.clone(), out.clone());
        let mut rng = seed.fork(&format!("writer-{writer}"));
        tokio::spawn(async move {
            loop {
                let writes = (0..rng.random_range(1..4))
                    .map(|_| random_write(&mut rng, &Clock::system()))
                    .collect();
                let results = store.commit(writes).await.unwrap();
                let lines: String = results
                    .iter()
                    .flatten()
                    .map(|change| Acknowledged::of(change).line())
                    .collect();
                // One system call, so that a kill leaves a line whole or cut, never mixed.
                out.lock().unwrap().write_all(lines.as_bytes()).unwrap();
            }
        })
    });
    futures::future::join_all(writers).await;
}

fn random_write(rng: &mut component_base::rng::Rng, clock: &Clock) -> Write {
    let size = rng.random_range(0..800);
    let value: Vec<u8> = (0..size).map(|_| rng.random()).collect();
    Write {
        key: Key::new("pods", "default", &format!("web-{}", rng.random_range(0..KEYS))),
        value: rng.random_bool(0.8).then(|| Bytes::from(value)),
        precondition: Precondition::None,
        origin: Origin {
            actor: "crash".into(),
            cause: 0,
            time: proto::Timestamp {
                seconds: clock.wall().as_second(),
                nanos: 0,
            },
        },
    }
}

#[test]
fn nothing_acknowledged_is_lost_in_a_hundred_kills() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let seed = std::env::var(SEED)
        .ok()
        .and_then(|text| text.parse().ok())
        .map_or_else(Seed::from_entropy, Seed);
    if let Some(directory) = std::env::var_os(CHILD) {
        runtime.block_on(write_until_killed(Path::new(&directory), seed));
        return;
    }
    eprintln!("seed {}: repeat with {SEED}={}", seed.0, seed.0);
    let directory = tempfile::tempdir().unwrap();
    let mut rng = seed.fork("kills");
    let mut seen = Seen::default();
    for kill in 0..KILLS {
        let life = LONGEST_LIFE.mul_f64(rng.random());
        let early = rng.random_bool(0.1);
        let acknowledged = live_and_die(directory.path(), seed.child(&kill.to_string()), life, early);
        runtime.block_on(seen.check(directory.path(), acknowledged));
    }
    eprintln!(
        "{} writes were acknowledged, the last at revision {}",
        seen.acknowledged, seen.revision
    );
    assert!(seen.acknowledged > KILLS, "the child hardly wrote");
}

/// Starts a child, kills it after `life`, and returns what it said. `early` counts its life from the start, so that it
/// may die while it opens the store.
fn live_and_die(directory: &Path, seed: Seed, life: Duration, early: bool) -> Vec<Acknowledged> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([
            "nothing_acknowledged_is_lost_in_a_hundred_kills",
            "--exact",
            "--nocapture",
        ])
        .env(CHILD, directory)
        .env(SEED, seed.0.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut acknowledged = Vec::new();
    if !early {
        // Without an acknowledged write the child ended by itself, which the check below would show.
        let first = lines
            .by_ref()
            .map_while(Result::ok)
            .find_map(|line| Acknowledged::parse(&line));
        acknowledged.extend(first);
        assert!(!acknowledged.is_empty(), "the child could not write");
    }
    let reader = std::thread::spawn(move || -> Vec<_> {
        let lines: Vec<_> = lines.map_while(Result::ok).collect();
        lines
    });
    wait(life);
    child.kill().unwrap();
    child.wait().unwrap();
    let mut lines = reader.join().unwrap();
    // The last line may be cut; its write is then one more that may or may not be there.
    lines.pop();
    acknowledged.extend(lines.iter().filter_map(|line| Acknowledged::parse(line)));
    acknowledged
}

fn wait(time: Duration) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    runtime.block_on(Clock::system().sleep(time));
}

/// What earlier lives have shown.
#[derive(Default)]
struct Seen {
    /// The last revision of the feed.
    revision: Revision,
    /// The objects at that revision.
    objects: BTreeMap<String, (Revision, u64)>,
    acknowledged: usize,
}

impl Seen {
    async fn check(&mut self, directory: &Path, acknowledged: Vec<Acknowledged>) {
        self.acknowledged += acknowledged.len();
        let store = Embedded::open(config(directory), Clock::system()).await.unwrap();
        let (newest, compacted) = store.revisions().await.unwrap();
        assert!(
            newest >= self.revision,
            "revisions fell from {} to {newest}",
            self.revision
        );
        let from = if compacted > self.revision {
            // The child compacted past what we saw: that much of the feed is gone, and said so.
            assert!(store.changes(self.revision).await.is_err());
            None
        } else {
            Some(self.revision)
        };
        let mut by_revision = BTreeMap::new();
        let start = from.unwrap_or(compacted);
        let mut feed = store.changes(start).await.unwrap();
        for expected in start + 1..=newest {
            let change = feed.next().await.unwrap().unwrap();
            assert_eq!(change.revision, expected, "a gap in the feed");
            if from.is_some() {
                let before = self.objects.get(change.key.as_str()).copied();
                let told = change
                    .before
                    .as_ref()
                    .map(|before| (before.revision, xxh3_64(&before.value)));
                assert_eq!(told, before, "before revision {expected}");
            }
            let written = Acknowledged::of(&change);
            match &change.after {
                Some(_) => self.objects.insert(written.key.clone(), (expected, written.hash)),
                None => self.objects.remove(&written.key),
            };
            by_revision.insert(expected, written);
        }
        for written in acknowledged.iter().filter(|written| written.revision > start) {
            assert_eq!(
                by_revision.get(&written.revision),
                Some(written),
                "an acknowledged write is lost"
            );
        }
        let snapshot = store.load("").await.unwrap();
        assert_eq!(snapshot.revision, newest);
        let objects: BTreeMap<_, _> = snapshot
            .entries
            .iter()
            .map(|(key, versioned)| {
                (
                    key.as_str().to_owned(),
                    (versioned.revision, xxh3_64(&versioned.value)),
                )
            })
            .collect();
        if from.is_some() {
            assert_eq!(objects, self.objects);
        }
        for written in &acknowledged {
            // Each is the object's value, or was overwritten later.
            let later = objects.get(&written.key).is_none_or(|(revision, hash)| {
                *revision > written.revision || (*revision, *hash) == (written.revision, written.hash)
            });
            assert!(later, "{written:?} is lost");
        }
        self.objects = objects;
        self.revision = newest;
        drop(feed);
        store.close().await;
    }
}
