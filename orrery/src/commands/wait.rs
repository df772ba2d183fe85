//! `orrery wait`: waits until a condition holds, an object is gone, or a field has a value.

use crate::cli::ServerArgs;
use crate::follow::{self, Seen};
use crate::progress::Progress;
use crate::resource::{self, Kind, Selection};
use crate::session::{self, NamespaceArg};
use anyhow::{Result, bail};
use apimachinery::jsonpath::{self, Path};
use apimachinery::wire::MetaView;
use client::Client;
use component_base::clock::Clock;
use proto::orrery::v1::ListRequest;
use serde_json::Value;
use std::str::FromStr;
use std::time::Duration;

/// Wait until objects are as asked for.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  orrery wait pod/web-1 --for condition=Ready\n  \
    orrery wait deployment/nginx --for condition=Available=True --timeout 1m\n  \
    orrery wait pods -l app=nginx --for delete\n  orrery wait pod/web-1 --for jsonpath={.status.phase}=Running")]
pub struct Args {
    /// KIND/NAME…, KIND NAME…, or KIND with -l or --all.
    #[arg(required = true, value_name = "KIND/NAME")]
    objects: Vec<String>,
    /// condition=TYPE[=STATUS], delete, create, or jsonpath={.path}[=VALUE].
    #[arg(long = "for", value_name = "WHAT")]
    condition: Goal,
    /// Give up after this time; 0 waits as long as it takes.
    #[arg(long, default_value = "30s", value_parser = follow::duration, value_name = "DURATION")]
    timeout: Duration,
    /// All that these labels match.
    #[arg(short = 'l', long, value_name = "LABELS")]
    selector: Option<String>,
    /// All objects of the kind in the namespace.
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    namespace: NamespaceArg,
    #[command(flatten)]
    server: ServerArgs,
}

/// What is waited for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Goal {
    Created,
    Deleted,
    Condition {
        name: String,
        status: String,
    },
    /// Without a value: that there is something.
    Field {
        path: Path,
        value: Option<String>,
    },
}

impl FromStr for Goal {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            None if text == "delete" => Ok(Self::Deleted),
            None if text == "create" => Ok(Self::Created),
            Some(("condition", condition)) if !condition.is_empty() => {
                let (name, status) = condition.split_once('=').unwrap_or((condition, "True"));
                Ok(Self::Condition {
                    name: name.into(),
                    status: status.into(),
                })
            }
            Some(("jsonpath", rest)) => {
                // A brace ends the path; what follows is the value.
                let (path, value) = match rest.rsplit_once("}=") {
                    Some((path, value)) => (format!("{path}}}"), Some(value.trim_matches('\'').to_owned())),
                    None => (rest.to_owned(), None),
                };
                let path = Path::parse(&path).map_err(|error| error.to_string())?;
                Ok(Self::Field { path, value })
            }
            _ => Err("must be condition=TYPE[=STATUS], delete, create, or jsonpath={.path}[=VALUE]".into()),
        }
    }
}

impl Goal {
    fn is_met(&self, seen: &Seen) -> Result<bool> {
        let object = match (self, seen) {
            (Self::Deleted, seen) => return Ok(matches!(seen, Seen::Gone)),
            (_, Seen::Gone) => return Ok(false),
            (Self::Created, Seen::Is(_)) => return Ok(true),
            (_, Seen::Is(object)) => session::tree(object)?,
        };
        Ok(self.holds(&object))
    }

    fn holds(&self, object: &Value) -> bool {
        match self {
            Self::Created => true,
            Self::Deleted => false,
            Self::Condition { name, status } => {
                let conditions = object["status"]["conditions"].as_array();
                let found = conditions
                    .into_iter()
                    .flatten()
                    .find(|condition| same(&condition["type"], name));
                found.is_some_and(|condition| same(&condition["status"], status))
            }
            Self::Field { path, value } => {
                let found = path.find(object);
                match value {
                    None => !found.is_empty(),
                    Some(value) => found.iter().any(|found| jsonpath::text(found) == *value),
                }
            }
        }
    }
}

fn same(value: &Value, word: &str) -> bool {
    value.as_str().is_some_and(|text| text.eq_ignore_ascii_case(word))
}

/// Runs the command.
pub async fn run(args: Args, clock: Clock) -> Result<()> {
    let client = session::connect(&args.server, &clock).await?;
    let objects = objects(&client, &args).await?;
    let limit = follow::limit(Some(args.timeout)).map(|limit| clock.now() + limit);
    let progress = Progress::new("waiting");
    for (info, name) in objects {
        let namespace = args.namespace.of(info);
        let label = resource::label(info, &name);
        if !matches!(args.condition, Goal::Created | Goal::Deleted) {
            // What is not there will not become so; say it now.
            session::get(&client, info, &namespace, &name).await?;
        }
        progress.say(format!("waiting for {label}"));
        let left = limit.map(|limit| limit.saturating_duration_since(clock.now()));
        let late = format!("timed out waiting for the condition on {label}");
        let target = follow::target(info, &namespace, &name);
        let check = |seen: &Seen| Ok(args.condition.is_met(seen)?.then_some(()));
        follow::until(&client, target, left, &late, check).await?;
        println!("{label} condition met");
    }
    Ok(())
}

async fn objects(client: &Client, args: &Args) -> Result<Vec<(Kind, String)>> {
    let kinds = match resource::parse(&args.objects)? {
        Selection::Objects(objects) => return Ok(objects),
        Selection::Kinds(_) if args.selector.is_none() && !args.all => {
            bail!("name an object, select some with -l, or say --all")
        }
        Selection::Kinds(kinds) => kinds,
    };
    let mut objects = Vec::new();
    for info in kinds {
        let request = ListRequest {
            kind: info.resource(),
            namespace: args.namespace.of(info),
            label_selector: args.selector.clone().unwrap_or_default(),
            ..ListRequest::default()
        };
        for object in client.list(request).await?.items {
            objects.push((info, MetaView::parse(&object.bytes)?.name.to_owned()));
        }
    }
    if objects.is_empty() && args.condition != Goal::Deleted {
        bail!("no object matches");
    }
    Ok(objects)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn goals_are_read_and_met_by_what_the_object_says() {
        let pod = json!({"status": {"phase": "Running", "conditions": [
            {"type": "Ready", "status": "True"}, {"type": "Initialized", "status": "False"},
        ]}});
        for (goal, met) in [
            ("condition=Ready", true),
            ("condition=ready=true", true),
            ("condition=Initialized", false),
            ("condition=Initialized=False", true),
            ("condition=Absent", false),
            ("jsonpath={.status.phase}=Running", true),
            ("jsonpath={.status.phase}=Pending", false),
            ("jsonpath={.status.phase}", true),
            ("jsonpath={.status.podIP}", false),
            ("create", true),
            ("delete", false),
        ] {
            assert_eq!(goal.parse::<Goal>().unwrap().holds(&pod), met, "{goal}");
        }
        for wrong in ["", "ready", "condition=", "deleted", "jsonpath={.a[}"] {
            assert!(wrong.parse::<Goal>().is_err(), "{wrong}");
        }
        assert_eq!(Goal::Deleted.is_met(&Seen::Gone).ok(), Some(true));
        assert_eq!(
            "condition=Ready"
                .parse::<Goal>()
                .unwrap()
                .is_met(&Seen::Gone)
                .ok(),
            Some(false)
        );
    }
}
