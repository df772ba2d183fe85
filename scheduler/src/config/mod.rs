//! KubeSchedulerConfiguration v1, as upstream writes it: a file becomes profiles of plugins and the bounds of the queue.
//!
//! In: YAML. Out: [`Scheduling`]. What is unknown (a field, a plugin, an argument) is an error that names it and its place; what has no meaning
//! here (how a client connects, leader election, how many threads) is accepted and told in [`Scheduling::notes`].
//! <https://kubernetes.io/docs/reference/config-api/kube-scheduler-config.v1/>

mod args;
mod extenders;
mod points;
mod profile;

use crate::engine::Profile;
use crate::extender::Extenders;
use crate::queue::BackoffBounds;
use crate::registry::Plugins;
use anyhow::{Context, Result, anyhow, bail};
use extenders::ExtenderConfig;
use profile::ProfileConfig;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;

const API_VERSION: &str = "kubescheduler.config.k8s.io/v1";
const KIND: &str = "KubeSchedulerConfiguration";
/// The profile that a configuration without profiles has.
pub const DEFAULT_SCHEDULER: &str = "default-scheduler";

/// The plugins of a profile that says nothing.
pub(crate) fn default_plugins() -> Plugins {
    // What upstream enables by default is consistent: a test builds it.
    profile::plugins(&ProfileConfig::default(), &[], &Extenders::default()).expect("the defaults are valid")
}

/// What a configuration comes to.
pub struct Scheduling {
    /// How Pods are placed, by their `spec.schedulerName`.
    pub profiles: BTreeMap<String, Profile>,
    /// How long Pods wait after a failure.
    pub backoff: BackoffBounds,
    /// Who else has a say, in the order in which they are asked.
    pub extenders: Extenders,
    /// What was accepted and has no effect here, a sentence each.
    pub notes: Vec<String>,
}

impl Scheduling {
    /// One profile with upstream's defaults.
    pub fn of_one(scheduler_name: &str) -> Self {
        let profile = Profile::new(Plugins::all());
        Self {
            profiles: [(scheduler_name.to_owned(), profile)].into(),
            backoff: BackoffBounds::default(),
            extenders: Extenders::default(),
            notes: Vec::new(),
        }
    }
}

/// The file.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct File {
    api_version: String,
    kind: String,
    #[serde(default)]
    profiles: Vec<ProfileConfig>,
    percentage_of_nodes_to_score: Option<i32>,
    pod_initial_backoff_seconds: Option<i64>,
    pod_max_backoff_seconds: Option<i64>,
    #[serde(default)]
    extenders: Vec<ExtenderConfig>,
    parallelism: Option<i32>,
    leader_election: Option<Value>,
    client_connection: Option<Value>,
    enable_profiling: Option<bool>,
    enable_contention_profiling: Option<bool>,
    delay_cache_until_active: Option<bool>,
}

/// Reads a configuration; `name` is the file's, for errors.
///
/// # Errors
/// Says in which file, where in it, and what is wrong.
pub fn parse(name: &str, text: &str) -> Result<Scheduling> {
    let file: File = serde_saphyr::from_str(text).map_err(|error| anyhow!("{name}: {error}"))?;
    build(file).with_context(|| name.to_owned())
}

fn build(file: File) -> Result<Scheduling> {
    if file.api_version != API_VERSION {
        bail!(
            "apiVersion: {:?} is not supported: write {API_VERSION}",
            file.api_version
        );
    }
    if file.kind != KIND {
        bail!("kind: {:?} is not supported: write {KIND}", file.kind);
    }
    let (extenders, ignored) = extenders::read(file.extenders)?;
    check_percentage("percentageOfNodesToScore", file.percentage_of_nodes_to_score)?;
    if file.parallelism.is_some_and(|threads| threads <= 0) {
        bail!("parallelism: should be an integer value greater than zero");
    }
    let seconds = |value: Option<i64>, default: Duration| match value {
        None => Ok(default),
        Some(seconds) => u64::try_from(seconds).map(Duration::from_secs),
    };
    let defaults = BackoffBounds::default();
    let first = seconds(file.pod_initial_backoff_seconds, defaults.first);
    let first = first.ok().filter(|first| !first.is_zero());
    let first = first.context("podInitialBackoffSeconds: must be greater than 0")?;
    let longest = seconds(file.pod_max_backoff_seconds, defaults.longest);
    let longest = longest.ok().filter(|longest| *longest >= first);
    let longest =
        longest.context("podMaxBackoffSeconds: must be greater than or equal to PodInitialBackoffSeconds")?;
    let mut profiles = BTreeMap::new();
    let configured = if file.profiles.is_empty() {
        vec![ProfileConfig::default()]
    } else {
        file.profiles
    };
    for (place, config) in configured.into_iter().enumerate() {
        let name = config
            .scheduler_name
            .clone()
            .unwrap_or_else(|| DEFAULT_SCHEDULER.to_owned());
        let path = format!("profiles[{place}]");
        if name.is_empty() {
            bail!("{path}.schedulerName: Required value");
        }
        check_percentage(
            &format!("{path}.percentageOfNodesToScore"),
            config.percentage_of_nodes_to_score,
        )?;
        let plugins = profile::plugins(&config, &ignored, &extenders).with_context(|| path.clone())?;
        if profiles.insert(name.clone(), Profile::new(plugins)).is_some() {
            bail!("{path}.schedulerName: Duplicate value: {name:?}");
        }
    }
    let mut notes = Vec::new();
    let sampled = |percent: Option<i32>| percent.is_some_and(|percent| percent > 0 && percent < 100);
    if sampled(file.percentage_of_nodes_to_score) {
        notes.push("percentageOfNodesToScore: all nodes are filtered and scored, which is faster here than a sample elsewhere".into());
    }
    for (field, is_there) in [
        ("parallelism", file.parallelism.is_some()),
        ("leaderElection", file.leader_election.is_some()),
        ("clientConnection", file.client_connection.is_some()),
        ("enableProfiling", file.enable_profiling.is_some()),
        (
            "enableContentionProfiling",
            file.enable_contention_profiling.is_some(),
        ),
        ("delayCacheUntilActive", file.delay_cache_until_active.is_some()),
    ] {
        if is_there {
            notes.push(format!("{field}: has no meaning here"));
        }
    }
    Ok(Scheduling {
        profiles,
        backoff: BackoffBounds { first, longest },
        extenders,
        notes,
    })
}

fn check_percentage(path: &str, percentage: Option<i32>) -> Result<()> {
    if percentage.is_some_and(|percentage| !(0..=100).contains(&percentage)) {
        bail!("{path}: not in valid range [0-100]");
    }
    Ok(())
}

#[cfg(test)]
mod tests;
