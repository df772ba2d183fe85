//! `orrery rollout`: how far a Deployment's rollout is, what came before, and how to stop, redo or undo it.
//!
//! History is what the Deployment's ReplicaSets remember: each holds a template and the number of its revision.
//! <https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#rolling-back-a-deployment>

mod history;
mod status;
mod undo;

use crate::cli::ServerArgs;
use crate::resource::{self, Kind};
use crate::session::{self, NamespaceArg};
use anyhow::{Result, bail};
use apimachinery::owner::is_controlled_by;
use apimachinery::selector::LabelSelector;
use apimachinery::well_known::{RESTARTED_AT, REVISION};
use clap::Subcommand;
use client::api::ListOptions;
use client::{Api, Client};
use component_base::clock::Clock;
use proto::Kind as _;
use proto::api::apps::v1::{DaemonSet, Deployment, ReplicaSet, StatefulSet};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// See, stop, redo or undo the rollout of a Deployment.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  orrery rollout status deployment/nginx\n  orrery rollout history deployment/nginx\n  \
    orrery rollout undo deployment/nginx --to-revision 2"
)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    Status(status::Args),
    History(history::Args),
    Undo(undo::Args),
    /// Hold a rollout: changes of the template wait until it is resumed.
    Pause(Plain),
    /// Let a held rollout go on.
    Resume(Plain),
    /// Replace all Pods, by the same rolling update as a new image would.
    Restart(Plain),
}

/// What most of the commands need.
#[derive(Debug, clap::Args)]
struct Plain {
    /// KIND/NAME or KIND NAME; the kind may be left out for a Deployment.
    #[arg(required = true, value_name = "KIND/NAME")]
    objects: Vec<String>,
    #[command(flatten)]
    namespace: NamespaceArg,
    #[command(flatten)]
    server: ServerArgs,
}

/// Runs the command.
pub async fn run(args: Args, clock: Clock) -> Result<()> {
    match args.what {
        What::Status(args) => status::run(args, clock).await,
        What::History(args) => history::run(args, clock).await,
        What::Undo(args) => undo::run(args, clock).await,
        What::Pause(args) => pause(args, clock, true).await,
        What::Resume(args) => pause(args, clock, false).await,
        What::Restart(args) => restart(args, clock).await,
    }
}

async fn pause(args: Plain, clock: Clock, paused: bool) -> Result<()> {
    let client = session::connect(&args.server, &clock).await?;
    for name in deployments(&args.objects)? {
        let info = apimachinery::kinds::of::<Deployment>();
        let label = resource::label(info, &name);
        let deployment: Deployment = Api::new(client.clone())
            .get(&args.namespace.namespace, &name)
            .await?;
        if deployment.spec.as_ref().is_some_and(|spec| spec.paused) == paused {
            bail!("{label} is {} already", if paused { "paused" } else { "running" });
        }
        let body = json!({"spec": {"paused": paused}});
        client
            .patch(session::patch(info, &args.namespace.namespace, &name, &body))
            .await?;
        println!("{label} {}", if paused { "paused" } else { "resumed" });
    }
    Ok(())
}

async fn restart(args: Plain, clock: Clock) -> Result<()> {
    let client = session::connect(&args.server, &clock).await?;
    for (info, name) in targets(&args.objects)? {
        let label = resource::label(info, &name);
        if ![Deployment::NUMBER, StatefulSet::NUMBER, DaemonSet::NUMBER].contains(&info.number) {
            bail!(
                "{label} cannot be restarted: only Deployments, StatefulSets and DaemonSets replace their Pods"
            );
        }
        if info.number == Deployment::NUMBER {
            let deployment: Deployment = Api::new(client.clone())
                .get(&args.namespace.namespace, &name)
                .await?;
            if deployment.spec.as_ref().is_some_and(|spec| spec.paused) {
                bail!("{label} is paused: run `orrery rollout resume {label}` first");
            }
        }
        let now = clock.wall().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        let body = json!({"spec": {"template": {"metadata": {"annotations": {RESTARTED_AT: now}}}}});
        client
            .patch(session::patch(info, &args.namespace.namespace, &name, &body))
            .await?;
        println!("{label} restarted");
    }
    Ok(())
}

/// What the words name; a word without a kind names a Deployment.
fn targets(words: &[String]) -> Result<Vec<(Kind, String)>> {
    match words {
        [name] if !name.contains('/') => Ok(vec![(apimachinery::kinds::of::<Deployment>(), name.clone())]),
        words => resource::objects(words),
    }
}

fn deployments(words: &[String]) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for (info, name) in targets(words)? {
        if info.number != Deployment::NUMBER {
            bail!(
                "{} has no rollout: only Deployments have one here",
                resource::label(info, &name)
            );
        }
        names.push(name);
    }
    Ok(names)
}

fn deployment(words: &[String]) -> Result<String> {
    match deployments(words)?.as_slice() {
        [name] => Ok(name.clone()),
        _ => bail!("name one Deployment, not several"),
    }
}

/// The revision that a Deployment or ReplicaSet stands for; 0 before it has one.
fn revision(annotations: &BTreeMap<String, String>) -> i64 {
    annotations
        .get(REVISION)
        .and_then(|text| text.parse().ok())
        .unwrap_or(0)
}

/// A Deployment's ReplicaSets by their revisions.
async fn revisions(client: &Client, deployment: &Deployment) -> Result<BTreeMap<i64, ReplicaSet>> {
    let selector = deployment.spec.as_ref().and_then(|spec| spec.selector.as_ref());
    let options = ListOptions {
        namespace: deployment.namespace().into(),
        label_selector: LabelSelector::from_proto(selector)?.to_string(),
        ..ListOptions::default()
    };
    let sets = Api::<ReplicaSet>::new(client.clone()).list(options).await?.items;
    let own = sets
        .into_iter()
        .filter(|set| is_controlled_by(set.meta(), deployment.uid()));
    Ok(own
        .map(|set| (revision(&set.meta().annotations), set))
        .filter(|(revision, _)| *revision > 0)
        .collect())
}

/// A ReplicaSet's template as its Deployment had it.
fn template(set: &ReplicaSet) -> Result<Value> {
    let mut set = set.clone();
    if let Some(meta) = set
        .spec
        .as_mut()
        .and_then(|spec| spec.template.as_mut())
        .and_then(|template| template.metadata.as_mut())
    {
        meta.labels.remove(apimachinery::well_known::POD_TEMPLATE_HASH);
    }
    let value = session::tree(&proto::Object::encode_from(&set))?;
    Ok(value["spec"]["template"].clone())
}
