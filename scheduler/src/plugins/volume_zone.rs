//! VolumeZone: a Pod goes to the zone and region that the labels of its volumes name.
//!
//! Filter. For volumes that say by labels where they are, as cloud providers' did before volumes had node affinity. A node without any such
//! label takes all.
//! <https://kubernetes.io/docs/reference/labels-annotations-taints/#topologykubernetesiozone>

use super::volume_binding::names_claim;
use crate::framework::{
    Change, Changed, ClusterEvent, EventSet, Filter, Plugin, PodPreFilter, PreFiltered, Rejection, Requeue,
};
use crate::pod::{PodInfo, PodTemplate};
use crate::snapshot::{Node, Snapshot, claims_of};
use apimachinery::volumes::volume_of;
use apimachinery::well_known::{REGION, ZONE};
use proto::Kind;
use proto::api::core::v1::PersistentVolumeClaim;

const REASON: &str = "node(s) had no available volume zone";

/// The labels, and those that have their meaning today.
const LABELS: [(&str, &str); 4] = [
    (ZONE, ZONE),
    (REGION, REGION),
    ("failure-domain.beta.kubernetes.io/zone", ZONE),
    ("failure-domain.beta.kubernetes.io/region", REGION),
];

/// Stands between the zones of a volume that is in several.
const SEPARATOR: &str = "__";

/// See the module.
#[derive(Clone, Copy, Debug, Default)]
pub struct VolumeZone;

/// The places of the Pod's volumes: a label, the one that it is today, and values.
#[derive(Debug)]
pub struct Places<'a>(Vec<(&'static str, &'static str, &'a str)>);

impl Plugin for VolumeZone {
    fn name(&self) -> &'static str {
        "VolumeZone"
    }
}

impl Requeue for VolumeZone {
    fn requeue_on(&self) -> EventSet {
        EventSet::of(&[
            ClusterEvent::NodeAdded,
            ClusterEvent::NodeLabels,
            ClusterEvent::PersistentVolumeClaim,
            ClusterEvent::PersistentVolume,
            ClusterEvent::StorageClass,
        ])
    }

    /// One of the Pod's own claims, or a volume that one of them has.
    fn helps(&self, pod: &PodTemplate, change: &Change<'_>, snapshot: &Snapshot) -> bool {
        match change.what {
            Changed::Object(object) if object.is::<PersistentVolumeClaim>() => names_claim(pod, object),
            Changed::Object(object) if change.events.intersects(ClusterEvent::PersistentVolume.into()) => {
                claims_of(pod, "").any(|(claim, is_own)| {
                    let claim = snapshot.objects().claims.get(&claim);
                    is_own || claim.is_some_and(|claim| *object.name == *volume_of(claim))
                })
            }
            _ => true,
        }
    }
}

impl PodPreFilter for VolumeZone {
    type State<'a> = Places<'a>;

    fn pre_filter<'a>(&'a self, pod: &'a PodInfo, snapshot: &'a Snapshot) -> PreFiltered<Places<'a>> {
        let objects = snapshot.objects();
        let mut places = Vec::new();
        for (key, is_own) in claims_of(&pod.template, &pod.key.name) {
            // What is wrong with a claim itself, VolumeBinding says; a claim of the Pod's own is made where it can be reached.
            let claim = objects.claims.get(&key).filter(|_| !is_own);
            let name = claim.map_or("", |claim| volume_of(claim));
            if name.is_empty() {
                continue;
            }
            let Some(volume) = objects.global(&objects.volumes, name) else {
                return PreFiltered::Reject(Rejection::unresolvable(format!(
                    "persistentvolume {name:?} not found"
                )));
            };
            let labels = &volume.meta().labels;
            let named = LABELS.iter().filter_map(|(label, today)| {
                let values = labels.get(*label)?;
                Some((*label, *today, values.as_str()))
            });
            places.extend(named);
        }
        if places.is_empty() {
            PreFiltered::Skip
        } else {
            PreFiltered::Filter(Places(places))
        }
    }
}

impl Filter for Places<'_> {
    fn filter(&self, node: &Node) -> Result<(), Rejection> {
        if !LABELS.iter().any(|(label, _)| node.labels.contains_key(*label)) {
            return Ok(());
        }
        let is_there = |(label, today, values): &(&str, &str, &str)| {
            let here = node.labels.get(*label).or_else(|| node.labels.get(*today));
            here.is_some_and(|here| values.split(SEPARATOR).any(|value| value.trim() == here))
        };
        if self.0.iter().all(is_there) {
            Ok(())
        } else {
            Err(Rejection::unresolvable(REASON))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{claim, cluster, judge_pod, mounting, tell, volume};

    #[test]
    fn nodes_are_taken_whose_labels_are_those_of_the_volume() {
        let beta = "failure-domain.beta.kubernetes.io/zone";
        let cases: [(&str, String, &[&str]); 6] = [
            (
                "a volume that says nothing goes anywhere",
                String::new(),
                &["a", "b", "nowhere"],
            ),
            ("a zone", format!("{ZONE}=a"), &["a", "nowhere"]),
            (
                "one of several zones",
                format!("{ZONE}=b__a"),
                &["a", "b", "nowhere"],
            ),
            (
                "an old label on the volume, the new one on the node",
                format!("{beta}=b"),
                &["b", "nowhere"],
            ),
            (
                "a region that the nodes do not name",
                format!("{REGION}=north"),
                &["nowhere"],
            ),
            (
                "zone and region must both hold",
                format!("{ZONE}=a,{REGION}=north"),
                &["nowhere"],
            ),
        ];
        for (what, labels, expected) in cases {
            let mut snapshot = cluster(&[
                ("a", &format!("{ZONE}=a")),
                ("b", &format!("{ZONE}=b")),
                ("nowhere", ""),
            ]);
            tell(&mut snapshot, &volume("disk", &labels));
            tell(&mut snapshot, &claim("data", "disk"));
            let judged = judge_pod(&VolumeZone, &mounting("pod", &["data"]), &mut snapshot);
            let taken = judged.iter().filter(|(_, verdict)| verdict.is_ok());
            let taken: Vec<&str> = taken.map(|(name, _)| name.as_str()).collect();
            assert_eq!(taken, expected, "{what}");
            for rejection in judged.values().filter_map(|verdict| verdict.as_ref().err()) {
                assert_eq!(*rejection, Rejection::unresolvable(REASON), "{what}");
            }
        }
    }

    #[test]
    fn a_claim_whose_volume_is_not_there_refuses_all_nodes() {
        let mut snapshot = cluster(&[("a", "")]);
        tell(&mut snapshot, &claim("data", "disk"));
        let judged = judge_pod(&VolumeZone, &mounting("pod", &["data"]), &mut snapshot);
        let expected = Rejection::unresolvable("persistentvolume \"disk\" not found");
        assert_eq!(judged["a"], Err(expected));
    }
}
