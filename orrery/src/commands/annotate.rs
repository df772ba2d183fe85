//! `orrery label` and `orrery annotate`: set or remove what is kept beside an object.

use crate::cli::ServerArgs;
use crate::resource;
use crate::session::{self, NamespaceArg};
use anyhow::{Context, Result, bail};
use component_base::clock::Clock;
use serde_json::{Map, Value, json};

/// Set or remove labels of an object.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  orrery label node/node-0 disk=ssd\n  orrery label pod web-1 tier=front app-"
)]
pub struct LabelArgs {
    #[command(flatten)]
    words: Words,
}

/// Set or remove annotations of an object.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  orrery annotate deployment/nginx kubernetes.io/change-cause='new image'\n  \
    orrery annotate pod web-1 note-"
)]
pub struct Args {
    #[command(flatten)]
    words: Words,
    #[arg(skip = "annotations")]
    field: &'static str,
}

impl From<LabelArgs> for Args {
    fn from(args: LabelArgs) -> Self {
        Self {
            words: args.words,
            field: "labels",
        }
    }
}

#[derive(Debug, clap::Args)]
struct Words {
    /// KIND/NAME or KIND NAME, then KEY=VALUE to set and KEY- to remove.
    #[arg(required = true, num_args = 2.., value_name = "KIND/NAME KEY=VALUE")]
    words: Vec<String>,
    /// Replace values that are there already.
    #[arg(long)]
    overwrite: bool,
    #[command(flatten)]
    namespace: NamespaceArg,
    #[command(flatten)]
    server: ServerArgs,
}

/// Runs either command.
pub async fn run(args: Args, clock: Clock) -> Result<()> {
    let Args { words, field } = args;
    let (changes, objects): (Vec<_>, Vec<_>) = words
        .words
        .iter()
        .cloned()
        .partition(|word| word.contains('=') || word.ends_with('-'));
    let changes = changes
        .iter()
        .map(|word| change(word))
        .collect::<Result<Vec<_>>>()?;
    if changes.is_empty() {
        bail!("say what to set (KEY=VALUE) or to remove (KEY-)");
    }
    let client = session::connect(&words.server, &clock).await?;
    let (done, undone) = match field {
        "labels" => ("labeled", "not labeled"),
        _ => ("annotated", "not annotated"),
    };
    for (info, name) in resource::objects(&objects)? {
        let namespace = words.namespace.of(info);
        let label = resource::label(info, &name);
        let changed = session::retry(async || {
            let before = session::tree(&session::get(&client, info, &namespace, &name).await?)?;
            let patch = patch(&before, field, &changes, words.overwrite).with_context(|| label.clone())?;
            let Some(patch) = patch else { return Ok(false) };
            client
                .patch(session::patch(info, &namespace, &name, &patch))
                .await?;
            Ok(true)
        });
        let changed = changed.await?;
        println!("{label} {}", if changed { done } else { undone });
    }
    Ok(())
}

/// A key, and its value unless it is to go.
fn change(word: &str) -> Result<(&str, Option<&str>)> {
    match (word.split_once('='), word.strip_suffix('-')) {
        (Some((key, value)), _) if !key.is_empty() => Ok((key, Some(value))),
        (None, Some(key)) if !key.is_empty() => Ok((key, None)),
        _ => bail!("{word:?} is neither KEY=VALUE nor KEY-"),
    }
}

/// The merge patch; `None` when all is so already.
fn patch(
    object: &Value,
    field: &str,
    changes: &[(&str, Option<&str>)],
    overwrite: bool,
) -> Result<Option<Value>> {
    let mut map = Map::new();
    for (key, value) in changes {
        let now = object["metadata"][field].get(*key).and_then(Value::as_str);
        match (now, value) {
            (now, value) if now == *value => {}
            (Some(now), Some(_)) if !overwrite => {
                bail!("it has {key}={now} already: say --overwrite, if that shall change")
            }
            (_, value) => {
                map.insert((*key).to_owned(), json!(value));
            }
        }
    }
    if map.is_empty() {
        return Ok(None);
    }
    let version = &object["metadata"]["resourceVersion"];
    Ok(Some(
        json!({"metadata": {"resourceVersion": version, field: map}}),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_changes_is_patched_and_nothing_is_overwritten_unasked() {
        let object = json!({"metadata": {"resourceVersion": "7", "labels": {"app": "web"}}});
        let patched = |word: &str, overwrite| {
            let patch = patch(&object, "labels", &[change(word).unwrap()], overwrite);
            patch
                .map(|patch| patch.map(|patch| patch["metadata"]["labels"].clone()))
                .map_err(|error| error.to_string())
        };
        assert_eq!(patched("tier=front", false), Ok(Some(json!({"tier": "front"}))));
        assert_eq!(patched("app-", false), Ok(Some(json!({"app": null}))));
        assert_eq!(patched("app=web", false), Ok(None));
        assert_eq!(patched("none-", false), Ok(None));
        assert!(patched("app=api", false).unwrap_err().contains("--overwrite"));
        assert_eq!(patched("app=api", true), Ok(Some(json!({"app": "api"}))));
        assert!(change("=x").is_err() && change("-").is_err());
    }
}
