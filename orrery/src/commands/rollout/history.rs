//! `orrery rollout history`: the revisions that a Deployment can go back to.

use crate::cli::ServerArgs;
use crate::resource;
use crate::session::{self, NamespaceArg};
use crate::table::Table;
use anyhow::{Context, Result};
use apimachinery::json::yaml;
use apimachinery::well_known::CHANGE_CAUSE;
use client::Api;
use component_base::clock::Clock;
use proto::Kind;
use proto::api::apps::v1::Deployment;

/// List a Deployment's revisions, or show one.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// KIND/NAME or KIND NAME; the kind may be left out.
    #[arg(required = true, value_name = "KIND/NAME")]
    object: Vec<String>,
    /// Show this revision's template.
    #[arg(long, value_name = "N")]
    revision: Option<i64>,
    #[command(flatten)]
    namespace: NamespaceArg,
    #[command(flatten)]
    server: ServerArgs,
}

pub(super) async fn run(args: Args, clock: Clock) -> Result<()> {
    let client = session::connect(&args.server, &clock).await?;
    let name = super::deployment(&args.object)?;
    let deployment: Deployment = Api::new(client.clone())
        .get(&args.namespace.namespace, &name)
        .await?;
    let revisions = super::revisions(&client, &deployment).await?;
    let label = resource::label(apimachinery::kinds::of::<Deployment>(), &name);
    if let Some(wanted) = args.revision {
        let set = revisions.get(&wanted).with_context(|| {
            format!("{label} has no revision {wanted}: `orrery rollout history {label}` lists them")
        })?;
        println!("{label} with revision #{wanted}");
        print!("{}", yaml::print(&super::template(set)?));
        return Ok(());
    }
    println!("{label}");
    let mut table = Table::new(["REVISION", "CHANGE-CAUSE"]);
    for (revision, set) in &revisions {
        let cause = set.meta().annotations.get(CHANGE_CAUSE).cloned();
        table.row([revision.to_string(), cause.unwrap_or_default()]);
    }
    print!("{table}");
    Ok(())
}
