//! Events go an hour (`--event-ttl`) after they were last seen, as upstream.
//!
//! Upstream hangs each Event on a lease in etcd. Here a pass over the Events deletes what is over age: it needs nothing
//! of the engine, and works after a restart as before.

use super::ACTOR;
use crate::limits::MAX_DELETES_PER_COMMIT;
use crate::registry::Registry;
use apimachinery::kinds;
use component_base::clock::Clock;
use component_base::grpc::Caller;
use prost::Message;
use proto::Kind;
use proto::api::core::v1::Event;
use std::sync::Arc;
use std::time::Duration;
use storage::Target;
use storage::store::StoreError;

/// How often to look. An Event stays at most this much longer than it should.
const PERIOD: Duration = Duration::from_secs(60);

/// Deletes Events that are over age, for ever.
pub(super) async fn expire(registry: Arc<Registry>, clock: Clock, ttl: Duration) {
    let period = PERIOD.min(ttl.max(Duration::from_secs(1)));
    loop {
        clock.sleep(period).await;
        let before = clock.wall().as_second().saturating_sub_unsigned(ttl.as_secs());
        match pass(&registry, before).await {
            Ok(0) => {}
            Ok(deleted) => tracing::debug!(deleted, "events expired"),
            Err(error) => tracing::warn!(%error, "could not expire events; trying again later"),
        }
    }
}

/// Deletes the Events last seen before `before`, in seconds; says how many.
async fn pass(registry: &Registry, before: i64) -> Result<usize, StoreError> {
    let target = Target::all(kinds::of::<Event>());
    let (mut after, mut revision, mut deleted) = (None, None, 0);
    loop {
        let page = registry
            .cache()
            .list(&target, MAX_DELETES_PER_COMMIT, after, revision)
            .await?;
        let old = page.items.iter().filter(|(_, stored)| {
            let event = Event::decode(stored.bytes.clone());
            event.is_ok_and(|event| last_seen(&event) < before)
        });
        let old: Vec<_> = old.map(|(key, stored)| (key.clone(), stored.revision)).collect();
        deleted += registry.remove_unchanged(&Caller::new(ACTOR), old).await;
        revision = Some(page.revision);
        after = page.next;
        if after.is_none() {
            return Ok(deleted);
        }
    }
}

/// When the Event was last said to happen, in seconds.
fn last_seen(event: &Event) -> i64 {
    let series = event.series.as_ref().and_then(|series| series.last_observed_time);
    let times = [
        event.meta().creation_timestamp,
        event.event_time,
        event.last_timestamp,
        series,
    ];
    times
        .iter()
        .flatten()
        .map(|time| time.seconds)
        .max()
        .unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Metrics;
    use component_base::rng::Seed;
    use proto::orrery::v1::{CreateRequest, ListRequest};
    use proto::{Object, Timestamp};
    use storage::cache::{Cache, CacheConfig};
    use storage::memory::MemoryStore;

    async fn registry(clock: &Clock) -> Arc<Registry> {
        let store = Arc::new(MemoryStore::new());
        let cache = Cache::open(store, clock.clone(), CacheConfig::default())
            .await
            .unwrap();
        let metrics = Metrics::new(&component_base::metrics::Registry::new());
        Arc::new(Registry::new(
            cache,
            Arc::default(),
            clock.clone(),
            Seed(1),
            metrics,
        ))
    }

    async fn create(registry: &Registry, name: &str) {
        let mut event = Event::default();
        event.metadata_mut().name = name.into();
        let involved = event.involved_object.get_or_insert_default();
        involved.kind = "Pod".into();
        involved.namespace = "default".into();
        event.reason = "Started".into();
        let create = CreateRequest {
            object: Some(Object::encode_from(&event)),
            ..CreateRequest::default()
        };
        registry.create(&Caller::new("test"), create).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn events_go_after_their_time_and_younger_ones_stay() {
        let clock = Clock::starting_at("2026-01-01T00:00:00Z".parse().unwrap());
        let registry = registry(&clock).await;
        crate::upkeep::bootstrap(&registry).await.unwrap();
        let ttl = Duration::from_secs(3600);
        let task = tokio::spawn(expire(registry.clone(), clock.clone(), ttl));
        create(&registry, "old").await;
        clock.sleep(ttl / 2).await;
        create(&registry, "young").await;
        clock.sleep(ttl / 2 + 2 * PERIOD).await;
        let list = ListRequest {
            kind: "events".into(),
            ..ListRequest::default()
        };
        let left = registry.list(list).await.unwrap().items;
        task.abort();
        let names: Vec<String> = left
            .iter()
            .map(|object| object.decode_as::<Event>().unwrap().name().to_owned())
            .collect();
        assert_eq!(names, ["young"]);
    }

    #[test]
    fn an_event_that_repeats_lives_on() {
        let at = |seconds| Some(Timestamp { seconds, nanos: 0 });
        let mut event = Event::default();
        assert_eq!(last_seen(&event), i64::MAX, "an event without any time stays");
        event.metadata_mut().creation_timestamp = at(10);
        assert_eq!(last_seen(&event), 10);
        event.last_timestamp = at(50);
        assert_eq!(last_seen(&event), 50);
    }
}
