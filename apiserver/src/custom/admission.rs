//! What happens to a CustomResourceDefinition on its way into the store, beyond what happens to every object.
//!
//! In: the plan of a write, all definitions, the time. Out: a plan whose result is checked, has its names and conditions
//! settled, and is not gone before its objects are. So a definition that is acknowledged can be used at once.

use super::naming;
use crate::registry::errors::{self, Result};
use crate::registry::plan::Plan;
use apimachinery::json;
use apimachinery::kinds;
use apimachinery::meta::{add_finalizer, begin_deletion, has_finalizer, is_being_deleted};
use apimachinery::status;
use bytes::Bytes;
use prost::Message as _;
use proto::apiextensions::v1::CustomResourceDefinition;
use proto::{Kind, Timestamp};
use std::sync::Arc;
use storage::store::Versioned;
use storage::write::Desired;

use super::definition::Definition;

/// Holds a definition until its objects are gone.
pub(crate) const CLEANUP_FINALIZER: &str = "customresourcecleanup.apiextensions.k8s.io";

/// The plan of a write to a definition, and what follows from it.
pub(crate) fn with_rules(plan: Plan, all: Vec<Arc<Definition>>, now: Timestamp) -> Plan {
    Box::new(move |current| {
        let old = current.map(|current| decode(&current.value)).transpose()?;
        let new = match plan(current)? {
            Desired::Keep => return keep_or_settle(current, &all, now),
            Desired::Delete => match marked(old.as_ref(), now) {
                Some(marked) => marked,
                None => return Ok(Desired::Delete),
            },
            Desired::Put(value) => decode(&value)?,
        };
        let new = settled(new, old.as_ref(), &all, now)?;
        let value = Bytes::from(new.encode_to_vec());
        if current.is_some_and(|current| current.value == value) {
            return Ok(Desired::Keep);
        }
        Ok(Desired::Put(value))
    })
}

/// A write that changes nothing still lets the server look at the names again, which may be free now.
fn keep_or_settle(current: Option<&Versioned>, all: &[Arc<Definition>], now: Timestamp) -> Result<Desired> {
    let Some(current) = current else {
        return Ok(Desired::Keep);
    };
    let old = decode(&current.value)?;
    let value = Bytes::from(settled(old.clone(), Some(&old), all, now)?.encode_to_vec());
    Ok(if value == current.value {
        Desired::Keep
    } else {
        Desired::Put(value)
    })
}

/// The definition that would be gone, when it has not been emptied yet.
fn marked(old: Option<&CustomResourceDefinition>, now: Timestamp) -> Option<CustomResourceDefinition> {
    let mut new = old.filter(|old| !is_being_deleted(old.meta()))?.clone();
    begin_deletion(new.metadata_mut(), now, 0);
    Some(new)
}

fn settled(
    mut new: CustomResourceDefinition,
    old: Option<&CustomResourceDefinition>,
    all: &[Arc<Definition>],
    now: Timestamp,
) -> Result<CustomResourceDefinition> {
    if old.is_none_or(|old| old.spec != new.spec) {
        check(&new)?;
    }
    let begins = is_being_deleted(new.meta()) && old.is_none_or(|old| !is_being_deleted(old.meta()));
    if begins {
        add_finalizer(new.metadata_mut(), CLEANUP_FINALIZER);
    }
    let others: Vec<&CustomResourceDefinition> = all.iter().map(|other| &other.object).collect();
    naming::settle(&mut new, &others, now);
    for version in new.spec.iter().flat_map(|spec| &spec.versions) {
        if kinds::custom::row(&new, version).is_none() {
            return Err(errors::forbidden(
                kinds::of::<CustomResourceDefinition>(),
                new.name(),
                "the server has seen more custom kinds than it can keep; restart it",
            ));
        }
    }
    Ok(new)
}

/// Refuses a definition that breaks the rules for schemas, names and versions.
fn check(definition: &CustomResourceDefinition) -> Result<()> {
    let info = kinds::of::<CustomResourceDefinition>();
    let tree = json::to_value(info.number, &definition.encode_to_vec())
        .map_err(|fault| errors::bad_request(format!("the definition cannot be shown as JSON: {fault}")))?;
    let faults = apiextensions::validate_definition(&tree);
    if faults.is_empty() {
        return Ok(());
    }
    Err(Box::new(status::invalid(
        info.group,
        info.kind,
        definition.name(),
        &faults,
    )))
}

/// Whether a definition waits for its objects to go.
pub(crate) fn awaits_cleanup(definition: &CustomResourceDefinition) -> bool {
    is_being_deleted(definition.meta()) && has_finalizer(definition.meta(), CLEANUP_FINALIZER)
}

fn decode(value: &Bytes) -> Result<CustomResourceDefinition> {
    CustomResourceDefinition::decode(value.clone())
        .map_err(|error| errors::internal(format!("a CustomResourceDefinition does not decode: {error}")))
}
