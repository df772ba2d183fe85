//! NodeVolumeLimits: a node holds no more volumes of a driver than its CSINode says.
//!
//! Filter. A volume counts once, however many Pods of the node use it. A claim without a volume counts as one of its class's driver.
//! Volumes of drivers that are built into Kubernetes are not counted: none of them has a limit here.
//! <https://kubernetes.io/docs/concepts/storage/storage-limits/>

use super::volume_binding::names_claim;
use crate::framework::{
    Change, Changed, ClusterEvent, EventSet, Filter, Plugin, PodPreFilter, PreFiltered, Rejection, Requeue,
};
use crate::pod::{PodInfo, PodTemplate};
use crate::snapshot::{Handle, Node, Slot, Snapshot, UNLIMITED, Volumes, claims_of, handle};
use proto::api::core::v1::PersistentVolumeClaim;

const REASON: &str = "node(s) exceed max volume count";

/// See the module.
#[derive(Clone, Copy, Debug, Default)]
pub struct NodeVolumeLimits;

/// The Pod's volumes of each driver that has a limit somewhere, with the room of every slot's node.
#[derive(Debug)]
pub struct Wanted<'a> {
    of_drivers: Vec<(Vec<Handle>, &'a [i64])>,
    volumes: &'a Volumes,
}

impl Plugin for NodeVolumeLimits {
    fn name(&self) -> &'static str {
        "NodeVolumeLimits"
    }
}

impl Requeue for NodeVolumeLimits {
    fn requeue_on(&self) -> EventSet {
        EventSet::of(&[
            ClusterEvent::NodeAdded,
            ClusterEvent::CsiStorage,
            ClusterEvent::AssignedPodDeleted,
            ClusterEvent::PersistentVolumeClaim,
        ])
    }

    /// A Pod with claims that leaves, or one of the Pod's own claims.
    fn helps(&self, pod: &PodTemplate, change: &Change<'_>, _: &Snapshot) -> bool {
        match change.what {
            Changed::Left(left, _) => claims_of(&left.template, &left.key.name).next().is_some(),
            Changed::Object(object) if object.is::<PersistentVolumeClaim>() => names_claim(pod, object),
            _ => true,
        }
    }
}

impl PodPreFilter for NodeVolumeLimits {
    type State<'a> = Wanted<'a>;

    fn pre_filter<'a>(&'a self, pod: &'a PodInfo, snapshot: &'a Snapshot) -> PreFiltered<Wanted<'a>> {
        let volumes = snapshot.volumes();
        let claims = claims_of(&pod.template, &pod.key.name);
        let handles = claims.filter_map(|(claim, _)| handle(snapshot.objects(), &claim));
        let mut handles: Vec<Handle> = handles.collect();
        handles.sort_unstable();
        handles.dedup();
        let of_drivers = handles.chunk_by(|a, b| a.0 == b.0);
        let of_drivers: Vec<_> = of_drivers
            .filter_map(|of_driver| Some((of_driver.to_vec(), volumes.room(&of_driver[0].0)?)))
            .collect();
        if of_drivers.is_empty() {
            PreFiltered::Skip
        } else {
            PreFiltered::Filter(Wanted { of_drivers, volumes })
        }
    }
}

impl Wanted<'_> {
    fn fits(&self, slot: Slot) -> bool {
        self.of_drivers.iter().all(|(handles, room)| {
            let room = room.get(slot as usize).copied().unwrap_or(UNLIMITED);
            let fits = |count: usize| i64::try_from(count).is_ok_and(|count| count <= room);
            if fits(handles.len()) {
                return true;
            }
            let there = |handle: &&Handle| self.volumes.is_attached(slot, handle);
            let new = handles.len() - handles.iter().filter(there).count();
            new == 0 || fits(new)
        })
    }
}

