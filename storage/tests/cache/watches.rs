//! What one watch sees.

use crate::world::*;
use component_base::clock::Clock;
use futures::{FutureExt, StreamExt};
use prost::Message;
use proto::api::core::v1::{ConfigMap, Node, Pod};
use proto::{EventType, Kind};
use std::time::Duration;
use storage::Target;
use storage::cache::CacheConfig;
use storage::store::{Key, Store, StoreError};
use storage::watch::WatchOptions;

#[tokio::test(start_paused = true)]
async fn a_watch_begins_with_what_is_there_then_syncs_then_follows() {
    let world = World::new().await;
    world.put(&pod_key("b"), pod("b", "x", "")).await;
    world.put(&pod_key("a"), pod("a", "x", "")).await;
    let mut reader = world.watch(vec![pods()], None).await;
    world.put(&pod_key("b"), pod("b", "y", "")).await;
    let last = world.remove(&pod_key("a")).await;
    let seen = reader.until(last).await;
    let short: Vec<String> = seen.iter().map(Seen::short).collect();
    assert_eq!(
        short,
        [
            "ADDED A@2",
            "ADDED B@1",
            "SYNCED @2",
            "MODIFIED B@3",
            "DELETED A@4"
        ]
    );
    for event in seen.iter().filter(|event| !event.name.is_empty()) {
        assert_eq!(
            event.version, event.revision,
            "an object carries its event's revision"
        );
    }
    let deleted = Pod::decode(seen[4].bytes.clone()).unwrap();
    assert_eq!(
        deleted.meta().labels["app"],
        "x",
        "a deletion shows the last state"
    );
}

