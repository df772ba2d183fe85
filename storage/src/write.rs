//! Writes through the cache: to the store, and back only when the cache shows them.
//!
//! [`Cache::update`] is read-modify-write: a function from the object as it is to the object as it should be, run again
//! when somebody else was faster. The function checks what the caller demands (a resourceVersion, a UID) against the
//! object that it is given, so a demand that no longer holds is refused by the function and never retried.

use crate::cache::Cache;
use crate::event::Stored;
use crate::filter::number_of;
use crate::store::{Change, Conflict, Key, Origin, Precondition, Revision, StoreError, Versioned, Write};
use apimachinery::wire::{WireError, without_resource_version};
use bytes::Bytes;
use std::collections::HashSet;

/// How often an update is tried. Of writers that contend for one object, one wins each round, so this is also how many
/// may contend before one is refused.
const MAX_ATTEMPTS: usize = 256;

/// What an object should become.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Desired {
    /// This message. Its resourceVersion is ignored.
    Put(Bytes),
    /// Gone.
    Delete,
    /// What it is.
    Keep,
}

/// What a write did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// There was no such object.
    Created,
    /// The object changed.
    Updated,
    /// The object is gone.
    Deleted,
    /// Nothing: the object was already as desired. No revision was made.
    Unchanged,
}

/// A write that succeeded.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// What it did.
    pub effect: Effect,
    /// The object as it is now; its last state, at the revision of its deletion, when it is gone. `None` only when
    /// nothing was to be done about an object that does not exist.
    pub object: Option<Stored>,
}

/// A write that was not done.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Refused {
    /// Its precondition did not hold.
    #[error(transparent)]
    Conflict(#[from] Conflict),
    /// Its value is no protobuf message.
    #[error("the object cannot be read: {0}")]
    Malformed(#[from] WireError),
    /// Its key belongs to no kind.
    #[error("{0:?} belongs to no known kind")]
    UnknownKind(Key),
}

/// Why an update was not done.
#[derive(Clone, Debug, thiserror::Error)]
pub enum UpdateError<E> {
    /// The caller's function refused.
    #[error("refused by its own rule")]
    Rejected(E),
    /// The store or the cache refused. A conflict means that others were faster on every attempt.
    #[error(transparent)]
    Refused(Refused),
    /// The store failed. Whether the write was done is not known when it became unavailable.
    #[error(transparent)]
    Store(StoreError),
}

/// One read-modify-write of [`Cache::update_many`].
pub struct Update<'a, E> {
    /// The object.
    pub key: Key,
    /// Who, why, when.
    pub origin: Origin,
    /// From the object as it is, if it exists, to what it should be. May run several times.
    #[allow(
        clippy::type_complexity,
        reason = "a type alias would hide the only thing to know"
    )]
    pub change: Box<dyn FnMut(Option<&Stored>) -> Result<Desired, E> + Send + 'a>,
}

/// What an update comes to before it is written.
enum Planned {
    /// Nothing to write.
    Done(Outcome),
    /// A conditional write.
    Write(Write),
}

/// How an attempt ended.
enum Attempt {
    Done(Outcome),
    /// Somebody else was faster.
    Lost(Conflict),
}

impl Cache {
    /// Does the writes in one durable step, each under its own precondition, and returns when the cache shows them.
    /// One that fails does not undo the others.
    pub async fn commit(&self, writes: Vec<Write>) -> Result<Vec<Result<Outcome, Refused>>, StoreError> {
        let mut results: Vec<Option<Result<Outcome, Refused>>> = Vec::with_capacity(writes.len());
        let mut sound = Vec::with_capacity(writes.len());
        for write in writes {
            match check(write) {
                Ok(write) => {
                    sound.push(write);
                    results.push(None);
                }
                Err(refused) => results.push(Some(Err(refused))),
            }
        }
        let mut committed = Vec::new();
        if !sound.is_empty() {
            committed = self.store.commit(sound).await?;
            let last = committed
                .iter()
                .filter_map(|result| Some(result.as_ref().ok()?.revision))
                .max();
            if let Some(last) = last {
                self.wait_for(last).await?;
            }
        }
        let mut committed = committed.into_iter();
        results
            .into_iter()
            .map(|result| match result {
                Some(refused) => Ok(refused),
                None => match committed.next() {
                    Some(Ok(change)) => self.outcome(&change).map(Ok),
                    Some(Err(conflict)) => Ok(Err(conflict.into())),
                    None => Err(StoreError::Unavailable(
                        "the store left a write without an answer".into(),
                    )),
                },
            })
            .collect()
    }

    /// Read-modify-write of one object. `change` gets the object as it is now, and may run several times.
    pub async fn update<E: Send>(
        &self,
        key: Key,
        origin: Origin,
        change: impl FnMut(Option<&Stored>) -> Result<Desired, E> + Send,
    ) -> Result<Outcome, UpdateError<E>> {
        let mut update = Update {
            key,
            origin,
            change: Box::new(change),
        };
        for _ in 1..MAX_ATTEMPTS {
            match self.attempt(&mut update).await? {
                Attempt::Done(outcome) => return Ok(outcome),
                Attempt::Lost(conflict) => self.see(&conflict).await.map_err(UpdateError::Store)?,
            }
        }
        match self.attempt(&mut update).await? {
            Attempt::Done(outcome) => Ok(outcome),
            Attempt::Lost(conflict) => Err(UpdateError::Refused(conflict.into())),
        }
    }

