//! What would help: for a Pod that no node takes, the smallest changes that would make one take it.
//!
//! For each node, every plugin's refusal is answered by the change that removes it: more of a resource, a taint tolerated, a term left
//! out. The changes that fewest plugins ask for come first, then the smallest; each set is tried in thought before it is told.

use crate::cycle::{Judge, Refusal, promises};
use crate::plugins::volume_restrictions::is_disk;
use crate::pod::{PodClass, PodInfo, PodTemplate, TemplateId};
use crate::registry::Plugins;
use crate::snapshot::{Node, Slot, Snapshot};
use apimachinery::tolerations::tolerated;
use apimachinery::volumes::claim_name;
use apimachinery::well_known::PREFER_NO_SCHEDULE;
use proto::api::core::v1::{Taint, Toleration};
use proto::orrery::v1::{SuggestedChange, Suggestion};
use std::sync::Arc;

/// How many are told.
const TOLD: usize = 5;
/// How many are tried, so that a large cluster is answered soon.
const TRIED: usize = 200;

/// A Pod and a node as they would be.
struct Thought {
    pod: PodTemplate,
    class: PodClass,
    node: Node,
    changes: Vec<SuggestedChange>,
    /// How large the changes are, in shares of what the node has: for choosing among equals.
    size: f64,
}

/// Works the changes out. The snapshot is a copy: what the Pods of thought ask for is counted in it.
pub(super) fn suggestions(plugins: &Plugins, pod: &PodInfo, snapshot: &mut Snapshot) -> Vec<Suggestion> {
    let mut thoughts: Vec<(Slot, Thought)> = Vec::new();
    {
        let promises = promises(plugins, pod, snapshot);
        let judge = Judge::new(plugins, pod, snapshot, &promises);
        for node in snapshot.slots().iter().filter(|node| node.present) {
            let refusals = judge.refusals(node, &pod.uid);
            thoughts
                .extend(think(plugins, pod, node, &refusals, snapshot).map(|thought| (node.slot, thought)));
        }
    }
    let order = |a: &(Slot, Thought), b: &(Slot, Thought)| {
        let (a, b) = (&a.1, &b.1);
        (a.changes.len().cmp(&b.changes.len()))
            .then(a.size.total_cmp(&b.size))
            .then_with(|| a.node.name.cmp(&b.node.name))
    };
    thoughts.sort_by(order);
    let mut told = Vec::new();
    for (number, (_, thought)) in thoughts.into_iter().take(TRIED).enumerate() {
        let mut template = thought.pod;
        // Numbers from the far end: no template of the cluster has them, and each is asked about once.
        template.id = TemplateId(u64::MAX - number as u64);
        template.class = Arc::new(thought.class);
        let changed = PodInfo {
            template: Arc::new(template),
            ..pod.clone()
        };
        snapshot.know(&changed.template, &plugins.spreading);
        let promises = promises(plugins, &changed, snapshot);
        let fits = Judge::new(plugins, &changed, snapshot, &promises)
            .all(&thought.node, &changed.uid)
            .is_ok();
        if fits {
            told.push(Suggestion {
                node: thought.node.name.to_string(),
                changes: thought.changes,
            });
        }
        if told.len() == TOLD {
            break;
        }
    }
    told
}

/// The changes that answer all refusals of a node; `None` where one has no answer.
fn think(
    plugins: &Plugins,
    pod: &PodInfo,
    node: &Node,
    refusals: &[Refusal],
    snapshot: &Snapshot,
) -> Option<Thought> {
    let mut thought = Thought {
        pod: PodTemplate::clone(&pod.template),
        class: PodClass::clone(pod.class()),
        node: node.clone(),
        changes: Vec::new(),
        size: 0.0,
    };
    for (place, _) in refusals {
        let plugin = plugins.filters[*place].name();
        match plugin {
            "NodeResourcesFit" => thought.more_room(),
            "TaintToleration" => thought.tolerate(),
            "NodeUnschedulable" => {
                thought.node.unschedulable = false;
                thought.change(plugin, format!("node {} uncordoned", node.name));
            }
            "NodeName" => {
                thought.class.node_name.clear();
                thought.change(plugin, "spec.nodeName left out".into());
            }
            "NodeAffinity" => thought.relax_node_affinity(),
            "NodePorts" => thought.other_ports(),
            "PodTopologySpread" => thought.relax_spreading(snapshot),
            "InterPodAffinity" => thought.relax_affinity(),
            // One of them answers for all four.
            "VolumeRestrictions" | "NodeVolumeLimits" | "VolumeBinding" | "VolumeZone" => {
                thought.without_volumes(plugin, snapshot);
            }
            _ => return None,
        }
    }
    (!thought.changes.is_empty()).then_some(thought)
}