#[tokio::test(start_paused = true)]
async fn a_watch_resumes_after_any_revision_without_gap_or_duplicate() {
    for world in [World::new().await, World::forgetful().await] {
        for i in 0..20 {
            let key = pod_key(&format!("p{}", i % 5));
            match i % 4 {
                3 if world.cache.get(&key).is_some() => world.remove(&key).await,
                _ => world.put(&key, pod("p", &i.to_string(), "")).await,
            };
        }
        let all = world.watch(vec![pods()], Some(0)).await.until(20).await;
        assert_eq!(
            all.iter().map(|event| event.revision).collect::<Vec<_>>(),
            (1..=20).collect::<Vec<_>>()
        );
        for after in 0..=20 {
            let rest = world.watch(vec![pods()], Some(after)).await.until(20).await;
            assert_eq!(rest, all[after as usize..], "after {after}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn revisions_that_are_gone_or_not_there_yet_are_errors() {
    let world = World::forgetful().await;
    for i in 0..10 {
        world.put(&pod_key("a"), pod("a", &i.to_string(), "")).await;
    }
    world.store.compact(5).await.unwrap();
    let error = world.try_watch(vec![pods()], Some(4)).await.err();
    assert!(
        matches!(
            error,
            Some(StoreError::Expired {
                asked: 4,
                compacted: 5
            })
        ),
        "{error:?}"
    );
    let error = world.try_watch(vec![pods()], Some(11)).await.err();
    assert!(
        matches!(
            error,
            Some(StoreError::Future {
                asked: 11,
                current: 10
            })
        ),
        "{error:?}"
    );
    assert_eq!(world.watch(vec![pods()], Some(5)).await.until(10).await.len(), 5);
    assert!(
        world
            .watch(vec![pods()], Some(10))
            .await
            .until(10)
            .await
            .is_empty()
    );
}

#[tokio::test(start_paused = true)]
async fn selectors_turn_updates_into_arrivals_and_departures() {
    for target in [pods_with_app("web"), pods_on("web")] {
        let world = World::new().await;
        // Label and node always have the same value here.
        let put = async |name: &str, value: &str| world.put(&pod_key(name), pod(name, value, value)).await;
        let mut reader = world.watch(vec![target.clone()], Some(0)).await;
        put("a", "web").await;
        put("b", "db").await;
        put("a", "db").await;
        put("b", "web").await;
        put("a", "dba").await;
        world.remove(&pod_key("a")).await;
        let last = world.remove(&pod_key("b")).await;
        let seen = reader.until(last).await;
        let short: Vec<String> = seen.iter().map(Seen::short).collect();
        assert_eq!(short, ["ADDED A@1", "DELETED A@3", "ADDED B@4", "DELETED B@7"]);
        assert!(seen.iter().all(|event| event.version == event.revision));
        let departed = Pod::decode(seen[1].bytes.clone()).unwrap();
        assert_eq!(
            departed.meta().labels["app"],
            "web",
            "a departure shows the last state that matched"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn several_kinds_come_in_one_order_and_an_object_asked_for_twice_comes_once() {
    let world = World::new().await;
    let targets = vec![
        pods(),
        all::<ConfigMap>(),
        pods_with_app("x"),
        Target {
            namespace: Some("default".into()),
            ..pods()
        },
    ];
    world.put(&pod_key("a"), pod("a", "x", "")).await;
    let mut reader = world.watch(targets, None).await;
    world
        .put(&Key::new("configmaps", "default", "c"), config_map("c", "1"))
        .await;
    world
        .put(
            &Key::new("nodes", "", "n"),
            Node::default().encode_to_vec().into(),
        )
        .await;
    world.put(&pod_key("a"), pod("a", "y", "")).await;
    let last = world.remove(&Key::new("configmaps", "default", "c")).await;
    assert_eq!(
        reader.short(last).await,
        [
            "ADDED A@1",
            "SYNCED @1",
            "ADDED C@2",
            "MODIFIED A@4",
            "DELETED C@5"
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_namespace_is_watched_alone() {
    let world = World::new().await;
    let mut reader = world
        .watch(
            vec![Target {
                namespace: Some("a".into()),
                ..pods()
            }],
            None,
        )
        .await;
    world.put(&Key::new("pods", "a", "p"), pod("p", "", "")).await;
    world.put(&Key::new("pods", "ab", "q"), pod("q", "", "")).await;
    let last = world.put(&Key::new("pods", "b", "p"), pod("r", "", "")).await;
    assert_eq!(reader.short(last).await, ["SYNCED @0", "ADDED P@1"]);
}

#[tokio::test(start_paused = true)]
async fn a_quiet_watch_is_told_how_far_it_is() {
    // Far more happens elsewhere than is kept in memory, and the log forgets it too.
    let world = World::forgetful().await;
    let mut reader = world.watch(vec![all::<Node>()], None).await;
    assert_eq!(reader.next().await.unwrap().what, EventType::Synced);
    for i in 0..50 {
        world.put(&pod_key("a"), pod("a", &i.to_string(), "")).await;
    }
    assert!(
        reader.events.next().now_or_never().is_none(),
        "nothing to say before the period is over"
    );
    world.store.compact(50).await.unwrap();
    assert_eq!(reader.next().await.unwrap().short(), "BOOKMARK @50");
    let last = world
        .put(
            &Key::new("nodes", "", "n"),
            Node::default().encode_to_vec().into(),
        )
        .await;
    assert_eq!(reader.until(last).await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_selector_that_leaves_out_everything_still_gets_bookmarks_from_a_busy_kind() {
    let world = World::new().await;
    let mut reader = world.watch(vec![pods_with_app("none")], Some(0)).await;
    let mut bookmarks = 0;
    for i in 0..40 {
        let revision = world.put(&pod_key("a"), pod("a", &i.to_string(), "")).await;
        Clock::system().sleep(Duration::from_millis(100)).await;
        if let Some(event) = reader.events.next().now_or_never() {
            assert!(event.unwrap().unwrap().event().unwrap().revision <= revision);
            bookmarks += 1;
        }
    }
    assert!(bookmarks >= 3, "{bookmarks} in four seconds");
}

#[tokio::test(start_paused = true)]
async fn without_asking_nobody_gets_bookmarks() {
    let world = World::new().await;
    let options = WatchOptions {
        targets: vec![pods()],
        after: Some(0),
        bookmarks: false,
    };
    let mut events = world.cache.watch(options).await.unwrap();
    let quiet = Clock::system()
        .timeout(Duration::from_secs(600), events.next())
        .await;
    assert!(quiet.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_does_not_read_holds_up_nobody_and_loses_nothing_until_the_log_forgets() {
    let world = World::forgetful().await;
    let mut late = world.watch(vec![pods()], Some(0)).await;
    let mut later = world.watch(vec![pods()], Some(0)).await;
    let mut quick = world.watch(vec![pods()], Some(0)).await;
    // Both have begun and then stopped reading.
    for reader in [&mut late, &mut later] {
        assert!(reader.events.next().now_or_never().is_none());
    }
    for i in 1..=2000 {
        assert_eq!(world.put(&pod_key("a"), pod("a", &i.to_string(), "")).await, i);
        assert_eq!(quick.next().await.unwrap().revision, i);
    }
    let seen = late.until(2000).await;
    assert_eq!(
        seen.iter().map(|event| event.revision).collect::<Vec<_>>(),
        (1..=2000).collect::<Vec<_>>()
    );
    world.store.compact(1000).await.unwrap();
    let error = loop {
        match later.next().await {
            Ok(event) => assert_eq!(event.short(), "BOOKMARK @0", "nothing is given out after a gap"),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, StoreError::Expired { .. }), "{error}");
    assert!(later.events.next().await.is_none(), "the error is the end");
    // The others never noticed.
    assert_eq!(world.put(&pod_key("a"), pod("a", "end", "")).await, 2001);
    assert_eq!(quick.short(2001).await, ["MODIFIED A@2001"]);
}

#[tokio::test(start_paused = true)]
async fn an_event_is_encoded_once_however_many_watch_it() {
    let world = World::new().await;
    let mut readers = Vec::new();
    for target in [pods(), pods(), pods_with_app("new"), pods_with_app("new")] {
        readers.push(world.watch(vec![target], Some(0)).await);
    }
    world.put(&pod_key("a"), pod("a", "old", "")).await;
    let revision = world.put(&pod_key("a"), pod("a", "new", "")).await;
    let mut frames = Vec::new();
    for reader in &mut readers {
        loop {
            let frame = reader.events.next().await.unwrap().unwrap();
            if frame.event().unwrap().revision == revision {
                frames.push(frame.0);
                break;
            }
        }
    }
    assert_eq!(frames[0].as_ptr(), frames[1].as_ptr());
    assert_eq!(frames[2].as_ptr(), frames[3].as_ptr());
    let object = world.cache.get(&pod_key("a")).unwrap().bytes;
    assert!(
        frames[0].as_ptr_range().contains(&object.as_ptr()),
        "the live object lies in the frame"
    );
}

#[tokio::test(start_paused = true)]
async fn a_large_initial_state_comes_whole() {
    let world = World::with(CacheConfig::default()).await;
    for i in 0..3000 {
        let app = if i % 100 == 0 { "rare" } else { "common" };
        world
            .put(&pod_key(&format!("p{i:04}")), pod(&format!("p{i:04}"), app, ""))
            .await;
    }
    for (target, count) in [(pods(), 3000), (pods_with_app("rare"), 30)] {
        let seen = world.watch(vec![target], None).await.until(3000).await;
        assert_eq!(seen.len(), count + 1);
        assert!(
            seen.iter()
                .take(count)
                .all(|event| event.what == EventType::Added)
        );
        assert_eq!(seen[count].short(), "SYNCED @3000");
    }
}
