//! What the process holds in memory of a node.
//!
//! Input: the groups, and the Nodes that the API has already. Output: [`NodeState`]s with addresses and chance of their
//! own. Invariant: a node keeps the address, block and seed that its Node object names, across restarts.

use super::address::{self, PodAddresses, TooSmall};
use super::group::NodeGroup;
use super::object;
use crate::pod::{Images, Program};
use apimachinery::quantity::Quantity;
use apimachinery::resources::Amounts;
use apimachinery::selector::node_matches;
use component_base::rng::Seed;
use ipnet::Ipv4Net;
use jiff::Timestamp;
use proto::Kind;
use proto::api::core::v1 as core;
use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;

/// The resource that counts pods.
const PODS: &str = "pods";

/// How far a node has come with the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// Its Node has not been seen, nor made.
    Unknown,
    /// Its Node is there.
    Registered,
    /// Its Node was there and somebody deleted it: as a real kubelet, it does not come back before the next start.
    Deleted,
    /// Taken out by `RemoveNode`.
    Removed,
}

/// A node.
#[derive(Clone, Debug)]
pub struct NodeState {
    /// Its name.
    pub name: Arc<str>,
    /// What it is like.
    pub group: Arc<NodeGroup>,
    /// Where the chance of its pods comes from.
    pub seed: Seed,
    /// Its own address.
    pub address: Ipv4Addr,
    /// Its pods' addresses.
    pub addresses: PodAddresses,
    /// Its labels, as the API has them.
    pub labels: BTreeMap<String, String>,
    /// The UID of its Node.
    pub uid: String,
    /// How far it has come with the API.
    pub presence: Presence,
    /// Whether a fault has cut it off.
    pub stopped: bool,
    /// Whether its Lease is there.
    pub lease_known: bool,
    /// Since when it is ready.
    pub ready_since: Timestamp,
    /// When its status is due although nothing has changed.
    pub report_at: Timestamp,
    /// What it has pulled.
    pub images: Images,
    /// What its running pods take.
    pub used: Amounts,
    /// How many pods it runs.
    pub pods: u32,
}

/// Why a node refuses a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// `status.reason`: `OutOfcpu`, `NodeAffinity`, ….
    pub reason: String,
    /// What to say.
    pub message: String,
}

/// The blocks of addresses that a process has.
#[derive(Clone, Copy, Debug)]
pub struct Blocks {
    /// The nodes' own addresses.
    pub nodes: Ipv4Net,
    /// Their pods'.
    pub pods: Ipv4Net,
}

/// The nodes of all groups, in order, as they are before the API has been asked.
///
/// # Errors
/// The blocks are too small.
pub fn build(
    groups: &[NodeGroup],
    blocks: Blocks,
    seed: Seed,
    now: Timestamp,
) -> Result<Vec<NodeState>, TooSmall> {
    let count: usize = groups.iter().map(|group| group.count as usize).sum();
    let most_pods = groups
        .iter()
        .filter_map(|group| group.capacity.get(PODS))
        .map(Quantity::value)
        .max();
    let most_pods = u32::try_from(most_pods.unwrap_or(0)).unwrap_or(0);
    let mut pod_blocks = address::pod_blocks(blocks.pods, count, most_pods)?;
    let mut addresses = address::node_addresses(blocks.nodes, count)?;
    let mut nodes = Vec::with_capacity(count);
    for group in groups {
        let shared = Arc::new(group.clone());
        for index in 0..group.count {
            let name = format!("{}-{index}", group.name);
            let (Some(block), Some(address)) = (pod_blocks.next(), addresses.next()) else {
                break;
            };
            let mut node = NodeState {
                seed: seed.child(&name),
                name: name.into(),
                group: shared.clone(),
                address,
                addresses: PodAddresses::new(block),
                labels: BTreeMap::new(),
                uid: String::new(),
                presence: Presence::Unknown,
                stopped: false,
                lease_known: false,
                ready_since: now,
                report_at: now,
                images: Images::new(),
                used: Amounts::new(),
                pods: 0,
            };
            node.labels = object::labels(&node);
            nodes.push(node);
        }
    }
    Ok(nodes)
}

impl NodeState {
    /// Takes over what the API has of this node.
    pub fn observe(&mut self, node: &core::Node) {
        let meta = node.meta();
        if self.presence == Presence::Unknown {
            self.adopt(node);
        }
        if self.presence != Presence::Removed {
            self.presence = Presence::Registered;
        }
        self.uid.clone_from(&meta.uid);
        self.labels.clone_from(&meta.labels);
    }

