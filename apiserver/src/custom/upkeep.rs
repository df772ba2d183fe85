//! What the server does for definitions by itself: empties kinds whose definition is to go, gives names that have become
//! free to who waits for them, and ends the watches of what is no longer served.
//!
//! Everything is read from the store each time, so that a server that starts again goes on where another one stopped.

use super::admission::{CLEANUP_FINALIZER, awaits_cleanup};
use super::definition::Definition;
use crate::registry::Registry;
use apimachinery::kinds::{self, custom::has_condition};
use component_base::clock::Clock;
use component_base::grpc::Caller;
use futures::StreamExt;
use proto::Kind;
use proto::apiextensions::v1::CustomResourceDefinition;
use proto::meta::v1::Status;
use proto::orrery::v1::patch_request::Type;
use proto::orrery::v1::{DeleteCollectionRequest, PatchRequest};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use storage::Target;
use storage::watch::WatchOptions;

/// How often a kind that is being emptied is looked at: its objects may have finalizers that others take away.
const CLEANUP_PERIOD: Duration = Duration::from_millis(100);
/// How long to wait before a watch that failed is opened again.
const RETRY_DELAY: Duration = Duration::from_secs(1);

/// Runs until it is dropped.
pub(crate) async fn run(registry: Arc<Registry>, clock: Clock, caller: Caller) {
    loop {
        // Not by way of the registry, which counts what clients do.
        let watch = WatchOptions {
            targets: vec![Target::all(kinds::of::<CustomResourceDefinition>())],
            after: None,
            bookmarks: false,
        };
        if let Ok(mut events) = registry.cache().watch(watch).await {
            loop {
                let cleaning = sweep(&registry, &caller).await;
                let next = if cleaning {
                    clock.timeout(CLEANUP_PERIOD, events.next()).await.ok()
                } else {
                    Some(events.next().await)
                };
                if matches!(next, Some(None | Some(Err(_)))) {
                    break;
                }
            }
        }
        clock.sleep(RETRY_DELAY).await;
    }
}

/// Looks at every definition once; says whether one of them is being emptied.
async fn sweep(registry: &Registry, caller: &Caller) -> bool {
    let served = registry.served();
    let mut cleaning = false;
    for definition in served.definitions() {
        let result = if awaits_cleanup(&definition.object) {
            cleaning = true;
            clean_up(registry, caller, definition).await
        } else if !has_condition(&definition.object, "NamesAccepted") {
            // Whatever is written to it, its names are looked at again.
            patch(registry, caller, definition, json!({})).await
        } else {
            Ok(())
        };
        if let Err(status) = result {
            tracing::warn!(
                definition = definition.object.name(),
                error = status.message,
                "upkeep failed"
            );
        }
    }
    cleaning
}

/// Deletes the objects of a kind, and lets its definition go when there are none.
async fn clean_up(registry: &Registry, caller: &Caller, definition: &Definition) -> Result<(), Box<Status>> {
    if let Some(version) = definition.stored() {
        let all = DeleteCollectionRequest {
            kind: version.info.resource(),
            ..DeleteCollectionRequest::default()
        };
        registry.delete_collection(caller, all).await?;
        if registry.cache().count(version.info) > 0 {
            return Ok(());
        }
    }
    let meta = definition.object.meta();
    let left: Vec<_> = meta
        .finalizers
        .iter()
        .filter(|finalizer| *finalizer != CLEANUP_FINALIZER)
        .collect();
    let change = json!({"metadata": {
        "finalizers": left,
        "uid": meta.uid,
        "resourceVersion": definition.revision.to_string(),
    }});
    patch(registry, caller, definition, change).await
}

async fn patch(
    registry: &Registry,
    caller: &Caller,
    definition: &Definition,
    change: serde_json::Value,
) -> Result<(), Box<Status>> {
    let asked = PatchRequest {
        kind: kinds::of::<CustomResourceDefinition>().resource(),
        name: definition.object.name().to_owned(),
        r#type: Type::Merge.into(),
        patch: change.to_string(),
        ..PatchRequest::default()
    };
    registry.patch(caller, asked).await.map(drop)
}
