//! One suite for every engine: what `store` promises, and a comparison with a sequential model.

mod checks;

use component_base::clock::Clock;
use std::sync::Arc;
use storage::embedded::{Compaction, Config, Embedded};

/// Calls the macro with the name of every check.
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
            a_closed_store_says_so
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

mod embedded_engine {
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
}
