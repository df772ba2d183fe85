//! `orrery why`: the chain of writes that led to an object, back to a user's.
//!
//! Every write says who made it and which earlier write made that writer act. Following the causes from an object's
//! first write ends at a write that nothing but somebody's own will caused: a user's, or a component's that looks at a
//! clock or at its own flags. In: the server's log. Out: one line a step, first cause first.

mod difference;

use crate::cli::ServerArgs;
use crate::resource;
use crate::session::{self, NamespaceArg};
use anyhow::{Result, bail};
use apimachinery::kinds;
use apimachinery::printers::text::age;
use clap::ValueEnum;
use client::Client;
use component_base::clock::Clock;
use component_base::time::timestamp;
use jiff::Timestamp;
use proto::orrery::v1::{Change, ListChangesRequest};
use serde_json::{Value, json};

/// The longest chain that is followed. Kubernetes' own are a handful of steps: a user, a Deployment, a ReplicaSet, a Pod.
const MAX_STEPS: usize = 100;

/// Show the chain of writes that led to an object, back to a user's.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  orrery why pod/nginx-5d8f4b9c7-x2x4z         # why was it made?\n  \
    orrery why pod/nginx-5d8f4b9c7-x2x4z --latest  # why is it as it is now?\n  \
    orrery why deployment/nginx --all              # every write to it that is still known"
)]
pub struct Args {
    /// KIND/NAME or KIND NAME. The object may be gone already.
    #[arg(required = true, value_name = "KIND/NAME")]
    object: Vec<String>,
    /// Ask about the last write to the object rather than the first.
    #[arg(long, conflicts_with = "revision")]
    latest: bool,
    /// Ask about this write.
    #[arg(long, value_name = "REVISION")]
    revision: Option<i64>,
    /// List the writes to the object itself instead.
    #[arg(long, conflicts_with_all = ["latest", "revision"])]
    all: bool,
    /// How to print.
    #[arg(short, long, value_enum, default_value = "text")]
    output: Format,
    #[command(flatten)]
    namespace: NamespaceArg,
    #[command(flatten)]
    server: ServerArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Json,
}

/// One write of the chain.
#[derive(Clone, Debug, PartialEq)]
struct Step {
    revision: i64,
    cause: i64,
    time: Option<proto::Timestamp>,
    actor: String,
    /// `created`, `updated`, `deleted`.
    verb: &'static str,
    /// `pod/web-1`.
    object: String,
    namespace: String,
    /// `replicas 0→3`.
    reason: String,
}

/// Runs the command.
pub async fn run(args: Args, clock: Clock) -> Result<()> {
    let client = session::connect(&args.server, &clock).await?;
    let (info, name) = resource::object(&args.object)?;
    let request = ListChangesRequest {
        kind: info.resource(),
        namespace: args.namespace.of(info),
        name: name.clone(),
        limit: 0,
    };
    let label = resource::label(info, &name);
    let changes = client.changes(request).await?;
    let (Some(newest), Some(oldest)) = (changes.changes.first(), changes.changes.last()) else {
        bail!(
            "the log knows of no write to {label}: it never was, or its writes are older than what is kept"
        );
    };
    let (steps, cut) = if args.all {
        let steps = changes.changes.iter().rev().map(step).collect::<Result<_>>()?;
        (
            steps,
            oldest.before.is_some().then_some(changes.compacted_revision),
        )
    } else {
        let start = match args.revision {
            Some(revision) => client.change(revision).await?,
            None if args.latest => newest.clone(),
            None => oldest.clone(),
        };
        chain(&client, start).await?
    };
    match args.output {
        Format::Json => {
            let steps: Vec<Value> = steps.iter().map(as_json).collect();
            println!(
                "{}",
                serde_json::to_string_pretty(&json!({"steps": steps, "olderIsCompacted": cut}))?
            );
        }
        Format::Text => print!("{}", text(&steps, cut, !args.all, clock.wall())),
    }
    Ok(())
}

