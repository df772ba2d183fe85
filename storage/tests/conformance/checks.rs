//! What every engine promises, one function a promise. Each gets a store of its own, which may have seen other
//! revisions before.

use bytes::Bytes;
use futures::{FutureExt, StreamExt};
use proto::Timestamp;
use std::sync::Arc;
use std::time::Duration;
use storage::store::{
    Change, Changes, Conflict, HistoryLimit, Key, Origin, Precondition, Revision, Store, StoreError, Write,
};

type Shared = Arc<dyn Store>;

/// Far more than any answer takes; so that a promise that is broken by silence fails instead of hanging.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) fn key(name: &str) -> Key {
    Key::new("pods", "default", name)
}

pub(crate) fn origin(actor: &str, cause: Revision) -> Origin {
    Origin {
        actor: actor.into(),
        cause,
        time: Timestamp {
            seconds: 1_767_225_600 + cause,
            nanos: 250,
        },
    }
}

pub(crate) fn write(name: &str, value: Option<&str>, precondition: Precondition) -> Write {
    Write {
        key: key(name),
        value: value.map(|value| Bytes::copy_from_slice(value.as_bytes())),
        precondition,
        origin: origin("test", 0),
    }
}

fn put(name: &str, value: &str) -> Write {
    write(name, Some(value), Precondition::None)
}

fn remove(name: &str) -> Write {
    write(name, None, Precondition::None)
}

async fn one(store: &Shared, write: Write) -> Result<Arc<Change>, Conflict> {
    let mut results = store.commit(vec![write]).await.unwrap();
    assert_eq!(results.len(), 1);
    results.remove(0)
}

async fn done(store: &Shared, write: Write) -> Arc<Change> {
    one(store, write).await.unwrap()
}

async fn newest(store: &Shared) -> Revision {
    store.revisions().await.unwrap().0
}

async fn in_time<T>(future: impl Future<Output = T>) -> T {
    component_base::clock::Clock::system()
        .timeout(PATIENCE, future)
        .await
        .expect("an answer in time")
}

async fn next(changes: &mut Changes) -> Arc<Change> {
    in_time(changes.next()).await.unwrap().unwrap()
}

async fn take(changes: &mut Changes, count: usize) -> Vec<Arc<Change>> {
    let mut taken = Vec::new();
    for _ in 0..count {
        taken.push(next(changes).await);
    }
    taken
}

fn values(entries: &[(Key, storage::store::Versioned)]) -> Vec<(&str, &[u8])> {
    entries
        .iter()
        .map(|(key, versioned)| (key.parts().2, &*versioned.value))
        .collect()
}

pub(crate) async fn an_acknowledged_write_is_loaded(store: Shared) {
    let first = done(&store, put("web-1", "one")).await;
    let second = done(&store, put("web-2", "two")).await;
    assert!(second.revision > first.revision);
    let snapshot = store.load("pods/").await.unwrap();
    assert_eq!(
        values(&snapshot.entries),
        [("web-1", &b"one"[..]), ("web-2", b"two")]
    );
    assert_eq!(snapshot.entries[0].1.revision, first.revision);
    assert_eq!(snapshot.revision, second.revision);
    assert_eq!(newest(&store).await, second.revision);
}

/// Keys sort as text, as in etcd: `default-2/` comes before `default/`.
pub(crate) async fn a_prefix_selects_whole_kinds_and_namespaces(store: Shared) {
    let at = |resource: &str, namespace: &str, name: &str| Write {
        key: Key::new(resource, namespace, name),
        ..put("", "x")
    };
    let writes = vec![
        at("pods", "default", "a"),
        at("pods", "default-2", "b"),
        at("nodes", "", "c"),
        at("podtemplates", "default", "d"),
    ];
    assert!(store.commit(writes).await.unwrap().iter().all(Result::is_ok));
    for (prefix, expected) in [
        (Key::prefix("pods", None), vec!["b", "a"]),
        (Key::prefix("pods", Some("default")), vec!["a"]),
        (Key::prefix("nodes", None), vec!["c"]),
        (String::new(), vec!["c", "b", "a", "d"]),
        ("services/".into(), vec![]),
    ] {
        let snapshot = store.load(&prefix).await.unwrap();
        let names: Vec<_> = snapshot.entries.iter().map(|(key, _)| key.parts().2).collect();
        assert_eq!(names, expected, "{prefix:?}");
    }
}

