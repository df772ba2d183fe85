//! What the tests share: a cache over a store in memory, Pods made of a few words, and a watch read as plain data.

use apimachinery::kinds;
use bytes::Bytes;
use component_base::clock::Clock;
use futures::StreamExt;
use prost::Message;
use proto::api::core::v1::{ConfigMap, Pod};
use proto::{EventType, Kind};
use std::sync::Arc;
use std::time::Duration;
use storage::cache::{Cache, CacheConfig};
use storage::memory::MemoryStore;
use storage::store::{Key, Origin, Precondition, Revision, StoreError, Write};
use storage::watch::{Events, WatchOptions};
use storage::{Stored, Target};

/// A cache, and the store underneath.
pub(crate) struct World {
    pub(crate) store: MemoryStore,
    pub(crate) cache: Arc<Cache>,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(CacheConfig::default()).await
    }

    /// Keeps so little in memory that whatever is not quite new comes from the log.
    pub(crate) async fn forgetful() -> Self {
        Self::with(CacheConfig {
            recent_changes: 1,
            ..CacheConfig::default()
        })
        .await
    }

    pub(crate) async fn with(config: CacheConfig) -> Self {
        let store = MemoryStore::new();
        let cache = Cache::open(Arc::new(store.clone()), Clock::system(), config)
            .await
            .unwrap();
        Self { store, cache }
    }

    /// Writes and gives the revision.
    pub(crate) async fn put(&self, key: &Key, value: Bytes) -> Revision {
        self.write(key, Some(value)).await
    }

    pub(crate) async fn remove(&self, key: &Key) -> Revision {
        self.write(key, None).await
    }

    async fn write(&self, key: &Key, value: Option<Bytes>) -> Revision {
        let write = Write {
            key: key.clone(),
            value,
            precondition: Precondition::None,
            origin: origin(),
        };
        let mut results = self.cache.commit(vec![write]).await.unwrap();
        results.remove(0).unwrap().object.unwrap().revision
    }

    pub(crate) async fn watch(&self, targets: Vec<Target>, after: Option<Revision>) -> Reader {
        self.try_watch(targets, after).await.unwrap()
    }

    pub(crate) async fn try_watch(
        &self,
        targets: Vec<Target>,
        after: Option<Revision>,
    ) -> Result<Reader, StoreError> {
        let events = self
            .cache
            .watch(WatchOptions {
                targets,
                after,
                bookmarks: true,
            })
            .await?;
        Ok(Reader { events })
    }
}

pub(crate) fn origin() -> Origin {
    Origin {
        actor: "test".into(),
        cause: 0,
        time: proto::Timestamp::default(),
    }
}

pub(crate) fn pod_key(name: &str) -> Key {
    Key::new("pods", "default", name)
}

/// A Pod with a label `app` on a node.
pub(crate) fn pod(name: &str, app: &str, node: &str) -> Bytes {
    let mut pod = Pod::default();
    pod.metadata_mut().name = name.into();
    pod.metadata_mut().namespace = "default".into();
    pod.metadata_mut().labels.insert("app".into(), app.into());
    pod.spec.get_or_insert_default().node_name = node.into();
    pod.encode_to_vec().into()
}

pub(crate) fn config_map(name: &str, value: &str) -> Bytes {
    let mut map = ConfigMap::default();
    map.metadata_mut().name = name.into();
    map.data.insert("key".into(), value.into());
    map.encode_to_vec().into()
}

pub(crate) fn all<K: Kind>() -> Target {
    Target::all(kinds::of::<K>())
}

pub(crate) fn pods() -> Target {
    all::<Pod>()
}

pub(crate) fn pods_with_app(app: &str) -> Target {
    Target {
        labels: format!("app={app}").parse().unwrap(),
        ..pods()
    }
}

pub(crate) fn pods_on(node: &str) -> Target {
    Target {
        fields: format!("spec.nodeName={node}").parse().unwrap(),
        ..pods()
    }
}

/// An event without what the tests do not look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) what: EventType,
    pub(crate) revision: Revision,
    /// Empty for a mark.
    pub(crate) name: String,
    /// The object's resourceVersion.
    pub(crate) version: Revision,
    pub(crate) bytes: Bytes,
}

impl Seen {
    /// `ADDED web@3`.
    pub(crate) fn short(&self) -> String {
        format!("{:?} {}@{}", self.what, self.name, self.revision).to_uppercase()
    }
}

/// Reads a watch.
pub(crate) struct Reader {
    pub(crate) events: Events,
}

impl Reader {
    /// The next event, marks included. Virtual time lets bookmarks come at once.
    pub(crate) async fn next(&mut self) -> Result<Seen, StoreError> {
        let next = Clock::system()
            .timeout(Duration::from_secs(60), self.events.next())
            .await;
        let event = next
            .expect("a bookmark comes each second")
            .expect("an error is the end")?
            .event()
            .unwrap();
        let object = event.object.unwrap_or_default();
        let meta = apimachinery::wire::MetaView::parse(&object.bytes).unwrap();
        Ok(Seen {
            what: event.r#type.try_into().unwrap(),
            revision: event.revision,
            name: meta.name.to_owned(),
            version: meta.revision(),
            bytes: object.bytes.clone(),
        })
    }

    /// The events up to a revision, without bookmarks. A bookmark must not claim what comes after it.
    pub(crate) async fn until(&mut self, revision: Revision) -> Vec<Seen> {
        let mut seen: Vec<Seen> = Vec::new();
        let mut bookmark = 0;
        loop {
            let event = self.next().await.unwrap();
            if event.what == EventType::Bookmark {
                assert!(event.revision >= bookmark, "bookmarks do not fall");
                bookmark = event.revision;
                if bookmark >= revision {
                    return seen;
                }
            } else {
                assert!(
                    event.revision > bookmark || event.what == EventType::Synced,
                    "{event:?} after {bookmark}"
                );
                seen.push(event);
            }
        }
    }

    /// [`Reader::until`], in short.
    pub(crate) async fn short(&mut self, revision: Revision) -> Vec<String> {
        self.until(revision).await.iter().map(Seen::short).collect()
    }
}

/// Everything that a list gives, over as many pages as it takes.
pub(crate) async fn list(
    cache: &Cache,
    target: &Target,
    limit: usize,
    revision: Option<Revision>,
) -> Result<(Vec<(Key, Stored)>, Revision), StoreError> {
    let (mut items, mut after, mut revision) = (Vec::new(), None, revision);
    loop {
        let page = cache.list(target, limit, after, revision).await?;
        assert!(limit == 0 || page.items.len() <= limit);
        assert_eq!(
            *revision.get_or_insert(page.revision),
            page.revision,
            "every page shows one revision"
        );
        items.extend(page.items);
        after = page.next;
        if after.is_none() {
            return Ok((items, page.revision));
        }
    }
}
