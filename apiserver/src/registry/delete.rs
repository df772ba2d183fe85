//! The plans that end objects: a delete, and an eviction that notes itself on the Pod. Pure.

use super::deletion::{self, Fate};
use super::errors::{self, Result};
use super::outline::Outline;
use super::plan::Plan;
use super::pod;
use super::strategy;
use super::update::{decode_stored, parse_stored};
use crate::admission::namespace;
use apimachinery::kinds::KindInfo;
use bytes::Bytes;
use prost::Message;
use proto::api::core::v1::{Namespace, Pod};
use proto::meta::v1::{DeleteOptions, ObjectMeta};
use proto::{Kind, Timestamp};
use storage::write::Desired;

/// Deletes the object `name`, or marks it where grace or finalizers hold it.
pub(crate) fn plan(info: &'static KindInfo, name: String, options: DeleteOptions, now: Timestamp) -> Plan {
    Box::new(move |current| {
        let Some(current) = current else {
            return Err(errors::not_found(info, &name));
        };
        let object = parse_stored(info, &current.value)?;
        deletion::check_preconditions(info, &object.meta, current.revision, &options)?;
        if info.number == Namespace::NUMBER {
            return namespace_effect(&object.meta, &current.value, &options, now);
        }
        let fate = deletion::fate(
            &object.meta,
            grace(info, &current.value, &options)?,
            &options,
            now,
        );
        Ok(effect(object, fate))
    })
}

/// The seconds that an object of a kind that goes gracefully would get.
fn grace(info: &KindInfo, value: &Bytes, options: &DeleteOptions) -> Result<Option<i64>> {
    if info.number != Pod::NUMBER {
        return Ok(None);
    }
    strategy::grace_seconds(info, value, options.grace_period_seconds).map(Some)
}

/// Deletes a Pod that is evicted, and notes on it why.
pub(crate) fn evict(info: &'static KindInfo, name: String, options: DeleteOptions, now: Timestamp) -> Plan {
    Box::new(move |current| {
        let Some(current) = current else {
            return Err(errors::not_found(info, &name));
        };
        let mut pod: Pod = decode_stored(&current.value)?;
        deletion::check_preconditions(info, pod.meta(), current.revision, &options)?;
        let fate = deletion::fate(pod.meta(), grace(info, &current.value, &options)?, &options, now);
        if let Fate::Marked(meta) = fate {
            pod::mark_evicted(&mut pod, now);
            pod.metadata = Some(*meta);
            return Ok(Desired::Put(pod.encode_to_vec().into()));
        }
        Ok(match fate {
            Fate::Removed => Desired::Delete,
            _ => Desired::Keep,
        })
    })
}

fn effect(mut object: Outline, fate: Fate) -> Desired {
    match fate {
        Fate::Pending => Desired::Keep,
        Fate::Removed => Desired::Delete,
        Fate::Marked(meta) => {
            object.meta = *meta;
            Desired::Put(object.encode())
        }
    }
}

/// A namespace first goes on its way out; it is gone when its content is.
fn namespace_effect(
    meta: &ObjectMeta,
    value: &Bytes,
    options: &DeleteOptions,
    now: Timestamp,
) -> Result<Desired> {
    namespace::check_delete(&meta.name)?;
    let mut namespace: Namespace = decode_stored(value)?;
    if namespace::begin_deletion(&mut namespace, now) {
        return Ok(
            if namespace::is_empty(&namespace) && namespace.meta().finalizers.is_empty() {
                Desired::Delete
            } else {
                Desired::Put(namespace.encode_to_vec().into())
            },
        );
    }
    if !namespace::is_empty(&namespace) {
        return Ok(Desired::Keep);
    }
    Ok(effect(
        parse_stored(apimachinery::kinds::of::<Namespace>(), value)?,
        deletion::fate(meta, None, options, now),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use apimachinery::kinds;
    use storage::store::Versioned;

    const NOW: Timestamp = Timestamp {
        seconds: 100,
        nanos: 0,
    };

    fn run<K: Kind>(object: &K, plan: &Plan) -> Result<Desired> {
        let value = object.encode_to_vec().into();
        plan(Some(&Versioned { value, revision: 7 }))
    }

    fn running() -> Pod {
        let mut pod = Pod::default();
        pod.metadata_mut().name = "web".into();
        let spec = pod.spec.get_or_insert_default();
        spec.node_name = "node-1".into();
        spec.termination_grace_period_seconds = Some(30);
        pod
    }

    #[test]
    fn a_running_pod_is_marked_and_an_evicted_one_says_why() {
        let pods = kinds::of::<Pod>();
        let delete = plan(pods, "web".into(), DeleteOptions::default(), NOW);
        let Ok(Desired::Put(value)) = run(&running(), &delete) else {
            panic!("a running pod is marked")
        };
        let pod = Pod::decode(value).unwrap();
        assert_eq!(pod.meta().deletion_timestamp.unwrap().seconds, 130);
        let evict = evict(pods, "web".into(), DeleteOptions::default(), NOW);
        let Ok(Desired::Put(value)) = run(&running(), &evict) else {
            panic!("a running pod is marked")
        };
        let status = Pod::decode(value).unwrap().status.unwrap();
        assert_eq!(status.conditions[0].reason, "EvictionByEvictionAPI");
        assert_eq!(evict(None).unwrap_err().reason, "NotFound");
    }

    #[test]
    fn a_namespace_waits_for_its_content() {
        let info = kinds::of::<Namespace>();
        let delete = plan(info, "team".into(), DeleteOptions::default(), NOW);
        let mut team = Namespace::default();
        team.metadata_mut().name = "team".into();
        team.spec
            .get_or_insert_default()
            .finalizers
            .push("kubernetes".into());
        let Ok(Desired::Put(value)) = run(&team, &delete) else {
            panic!("a namespace terminates first")
        };
        let mut team = Namespace::decode(value).unwrap();
        assert_eq!(team.status.as_ref().unwrap().phase, "Terminating");
        assert_eq!(run(&team, &delete), Ok(Desired::Keep));
        team.spec = None;
        assert_eq!(run(&team, &delete), Ok(Desired::Delete));
    }
}
