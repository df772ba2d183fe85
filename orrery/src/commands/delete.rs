//! `orrery delete`: deletes objects, and waits until they are gone.

use crate::cli::ServerArgs;
use crate::follow::{self, Seen};
use crate::manifest::{self, FileArgs};
use crate::progress::Progress;
use crate::resource::{self, Kind, Selection};
use crate::session::{self, NamespaceArg};
use anyhow::{Result, anyhow, bail};
use apimachinery::wire::MetaView;
use clap::ValueEnum;
use client::Client;
use component_base::clock::Clock;
use proto::meta::v1::DeleteOptions;
use proto::orrery::v1::{DeleteRequest, ListRequest};
use std::time::Duration;

/// Delete objects by name, by manifest, by label, or all of a kind; waits until they are gone.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  orrery delete pod web-1\n  orrery delete -f examples/nginx.yaml\n  \
    orrery delete pods -l app=nginx\n  orrery delete deployment nginx --cascade orphan   # its ReplicaSets stay\n  \
    orrery delete pod web-1 --force                    # does not wait for the node's word"
)]
pub struct Args {
    /// KIND NAME…, KIND/NAME…, or KIND with -l or --all.
    #[arg(value_name = "KIND/NAME")]
    objects: Vec<String>,
    #[command(flatten)]
    files: FileArgs,
    /// All that these labels match: app=web,tier!=test.
    #[arg(short = 'l', long, value_name = "LABELS")]
    selector: Option<String>,
    /// All that these fields match: status.phase=Failed.
    #[arg(long, value_name = "FIELDS")]
    field_selector: Option<String>,
    /// All objects of the kind in the namespace.
    #[arg(long)]
    all: bool,
    /// What becomes of the objects that the deleted ones own.
    #[arg(long, value_enum, default_value = "background")]
    cascade: Cascade,
    /// Seconds that a Pod has to end; negative leaves it to the Pod.
    #[arg(long, default_value_t = -1, allow_negative_numbers = true, value_name = "SECONDS")]
    grace_period: i64,
    /// Remove Pods at once, without the word of their node.
    #[arg(long)]
    force: bool,
    /// Wait until the objects are gone.
    #[arg(long, default_value_t = true, action = clap::ArgAction::Set, value_name = "BOOL")]
    wait: bool,
    /// How long to wait; 0 waits as long as it takes.
    #[arg(long, value_parser = follow::duration, value_name = "DURATION")]
    timeout: Option<Duration>,
    /// Succeed when there is no such object.
    #[arg(long)]
    ignore_not_found: bool,
    /// Ask the server what would happen, and change nothing.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    namespace: NamespaceArg,
    #[command(flatten)]
    server: ServerArgs,
}

/// What becomes of dependents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Cascade {
    /// They are deleted afterwards.
    Background,
    /// They are deleted first.
    Foreground,
    /// They stay.
    Orphan,
}

/// An object to delete.
struct Victim {
    info: Kind,
    namespace: String,
    name: String,
}

/// Runs the command. One object that cannot be deleted does not keep the others.
pub async fn run(args: Args, clock: Clock) -> Result<()> {
    let client = session::connect(&args.server, &clock).await?;
    let options = options(&args)?;
    let victims = victims(&client, &args).await?;
    if victims.is_empty() {
        println!("No resources found");
    }
    if args.force {
        eprintln!("warning: what was running may go on: nobody waits for the node to confirm that it ended");
    }
    let (mut failed, mut waiting) = (0, Vec::new());
    for victim in victims {
        match delete(&client, &victim, &options).await {
            Ok(uid) => {
                println!("{}", told(&victim, &args));
                waiting.extend(uid.map(|uid| (victim, uid)));
            }
            Err(error) if error.is_not_found() && args.ignore_not_found => {}
            Err(error @ client::Error::Transport { .. }) => return Err(error.into()),
            Err(error) => {
                eprintln!("{}", session::explain(&anyhow!(error)));
                failed += 1;
            }
        }
    }
    if args.wait && !args.dry_run {
        let progress = Progress::new("waiting for the objects to be gone");
        for (victim, uid) in waiting {
            progress.say(format!(
                "waiting for {} to be gone",
                resource::label(victim.info, &victim.name)
            ));
            gone(&client, &victim, &uid, args.timeout).await?;
        }
    }
    if failed > 0 {
        bail!("{failed} could not be deleted");
    }
    Ok(())
}

