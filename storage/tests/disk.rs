//! What lies on disk: how much of it, and what the embedded engine says when it is damaged.
#![allow(clippy::print_stderr, reason = "figures that help when a bound is exceeded")]

use bytes::Bytes;
use component_base::clock::Clock;
use component_base::rng::Seed;
use rand::RngExt;
use std::fmt::Debug;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Mutex};
use std::time::Duration;
use storage::embedded::{Compaction, Config, Embedded};
use storage::store::{Key, Origin, Precondition, Revision, Store, StoreError, Write};

fn write(kind: &str, name: &str, value: Vec<u8>) -> Write {
    Write {
        key: Key::new(kind, "default", name),
        value: Some(Bytes::from(value)),
        precondition: Precondition::None,
        origin: Origin {
            actor: "test".into(),
            cause: 0,
            time: proto::Timestamp::default(),
        },
    }
}

async fn open(directory: &Path) -> Result<Embedded, StoreError> {
    let config = Config {
        compaction: Compaction {
            keep_changes: 5_000,
            keep_age: Duration::MAX,
            every: Duration::from_millis(50),
        },
        ..Config::new(directory)
    };
    Embedded::open(config, Clock::system()).await
}

async fn put(store: &Embedded, name: &str, value: Vec<u8>) -> Revision {
    let results = store.commit(vec![write("pods", name, value)]).await.unwrap();
    results[0].as_ref().unwrap().revision
}

/// The bytes that a directory takes on disk: holes in files are free.
fn disk_usage(directory: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(directory) else {
        return 0;
    };
    let mut bytes = 0;
    for entry in entries.flatten() {
        // A file may go while we look.
        let Ok(metadata) = entry.metadata() else { continue };
        bytes += if metadata.is_dir() {
            disk_usage(&entry.path())
        } else {
            metadata.blocks() * 512
        };
    }
    bytes
}

fn files(directory: &Path, extension_is: impl Fn(&Path) -> bool + Copy) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path, extension_is));
        } else if extension_is(&path) {
            found.push(path);
        }
    }
    found.sort();
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn heartbeats_of_hours_fit_a_bounded_disk_and_damaged_tables_are_refused() {
    const NODES: usize = 100;
    const ROUNDS: usize = 720;
    const LEASE_BYTES: usize = 4000;
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).await.unwrap();
    let mut rng = Seed(1).fork("leases");
    let lasting = put(&store, "lasting", vec![7; 2000]).await;
    let mut largest = 0;
    for round in 0..ROUNDS {
        let leases = (0..NODES)
            .map(|node| {
                let mut value = vec![0; LEASE_BYTES];
                rng.fill(&mut value[..]);
                write("leases.coordination.k8s.io", &format!("node-{node}"), value)
            })
            .collect();
        store.commit(leases).await.unwrap();
        if round % 10 == 0 {
            largest = largest.max(disk_usage(directory.path()));
        }
    }
    let written = (NODES * ROUNDS * LEASE_BYTES) as u64;
    eprintln!(
        "{} MB written, at most {} MB on disk",
        written >> 20,
        largest >> 20
    );
    assert!(largest < BOUND_BYTES && BOUND_BYTES < written);
    assert!(
        store.revisions().await.unwrap().1 > lasting,
        "the log was compacted"
    );
    assert_eq!(store.load("pods/").await.unwrap().entries.len(), 1);
    store.close().await;

    let tables = files(directory.path(), |path| {
        path.parent().is_some_and(|parent| parent.ends_with("tables"))
    });
    let table = tables
        .iter()
        .max_by_key(|path| path.metadata().unwrap().len())
        .unwrap();
    let length = table.metadata().unwrap().len();
    flip(table, length / 2);
    let error = open(directory.path()).await.err().unwrap();
    assert!(matches!(error, StoreError::Corrupt(_)), "{error}");
    assert!(error.to_string().contains("after revision"), "{error}");
}

/// Two journals, what is not yet flushed, and tables that wait for their compaction.
const BOUND_BYTES: u64 = 200 << 20;

/// Messages of warnings, from all tests of this file.
static WARNINGS: LazyLock<Mutex<Vec<String>>> = LazyLock::new(|| {
    tracing::subscriber::set_global_default(Warnings).unwrap();
    Mutex::default()
});

struct Warnings;

impl tracing::Subscriber for Warnings {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        *metadata.level() <= tracing::Level::WARN && metadata.target().starts_with("storage")
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        let mut text = String::new();
        event.record(&mut |field: &tracing::field::Field, value: &dyn Debug| {
            text.push_str(&format!("{field}={value:?} "));
        });
        WARNINGS.lock().unwrap().push(text);
    }

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}

fn flip(path: &Path, offset: u64) {
    let file = std::fs::File::options()
        .read(true)
        .write(true)
        .open(path)
        .unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, offset).unwrap();
    file.write_all_at(&[byte[0] ^ 0x55], offset).unwrap();
}