    /// Many read-modify-writes that share a durable step, a result each in their order. A later one on the same object
    /// sees what an earlier one did; it then takes a step of its own.
    pub async fn update_many<E: Send>(
        &self,
        updates: Vec<Update<'_, E>>,
    ) -> Vec<Result<Outcome, UpdateError<E>>> {
        let mut results = Vec::with_capacity(updates.len());
        let mut step: Vec<Update<'_, E>> = Vec::new();
        let mut keys = HashSet::new();
        for update in updates {
            if !keys.insert(update.key.clone()) {
                results.extend(self.update_step(std::mem::take(&mut step)).await);
                keys.clear();
                keys.insert(update.key.clone());
            }
            step.push(update);
        }
        results.extend(self.update_step(step).await);
        results
    }

    /// Updates of different objects.
    async fn update_step<E: Send>(
        &self,
        updates: Vec<Update<'_, E>>,
    ) -> Vec<Result<Outcome, UpdateError<E>>> {
        let mut results: Vec<Option<Result<Outcome, UpdateError<E>>>> = Vec::with_capacity(updates.len());
        let mut writes = Vec::new();
        let mut written = Vec::new();
        for (i, mut update) in updates.into_iter().enumerate() {
            results.push(match self.plan(&mut update) {
                Ok(Planned::Done(outcome)) => Some(Ok(outcome)),
                Ok(Planned::Write(write)) => {
                    writes.push(write);
                    written.push((i, update));
                    None
                }
                Err(error) => Some(Err(error)),
            });
        }
        match self.commit(writes).await {
            Err(error) => written.iter().for_each(|(i, _)| {
                results[*i] = Some(Err(UpdateError::Store(error.clone())));
            }),
            Ok(committed) => {
                for ((i, update), result) in written.into_iter().zip(committed) {
                    results[i] = Some(match result {
                        Ok(outcome) => Ok(outcome),
                        Err(Refused::Conflict(conflict)) => match self.see(&conflict).await {
                            Ok(()) => self.update(update.key, update.origin, update.change).await,
                            Err(error) => Err(UpdateError::Store(error)),
                        },
                        Err(refused) => Err(UpdateError::Refused(refused)),
                    });
                }
            }
        }
        let unanswered = || Err(UpdateError::Store(crate::cache::stopped()));
        results
            .into_iter()
            .map(|result| result.unwrap_or_else(unanswered))
            .collect()
    }

    async fn attempt<E: Send>(&self, update: &mut Update<'_, E>) -> Result<Attempt, UpdateError<E>> {
        let write = match self.plan(update)? {
            Planned::Done(outcome) => return Ok(Attempt::Done(outcome)),
            Planned::Write(write) => write,
        };
        let mut results = self.commit(vec![write]).await.map_err(UpdateError::Store)?;
        match results.pop() {
            Some(Ok(outcome)) => Ok(Attempt::Done(outcome)),
            Some(Err(Refused::Conflict(conflict))) => Ok(Attempt::Lost(conflict)),
            Some(Err(refused)) => Err(UpdateError::Refused(refused)),
            None => Err(UpdateError::Store(crate::cache::stopped())),
        }
    }

    /// Asks the caller's function what the object should be, and compares with what it is.
    fn plan<E>(&self, update: &mut Update<'_, E>) -> Result<Planned, UpdateError<E>> {
        let current = self.get(&update.key);
        let desired = (update.change)(current.as_ref()).map_err(UpdateError::Rejected)?;
        let malformed = |error| UpdateError::Refused(Refused::Malformed(error));
        let value = match (desired, &current) {
            (Desired::Keep, _) | (Desired::Delete, None) => return Ok(Planned::Done(unchanged(current))),
            (Desired::Delete, Some(_)) => None,
            (Desired::Put(bytes), None) => Some(without_resource_version(&bytes).map_err(malformed)?),
            (Desired::Put(bytes), Some(object)) => {
                let value = without_resource_version(&bytes).map_err(malformed)?;
                if value == without_resource_version(&object.bytes).map_err(malformed)? {
                    return Ok(Planned::Done(unchanged(current)));
                }
                Some(value)
            }
        };
        Ok(Planned::Write(Write {
            key: update.key.clone(),
            value,
            precondition: current.map_or(Precondition::Absent, |object| Precondition::At(object.revision)),
            origin: update.origin.clone(),
        }))
    }

    /// Waits until the cache shows the write that a conflict tells of.
    async fn see(&self, conflict: &Conflict) -> Result<(), StoreError> {
        match conflict.current {
            Some(revision) => self.wait_for(revision).await,
            // It was removed, at a revision that the conflict does not name.
            None => self.wait_for_store().await,
        }
    }

    fn outcome(&self, change: &Change) -> Result<Outcome, StoreError> {
        let effect = match (&change.before, &change.after) {
            (_, None) => Effect::Deleted,
            (None, Some(_)) => Effect::Created,
            (Some(_), Some(_)) => Effect::Updated,
        };
        let last = change
            .after
            .as_ref()
            .or(change.before.as_ref().map(|before| &before.value));
        let object = match self
            .get(&change.key)
            .filter(|object| object.revision == change.revision)
        {
            // Shares the memory of the cache.
            Some(object) => Some(object),
            None => last
                .map(|value| handed_out(&change.key, value, change.revision))
                .transpose()?,
        };
        Ok(Outcome { effect, object })
    }
}

/// A write whose key and value can be applied, without the resourceVersion that no stored value has.
fn check(write: Write) -> Result<Write, Refused> {
    if number_of(write.key.parts().0).is_none() {
        return Err(Refused::UnknownKind(write.key));
    }
    let value = write.value.as_ref().map(without_resource_version).transpose()?;
    Ok(Write { value, ..write })
}

fn unchanged(object: Option<Stored>) -> Outcome {
    Outcome {
        effect: Effect::Unchanged,
        object,
    }
}

fn handed_out(key: &Key, value: &Bytes, revision: Revision) -> Result<Stored, StoreError> {
    Stored::from_value(
        key,
        &Versioned {
            value: value.clone(),
            revision,
        },
    )
}