impl Thought {
    fn change(&mut self, plugin: &str, text: String) {
        self.changes.push(SuggestedChange {
            plugin: plugin.into(),
            text,
            amount: String::new(),
        });
        self.size += 1.0;
    }

    fn more(&mut self, resource: &str, short: i64, has: i64, amount: String) {
        self.changes.push(SuggestedChange {
            plugin: "NodeResourcesFit".into(),
            text: format!("{amount} more {resource} on node {}", self.node.name),
            amount,
        });
        self.size += short as f64 / has.max(1) as f64;
    }

    fn more_room(&mut self) {
        let (asked, taken) = (self.class.requests.clone(), self.node.requested.clone());
        let short = |asked: i64, has: i64, taken: i64| {
            if asked > 0 {
                (asked - (has - taken)).max(0)
            } else {
                0
            }
        };
        let has = self.node.allocatable.clone();
        let cpu = short(asked.cpu, has.cpu, taken.cpu);
        if cpu > 0 {
            self.node.allocatable.cpu += cpu;
            self.more("cpu", cpu, has.cpu, format!("{cpu}m"));
        }
        let memory = short(asked.memory, has.memory, taken.memory);
        if memory > 0 {
            self.node.allocatable.memory += memory;
            self.more("memory", memory, has.memory, bytes(memory));
        }
        let storage = short(
            asked.ephemeral_storage,
            has.ephemeral_storage,
            taken.ephemeral_storage,
        );
        if storage > 0 {
            self.node.allocatable.ephemeral_storage += storage;
            self.more(
                "ephemeral-storage",
                storage,
                has.ephemeral_storage,
                bytes(storage),
            );
        }
        for (name, amount) in &asked.extended {
            let short = short(*amount, has.extended(name), taken.extended(name));
            if short > 0 {
                let all = has.extended(name) + short;
                self.node.allocatable.extended.insert(name.clone(), all);
                self.more(name, short, has.extended(name), short.to_string());
            }
        }
        if self.node.pods >= self.node.max_pods {
            let short = self.node.pods + 1 - self.node.max_pods;
            self.node.max_pods += short;
            let max = self.node.max_pods;
            self.more("pods", short, max, short.to_string());
        }
    }

    fn tolerate(&mut self) {
        let taints: Vec<Taint> = self.node.taints.clone();
        for taint in taints {
            if taint.effect == PREFER_NO_SCHEDULE || tolerated(&self.class.tolerations, &taint) {
                continue;
            }
            let value = if taint.value.is_empty() {
                String::new()
            } else {
                format!("={}", taint.value)
            };
            self.change(
                "TaintToleration",
                format!("taint {}{value}:{} tolerated", taint.key, taint.effect),
            );
            self.class.tolerations.push(Toleration {
                key: taint.key,
                operator: "Equal".into(),
                value: taint.value,
                effect: taint.effect,
                toleration_seconds: None,
            });
        }
    }

    fn relax_node_affinity(&mut self) {
        let labels = self.node.labels.clone();
        let selector = std::mem::take(&mut self.class.node_selector);
        for (key, value) in selector {
            if labels.get(&key) == Some(&value) {
                self.class.node_selector.insert(key, value);
            } else {
                self.change("NodeAffinity", format!("spec.nodeSelector without {key}={value}"));
            }
        }
        let affinity = &mut self.class.node_affinity;
        let required = affinity
            .required_during_scheduling_ignored_during_execution
            .as_ref();
        let matches = |required| apimachinery::selector::node_matches(required, &self.node.name, &labels);
        if required.is_some_and(|required| !matches(required)) {
            affinity.required_during_scheduling_ignored_during_execution = None;
            self.class.named = None;
            self.change("NodeAffinity", "required node affinity left out".into());
        }
    }

    fn other_ports(&mut self) {
        let ports = std::mem::take(&mut self.class.ports);
        for port in ports {
            if self.node.ports.are_free(std::slice::from_ref(&port)) {
                self.class.ports.push(port);
            } else {
                self.change(
                    "NodePorts",
                    format!("another hostPort than {}/{}", port.port, port.protocol),
                );
            }
        }
    }

