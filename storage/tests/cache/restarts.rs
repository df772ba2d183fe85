//! On the embedded engine: a cache that is opened again goes on where the last one was.

use crate::world::*;
use component_base::clock::Clock;
use std::sync::Arc;
use storage::cache::{Cache, CacheConfig};
use storage::embedded::{Config, Embedded};
use storage::store::{Precondition, Revision, Store, Write};
use storage::watch::WatchOptions;

#[tokio::test]
async fn a_watch_goes_on_after_a_restart_without_gap_or_duplicate() {
    let directory = tempfile::tempdir().unwrap();
    let mut seen: Vec<Revision> = Vec::new();
    for round in 0..3 {
        let store = Embedded::open(Config::new(directory.path()), Clock::system())
            .await
            .unwrap();
        let store: Arc<dyn Store> = Arc::new(store);
        let cache = Cache::open(Arc::clone(&store), Clock::system(), CacheConfig::default())
            .await
            .unwrap();
        let position = seen.last().copied().unwrap_or(0);
        let write = async |i: usize| {
            let value = Some(pod("a", &format!("{round}-{i}"), ""));
            let write = Write {
                key: pod_key("a"),
                value,
                precondition: Precondition::None,
                origin: origin(),
            };
            cache.commit(vec![write]).await.unwrap();
        };
        let options = WatchOptions {
            targets: vec![pods()],
            after: Some(position),
            bookmarks: true,
        };
        let mut reader = Reader {
            events: cache.watch(options).await.unwrap(),
        };
        for i in 0..10 {
            write(i).await;
        }
        let middle = cache.revision();
        seen.extend(reader.until(middle).await.iter().map(|event| event.revision));
        // The watch is gone when these are written, and so is the process.
        for i in 10..20 {
            write(i).await;
        }
        drop(reader);
        drop(cache);
        store.close().await;
    }
    assert_eq!(seen, (1..=50).collect::<Vec<_>>());
}