pub(crate) async fn a_precondition_decides_each_write_by_itself(store: Shared) {
    let created = done(&store, write("web", Some("1"), Precondition::Absent)).await;
    assert_eq!(created.before, None);
    let conflict = one(&store, write("web", Some("2"), Precondition::Absent))
        .await
        .unwrap_err();
    assert_eq!(conflict.key, key("web"));
    assert_eq!(conflict.current, Some(created.revision));

    let updated = done(
        &store,
        write("web", Some("2"), Precondition::At(created.revision)),
    )
    .await;
    let before = updated.before.clone().unwrap();
    assert_eq!((&*before.value, before.revision), (&b"1"[..], created.revision));
    let conflict = one(
        &store,
        write("web", Some("3"), Precondition::At(created.revision)),
    )
    .await
    .unwrap_err();
    assert_eq!(conflict.current, Some(updated.revision));
    assert!(
        one(&store, write("web", None, Precondition::At(created.revision)))
            .await
            .is_err()
    );

    let removed = done(&store, write("web", None, Precondition::At(updated.revision))).await;
    assert_eq!(removed.after, None);
    assert_eq!(removed.before.as_ref().unwrap().revision, updated.revision);
    let conflict = one(
        &store,
        write("web", Some("4"), Precondition::At(updated.revision)),
    )
    .await
    .unwrap_err();
    assert_eq!(conflict.current, None);
    assert_eq!(
        newest(&store).await,
        removed.revision,
        "a conflict makes no revision"
    );
}

pub(crate) async fn what_is_not_there_cannot_be_removed(store: Shared) {
    done(&store, put("other", "x")).await;
    let before = newest(&store).await;
    for precondition in [Precondition::None, Precondition::Absent, Precondition::At(before)] {
        let conflict = one(&store, write("web", None, precondition)).await.unwrap_err();
        assert_eq!(conflict.current, None);
    }
    assert_eq!(newest(&store).await, before);
}

pub(crate) async fn a_call_answers_each_of_its_writes(store: Shared) {
    let results = store
        .commit(vec![
            write("a", Some("1"), Precondition::Absent),
            write("b", Some("1"), Precondition::At(1)),
            write("a", Some("2"), Precondition::Absent),
            put("a", "3"),
            remove("a"),
            write("a", Some("4"), Precondition::Absent),
        ])
        .await
        .unwrap();
    let outcome: Vec<_> = results.iter().map(Result::is_ok).collect();
    assert_eq!(outcome, [true, false, false, true, true, true]);
    let done: Vec<_> = results.iter().flatten().collect();
    for pair in done.windows(2) {
        assert!(pair[0].revision < pair[1].revision);
        let before = pair[1].before.as_ref();
        assert_eq!(before.map(|before| before.value.clone()), pair[0].after);
        assert!(before.is_none_or(|before| before.revision == pair[0].revision));
    }
    let snapshot = store.load("").await.unwrap();
    assert_eq!(values(&snapshot.entries), [("a", &b"4"[..])]);
    assert!(store.commit(Vec::new()).await.unwrap().is_empty());
}

pub(crate) async fn an_empty_value_is_a_value(store: Shared) {
    let empty = done(&store, put("empty", "")).await;
    assert_eq!(empty.after.as_deref(), Some(&b""[..]));
    let snapshot = store.load("").await.unwrap();
    assert_eq!(values(&snapshot.entries), [("empty", &b""[..])]);
    let changed = done(&store, put("empty", "x")).await;
    assert_eq!(&*changed.before.as_ref().unwrap().value, b"");
    assert_eq!(store.change(empty.revision).await.unwrap(), empty);
}

pub(crate) async fn of_many_updates_at_one_revision_one_succeeds(store: Shared) {
    let mut at = done(&store, put("web", "0")).await.revision;
    for round in 0..5 {
        let writers = (0..16).map(|writer| {
            let store = store.clone();
            let value = format!("{round}-{writer}");
            async move { one(&store, write("web", Some(&value), Precondition::At(at))).await }
        });
        let results = futures::future::join_all(writers).await;
        let mut won = results.into_iter().filter_map(Result::ok);
        at = won.next().expect("one of them").revision;
        assert!(won.next().is_none(), "two writers won round {round}");
    }
}