/// A store with one journal, closed. `ends` holds the offset at which each of its batches ends.
struct Damaged {
    directory: tempfile::TempDir,
    journal: PathBuf,
    ends: Vec<u64>,
}

const BATCHES: usize = 5;

impl Damaged {
    async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut ends = Vec::new();
        for batch in 0..BATCHES {
            let store = open(directory.path()).await.unwrap();
            put(&store, &format!("web-{batch}"), vec![1; 300]).await;
            store.close().await;
            ends.push(content(&journal(directory.path())).len() as u64);
        }
        Self {
            journal: journal(directory.path()),
            directory,
            ends,
        }
    }

    async fn open(&self) -> Result<Embedded, StoreError> {
        open(self.directory.path()).await
    }

    async fn refused(&self) -> String {
        let before = content(&self.journal);
        let error = self.open().await.err().expect("damage is refused");
        assert!(matches!(error, StoreError::Corrupt(_)), "{error}");
        assert_eq!(content(&self.journal), before, "what is refused is not touched");
        error.to_string()
    }

    fn cut(&self, length: u64) {
        let file = std::fs::File::options().write(true).open(&self.journal).unwrap();
        file.set_len(length).unwrap();
    }
}

fn journal(directory: &Path) -> PathBuf {
    let journals = files(directory, |path| {
        path.extension().is_some_and(|extension| extension == "jnl")
    });
    assert_eq!(journals.len(), 1);
    journals[0].clone()
}

/// A journal without the zeros behind its last batch, which ends in 3.
fn content(journal: &Path) -> Vec<u8> {
    let mut bytes = std::fs::read(journal).unwrap();
    let end = bytes
        .iter()
        .rposition(|&byte| byte != 0)
        .map_or(0, |last| last + 1);
    bytes.truncate(end);
    bytes
}

#[tokio::test]
async fn a_torn_last_batch_is_cut_off_and_told() {
    LazyLock::force(&WARNINGS);
    let damaged = Damaged::new().await;
    let whole = content(&damaged.journal);
    let next = &whole[damaged.ends[3] as usize..];
    // What a crash leaves of a batch that was being written: any part of it, followed by nothing or by zeros.
    for torn in [
        1,
        5,
        13,
        14,
        20,
        34,
        42,
        43,
        next.len() - 30,
        next.len() - 13,
        next.len() - 1,
    ] {
        for zeros in [0, 5000] {
            let mut bytes = whole.clone();
            bytes.extend(&next[..torn]);
            // Of the batch after it: a higher sequence number.
            if let Some(sequence) = bytes.get_mut(whole.len() + 5) {
                *sequence = 200;
            }
            bytes.resize(bytes.len() + zeros, 0);
            std::fs::write(&damaged.journal, &bytes).unwrap();
            let store = damaged
                .open()
                .await
                .unwrap_or_else(|error| panic!("{torn} bytes: {error}"));
            let snapshot = store.load("").await.unwrap();
            assert_eq!((snapshot.revision, snapshot.entries.len()), (5, 5));
            store.close().await;
            assert_eq!(content(&damaged.journal), whole);
        }
    }
    let place = format!("offset={} ", whole.len());
    let journal = damaged.journal.display().to_string();
    let warnings = WARNINGS.lock().unwrap();
    let told = |text: &&String| text.contains(&journal) && text.contains(&place);
    assert_eq!(warnings.iter().filter(told).count(), 22, "{warnings:?}");
    assert!(
        warnings.iter().any(|text| text.contains("bytes=43 ")),
        "{warnings:?}"
    );
}

#[tokio::test]
async fn damage_in_the_middle_is_refused_with_its_place() {
    let damaged = Damaged::new().await;
    let mut start = 0;
    for end in &damaged.ends[..BATCHES - 1] {
        // The start mark, the item count, an item's mark, its lengths, its value, the checksum, the trailer.
        for offset in [
            start,
            start + 1,
            start + 13,
            start + 24,
            start + 30,
            start + 100,
            end - 10,
            end - 1,
        ] {
            flip(&damaged.journal, offset);
            let text = damaged.refused().await;
            assert!(
                text.contains(&format!("the batch at byte {start} of ")),
                "{offset}: {text}"
            );
            assert!(text.contains(&damaged.journal.display().to_string()), "{text}");
            flip(&damaged.journal, offset);
        }
        start = *end;
    }
    let store = damaged.open().await.unwrap();
    assert_eq!(store.revisions().await.unwrap().0, BATCHES as Revision);
}