    fn relax_spreading(&mut self, snapshot: &Snapshot) {
        let mut kept = Vec::new();
        for constraint in std::mem::take(&mut self.pod.spec.topology_spread_constraints) {
            let key = constraint.topology_key.clone();
            let is_hard = constraint.when_unsatisfiable == "DoNotSchedule";
            if !is_hard {
                kept.push(constraint);
            } else if !self.node.labels.contains_key(&key) {
                self.change(
                    "PodTopologySpread",
                    format!("the spread constraint on {key} left out: the node lacks it"),
                );
            } else if let Some(skew) = self
                .skew(&constraint, snapshot)
                .filter(|skew| *skew > constraint.max_skew)
            {
                self.change(
                    "PodTopologySpread",
                    format!("maxSkew {skew} instead of {} for {key}", constraint.max_skew),
                );
                kept.push(proto::api::core::v1::TopologySpreadConstraint {
                    max_skew: skew,
                    ..constraint
                });
            } else {
                kept.push(constraint);
            }
        }
        self.pod.spec.topology_spread_constraints = kept;
    }

    /// How uneven the constraint's domains would be with the Pod on this node.
    fn skew(
        &self,
        constraint: &proto::api::core::v1::TopologySpreadConstraint,
        snapshot: &Snapshot,
    ) -> Option<i32> {
        let interest = snapshot.topology().interest(&self.pod)?;
        let spread = interest
            .spread
            .iter()
            .find(|spread| *spread.constraint == *constraint)?;
        let (tally, places) = snapshot.topology().tally(spread.tally)?;
        let here = *tally.by_domain().get(places.of(self.node.slot) as usize)?;
        let there = tally
            .by_domain()
            .iter()
            .zip(places.sizes())
            .filter(|(_, nodes)| **nodes > 0);
        let least = there.map(|(pods, _)| *pods).min()?;
        i32::try_from(here + u32::from(spread.counts_itself) - least).ok()
    }

    /// Without the volumes that are not everywhere.
    fn without_volumes(&mut self, plugin: &str, snapshot: &Snapshot) {
        let volumes = std::mem::take(&mut self.pod.spec.volumes);
        for volume in volumes {
            match claim_name("POD", &volume) {
                Some((claim, true)) => {
                    self.change(plugin, format!("without volume {}, claim {claim}", volume.name));
                }
                Some((claim, false)) => {
                    let key = (self.pod.namespace.clone(), claim.as_str().into());
                    let is_there = snapshot.objects().claims.contains_key(&key);
                    let text = if is_there {
                        format!("without claim {claim}")
                    } else {
                        format!("without claim {claim}, which is not there")
                    };
                    self.change(plugin, text);
                }
                None if is_disk(&volume) => self.change(plugin, format!("without volume {}", volume.name)),
                None => self.pod.spec.volumes.push(volume),
            }
        }
    }

    fn relax_affinity(&mut self) {
        let Some(affinity) = &mut self.pod.spec.affinity else {
            // Those that run keep it away: no change of its own helps but other labels.
            self.change(
                "InterPodAffinity",
                "other labels, or the pods elsewhere that it is kept away from".into(),
            );
            self.pod.labels.clear();
            return;
        };
        let near = affinity.pod_affinity.as_mut();
        let near =
            near.map(|near| std::mem::take(&mut near.required_during_scheduling_ignored_during_execution));
        let apart = affinity.pod_anti_affinity.as_mut();
        let apart =
            apart.map(|apart| std::mem::take(&mut apart.required_during_scheduling_ignored_during_execution));
        for (terms, what) in [(near, "affinity"), (apart, "anti-affinity")] {
            for term in terms.unwrap_or_default() {
                self.change(
                    "InterPodAffinity",
                    format!("required pod {what} on {} left out", term.topology_key),
                );
            }
        }
    }
}

/// Bytes as a quantity that people read, rounded up.
fn bytes(amount: i64) -> String {
    for (unit, size) in [("Gi", 1 << 30), ("Mi", 1 << 20), ("Ki", 1 << 10)] {
        if amount >= size {
            return format!("{}{unit}", (amount + size - 1) / size);
        }
    }
    amount.to_string()
}
