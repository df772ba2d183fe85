//! `orrery set image`: gives containers another image, which is what starts most rollouts.

use crate::cli::ServerArgs;
use crate::resource::{self, Kind};
use crate::session::{self, NamespaceArg};
use anyhow::{Context, Result, bail};
use apimachinery::wire::MetaView;
use clap::Subcommand;
use client::Client;
use component_base::clock::Clock;
use serde_json::{Value, json};

/// Change one thing of an object.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    Image(ImageArgs),
}

/// Give containers another image: `orrery set image deployment/nginx nginx=nginx:1.28`.
#[derive(Debug, clap::Args)]
struct ImageArgs {
    /// KIND/NAME or KIND NAME, then CONTAINER=IMAGE for each container; `*` is every container.
    #[arg(required = true, num_args = 2.., value_name = "KIND/NAME CONTAINER=IMAGE")]
    words: Vec<String>,
    #[command(flatten)]
    namespace: NamespaceArg,
    #[command(flatten)]
    server: ServerArgs,
}

/// Runs the command.
pub async fn run(args: Args, clock: Clock) -> Result<()> {
    let What::Image(args) = args.what;
    let (images, objects): (Vec<_>, Vec<_>) = args.words.into_iter().partition(|word| word.contains('='));
    let images: Vec<(&str, &str)> = images.iter().filter_map(|image| image.split_once('=')).collect();
    if images.is_empty() {
        bail!("say which container gets which image, for example nginx=nginx:1.28");
    }
    let client = session::connect(&args.server, &clock).await?;
    for (info, name) in resource::objects(&objects)? {
        let changed = set_image(&client, info, &args.namespace.of(info), &name, &images).await?;
        let told = if changed {
            "image updated"
        } else {
            "image unchanged"
        };
        println!("{} {told}", resource::label(info, &name));
    }
    Ok(())
}

async fn set_image(
    client: &Client,
    info: Kind,
    namespace: &str,
    name: &str,
    images: &[(&str, &str)],
) -> Result<bool> {
    session::retry(async || {
        let object = session::get(client, info, namespace, name).await?;
        let value = session::tree(&object)?;
        let revision = MetaView::parse(&object.bytes)?.resource_version;
        let patch = image_patch(&value, revision, images).with_context(|| resource::label(info, name))?;
        let Some(patch) = patch else { return Ok(false) };
        client
            .patch(session::patch(info, namespace, name, &patch))
            .await?;
        Ok(true)
    })
    .await
}

/// The JSON patch that sets the images; `None` when they are set already.
fn image_patch(object: &Value, revision: &str, images: &[(&str, &str)]) -> Result<Option<Value>> {
    let roots = [
        "/spec/template/spec",
        "/spec/jobTemplate/spec/template/spec",
        "/spec",
    ];
    let root = roots
        .into_iter()
        .find(|root| {
            object
                .pointer(root)
                .is_some_and(|spec| spec.get("containers").is_some())
        })
        .context("it has no containers")?;
    let mut changes = Vec::new();
    for (container, image) in images {
        let mut found = false;
        for list in ["initContainers", "containers"] {
            let at = format!("{root}/{list}");
            let containers = object.pointer(&at).and_then(Value::as_array);
            for (index, item) in containers.into_iter().flatten().enumerate() {
                if *container != "*" && item["name"] != **container {
                    continue;
                }
                found = true;
                if item["image"] != **image {
                    changes.push(
                        json!({"op": "replace", "path": format!("{at}/{index}/image"), "value": image}),
                    );
                }
            }
        }
        if !found {
            bail!("there is no container named {container:?}");
        }
    }
    if changes.is_empty() {
        return Ok(None);
    }
    // The indexes are those of this revision.
    changes.insert(
        0,
        json!({"op": "replace", "path": "/metadata/resourceVersion", "value": revision}),
    );
    Ok(Some(Value::Array(changes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_images_that_differ_are_patched_and_unknown_containers_are_told() {
        let object = json!({"spec": {"template": {"spec": {
            "initContainers": [{"name": "init", "image": "i:1"}],
            "containers": [{"name": "web", "image": "web:1"}, {"name": "log", "image": "log:1"}],
        }}}});
        let paths = |images: &[(&str, &str)]| -> Vec<String> {
            let patch = image_patch(&object, "7", images).unwrap().unwrap_or_default();
            let operations = patch.as_array().cloned().unwrap_or_default();
            operations
                .iter()
                .map(|change| change["path"].as_str().unwrap().to_owned())
                .collect()
        };
        assert_eq!(
            paths(&[("log", "log:2")]),
            [
                "/metadata/resourceVersion",
                "/spec/template/spec/containers/1/image"
            ]
        );
        assert_eq!(paths(&[("*", "x")]).len(), 4);
        assert!(paths(&[("web", "web:1")]).is_empty());
        assert!(image_patch(&object, "7", &[("db", "x")]).is_err());
        assert!(image_patch(&json!({"data": {}}), "7", &[("web", "x")]).is_err());
    }
}