impl Filter for Wanted<'_> {
    fn filter(&self, node: &Node) -> Result<(), Rejection> {
        if self.fits(node.slot) {
            Ok(())
        } else {
            Err(Rejection::unschedulable(REASON))
        }
    }

    fn narrow(&self, slots: &mut Vec<Slot>, _: &Snapshot) {
        slots.retain(|slot| self.fits(*slot));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{claim, class_named, cluster, csi_node, csi_volume, judge_pod, mounting, put, tell};

    const DRIVER: &str = "disk.example.com";

    /// What is on the node, what the Pod asks for, and whether it fits; the node holds two.
    type Case<'a> = (&'a str, &'a [&'a [&'a str]], &'a [&'a str], bool);

    #[test]
    fn a_node_holds_as_many_volumes_as_its_driver_says() {
        let cases: [Case<'_>; 7] = [
            ("the last that fits", &[&["one"]], &["two"], true),
            ("one too many", &[&["one"], &["two"]], &["three"], false),
            ("one that is there already", &[&["one"], &["two"]], &["two"], true),
            (
                "one volume of two pods counts once",
                &[&["one"], &["one"]],
                &["two"],
                true,
            ),
            (
                "two at once, for one place",
                &[&["one"]],
                &["two", "three"],
                false,
            ),
            (
                "a claim without a volume counts",
                &[&["one"], &["unbound"]],
                &["two"],
                false,
            ),
            ("another driver's", &[&["one"], &["two"]], &["other"], true),
        ];
        for (what, held, asked, fits) in cases {
            let mut snapshot = cluster(&[("node", ""), ("no-limit", "")]);
            tell(&mut snapshot, &csi_node("node", DRIVER, 2));
            tell(
                &mut snapshot,
                &class_named("made", DRIVER, "WaitForFirstConsumer"),
            );
            for name in ["one", "two", "three"] {
                tell(&mut snapshot, &csi_volume(name, DRIVER));
                tell(&mut snapshot, &claim(name, name));
            }
            tell(&mut snapshot, &csi_volume("other", "other.example.com"));
            tell(&mut snapshot, &claim("other", "other"));
            let mut unbound = claim("unbound", "");
            unbound.spec.get_or_insert_default().storage_class_name = Some("made".into());
            tell(&mut snapshot, &unbound);
            for (number, claims) in held.iter().enumerate() {
                put(
                    &mut snapshot,
                    &mounting(&format!("held-{number}"), claims),
                    "node",
                );
            }
            let judged = judge_pod(&NodeVolumeLimits, &mounting("pod", asked), &mut snapshot);
            assert_eq!(judged["no-limit"], Ok(()), "{what}");
            let expected = if fits {
                Ok(())
            } else {
                Err(Rejection::unschedulable(REASON))
            };
            assert_eq!(judged["node"], expected, "{what}");
        }
    }

    #[test]
    fn what_a_claim_is_counts_from_when_it_is_known_and_as_long_as_it_is_there() {
        for volume_first in [true, false] {
            let mut snapshot = cluster(&[("node", "")]);
            tell(&mut snapshot, &csi_node("node", DRIVER, 1));
            put(&mut snapshot, &mounting("held", &["one"]), "node");
            tell(&mut snapshot, &csi_volume("two", DRIVER));
            tell(&mut snapshot, &claim("two", "two"));
            let pod = mounting("pod", &["two"]);
            let fits = |snapshot: &mut Snapshot| judge_pod(&NodeVolumeLimits, &pod, snapshot)["node"].is_ok();
            assert!(fits(&mut snapshot));
            // The volume says nothing of a claim: only the claim names it.
            if volume_first {
                tell(&mut snapshot, &csi_volume("one", DRIVER));
                tell(&mut snapshot, &claim("one", "one"));
            } else {
                tell(&mut snapshot, &claim("one", "one"));
                tell(&mut snapshot, &csi_volume("one", DRIVER));
            }
            assert!(!fits(&mut snapshot), "volume first: {volume_first}");
            let volume = client::ObjectKey::of(&csi_volume("one", DRIVER));
            snapshot.set_object(&volume, None).unwrap();
            assert!(fits(&mut snapshot));
        }
    }
}
