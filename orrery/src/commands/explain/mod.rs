//! `orrery explain` and `orrery what-if`: why a Pod is where it is, or nowhere; and where it would be in another cluster.

mod show;
mod what_if;

pub use what_if::run as what_if;

use crate::cli::ServerArgs;
use crate::data_dir::DataDir;
use crate::resource;
use crate::session::NamespaceArg;
use anyhow::{Context, Result, anyhow, bail};
use clap::ValueEnum;
use client::ClientConfig;
use component_base::clock::Clock;
use proto::Kind;
use proto::api::core::v1::Pod;
use proto::orrery::v1::scheduler_client::SchedulerClient;
use proto::orrery::v1::{ExplainRequest, ExplainResponse};
use std::path::PathBuf;
use tonic::transport::Channel;

pub use what_if::Args as WhatIfArgs;

/// Where the scheduler listens when nothing says otherwise.
const DEFAULT_SCHEDULER: &str = "127.0.0.1:7445";

/// Say why the scheduler put a Pod where it is, or why no node takes it, and what would help.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  orrery explain pod/web-1\n  orrery explain pod/web-1 --all      # every node, and all that speaks against each\n  \
    orrery explain pod/web-1 -o json\n  orrery what-if pod/web-1 --cordon node-3   # and in another cluster?"
)]
pub struct Args {
    /// pod/NAME, or NAME.
    #[arg(value_name = "POD")]
    pod: String,
    #[command(flatten)]
    asking: Asking,
}

/// What both commands are told.
#[derive(Clone, Debug, clap::Args)]
pub struct Asking {
    /// Show every node, and every plugin that speaks against it.
    #[arg(long)]
    all: bool,
    /// Show so many nodes that take the Pod, best first.
    #[arg(long, default_value_t = 10, value_name = "NODES")]
    limit: usize,
    /// How to print.
    #[arg(short, long, value_enum, default_value = "table")]
    output: Format,
    /// The scheduler's address; by default the one that `orrery up` started.
    #[arg(long, env = "ORRERY_SCHEDULER", value_name = "ADDR")]
    scheduler: Option<String>,
    /// The data directory of the `orrery up` whose scheduler is asked.
    #[arg(long, env = "ORRERY_DATA_DIR", value_name = "DIR")]
    data_dir: Option<PathBuf>,
    #[command(flatten)]
    namespace: NamespaceArg,
    #[command(flatten)]
    server: ServerArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Table,
    Json,
}

/// Runs `orrery explain`.
pub async fn run(args: Args, _: Clock) -> Result<()> {
    let name = pod_name(&args.pod)?;
    let request = args.asking.request(&name);
    let mut scheduler = args.asking.scheduler().await?;
    let answer = scheduler
        .explain(request)
        .await
        .map_err(|status| refused(&status))?;
    args.asking.print(&name, &answer.into_inner())
}

/// The name in `pod/NAME` or `NAME`.
fn pod_name(word: &str) -> Result<String> {
    if !word.contains('/') {
        return Ok(word.to_owned());
    }
    match resource::object(&[word.to_owned()])? {
        (info, name) if info.number == Pod::NUMBER => Ok(name),
        (info, _) => bail!(
            "only Pods are scheduled, and this is a {}; `orrery why` tells where it comes from",
            info.singular
        ),
    }
}

impl Asking {
    fn request(&self, pod: &str) -> ExplainRequest {
        ExplainRequest {
            namespace: self.namespace.namespace.clone(),
            pod: pod.to_owned(),
            limit: 0,
            full: self.all,
        }
    }

    async fn scheduler(&self) -> Result<SchedulerClient<Channel>> {
        let started = || {
            let running = DataDir::new(self.data_dir.clone()).ok()?.read_running().ok()?;
            let mut components = running.components.into_iter();
            let scheduler =
                components.find(|component| component.name == "scheduler" && component.pid.is_some())?;
            Some(scheduler.address)
        };
        let address = self.scheduler.clone().or_else(started);
        let address = address.unwrap_or_else(|| DEFAULT_SCHEDULER.to_owned());
        let channel = ClientConfig::new(address.clone(), "orrery")
            .endpoint()?
            .connect()
            .await;
        let channel = channel.with_context(|| {
            format!(
                "no scheduler answers at {address}: `orrery ps` shows whether it runs; --scheduler names another address"
            )
        })?;
        // An explanation of many nodes is as large as a message may be.
        Ok(SchedulerClient::new(channel))
    }

    fn print(&self, pod: &str, answer: &ExplainResponse) -> Result<()> {
        match self.output {
            Format::Json => println!("{}", serde_json::to_string_pretty(&show::json(answer))?),
            Format::Table => {
                let limit = if self.all { usize::MAX } else { self.limit };
                print!("{}", show::text(&self.namespace.namespace, pod, answer, limit));
            }
        }
        Ok(())
    }
}

/// What the scheduler refused, in its own words, and what to do.
fn refused(status: &tonic::Status) -> anyhow::Error {
    let message = component_base::grpc::from_tonic(status).message;
    match status.code() {
        tonic::Code::NotFound => {
            anyhow!("{message}\n`orrery get pods -A` shows the pods there are; -n names another namespace")
        }
        _ => anyhow!("the scheduler refused: {message}"),
    }
}
