//! What a request to create becomes: a complete object, with name, UID and defaults, and a plan that stores it where
//! nothing is. Pure, given what it must know of the cluster.

use super::Resource;
use super::errors::{self, Result};
use super::metadata;
use super::names;
use super::plan::Plan;
use super::strategy;
use super::update::decode_stored;
use crate::admission;
use apimachinery::kinds::KindInfo;
use apimachinery::meta::{Birth, stamp_new};
use bytes::Bytes;
use component_base::rng::Rng;
use prost::Message;
use proto::api::core::v1::Pod;
use proto::api::scheduling::v1::PriorityClass;
use proto::meta::v1::ManagedFieldsEntry;
use proto::{Kind, Timestamp};
use storage::write::Desired;

/// What a new object is made of besides the request.
pub(crate) struct Surroundings<'a> {
    /// The wall time.
    pub(crate) now: Timestamp,
    /// Draws names and UIDs.
    pub(crate) rng: &'a mut Rng,
    /// All PriorityClasses, for a Pod's priority.
    pub(crate) classes: &'a [PriorityClass],
}

/// A new object, ready to be stored.
#[derive(Debug)]
pub(crate) struct New {
    /// Its namespace; empty for kinds that live in none.
    pub(crate) namespace: String,
    /// Its name.
    pub(crate) name: String,
    /// It, encoded, without its field managers.
    pub(crate) value: Bytes,
    /// What the client says of its field managers.
    pub(crate) managers: Vec<ManagedFieldsEntry>,
}

/// Completes the object of a request.
pub(crate) fn complete(info: &Resource, sent: &Bytes, around: &mut Surroundings<'_>) -> Result<New> {
    strategy::check_sent(info.arm(), sent)?;
    if !metadata::view(sent)?.resource_version.is_empty() {
        return Err(errors::bad_request(
            "resourceVersion should not be set on objects to be created",
        ));
    }
    let sent = match info.number {
        Pod::NUMBER => admitted(sent, around.classes)?,
        _ => sent.clone(),
    };
    let birth = Birth {
        uid: names::uid(around.rng),
        now: around.now,
        suffix: names::suffix(around.rng),
        counts_generation: info.has_status || info.is_custom(),
    };
    let (mut namespace, mut name, mut managers) = (String::new(), String::new(), Vec::new());
    let value = strategy::create(info, &sent, &mut |meta| {
        metadata::settled(info, &meta.namespace).clone_into(&mut namespace);
        meta.namespace.clone_from(&namespace);
        stamp_new(meta, &birth);
        managers = std::mem::take(&mut meta.managed_fields);
        name.clone_from(&meta.name);
    })?;
    Ok(New {
        namespace,
        name,
        value,
        managers,
    })
}

fn admitted(pod: &Bytes, classes: &[PriorityClass]) -> Result<Bytes> {
    let mut pod: Pod = decode_stored(pod)?;
    admission::pod::set_priority(&mut pod, classes)?;
    admission::pod::set_service_account(&mut pod);
    Ok(pod.encode_to_vec().into())
}

/// Stores a new object where nothing is.
pub(crate) fn plan(info: &'static KindInfo, new: &New) -> Plan {
    let (name, value) = (new.name.clone(), new.value.clone());
    Box::new(move |current| match current {
        Some(_) => Err(errors::already_exists(info, &name)),
        None => Ok(Desired::Put(value.clone())),
    })
}