pub(crate) async fn the_feed_gives_history_then_news_without_gap_or_duplicate(store: Shared) {
    let start = newest(&store).await;
    let mut expected = Vec::new();
    for i in 0..20 {
        expected.push(done(&store, put(&format!("web-{}", i % 5), &i.to_string())).await);
    }
    let mut feeds = Vec::new();
    for seen in [0, 1, 10, 20] {
        let after = if seen == 0 {
            start
        } else {
            expected[seen - 1].revision
        };
        feeds.push((seen, store.changes(after).await.unwrap()));
    }
    // News come while the history is still being read.
    let writer = tokio::spawn({
        let store = store.clone();
        async move {
            let mut done_writes = Vec::new();
            for i in 20..60 {
                let name = format!("web-{}", i % 5);
                let next = if i % 7 == 0 {
                    remove(&name)
                } else {
                    put(&name, "new")
                };
                done_writes.extend(one(&store, next).await.ok());
            }
            done_writes
        }
    });
    let mut first = take(&mut feeds[0].1, 30).await;
    expected.extend(writer.await.unwrap());
    first.extend(take(&mut feeds[0].1, expected.len() - 30).await);
    assert_eq!(first, expected);
    for (seen, feed) in &mut feeds[1..] {
        assert_eq!(take(feed, expected.len() - *seen).await, expected[*seen..]);
        assert!(feed.next().now_or_never().is_none(), "nothing is left");
    }
}

pub(crate) async fn feeds_and_history_tell_who_and_why(store: Shared) {
    let start = newest(&store).await;
    let mut feed = store.changes(start).await.unwrap();
    let mut written = Vec::new();
    for (actor, cause, value) in [
        ("kubectl", 0, Some("1")),
        ("scheduler", 7, Some("2")),
        ("gc", 9, None),
    ] {
        let next = Write {
            origin: origin(actor, cause),
            ..write("web", value, Precondition::None)
        };
        written.push(done(&store, next).await);
    }
    assert_eq!(written[2].origin, origin("gc", 9));
    assert_eq!(take(&mut feed, 3).await, written);
    for change in &written {
        assert_eq!(&store.change(change.revision).await.unwrap(), change);
    }
    written.reverse();
    assert_eq!(store.history(&key("web"), at_most(10)).await.unwrap(), written);
}

fn at_most(changes: usize) -> HistoryLimit {
    HistoryLimit {
        changes,
        ..HistoryLimit::NONE
    }
}

pub(crate) async fn history_is_one_keys_newest_first_and_limited(store: Shared) {
    let mut expected = Vec::new();
    for i in 0..4 {
        done(&store, put("other", "x")).await;
        expected.push(done(&store, put("web", &i.to_string())).await);
    }
    expected.push(done(&store, remove("web")).await);
    expected.push(done(&store, write("web", Some("again"), Precondition::Absent)).await);
    done(&store, put("other", "y")).await;
    expected.reverse();
    assert_eq!(store.history(&key("web"), at_most(100)).await.unwrap(), expected);
    assert_eq!(
        store.history(&key("web"), at_most(3)).await.unwrap(),
        expected[..3]
    );
    assert_eq!(store.history(&key("web"), at_most(0)).await.unwrap(), []);
    assert_eq!(store.history(&key("nobody"), at_most(3)).await.unwrap(), []);
    // `again` has 5 bytes, the removal before it 1, and the changes before that 2 each.
    for (bytes, count) in [(0, 1), (5, 1), (6, 2), (7, 2), (8, 3)] {
        let limit = HistoryLimit {
            bytes,
            ..HistoryLimit::NONE
        };
        let changes = store.history(&key("web"), limit).await.unwrap();
        assert_eq!(changes, expected[..count], "{bytes} bytes");
    }
    done(&store, remove("web")).await;
    assert_eq!(store.history(&key("web"), at_most(100)).await.unwrap().len(), 7);
}

