//! `orrery apply`: makes objects be as manifests say.
//!
//! What was applied last is kept in an annotation, so that what the user took out of a manifest is taken out of the
//! object, and what others wrote stays. <https://kubernetes.io/docs/tasks/manage-kubernetes-objects/declarative-config/>
//! A write that would change nothing is not sent. With `--server-side` the server does all of it, and keeps in the object who
//! owns which of its fields. <https://kubernetes.io/docs/reference/using-api/server-side-apply/>

use crate::cli::ServerArgs;
use crate::manifest::{self, FileArgs, Manifest};
use crate::resource;
use crate::session;
use anyhow::{Context, Result, bail};
use apimachinery::apply::{LAST_APPLIED, three_way};
use apimachinery::json::{self, Unknown};
use client::Client;
use component_base::clock::Clock;
use proto::Object;
use proto::orrery::v1::CreateRequest;
use proto::orrery::v1::patch_request::Type;
use serde_json::{Map, Value, json};

/// Create or change objects as manifests say. What was taken out of a manifest since the last apply is removed.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  orrery apply -f examples/nginx.yaml\n  orrery apply -R -f manifests/\n  \
    orrery apply -f - --dry-run < pod.yaml\n  orrery apply --server-side --field-manager ci -f web.yaml"
)]
pub struct Args {
    #[command(flatten)]
    files: FileArgs,
    /// The namespace for objects that name none; one that names another is refused.
    #[arg(short, long, env = "ORRERY_NAMESPACE", value_name = "NAME")]
    namespace: Option<String>,
    /// Ask the server what would happen, and change nothing.
    #[arg(long)]
    dry_run: bool,
    /// Let the server merge. It refuses to change fields that others own.
    #[arg(long)]
    server_side: bool,
    /// With --server-side: take the fields that others own.
    #[arg(long, requires = "server_side")]
    force_conflicts: bool,
    /// With --server-side: the name under which fields are owned.
    #[arg(long, requires = "server_side", default_value = "orrery", value_name = "NAME")]
    field_manager: String,
    #[command(flatten)]
    server: ServerArgs,
}

/// What became of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Created,
    Configured,
    Unchanged,
    ServerSide,
}

impl Outcome {
    fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Configured => "configured",
            Self::Unchanged => "unchanged",
            Self::ServerSide => "serverside-applied",
        }
    }
}

/// Runs the command. Every object that can be applied is; an error says how many could not.
pub async fn run(args: Args, clock: Clock) -> Result<()> {
    if args.files.file.is_empty() {
        bail!("name a manifest with -f, for example `orrery apply -f examples/nginx.yaml`");
    }
    let client = session::connect(&args.server, &clock).await?;
    let manifests = manifest::load(&args.files, args.namespace.as_deref())?;
    let (mut failed, count) = (0, manifests.len());
    for manifest in manifests {
        let applied = match manifest {
            Ok(manifest) => apply(&client, &manifest, &args)
                .await
                .map(|outcome| (resource::label(manifest.info, &manifest.name), outcome))
                .with_context(|| manifest.place.clone()),
            Err(error) => Err(error),
        };
        match applied {
            Ok((label, outcome)) => {
                let note = if args.dry_run { " (server dry run)" } else { "" };
                println!("{label} {}{note}", outcome.as_str());
            }
            Err(error) => {
                // Without a server the rest fails in the same way, and each after a wait.
                if matches!(error.downcast_ref(), Some(client::Error::Transport { .. })) {
                    return Err(error);
                }
                eprintln!("{}", session::explain(&error));
                failed += 1;
            }
        }
    }
    if failed > 0 {
        bail!("{failed} of {count} objects could not be applied");
    }
    Ok(())
}

async fn apply(client: &Client, manifest: &Manifest, args: &Args) -> Result<Outcome> {
    if args.server_side {
        return server_side(client, manifest, args).await;
    }
    let dry_run = args.dry_run;
    let wanted = annotated(&manifest.value);
    session::retry(async || {
        match session::get(client, manifest.info, &manifest.namespace, &manifest.name).await {
            Ok(live) => configure(client, manifest, &wanted, &live, dry_run).await,
            Err(error) if error.is_not_found() => create(client, &wanted, dry_run).await,
            Err(error) => Err(error.into()),
        }
    })
    .await
}

async fn server_side(client: &Client, manifest: &Manifest, args: &Args) -> Result<Outcome> {
    let mut request = session::patch(
        manifest.info,
        &manifest.namespace,
        &manifest.name,
        &manifest.value,
    );
    request.set_type(Type::Apply);
    request.field_manager.clone_from(&args.field_manager);
    request.force = args.force_conflicts;
    request.dry_run = args.dry_run;
    client.patch(request).await?;
    Ok(Outcome::ServerSide)
}

async fn create(client: &Client, wanted: &Value, dry_run: bool) -> Result<Outcome> {
    let decoded = json::from_value(wanted, Unknown::Strict)?;
    let object = Object {
        number: decoded.number,
        bytes: decoded.bytes,
    };
    let request = CreateRequest {
        object: Some(object),
        dry_run,
        ..CreateRequest::default()
    };
    client.create(request).await?;
    Ok(Outcome::Created)
}