/// The writes that led to `start`, first cause first; and where the log ends, if the first cause is no longer in it.
async fn chain(client: &Client, start: Change) -> Result<(Vec<Step>, Option<i64>)> {
    let (mut steps, mut change) = (vec![step(&start)?], start);
    let mut cut = None;
    while change.cause > 0 && steps.len() < MAX_STEPS {
        let cause = change.cause;
        if cause >= change.revision {
            bail!(
                "the log is broken: revision {} says that {cause} caused it",
                change.revision
            );
        }
        change = match client.change(cause).await {
            Ok(change) => change,
            Err(error) if error.is_expired() || error.is_not_found() => {
                cut = Some(cause);
                break;
            }
            Err(error) => return Err(error.into()),
        };
        steps.push(step(&change)?);
    }
    steps.reverse();
    Ok((steps, cut))
}

fn step(change: &Change) -> Result<Step> {
    let info = kinds::lookup(&change.kind);
    let tree = |object: &Option<proto::Object>| object.as_ref().map(session::tree).transpose();
    let (before, after) = (tree(&change.before)?, tree(&change.after)?);
    let (verb, reason) = difference::describe(before.as_ref(), after.as_ref());
    Ok(Step {
        revision: change.revision,
        cause: change.cause,
        time: change.time,
        actor: change.actor.clone(),
        verb,
        object: info.map_or_else(
            || format!("{}/{}", change.kind.to_lowercase(), change.name),
            |info| resource::label(info, &change.name),
        ),
        namespace: change.namespace.clone(),
        reason,
    })
}

fn as_json(step: &Step) -> Value {
    json!({
        "revision": step.revision,
        "cause": step.cause,
        "time": step.time.as_ref().map(|time| timestamp(time).to_string()),
        "actor": step.actor,
        "verb": step.verb,
        "namespace": step.namespace,
        "object": step.object,
        "reason": step.reason,
    })
}

/// A line for each step. In a chain, each stands below the one that caused it.
fn text(steps: &[Step], cut: Option<i64>, nested: bool, now: Timestamp) -> String {
    let mut text = String::new();
    if let Some(revision) = cut {
        text += &format!("(what came before, up to revision {revision}, is no longer kept)\n");
    }
    for (depth, step) in steps.iter().enumerate() {
        let indent = match depth {
            0 => String::new(),
            _ if !nested => String::new(),
            depth => format!("{}└─ ", "   ".repeat(depth - 1)),
        };
        let Step {
            revision,
            actor,
            verb,
            object,
            reason,
            ..
        } = step;
        let reason = if reason.is_empty() {
            String::new()
        } else {
            format!(": {reason}")
        };
        let ago = age(step.time.as_ref(), now);
        text += &format!("{indent}{actor} {verb} {object}{reason} (revision {revision}, {ago} ago)\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(revision: i64, actor: &str, verb: &'static str, object: &str, reason: &str) -> Step {
        Step {
            revision,
            cause: 0,
            time: Some(proto::Timestamp { seconds: 0, nanos: 0 }),
            actor: actor.into(),
            verb,
            object: object.into(),
            namespace: "default".into(),
            reason: reason.into(),
        }
    }

    #[test]
    fn each_step_stands_below_its_cause() {
        let steps = [
            step(12, "alice", "updated", "deployment.apps/web", "replicas 0→3"),
            step(
                14,
                "controller-manager/deployment",
                "updated",
                "replicaset.apps/web-5d",
                "replicas 0→3",
            ),
            step(15, "controller-manager/replicaset", "created", "pod/web-5d-x", ""),
        ];
        let now = Timestamp::from_second(65).unwrap();
        insta::assert_snapshot!(text(&steps, Some(7), true, now), @r"
        (what came before, up to revision 7, is no longer kept)
        alice updated deployment.apps/web: replicas 0→3 (revision 12, 65s ago)
        └─ controller-manager/deployment updated replicaset.apps/web-5d: replicas 0→3 (revision 14, 65s ago)
           └─ controller-manager/replicaset created pod/web-5d-x (revision 15, 65s ago)
        ");
    }
}