pub(crate) async fn compaction_drops_the_log_and_keeps_the_objects(store: Shared) {
    let old = done(&store, put("kept", "1")).await;
    let hot = done(&store, put("hot", "1")).await;
    let gone = done(&store, put("gone", "1")).await;
    let hot = done(&store, write("hot", Some("2"), Precondition::At(hot.revision))).await;
    let removal = done(&store, remove("gone")).await;
    let after = done(&store, put("hot", "3")).await;
    let mut following = store.changes(removal.revision).await.unwrap();

    store.compact(removal.revision).await.unwrap();
    let (newest, compacted) = store.revisions().await.unwrap();
    assert!(newest >= after.revision);
    assert_eq!(compacted, removal.revision);
    let snapshot = store.load("").await.unwrap();
    assert_eq!(snapshot.compacted, removal.revision);
    assert_eq!(values(&snapshot.entries), [("hot", &b"3"[..]), ("kept", b"1")]);
    assert_eq!(snapshot.entries[1].1.revision, old.revision);

    let expired = |error: &StoreError| matches!(error, StoreError::Expired { compacted, .. } if *compacted == removal.revision);
    let error = match store.changes(hot.revision).await {
        Err(error) => error,
        Ok(mut changes) => in_time(changes.next()).await.unwrap().unwrap_err(),
    };
    assert!(expired(&error), "{error}");
    let error = store.change(gone.revision).await.unwrap_err();
    assert!(matches!(error, StoreError::Expired { .. }), "{error}");
    let mut resumed = store.changes(removal.revision).await.unwrap();
    for feed in [&mut resumed, &mut following] {
        let change = next(feed).await;
        assert_eq!(change, after);
        assert_eq!(&*change.before.as_ref().unwrap().value, b"2");
    }
    assert_eq!(
        store.history(&key("hot"), at_most(10)).await.unwrap(),
        std::slice::from_ref(&after)
    );
    assert_eq!(store.history(&key("gone"), at_most(10)).await.unwrap(), []);

    // Once more, and further back, changes nothing.
    store.compact(removal.revision).await.unwrap();
    store.compact(old.revision).await.unwrap();
    let next = done(&store, write("gone", Some("2"), Precondition::Absent)).await;
    assert!(next.revision > after.revision);
    store.compact(next.revision).await.unwrap();
    assert_eq!(values(&store.load("").await.unwrap().entries).len(), 3);
    let update = done(&store, write("kept", Some("2"), Precondition::At(old.revision))).await;
    assert_eq!(&*update.before.as_ref().unwrap().value, b"1");
}

pub(crate) async fn revisions_to_come_are_refused(store: Shared) {
    let newest = done(&store, put("web", "1")).await.revision;
    let future = |error: &StoreError| matches!(error, StoreError::Future { asked, current } if *asked == newest + 5 && *current == newest);
    for error in [
        store.changes(newest + 5).await.err().unwrap(),
        store.change(newest + 5).await.unwrap_err(),
        store.compact(newest + 5).await.unwrap_err(),
    ] {
        assert!(future(&error), "{error}");
    }
}

pub(crate) async fn a_reader_that_never_reads_blocks_nobody(store: Shared) {
    let start = newest(&store).await;
    let mut idle = store.changes(start).await.unwrap();
    let mut busy = store.changes(start).await.unwrap();
    let value = "x".repeat(64 << 10);
    let mut last = start;
    for i in 0..40 {
        let writes = (0..16)
            .map(|j| put(&format!("web-{j}"), &format!("{i}{value}")))
            .collect();
        let results = in_time(store.commit(writes)).await.unwrap();
        last = results
            .into_iter()
            .map(|result| result.unwrap().revision)
            .max()
            .unwrap();
    }
    let mut seen = start;
    while seen < last {
        let revision = next(&mut busy).await.revision;
        assert!(revision > seen);
        seen = revision;
    }
    let first: Vec<_> = take(&mut idle, 640)
        .await
        .iter()
        .map(|change| change.revision)
        .collect();
    assert!(first.is_sorted() && first[639] == last);
}

pub(crate) async fn large_objects_come_back_whole(store: Shared) {
    let start = newest(&store).await;
    let value = "v".repeat(1_400_000);
    for i in 0..5 {
        done(&store, put(&format!("big-{i}"), &value)).await;
    }
    let snapshot = store.load("").await.unwrap();
    assert_eq!(snapshot.entries.len(), 5);
    assert!(
        snapshot
            .entries
            .iter()
            .all(|(_, versioned)| versioned.value == value)
    );
    let mut feed = store.changes(start).await.unwrap();
    for change in take(&mut feed, 5).await {
        assert_eq!(change.after.as_deref(), Some(value.as_bytes()));
    }
}

pub(crate) async fn a_closed_store_says_so(store: Shared) {
    let newest = done(&store, put("web", "1")).await.revision;
    let mut feed = store.changes(newest).await.unwrap();
    store.close().await;
    let error = store.commit(vec![put("web", "2")]).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable(_)), "{error}");
    let error = in_time(feed.next()).await.unwrap().unwrap_err();
    assert!(matches!(error, StoreError::Unavailable(_)), "{error}");
    store.close().await;
}
