//! `orrery crash`: ends a container, or a whole Pod, as a crash would.

use crate::cli::ServerArgs;
use crate::session::{self, NamespaceArg};
use crate::{resource, simulator};
use anyhow::{Result, bail};
use client::Api;
use component_base::clock::Clock;
use proto::Kind;
use proto::api::core::v1::Pod;
use proto::orrery::v1::{CrashContainerRequest, CrashPodRequest};

/// Crash a container of a Pod, and see what its restartPolicy makes of it; or the Pod as a whole.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  orrery crash pod/web-1\n  orrery crash pod/web-1 --container log --exit-code 3\n  \
    orrery crash pod/web-1 --whole   # the Pod fails for good; its ReplicaSet makes another"
)]
pub struct Args {
    /// pod/NAME, or NAME.
    #[arg(value_name = "POD")]
    pod: String,
    /// Which container; the first when none is named.
    #[arg(short, long, value_name = "NAME")]
    container: Option<String>,
    /// The exit code that it leaves.
    #[arg(long, default_value_t = 137, value_name = "CODE", value_parser = clap::value_parser!(i32).range(1..256))]
    exit_code: i32,
    /// End all containers, and leave the Pod Failed.
    #[arg(long, conflicts_with = "container")]
    whole: bool,
    #[command(flatten)]
    namespace: NamespaceArg,
    #[command(flatten)]
    server: ServerArgs,
}

/// Runs the command.
pub async fn run(args: Args, clock: Clock) -> Result<()> {
    let client = session::connect(&args.server, &clock).await?;
    let name = match args.pod.contains('/') {
        false => args.pod.clone(),
        true => match resource::object(std::slice::from_ref(&args.pod))? {
            (info, name) if info.number == Pod::NUMBER => name,
            (info, _) => bail!("only Pods crash, and this is a {}", info.singular),
        },
    };
    let namespace = args.namespace.namespace;
    let pod: Pod = Api::new(client.clone()).get(&namespace, &name).await?;
    let node = pod.spec.map(|spec| spec.node_name).unwrap_or_default();
    if node.is_empty() {
        bail!("pod {name} runs nowhere yet: it is bound to no node");
    }
    let mut simulator = simulator::of_node(&client, &node).await?;
    if args.whole {
        let request = CrashPodRequest {
            namespace,
            pod: name.clone(),
        };
        simulator
            .crash_pod(request)
            .await
            .map_err(|status| simulator::refused(&status))?;
        println!("pod/{name} crashed on {node}");
        return Ok(());
    }
    let container = args.container.unwrap_or_default();
    let which = if container.is_empty() {
        "its first container".to_owned()
    } else {
        format!("container {container}")
    };
    let request = CrashContainerRequest {
        namespace,
        pod: name.clone(),
        container,
        exit_code: args.exit_code,
    };
    simulator
        .crash_container(request)
        .await
        .map_err(|status| simulator::refused(&status))?;
    println!(
        "pod/{name}: {which} crashed on {node} with exit code {}",
        args.exit_code
    );
    Ok(())
}
