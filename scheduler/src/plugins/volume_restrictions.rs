//! VolumeRestrictions: a volume that only one Pod may use, or only one node may write, has no second user.
//!
//! Filter. A claim with the access mode `ReadWriteOncePod` is for one Pod in the whole cluster. Disks that Pods name without a claim (GCE,
//! AWS, iSCSI, RBD) are mounted by two Pods of a node only where both just read, AWS's never.
//! <https://kubernetes.io/docs/concepts/storage/persistent-volumes/#access-modes>

use super::volume_binding::names_claim;
use crate::framework::{
    Change, Changed, ClusterEvent, EventSet, Filter, Plugin, PodPreFilter, PreFiltered, Rejection, Requeue,
};
use crate::pod::{PodInfo, PodTemplate};
use crate::snapshot::{Node, Snapshot, claims_of};
use proto::api::core::v1::{PersistentVolumeClaim, Volume, VolumeSource};

const IN_USE: &str =
    "node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access mode";

const NO_DISK: &str = "node(s) had no available disk";

/// See the module.
#[derive(Clone, Copy, Debug, Default)]
pub struct VolumeRestrictions;

/// What nodes are judged by.
#[derive(Debug)]
pub struct Restricted<'a> {
    /// A claim that is for one Pod has one.
    in_use: bool,
    disks: Vec<&'a VolumeSource>,
    snapshot: &'a Snapshot,
}

impl Plugin for VolumeRestrictions {
    fn name(&self) -> &'static str {
        "VolumeRestrictions"
    }
}

impl Requeue for VolumeRestrictions {
    fn requeue_on(&self) -> EventSet {
        EventSet::of(&[
            ClusterEvent::NodeAdded,
            ClusterEvent::AssignedPodDeleted,
            ClusterEvent::PersistentVolumeClaim,
        ])
    }

    /// A Pod leaves that uses one of the Pod's claims or disks; or one of the Pod's own claims.
    fn helps(&self, pod: &PodTemplate, change: &Change<'_>, _: &Snapshot) -> bool {
        match change.what {
            Changed::Left(left, _) => {
                let shares =
                    |(claim, _)| claims_of(&left.template, &left.key.name).any(|(of, _)| of == claim);
                claims_of(pod, "").any(shares) || disks(pod).any(|disk| conflicts(disk, &left.template))
            }
            Changed::Object(object) if object.is::<PersistentVolumeClaim>() => names_claim(pod, object),
            _ => true,
        }
    }
}

impl PodPreFilter for VolumeRestrictions {
    type State<'a> = Restricted<'a>;

    fn pre_filter<'a>(&'a self, pod: &'a PodInfo, snapshot: &'a Snapshot) -> PreFiltered<Restricted<'a>> {
        let mut in_use = false;
        for (key, is_own) in claims_of(&pod.template, &pod.key.name) {
            if is_own {
                continue;
            }
            let Some(claim) = snapshot.objects().claims.get(&key) else {
                return PreFiltered::Reject(Rejection::unresolvable(format!(
                    "persistentvolumeclaim {:?} not found",
                    key.1
                )));
            };
            let modes = claim.spec.iter().flat_map(|spec| &spec.access_modes);
            let is_for_one = { modes }.any(|mode| mode == "ReadWriteOncePod");
            in_use |= is_for_one && snapshot.volumes().users(&key) > 0;
        }
        let disks: Vec<_> = disks(&pod.template).collect();
        if in_use || !disks.is_empty() {
            PreFiltered::Filter(Restricted {
                in_use,
                disks,
                snapshot,
            })
        } else {
            PreFiltered::Skip
        }
    }
}

impl Filter for Restricted<'_> {
    fn filter(&self, node: &Node) -> Result<(), Rejection> {
        let is_taken = |disk: &&VolumeSource| {
            let mut pods = self.snapshot.pods_on(node.slot);
            pods.any(|pod| conflicts(disk, &pod.template))
        };
        if self.disks.iter().any(is_taken) {
            Err(Rejection::unschedulable(NO_DISK))
        } else if self.in_use {
            Err(Rejection::unschedulable(IN_USE))
        } else {
            Ok(())
        }
    }
}

/// Whether a volume is a disk that is named without a claim.
pub fn is_disk(volume: &Volume) -> bool {
    let source = volume.volume_source.as_ref();
    source.is_some_and(|source| {
        source.gce_persistent_disk.is_some()
            || source.aws_elastic_block_store.is_some()
            || source.iscsi.is_some()
            || source.rbd.is_some()
    })
}

/// The disks that a Pod names.
fn disks(pod: &PodTemplate) -> impl Iterator<Item = &VolumeSource> {
    let volumes = pod.spec.volumes.iter().filter(|volume| is_disk(volume));
    volumes.filter_map(|volume| volume.volume_source.as_ref())
}