#[tokio::test]
async fn any_flipped_byte_is_refused_or_harms_nothing() {
    let damaged = Damaged::new().await;
    let whole = content(&damaged.journal);
    let mut refused = 0;
    // Every field of a batch is hit in one batch or another.
    for offset in (0..whole.len()).step_by(19) {
        flip(&damaged.journal, offset as u64);
        match damaged.open().await {
            Ok(store) => {
                let snapshot = store.load("").await.unwrap();
                assert_eq!(
                    (snapshot.revision, snapshot.entries.len()),
                    (5, 5),
                    "byte {offset}"
                );
                store.close().await;
            }
            Err(error) => {
                assert!(matches!(error, StoreError::Corrupt(_)), "byte {offset}: {error}");
                refused += 1;
            }
        }
        std::fs::write(&damaged.journal, &whole).unwrap();
    }
    assert!(refused > 90, "only {refused} were refused");
}

#[tokio::test]
async fn a_lost_tail_that_was_acknowledged_is_refused_until_the_operator_agrees() {
    for (last, text) in [
        (
            10,
            "is broken: the file ends inside it, but revision 5 was acknowledged",
        ),
        (0, "the log ends at revision 4, but revision 5 was acknowledged"),
    ] {
        let damaged = Damaged::new().await;
        damaged.cut(damaged.ends[3] + last);
        let told = damaged.refused().await;
        assert!(told.contains(text), "{told}");
        assert!(
            damaged.refused().await.contains("was acknowledged"),
            "it is refused again"
        );

        std::fs::remove_file(damaged.directory.path().join("acknowledged")).unwrap();
        let store = damaged.open().await.unwrap();
        assert_eq!(store.load("").await.unwrap().entries.len(), 4);
        assert_eq!(put(&store, "again", vec![]).await, 5);
    }
}

#[tokio::test]
async fn a_database_that_is_gone_is_refused() {
    let damaged = Damaged::new().await;
    std::fs::remove_dir_all(damaged.directory.path().join("db")).unwrap();
    let error = damaged.open().await.err().unwrap();
    assert!(matches!(error, StoreError::Corrupt(_)), "{error}");
    assert!(error.to_string().contains("is missing"), "{error}");
}

#[tokio::test]
async fn a_database_that_was_half_made_is_made_again() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(directory.path().join("db.new/keyspaces")).unwrap();
    std::fs::write(directory.path().join("db.new/0.jnl"), b"half").unwrap();
    let store = open(directory.path()).await.unwrap();
    assert_eq!(put(&store, "web", vec![]).await, 1);
}

#[tokio::test]
async fn a_second_store_in_one_directory_is_refused_and_told_of_the_first() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).await.unwrap();
    let error = open(directory.path()).await.err().unwrap();
    assert!(matches!(error, StoreError::Locked(_)), "{error}");
    let holder = format!("in use by process {} since ", std::process::id());
    assert!(error.to_string().contains(&holder), "{error}");
    put(&store, "web", vec![]).await;
    store.close().await;
    open(directory.path()).await.unwrap();
}

#[tokio::test]
async fn a_full_disk_refuses_writes_and_goes_on_reading_and_removing() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).await.unwrap();
    put(&store, "web", vec![1]).await;
    store.close().await;
    let config = Config {
        min_free_bytes: u64::MAX,
        ..Config::new(directory.path())
    };
    let store = Embedded::open(config, Clock::system()).await.unwrap();
    let error = store
        .commit(vec![write("pods", "web", vec![2])])
        .await
        .unwrap_err();
    assert!(matches!(error, StoreError::NoSpace(_)), "{error}");
    assert_eq!(store.load("").await.unwrap().entries.len(), 1);
    store.compact(1).await.unwrap();
    let removal = Write {
        value: None,
        ..write("pods", "web", vec![])
    };
    let results = store.commit(vec![removal]).await.unwrap();
    assert!(results[0].is_ok(), "what frees space is done");
    store.close().await;
    let store = open(directory.path()).await.unwrap();
    assert_eq!(put(&store, "web", vec![3]).await, 3);
}

#[tokio::test(start_paused = true)]
async fn the_log_is_compacted_by_age_and_by_count() {
    let directory = tempfile::tempdir().unwrap();
    let clock = Clock::starting_at("2026-01-01T00:00:00Z".parse().unwrap());
    let config = Config {
        compaction: Compaction {
            keep_changes: 10,
            keep_age: Duration::from_secs(60),
            every: Duration::from_secs(5),
        },
        ..Config::new(directory.path())
    };
    let store = Embedded::open(config, clock.clone()).await.unwrap();
    let put = async |name: &str| {
        let mut next = write("pods", name, vec![1]);
        next.origin.time.seconds = clock.wall().as_second();
        store.commit(vec![next]).await.unwrap();
    };
    for _ in 0..30 {
        put("hot").await;
    }
    clock.sleep(Duration::from_secs(6)).await;
    assert_eq!(store.revisions().await.unwrap(), (30, 20), "by count");
    put("hot").await;
    clock.sleep(Duration::from_secs(58)).await;
    put("young").await;
    clock.sleep(Duration::from_secs(20)).await;
    assert_eq!(store.revisions().await.unwrap(), (32, 31), "by age");
    assert_eq!(store.load("").await.unwrap().entries.len(), 2);
}
