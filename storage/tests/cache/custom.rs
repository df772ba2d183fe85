//! Objects of custom kinds, whether or not anybody knows their definitions.

use crate::world::*;
use apimachinery::kinds::ANY_CUSTOM;
use bytes::Bytes;
use component_base::clock::Clock;
use prost::Message;
use proto::meta::v1::ObjectMeta;
use proto::orrery::v1::CustomResource;
use std::sync::Arc;
use storage::Target;
use storage::cache::{Cache, CacheConfig};
use storage::store::Key;

fn key(plural: &str, name: &str) -> Key {
    Key::new(&format!("{plural}.storage.example.com"), "default", name)
}

fn object(name: &str) -> Bytes {
    let object = CustomResource {
        metadata: Some(ObjectMeta {
            name: name.into(),
            namespace: "default".into(),
            ..ObjectMeta::default()
        }),
        api_version: "storage.example.com/v1".into(),
        kind: "Thing".into(),
        fields: r#"{"spec":{}}"#.into(),
    };
    object.encode_to_vec().into()
}

#[tokio::test(start_paused = true)]
async fn one_watch_follows_every_custom_kind_also_those_to_come() {
    for world in [World::new().await, World::forgetful().await] {
        world.put(&key("bolts", "a"), object("a")).await;
        world.put(&pod_key("p"), pod("p", "x", "")).await;
        let mut reader = world.watch(vec![Target::all(&ANY_CUSTOM)], None).await;
        let mut resumed = world.watch(vec![Target::all(&ANY_CUSTOM)], Some(1)).await;
        world.put(&key("nuts", "b"), object("b")).await;
        world.put(&pod_key("p"), pod("p", "y", "")).await;
        world.put(&key("bolts", "a"), object("a2")).await;
        let last = world.remove(&key("nuts", "b")).await;
        let after = ["ADDED B@3", "MODIFIED A2@5", "DELETED B@6"];
        let seen = reader.short(last).await;
        assert_eq!(seen[..2], ["ADDED A@1", "SYNCED @2"]);
        assert_eq!(seen[2..], after);
        assert_eq!(resumed.short(last).await, after);
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_stored_of_a_custom_kind_is_loaded_without_its_definition() {
    let world = World::new().await;
    let at = world.put(&key("screws", "a"), object("a")).await;
    let again = Cache::open(
        Arc::new(world.store.clone()),
        Clock::system(),
        CacheConfig::default(),
    )
    .await
    .unwrap();
    let stored = again.get(&key("screws", "a")).unwrap();
    assert_eq!(stored.revision, at);
    assert_eq!(again.get(&key("screws", "b")), None);
}

#[tokio::test(start_paused = true)]
async fn an_event_of_a_custom_kind_travels_in_the_arm_of_all() {
    let world = World::new().await;
    world.put(&key("rivets", "a"), object("a")).await;
    let mut reader = world.watch(vec![Target::all(&ANY_CUSTOM)], None).await;
    let event = futures::StreamExt::next(&mut reader.events)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(event.event().unwrap().object.unwrap().number, ANY_CUSTOM.number);
}

#[tokio::test(start_paused = true)]
async fn the_last_change_of_a_kind_is_known() {
    let world = World::new().await;
    let pods = apimachinery::kinds::lookup("pods").unwrap();
    assert_eq!(world.cache.last_change(pods), 0);
    let first = world.put(&pod_key("p"), pod("p", "x", "")).await;
    world.put(&key("pins", "a"), object("a")).await;
    assert_eq!(world.cache.last_change(pods), first);
    let removed = world.remove(&pod_key("p")).await;
    assert_eq!(world.cache.last_change(pods), removed);
}
