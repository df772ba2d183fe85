//! The ReplicaSets of a Deployment: the new one, which has its template, and the old ones; as they are, and as planned.

use super::annotations;
use apimachinery::well_known::{POD_TEMPLATE_HASH, REVISION};
use proto::Kind;
use proto::api::apps::v1::{Deployment, ReplicaSet};
use proto::api::core::v1::PodTemplateSpec;
use std::ops::Deref;
use std::sync::Arc;

/// A ReplicaSet as it was seen, and as it shall be.
#[derive(Clone, Debug)]
pub(super) struct Set {
    pub(super) seen: Arc<ReplicaSet>,
    pub(super) planned: ReplicaSet,
}

impl Deref for Set {
    type Target = ReplicaSet;

    /// The ReplicaSet as it was seen: its status, its name.
    fn deref(&self) -> &ReplicaSet {
        &self.seen
    }
}

impl Set {
    fn new(seen: Arc<ReplicaSet>) -> Self {
        Self {
            planned: (*seen).clone(),
            seen,
        }
    }

    /// Whether there is anything to write.
    pub(super) fn changed(&self) -> bool {
        *self.seen != self.planned
    }

    /// How many replicas it shall have.
    pub(super) fn replicas(&self) -> i32 {
        replicas(&self.planned)
    }

    /// How many of its Pods are available.
    pub(super) fn available(&self) -> i32 {
        self.status.as_ref().map_or(0, |status| status.available_replicas)
    }

    /// Plans a number of replicas, and writes down for which size of the Deployment.
    pub(super) fn scale(&mut self, deployment: &Deployment, replicas: i32) {
        self.planned.spec.get_or_insert_default().replicas = Some(replicas);
        annotations::sync_size(deployment, &mut self.planned);
    }
}

/// How many replicas a ReplicaSet asks for.
pub(super) fn replicas(set: &ReplicaSet) -> i32 {
    set.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1)
}

/// All ReplicaSets of a Deployment.
#[derive(Clone, Debug)]
pub(super) struct Sets {
    /// The one with the Deployment's template, where there is one.
    pub(super) new: Option<Set>,
    /// The others, oldest first.
    pub(super) old: Vec<Set>,
}

impl Sets {
    /// Tells the new one from the old ones. Of several with the same template the oldest is the new one, as upstream
    /// has it, so that two controllers would agree.
    pub(super) fn new(deployment: &Deployment, mut sets: Vec<Arc<ReplicaSet>>) -> Self {
        let age = |set: &ReplicaSet| {
            set.meta()
                .creation_timestamp
                .map(|time| (time.seconds, time.nanos))
        };
        sets.sort_by_cached_key(|set| (age(set), set.name().to_owned()));
        let template = deployment.spec.as_ref().and_then(|spec| spec.template.clone());
        let wanted = template.map(without_hash);
        let of_set = |set: &ReplicaSet| {
            set.spec
                .as_ref()
                .and_then(|spec| spec.template.clone())
                .map(without_hash)
        };
        let position = sets.iter().position(|set| of_set(set) == wanted);
        let new = position.map(|index| Set::new(sets.remove(index)));
        Self {
            new,
            old: sets.into_iter().map(Set::new).collect(),
        }
    }

    /// All of them, the new one last.
    pub(super) fn all(&self) -> impl Iterator<Item = &Set> {
        self.old.iter().chain(&self.new)
    }

    /// All of them, to plan with.
    pub(super) fn all_mut(&mut self) -> impl Iterator<Item = &mut Set> {
        self.old.iter_mut().chain(&mut self.new)
    }

    /// Whether anything is planned.
    pub(super) fn changed(&self) -> bool {
        self.all().any(Set::changed)
    }

    /// How many Pods all of them shall have.
    pub(super) fn replicas(&self) -> i32 {
        self.all().map(Set::replicas).sum()
    }

    /// How many available Pods all of them have.
    pub(super) fn available(&self) -> i32 {
        self.all().map(Set::available).sum()
    }

    /// The revision that a new ReplicaSet gets.
    pub(super) fn next_revision(&self) -> i64 {
        self.old
            .iter()
            .map(|set| annotations::revision(set))
            .max()
            .unwrap_or(0)
            + 1
    }

    /// Gives the new ReplicaSet the Deployment's annotations, its minReadySeconds, and the newest revision.
    pub(super) fn sync_revision(&mut self, deployment: &Deployment) {
        let next = self.next_revision();
        let Some(new) = &mut self.new else { return };
        annotations::sync_set(deployment, &mut new.planned, next);
        let seconds = deployment.spec.as_ref().map_or(0, |spec| spec.min_ready_seconds);
        new.planned.spec.get_or_insert_default().min_ready_seconds = seconds;
    }

    /// The revision that the Deployment stands at: that of its new ReplicaSet, or of the one that is `started` now.
    pub(super) fn revision<'a>(&'a self, started: Option<&'a ReplicaSet>) -> Option<&'a str> {
        let newest = self.new.as_ref().map(|set| &set.planned).or(started)?;
        newest.meta().annotations.get(REVISION).map(String::as_str)
    }
}

/// A template as the Deployment has it.
fn without_hash(mut template: PodTemplateSpec) -> PodTemplateSpec {
    template
        .metadata
        .get_or_insert_default()
        .labels
        .remove(POD_TEMPLATE_HASH);
    template
}
