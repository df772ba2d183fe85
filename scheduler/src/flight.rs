//! Carries decisions to the API, and finds out what became of them.
//!
//! A binding is sent until its answer is definite: it is safe to do twice, as the API binds a Pod only once. When it is
//! refused, the API is asked for the Pod, so that the engine learns the truth before the stream tells it; a node's room is
//! never given away on a guess.

use crate::engine::{Binding, Found, Preemption};
use crate::extender::{Answer, Caller};
use crate::limits::{EVICTION_TRIES, WRITE_TRIES};
use crate::report;
use client::Error;
use client::backoff::{Backoff, Policy};
use client::{Client, ObjectKey};
use proto::Kind;
use proto::api::core::v1::Pod;
use proto::meta::v1::{DeleteOptions, Preconditions};
use proto::orrery::v1::batch_operation::Operation;
use proto::orrery::v1::{BatchOperation, DeleteRequest, GetRequest};

/// What became of a binding.
#[derive(Debug)]
pub(crate) enum Fate {
    /// The API took it.
    Bound,
    /// The API refused it, and holds this.
    Lost(Found),
}

/// What came back.
#[derive(Debug)]
pub(crate) enum Flown {
    /// Bindings, each with its fate.
    Bindings(Vec<(Binding, Fate)>),
    /// Status writes: nobody waits for them.
    Conditions,
    /// Writes that Pods wait for; the stream shows what came of them.
    Writes,
    /// Extenders have answered.
    Answer(Answer),
    /// Victims were deleted, but for these.
    Evictions(Vec<ObjectKey>),
}

/// Binds, and waits until the fate of every binding is certain.
pub(crate) async fn bind(client: Client, bindings: Vec<Binding>, mut backoff: Backoff) -> Flown {
    let mut fates = Vec::with_capacity(bindings.len());
    let mut waiting = bindings;
    while !waiting.is_empty() {
        let operations = waiting.iter().filter_map(|binding| binding.operation.clone());
        let results = client.batch(operations.collect()).await;
        let mut again = Vec::new();
        for (binding, result) in waiting.into_iter().zip(results) {
            let Err(error) = result else {
                fates.push((binding, Fate::Bound));
                continue;
            };
            let key = &binding.pod.key;
            tracing::debug!(pod = %key, node = %binding.node, %error, "a binding was not taken");
            match fate(&client, &binding, error).await {
                Some(fate) => fates.push((binding, fate)),
                None => again.push(binding),
            }
        }
        waiting = again;
        if !waiting.is_empty() {
            let delay = backoff.fail();
            tracing::warn!(
                count = waiting.len(),
                ?delay,
                "bindings without an answer are sent again"
            );
            client.clock().sleep(delay).await;
        }
    }
    Flown::Bindings(fates)
}

/// Lets an extender bind a Pod. What it says is not definite, whatever it says: the API is asked.
pub(crate) async fn bind_by_extender(
    client: Client,
    caller: Caller,
    binding: Binding,
    mut backoff: Backoff,
) -> Flown {
    if let Err(why) = caller.bind(&binding.pod, &binding.node).await {
        tracing::warn!(pod = %binding.pod.key, node = %binding.node, why, "an extender has not bound a pod");
    }
    loop {
        let fate = match found(&client, &binding).await {
            Some(Fate::Lost(Found::Pod(pod))) if is_bound(&pod, &binding) => Some(Fate::Bound),
            fate => fate,
        };
        if let Some(fate) = fate {
            return Flown::Bindings(vec![(binding, fate)]);
        }
        client.clock().sleep(backoff.fail()).await;
    }
}

/// Whether a Pod is on the node that was decided on.
fn is_bound(pod: &Pod, binding: &Binding) -> bool {
    let node = pod.spec.as_ref().map_or("", |spec| spec.node_name.as_str());
    *pod.uid() == *binding.pod.uid && *node == *binding.node
}

/// What a failure means; `None` when that is not certain yet.
async fn fate(client: &Client, binding: &Binding, error: Error) -> Option<Fate> {
    // The API said why, and will not do it later. Anything else may have been done, or may still be.
    if error.status().is_none() || error.retryable() {
        return None;
    }
    found(client, binding).await
}

/// What the API holds of a binding's Pod; `None` when it does not answer.
async fn found(client: &Client, binding: &Binding) -> Option<Fate> {
    let request = GetRequest {
        kind: "pods".into(),
        namespace: binding.pod.key.namespace.to_string(),
        name: binding.pod.key.name.to_string(),
        ..GetRequest::default()
    };
    match client.get(request).await {
        Ok(object) => match object.decode_as::<Pod>() {
            Ok(pod) => Some(Fate::Lost(Found::Pod(Box::new(pod)))),
            Err(error) => {
                tracing::error!(pod = %binding.pod.key, %error, "a pod does not decode");
                None
            }
        },
        Err(error) if error.is_not_found() => Some(Fate::Lost(Found::Gone)),
        Err(_) => None,
    }
}

