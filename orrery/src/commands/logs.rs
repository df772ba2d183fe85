//! `orrery logs`: what a simulated container has said.

use crate::cli::ServerArgs;
use crate::session::{self, NamespaceArg};
use crate::{resource, simulator};
use anyhow::{Result, bail};
use client::Api;
use component_base::clock::Clock;
use jiff::SignedDuration;
use proto::Kind;
use proto::api::core::v1::Pod;
use proto::orrery::v1::ContainerLogsRequest;
use std::io::Write;

/// Annotation of a Pod: which container is meant when none is named.
const DEFAULT_CONTAINER: &str = "kubectl.kubernetes.io/default-container";

/// Print the log of a container: its start and end, and what annotations make it say.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  orrery logs pod/web-1\n  orrery logs web-1 -c setup --tail 5\n  \
    orrery logs web-1 -f --since 1m\n  orrery logs web-1 --previous   # the run before the last restart"
)]
pub struct Args {
    /// pod/NAME, or NAME.
    #[arg(value_name = "POD")]
    pod: String,
    /// Which container; the one that the Pod names as its default, or the first.
    #[arg(short, long, value_name = "NAME")]
    container: Option<String>,
    /// Go on until the container ends.
    #[arg(short, long)]
    follow: bool,
    /// The run before the one that runs, or ran last.
    #[arg(short, long)]
    previous: bool,
    /// Only so many lines from the end.
    #[arg(long, value_name = "LINES", value_parser = clap::value_parser!(i64).range(0..))]
    tail: Option<i64>,
    /// Only lines that are no older than this: 5s, 2m, 3h.
    #[arg(long, value_name = "DURATION")]
    since: Option<SignedDuration>,
    /// Begin each line with its time.
    #[arg(long)]
    timestamps: bool,
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
            (info, _) => bail!("only Pods have logs, and this is a {}", info.singular),
        },
    };
    let namespace = args.namespace.namespace;
    let pod: Pod = Api::new(client.clone()).get(&namespace, &name).await?;
    let container = match args.container {
        Some(container) => container,
        None => default_container(&pod),
    };
    let node = pod.spec.map(|spec| spec.node_name).unwrap_or_default();
    if node.is_empty() {
        bail!("pod {name} runs nowhere yet: it is bound to no node");
    }
    let request = ContainerLogsRequest {
        namespace,
        pod: name,
        container,
        follow: args.follow,
        previous: args.previous,
        timestamps: args.timestamps,
        tail_lines: args.tail,
        // Seconds that have begun count, so that no line is missed.
        since_seconds: args
            .since
            .map(|since| since.as_secs() + i64::from(since.subsec_nanos() > 0)),
        ..ContainerLogsRequest::default()
    };
    let mut kubelet = simulator::kubelet_of_node(&client, &node).await?;
    let answer = kubelet.container_logs(request).await;
    let mut pieces = answer.map_err(|status| simulator::refused(&status))?.into_inner();
    let mut out = std::io::stdout();
    while let Some(piece) = pieces
        .message()
        .await
        .map_err(|status| simulator::refused(&status))?
    {
        // As `print!`: whoever no longer reads ends the program.
        print!("{}", String::from_utf8_lossy(&piece.data));
        out.flush()?;
    }
    Ok(())
}

/// The container that is meant when none is named.
fn default_container(pod: &Pod) -> String {
    let names: Vec<&str> = pod.spec.as_ref().map_or(Vec::new(), |spec| {
        spec.containers
            .iter()
            .map(|container| container.name.as_str())
            .collect()
    });
    let wanted = pod.meta().annotations.get(DEFAULT_CONTAINER);
    let wanted = wanted.map(String::as_str).filter(|wanted| names.contains(wanted));
    let chosen = wanted.or(names.first().copied()).unwrap_or_default();
    if wanted.is_none() && names.len() > 1 {
        eprintln!("container {chosen:?} of {}; -c names another", names.join(", "));
    }
    chosen.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::api::core::v1::{Container, PodSpec};

    #[test]
    fn a_pod_names_its_default_container_and_else_the_first_is_meant() {
        for (annotation, expected) in [(None, "a"), (Some("b"), "b"), (Some("x"), "a")] {
            let mut pod = Pod::default();
            let annotation = annotation.map(|name: &str| (DEFAULT_CONTAINER.to_owned(), name.to_owned()));
            pod.metadata_mut().annotations.extend(annotation);
            let container = |name: &str| Container {
                name: name.into(),
                ..Container::default()
            };
            pod.spec = Some(PodSpec {
                containers: vec![container("a"), container("b")],
                ..PodSpec::default()
            });
            assert_eq!(default_container(&pod), expected);
        }
    }
}
