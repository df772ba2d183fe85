//! Batch: many writes in one round trip and one durable step, a result each.

use super::errors::{self, Result};
use super::plan::Prepared;
use super::write::{Operation, answer, is_taken};
use super::{Registry, outline};
use crate::limits::{MAX_BATCH_ANSWER_BYTES, MAX_BATCH_OPERATIONS, MAX_SHORT_MESSAGE_CHARS};
use component_base::grpc::Caller;
use prost::Message;
use proto::api::core::v1::Namespace;
use proto::orrery::v1::{
    BatchOperation, BatchRequest, BatchResponse, BatchResult, batch_operation, batch_result,
};
use proto::{Kind, Object};

/// How many operations are prepared before other tasks may run: each costs some ten microseconds.
const PREPARE_CHUNK: usize = 64;

impl Registry {
    /// Does the operations in their order, each on its own: one that fails does not undo the others.
    pub async fn batch(&self, caller: &Caller, asked: BatchRequest) -> Result<BatchResponse> {
        if asked.operations.len() > MAX_BATCH_OPERATIONS {
            return Err(errors::bad_request(format!(
                "a batch has at most {MAX_BATCH_OPERATIONS} operations, not {}",
                asked.operations.len()
            )));
        }
        let mut results: Vec<BatchResult> = Vec::with_capacity(asked.operations.len());
        let mut step = Vec::new();
        for operation in asked.operations {
            let operation = read(operation);
            // What follows a new namespace may be created in it, and what follows a definition may be of its kind, so they
            // must be seen first.
            let ends_step = match &operation {
                Ok((operation @ Operation::Create(_), _)) if is_namespace(operation) => true,
                Ok((operation, _)) => operation.writes_definition(),
                Err(_) => false,
            };
            step.push(operation);
            if ends_step {
                results.append(&mut self.batch_step(caller, std::mem::take(&mut step)).await);
            }
        }
        results.append(&mut self.batch_step(caller, step).await);
        shorten(&mut results)?;
        Ok(BatchResponse { results })
    }

    /// Operations that share a durable step.
    async fn batch_step(&self, caller: &Caller, step: Vec<Result<(Operation, i64)>>) -> Vec<BatchResult> {
        let mut prepared: Vec<Prepared> = Vec::with_capacity(step.len());
        // For each operation, why it cannot run, or its place among those that can.
        let mut places: Vec<Result<usize>> = Vec::with_capacity(step.len());
        let is_definition = |operation: &Result<(Operation, i64)>| match operation {
            Ok((operation, _)) => operation.writes_definition(),
            Err(_) => false,
        };
        let definitions = match step.iter().any(is_definition) {
            true => Some(self.definitions.lock().await),
            false => None,
        };
        let caught_up = self.catch_up().await;
        for (i, operation) in step.iter().enumerate() {
            if i % PREPARE_CHUNK == PREPARE_CHUNK - 1 {
                tokio::task::yield_now().await;
            }
            let ready = match (operation, &caught_up) {
                (Ok((operation, cause)), Ok(())) => self.prepare(caller, operation, *cause).await,
                (Err(status), _) | (_, Err(status)) => Err(status.clone()),
            };
            places.push(ready.map(|ready| {
                prepared.push(ready);
                prepared.len() - 1
            }));
        }
        let outcomes = self.run_many(caller, &prepared).await;
        drop(definitions);
        let mut results = Vec::with_capacity(step.len());
        for (operation, place) in step.iter().zip(places) {
            let mut result = place.and_then(|i| {
                let outcome = outcomes[i].as_ref().map_err(Clone::clone)?;
                answer(&prepared[i], outcome)
            });
            if let Ok((operation, cause)) = operation {
                // Two drawn names were the same, which happens; draw again.
                if operation.draws_name() && result.as_ref().is_err_and(|status| is_taken(status)) {
                    result = self
                        .attempt(caller, operation, *cause)
                        .await
                        .map(|written| written.object);
                }
                self.metrics()
                    .requested(operation.verb(), operation.kind(), &result);
            }
            results.push(batch_result(result));
        }
        results
    }
}

/// Leaves of the objects that do not fit into the answer only who they are and their new revision, and of the errors
/// their first words. Small requests can have large answers, and a batch that was done must not fail because nobody
/// could be told.
fn shorten(results: &mut [BatchResult]) -> Result<()> {
    let mut bytes = 0;
    for result in results {
        match &mut result.result {
            Some(batch_result::Result::Object(object)) => {
                if bytes + object.bytes.len() > MAX_BATCH_ANSWER_BYTES {
                    object.bytes = outline::identity(&object.bytes).map_err(|error| {
                        errors::internal(format!("a stored object does not decode: {error}"))
                    })?;
                }
                bytes += object.bytes.len();
            }
            Some(batch_result::Result::Error(status)) => {
                if bytes + status.encoded_len() > MAX_BATCH_ANSWER_BYTES {
                    status.details = None;
                    status.message = status.message.chars().take(MAX_SHORT_MESSAGE_CHARS).collect();
                }
                bytes += status.encoded_len();
            }
            None => {}
        }
    }
    Ok(())
}

fn is_namespace(operation: &Operation) -> bool {
    operation
        .kind()
        .is_some_and(|info| info.number == Namespace::NUMBER)
}

/// One operation and its cause.
fn read(operation: BatchOperation) -> Result<(Operation, i64)> {
    use batch_operation::Operation as Sent;
    let cause = operation.cause;
    let operation = match operation.operation {
        Some(Sent::Create(create)) => Operation::Create(create),
        Some(Sent::Update(update)) => Operation::Update(update),
        Some(Sent::Patch(patch)) => Operation::Patch(patch),
        Some(Sent::Delete(delete)) => Operation::Delete(delete),
        Some(Sent::Bind(bind)) => Operation::Bind(bind),
        None => {
            return Err(errors::bad_request(
                "the operation is empty, or of a kind that is not known",
            ));
        }
    };
    Ok((operation, cause))
}

fn batch_result(result: Result<Object>) -> BatchResult {
    let result = match result {
        Ok(object) => batch_result::Result::Object(object),
        Err(status) => batch_result::Result::Error(*status),
    };
    BatchResult { result: Some(result) }
}
