//! `orrery describe`: an object for people: what it is, how it does, and what happened to it.
//!
//! In: the object, what belongs to it, its Events. Out: sections as kubectl has them. A kind with sections of its own is a
//! file and a row in `sections`; any other is shown field by field.

mod generic;
mod namespace;
mod node;
mod page;
mod pod;
mod service;
mod workload;

use crate::cli::ServerArgs;
use crate::commands::events;
use crate::resource::{self, Kind, Selection};
use crate::session::{self, NamespaceArg};
use anyhow::{Result, bail};
use apimachinery::printers::cluster::Seen;
use apimachinery::wire::MetaView;
use client::Client;
use client::api::ListOptions;
use component_base::clock::Clock;
use jiff::Timestamp;
use page::Page;
use proto::api::{apps, core};
use proto::orrery::v1::ListRequest;
use proto::{Kind as _, Object};

/// Show an object with all that belongs to it, and the events about it.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  orrery describe pod web-1\n  orrery describe node/node-0\n  \
    orrery describe deployment nginx\n  orrery describe pods -l app=nginx"
)]
pub struct Args {
    /// KIND [NAME…], or KIND/NAME…
    #[arg(required = true, value_name = "KIND/NAME")]
    objects: Vec<String>,
    /// All that these labels match.
    #[arg(short = 'l', long, value_name = "LABELS")]
    selector: Option<String>,
    #[command(flatten)]
    namespace: NamespaceArg,
    #[command(flatten)]
    server: ServerArgs,
}

/// Runs the command.
pub async fn run(args: Args, clock: Clock) -> Result<()> {
    let client = session::connect(&args.server, &clock).await?;
    let mut objects: Vec<Object> = Vec::new();
    match resource::parse(&args.objects)? {
        Selection::Objects(_) if args.selector.is_some() => bail!("names do not go with selectors"),
        Selection::Objects(named) => {
            for (info, name) in named {
                objects.push(session::get(&client, info, &args.namespace.of(info), &name).await?);
            }
        }
        Selection::Kinds(kinds) => {
            for info in kinds {
                objects.extend(list(&client, info, &args).await?);
            }
            if objects.is_empty() {
                eprintln!("No resources found");
            }
        }
    }
    for (index, object) in objects.iter().enumerate() {
        if index > 0 {
            println!("\n");
        }
        print!("{}", describe(&client, object, clock.wall()).await?);
    }
    Ok(())
}

async fn list(client: &Client, info: Kind, args: &Args) -> Result<Vec<Object>> {
    let request = ListRequest {
        kind: info.resource(),
        namespace: args.namespace.of(info),
        label_selector: args.selector.clone().unwrap_or_default(),
        ..ListRequest::default()
    };
    Ok(client.list(request).await?.items)
}

async fn describe(client: &Client, object: &Object, now: Timestamp) -> Result<String> {
    let mut page = Page::default();
    sections(client, object, &mut page, now).await?;
    let meta = MetaView::parse(&object.bytes)?;
    let options = ListOptions {
        namespace: meta.namespace.into(),
        field_selector: format!("involvedObject.uid={}", meta.uid),
        ..ListOptions::default()
    };
    let events = events::list(client, options).await?;
    page.events(&events, now);
    Ok(page.finish())
}

async fn sections(client: &Client, object: &Object, page: &mut Page, now: Timestamp) -> Result<()> {
    match object.number {
        core::v1::Pod::NUMBER => pod::sections(&object.decode_as()?, page, now),
        core::v1::Node::NUMBER => node::sections(client, &object.decode_as()?, page, now).await?,
        core::v1::Namespace::NUMBER => namespace::sections(client, &object.decode_as()?, page).await?,
        core::v1::Service::NUMBER => service::sections(&object.decode_as()?, page),
        apps::v1::Deployment::NUMBER => workload::deployment(client, &object.decode_as()?, page).await?,
        apps::v1::ReplicaSet::NUMBER => workload::replica_set(client, &object.decode_as()?, page).await?,
        _ => generic::sections(&session::tree(object)?, page),
    }
    Ok(())
}

impl Page {
    fn events(&mut self, events: &[core::v1::Event], now: Timestamp) {
        if events.is_empty() {
            self.field(0, "Events", "<none>");
            return;
        }
        self.head(0, "Events");
        self.cells(1, &["Type", "Reason", "Age", "From", "Message"]);
        self.cells(1, &["----", "------", "----", "----", "-------"]);
        for event in events {
            let source = event.source.as_ref().map(|source| source.component.as_str());
            let from = source
                .filter(|source| !source.is_empty())
                .unwrap_or(&event.reporting_component);
            let age = Seen::of(event).ago(now);
            self.cells(
                1,
                &[&event.r#type, &event.reason, &age, from, event.message.trim()],
            );
        }
    }
}
