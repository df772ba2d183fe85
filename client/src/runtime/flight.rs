//! Carries plans out: turns actions into requests, and lines the answers up with the actions.

use crate::client::Client;
use crate::controller::{Action, DeleteAction};
use crate::error::Error;
use crate::limits::EVICTIONS_AT_ONCE;
use crate::runtime::engine::Job;
use apimachinery::wire::MetaView;
use futures::StreamExt;
use proto::Object;
use proto::orrery::v1::batch_operation::Operation;
use proto::orrery::v1::{
    BatchOperation, CreateRequest, DeleteRequest, EvictRequest, ListRequest, PatchRequest, UpdateRequest,
};
use std::time::Duration;

/// One result an action; `None` for those that write nothing.
pub(super) type Results = Vec<Option<Result<Object, Error>>>;

/// What came back.
pub(super) enum Flown {
    /// Jobs, and what their writes came to.
    Batch(Vec<(Job, Results)>),
    /// The server's newest revision.
    Fence(Result<i64, Error>),
}

/// Does all that the jobs want.
pub(super) async fn batch(client: Client, jobs: Vec<Job>) -> Flown {
    let mut results: Vec<Results> = jobs
        .iter()
        .map(|job| vec![None; job.plan.actions.len()])
        .collect();
    let (mut operations, mut places, mut evictions) = (Vec::new(), Vec::new(), Vec::new());
    for (j, job) in jobs.iter().enumerate() {
        for (a, action) in job.plan.actions.iter().enumerate() {
            match action {
                Action::RecordEvent(_) => {}
                Action::Evict(evict) => evictions.push((j, a, evict.clone(), job.cause.revision)),
                action => {
                    operations.push(operation(action, job.cause.revision));
                    places.push((j, a));
                }
            }
        }
    }
    let evict = async |(j, a, evict, cause)| (j, a, evicted(&client, evict, cause).await);
    let evicting = futures::stream::iter(evictions)
        .map(evict)
        .buffer_unordered(EVICTIONS_AT_ONCE);
    let (written, evicted) = futures::join!(client.batch(operations), evicting.collect::<Vec<_>>());
    for ((j, a), result) in places.into_iter().zip(written) {
        results[j][a] = Some(result);
    }
    for (j, a, result) in evicted {
        results[j][a] = Some(result);
    }
    Flown::Batch(jobs.into_iter().zip(results).collect())
}

/// Asks for the server's newest revision, after a while.
pub(super) async fn fence(client: Client, delay: Duration) -> Flown {
    client.clock().sleep(delay).await;
    // Any list tells the revision; this one is short.
    let request = ListRequest {
        kind: "namespaces".into(),
        limit: 1,
        ..ListRequest::default()
    };
    Flown::Fence(client.list_page(request).await.map(|page| page.revision))
}

/// About how many bytes an action takes on the wire.
pub(super) fn weight(action: &Action) -> usize {
    match action {
        Action::Create(object) | Action::Update(object) | Action::UpdateStatus(object) => object.bytes.len(),
        Action::Patch(patch) => patch.patch.len(),
        Action::Delete(_) | Action::Evict(_) | Action::RecordEvent(_) => 0,
    }
}

/// The name of an object that was written.
pub(super) fn name_of(object: &Object) -> String {
    MetaView::parse(&object.bytes)
        .map(|meta| meta.name.to_owned())
        .unwrap_or_default()
}

async fn evicted(client: &Client, evict: DeleteAction, cause: i64) -> Result<Object, Error> {
    let request = EvictRequest {
        namespace: evict.key.namespace.to_string(),
        name: evict.key.name.to_string(),
        options: Some(evict.options),
    };
    let response = client.with_cause(cause).evict(request).await?;
    Ok(response.pod.unwrap_or_default())
}

fn operation(action: &Action, cause: i64) -> BatchOperation {
    let update = |object: &Object, subresource: &str| {
        Operation::Update(UpdateRequest {
            object: Some(object.clone()),
            subresource: subresource.into(),
            ..UpdateRequest::default()
        })
    };
    let operation = match action {
        Action::Create(object) => Some(Operation::Create(CreateRequest {
            object: Some(object.clone()),
            ..CreateRequest::default()
        })),
        Action::Update(object) => Some(update(object, "")),
        Action::UpdateStatus(object) => Some(update(object, "status")),
        Action::Patch(patch) => Some(Operation::Patch(PatchRequest {
            kind: patch.key.resource(),
            namespace: patch.key.namespace.to_string(),
            name: patch.key.name.to_string(),
            subresource: patch.subresource.into(),
            r#type: patch.r#type.into(),
            patch: patch.patch.clone(),
            ..PatchRequest::default()
        })),
        Action::Delete(delete) => Some(Operation::Delete(DeleteRequest {
            kind: delete.key.resource(),
            namespace: delete.key.namespace.to_string(),
            name: delete.key.name.to_string(),
            options: Some(delete.options.clone()),
        })),
        Action::Evict(_) | Action::RecordEvent(_) => None,
    };
    BatchOperation { operation, cause }
}
