//! `orrery rollout undo`: gives a Deployment the template of an earlier revision.

use crate::cli::ServerArgs;
use crate::resource;
use crate::session::{self, NamespaceArg};
use anyhow::{Context, Result, bail};
use apimachinery::well_known::CHANGE_CAUSE;
use client::{Api, Client};
use component_base::clock::Clock;
use proto::api::apps::v1::{Deployment, ReplicaSet};
use proto::{Kind, Object};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Go back to the revision before, or to a certain one.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// KIND/NAME or KIND NAME; the kind may be left out.
    #[arg(required = true, value_name = "KIND/NAME")]
    object: Vec<String>,
    /// Which revision; 0 is the one before the present.
    #[arg(long, default_value_t = 0, value_name = "N", value_parser = clap::value_parser!(i64).range(0..))]
    to_revision: i64,
    #[command(flatten)]
    namespace: NamespaceArg,
    #[command(flatten)]
    server: ServerArgs,
}

pub(super) async fn run(args: Args, clock: Clock) -> Result<()> {
    let client = session::connect(&args.server, &clock).await?;
    let name = super::deployment(&args.object)?;
    let label = resource::label(apimachinery::kinds::of::<Deployment>(), &name);
    match session::retry(async || undo(&client, &args, &name, &label).await).await? {
        Some(_) => println!("{label} rolled back"),
        None => println!(
            "{label} skipped rollback (current template already matches revision {})",
            args.to_revision
        ),
    }
    Ok(())
}

/// `None` when there is nothing to do.
async fn undo(client: &Client, args: &Args, name: &str, label: &str) -> Result<Option<Object>> {
    let namespace = &args.namespace.namespace;
    let deployment: Deployment = Api::new(client.clone()).get(namespace, name).await?;
    if deployment.spec.as_ref().is_some_and(|spec| spec.paused) {
        bail!("a paused deployment cannot be rolled back: run `orrery rollout resume {label}` first");
    }
    let revisions = super::revisions(client, &deployment).await?;
    let set = pick(&deployment, &revisions, args.to_revision).with_context(|| match args.to_revision {
        0 => format!("{label} has no earlier revision"),
        wanted => format!("{label} has no revision {wanted}: `orrery rollout history {label}` lists them"),
    })?;
    let Some(patch) = patch(&deployment, set)? else {
        return Ok(None);
    };
    let request = session::patch(apimachinery::kinds::of::<Deployment>(), namespace, name, &patch);
    Ok(Some(client.patch(request).await?))
}

/// The ReplicaSet to go back to.
fn pick<'a>(
    deployment: &Deployment,
    revisions: &'a BTreeMap<i64, ReplicaSet>,
    wanted: i64,
) -> Option<&'a ReplicaSet> {
    if wanted > 0 {
        return revisions.get(&wanted);
    }
    let newest = revisions.keys().next_back().copied().unwrap_or(0);
    let present = super::revision(&deployment.meta().annotations).max(newest);
    revisions.range(..present).next_back().map(|(_, set)| set)
}

/// The JSON patch to the ReplicaSet's template; `None` when the Deployment has it already.
fn patch(deployment: &Deployment, set: &ReplicaSet) -> Result<Option<Value>> {
    let now = session::tree(&Object::encode_from(deployment))?;
    let template = super::template(set)?;
    if now["spec"]["template"] == template {
        return Ok(None);
    }
    // Somebody else's newer template is not to be undone by accident.
    let mut changes = vec![
        json!({"op": "replace", "path": "/metadata/resourceVersion", "value": deployment.meta().resource_version}),
        json!({"op": "replace", "path": "/spec/template", "value": template}),
    ];
    let path = format!("/metadata/annotations/{}", CHANGE_CAUSE.replace('/', "~1"));
    let had = deployment.meta().annotations.contains_key(CHANGE_CAUSE);
    match set.meta().annotations.get(CHANGE_CAUSE) {
        // The Deployment has annotations: that of its revision at least.
        Some(cause) => changes.push(json!({"op": "add", "path": path, "value": cause})),
        None if had => changes.push(json!({"op": "remove", "path": path})),
        None => {}
    }
    Ok(Some(Value::Array(changes)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use apimachinery::patch::json_patch;
    use apimachinery::well_known::{POD_TEMPLATE_HASH, REVISION};
    use proto::api::apps::v1::{DeploymentSpec, ReplicaSetSpec};
    use proto::api::core::v1::{PodSpec, PodTemplateSpec};

    fn template(node: &str, hash: Option<&str>) -> PodTemplateSpec {
        let mut template = PodTemplateSpec {
            spec: Some(PodSpec {
                node_name: node.into(),
                ..PodSpec::default()
            }),
            ..PodTemplateSpec::default()
        };
        let labels = &mut template.metadata.get_or_insert_default().labels;
        labels.insert("app".into(), "web".into());
        labels.extend(hash.map(|hash| (POD_TEMPLATE_HASH.to_owned(), hash.to_owned())));
        template
    }

    fn set(revision: i64, node: &str) -> (i64, ReplicaSet) {
        let mut set = ReplicaSet {
            spec: Some(ReplicaSetSpec {
                template: Some(template(node, Some("h"))),
                ..ReplicaSetSpec::default()
            }),
            ..ReplicaSet::default()
        };
        set.metadata_mut()
            .annotations
            .insert(REVISION.into(), revision.to_string());
        (revision, set)
    }

    #[test]
    fn undo_brings_back_the_template_of_the_revision_before_or_of_a_certain_one() {
        let mut deployment = Deployment {
            spec: Some(DeploymentSpec {
                template: Some(template("now", None)),
                ..DeploymentSpec::default()
            }),
            ..Deployment::default()
        };
        deployment
            .metadata_mut()
            .annotations
            .insert(REVISION.into(), "5".into());
        let revisions: BTreeMap<_, _> = [set(2, "oldest"), set(4, "older"), set(5, "now")].into();
        for (wanted, expected) in [(0, Some("older")), (2, Some("oldest")), (3, None)] {
            let found = pick(&deployment, &revisions, wanted);
            let node = |set: &ReplicaSet| super::super::template(set).unwrap()["spec"]["nodeName"].clone();
            assert_eq!(found.map(node), expected.map(|node| json!(node)), "{wanted}");
        }
        assert_eq!(patch(&deployment, &revisions[&5]).unwrap(), None);
        let patch = patch(&deployment, &revisions[&4]).unwrap().unwrap();
        let mut before = session::tree(&Object::encode_from(&deployment)).unwrap();
        before["metadata"]["resourceVersion"] = json!("1");
        let after = json_patch(&before, &patch.to_string()).unwrap();
        assert_eq!(after["spec"]["template"]["spec"]["nodeName"], "older");
        assert_eq!(
            after["spec"]["template"]["metadata"]["labels"],
            json!({"app": "web"})
        );
    }
}
