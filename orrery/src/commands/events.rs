//! `orrery events`: what happened, in the order in which it did.

use crate::cli::ServerArgs;
use crate::resource;
use crate::session::{self, NamespaceArg};
use crate::table::Widths;
use anyhow::Result;
use apimachinery::kinds;
use apimachinery::printers::cluster::Seen;
use client::api::ListOptions;
use client::{Api, Client, Delta, Informer};
use component_base::clock::Clock;
use jiff::Timestamp;
use proto::Kind as _;
use proto::api::core::v1::Event;
use proto::orrery::v1::WatchTarget;

/// Show events, oldest first.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  orrery events\n  orrery events --for pod/web-1 --watch\n  orrery events -A --types Warning"
)]
pub struct Args {
    /// Only those about this object: KIND/NAME.
    #[arg(long = "for", value_name = "KIND/NAME")]
    about: Option<String>,
    /// Only those of these types: Normal, Warning.
    #[arg(long, value_delimiter = ',', value_name = "TYPES")]
    types: Vec<String>,
    /// Events of all namespaces.
    #[arg(short = 'A', long)]
    all_namespaces: bool,
    /// Go on, and show what happens.
    #[arg(short, long)]
    watch: bool,
    #[command(flatten)]
    namespace: NamespaceArg,
    #[command(flatten)]
    server: ServerArgs,
}

/// Runs the command.
pub async fn run(args: Args, clock: Clock) -> Result<()> {
    let client = session::connect(&args.server, &clock).await?;
    let options = options(&args)?;
    let wanted = |event: &Event| {
        args.types.is_empty()
            || args
                .types
                .iter()
                .any(|wanted| wanted.eq_ignore_ascii_case(&event.r#type))
    };
    if args.watch {
        return watch(&client, options, wanted, args.all_namespaces).await;
    }
    let mut events = list(&client, options).await?;
    events.retain(wanted);
    if events.is_empty() {
        let place = format!(" in {} namespace", args.namespace.namespace);
        eprintln!(
            "No events found{}.",
            if args.all_namespaces { "" } else { &place }
        );
        return Ok(());
    }
    let now = clock.wall();
    let mut lines = vec![headers(args.all_namespaces)];
    lines.extend(events.iter().map(|event| row(event, now, args.all_namespaces)));
    let mut widths = Widths::default();
    for line in &lines {
        widths.fit(line);
    }
    for line in &lines {
        println!("{}", widths.line(line));
    }
    Ok(())
}

fn options(args: &Args) -> Result<ListOptions> {
    let namespace = if args.all_namespaces {
        String::new()
    } else {
        args.namespace.namespace.clone()
    };
    let field_selector = match &args.about {
        None => String::new(),
        Some(about) => {
            let (info, name) = resource::object(std::slice::from_ref(about))?;
            format!("involvedObject.kind={},involvedObject.name={name}", info.kind)
        }
    };
    Ok(ListOptions {
        namespace,
        field_selector,
        ..ListOptions::default()
    })
}

/// Events, oldest first.
pub(crate) async fn list(client: &Client, options: ListOptions) -> Result<Vec<Event>> {
    let mut events = Api::<Event>::new(client.clone()).list(options).await?.items;
    events.sort_by_key(|event| {
        let last = Seen::of(event).last.unwrap_or_default();
        (last.seconds, last.nanos, event.revision())
    });
    Ok(events)
}

async fn watch(
    client: &Client,
    options: ListOptions,
    wanted: impl Fn(&Event) -> bool,
    namespaces: bool,
) -> Result<()> {
    let target = WatchTarget {
        kind: kinds::of::<Event>().resource(),
        namespace: options.namespace.clone(),
        field_selector: options.field_selector.clone(),
        ..WatchTarget::default()
    };
    // Says at once what is wrong with the address; the stream would try for ever.
    let mut widths = Widths::default();
    println!("{}", widths.line(&headers(namespaces)));
    let mut told: std::collections::HashSet<(String, i64)> = std::collections::HashSet::new();
    for event in list(client, options).await?.iter().filter(|event| wanted(event)) {
        told.insert((event.uid().to_owned(), event.revision()));
        println!("{}", widths.line(&row(event, client.clock().wall(), namespaces)));
    }
    let mut informer = Informer::spawn(client, vec![target]);
    while let Some(delta) = informer.next().await {
        match delta {
            Delta::Upsert { object, revision, .. } => {
                let event: Event = object.decode_as()?;
                if !told.contains(&(event.uid().to_owned(), revision)) && wanted(&event) {
                    println!("{}", widths.line(&row(&event, client.clock().wall(), namespaces)));
                }
            }
            // What the list showed does not come again.
            Delta::Synced(_) => told.clear(),
            _ => {}
        }
    }
    Ok(())
}

fn headers(namespaces: bool) -> Vec<String> {
    let own = ["LAST SEEN", "TYPE", "REASON", "OBJECT", "MESSAGE"];
    let first = namespaces.then_some("NAMESPACE");
    first.into_iter().chain(own).map(str::to_owned).collect()
}

fn row(event: &Event, now: Timestamp, namespaces: bool) -> Vec<String> {
    let about = event.involved_object.clone().unwrap_or_default();
    let own = [
        Seen::of(event).ago(now),
        event.r#type.clone(),
        event.reason.clone(),
        format!("{}/{}", about.kind, about.name),
        event.message.trim().replace('\n', " "),
    ];
    let first = namespaces.then(|| event.namespace().to_owned());
    first.into_iter().chain(own).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::api::core::v1::ObjectReference;

    #[test]
    fn a_repeated_event_says_how_often_and_since_when() {
        let event = Event {
            involved_object: Some(ObjectReference {
                kind: "Pod".into(),
                name: "web-1".into(),
                ..ObjectReference::default()
            }),
            r#type: "Warning".into(),
            reason: "BackOff".into(),
            message: "Back-off\nrestarting".into(),
            first_timestamp: Some(proto::Timestamp { seconds: 0, nanos: 0 }),
            last_timestamp: Some(proto::Timestamp {
                seconds: 100,
                nanos: 0,
            }),
            count: 3,
            ..Event::default()
        };
        let row = row(&event, Timestamp::from_second(130).unwrap(), false);
        assert_eq!(
            row,
            [
                "30s (x3 over 2m10s)",
                "Warning",
                "BackOff",
                "Pod/web-1",
                "Back-off restarting"
            ]
        );
        assert_eq!(headers(true).len(), row.len() + 1);
    }
}
