//! Evict: a delete that a PodDisruptionBudget may refuse.
//!
//! First the budget gives a disruption, in a commit of its own; then the Pod goes. A crash in between costs one
//! disruption, which the budget's controller finds again. The other order could break the budget.

use super::errors::{self, Result};
use super::plan::{Plan, Prepared};
use super::update::decode_stored;
use super::write::{answer, prepared};
use super::{Registry, budget, delete, deletion, request};
use crate::metrics::Verb;
use apimachinery::kinds;
use apimachinery::selector::LabelSelector;
use component_base::grpc::Caller;
use prost::Message;
use proto::Kind;
use proto::api::core::v1::Pod;
use proto::api::policy::v1::PodDisruptionBudget;
use proto::meta::v1::DeleteOptions;
use proto::orrery::v1::{EvictRequest, EvictResponse};
use storage::store::Key;
use storage::write::Desired;

impl Registry {
    /// Asks for a Pod's deletion.
    pub async fn evict(&self, caller: &Caller, asked: EvictRequest) -> Result<EvictResponse> {
        let result = self.evict_pod(caller, &asked).await;
        self.metrics()
            .requested(Verb::Evict, Some(kinds::of::<Pod>()), &result);
        result
    }

    async fn evict_pod(&self, caller: &Caller, asked: &EvictRequest) -> Result<EvictResponse> {
        let info = kinds::of::<Pod>();
        let key = request::key(info, &asked.namespace, &asked.name)?;
        let mut options = asked.options.clone().unwrap_or_default();
        deletion::validate_options(&options)?;
        let dry_run = deletion::is_dry_run(&options);
        self.catch_up().await?;
        let stored = self
            .cache()
            .get(&key)
            .ok_or_else(|| errors::not_found(info, &asked.name))?;
        let pod: Pod = decode_stored(&stored.bytes)?;
        deletion::check_preconditions(info, pod.meta(), stored.revision, &options)?;
        // The Pod that was judged is the one that goes.
        deletion::pin_uid(&mut options, pod.uid());
        if !budget::is_exempt(&pod)
            && let Some(budget) = self.budget_of(&pod).await?
        {
            if budget::spares_unready(&budget, &pod) {
                // Only as long as it stays unready.
                pin_revision(&mut options, stored.revision);
            } else {
                let budget = self.disruption(&budget, &asked.name, dry_run);
                self.run(caller, &budget).await?;
            }
        }
        let evict = Prepared {
            dry_run,
            ..prepared(
                info.into(),
                key,
                delete::evict(info, asked.name.clone(), options, self.now()),
            )
        };
        let outcome = self.run(caller, &evict).await?;
        Ok(EvictResponse {
            pod: Some(answer(&evict, &outcome)?),
        })
    }

    /// The budget that counts the Pod.
    async fn budget_of(&self, pod: &Pod) -> Result<Option<PodDisruptionBudget>> {
        let labels = &pod.meta().labels;
        let budgets = self.all::<PodDisruptionBudget>(Some(pod.namespace())).await?;
        let mut matching = budgets.into_iter().filter(|budget| {
            let selector = budget.spec.as_ref().and_then(|spec| spec.selector.as_ref());
            // A selector that cannot be read selects nothing.
            LabelSelector::from_proto(selector).is_ok_and(|selector| selector.matches_labels(labels))
        });
        let first = matching.next();
        if matching.next().is_some() {
            return Err(budget::ambiguous());
        }
        Ok(first)
    }

    /// The write that takes one disruption from a budget.
    fn disruption(&self, budget: &PodDisruptionBudget, pod: &str, dry_run: bool) -> Prepared {
        let info = kinds::of::<PodDisruptionBudget>();
        let name = budget.name().to_owned();
        let key = Key::new(&info.resource(), budget.namespace(), &name);
        let (pod, now) = (pod.to_owned(), self.now());
        let plan: Plan = Box::new(move |current| {
            let Some(current) = current else {
                return Err(errors::not_found(info, &name));
            };
            let mut budget: PodDisruptionBudget = decode_stored(&current.value)?;
            budget::take(&mut budget, &pod, now)?;
            Ok(Desired::Put(budget.encode_to_vec().into()))
        });
        Prepared {
            dry_run,
            ..prepared(info.into(), key, plan)
        }
    }
}

fn pin_revision(options: &mut DeleteOptions, revision: i64) {
    let preconditions = options.preconditions.get_or_insert_default();
    preconditions
        .resource_version
        .get_or_insert_with(|| revision.to_string());
}
