//! Writes through the cache.

use crate::world::*;
use apimachinery::wire::MetaView;
use bytes::Bytes;
use futures::future::join_all;
use prost::Message;
use proto::Kind;
use proto::api::core::v1::Pod;
use std::convert::Infallible;
use storage::Stored;
use storage::cache::CacheConfig;
use storage::store::{Key, Precondition, Store, Write};
use storage::write::{Desired, Effect, Refused, Update, UpdateError};

fn write(key: Key, value: Option<Bytes>, precondition: Precondition) -> Write {
    Write {
        key,
        value,
        precondition,
        origin: origin(),
    }
}

#[tokio::test(start_paused = true)]
async fn each_write_of_a_commit_has_its_own_answer_and_is_visible_when_it_is_acknowledged() {
    let world = World::new().await;
    let a = || pod_key("a");
    let answers = world
        .cache
        .commit(vec![
            write(a(), Some(pod("a", "1", "")), Precondition::Absent),
            write(a(), Some(pod("a", "2", "")), Precondition::Absent),
            write(a(), Some(pod("a", "3", "")), Precondition::At(1)),
            write(
                Key::new("dragons", "", "x"),
                Some(Bytes::new()),
                Precondition::None,
            ),
            write(
                pod_key("b"),
                Some(Bytes::from_static(&[0x0a])),
                Precondition::None,
            ),
            write(pod_key("c"), None, Precondition::None),
        ])
        .await
        .unwrap();
    assert_eq!(world.cache.revision(), 2);
    assert_eq!(answers[0].as_ref().unwrap().effect, Effect::Created);
    assert!(matches!(&answers[1], Err(Refused::Conflict(c)) if c.current == Some(1)));
    let updated = answers[2].as_ref().unwrap();
    assert_eq!(updated.effect, Effect::Updated);
    assert_eq!(updated.object, world.cache.get(&a()));
    assert_eq!(
        MetaView::parse(&updated.object.as_ref().unwrap().bytes)
            .unwrap()
            .revision(),
        2
    );
    assert!(matches!(answers[3], Err(Refused::UnknownKind(_))));
    assert!(matches!(answers[4], Err(Refused::Malformed(_))));
    assert!(matches!(answers[5], Err(Refused::Conflict(_))));
}

#[tokio::test(start_paused = true)]
async fn no_stored_value_carries_a_resource_version() {
    let world = World::new().await;
    let mut with_version = Pod::default();
    with_version.metadata_mut().name = "a".into();
    with_version.metadata_mut().resource_version = "99".into();
    world
        .put(&pod_key("a"), with_version.encode_to_vec().into())
        .await;
    let change = world.store.change(1).await.unwrap();
    assert_eq!(
        MetaView::parse(change.after.as_ref().unwrap())
            .unwrap()
            .resource_version,
        ""
    );
    assert_eq!(
        MetaView::parse(&world.cache.get(&pod_key("a")).unwrap().bytes)
            .unwrap()
            .resource_version,
        "1"
    );
}

#[tokio::test(start_paused = true)]
async fn an_update_that_changes_nothing_makes_no_revision() {
    let world = World::new().await;
    let key = pod_key("a");
    world.put(&key, pod("a", "1", "")).await;
    let put = async |value: Bytes| {
        let change = |_: Option<&Stored>| Ok::<_, Infallible>(Desired::Put(value.clone()));
        world.cache.update(key.clone(), origin(), change).await.unwrap()
    };
    let same = put(pod("a", "1", "")).await;
    assert_eq!(
        (same.effect, same.object.clone()),
        (Effect::Unchanged, world.cache.get(&key))
    );
    // As a client sends it back: with the resourceVersion.
    assert_eq!(put(same.object.unwrap().bytes).await.effect, Effect::Unchanged);
    assert_eq!(world.cache.revision(), 1);
    assert_eq!(put(pod("a", "2", "")).await.effect, Effect::Updated);
    let delete = |_: Option<&Stored>| Ok::<_, Infallible>(Desired::Delete);
    let deleted = world.cache.update(key.clone(), origin(), delete).await.unwrap();
    assert_eq!(
        (deleted.effect, deleted.object.map(|object| object.revision)),
        (Effect::Deleted, Some(3))
    );
    let again = world.cache.update(key.clone(), origin(), delete).await.unwrap();
    assert_eq!((again.effect, again.object), (Effect::Unchanged, None));
    assert_eq!(world.cache.revision(), 3);
}

