//! What a request to create becomes: a complete object, with name, UID and defaults, and a plan that stores it where
//! nothing is. Pure, given what it must know of the cluster.

use super::errors::{self, Result};
use super::metadata;
use super::names;
use super::outline::Outline;
use super::plan::Plan;
use super::strategy;
use super::update::decode_stored;
use crate::admission;
use apimachinery::kinds::KindInfo;
use apimachinery::meta::{Birth, stamp_new};
use bytes::Bytes;
use component_base::rng::Rng;
use prost::Message;
use proto::api::core::v1::{Namespace, Node, Pod};
use proto::api::scheduling::v1::PriorityClass;
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
    /// It, encoded.
    pub(crate) value: Bytes,
}

/// Completes the object of a request.
pub(crate) fn complete(info: &'static KindInfo, sent: &Bytes, around: &mut Surroundings<'_>) -> Result<New> {
    let canonical = strategy::read(info, sent)?;
    let defaulted = strategy::defaulted(info, &canonical)?;
    let mut object = parse(info, &defaulted)?;
    if !object.meta.resource_version.is_empty() {
        return Err(errors::bad_request(
            "resourceVersion should not be set on objects to be created",
        ));
    }
    settle_namespace(info, &mut object);
    let meta = &mut object.meta;
    if meta.name.is_empty() && meta.generate_name.is_empty() {
        let message = "Required value: name or generateName is required".to_owned();
        return Err(metadata::fault(
            info,
            "",
            "FieldValueRequired",
            "metadata.name",
            message,
        ));
    }
    let birth = Birth {
        uid: names::uid(around.rng),
        now: around.now,
        suffix: names::suffix(around.rng),
        counts_generation: info.has_status,
    };
    stamp_new(meta, &birth);
    // Nobody tracks fields yet, and what a client says of them would be believed later.
    meta.managed_fields.clear();
    // A kubelet registers its Node together with the status; all other statuses are their controllers' to write.
    if info.has_status && info.number != Node::NUMBER {
        object.clear_status();
    }
    let value = prepare(info, object.encode(), around)?;
    strategy::validate_create(info, &object.meta.name, &value)?;
    strategy::check_size(&value)?;
    Ok(New {
        namespace: object.meta.namespace,
        name: object.meta.name,
        value,
    })
}

/// Stores a new object where nothing is.
pub(crate) fn plan(info: &'static KindInfo, new: &New) -> Plan {
    let (name, value) = (new.name.clone(), new.value.clone());
    Box::new(move |current| match current {
        Some(_) => Err(errors::already_exists(info, &name)),
        None => Ok(Desired::Put(value.clone())),
    })
}

/// Reads an object that `strategy` has made canonical.
pub(crate) fn parse(info: &KindInfo, value: &Bytes) -> Result<Outline> {
    Outline::parse(value)
        .map_err(|error| errors::bad_request(format!("the {} does not decode: {error}", info.kind)))
}

/// Puts the object where its kind lives: in `default` when it names no namespace, or in none.
pub(crate) fn settle_namespace(info: &KindInfo, object: &mut Outline) {
    let namespace = &mut object.meta.namespace;
    if !info.namespaced {
        namespace.clear();
    } else if namespace.is_empty() {
        "default".clone_into(namespace);
    }
}

/// What single kinds get beyond their defaults.
fn prepare(info: &KindInfo, value: Bytes, around: &mut Surroundings<'_>) -> Result<Bytes> {
    Ok(match info.number {
        Pod::NUMBER => {
            let mut pod: Pod = decode_stored(&value)?;
            admission::pod::admit(&mut pod, around.classes)?;
            pod.encode_to_vec().into()
        }
        Namespace::NUMBER => {
            let mut namespace: Namespace = decode_stored(&value)?;
            admission::namespace::prepare_create(&mut namespace);
            namespace.encode_to_vec().into()
        }
        _ => value,
    })
}
