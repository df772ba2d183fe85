//! Ephemeral volume controller: the claims that Pods bring along are made.
//!
//! Watches: Pod; the metadata of PersistentVolumeClaims. Writes: PersistentVolumeClaim (create), owned by its Pod, so that it goes with it.
//! A claim of that name that the Pod does not own is left alone, and the Pod waits.
//! <https://kubernetes.io/docs/concepts/storage/ephemeral-volumes/#generic-ephemeral-volumes>

use crate::pods;
use apimachinery::owner::controller_ref;
use apimachinery::volumes::claim_name;
use client::cache::{Cache, CacheEvent, Watch};
use client::controller::{Action, Controller, Plan};
use client::key::ObjectKey;
use jiff::Timestamp;
use proto::Kind;
use proto::api::core::v1::{PersistentVolumeClaim, Pod};

/// The controller. It keeps nothing.
pub(crate) struct EphemeralVolumeController;

impl Controller for EphemeralVolumeController {
    fn name(&self) -> &'static str {
        "ephemeral-volume"
    }

    fn watches(&self) -> Vec<Watch> {
        vec![Watch::of::<Pod>(), Watch::metadata(PersistentVolumeClaim::NUMBER)]
    }

    fn keys(&self, _cache: &Cache, event: &CacheEvent) -> Vec<ObjectKey> {
        let brings = |pod: &Pod| {
            let volumes = pod.spec.iter().flat_map(|spec| &spec.volumes);
            { volumes }.any(|volume| claim_name("", volume).is_some_and(|(_, is_own)| is_own))
        };
        if event.key.is::<Pod>() {
            let has = event.after::<Pod>().is_some_and(brings);
            return has.then(|| event.key.clone()).into_iter().collect();
        }
        if !event.key.is::<PersistentVolumeClaim>() || event.meta_after().is_some() {
            return Vec::new();
        }
        let owners = event.metas().flat_map(|meta| &meta.owner_references);
        let pods = owners.filter(|owner| owner.kind == Pod::NAME);
        pods.map(|owner| ObjectKey::new::<Pod>(&event.key.namespace, &owner.name))
            .collect()
    }

    fn reconcile(&self, cache: &Cache, key: &ObjectKey, _now: Timestamp) -> Plan {
        let mut plan = Plan::none();
        let Some(pod) = cache.get_key::<Pod>(key) else {
            return plan;
        };
        if pods::is_terminating(pod) || pods::is_finished(pod) {
            return plan;
        }
        for volume in pod.spec.iter().flat_map(|spec| &spec.volumes) {
            let Some((name, true)) = claim_name(pod.name(), volume) else {
                continue;
            };
            let key = ObjectKey::new::<PersistentVolumeClaim>(pod.namespace(), &name);
            if cache.metadata(&key).is_none() {
                let source = volume.volume_source.as_ref();
                let template = source
                    .and_then(|source| source.ephemeral.as_ref()?.volume_claim_template.clone())
                    .unwrap_or_default();
                let of_template = template.metadata.unwrap_or_default();
                let mut claim = PersistentVolumeClaim {
                    spec: template.spec,
                    ..PersistentVolumeClaim::default()
                };
                let meta = claim.metadata_mut();
                meta.name = name;
                meta.namespace = pod.namespace().into();
                meta.labels = of_template.labels;
                meta.annotations = of_template.annotations;
                meta.owner_references = vec![controller_ref(&**pod)];
                plan.push(Action::create(&claim));
            }
        }
        plan
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{NAMESPACE, pod};
    use apimachinery::owner::is_controlled_by;
    use client::testing::World;
    use proto::api::core::v1::{EphemeralVolumeSource, PersistentVolumeClaimTemplate, Volume, VolumeSource};

    fn bringing(name: &str) -> Pod {
        let mut pod = pod(name, "web");
        let mut template = PersistentVolumeClaimTemplate::default();
        let spec = template.spec.get_or_insert_default();
        spec.storage_class_name = Some("fast".into());
        let labels = &mut template.metadata.get_or_insert_default().labels;
        labels.insert("app".into(), "scratch".into());
        pod.spec.get_or_insert_default().volumes.push(Volume {
            name: "scratch".into(),
            volume_source: Some(VolumeSource {
                ephemeral: Some(EphemeralVolumeSource {
                    volume_claim_template: Some(template),
                }),
                ..VolumeSource::default()
            }),
        });
        pod
    }

    #[test]
    fn a_claim_is_made_from_the_template_and_made_again() {
        let controllers: [&dyn Controller; 1] = [&EphemeralVolumeController];
        let mut world = World::of(&controllers);
        let pod = world.add(&bringing("web-1"));
        world.settle(&controllers);
        let claim: PersistentVolumeClaim = world.get(NAMESPACE, "web-1-scratch").unwrap();
        assert!(is_controlled_by(claim.meta(), pod.uid()));
        assert_eq!(claim.meta().labels["app"], "scratch");
        assert_eq!(
            claim.spec.as_ref().unwrap().storage_class_name.as_deref(),
            Some("fast")
        );
        world.remove(&claim);
        world.settle(&controllers);
        assert_eq!(world.list::<PersistentVolumeClaim>().len(), 1);
    }

    #[test]
    fn nothing_is_made_for_a_pod_that_brings_nothing_or_goes() {
        let controllers: [&dyn Controller; 1] = [&EphemeralVolumeController];
        let mut world = World::of(&controllers);
        world.add(&pod("plain", "web"));
        let mut going = bringing("going");
        going.metadata_mut().finalizers.push("test/hold".into());
        let going = world.add(&going);
        world.delete(&going);
        world.settle(&controllers);
        assert!(world.list::<PersistentVolumeClaim>().is_empty());
    }
}
