//! Server-side apply: what a configuration makes of an object, or of nothing. Pure.
//!
//! <https://kubernetes.io/docs/reference/using-api/server-side-apply/>

use super::Resource;
use super::create::New;
use super::errors::{self, Result};
use super::plan::Plan;
use super::tracking::{self, Author};
use super::update::{self, Subresource, parse_stored};
use super::{metadata, strategy};
use apimachinery::json::{self, Unknown};
use apimachinery::kinds::KindInfo;
use apimachinery::managed_fields::{self, Managers};
use apimachinery::wire::with_resource_version;
use bytes::Bytes;
use proto::Kind;
use proto::api::autoscaling::v1::Scale;
use serde_json::{Value, json};
use storage::store::Versioned;
use storage::write::Desired;

/// What a field manager wants an object to be.
#[derive(Debug)]
pub(crate) struct Config {
    /// As it was sent; of a Scale, what it says of the object that it scales.
    tree: Value,
    /// The whole of it as an object of its kind.
    pub(crate) bytes: Bytes,
}

impl Config {
    /// Reads the configuration of one object, and checks that it is that object's.
    pub(crate) fn read(
        info: &Resource,
        part: Subresource,
        (namespace, name): (&str, &str),
        text: &str,
        author: &Author,
    ) -> Result<Self> {
        let mut tree: Value = serde_json::from_str(text)
            .map_err(|error| errors::bad_request(format!("error decoding patch: {error}")))?;
        let (number, api_version, kind) = match part {
            Subresource::Scale => (Scale::NUMBER, "autoscaling/v1".to_owned(), "Scale"),
            _ => (info.number, info.api_version(), info.kind),
        };
        check_type(&tree, &api_version, kind)?;
        check_metadata(&mut tree, namespace, name)?;
        let decoded = json::from_value_as(number, &tree, Unknown::Strict)
            .map_err(|faults| strategy::unreadable(&faults))?;
        if part == Subresource::Scale {
            let replicas = tree.pointer("/spec/replicas").cloned();
            tree = replicas.map_or(json!({}), |replicas| json!({"spec": {"replicas": replicas}}));
        }
        managed_fields::check(author.types(info), &tree).map_err(|error| {
            errors::bad_request(format!(
                "failed to create typed patch object ({namespace}/{name}; {api_version}, Kind={kind}): {error}"
            ))
        })?;
        Ok(Self {
            tree,
            bytes: decoded.bytes,
        })
    }

    /// Whether it may make an object that is not there: one that names a UID or a resourceVersion means an older one.
    pub(crate) fn check_creates(&self, info: &KindInfo) -> Result<()> {
        let meta = metadata::view(&self.bytes)?;
        if !meta.uid.is_empty() {
            let why = format!(
                "Precondition failed: UID in precondition: {}, UID in object meta: ",
                meta.uid
            );
            return Err(errors::conflict(info, meta.name, &why));
        }
        if !matches!(meta.resource_version, "" | "0") {
            return Err(errors::stale(info, meta.name));
        }
        Ok(())
    }
}

fn check_type(tree: &Value, api_version: &str, kind: &str) -> Result<()> {
    if !tree.is_object() {
        return Err(errors::bad_request("a configuration must be an object"));
    }
    let text = |name| tree.get(name).and_then(Value::as_str).unwrap_or_default();
    for (field, shown) in [("apiVersion", "apiVersion"), ("kind", "Kind")] {
        if text(field).is_empty() {
            return Err(errors::bad_request(format!(
                "Object '{shown}' is missing in the configuration"
            )));
        }
    }
    if text("apiVersion") != api_version {
        return Err(errors::bad_request(format!(
            "Incorrect version specified in apply patch. Specified patch version: {}, expected: {api_version}",
            text("apiVersion")
        )));
    }
    if text("kind") != kind {
        return Err(errors::bad_request(format!(
            "the configuration is of kind {:?}, and the request is for {kind:?}",
            text("kind")
        )));
    }
    Ok(())
}