/// Adds one to a number kept in an annotation.
fn increment(object: Option<&Stored>) -> Result<Desired, Infallible> {
    let mut pod = object.map_or_else(Pod::default, |object| Pod::decode(object.bytes.clone()).unwrap());
    let count = pod.metadata_mut().annotations.entry("count".into()).or_default();
    *count = (count.parse::<u32>().unwrap_or(0) + 1).to_string();
    Ok(Desired::Put(pod.encode_to_vec().into()))
}

fn count(object: &Stored) -> u32 {
    MetaView::parse(&object.bytes)
        .unwrap()
        .annotation("count")
        .unwrap()
        .parse()
        .unwrap()
}

#[tokio::test(start_paused = true)]
async fn contending_updates_all_happen_once() {
    let world = World::new().await;
    let updates = (0..64).map(|_| world.cache.update(pod_key("a"), origin(), increment));
    assert!(join_all(updates).await.iter().all(Result::is_ok));
    assert_eq!(count(&world.cache.get(&pod_key("a")).unwrap()), 64);
    assert_eq!(world.cache.revision(), 64);
}

#[tokio::test(start_paused = true)]
async fn of_updates_that_demand_one_revision_one_succeeds() {
    let world = World::new().await;
    world.put(&pod_key("a"), pod("a", "", "")).await;
    let update = |i: usize| {
        let change = move |object: Option<&Stored>| match object {
            Some(object) if object.revision == 1 => Ok(Desired::Put(pod("a", &i.to_string(), ""))),
            _ => Err("stale"),
        };
        world.cache.update(pod_key("a"), origin(), change)
    };
    let results = join_all((0..16).map(update)).await;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
    let stale = |result: &Result<_, _>| matches!(result, Err(UpdateError::Rejected("stale")));
    assert_eq!(results.iter().filter(|result| stale(result)).count(), 15);
}

#[tokio::test(start_paused = true)]
async fn updates_contend_with_removals_too() {
    let world = World::new().await;
    let toggle = |object: Option<&Stored>| match object {
        Some(_) => Ok::<_, Infallible>(Desired::Delete),
        None => Ok(Desired::Put(pod("a", "", ""))),
    };
    let results = join_all((0..33).map(|_| world.cache.update(pod_key("a"), origin(), toggle))).await;
    assert!(results.iter().all(Result::is_ok));
    assert_eq!(world.cache.revision(), 33);
    assert!(world.cache.get(&pod_key("a")).is_some());
}

#[tokio::test(start_paused = true)]
async fn a_batch_takes_one_step_and_a_later_entry_sees_an_earlier_one() {
    let store = crate::broken::CountingStore::default();
    let cache = store.open(CacheConfig::default()).await;
    let update = |name: &str| Update {
        key: pod_key(name),
        origin: origin(),
        change: Box::new(increment),
    };
    let refuse = || Update {
        key: pod_key("refused"),
        origin: origin(),
        change: Box::new(|object: Option<&Stored>| {
            assert_eq!(object, None);
            Ok(Desired::Delete)
        }),
    };
    let results = cache
        .update_many(vec![update("a"), update("b"), refuse(), update("c")])
        .await;
    assert_eq!(store.commits(), 1);
    let revisions: Vec<_> = results
        .iter()
        .map(|result| {
            result
                .as_ref()
                .unwrap()
                .object
                .as_ref()
                .map(|object| object.revision)
        })
        .collect();
    assert_eq!(revisions, [Some(1), Some(2), None, Some(3)]);

    let results = cache
        .update_many(vec![
            update("a"),
            update("b"),
            update("a"),
            update("a"),
            update("c"),
        ])
        .await;
    assert_eq!(store.commits(), 4);
    let counts: Vec<u32> = results
        .iter()
        .map(|result| count(result.as_ref().unwrap().object.as_ref().unwrap()))
        .collect();
    assert_eq!(counts, [2, 2, 3, 4, 2]);
}

#[tokio::test(start_paused = true)]
async fn entries_of_two_batches_that_collide_are_tried_again() {
    let world = World::new().await;
    let batch = || {
        let update = |i: usize| Update {
            key: pod_key(&format!("p{i}")),
            origin: origin(),
            change: Box::new(increment),
        };
        world.cache.update_many((0..10).map(update).collect())
    };
    let results = join_all((0..8).map(|_| batch())).await;
    assert!(results.iter().flatten().all(Result::is_ok));
    for i in 0..10 {
        assert_eq!(count(&world.cache.get(&pod_key(&format!("p{i}"))).unwrap()), 8);
    }
}
