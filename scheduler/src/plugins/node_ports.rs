//! NodePorts: two Pods on one node cannot have the same host port.
//!
//! Filter. A Pod whose container has `hostPort: 80` is refused where another Pod has TCP port 80 of the same address, or of
//! all addresses. <https://kubernetes.io/docs/reference/scheduling/config/#scheduling-plugins>

use crate::framework::{
    Change, Changed, ClusterEvent, EventSet, Filter, Plugin, PreFilter, PreFiltered, Rejection, Requeue,
};
use crate::pod::{PodClass, PodTemplate};
use crate::snapshot::{HostPort, Node, Snapshot};

const REASON: &str = "node(s) didn't have free ports for the requested pod ports";

/// See the module.
#[derive(Debug)]
pub struct NodePorts;

/// The ports that the Pod wants.
#[derive(Debug)]
pub struct Wanted<'a>(&'a [HostPort]);

impl Plugin for NodePorts {
    fn name(&self) -> &'static str {
        "NodePorts"
    }
}

impl Requeue for NodePorts {
    fn requeue_on(&self) -> EventSet {
        EventSet::of(&[ClusterEvent::NodeAdded, ClusterEvent::AssignedPodDeleted])
    }

    /// A Pod that leaves, and had one of the ports.
    fn helps(&self, pod: &PodTemplate, change: &Change<'_>, _: &Snapshot) -> bool {
        let Changed::Left(left, _) = change.what else {
            return true;
        };
        let had = &left.template.class.ports;
        let mut wanted = pod.class.ports.iter();
        wanted.any(|port| had.iter().any(|other| port.conflicts(other)))
    }
}

impl PreFilter for NodePorts {
    type State<'a> = Wanted<'a>;

    fn pre_filter<'a>(&'a self, pod: &'a PodClass, _: &'a Snapshot) -> PreFiltered<Wanted<'a>> {
        if pod.ports.is_empty() {
            PreFiltered::Skip
        } else {
            PreFiltered::Filter(Wanted(&pod.ports))
        }
    }
}

impl Filter for Wanted<'_> {
    fn filter(&self, node: &Node) -> Result<(), Rejection> {
        if node.ports.are_free(self.0) {
            Ok(())
        } else {
            Err(Rejection::unschedulable(REASON))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{judge, node_with};

    #[test]
    fn a_port_is_free_unless_protocol_and_an_address_are_shared() {
        let port = |port, protocol: &str, ip: &str| HostPort {
            port,
            protocol: protocol.into(),
            ip: ip.into(),
        };
        let pod = |ports: &[HostPort]| PodClass {
            ports: ports.to_vec(),
            ..PodClass::default()
        };
        let taken = Err(Rejection::unschedulable(REASON));
        for (used, wanted, expected) in [
            (vec![], vec![port(80, "TCP", "")], Ok(())),
            (vec![port(80, "TCP", "")], vec![], Ok(())),
            (
                vec![port(80, "TCP", "")],
                vec![port(80, "TCP", "")],
                taken.clone(),
            ),
            (vec![port(80, "TCP", "")], vec![port(80, "UDP", "")], Ok(())),
            (
                vec![port(80, "TCP", "")],
                vec![port(81, "TCP", ""), port(80, "TCP", "")],
                taken.clone(),
            ),
            (
                vec![port(80, "TCP", "10.0.0.1")],
                vec![port(80, "TCP", "10.0.0.2")],
                Ok(()),
            ),
            (
                vec![port(80, "TCP", "10.0.0.1")],
                vec![port(80, "TCP", "")],
                taken.clone(),
            ),
            (
                vec![port(80, "TCP", "")],
                vec![port(80, "TCP", "10.0.0.1")],
                taken,
            ),
        ] {
            let node = node_with(&[pod(&used)]);
            assert_eq!(
                judge(&NodePorts, &pod(&wanted), &node),
                expected,
                "{used:?} {wanted:?}"
            );
        }
    }
}
