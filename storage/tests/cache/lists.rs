//! Lists, pages, and reads of the past.

use crate::world::*;
use component_base::clock::Clock;
use std::time::Duration;
use storage::Target;
use storage::store::{Key, Store, StoreError};

fn names(items: &[(Key, storage::Stored)]) -> Vec<&str> {
    items.iter().map(|(key, _)| key.parts().2).collect()
}

#[tokio::test(start_paused = true)]
async fn every_page_shows_one_revision_whatever_happens_in_between() {
    // How long the client waits between pages, and how far back memory reaches, decide who answers: the snapshot that
    // the first page left, the recent changes, or the log.
    for (world, pause) in [
        (World::new().await, Duration::ZERO),
        (World::new().await, Duration::from_secs(3600)),
        (World::forgetful().await, Duration::from_secs(3600)),
    ] {
        for name in ["a", "b", "c", "d", "e"] {
            world.put(&pod_key(name), pod(name, "x", "")).await;
        }
        let first = world.cache.list(&pods(), 2, None, None).await.unwrap();
        assert_eq!(
            (names(&first.items), first.revision, first.remaining),
            (vec!["a", "b"], 5, Some(3))
        );

        world.remove(&pod_key("c")).await;
        world.put(&pod_key("d"), pod("d", "changed", "")).await;
        world.put(&pod_key("d"), pod("d", "again", "")).await;
        world.put(&pod_key("f"), pod("f", "new", "")).await;
        Clock::system().sleep(pause).await;

        let second = world.cache.list(&pods(), 2, first.next, Some(5)).await.unwrap();
        assert_eq!(
            (names(&second.items), second.revision, second.remaining),
            (vec!["c", "d"], 5, Some(1))
        );
        assert_eq!(second.items[1].1.revision, 4);
        Clock::system().sleep(pause).await;
        let third = world.cache.list(&pods(), 2, second.next, Some(5)).await.unwrap();
        assert_eq!(
            (names(&third.items), third.next, third.remaining),
            (vec!["e"], None, Some(0))
        );

        let (now, _) = list(&world.cache, &pods(), 2, None).await.unwrap();
        assert_eq!(names(&now), ["a", "b", "d", "e", "f"]);
    }
}

#[tokio::test(start_paused = true)]
async fn the_past_is_an_error_when_it_is_compacted_and_so_is_the_future() {
    let world = World::forgetful().await;
    for i in 0..10 {
        world.put(&pod_key("a"), pod("a", &i.to_string(), "")).await;
    }
    world.store.compact(6).await.unwrap();
    let error = world.cache.list(&pods(), 0, None, Some(5)).await.unwrap_err();
    assert!(
        matches!(
            error,
            StoreError::Expired {
                asked: 5,
                compacted: 6
            }
        ),
        "{error}"
    );
    let error = world.cache.list(&pods(), 0, None, Some(11)).await.unwrap_err();
    assert!(
        matches!(
            error,
            StoreError::Future {
                asked: 11,
                current: 10
            }
        ),
        "{error}"
    );
    assert_eq!(
        world.cache.list(&pods(), 0, None, Some(6)).await.unwrap().items[0]
            .1
            .revision,
        6
    );
}

#[tokio::test(start_paused = true)]
async fn an_object_is_read_as_it_was_at_any_revision() {
    for world in [World::new().await, World::forgetful().await] {
        let a = pod_key("a");
        world.put(&pod_key("other"), pod("other", "", "")).await;
        world.put(&a, pod("a", "1", "")).await;
        world.put(&pod_key("other"), pod("other", "x", "")).await;
        world.put(&a, pod("a", "2", "")).await;
        world.remove(&a).await;
        world.put(&a, pod("a", "3", "")).await;
        for (revision, expected) in [
            (1, None),
            (2, Some(2)),
            (3, Some(2)),
            (4, Some(4)),
            (5, None),
            (6, Some(6)),
        ] {
            let found = world.cache.get_at(&a, revision).await.unwrap();
            assert_eq!(found.map(|object| object.revision), expected, "at {revision}");
        }
        assert!(world.cache.get_at(&a, 7).await.is_err());
    }
}

#[tokio::test(start_paused = true)]
async fn selectors_fill_pages_and_the_index_gives_what_a_scan_gives() {
    let world = World::new().await;
    for i in 0..60 {
        let (name, node) = (format!("p{i:02}"), format!("n{}", i % 7));
        world
            .put(&pod_key(&name), pod(&name, &format!("a{}", i % 7), &node))
            .await;
    }
    // Move some between nodes, delete some.
    for i in (0..60).step_by(9) {
        let name = format!("p{i:02}");
        world.put(&pod_key(&name), pod(&name, "a3", "n3")).await;
    }
    world.remove(&pod_key("p03")).await;
    for limit in [0, 1, 3, 100] {
        for i in 0..8 {
            let (by_label, _) = list(&world.cache, &pods_with_app(&format!("a{i}")), limit, None)
                .await
                .unwrap();
            let (by_index, _) = list(&world.cache, &pods_on(&format!("n{i}")), limit, None)
                .await
                .unwrap();
            assert_eq!(by_label, by_index, "n{i} by {limit}");
        }
    }
    let page = world.cache.list(&pods_on("n3"), 3, None, None).await.unwrap();
    assert_eq!(page.remaining, None, "with a selector the rest is not counted");
    // The past has no index, and gives the same.
    let (past, _) = list(&world.cache, &pods_on("n3"), 2, Some(60)).await.unwrap();
    assert_eq!(past.len(), 9);
}

#[tokio::test(start_paused = true)]
async fn a_namespace_is_listed_alone_and_empty_kinds_are_empty() {
    let world = World::new().await;
    for namespace in ["a", "a-b", "b"] {
        world
            .put(&Key::new("pods", namespace, "p"), pod("p", "", ""))
            .await;
    }
    let in_a = Target {
        namespace: Some("a".into()),
        ..pods()
    };
    assert_eq!(list(&world.cache, &in_a, 1, None).await.unwrap().0.len(), 1);
    assert_eq!(list(&world.cache, &pods(), 1, None).await.unwrap().0.len(), 3);
    let page = world
        .cache
        .list(&all::<proto::api::core::v1::Node>(), 1, None, None)
        .await
        .unwrap();
    assert_eq!((page.items.len(), page.next, page.remaining), (0, None, Some(0)));
}
