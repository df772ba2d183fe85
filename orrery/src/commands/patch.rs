//! `orrery patch`: changes a part of an object by a patch of the user's own.

use crate::cli::ServerArgs;
use crate::resource;
use crate::session::{self, NamespaceArg};
use anyhow::{Context, Result, bail};
use apimachinery::wire::MetaView;
use clap::ValueEnum;
use component_base::clock::Clock;
use proto::orrery::v1::patch_request::Type;
use serde_json::Value;

/// Change a part of an object.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  orrery patch deployment/nginx -p '{\"spec\":{\"minReadySeconds\":5}}'\n  \
    orrery patch deployment/nginx --type strategic -p \
    '{\"spec\":{\"template\":{\"spec\":{\"containers\":[{\"name\":\"nginx\",\"image\":\"nginx:2\"}]}}}}'\n  \
    orrery patch node node-0 --type json -p '[{\"op\":\"add\",\"path\":\"/spec/unschedulable\",\"value\":true}]'"
)]
pub struct Args {
    /// KIND/NAME or KIND NAME.
    #[arg(required = true, value_name = "KIND/NAME")]
    object: Vec<String>,
    /// The patch, as JSON.
    #[arg(short, long, value_name = "JSON")]
    patch: String,
    /// How to read it.
    #[arg(long, value_enum, default_value = "merge")]
    r#type: Form,
    /// `status` or `scale`, to change that.
    #[arg(long, default_value = "", hide_default_value = true)]
    subresource: String,
    #[command(flatten)]
    namespace: NamespaceArg,
    #[command(flatten)]
    server: ServerArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Form {
    /// Laid over the object; null removes (RFC 7386).
    Merge,
    /// As merge, but lists of named things (containers, ports, volumes) merge item by item.
    Strategic,
    /// A list of operations (RFC 6902).
    Json,
}

/// Runs the command.
pub async fn run(args: Args, clock: Clock) -> Result<()> {
    let (info, name) = resource::object(&args.object)?;
    let patch: Value = serde_json::from_str(&args.patch).context("the patch is no JSON")?;
    if patch.is_array() != (args.r#type == Form::Json) {
        bail!("a merge or strategic patch is an object, and a JSON patch a list of operations: see --type");
    }
    let client = session::connect(&args.server, &clock).await?;
    let namespace = args.namespace.of(info);
    let before = session::get(&client, info, &namespace, &name).await?;
    let mut request = session::patch(info, &namespace, &name, &patch);
    request.subresource = args.subresource;
    if args.r#type == Form::Strategic {
        request.set_type(Type::StrategicMerge);
    }
    let after = client.patch(request).await?;
    let version =
        |object: &proto::Object| MetaView::parse(&object.bytes).map(|meta| meta.resource_version.to_owned());
    // The Scale has the version of what it scales, so that this holds for subresources too.
    let changed = version(&before)? != version(&after)?;
    println!(
        "{} patched{}",
        resource::label(info, &name),
        if changed { "" } else { " (no change)" }
    );
    Ok(())
}
