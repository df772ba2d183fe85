//! `extenders`: who else has a say, as upstream names and checks it.

use crate::extender::{Extender, Extenders, TIMEOUT};
use anyhow::{Result, bail};
use component_base::flag::duration;
use serde::Deserialize;
use serde_json::Value;

/// An extender as it is written.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub(super) struct ExtenderConfig {
    url_prefix: String,
    filter_verb: String,
    preempt_verb: String,
    prioritize_verb: String,
    weight: i64,
    bind_verb: String,
    #[serde(rename = "enableHTTPS")]
    enable_https: bool,
    tls_config: Option<Value>,
    http_timeout: Option<String>,
    node_cache_capable: bool,
    managed_resources: Vec<ManagedResource>,
    ignorable: bool,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ManagedResource {
    name: String,
    #[serde(default)]
    ignored_by_scheduler: bool,
}

/// Reads them all; also the resources that only they look at.
///
/// # Errors
/// Names the field.
pub(super) fn read(configured: Vec<ExtenderConfig>) -> Result<(Extenders, Vec<String>)> {
    let mut ignored = Vec::new();
    let mut managed: Vec<String> = Vec::new();
    let mut extenders: Vec<Extender> = Vec::new();
    for (place, config) in configured.into_iter().enumerate() {
        let path = format!("extenders[{place}]");
        for (number, resource) in config.managed_resources.iter().enumerate() {
            let path = format!("{path}.managedResources[{number}].name");
            if !resource.name.contains('/') || resource.name.starts_with("kubernetes.io/") {
                bail!(
                    "{path}: {:?} is no extended resource, as in example.com/gpu",
                    resource.name
                );
            }
            if managed.contains(&resource.name) {
                bail!("{path}: Duplicate value: {:?}", resource.name);
            }
            managed.push(resource.name.clone());
            if resource.ignored_by_scheduler {
                ignored.push(resource.name.clone());
            }
        }
        let extender = one(&path, config)?;
        if extender.bind.is_some() && extenders.iter().any(|other| other.bind.is_some()) {
            bail!("{path}.bindVerb: found 2 extenders implementing bind, of which there may be one");
        }
        extenders.push(extender);
    }
    Ok((Extenders::new(extenders), ignored))
}

fn one(path: &str, config: ExtenderConfig) -> Result<Extender> {
    if config.enable_https || config.tls_config.is_some() || config.url_prefix.starts_with("https:") {
        bail!(
            "{path}: HTTPS is not spoken here: let the extender listen on HTTP, or put a proxy in front of it"
        );
    }
    if config.url_prefix.is_empty() {
        bail!("{path}.urlPrefix: Required value: as in http://127.0.0.1:8888/scheduler");
    }
    let url_prefix = if config.url_prefix.contains("://") {
        config.url_prefix
    } else {
        format!("http://{}", config.url_prefix)
    };
    if url_prefix.parse::<hyper::Uri>().is_err() {
        bail!("{path}.urlPrefix: {url_prefix:?} is no URL");
    }
    let verb = |verb: String| (!verb.is_empty()).then_some(verb);
    let prioritize = verb(config.prioritize_verb);
    if prioritize.is_some() && config.weight <= 0 {
        bail!("{path}.weight: must have a positive weight applied to it");
    }
    let timeout = match config.http_timeout.as_deref().map(duration) {
        None => TIMEOUT,
        Some(Ok(timeout)) if timeout.is_zero() => TIMEOUT,
        Some(Ok(timeout)) => timeout,
        Some(Err(why)) => bail!("{path}.httpTimeout: {why}"),
    };
    let resources = config.managed_resources.into_iter();
    Ok(Extender {
        url_prefix,
        filter: verb(config.filter_verb),
        prioritize,
        weight: config.weight,
        preempt: verb(config.preempt_verb),
        bind: verb(config.bind_verb),
        timeout,
        node_cache_capable: config.node_cache_capable,
        managed_resources: resources.map(|resource| resource.name).collect(),
        ignorable: config.ignorable,
    })
}