fn options(args: &Args) -> Result<DeleteOptions> {
    let grace = match (args.force, args.grace_period) {
        (true, seconds) if seconds > 0 => bail!("--force and a --grace-period above 0 contradict each other"),
        (true, _) => Some(0),
        (false, 0) => bail!("--grace-period 0 removes Pods at once: say --force too, if that is meant"),
        (false, seconds) if seconds < 0 => None,
        (false, seconds) => Some(seconds),
    };
    let policy = match args.cascade {
        Cascade::Background => "Background",
        Cascade::Foreground => "Foreground",
        Cascade::Orphan => "Orphan",
    };
    Ok(DeleteOptions {
        grace_period_seconds: grace,
        propagation_policy: Some(policy.into()),
        dry_run: if args.dry_run {
            vec!["All".into()]
        } else {
            Vec::new()
        },
        ..DeleteOptions::default()
    })
}

async fn victims(client: &Client, args: &Args) -> Result<Vec<Victim>> {
    if !args.files.file.is_empty() {
        if !args.objects.is_empty() {
            bail!("name objects, or manifests with -f, not both");
        }
        let manifests = manifest::load(&args.files, None)?;
        let victims = manifests.into_iter().map(|manifest| {
            manifest.map(|manifest| Victim {
                info: manifest.info,
                namespace: manifest.namespace,
                name: manifest.name,
            })
        });
        return victims.collect();
    }
    let selective = args.selector.is_some() || args.field_selector.is_some();
    match resource::parse(&args.objects)? {
        Selection::Objects(_) if selective || args.all => bail!("names do not go with selectors or --all"),
        Selection::Objects(objects) => Ok(objects
            .into_iter()
            .map(|(info, name)| Victim {
                info,
                namespace: args.namespace.of(info),
                name,
            })
            .collect()),
        Selection::Kinds(_) if !selective && !args.all => {
            bail!("name an object, select some with -l, or say --all")
        }
        Selection::Kinds(kinds) => {
            let mut victims = Vec::new();
            for info in kinds {
                let request = ListRequest {
                    kind: info.resource(),
                    namespace: args.namespace.of(info),
                    label_selector: args.selector.clone().unwrap_or_default(),
                    field_selector: args.field_selector.clone().unwrap_or_default(),
                    ..ListRequest::default()
                };
                for object in client.list(request).await?.items {
                    let meta = MetaView::parse(&object.bytes)?;
                    victims.push(Victim {
                        info,
                        namespace: meta.namespace.to_owned(),
                        name: meta.name.to_owned(),
                    });
                }
            }
            Ok(victims)
        }
    }
}

/// Deletes one object; the UID of one that is not gone yet.
async fn delete(
    client: &Client,
    victim: &Victim,
    options: &DeleteOptions,
) -> Result<Option<String>, client::Error> {
    let request = DeleteRequest {
        kind: victim.info.resource(),
        namespace: victim.namespace.clone(),
        name: victim.name.clone(),
        options: Some(options.clone()),
    };
    let deleted = client.delete(request).await?;
    let object = deleted.object.unwrap_or_default();
    let uid = uid(&object).unwrap_or_default();
    Ok((!deleted.gone && !uid.is_empty()).then_some(uid))
}

fn uid(object: &proto::Object) -> Option<String> {
    MetaView::parse(&object.bytes)
        .ok()
        .map(|meta| meta.uid.to_owned())
}

/// Waits until the object is gone, or another one has its name.
async fn gone(client: &Client, victim: &Victim, old: &str, limit: Option<Duration>) -> Result<()> {
    let label = resource::label(victim.info, &victim.name);
    let target = follow::target(victim.info, &victim.namespace, &victim.name);
    let late = format!("{label} is still there: `orrery describe {label}` shows its finalizers");
    follow::until(client, target, follow::limit(limit), &late, |seen| {
        Ok(match seen {
            Seen::Gone => Some(()),
            Seen::Is(object) => (uid(object).as_deref() != Some(old)).then_some(()),
        })
    })
    .await
}

fn told(victim: &Victim, args: &Args) -> String {
    let place = if victim.info.namespaced {
        format!(" from {} namespace", victim.namespace)
    } else {
        String::new()
    };
    let how = if args.force { "force deleted" } else { "deleted" };
    let note = if args.dry_run { " (server dry run)" } else { "" };
    format!(
        "{} {:?} {how}{place}{note}",
        resource::singular(victim.info),
        victim.name
    )
}
