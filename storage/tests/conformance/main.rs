//! One suite for every engine: what `store` promises, and a comparison with a sequential model.

#![allow(clippy::print_stderr, reason = "a test that skips says so")]

mod checks;
mod etcd_server;
mod model;

use component_base::clock::Clock;
use std::sync::Arc;
use storage::embedded::{Compaction, Config, Embedded};

/// Calls the macro with the name of every check but `a_closed_store_says_so`: a store in memory has nothing to close.
macro_rules! for_every_check {
    ($do:ident) => {
        $do! {
            an_acknowledged_write_is_loaded
            a_prefix_selects_whole_kinds_and_namespaces
            a_precondition_decides_each_write_by_itself
            what_is_not_there_cannot_be_removed
            a_call_answers_each_of_its_writes
            an_empty_value_is_a_value
            of_many_updates_at_one_revision_one_succeeds
            the_feed_gives_history_then_news_without_gap_or_duplicate
            feeds_and_history_tell_who_and_why
            history_is_one_keys_newest_first_and_limited
            compaction_drops_the_log_and_keeps_the_objects
            revisions_to_come_are_refused
            a_reader_that_never_reads_blocks_nobody
            large_objects_come_back_whole
        }
    };
}

/// A store in a new directory, which compacts only when it is told to.
async fn embedded() -> (tempfile::TempDir, Arc<Embedded>) {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).await;
    (directory, store)
}

async fn open(directory: &std::path::Path) -> Arc<Embedded> {
    let config = Config {
        compaction: Compaction {
            keep_changes: u64::MAX,
            keep_age: std::time::Duration::MAX,
            ..Compaction::default()
        },
        ..Config::new(directory)
    };
    Arc::new(Embedded::open(config, Clock::system()).await.unwrap())
}

mod memory_engine {
    macro_rules! tests {
        ($($check:ident)*) => {$(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $check() {
                super::checks::$check(std::sync::Arc::new(storage::memory::MemoryStore::new())).await;
            }
        )*};
    }
    for_every_check!(tests);
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
}

mod embedded_engine {
    use proptest::prelude::*;
    use storage::store::Store;

    macro_rules! tests {
        ($($check:ident)*) => {$(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $check() {
                let (_directory, store) = super::embedded().await;
                super::checks::$check(store).await;
            }
        )*};
    }
    for_every_check!(tests);
    tests!(a_closed_store_says_so);

    proptest! {
        #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn agrees_with_the_sequential_model(steps in super::model::steps(30)) {
            super::runtime().block_on(async {
                let (directory, store) = super::embedded().await;
                super::model::run(store, steps, async |store| {
                    store.close().await;
                    super::open(directory.path()).await
                })
                .await;
            });
        }
    }
}

mod etcd_engine {
    use super::{checks, etcd_server::EtcdServer};
    use futures::{FutureExt, StreamExt};
    use proptest::prelude::*;
    use proptest::test_runner::TestRunner;
    use std::sync::Arc;
    use std::time::Duration;
    use storage::cache::{Cache, CacheConfig};
    use storage::store::{Change, Precondition, Store, StoreError};

    const NEVER: Duration = Duration::from_secs(1 << 30);

    macro_rules! run_all {
        ($($check:ident)*) => {
            /// One server for all: each check has a prefix of its own, and they come one after the other, since
            /// compaction is for the whole of etcd.
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn keeps_every_promise() {
                let Some(server) = EtcdServer::start().await else {
                    skipped();
                    return;
                };
                $(
                    eprintln!("{}", stringify!($check));
                    let store = server.store(concat!("/", stringify!($check)), NEVER).await;
                    checks::$check(Arc::new(store)).await;
                )*
                let store = server.store("/closed", NEVER).await;
                checks::a_closed_store_says_so(Arc::new(store)).await;
            }
        };
    }
    for_every_check!(run_all);

