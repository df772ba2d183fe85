//! What every command that speaks to the API shares: the connection, and what to say when it fails.

use crate::cli::ServerArgs;
use anyhow::Result;
use apimachinery::json::{self, Faults};
use apimachinery::kinds::{self, KindInfo};
use client::client::{Client, ClientConfig};
use component_base::clock::Clock;
use component_base::rng::Seed;
use proto::Object;
use proto::apiextensions::v1::CustomResourceDefinition;
use proto::orrery::v1::patch_request::Type as PatchType;
use proto::orrery::v1::{GetRequest, ListRequest, PatchRequest};
use serde_json::Value;

/// Whom the log names for what is done here, when the environment names nobody.
const SOMEBODY: &str = "user";

/// How often a change is worked out anew because somebody else wrote meanwhile. Controllers write a few times a second
/// at most; whoever loses so often should be told.
const CONFLICT_RETRIES: usize = 8;

/// Which namespace a command looks at.
#[derive(Clone, Debug, clap::Args)]
pub struct NamespaceArg {
    /// The namespace.
    #[arg(
        short,
        long,
        env = "ORRERY_NAMESPACE",
        default_value = "default",
        value_name = "NAME"
    )]
    pub namespace: String,
}

impl NamespaceArg {
    /// The namespace that requests for this kind name; empty for kinds that live in none.
    pub fn of(&self, info: &KindInfo) -> String {
        if info.namespaced {
            self.namespace.clone()
        } else {
            String::new()
        }
    }
}

/// A client that writes in the user's name. The kinds that the cluster's CustomResourceDefinitions add are known from then on
/// ([`kinds::find`]).
pub async fn connect(server: &ServerArgs, clock: &Clock) -> Result<Client> {
    let user = std::env::var("USER").or_else(|_| std::env::var("LOGNAME"));
    let user = user
        .ok()
        .filter(|user| !user.is_empty() && user.bytes().all(|byte| byte.is_ascii_graphic()));
    let config = ClientConfig::new(server.server.clone(), user.unwrap_or_else(|| SOMEBODY.to_owned()));
    let client = Client::new(&config, clock.clone(), Seed::from_entropy())?;
    let definitions = ListRequest {
        kind: kinds::of::<CustomResourceDefinition>().resource(),
        ..ListRequest::default()
    };
    for object in client.list(definitions).await?.items {
        kinds::custom::note(&object.decode_as()?);
    }
    Ok(client)
}

/// One object.
pub async fn get(
    client: &Client,
    info: &KindInfo,
    namespace: &str,
    name: &str,
) -> Result<Object, client::Error> {
    let request = GetRequest {
        kind: info.resource(),
        namespace: namespace.into(),
        name: name.into(),
        ..GetRequest::default()
    };
    client.get(request).await
}

/// An object as a JSON tree.
pub fn tree(object: &Object) -> Result<Value> {
    Ok(json::to_value(object.number, &object.bytes).map_err(Faults::from)?)
}

/// A request for a merge patch, or for a JSON patch where `patch` is a list.
pub fn patch(info: &KindInfo, namespace: &str, name: &str, patch: &Value) -> PatchRequest {
    let form = if patch.is_array() {
        PatchType::Json
    } else {
        PatchType::Merge
    };
    PatchRequest {
        kind: info.resource(),
        namespace: namespace.into(),
        name: name.into(),
        r#type: form.into(),
        patch: patch.to_string(),
        ..PatchRequest::default()
    }
}

/// Does what reads and then writes, and again when somebody else wrote in between.
pub async fn retry<T>(mut attempt: impl AsyncFnMut() -> Result<T>) -> Result<T> {
    for _ in 0..CONFLICT_RETRIES {
        match attempt().await {
            Err(error) if lost_a_race(&error) => {}
            result => return result,
        }
    }
    attempt().await
}

fn lost_a_race(error: &anyhow::Error) -> bool {
    let error = error.downcast_ref::<client::Error>();
    error.is_some_and(|error| error.is_conflict() || error.is_already_exists())
}

/// An error as the command line shows it: what went wrong, and the next step where there is one.
pub fn explain(error: &anyhow::Error) -> String {
    let cause = error
        .chain()
        .find_map(|cause| cause.downcast_ref::<client::Error>());
    match cause {
        Some(client::Error::Api(status)) if !status.reason.is_empty() => {
            format!("error from server ({}): {error:#}", status.reason)
        }
        Some(client::Error::Transport { server, source }) => format!(
            "error: no answer from {server}: {}\nIs the cluster up? `orrery up` starts one; `--server` or ORRERY_SERVER names another",
            source.message()
        ),
        _ => format!("error: {error:#}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use apimachinery::status::{Reason, failure};

    #[tokio::test]
    async fn a_lost_race_is_run_again_and_not_for_ever() {
        let conflict = || client::Error::Api(Box::new(failure(Reason::Conflict, "stale")));
        for (losses, runs, wins) in [(0, 1, true), (3, 4, true), (100, CONFLICT_RETRIES + 1, false)] {
            let mut count = 0;
            let result = retry(async || {
                count += 1;
                if count > losses {
                    Ok(())
                } else {
                    Err(conflict().into())
                }
            })
            .await;
            assert_eq!((count, result.is_ok()), (runs, wins));
        }
    }

    #[test]
    fn errors_name_the_servers_reason_or_the_next_step() {
        let refused = client::Error::Api(Box::new(failure(Reason::NotFound, "pods \"web\" not found")));
        assert_eq!(
            explain(&refused.into()),
            "error from server (NotFound): pods \"web\" not found"
        );
        let silent = client::Error::Transport {
            server: "127.0.0.1:1".into(),
            source: Box::new(tonic::Status::unavailable("connection refused")),
        };
        let text = explain(&anyhow::Error::from(silent).context("apply"));
        assert!(
            text.contains("127.0.0.1:1: connection refused") && text.contains("orrery up"),
            "{text}"
        );
        assert_eq!(explain(&anyhow::anyhow!("plain")), "error: plain");
    }
}