/// The name and the namespace are the request's; a configuration may leave them out.
fn check_metadata(tree: &mut Value, namespace: &str, name: &str) -> Result<()> {
    let metadata = &mut tree["metadata"];
    if metadata.is_null() {
        *metadata = json!({});
    }
    let Some(metadata) = metadata.as_object_mut() else {
        return Err(errors::bad_request("metadata must be an object"));
    };
    if metadata.get("managedFields").is_some_and(|said| !said.is_null()) {
        return Err(errors::bad_request("metadata.managedFields must be nil"));
    }
    for (field, wanted) in [("name", name), ("namespace", namespace)] {
        match metadata.get(field).and_then(Value::as_str) {
            Some(said) if said == wanted => {}
            None | Some("") if wanted.is_empty() => {}
            None | Some("") => {
                metadata.insert(field.to_owned(), json!(wanted));
            }
            Some(said) => {
                return Err(errors::bad_request(format!(
                    "the {field} of the configuration ({said}) does not match the one of the request ({wanted})"
                )));
            }
        }
    }
    Ok(())
}

/// A new object that comes of its configuration alone.
pub(crate) fn born(info: &Resource, new: New, config: &Config, author: &Author) -> Result<New> {
    let empty = tracking::tree(info, &Bytes::new())?;
    let mut managers = Managers::default();
    let (part, writer) = (
        tracking::owned_part(info, Subresource::Main),
        author.writer(info, Subresource::Main),
    );
    managers
        .apply(
            author.types(info),
            (&empty, &empty),
            &config.tree,
            part,
            &writer,
            false,
        )
        .map_err(|conflicts| Box::new(conflicts.to_status()))?;
    let value = tracking::with_managers(info, &new.value, managers.encode())?;
    Ok(New { value, ..new })
}

/// Applies to the object that is there; where none is, stores `new`.
pub(crate) fn plan(
    info: Resource,
    part: Subresource,
    config: Config,
    new: Option<New>,
    force: bool,
    author: Author,
) -> Plan {
    Box::new(move |current| match (current, &new) {
        (Some(current), _) => applied(&info, part, &config, current, force, &author),
        (None, Some(new)) => Ok(Desired::Put(new.value.clone())),
        (None, None) => Err(errors::not_found(&info, metadata::view(&config.bytes)?.name)),
    })
}

fn applied(
    info: &Resource,
    part: Subresource,
    config: &Config,
    current: &Versioned,
    force: bool,
    author: &Author,
) -> Result<Desired> {
    // A Scale says what it was made from, too, and what it says of that is not in its tree.
    if part == Subresource::Scale {
        let (sent, old) = (metadata::view(&config.bytes)?, metadata::view(&current.value)?);
        metadata::check_current(info, &sent, &old, current.revision)?;
    }
    let entries = parse_stored(info, &current.value)?.meta.managed_fields;
    let stored = Managers::decode(&entries).unwrap_or_default();
    let before = with_resource_version(&current.value, current.revision)
        .map_err(|error| errors::internal(format!("a stored {} does not decode: {error}", info.kind)))?;
    let before = strategy::shown(info, &before, current.revision)?;
    let mut live = tracking::tree(info, &before)?;
    if let Some(metadata) = live["metadata"].as_object_mut() {
        metadata.shift_remove("managedFields");
    }
    let empty = tracking::tree(info, &Bytes::new())?;
    let mut managers = stored.clone();
    let after = managers
        .apply_as_kubectl(
            author.types(info),
            (&empty, &live),
            &config.tree,
            tracking::owned_part(info, part),
            &author.writer(info, part),
            force,
        )
        .map_err(|conflicts| Box::new(conflicts.to_status()))?;
    if after == live && managers == stored {
        return Ok(Desired::Keep);
    }
    let decoded = json::from_value_as(info.number, &after, Unknown::Strict)
        .map_err(|faults| strategy::unreadable(&faults))?;
    update::applied(info, part, &decoded.bytes, current, (&entries, &managers))
}
