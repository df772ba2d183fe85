//! `orrery what-if`: where a Pod would go in a cluster that is changed in thought.

use super::{Asking, pod_name, refused};
use crate::manifest::{self, FileArgs};
use crate::session;
use anyhow::{Context, Result, anyhow, bail};
use client::{Api, Client};
use component_base::clock::Clock;
use proto::api::core::v1::{Node, Pod, Taint};
use proto::orrery::v1::hypothetical_change::Change;
use proto::orrery::v1::{CreateRequest, ExplainRequest, HypotheticalChange, WhatIfRequest};
use proto::{Kind, Object, Quantity};
use std::collections::BTreeMap;

/// Say where a Pod would go if the cluster, or the Pod, were another. Nothing is changed.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  orrery what-if pod/web-1 --cordon node-3\n  \
    orrery what-if pod/web-1 --allocatable node-1:cpu=8 --remove-pod batch-7\n  \
    orrery what-if -f pod.yaml                  # a Pod that does not exist\n  \
    orrery what-if pod/web-1 -f new-nodes.yaml  # Nodes in -f are added; Pods with spec.nodeName are put there")]
pub struct Args {
    /// pod/NAME, or NAME. Without it, the first Pod in -f that names no node.
    #[arg(value_name = "POD")]
    pod: Option<String>,
    /// A cordoned node.
    #[arg(long, value_name = "NODE")]
    cordon: Vec<String>,
    /// An uncordoned node.
    #[arg(long, value_name = "NODE")]
    uncordon: Vec<String>,
    /// A node that is gone.
    #[arg(long, value_name = "NODE")]
    remove_node: Vec<String>,
    /// A Pod of the namespace that is gone.
    #[arg(long, value_name = "POD")]
    remove_pod: Vec<String>,
    /// What a node gives: node-1:cpu=8.
    #[arg(long, value_name = "NODE:RESOURCE=AMOUNT")]
    allocatable: Vec<String>,
    /// A node's label: node-1:disk=ssd; node-1:disk= takes it away.
    #[arg(long, value_name = "NODE:KEY=VALUE")]
    label: Vec<String>,
    /// A taint on a node: node-1:dedicated=gpu:NoSchedule.
    #[arg(long, value_name = "NODE:KEY=VALUE:EFFECT")]
    taint: Vec<String>,
    /// A taint that a node has no longer, by its key: node-1:dedicated.
    #[arg(long, value_name = "NODE:KEY")]
    untaint: Vec<String>,
    #[command(flatten)]
    files: FileArgs,
    #[command(flatten)]
    asking: Asking,
}

/// Runs the command.
pub async fn run(args: Args, clock: Clock) -> Result<()> {
    let client = session::connect(&args.asking.server, &clock).await?;
    let mut changes: Vec<Change> = Vec::new();
    let mut thought: Option<Pod> = None;
    if !args.files.file.is_empty() {
        let namespace = &args.asking.namespace.namespace;
        for manifest in manifest::load(&args.files, Some(namespace))? {
            let manifest = manifest?;
            let place = manifest.place.clone();
            add(&client, manifest, &args, &mut changes, &mut thought)
                .await
                .context(place)?;
        }
    }
    let nodes = edited(&client, &args).await?;
    changes.extend(nodes.iter().map(|node| Change::Node(Object::encode_from(node))));
    changes.extend(args.remove_node.iter().cloned().map(Change::RemoveNode));
    changes.extend(args.remove_pod.iter().map(|pod| {
        Change::RemovePod(ExplainRequest {
            namespace: args.asking.namespace.namespace.clone(),
            pod: pod.clone(),
            ..ExplainRequest::default()
        })
    }));
    let name = match (&args.pod, &thought) {
        (Some(word), _) => pod_name(word)?,
        (None, Some(pod)) => pod.name().to_owned(),
        (None, None) => bail!("which Pod? Name one as pod/NAME, or give a manifest of one with -f"),
    };
    let request = WhatIfRequest {
        ask: Some(args.asking.request(&name)),
        pod: thought.as_ref().map(Object::encode_from),
        changes: changes
            .into_iter()
            .map(|change| HypotheticalChange { change: Some(change) })
            .collect(),
    };
    let mut scheduler = args.asking.scheduler().await?;
    let answer = scheduler
        .what_if(request)
        .await
        .map_err(|status| refused(&status))?;
    args.asking.print(&name, &answer.into_inner())
}

