//! list(R) + watch(R) equals list(now), for every kind of target, with random writers, readers that stop and come back,
//! and a memory that forgets.

use crate::world::*;
use apimachinery::kinds;
use component_base::clock::Clock;
use proptest::prelude::*;
use proto::EventType;
use proto::api::core::v1::ConfigMap;
use std::collections::BTreeMap;
use std::time::Duration;
use storage::cache::CacheConfig;
use storage::store::{Key, Revision};
use storage::{Stored, Target};

#[derive(Clone, Debug)]
enum Step {
    /// Writes an object: kind, name, and the value of label and node.
    Put(bool, u8, u8),
    Remove(bool, u8),
    /// A watch reads so many events.
    Read(usize, usize),
    /// A watch is cut, and resumes where it was.
    Reconnect(usize),
    Sleep(u16),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (any::<bool>(), 0..6u8, 0..4u8).prop_map(|(pod, name, value)| Step::Put(pod, name, value)),
        2 => (any::<bool>(), 0..6u8).prop_map(|(pod, name)| Step::Remove(pod, name)),
        3 => (any::<usize>(), 1..8usize).prop_map(|(watch, count)| Step::Read(watch, count)),
        1 => any::<usize>().prop_map(Step::Reconnect),
        1 => (0..1500u16).prop_map(Step::Sleep),
    ];
    prop::collection::vec(step, 1..80)
}

/// What a client of a watch knows.
struct Client {
    target: Target,
    reader: Reader,
    objects: BTreeMap<String, (Revision, bytes::Bytes)>,
    /// Everything up to here is in `objects`.
    position: Revision,
}

fn known(items: Vec<(Key, Stored)>) -> BTreeMap<String, (Revision, bytes::Bytes)> {
    items
        .into_iter()
        .map(|(key, object)| (key.parts().2.to_owned(), (object.revision, object.bytes)))
        .collect()
}

impl Client {
    async fn new(world: &World, target: Target) -> Self {
        let (items, position) = list(&world.cache, &target, 2, None).await.unwrap();
        let reader = world.watch(vec![target.clone()], Some(position)).await;
        Self {
            target,
            reader,
            objects: known(items),
            position,
        }
    }

    async fn read(&mut self) {
        let event = self.reader.next().await.unwrap();
        assert!(
            event.revision >= self.position,
            "{event:?} after {}",
            self.position
        );
        let has = self.objects.contains_key(&event.name);
        match event.what {
            EventType::Bookmark => {}
            EventType::Added => assert!(!has, "{event:?} was there"),
            EventType::Modified | EventType::Deleted => assert!(has, "{event:?} was not there"),
            other => panic!("{other:?}"),
        }
        if event.what != EventType::Bookmark {
            assert!(event.revision > self.position, "{event:?} again");
            assert_eq!(event.version, event.revision);
        }
        match event.what {
            EventType::Added | EventType::Modified => {
                self.objects.insert(event.name, (event.revision, event.bytes));
            }
            EventType::Deleted => {
                self.objects.remove(&event.name);
            }
            _ => {}
        }
        self.position = event.revision;
    }

    async fn catch_up(&mut self, revision: Revision) {
        while self.position < revision {
            self.read().await;
        }
    }
}

fn key(is_pod: bool, name: u8) -> Key {
    let namespace = if name.is_multiple_of(2) {
        "default"
    } else {
        "other"
    };
    Key::new(
        if is_pod { "pods" } else { "configmaps" },
        namespace,
        &format!("o{name}"),
    )
}

fn targets() -> Vec<Target> {
    vec![
        pods(),
        all::<ConfigMap>(),
        pods_with_app("v1"),
        pods_on("v2"),
        Target {
            namespace: Some("other".into()),
            ..pods()
        },
        Target {
            namespace: Some("default".into()),
            ..pods_with_app("v3")
        },
        Target {
            fields: "spec.nodeName!=v1".parse().unwrap(),
            ..pods()
        },
        Target {
            labels: "app in (v0, v1)".parse().unwrap(),
            ..pods_on("v1")
        },
    ]
}