    /// A Node that was there before: its address, block, seed and images stay.
    fn adopt(&mut self, node: &core::Node) {
        let block = node.spec.as_ref().and_then(|spec| spec.pod_cidr.parse().ok());
        if let Some(block) = block.filter(|block| *block != self.addresses.block()) {
            self.addresses = PodAddresses::new(block);
        }
        if let Some(seed) = node
            .meta()
            .annotations
            .get(object::SEED)
            .and_then(|text| text.parse().ok())
        {
            self.seed = Seed(seed);
        }
        let Some(status) = &node.status else { return };
        let internal = status
            .addresses
            .iter()
            .find(|address| address.r#type == "InternalIP");
        if let Some(address) = internal.and_then(|address| address.address.parse().ok()) {
            self.address = address;
        }
        let images = status.images.iter().flat_map(|image| &image.names);
        self.images.extend(images.map(|name| Arc::from(name.as_str())));
        if let Some(since) = object::ready(node) {
            self.ready_since = since;
        }
    }

    /// Whether its kubelet does anything.
    pub fn is_alive(&self) -> bool {
        !self.stopped && self.presence != Presence::Removed
    }

    /// Whether the node takes a pod, as the kubelet checks it once more after the scheduler.
    ///
    /// # Errors
    /// The reason and message that the pod fails with.
    pub fn admit(&self, program: &Program) -> Result<(), Refusal> {
        let selected = program
            .node_selector
            .iter()
            .all(|(key, value)| self.labels.get(key) == Some(value));
        let affine = program
            .node_affinity
            .as_ref()
            .is_none_or(|selector| node_matches(selector, &self.name, &self.labels));
        if !selected || !affine {
            return Err(Refusal {
                reason: "NodeAffinity".to_owned(),
                message: "Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector"
                    .to_owned(),
            });
        }
        let capacity = |name: &str| self.group.capacity.get(name).cloned().unwrap_or_default();
        let out_of = |name: &str, requested: String, used: String, capacity: String| Refusal {
            reason: format!("OutOf{name}"),
            message: format!(
                "Node didn't have enough resource: {name}, requested: {requested}, used: {used}, capacity: {capacity}"
            ),
        };
        let room = capacity(PODS).value();
        if i64::from(self.pods) + 1 > room {
            return Err(out_of(
                PODS,
                "1".to_owned(),
                self.pods.to_string(),
                room.to_string(),
            ));
        }
        for (name, requested) in program
            .requests
            .iter()
            .filter(|(_, requested)| !requested.is_zero())
        {
            let used = self.used.get(name).cloned().unwrap_or_default();
            let capacity = capacity(name);
            if &used + requested > capacity {
                return Err(out_of(
                    name,
                    requested.to_string(),
                    used.to_string(),
                    capacity.to_string(),
                ));
            }
        }
        Ok(())
    }

    /// Counts a pod that runs here.
    pub fn occupy(&mut self, program: &Program) {
        self.pods += 1;
        for (name, amount) in &program.requests {
            *self.used.entry(name.clone()).or_default() += amount;
        }
    }

    /// Counts a pod no more.
    pub fn vacate(&mut self, program: &Program) {
        self.pods = self.pods.saturating_sub(1);
        for (name, amount) in &program.requests {
            if let Some(used) = self.used.get_mut(name) {
                *used -= amount;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::group;
    use proto::api::core::v1::{Container, Pod, PodSpec, ResourceRequirements};

    fn one() -> NodeState {
        let groups = group::parse(
            "test",
            "- {name: n, count: 2, zone: z, capacity: {cpu: 2, pods: 2}}",
        )
        .unwrap();
        let blocks = Blocks {
            nodes: address::default_nodes(""),
            pods: address::default_pods(""),
        };
        build(&groups, blocks, Seed(1), Timestamp::UNIX_EPOCH)
            .unwrap()
            .swap_remove(1)
    }

    fn program(cpu: &str, zone: Option<&str>) -> Program {
        let quantity = proto::Quantity { string: cpu.into() };
        let container = Container {
            resources: Some(ResourceRequirements {
                requests: [("cpu".to_owned(), quantity)].into(),
                ..Default::default()
            }),
            ..Default::default()
        };
        let zone = zone.map(|zone| ("topology.kubernetes.io/zone".to_owned(), zone.to_owned()));
        Program::of(&Pod {
            spec: Some(PodSpec {
                containers: vec![container],
                node_selector: zone.into_iter().collect(),
                ..Default::default()
            }),
            ..Default::default()
        })
    }

    #[test]
    fn a_pod_that_does_not_fit_is_refused_with_the_real_kubelets_reason() {
        let mut node = one();
        assert_eq!(&*node.name, "n-1");
        node.admit(&program("2", Some("z"))).unwrap();
        assert_eq!(
            node.admit(&program("1", Some("y"))).unwrap_err().reason,
            "NodeAffinity"
        );
        node.occupy(&program("1500m", None));
        let refusal = node.admit(&program("1", None)).unwrap_err();
        assert_eq!(refusal.reason, "OutOfcpu");
        assert_eq!(
            refusal.message,
            "Node didn't have enough resource: cpu, requested: 1, used: 1500m, capacity: 2"
        );
        node.occupy(&program("0", None));
        assert_eq!(node.admit(&program("0", None)).unwrap_err().reason, "OutOfpods");
        node.vacate(&program("1500m", None));
        node.admit(&program("2", None)).unwrap();
    }

    fn endpoints(address: &str) -> object::Endpoints {
        object::Endpoints {
            simulator: address.to_owned(),
            kubelet: address.to_owned(),
        }
    }

    #[test]
    fn a_restarted_process_finds_the_node_as_it_was() {
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let mut first = one();
        first.address = "172.16.9.9".parse().unwrap();
        first.addresses = PodAddresses::new("10.9.9.0/24".parse().unwrap());
        first.seed = Seed(77);
        first.ready_since = now;
        first.images.insert("nginx".into());
        let mut stored = object::node(&first, &endpoints("127.0.0.1:7446"), now);
        stored.metadata_mut().uid = "u".into();
        stored.metadata_mut().labels.insert("mine".into(), "yes".into());

        let mut again = one();
        again.observe(&stored);
        assert_eq!(again.address, first.address);
        assert_eq!(again.addresses.block(), first.addresses.block());
        assert_eq!((again.seed, again.ready_since), (Seed(77), now));
        assert!(again.images.contains("nginx"));
        assert_eq!(again.labels["mine"], "yes");
        assert_eq!(
            object::metadata_patch(&stored, &again, &endpoints("127.0.0.1:7446")),
            None
        );
        let patch = object::metadata_patch(&stored, &again, &endpoints("127.0.0.1:9999")).unwrap();
        assert_eq!(
            patch["metadata"]["annotations"][object::ENDPOINT],
            "127.0.0.1:9999"
        );
        assert_eq!(patch["metadata"]["labels"], serde_json::json!({}));
    }
}
