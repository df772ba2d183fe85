//! `orrery rollout status`: follows a rollout to its end.

use crate::cli::ServerArgs;
use crate::follow::{self, Seen};
use crate::session::{self, NamespaceArg};
use anyhow::{Result, bail};
use apimachinery::meta::get_condition;
use client::Api;
use component_base::clock::Clock;
use proto::Kind;
use proto::api::apps::v1::Deployment;
use std::time::Duration;

/// Show how far a rollout is, until it is done.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// KIND/NAME or KIND NAME; the kind may be left out.
    #[arg(required = true, value_name = "KIND/NAME")]
    object: Vec<String>,
    /// Follow it to its end, rather than show where it is.
    #[arg(short, long, default_value_t = true, action = clap::ArgAction::Set, value_name = "BOOL")]
    watch: bool,
    /// Give up after this time; 0 waits as long as it takes.
    #[arg(long, value_parser = follow::duration, value_name = "DURATION")]
    timeout: Option<Duration>,
    #[command(flatten)]
    namespace: NamespaceArg,
    #[command(flatten)]
    server: ServerArgs,
}

/// Where a rollout is.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Stage {
    Done(String),
    Underway(String),
    Failed(String),
}

pub(super) async fn run(args: Args, clock: Clock) -> Result<()> {
    let client = session::connect(&args.server, &clock).await?;
    let name = super::deployment(&args.object)?;
    let namespace = &args.namespace.namespace;
    let deployment: Deployment = Api::new(client.clone()).get(namespace, &name).await?;
    let mut told = tell(&stage(&deployment), None)?;
    if !args.watch || told.is_none() {
        return Ok(());
    }
    let info = apimachinery::kinds::of::<Deployment>();
    let target = follow::target(info, namespace, &name);
    let late = format!("deployment {name:?} has not rolled out");
    follow::until(&client, target, follow::limit(args.timeout), &late, |seen| {
        let Seen::Is(object) = seen else {
            bail!("deployment {name:?} was deleted");
        };
        told = tell(&stage(&object.decode_as()?), told.take())?;
        Ok(told.is_none().then_some(()))
    })
    .await
}

/// Prints what was not said yet. What was said is given back as long as there is more to come.
fn tell(stage: &Stage, told: Option<String>) -> Result<Option<String>> {
    match stage {
        Stage::Failed(text) => bail!("{text}"),
        Stage::Done(text) => {
            println!("{text}");
            Ok(None)
        }
        Stage::Underway(text) => {
            if told.as_ref() != Some(text) {
                println!("{text}");
            }
            Ok(Some(text.clone()))
        }
    }
}

fn stage(deployment: &Deployment) -> Stage {
    let name = deployment.name();
    let wanted = deployment
        .spec
        .as_ref()
        .and_then(|spec| spec.replicas)
        .unwrap_or(0);
    let status = deployment.status.clone().unwrap_or_default();
    let waiting = |why: String| {
        Stage::Underway(format!(
            "Waiting for deployment {name:?} rollout to finish: {why}..."
        ))
    };
    if deployment.meta().generation > status.observed_generation {
        return Stage::Underway("Waiting for deployment spec update to be observed...".into());
    }
    let progressing = get_condition(&status.conditions, "Progressing");
    if progressing.is_some_and(|condition| condition.reason == "ProgressDeadlineExceeded") {
        return Stage::Failed(format!("deployment {name:?} exceeded its progress deadline"));
    }
    let (updated, available) = (status.updated_replicas, status.available_replicas);
    if updated < wanted {
        return waiting(format!(
            "{updated} out of {wanted} new replicas have been updated"
        ));
    }
    if status.replicas > updated {
        let old = status.replicas - updated;
        return waiting(format!("{old} old replicas are pending termination"));
    }
    if available < updated {
        return waiting(format!("{available} of {updated} updated replicas are available"));
    }
    Stage::Done(format!("deployment {name:?} successfully rolled out"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::api::apps::v1::{DeploymentCondition, DeploymentSpec, DeploymentStatus};

    #[test]
    fn a_rollout_is_told_stage_by_stage_in_kubectls_words() {
        // Observed generation; replicas, updated, available; the Progressing condition's reason.
        for (observed, [all, updated, available], reason, expected) in [
            (
                1,
                [3, 3, 3],
                "",
                "Waiting for deployment spec update to be observed...",
            ),
            (
                2,
                [3, 1, 3],
                "",
                "Waiting for deployment \"web\" rollout to finish: 1 out of 3 new replicas have been updated...",
            ),
            (
                2,
                [4, 3, 3],
                "",
                "Waiting for deployment \"web\" rollout to finish: 1 old replicas are pending termination...",
            ),
            (
                2,
                [3, 3, 2],
                "",
                "Waiting for deployment \"web\" rollout to finish: 2 of 3 updated replicas are available...",
            ),
            (2, [3, 3, 3], "", "deployment \"web\" successfully rolled out"),
            (
                2,
                [3, 1, 1],
                "ProgressDeadlineExceeded",
                "deployment \"web\" exceeded its progress deadline",
            ),
        ] {
            let mut deployment = Deployment {
                spec: Some(DeploymentSpec {
                    replicas: Some(3),
                    ..DeploymentSpec::default()
                }),
                status: Some(DeploymentStatus {
                    observed_generation: observed,
                    replicas: all,
                    updated_replicas: updated,
                    available_replicas: available,
                    conditions: vec![DeploymentCondition {
                        r#type: "Progressing".into(),
                        reason: reason.into(),
                        ..DeploymentCondition::default()
                    }],
                    ..DeploymentStatus::default()
                }),
                ..Deployment::default()
            };
            deployment.metadata_mut().name = "web".into();
            deployment.metadata_mut().generation = 2;
            let (Stage::Done(text) | Stage::Underway(text) | Stage::Failed(text)) = stage(&deployment);
            assert_eq!(text, expected);
        }
    }
}