    #[test]
    fn agrees_with_the_sequential_model() {
        let runtime = super::runtime();
        let Some(server) = runtime.block_on(EtcdServer::start()) else {
            skipped();
            return;
        };
        let cases = std::cell::Cell::new(0);
        let mut runner = TestRunner::new(ProptestConfig {
            cases: 8,
            failure_persistence: None,
            ..ProptestConfig::default()
        });
        let outcome = runner.run(&super::model::steps(15), |steps| {
            cases.set(cases.get() + 1);
            runtime.block_on(async {
                let store = server.store(&format!("/model-{}", cases.get()), NEVER).await;
                super::model::run(Arc::new(store), steps, async |store| store).await;
            });
            Ok(())
        });
        outcome.unwrap();
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_feed_outlives_a_restart_of_the_server() {
        let Some(mut server) = EtcdServer::start().await else {
            skipped();
            return;
        };
        let store = server.store("/restart", NEVER).await;
        let clock = component_base::clock::Clock::system();
        let mut feed = store.changes(store.revisions().await.unwrap().0).await.unwrap();
        let mut written = Vec::new();
        for round in 0..3 {
            if round > 0 {
                server.restart();
            }
            let write = || vec![checks::write("web", Some(&round.to_string()), Precondition::None)];
            let done = async {
                loop {
                    match store.commit(write()).await {
                        Ok(results) => break results[0].clone().unwrap(),
                        Err(_) => clock.sleep(Duration::from_millis(50)).await,
                    }
                }
            };
            written.push(clock.timeout(Duration::from_secs(20), done).await.unwrap());
        }
        // A write whose answer the crash took away is in the feed too.
        let mut seen: Vec<Arc<Change>> = Vec::new();
        while seen.last() != written.last() {
            let change = clock.timeout(Duration::from_secs(20), feed.next()).await.unwrap();
            seen.push(change.unwrap().unwrap());
        }
        assert!(seen.is_sorted_by(|a, b| a.revision < b.revision));
        assert!(written.iter().all(|change| seen.contains(change)));
    }

    async fn put(store: &dyn Store, name: &str) -> Arc<Change> {
        let write = checks::write(name, Some("x"), Precondition::None);
        store.commit(vec![write]).await.unwrap().remove(0).unwrap()
    }

    /// etcd's own revision rises with them all.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn what_is_no_change_of_ours_is_never_waited_for() {
        let Some(server) = EtcdServer::start().await else {
            skipped();
            return;
        };
        let store: Arc<dyn Store> = Arc::new(server.store("/ours", NEVER).await);
        let other = server.store("/other", NEVER).await;
        let clock = component_base::clock::Clock::system();
        let config = CacheConfig {
            shared_store: true,
            ..CacheConfig::default()
        };
        let open = || Cache::open(store.clone(), clock.clone(), config);
        let caught_up = async |cache: &Cache, why: &str| {
            let caught_up = clock.timeout(Duration::from_secs(5), cache.catch_up());
            caught_up.await.expect(why).unwrap();
        };
        let empty = open().await.unwrap();
        put(&other, "web").await;
        caught_up(&empty, "a store without objects").await;

        let write = |value| checks::write("web", value, Precondition::None);
        let mut done = store.commit(vec![write(Some("")), write(None)]).await.unwrap();
        let newest = done.remove(1).unwrap().revision;
        caught_up(&empty, "our own changes").await;
        store.compact(newest).await.unwrap();
        caught_up(&empty, "our own compaction, which also forgets a removal").await;
        put(&other, "web").await;
        caught_up(&empty, "a change below another prefix").await;

        let late = open().await.unwrap();
        assert_eq!(late.revision(), newest, "no other server ever comes to more");
        assert_eq!(empty.revision(), newest);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn an_idle_feed_outlives_the_compaction_of_another() {
        let Some(server) = EtcdServer::start().await else {
            skipped();
            return;
        };
        let store = server.store("/ours", NEVER).await;
        let first = put(&store, "web").await;
        let mut following = store.changes(first.revision).await.unwrap();
        assert!(following.next().now_or_never().is_none());
        let other = server.store("/other", NEVER).await;
        put(&other, "web").await;
        other.compact(put(&other, "web").await.revision).await.unwrap();

        let mut late = store.changes(first.revision).await.unwrap();
        assert!(late.next().now_or_never().is_none());
        let second = put(&store, "web").await;
        let clock = component_base::clock::Clock::system();
        for feed in [&mut following, &mut late] {
            let change = clock.timeout(Duration::from_secs(20), feed.next()).await.unwrap();
            assert_eq!(change.unwrap().unwrap(), second);
        }

        // What is lost is told, whoever compacted it.
        put(&store, "web").await;
        other.compact(put(&other, "web").await.revision).await.unwrap();
        let mut expired = store.changes(first.revision).await.unwrap();
        let error = clock.timeout(Duration::from_secs(20), expired.next()).await;
        let error = error.unwrap().unwrap().unwrap_err();
        assert!(matches!(error, StoreError::Expired { .. }), "{error}");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn compacts_by_age_on_its_own() {
        let Some(server) = EtcdServer::start().await else {
            skipped();
            return;
        };
        let store = server.store("/aging", Duration::from_millis(100)).await;
        let clock = component_base::clock::Clock::system();
        let compacted = async {
            for i in 0.. {
                let write = checks::write("web", Some(&i.to_string()), Precondition::None);
                store.commit(vec![write]).await.unwrap();
                if store.revisions().await.unwrap().1 > 5 {
                    break;
                }
                clock.sleep(Duration::from_millis(20)).await;
            }
        };
        clock.timeout(Duration::from_secs(20), compacted).await.unwrap();
    }

    pub(crate) fn skipped() {
        eprintln!("skipped: no etcd on this machine (Debian: apt-get install etcd-server)");
    }
}
