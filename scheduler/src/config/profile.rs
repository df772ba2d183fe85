//! A profile: which plugins, with which weights and arguments.

use super::args::Arguments;
use super::points::{KNOWN, PluginsConfig, Point, find, unknown};
use crate::extender::Extenders;
use crate::framework::{AnyFilter, AnyPodFilter, AnyPodScore, AnyScore, Permit};
use crate::plugins::default_binder::DefaultBinder;
use crate::plugins::image_locality::ImageLocality;
use crate::plugins::node_name::NodeName;
use crate::plugins::node_ports::NodePorts;
use crate::plugins::node_unschedulable::NodeUnschedulable;
use crate::plugins::node_volume_limits::NodeVolumeLimits;
use crate::plugins::pod_topology_spread::PodTopologySpread;
use crate::plugins::taint_toleration::TaintToleration;
use crate::plugins::volume_binding::VolumeBinding;
use crate::plugins::volume_restrictions::VolumeRestrictions;
use crate::plugins::volume_zone::VolumeZone;
use crate::registry::{FilterPlugin, Plugins, ScorePlugin, Weighted};
use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde_json::Value;

/// A profile as it is written.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ProfileConfig {
    pub(super) scheduler_name: Option<String>,
    pub(super) percentage_of_nodes_to_score: Option<i32>,
    #[serde(default)]
    plugins: PluginsConfig,
    #[serde(default)]
    plugin_config: Vec<PluginArgs>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct PluginArgs {
    name: String,
    #[serde(default)]
    args: Value,
}

/// A profile's plugins. `ignored` are the resources that extenders alone look at.
pub(super) fn plugins(config: &ProfileConfig, ignored: &[String], extenders: &Extenders) -> Result<Plugins> {
    config.plugins.check()?;
    let mut arguments = Arguments::default();
    for (place, given) in config.plugin_config.iter().enumerate() {
        let path = format!("pluginConfig[{place}]");
        if find(&given.name).is_none() {
            return Err(unknown(&path, &given.name));
        }
        if config.plugin_config[..place]
            .iter()
            .any(|other| other.name == given.name)
        {
            bail!("{path}: repeated config for plugin {}", given.name);
        }
        if !given.args.is_null() {
            arguments
                .take(&given.name, &given.args)
                .with_context(|| format!("{path} ({}): args", given.name))?;
        }
    }
    arguments.fit.ignored_resources.extend(ignored.iter().cloned());
    let on =
        |name: &str, point| find(name).is_some_and(|known| config.plugins.weight(known, point).is_some());
    if !on("PrioritySort", Point::QueueSort) {
        bail!("plugins.queueSort: there is one order of the queue, PrioritySort, which cannot be disabled");
    }
    if !on("SchedulingGates", Point::PreEnqueue) {
        bail!("plugins.preEnqueue: SchedulingGates cannot be disabled");
    }
    if !on("DefaultBinder", Point::Bind) {
        bail!("plugins.bind: at least one bind plugin is needed, and DefaultBinder is the only one");
    }
    let mut plugins = Plugins {
        filters: Vec::new(),
        scores: Vec::new(),
        post_filters: Vec::new(),
        reserves: Vec::new(),
        permits: Vec::new(),
        spreading: arguments.spreading.clone(),
        binds: vec![Box::new(DefaultBinder)],
        extenders: extenders.clone(),
    };
    for known in KNOWN {
        let stands = |point| config.plugins.weight(known, point).is_some();
        if stands(Point::Filter) {
            plugins.filters.extend(filter(known.name, &arguments));
        }
        if let Some(weight) = config.plugins.weight(known, Point::Score) {
            let plugin = score(known.name, &arguments);
            plugins
                .scores
                .extend(plugin.map(|plugin| Weighted { plugin, weight }));
        }
        if stands(Point::Permit) || stands(Point::PreBind) {
            plugins.permits.extend(permit(known.name, &arguments));
        }
        if known.name == "VolumeBinding" && stands(Point::Reserve) {
            plugins.reserves.push(Box::new(VolumeBinding));
        }
        if known.name == "DefaultPreemption" && stands(Point::PostFilter) {
            plugins.post_filters.push(Box::new(arguments.preemption()));
        }
    }
    Ok(plugins)
}

fn filter(name: &str, arguments: &Arguments) -> Option<FilterPlugin> {
    let class = |plugin: Box<dyn AnyFilter>| Some(FilterPlugin::Class(plugin));
    let pod = |plugin: Box<dyn AnyPodFilter>| Some(FilterPlugin::Pod(plugin));
    match name {
        "Coscheduling" => pod(Box::new(arguments.coscheduling())),
        "NodeUnschedulable" => class(Box::new(NodeUnschedulable)),
        "NodeName" => class(Box::new(NodeName)),
        "TaintToleration" => class(Box::new(TaintToleration)),
        "NodeAffinity" => class(Box::new(arguments.node_affinity.clone())),
        "NodePorts" => class(Box::new(NodePorts)),
        "NodeResourcesFit" => class(Box::new(arguments.fit.clone())),
        "VolumeRestrictions" => pod(Box::new(VolumeRestrictions)),
        "NodeVolumeLimits" => pod(Box::new(NodeVolumeLimits)),
        "VolumeBinding" => pod(Box::new(VolumeBinding)),
        "VolumeZone" => pod(Box::new(VolumeZone)),
        "PodTopologySpread" => pod(Box::new(PodTopologySpread)),
        "InterPodAffinity" => pod(Box::new(arguments.affinity)),
        _ => None,
    }
}

fn permit(name: &str, arguments: &Arguments) -> Option<Box<dyn Permit>> {
    match name {
        "Coscheduling" => Some(Box::new(arguments.coscheduling())),
        "VolumeBinding" => Some(Box::new(arguments.volume_binder())),
        _ => None,
    }
}

fn score(name: &str, arguments: &Arguments) -> Option<ScorePlugin> {
    let class = |plugin: Box<dyn AnyScore>| Some(ScorePlugin::Class(plugin));
    let pod = |plugin: Box<dyn AnyPodScore>| Some(ScorePlugin::Pod(plugin));
    match name {
        "TaintToleration" => class(Box::new(TaintToleration)),
        "NodeAffinity" => class(Box::new(arguments.node_affinity.clone())),
        "NodeResourcesFit" => class(Box::new(arguments.fit.clone())),
        "NodeResourcesBalancedAllocation" => class(Box::new(arguments.balanced.clone())),
        "ImageLocality" => class(Box::new(ImageLocality)),
        "PodTopologySpread" => pod(Box::new(PodTopologySpread)),
        "InterPodAffinity" => pod(Box::new(arguments.affinity)),
        _ => None,
    }
}
