//! Every plugin once more, from the API's objects alone: each question is answered by a look at every Pod on every node. Nothing is kept,
//! nothing is shared with the scheduler but how selectors and quantities are read.

use super::volumes::Storage;
use apimachinery::quantity::Quantity;
use apimachinery::resources::{is_sidecar, pod_requests};
use apimachinery::selector::{LabelSelector, node_matches, node_matches_term};
use apimachinery::tolerations::tolerated;
use proto::Kind;
use proto::api::core::v1::{
    Node, NodeSelector, Pod, PodAffinityTerm, PodSpec, Service, Taint, TopologySpreadConstraint,
    WeightedPodAffinityTerm,
};
use proto::api::policy::v1::PodDisruptionBudget;
use proto::meta::v1 as meta;
use std::collections::{BTreeMap, BTreeSet};

type Labels = BTreeMap<String, String>;

/// A cluster, as the API has it.
#[derive(Clone, Debug, Default)]
pub(crate) struct World {
    pub(crate) nodes: BTreeMap<String, Node>,
    /// By name; all names differ, whatever the namespace.
    pub(crate) pods: BTreeMap<String, Pod>,
    /// Labels by name.
    pub(crate) namespaces: BTreeMap<String, Labels>,
    pub(crate) services: Vec<Service>,
    pub(crate) storage: Storage,
    /// The Pods that room is being made for, with the nodes that they name.
    pub(crate) promised: Vec<Pod>,
    pub(crate) budgets: Vec<PodDisruptionBudget>,
}

const HOSTNAME: &str = "kubernetes.io/hostname";

fn spec(pod: &Pod) -> &PodSpec {
    pod.spec.as_ref().expect("every pod here has a spec")
}

fn labels(node: &Node) -> &Labels {
    &node.meta().labels
}

fn value(node: &Node, name: &str) -> i64 {
    let list = node.status.as_ref().map(|status| &status.allocatable);
    let quantity = list.and_then(|list| list.get(name));
    let quantity = quantity.map(|quantity| Quantity::try_from(quantity).expect("valid"));
    quantity.map_or(0, |quantity| {
        if name == "cpu" {
            quantity.milli_value()
        } else {
            quantity.value()
        }
    })
}

fn asked(pod: &Pod, name: &str) -> i64 {
    let requests = pod_requests(spec(pod));
    requests.get(name).map_or(0, |amount| {
        if name == "cpu" {
            amount.milli_value()
        } else {
            amount.value()
        }
    })
}

/// CPU or memory, where containers without a request count for upstream's 100m and 200Mi.
fn filled(pod: &Pod, name: &str) -> i64 {
    let mut pod = pod.clone();
    let default = if name == "cpu" { "100m" } else { "200Mi" };
    let spec = pod.spec.as_mut().expect("every pod here has a spec");
    for container in spec.containers.iter_mut().chain(&mut spec.init_containers) {
        let requests = &mut container.resources.get_or_insert_default().requests;
        requests.entry(name.into()).or_insert_with(|| proto::Quantity {
            string: default.into(),
        });
    }
    asked(&pod, name)
}