/// Takes in an object of -f.
async fn add(
    client: &Client,
    manifest: manifest::Manifest,
    args: &Args,
    changes: &mut Vec<Change>,
    thought: &mut Option<Pod>,
) -> Result<()> {
    let decoded = apimachinery::json::from_value(&manifest.value, apimachinery::json::Unknown::Strict)
        .map_err(|faults| anyhow!("{faults}"))?;
    let object = Object {
        number: decoded.number,
        bytes: decoded.bytes,
    };
    if object.number == Node::NUMBER {
        changes.push(Change::Node(object));
        return Ok(());
    }
    if object.number != Pod::NUMBER {
        bail!(
            "only Nodes and Pods can be thought of, and this is a {}",
            manifest.info.singular
        );
    }
    // A dry run fills in what the API would: defaults, and the priority of its class.
    let request = CreateRequest {
        object: Some(object),
        dry_run: true,
        ..CreateRequest::default()
    };
    let pod: Pod = client.create(request).await?.decode_as()?;
    let has_node = pod.spec.as_ref().is_some_and(|spec| !spec.node_name.is_empty());
    if has_node {
        changes.push(Change::Pod(Object::encode_from(&pod)));
    } else if thought.is_none() && args.pod.is_none() {
        *thought = Some(pod);
    } else {
        bail!("a second Pod without spec.nodeName: one is asked about, the others need a node");
    }
    Ok(())
}

/// The nodes that flags change, as they would be.
async fn edited(client: &Client, args: &Args) -> Result<Vec<Node>> {
    let api: Api<Node> = Api::new(client.clone());
    let mut nodes: BTreeMap<String, Node> = BTreeMap::new();
    for (flag, values) in [
        ("--cordon", &args.cordon),
        ("--uncordon", &args.uncordon),
        ("--allocatable", &args.allocatable),
        ("--label", &args.label),
        ("--taint", &args.taint),
        ("--untaint", &args.untaint),
    ] {
        for value in values {
            let (name, edit) = value.split_once(':').unwrap_or((value, ""));
            if !nodes.contains_key(name) {
                nodes.insert(name.into(), api.get("", name).await?);
            }
            if let Some(node) = nodes.get_mut(name) {
                change(node, flag, edit).with_context(|| format!("{flag} {value}"))?;
            }
        }
    }
    Ok(nodes.into_values().collect())
}

fn change(node: &mut Node, flag: &str, edit: &str) -> Result<()> {
    let pair = || {
        edit.split_once('=')
            .context("is not KEY=VALUE behind the node's name")
    };
    match flag {
        "--cordon" | "--uncordon" => {
            node.spec.get_or_insert_default().unschedulable = flag == "--cordon";
        }
        "--allocatable" => {
            let (resource, amount) = pair()?;
            let quantity = Quantity {
                string: amount.into(),
            };
            apimachinery::quantity::Quantity::try_from(&quantity)?;
            let status = node.status.get_or_insert_default();
            status.allocatable.insert(resource.into(), quantity);
        }
        "--label" => {
            let (key, value) = pair()?;
            let labels = &mut node.metadata_mut().labels;
            if value.is_empty() {
                labels.remove(key);
            } else {
                labels.insert(key.into(), value.into());
            }
        }
        "--taint" => {
            let (taint, effect) = edit
                .rsplit_once(':')
                .context("is not KEY=VALUE:EFFECT behind the node's name")?;
            if !["NoSchedule", "PreferNoSchedule", "NoExecute"].contains(&effect) {
                bail!("{effect:?} is no effect: NoSchedule, PreferNoSchedule or NoExecute");
            }
            let (key, value) = taint.split_once('=').unwrap_or((taint, ""));
            node.spec.get_or_insert_default().taints.push(Taint {
                key: key.into(),
                value: value.into(),
                effect: effect.into(),
                time_added: None,
            });
        }
        _ => node
            .spec
            .get_or_insert_default()
            .taints
            .retain(|taint| taint.key != edit),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_change_nodes() {
        let mut node = Node::default();
        for (flag, edit) in [
            ("--cordon", ""),
            ("--allocatable", "cpu=8"),
            ("--label", "disk=ssd"),
            ("--label", "old=1"),
            ("--label", "old="),
            ("--taint", "a=b:NoSchedule"),
            ("--taint", "gone:NoExecute"),
            ("--untaint", "gone"),
        ] {
            change(&mut node, flag, edit).unwrap();
        }
        let spec = node.spec.clone().unwrap();
        assert!(spec.unschedulable);
        assert_eq!((spec.taints.len(), spec.taints[0].value.as_str()), (1, "b"));
        assert_eq!(node.status.clone().unwrap().allocatable["cpu"].string, "8");
        assert_eq!(node.meta().labels, [("disk".to_owned(), "ssd".to_owned())].into());
        for (flag, edit, said) in [
            ("--allocatable", "cpu", "KEY=VALUE"),
            ("--allocatable", "cpu=much", "much"),
            ("--taint", "a=b:Never", "is no effect"),
        ] {
            let error = format!("{:#}", change(&mut node, flag, edit).unwrap_err());
            assert!(error.contains(said), "{error}");
        }
    }
}
