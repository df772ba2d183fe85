//! A controller small enough to see through: keeps `spec.replicas` Pods for every ReplicaSet.

use apimachinery::owner::controller_of;
use client::controller::WRITTEN_NAME;
use client::{Action, Cache, CacheEvent, Controller, EventKind, ObjectKey, Plan, Watch};
use jiff::Timestamp;
use proto::Kind;
use proto::api::apps::v1::{ReplicaSet, ReplicaSetSpec};
use proto::api::core::v1::Pod;
use proto::meta::v1::OwnerReference;

/// Keeps `spec.replicas` Pods.
#[derive(Default)]
pub(crate) struct Toy {
    /// Evicts where it would delete.
    pub(crate) evicts: bool,
    /// Makes one Pod more each time.
    pub(crate) greedy: bool,
}

impl Controller for Toy {
    fn name(&self) -> &'static str {
        "toy"
    }

    fn watches(&self) -> Vec<Watch> {
        vec![Watch::of::<ReplicaSet>(), Watch::of::<Pod>()]
    }

    fn keys(&self, _: &Cache, event: &CacheEvent) -> Vec<ObjectKey> {
        if event.key.is::<ReplicaSet>() {
            return vec![event.key.clone()];
        }
        let owners = event.metas().filter_map(controller_of);
        owners
            .map(|owner| ObjectKey::new::<ReplicaSet>(&event.key.namespace, &owner.name))
            .collect()
    }

    fn reconcile(&self, cache: &Cache, key: &ObjectKey, _: Timestamp) -> Plan {
        let mut plan = Plan::none();
        let Some(set) = cache.get_key::<ReplicaSet>(key) else {
            return plan;
        };
        let pods: Vec<_> = cache.controlled::<Pod>(set.uid()).collect();
        let want = set.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1) as usize;
        for _ in pods.len()..want + usize::from(self.greedy) {
            plan.push(Action::create(&pod_of(set)));
            plan.push(Action::event(
                &**set,
                EventKind::Normal,
                "Created",
                format!("Created pod: {WRITTEN_NAME}"),
            ));
        }
        for pod in pods.iter().skip(want) {
            plan.push(if self.evicts {
                Action::evict(pod)
            } else {
                Action::delete(&***pod)
            });
        }
        plan
    }
}

fn pod_of(set: &ReplicaSet) -> Pod {
    let mut pod = Pod::default();
    let meta = pod.metadata_mut();
    meta.namespace = set.namespace().into();
    meta.generate_name = format!("{}-", set.name());
    meta.owner_references.push(OwnerReference {
        name: set.name().into(),
        uid: set.uid().into(),
        controller: Some(true),
        ..OwnerReference::default()
    });
    pod
}

/// A ReplicaSet `web`.
pub(crate) fn set(replicas: i32) -> ReplicaSet {
    let mut set = ReplicaSet::default();
    set.metadata_mut().name = "web".into();
    set.spec = Some(ReplicaSetSpec {
        replicas: Some(replicas),
        ..ReplicaSetSpec::default()
    });
    set
}
