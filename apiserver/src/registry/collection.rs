//! DeleteCollection: all objects that match, in steps that leave room for other writes.

use super::errors::{self, Result};
use super::plan::Prepared;
use super::write::prepared;
use super::{Registry, Resource, delete, deletion, metadata, read};
use crate::limits::MAX_DELETES_PER_COMMIT;
use crate::metrics::Verb;
use apimachinery::status::Reason;
use component_base::grpc::Caller;
use proto::meta::v1::DeleteOptions;
use proto::orrery::v1::{DeleteCollectionRequest, DeleteCollectionResponse};
use std::convert::Infallible;
use storage::Stored;
use storage::store::{Key, Revision};
use storage::write::{Desired, Effect, Update};

impl Registry {
    /// Deletes the objects that match as they are now. What is created meanwhile stays.
    pub async fn delete_collection(
        &self,
        caller: &Caller,
        asked: DeleteCollectionRequest,
    ) -> Result<DeleteCollectionResponse> {
        let info = self.kind(&asked.kind);
        let result = match &info {
            Ok(info) => self.delete_matching(caller, info, &asked).await,
            Err(status) => Err(status.clone()),
        };
        self.metrics()
            .requested(Verb::DeleteCollection, info.ok().map(|info| info.info), &result);
        result
    }

    async fn delete_matching(
        &self,
        caller: &Caller,
        info: &Resource,
        asked: &DeleteCollectionRequest,
    ) -> Result<DeleteCollectionResponse> {
        let target = read::target(
            info.info,
            &asked.namespace,
            &asked.label_selector,
            &asked.field_selector,
        )?;
        let options = asked.options.clone().unwrap_or_default();
        deletion::validate_options(&options)?;
        if options.preconditions.is_some() {
            return Err(errors::bad_request("preconditions are for a single object"));
        }
        self.catch_up().await?;
        let (mut after, mut revision, mut deleted) = (None, None, 0);
        loop {
            let page = self
                .cache()
                .list(&target, MAX_DELETES_PER_COMMIT, after, revision)
                .await;
            let page = page.map_err(|error| errors::store(&error))?;
            let plans: Vec<Prepared> = page
                .items
                .iter()
                .map(|(key, object)| self.deletion_of(info, key.clone(), object, &options))
                .collect::<Result<_>>()?;
            for result in self.run_many(caller, &plans).await {
                match result {
                    Ok(outcome) => deleted += i64::from(outcome.effect != Effect::Unchanged),
                    // Somebody else was faster, and perhaps there is a new one.
                    Err(status)
                        if matches!(Reason::of(&status), Some(Reason::NotFound | Reason::Conflict)) => {}
                    Err(status) => return Err(status),
                }
            }
            revision = Some(page.revision);
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        Ok(DeleteCollectionResponse {
            deleted,
            revision: self.cache().revision(),
        })
    }

    /// Removes objects that are still at the given revisions; says how many. Finalizers and grace are not asked.
    pub(crate) async fn remove_unchanged(&self, caller: &Caller, keys: Vec<(Key, Revision)>) -> usize {
        let updates = keys.into_iter().map(|(key, revision)| Update {
            key,
            origin: self.origin(caller, 0),
            change: Box::new(move |current: Option<&Stored>| {
                let unchanged = current.is_some_and(|current| current.revision == revision);
                Ok::<_, Infallible>(if unchanged { Desired::Delete } else { Desired::Keep })
            }),
        });
        let results = self.cache().update_many(updates.collect()).await;
        let deleted = results
            .iter()
            .flatten()
            .filter(|outcome| outcome.effect == Effect::Deleted);
        deleted.count()
    }

    /// The deletion of an object that was listed, and of no other that takes its name.
    fn deletion_of(
        &self,
        info: &Resource,
        key: Key,
        listed: &Stored,
        options: &DeleteOptions,
    ) -> Result<Prepared> {
        let name = key.parts().2.to_owned();
        let mut options = options.clone();
        deletion::pin_uid(&mut options, metadata::view(&listed.bytes)?.uid);
        let dry_run = deletion::is_dry_run(&options);
        let plan = delete::plan(info.info, name, options, self.now());
        Ok(Prepared {
            dry_run,
            ..prepared(info.clone(), key, plan)
        })
    }
}
