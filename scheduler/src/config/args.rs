//! `pluginConfig`: the arguments of plugins, as upstream names and checks them.

use crate::plugins::balanced_allocation::BalancedAllocation;
use crate::plugins::coscheduling::Coscheduling;
use crate::plugins::default_preemption::DefaultPreemption;
use crate::plugins::inter_pod_affinity::InterPodAffinity;
use crate::plugins::node_affinity::NodeAffinity;
use crate::plugins::node_resources_fit::{NodeResourcesFit, ScoringStrategy};
use crate::plugins::scoring::{ResourceWeight, ShapePoint};
use crate::plugins::volume_binding::Binder;
use crate::snapshot::SpreadDefaults;
use anyhow::{Result, anyhow, bail};
use apimachinery::json::{self, Unknown};
use prost::Message as _;
use proto::api::core::v1::{Pod, TopologySpreadConstraint};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// Every plugin that takes arguments, with them.
#[derive(Default)]
pub(super) struct Arguments {
    pub(super) node_affinity: NodeAffinity,
    pub(super) fit: NodeResourcesFit,
    pub(super) balanced: BalancedAllocation,
    pub(super) affinity: InterPodAffinity,
    pub(super) spreading: SpreadDefaults,
    /// How long Pods of a group wait for one another.
    pub(super) permit_waiting: Option<Duration>,
    /// How long a Pod waits for its volumes.
    pub(super) bind_timeout: Option<Duration>,
    /// Percentage and absolute number of candidates.
    pub(super) preemption: Option<(u32, u32)>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct NodeAffinityArgs {
    added_affinity: Option<Value>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct FitArgs {
    #[serde(default)]
    ignored_resources: Vec<String>,
    #[serde(default)]
    ignored_resource_groups: Vec<String>,
    scoring_strategy: Option<StrategyArgs>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct StrategyArgs {
    r#type: String,
    #[serde(default)]
    resources: Vec<ResourceArgs>,
    requested_to_capacity_ratio: Option<RatioArgs>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RatioArgs {
    #[serde(default)]
    shape: Vec<PointArgs>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct PointArgs {
    #[serde(default)]
    utilization: i64,
    #[serde(default)]
    score: i64,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ResourceArgs {
    name: String,
    #[serde(default)]
    weight: i64,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct BalancedArgs {
    #[serde(default)]
    resources: Vec<ResourceArgs>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct AffinityArgs {
    hard_pod_affinity_weight: Option<i32>,
    #[serde(default)]
    ignore_preferred_terms_of_existing_pods: bool,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SpreadArgs {
    #[serde(default)]
    default_constraints: Vec<Value>,
    defaulting_type: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct PreemptionArgs {
    min_candidate_nodes_percentage: Option<i64>,
    min_candidate_nodes_absolute: Option<i64>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct CoschedulingArgs {
    permit_waiting_time_seconds: Option<i64>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct VolumeArgs {
    bind_timeout_seconds: Option<i64>,
    #[serde(default)]
    shape: Vec<PointArgs>,
}

impl Arguments {
    /// Takes in one plugin's arguments.
    ///
    /// # Errors
    /// Names the argument.
    pub(super) fn take(&mut self, plugin: &str, args: &Value) -> Result<()> {
        let mut args = args.clone();
        if let Some(fields) = args.as_object_mut() {
            fields.remove("apiVersion");
            let kind = fields.remove("kind");
            let expected = format!("{plugin}Args");
            if kind.as_ref().is_some_and(|kind| *kind != *expected) {
                bail!("kind: expected {expected}");
            }
        }
        match plugin {
            "NodeAffinity" => {
                let args: NodeAffinityArgs = read(args)?;
                if let Some(added) = args.added_affinity {
                    self.node_affinity.added_affinity = node_affinity(added)?;
                }
            }
            "NodeResourcesFit" => self.fit = fit(read(args)?)?,
            "NodeResourcesBalancedAllocation" => {
                let args: BalancedArgs = read(args)?;
                if !args.resources.is_empty() {
                    self.balanced.resources = weights("resources", args.resources)?;
                }
            }
            "InterPodAffinity" => {
                let args: AffinityArgs = read(args)?;
                let weight = args.hard_pod_affinity_weight.unwrap_or(1);
                if !(0..=100).contains(&weight) {
                    bail!("hardPodAffinityWeight: not in valid range [0, 100]");
                }
                self.affinity = InterPodAffinity {
                    hard_pod_affinity_weight: weight,
                    ignore_preferred_terms_of_existing_pods: args.ignore_preferred_terms_of_existing_pods,
                };
            }
            "Coscheduling" => {
                let args: CoschedulingArgs = read(args)?;
                let seconds = args.permit_waiting_time_seconds.map(u64::try_from).transpose();
                let seconds =
                    seconds.map_err(|_| anyhow!("permitWaitingTimeSeconds: must not be negative"))?;
                self.permit_waiting = seconds.map(Duration::from_secs);
            }
            "VolumeBinding" => {
                let args: VolumeArgs = read(args)?;
                if !args.shape.is_empty() {
                    bail!(
                        "shape: volumes are not scored, as upstream without its feature StorageCapacityScoring"
                    );
                }
                let seconds = args.bind_timeout_seconds.map(u64::try_from).transpose();
                let seconds = seconds.map_err(|_| {
                    anyhow!("bindTimeoutSeconds: invalid BindTimeoutSeconds, should not be a negative value")
                })?;
                self.bind_timeout = seconds.map(Duration::from_secs);
            }
            "PodTopologySpread" => self.spreading = spreading(read(args)?)?,
            "DefaultPreemption" => {
                let args: PreemptionArgs = read(args)?;
                let percentage = args.min_candidate_nodes_percentage.unwrap_or(10);
                let absolute = args.min_candidate_nodes_absolute.unwrap_or(100);
                if !(0..=100).contains(&percentage) {
                    bail!("minCandidateNodesPercentage: not in valid range [0, 100]");
                }
                if absolute < 0 {
                    bail!("minCandidateNodesAbsolute: not in valid range [0, inf)");
                }
                if percentage == 0 && absolute == 0 {
                    bail!("minCandidateNodesPercentage and minCandidateNodesAbsolute: both cannot be zero");
                }
                self.preemption = Some((percentage as u32, u32::try_from(absolute).unwrap_or(u32::MAX)));
            }
            _ => bail!("{plugin} takes no arguments"),
        }
        Ok(())
    }
}

fn read<T: serde::de::DeserializeOwned>(args: Value) -> Result<T> {
    serde_json::from_value(args).map_err(|error| anyhow!("{error}"))
}

fn weights(path: &str, resources: Vec<ResourceArgs>) -> Result<Vec<ResourceWeight>> {
    let checked = resources.into_iter().enumerate().map(|(place, resource)| {
        let weight = if resource.weight == 0 { 1 } else { resource.weight };
        if !(1..=100).contains(&weight) {
            bail!(
                "{path}[{place}].weight: resource weight of {} not in valid range [1, 100]",
                resource.name
            );
        }
        Ok(ResourceWeight {
            name: resource.name,
            weight,
        })
    });
    checked.collect()
}

fn fit(args: FitArgs) -> Result<NodeResourcesFit> {
    let mut fit = NodeResourcesFit {
        ignored_resources: args.ignored_resources,
        ignored_resource_groups: args.ignored_resource_groups,
        ..NodeResourcesFit::default()
    };
    if let Some(group) = fit
        .ignored_resource_groups
        .iter()
        .find(|group| group.contains('/'))
    {
        bail!("ignoredResourceGroups: resource group name can't contain '/': {group}");
    }
    let Some(strategy) = args.scoring_strategy else {
        return Ok(fit);
    };
    if !strategy.resources.is_empty() {
        fit.resources = weights("scoringStrategy.resources", strategy.resources)?;
    }
    fit.strategy = match strategy.r#type.as_str() {
        "LeastAllocated" => ScoringStrategy::LeastAllocated,
        "MostAllocated" => ScoringStrategy::MostAllocated,
        "RequestedToCapacityRatio" => {
            let path = "scoringStrategy.requestedToCapacityRatio.shape";
            let shape = strategy.requested_to_capacity_ratio.map(|ratio| ratio.shape);
            ScoringStrategy::RequestedToCapacityRatio(points(path, shape.unwrap_or_default())?)
        }
        other => bail!(
            "scoringStrategy.type: {other:?} is not supported: LeastAllocated, MostAllocated or RequestedToCapacityRatio"
        ),
    };
    Ok(fit)
}

fn points(path: &str, shape: Vec<PointArgs>) -> Result<Vec<ShapePoint>> {
    if shape.is_empty() {
        bail!("{path}: at least one point must be specified");
    }
    for (place, point) in shape.iter().enumerate() {
        if place > 0 && shape[place - 1].utilization >= point.utilization {
            bail!("{path}[{place}].utilization: utilization values must be sorted in increasing order");
        }
        if !(0..=100).contains(&point.utilization) {
            bail!("{path}[{place}].utilization: not in valid range [0, 100]");
        }
        if !(0..=10).contains(&point.score) {
            bail!("{path}[{place}].score: not in valid range [0, 10]");
        }
    }
    let points = shape.into_iter().map(|point| ShapePoint {
        utilization: point.utilization,
        score: point.score,
    });
    Ok(points.collect())
}

/// Reads a part of a Pod's spec by the API's own reader, so that unknown fields are found.
fn pod_part(spec: Value) -> Result<Pod> {
    let pod = json!({ "apiVersion": "v1", "kind": "Pod", "spec": spec });
    let decoded = json::from_value(&pod, Unknown::Strict).map_err(|faults| anyhow!("{faults}"))?;
    Ok(Pod::decode(decoded.bytes)?)
}

fn node_affinity(added: Value) -> Result<proto::api::core::v1::NodeAffinity> {
    let pod = pod_part(json!({ "affinity": { "nodeAffinity": added } }))
        .map_err(|error| anyhow!("addedAffinity: {error}"))?;
    let affinity = pod.spec.and_then(|spec| spec.affinity?.node_affinity);
    Ok(affinity.unwrap_or_default())
}

fn spreading(args: SpreadArgs) -> Result<SpreadDefaults> {
    let is_list = match args.defaulting_type.as_deref() {
        None | Some("System") => false,
        Some("List") => true,
        Some(other) => bail!("defaultingType: {other:?} is not supported: System or List"),
    };
    if !is_list {
        if !args.default_constraints.is_empty() {
            bail!("defaultConstraints: when .defaultingType is System, must be empty");
        }
        return Ok(SpreadDefaults::default());
    }
    let pod = pod_part(json!({ "topologySpreadConstraints": args.default_constraints }))
        .map_err(|error| anyhow!("defaultConstraints: {error}"))?;
    let constraints: Vec<TopologySpreadConstraint> = pod
        .spec
        .map(|spec| spec.topology_spread_constraints)
        .unwrap_or_default();
    for (place, constraint) in constraints.iter().enumerate() {
        let path = format!("defaultConstraints[{place}]");
        if constraint.max_skew <= 0 {
            bail!("{path}.maxSkew: not in valid range (0, inf)");
        }
        if constraint.topology_key.is_empty() {
            bail!("{path}.topologyKey: can not be empty");
        }
        if !["DoNotSchedule", "ScheduleAnyway"].contains(&constraint.when_unsatisfiable.as_str()) {
            bail!("{path}.whenUnsatisfiable: DoNotSchedule or ScheduleAnyway");
        }
        if constraint.label_selector.is_some() {
            bail!(
                "{path}.labelSelector: constraint must not define a selector, as they deduced for each pod"
            );
        }
    }
    Ok(SpreadDefaults {
        constraints: constraints.into_iter().map(Arc::new).collect(),
        built_in: false,
    })
}

impl Arguments {
    /// The plugin of groups. Its part that filters keeps nothing, so that there may be two.
    pub(super) fn coscheduling(&self) -> Coscheduling {
        self.permit_waiting
            .map_or_else(Coscheduling::default, Coscheduling::new)
    }

    /// What waits for the volumes of a Pod.
    pub(super) fn volume_binder(&self) -> Binder {
        self.bind_timeout.map_or_else(Binder::default, Binder::new)
    }

    /// The preemption plugin.
    pub(super) fn preemption(&self) -> DefaultPreemption {
        let (percentage, absolute) = self.preemption.unwrap_or((10, 100));
        DefaultPreemption::new(percentage, absolute)
    }
}