/// Whether a Pod has a disk that cannot be mounted a second time.
fn conflicts(disk: &VolumeSource, pod: &PodTemplate) -> bool {
    disks(pod).any(|held| {
        let gce = disk
            .gce_persistent_disk
            .as_ref()
            .zip(held.gce_persistent_disk.as_ref());
        let gce = gce.is_some_and(|(a, b)| a.pd_name == b.pd_name && !(a.read_only && b.read_only));
        let aws = disk
            .aws_elastic_block_store
            .as_ref()
            .zip(held.aws_elastic_block_store.as_ref());
        let aws = aws.is_some_and(|(a, b)| a.volume_id == b.volume_id);
        let iscsi = disk.iscsi.as_ref().zip(held.iscsi.as_ref());
        let iscsi = iscsi.is_some_and(|(a, b)| a.iqn == b.iqn && !(a.read_only && b.read_only));
        let rbd = disk.rbd.as_ref().zip(held.rbd.as_ref());
        let rbd = rbd.is_some_and(|(a, b)| {
            let shared = a.monitors.iter().any(|monitor| b.monitors.contains(monitor));
            shared && a.pool == b.pool && a.image == b.image && !(a.read_only && b.read_only)
        });
        gce || aws || iscsi || rbd
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{claim, cluster, judge_pod, mounting, pod, put, tell};
    use proto::api::core::v1::{
        AwsElasticBlockStoreVolumeSource, GcePersistentDiskVolumeSource, IscsiVolumeSource, Pod,
        RbdVolumeSource,
    };

    #[test]
    fn a_claim_for_one_pod_has_one_in_the_whole_cluster() {
        for (mode, expected) in [
            ("ReadWriteOncePod", Err(Rejection::unschedulable(IN_USE))),
            ("ReadWriteOnce", Ok(())),
        ] {
            let mut snapshot = cluster(&[("a", ""), ("b", "")]);
            let mut claim = claim("data", "disk");
            claim.spec.get_or_insert_default().access_modes = vec![mode.into()];
            tell(&mut snapshot, &claim);
            let asking = mounting("pod", &["data"]);
            assert!(judge_pod(&VolumeRestrictions, &asking, &mut snapshot)["a"].is_ok());
            put(&mut snapshot, &mounting("user", &["data"]), "a");
            let judged = judge_pod(&VolumeRestrictions, &asking, &mut snapshot);
            assert_eq!((&judged["a"], &judged["b"]), (&expected, &expected), "{mode}");
            snapshot.remove_pod(&client::ObjectKey::new::<Pod>("default", "user"));
            assert!(judge_pod(&VolumeRestrictions, &asking, &mut snapshot)["a"].is_ok());
        }
    }

    #[test]
    fn a_claim_that_is_not_there_refuses_all_nodes() {
        let mut snapshot = cluster(&[("a", "")]);
        let judged = judge_pod(&VolumeRestrictions, &mounting("pod", &["data"]), &mut snapshot);
        let expected = Rejection::unresolvable("persistentvolumeclaim \"data\" not found");
        assert_eq!(judged["a"], Err(expected));
    }

    fn with(name: &str, source: VolumeSource) -> Pod {
        let mut pod = pod(name, &[]);
        pod.spec.get_or_insert_default().volumes.push(Volume {
            name: "disk".into(),
            volume_source: Some(source),
        });
        pod
    }

    fn gce(name: &str, read_only: bool) -> VolumeSource {
        VolumeSource {
            gce_persistent_disk: Some(GcePersistentDiskVolumeSource {
                pd_name: name.into(),
                read_only,
                ..GcePersistentDiskVolumeSource::default()
            }),
            ..VolumeSource::default()
        }
    }

    fn aws(id: &str, read_only: bool) -> VolumeSource {
        VolumeSource {
            aws_elastic_block_store: Some(AwsElasticBlockStoreVolumeSource {
                volume_id: id.into(),
                read_only,
                ..AwsElasticBlockStoreVolumeSource::default()
            }),
            ..VolumeSource::default()
        }
    }

    fn iscsi(iqn: &str, read_only: bool) -> VolumeSource {
        VolumeSource {
            iscsi: Some(IscsiVolumeSource {
                iqn: iqn.into(),
                read_only,
                ..IscsiVolumeSource::default()
            }),
            ..VolumeSource::default()
        }
    }

    fn rbd(monitors: &[&str], image: &str, read_only: bool) -> VolumeSource {
        VolumeSource {
            rbd: Some(RbdVolumeSource {
                monitors: monitors.iter().map(ToString::to_string).collect(),
                image: image.into(),
                read_only,
                ..RbdVolumeSource::default()
            }),
            ..VolumeSource::default()
        }
    }

    #[test]
    fn a_disk_is_mounted_twice_on_a_node_only_where_both_read() {
        for (what, held, asked, fits) in [
            ("one that writes", gce("a", false), gce("a", true), false),
            ("two that read", gce("a", true), gce("a", true), true),
            ("another disk", gce("a", false), gce("b", false), true),
            ("aws, though both read", aws("a", true), aws("a", true), false),
            ("another aws disk", aws("a", false), aws("b", false), true),
            (
                "iscsi, one that writes",
                iscsi("a", true),
                iscsi("a", false),
                false,
            ),
            ("iscsi, two that read", iscsi("a", true), iscsi("a", true), true),
            (
                "rbd with a common monitor",
                rbd(&["m1", "m2"], "a", false),
                rbd(&["m2"], "a", false),
                false,
            ),
            (
                "rbd of other clusters",
                rbd(&["m1"], "a", false),
                rbd(&["m2"], "a", false),
                true,
            ),
            ("another kind", gce("a", false), aws("a", false), true),
        ] {
            let mut snapshot = cluster(&[("here", ""), ("there", "")]);
            put(&mut snapshot, &with("held", held), "here");
            let judged = judge_pod(&VolumeRestrictions, &with("pod", asked), &mut snapshot);
            assert_eq!(judged["there"], Ok(()), "{what}");
            let expected = if fits {
                Ok(())
            } else {
                Err(Rejection::unschedulable(NO_DISK))
            };
            assert_eq!(judged["here"], expected, "{what}");
        }
    }
}