/// How sending again is spaced.
pub(crate) fn backoff(client: &Client, flight: u64) -> Backoff {
    Backoff::new(
        Policy::RECONNECT,
        client.seed().child("binding").fork(&flight.to_string()),
    )
}

/// A victim that is to be deleted.
#[derive(Clone, Debug)]
pub(crate) struct Eviction {
    victim: ObjectKey,
    /// What is written first, so that whoever looks at the Pod while it ends knows why.
    mark: Option<BatchOperation>,
    delete: BatchOperation,
}

/// A preemption's victims, each to be deleted only if it is still the Pod that was meant.
pub(crate) fn evictions(preemption: &Preemption) -> impl Iterator<Item = Eviction> + '_ {
    let cause = preemption.pod.revision;
    preemption.room.victims.iter().map(move |victim| Eviction {
        victim: victim.key.clone(),
        // One that ends at once is seen by nobody, and a write more for each would halve the speed.
        mark: victim.graceful.then(|| report::disrupted(victim, preemption)),
        delete: BatchOperation {
            operation: Some(Operation::Delete(DeleteRequest {
                kind: "pods".into(),
                namespace: victim.key.namespace.to_string(),
                name: victim.key.name.to_string(),
                options: Some(DeleteOptions {
                    preconditions: Some(Preconditions {
                        uid: Some(victim.uid.to_string()),
                        ..Preconditions::default()
                    }),
                    ..DeleteOptions::default()
                }),
            })),
            cause,
        },
    })
}

/// Deletes victims. Gives those that the API would not let go, or did not answer about.
pub(crate) async fn evict(client: Client, evictions: Vec<Eviction>, mut backoff: Backoff) -> Flown {
    let marks: Vec<BatchOperation> = evictions
        .iter()
        .filter_map(|eviction| eviction.mark.clone())
        .collect();
    if !marks.is_empty() {
        for result in client.batch(marks).await {
            if let Err(error) = result {
                tracing::debug!(%error, "a victim was not told why");
            }
        }
    }
    let (mut waiting, mut refused) = (evictions, Vec::new());
    for _ in 0..EVICTION_TRIES {
        let deletes = waiting.iter().map(|eviction| eviction.delete.clone()).collect();
        let results = client.batch(deletes).await;
        let mut again = Vec::new();
        for (eviction, result) in waiting.into_iter().zip(results) {
            match result {
                Ok(_) => {}
                // It is gone, and the stream has told or will tell so; or another has its name.
                Err(error) if error.is_not_found() => {}
                Err(error) if error.status().is_none() || error.retryable() => again.push(eviction),
                Err(error) => {
                    tracing::debug!(pod = %eviction.victim, %error, "a victim was not deleted");
                    refused.push(eviction.victim);
                }
            }
        }
        waiting = again;
        if waiting.is_empty() {
            break;
        }
        client.clock().sleep(backoff.fail()).await;
    }
    refused.extend(waiting.into_iter().map(|eviction| eviction.victim));
    Flown::Evictions(refused)
}

/// Writes conditions, once.
pub(crate) async fn write_conditions(client: Client, operations: Vec<BatchOperation>) -> Flown {
    for result in client.batch(operations).await {
        if let Err(error) = result {
            // Mostly a conflict: the Pod has changed, and its next attempt will write again.
            tracing::debug!(%error, "a pod's condition was not written");
        }
    }
    Flown::Conditions
}

/// Writes what Pods wait for, until there is an answer. What is refused the stream explains: the object has changed, or is gone.
pub(crate) async fn write(client: Client, operations: Vec<BatchOperation>, mut backoff: Backoff) -> Flown {
    let mut waiting = operations;
    for _ in 0..WRITE_TRIES {
        let results = client.batch(waiting.clone()).await;
        let mut again = Vec::new();
        for (operation, result) in waiting.into_iter().zip(results) {
            match result {
                Ok(_) => {}
                Err(error) if error.status().is_none() || error.retryable() => again.push(operation),
                Err(error) => tracing::debug!(%error, "what a pod waits for was not written"),
            }
        }
        waiting = again;
        if waiting.is_empty() {
            return Flown::Writes;
        }
        client.clock().sleep(backoff.fail()).await;
    }
    tracing::warn!(
        count = waiting.len(),
        "what pods wait for was not written: they are tried again after their timeout"
    );
    Flown::Writes
}