async fn run(steps: Vec<Step>, recent_changes: usize) {
    let world = World::with(CacheConfig {
        recent_changes,
        ..CacheConfig::default()
    })
    .await;
    let mut clients = Vec::new();
    for target in targets() {
        clients.push(Client::new(&world, target).await);
    }
    let mut lists: Vec<(Revision, Vec<BTreeMap<String, (Revision, bytes::Bytes)>>)> = Vec::new();
    for step in steps {
        match step {
            Step::Put(is_pod, name, value) => {
                let (object, value) = (format!("o{name}"), format!("v{value}"));
                let value = if is_pod {
                    pod(&object, &value, &value)
                } else {
                    config_map(&object, &value)
                };
                world.put(&key(is_pod, name), value).await;
            }
            Step::Remove(is_pod, name) => {
                if world.cache.get(&key(is_pod, name)).is_some() {
                    world.remove(&key(is_pod, name)).await;
                }
            }
            Step::Read(i, count) => {
                let i = i % clients.len();
                for _ in 0..count {
                    clients[i].read().await;
                }
            }
            Step::Reconnect(i) => {
                let i = i % clients.len();
                let (target, position) = (clients[i].target.clone(), clients[i].position);
                clients[i].reader = world.watch(vec![target], Some(position)).await;
            }
            Step::Sleep(millis) => Clock::system().sleep(Duration::from_millis(millis.into())).await,
        }
        if lists
            .last()
            .is_none_or(|(revision, _)| *revision < world.cache.revision())
        {
            let mut all = Vec::new();
            for client in &clients {
                all.push(known(
                    list(&world.cache, &client.target, 0, None).await.unwrap().0,
                ));
            }
            lists.push((world.cache.revision(), all));
        }
    }
    let now = world.cache.revision();
    for (i, client) in clients.iter_mut().enumerate() {
        client.catch_up(now).await;
        let (items, _) = list(&world.cache, &client.target, 3, None).await.unwrap();
        assert_eq!(client.objects, known(items), "{:?}", client.target);
        // The past is what it was when it was the present.
        for (revision, all) in &lists {
            let (items, _) = list(&world.cache, &client.target, 2, Some(*revision))
                .await
                .unwrap();
            assert_eq!(known(items), all[i], "{:?} at {revision}", client.target);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_list_and_the_watch_after_it_give_the_list_of_now(steps in steps(), recent in prop_oneof![Just(1), Just(7), Just(1000)]) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(run(steps, recent));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_threads_write_and_watch_and_every_watch_ends_where_the_list_does() {
    const WRITERS: u8 = 4;
    const WRITES: u8 = 200;
    let world = std::sync::Arc::new(
        World::with(CacheConfig {
            recent_changes: 100,
            ..CacheConfig::default()
        })
        .await,
    );
    let write = |writer: u8| {
        let world = std::sync::Arc::clone(&world);
        tokio::spawn(async move {
            for i in 0..WRITES {
                let (name, value) = (format!("o{writer}-{}", i % 5), format!("v{}", i % 4));
                let key = pod_key(&name);
                if i % 7 == 6 && world.cache.get(&key).is_some() {
                    world.remove(&key).await;
                } else {
                    world.put(&key, pod(&name, &value, &value)).await;
                }
            }
        })
    };
    let writers: Vec<_> = (0..WRITERS).map(write).collect();
    let watch = |target: Target| {
        let world = std::sync::Arc::clone(&world);
        tokio::spawn(async move {
            let mut client = Client::new(&world, target).await;
            client
                .catch_up(Revision::from(WRITERS) * Revision::from(WRITES))
                .await;
            let (items, _) = list(&world.cache, &client.target, 0, None).await.unwrap();
            assert_eq!(client.objects, known(items), "{:?}", client.target);
        })
    };
    let of_pods = targets()
        .into_iter()
        .filter(|target| target.kind.number == kinds::of::<proto::api::core::v1::Pod>().number);
    let watches: Vec<_> = of_pods.map(watch).collect();
    for task in writers.into_iter().chain(watches) {
        task.await.unwrap();
    }
}