async fn configure(
    client: &Client,
    manifest: &Manifest,
    wanted: &Value,
    live: &Object,
    dry_run: bool,
) -> Result<Outcome> {
    let number = manifest.info.number;
    let live = session::tree(live)?;
    let annotations = &live["metadata"]["annotations"];
    let last = annotations.get(LAST_APPLIED).and_then(Value::as_str);
    if last.is_none() {
        eprintln!(
            "warning: {} was not made by `apply`, so that what it has beyond the manifest stays",
            resource::label(manifest.info, &manifest.name)
        );
    }
    // An annotation that somebody broke is as good as none.
    let last = last
        .and_then(|last| serde_json::from_str(last).ok())
        .unwrap_or(Value::Null);
    let merged = three_way(number, &last, wanted, &live);
    let Some(mut patch) = difference(&live, &merged) else {
        return Ok(Outcome::Unchanged);
    };
    let version = &live["metadata"]["resourceVersion"];
    if wanted["metadata"].get("resourceVersion").is_none() {
        patch["metadata"]["resourceVersion"] = version.clone();
    }
    let mut request = session::patch(manifest.info, &manifest.namespace, &manifest.name, &patch);
    request.dry_run = dry_run;
    let after = client.patch(request).await?;
    // The server knows better what is a change: `0.5` and `500m` are the same.
    if dry_run {
        let after = session::tree(&after)?;
        return Ok(if after == live {
            Outcome::Unchanged
        } else {
            Outcome::Configured
        });
    }
    let revision = apimachinery::wire::MetaView::parse(&after.bytes)?
        .resource_version
        .to_owned();
    Ok(if version.as_str() == Some(revision.as_str()) {
        Outcome::Unchanged
    } else {
        Outcome::Configured
    })
}

/// The object with the annotation that remembers it for the next apply.
fn annotated(value: &Value) -> Value {
    let mut remembered = value.clone();
    if let Some(annotations) = remembered["metadata"]
        .get_mut("annotations")
        .and_then(Value::as_object_mut)
    {
        annotations.shift_remove(LAST_APPLIED);
    }
    // The order of fields in a file means nothing.
    remembered.sort_all_objects();
    let mut wanted = value.clone();
    let annotations = &mut wanted["metadata"]["annotations"];
    annotations[LAST_APPLIED] = json!(format!("{remembered}\n"));
    wanted
}

/// The merge patch (RFC 7386) that leads from one object to another; `None` when they are the same.
fn difference(from: &Value, to: &Value) -> Option<Value> {
    let (Value::Object(old), Value::Object(new)) = (from, to) else {
        return (from != to).then(|| to.clone());
    };
    let mut patch = Map::new();
    for (name, value) in new {
        match old.get(name) {
            Some(before) => {
                if let Some(change) = difference(before, value) {
                    patch.insert(name.clone(), change);
                }
            }
            None => {
                patch.insert(name.clone(), value.clone());
            }
        }
    }
    for name in old.keys().filter(|name| !new.contains_key(*name)) {
        patch.insert(name.clone(), Value::Null);
    }
    (!patch.is_empty()).then_some(Value::Object(patch))
}

#[cfg(test)]
mod tests {
    use super::*;
    use apimachinery::patch::merge_patch;

    #[test]
    fn a_difference_leads_from_one_object_to_the_other_and_is_none_between_equals() {
        for (from, to, expected) in [
            (json!({"a": 1}), json!({"a": 1}), None),
            (json!({"a": 1, "b": 2}), json!({"a": 1}), Some(json!({"b": null}))),
            (
                json!({"a": {"x": 1, "y": [1]}}),
                json!({"a": {"x": 1, "y": [2]}, "c": "d"}),
                Some(json!({"a": {"y": [2]}, "c": "d"})),
            ),
            (json!({"a": {"x": 1}}), json!({"a": 5}), Some(json!({"a": 5}))),
        ] {
            let patch = difference(&from, &to);
            assert_eq!(patch, expected);
            if let Some(patch) = patch {
                assert_eq!(merge_patch(&from, &patch.to_string()), Ok(to));
            }
        }
    }

    #[test]
    fn what_is_remembered_has_no_memory_of_its_own_and_no_order() {
        let one = annotated(
            &json!({"kind": "Pod", "metadata": {"name": "a", "annotations": {"x": "y", LAST_APPLIED: "old"}}}),
        );
        let two = annotated(&json!({"metadata": {"annotations": {"x": "y"}, "name": "a"}, "kind": "Pod"}));
        let remembered = |value: &Value| value["metadata"]["annotations"][LAST_APPLIED].clone();
        assert_eq!(remembered(&one), remembered(&two));
        assert_eq!(
            remembered(&one),
            json!("{\"kind\":\"Pod\",\"metadata\":{\"annotations\":{\"x\":\"y\"},\"name\":\"a\"}}\n")
        );
    }
}
