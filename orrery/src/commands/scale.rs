//! `orrery scale`: how many replicas there shall be, through the `scale` subresource.

use crate::cli::ServerArgs;
use crate::resource;
use crate::session::{self, NamespaceArg};
use anyhow::{Result, bail};
use client::Client;
use component_base::clock::Clock;
use proto::Kind;
use proto::api::autoscaling::v1::Scale;
use proto::orrery::v1::GetRequest;
use serde_json::json;

/// Set how many replicas a Deployment, ReplicaSet, StatefulSet or ReplicationController has.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  orrery scale deployment/nginx --replicas 5\n  \
    orrery scale deploy nginx --current-replicas 3 --replicas 0")]
pub struct Args {
    /// KIND/NAME or KIND NAME; several are scaled alike.
    #[arg(required = true, value_name = "KIND/NAME")]
    objects: Vec<String>,
    /// How many replicas there shall be.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(0..))]
    replicas: i32,
    /// Do it only if there are that many now.
    #[arg(long, value_name = "N")]
    current_replicas: Option<i32>,
    #[command(flatten)]
    namespace: NamespaceArg,
    #[command(flatten)]
    server: ServerArgs,
}

/// Runs the command.
pub async fn run(args: Args, clock: Clock) -> Result<()> {
    let client = session::connect(&args.server, &clock).await?;
    for (info, name) in resource::objects(&args.objects)? {
        if !info.has_scale {
            bail!(
                "{} has no scale: only what keeps replicas has one",
                resource::label(info, &name)
            );
        }
        scale(&client, info, &name, &args).await?;
        println!("{} scaled", resource::label(info, &name));
    }
    Ok(())
}

async fn scale(client: &Client, info: resource::Kind, name: &str, args: &Args) -> Result<()> {
    let namespace = args.namespace.of(info);
    session::retry(async || {
        let mut body = json!({"spec": {"replicas": args.replicas}});
        if let Some(expected) = args.current_replicas {
            let request = GetRequest {
                kind: info.resource(),
                namespace: namespace.clone(),
                name: name.into(),
                subresource: "scale".into(),
                ..GetRequest::default()
            };
            let now: Scale = client.get(request).await?.decode_as()?;
            let replicas = now.spec.as_ref().map_or(0, |spec| spec.replicas);
            if replicas != expected {
                let label = resource::label(info, name);
                bail!("expected {label} to have {expected} replicas, but it has {replicas}");
            }
            body["metadata"] = json!({"resourceVersion": now.meta().resource_version});
        }
        let mut request = session::patch(info, &namespace, name, &body);
        request.subresource = "scale".into();
        client.patch(request).await?;
        Ok(())
    })
    .await
}