/// The first that does not fit.
fn first(plugins: &[(&'static str, bool)]) -> Option<&'static str> {
    let refused = plugins.iter().find(|(_, fits)| !fits);
    refused.map(|(name, _)| *name)
}

impl World {
    pub(crate) fn on<'a>(&'a self, node: &'a Node) -> impl Iterator<Item = &'a Pod> {
        self.pods
            .values()
            .filter(|pod| spec(pod).node_name == node.name())
    }

    /// The placed Pods with the nodes that they are on, where those are there.
    fn placed(&self) -> impl Iterator<Item = (&Pod, &Node)> {
        let nodes = self.nodes.values();
        nodes.flat_map(|node| self.on(node).map(move |pod| (pod, node)))
    }

    /// The first plugin that refuses the node.
    pub(crate) fn filter(&self, pod: &Pod, node: &Node) -> Option<&'static str> {
        self.refusal(pod, node).or_else(|| {
            // Who has no opinion of the cluster as it is is not asked about promises.
            let asked = |name: &str| match name {
                "VolumeRestrictions" => self.is_restricted(pod),
                "InterPodAffinity" => self.minds(pod),
                _ => true,
            };
            let mut kept = self.with_promised(pod, node).of_pod(pod, node).to_vec();
            kept.retain(|(name, _)| asked(name));
            first(&kept)
        })
    }

    /// As [`World::filter`]; promises count only as far as nodes alone are looked at.
    pub(crate) fn refusal(&self, pod: &Pod, node: &Node) -> Option<&'static str> {
        let with = self.with_promised(pod, node);
        let of_class: [(&'static str, bool); 5] = [
            ("NodeUnschedulable", self.is_open(pod, node)),
            ("TaintToleration", untolerated(pod, node, false) == 0),
            ("NodeAffinity", selects(spec(pod), node)),
            ("NodePorts", with.ports_are_free(pod, node)),
            ("NodeResourcesFit", with.has_room(pod, node)),
        ];
        // What a plugin says of the Pod alone comes before what those that look at other Pods say of a node.
        first(&of_class)
            .or_else(|| self.refuses_all(pod))
            .or_else(|| first(&self.of_pod(pod, node)))
    }

    fn of_pod(&self, pod: &Pod, node: &Node) -> [(&'static str, bool); 6] {
        [
            ("VolumeRestrictions", self.is_unrestricted(pod, node)),
            ("NodeVolumeLimits", self.holds_volumes(pod, node)),
            ("VolumeBinding", self.has_volumes(pod, node)),
            ("VolumeZone", self.is_in_zone(pod, node)),
            ("PodTopologySpread", self.is_even(pod, node)),
            ("InterPodAffinity", self.is_liked(pod, node)),
        ]
    }

    /// The cluster with the Pods that a node is promised to, of this Pod's priority or higher.
    fn with_promised(&self, pod: &Pod, node: &Node) -> Self {
        let mut with = self.clone();
        let priority = |pod: &Pod| spec(pod).priority.unwrap_or(0);
        let promised = self
            .promised
            .iter()
            .filter(|other| spec(other).node_name == node.name() && priority(other) >= priority(pod));
        with.pods
            .extend(promised.map(|other| (other.name().to_owned(), other.clone())));
        with
    }

    /// Whether affinity between Pods has anything to do with a Pod.
    fn minds(&self, pod: &Pod) -> bool {
        let apart = spec(pod)
            .affinity
            .as_ref()
            .is_some_and(|affinity| affinity.pod_anti_affinity.is_some());
        let mut others = self.placed();
        apart
            || !required(pod, true).is_empty()
            || others.any(|(other, at)| {
                let terms = required(other, false);
                let here = |term: &PodAffinityTerm| labels(at).contains_key(&term.topology_key);
                { terms.iter() }.any(|term| here(term) && self.means(other, term, pod))
            })
    }

    fn is_open(&self, pod: &Pod, node: &Node) -> bool {
        let cordon = Taint {
            key: "node.kubernetes.io/unschedulable".into(),
            effect: "NoSchedule".into(),
            ..Taint::default()
        };
        let closed = node.spec.as_ref().is_some_and(|spec| spec.unschedulable);
        !closed || tolerated(&spec(pod).tolerations, &cordon)
    }

    fn ports_are_free(&self, pod: &Pod, node: &Node) -> bool {
        let ports = |pod: &Pod| -> Vec<(i32, String, String)> {
            let spec = spec(pod);
            let sidecars = spec
                .init_containers
                .iter()
                .filter(|container| is_sidecar(container));
            let ports = spec
                .containers
                .iter()
                .chain(sidecars)
                .flat_map(|container| &container.ports);
            ports
                .filter(|port| port.host_port > 0)
                .map(|port| (port.host_port, port.protocol.clone(), port.host_ip.clone()))
                .collect()
        };
        let is_any = |ip: &str| ip.is_empty() || ip == "0.0.0.0";
        ports(pod).iter().all(|(port, protocol, ip)| {
            self.on(node).flat_map(ports).all(|(other, by, at)| {
                other != *port || by != *protocol || !(at == *ip || is_any(&at) || is_any(ip))
            })
        })
    }

    fn has_room(&self, pod: &Pod, node: &Node) -> bool {
        if self.on(node).count() as i64 >= value(node, "pods") {
            return false;
        }
        let requests = pod_requests(spec(pod));
        requests.keys().all(|name| {
            let wanted = asked(pod, name);
            let taken: i64 = self.on(node).map(|other| asked(other, name)).sum();
            wanted == 0 || wanted <= value(node, name) - taken
        })
    }

    /// Whether a term of one Pod means another.
    fn means(&self, owner: &Pod, term: &PodAffinityTerm, other: &Pod) -> bool {
        let mut namespaces: BTreeSet<&str> = term.namespaces.iter().map(String::as_str).collect();
        if namespaces.is_empty() && term.namespace_selector.is_none() {
            namespaces.insert(owner.namespace());
        }
        let none = Labels::new();
        let of_namespace = self.namespaces.get(other.namespace()).unwrap_or(&none);
        let by_label = term.namespace_selector.as_ref();
        let in_namespace = namespaces.contains(other.namespace())
            || by_label.is_some_and(|selector| means(Some(selector), of_namespace));
        let own = &owner.meta().labels;
        let theirs = &other.meta().labels;
        let same = term
            .match_label_keys
            .iter()
            .all(|key| own.get(key).is_none_or(|value| theirs.get(key) == Some(value)));
        let differs = term
            .mismatch_label_keys
            .iter()
            .all(|key| own.get(key).is_none_or(|value| theirs.get(key) != Some(value)));
        in_namespace && means(term.label_selector.as_ref(), theirs) && same && differs
    }

    /// Whether the Pods are near that the Pod wants there.
    pub(crate) fn is_near(&self, pod: &Pod, node: &Node) -> bool {
        let near = required(pod, true);
        let together = |key: &str, other: &Node| {
            let here = labels(node).get(key);
            here.is_some() && here == labels(other).get(key)
        };
        let meets_all = |other: &Pod| near.iter().all(|term| self.means(pod, term, other));
        let anybody = near.iter().any(|term| {
            self.placed()
                .any(|(other, at)| meets_all(other) && labels(at).contains_key(&term.topology_key))
        });
        let is_first = !anybody && meets_all(pod);
        for term in &near {
            let found = self
                .placed()
                .any(|(other, at)| meets_all(other) && together(&term.topology_key, at));
            if !labels(node).contains_key(&term.topology_key) || !(found || is_first) {
                return false;
            }
        }
        true
    }

    fn is_liked(&self, pod: &Pod, node: &Node) -> bool {
        let apart = required(pod, false);
        let together = |key: &str, other: &Node| {
            let here = labels(node).get(key);
            here.is_some() && here == labels(other).get(key)
        };
        if !self.is_near(pod, node) {
            return false;
        }
        for term in &apart {
            if self
                .placed()
                .any(|(other, at)| self.means(pod, term, other) && together(&term.topology_key, at))
            {
                return false;
            }
        }
        !self.placed().any(|(other, at)| {
            let terms = required(other, false);
            terms
                .iter()
                .any(|term| self.means(other, term, pod) && together(&term.topology_key, at))
        })
    }

    /// The Pods that a constraint counts on a node.
    fn counted(&self, pod: &Pod, constraint: &TopologySpreadConstraint, node: &Node) -> i64 {
        let own = &pod.meta().labels;
        let counts = |other: &&Pod| {
            let theirs = &other.meta().labels;
            other.namespace() == pod.namespace()
                && other.meta().deletion_timestamp.is_none()
                && means(constraint.label_selector.as_ref(), theirs)
                && constraint
                    .match_label_keys
                    .iter()
                    .all(|key| own.get(key).is_none_or(|value| theirs.get(key) == Some(value)))
        };
        self.on(node).filter(counts).count() as i64
    }

    /// The nodes that count for a constraint.
    fn eligible<'a>(
        &'a self,
        pod: &'a Pod,
        constraint: &'a TopologySpreadConstraint,
        keys: &'a [String],
    ) -> impl Iterator<Item = &'a Node> {
        let affinity = constraint.node_affinity_policy.as_deref() != Some("Ignore");
        let taints = constraint.node_taints_policy.as_deref() == Some("Honor");
        self.nodes.values().filter(move |node| {
            keys.iter().all(|key| labels(node).contains_key(key))
                && (!affinity || selects(spec(pod), node))
                && (!taints || untolerated(pod, node, false) == 0)
        })
    }

    /// Whether a node has the labels that a Pod must be spread by.
    pub(crate) fn has_spread_labels(&self, pod: &Pod, node: &Node) -> bool {
        let hard = constraints(pod, "DoNotSchedule");
        { hard.iter() }.all(|constraint| labels(node).contains_key(&constraint.topology_key))
    }

    fn is_even(&self, pod: &Pod, node: &Node) -> bool {
        let hard: Vec<TopologySpreadConstraint> = constraints(pod, "DoNotSchedule");
        let keys: Vec<String> = hard
            .iter()
            .map(|constraint| constraint.topology_key.clone())
            .collect();
        hard.iter().all(|constraint| {
            let Some(here) = labels(node).get(&constraint.topology_key) else {
                return false;
            };
            let mut domains: BTreeMap<&String, i64> = BTreeMap::new();
            for other in self.eligible(pod, constraint, &keys) {
                *domains
                    .entry(&labels(other)[&constraint.topology_key])
                    .or_default() += self.counted(pod, constraint, other);
            }
            let least = if (domains.len() as i64) < i64::from(constraint.min_domains.unwrap_or(1)) {
                0
            } else {
                domains.values().copied().min().unwrap_or(i64::from(i32::MAX))
            };
            let own = &pod.meta().labels;
            let itself = i64::from(means(constraint.label_selector.as_ref(), own));
            domains.get(here).copied().unwrap_or(0) + itself - least <= i64::from(constraint.max_skew)
        })
    }

    /// What each plugin gives each feasible node, normalized. A plugin that is left out gives all the same.
    pub(crate) fn scores(&self, pod: &Pod, feasible: &[&Node]) -> Vec<(&'static str, i64, Vec<i64>)> {
        let each =
            |score: &dyn Fn(&Node) -> i64| feasible.iter().map(|node| score(node)).collect::<Vec<i64>>();
        let best_is_highest = |raw: Vec<i64>| {
            let most = raw.iter().copied().max().unwrap_or(0);
            raw.into_iter()
                .map(|raw| if most == 0 { 0 } else { raw * 100 / most })
                .collect::<Vec<i64>>()
        };
        let preferred = |node: &Node| {
            let affinity = spec(pod)
                .affinity
                .as_ref()
                .and_then(|affinity| affinity.node_affinity.as_ref());
            let terms =
                affinity.map(|affinity| &affinity.preferred_during_scheduling_ignored_during_execution);
            let met = terms.into_iter().flatten().filter(|term| {
                let preference = term.preference.as_ref().expect("every term here has one");
                node_matches_term(preference, node.name(), labels(node))
            });
            met.map(|term| i64::from(term.weight)).sum()
        };
        let soft_taints = best_is_highest(each(&|node| untolerated(pod, node, true)));
        vec![
            (
                "TaintToleration",
                3,
                soft_taints.into_iter().map(|share| 100 - share).collect(),
            ),
            ("NodeAffinity", 2, best_is_highest(each(&preferred))),
            (
                "NodeResourcesFit",
                1,
                each(&|node| self.least_allocated(pod, node)),
            ),
            ("PodTopologySpread", 2, self.evenness(pod, feasible)),
            ("InterPodAffinity", 2, self.liking(pod, feasible)),
            (
                "NodeResourcesBalancedAllocation",
                1,
                each(&|node| self.balance(pod, node)),
            ),
            ("ImageLocality", 1, each(&|node| self.locality(pod, node))),
        ]
    }

    fn least_allocated(&self, pod: &Pod, node: &Node) -> i64 {
        let (mut sum, mut count) = (0, 0);
        for name in ["cpu", "memory"] {
            let has = value(node, name);
            let taken: i64 = self.on(node).chain([pod]).map(|pod| filled(pod, name)).sum();
            if has > 0 {
                sum += if taken > has { 0 } else { (has - taken) * 100 / has };
                count += 1;
            }
        }
        if count == 0 { 0 } else { sum / count }
    }

    /// A Pod that asks for neither changes no balance.
    fn balance(&self, pod: &Pod, node: &Node) -> i64 {
        if asked(pod, "cpu") == 0 && asked(pod, "memory") == 0 {
            return 0;
        }
        let mut shares = Vec::new();
        for name in ["cpu", "memory"] {
            let has = value(node, name);
            let taken: i64 = self.on(node).chain([pod]).map(|pod| asked(pod, name)).sum();
            if has > 0 {
                shares.push((taken as f64 / has as f64).min(1.0));
            }
        }
        let deviation = if shares.len() == 2 {
            (shares[0] - shares[1]).abs() / 2.0
        } else {
            0.0
        };
        ((1.0 - deviation) * 100.0) as i64
    }

    fn locality(&self, pod: &Pod, node: &Node) -> i64 {
        let held = |node: &Node, image: &str| {
            let images = node.status.as_ref().map_or(&[][..], |status| &status.images);
            let held = images
                .iter()
                .find(|held| held.names.iter().any(|name| name == image));
            held.map(|held| held.size_bytes)
        };
        let containers = || spec(pod).init_containers.iter().chain(&spec(pod).containers);
        let sum: i64 = containers()
            .filter_map(|container| {
                let holders = self
                    .nodes
                    .values()
                    .filter(|node| held(node, &container.image).is_some())
                    .count();
                let share = holders as f64 / self.nodes.len() as f64;
                Some((held(node, &container.image)? as f64 * share) as i64)
            })
            .sum();
        let (least, most) = (23 << 20, (1000 << 20) * containers().count() as i64);
        100 * (sum.clamp(least, most) - least) / (most - least)
    }

    fn liking(&self, pod: &Pod, feasible: &[&Node]) -> Vec<i64> {
        let raw: Vec<i64> = feasible
            .iter()
            .map(|node| {
                let mut sum = 0;
                for (other, at) in self.placed() {
                    let together = |key: &str| {
                        let here = labels(node).get(key);
                        here.is_some() && here == labels(at).get(key)
                    };
                    for (term, weight) in weighted(pod) {
                        sum +=
                            weight * i64::from(self.means(pod, term, other) && together(&term.topology_key));
                    }
                    for (term, weight) in weighted(other) {
                        sum +=
                            weight * i64::from(self.means(other, term, pod) && together(&term.topology_key));
                    }
                    for term in required(other, true) {
                        sum += i64::from(self.means(other, &term, pod) && together(&term.topology_key));
                    }
                }
                sum
            })
            .collect();
        let (least, most) = (
            raw.iter().min().copied().unwrap_or(0),
            raw.iter().max().copied().unwrap_or(0),
        );
        let stretched = |raw: i64| {
            if most == least {
                0
            } else {
                (100.0 * ((raw - least) as f64 / (most - least) as f64)) as i64
            }
        };
        raw.into_iter().map(stretched).collect()
    }

    fn evenness(&self, pod: &Pod, feasible: &[&Node]) -> Vec<i64> {
        let own = &spec(pod).topology_spread_constraints;
        let (soft, all_keys) = if own.is_empty() {
            (self.default_constraints(pod), false)
        } else {
            (constraints(pod, "ScheduleAnyway"), true)
        };
        if soft.is_empty() {
            return vec![0; feasible.len()];
        }
        let keys: Vec<String> = if all_keys {
            soft.iter()
                .map(|constraint| constraint.topology_key.clone())
                .collect()
        } else {
            Vec::new()
        };
        let counts = |node: &&&Node| keys.iter().all(|key| labels(node).contains_key(key));
        let scored: Vec<&&Node> = feasible.iter().filter(counts).collect();
        let raw = |node: &Node| {
            let mut score = 0.0;
            for constraint in &soft {
                let key = &constraint.topology_key;
                let Some(here) = labels(node).get(key) else {
                    continue;
                };
                let values: BTreeSet<&String> =
                    scored.iter().filter_map(|node| labels(node).get(key)).collect();
                let size = if key == HOSTNAME {
                    scored.len()
                } else {
                    values.len()
                };
                let pods: i64 = if key == HOSTNAME {
                    self.counted(pod, constraint, node)
                } else {
                    let there = self.eligible(pod, constraint, &keys);
                    let there = there.filter(|other| labels(other).get(key) == Some(here));
                    there.map(|other| self.counted(pod, constraint, other)).sum()
                };
                score += pods as f64 * (size as f64 + 2.0).ln() + f64::from(constraint.max_skew - 1);
            }
            score.round() as i64
        };
        let raws: Vec<Option<i64>> = feasible
            .iter()
            .map(|node| counts(&node).then(|| raw(node)))
            .collect();
        let least = raws.iter().flatten().copied().min().unwrap_or(0);
        let most = raws.iter().flatten().copied().max().unwrap_or(0);
        raws.into_iter()
            .map(|raw| match raw {
                None => 0,
                Some(_) if most == 0 => 100,
                Some(raw) => 100 * (most + least - raw) / most,
            })
            .collect()
    }

    /// What upstream spreads Pods by that a Service selects and that say nothing themselves.
    fn default_constraints(&self, pod: &Pod) -> Vec<TopologySpreadConstraint> {
        let mut selector = Labels::new();
        for service in &self.services {
            let of_service = &service
                .spec
                .as_ref()
                .expect("every service here has a spec")
                .selector;
            let selects = of_service
                .iter()
                .all(|(key, value)| pod.meta().labels.get(key) == Some(value));
            if service.namespace() == pod.namespace() && !of_service.is_empty() && selects {
                selector.extend(of_service.clone());
            }
        }
        if selector.is_empty() {
            return Vec::new();
        }
        let constraint = |key: &str, max_skew| TopologySpreadConstraint {
            max_skew,
            topology_key: key.into(),
            label_selector: Some(meta::LabelSelector {
                match_labels: selector.clone(),
                ..meta::LabelSelector::default()
            }),
            ..TopologySpreadConstraint::default()
        };
        vec![
            constraint(HOSTNAME, 3),
            constraint("topology.kubernetes.io/zone", 5),
        ]
    }
}

fn means(selector: Option<&meta::LabelSelector>, labels: &Labels) -> bool {
    LabelSelector::from_proto(selector)
        .expect("valid")
        .matches_labels(labels)
}

fn untolerated(pod: &Pod, node: &Node, soft: bool) -> i64 {
    let taints = node.spec.as_ref().map_or(&[][..], |spec| &spec.taints);
    let counts = |taint: &&Taint| {
        (taint.effect == "PreferNoSchedule") == soft && !tolerated(&spec(pod).tolerations, taint)
    };
    taints.iter().filter(counts).count() as i64
}

fn selects(spec: &PodSpec, node: &Node) -> bool {
    let affinity = spec
        .affinity
        .as_ref()
        .and_then(|affinity| affinity.node_affinity.as_ref());
    let required: Option<&NodeSelector> = affinity.and_then(|affinity| {
        affinity
            .required_during_scheduling_ignored_during_execution
            .as_ref()
    });
    spec.node_selector
        .iter()
        .all(|(key, value)| labels(node).get(key) == Some(value))
        && required.is_none_or(|required| node_matches(required, node.name(), labels(node)))
}

fn constraints(pod: &Pod, when: &str) -> Vec<TopologySpreadConstraint> {
    let all = spec(pod).topology_spread_constraints.iter();
    all.filter(|constraint| constraint.when_unsatisfiable == when)
        .cloned()
        .collect()
}

fn required(pod: &Pod, near: bool) -> Vec<PodAffinityTerm> {
    let affinity = spec(pod).affinity.clone().unwrap_or_default();
    if near {
        let near = affinity.pod_affinity.unwrap_or_default();
        near.required_during_scheduling_ignored_during_execution
    } else {
        let apart = affinity.pod_anti_affinity.unwrap_or_default();
        apart.required_during_scheduling_ignored_during_execution
    }
}

fn weighted(pod: &Pod) -> Vec<(&PodAffinityTerm, i64)> {
    let affinity = spec(pod).affinity.as_ref();
    let near = affinity.and_then(|affinity| affinity.pod_affinity.as_ref());
    let apart = affinity.and_then(|affinity| affinity.pod_anti_affinity.as_ref());
    let read = |term: &'_ WeightedPodAffinityTerm, sign: i64| sign * i64::from(term.weight);
    let mut all: Vec<(&PodAffinityTerm, i64)> = Vec::new();
    for term in near.map_or(&[][..], |near| {
        &near.preferred_during_scheduling_ignored_during_execution
    }) {
        all.push((
            term.pod_affinity_term.as_ref().expect("every term here has one"),
            read(term, 1),
        ));
    }
    for term in apart.map_or(&[][..], |apart| {
        &apart.preferred_during_scheduling_ignored_during_execution
    }) {
        all.push((
            term.pod_affinity_term.as_ref().expect("every term here has one"),
            read(term, -1),
        ));
    }
    all
}
