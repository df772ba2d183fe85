//! What an update makes of an object: the new spec over the old, its status alone, or a namespace's finalizers. Pure.

use super::Resource;
use super::deletion;
use super::errors::{self, Result};
use super::metadata;
use super::outline::Outline;
use super::strategy;
use super::tracking::{self, Author};
use crate::admission::namespace;
use apimachinery::kinds::{self, KindInfo};
use apimachinery::managed_fields::Managers;
use bytes::Bytes;
use prost::Message;
use proto::Kind;
use proto::api::core::v1::{Namespace, Pod};
use proto::meta::v1::ManagedFieldsEntry;
use storage::store::Versioned;
use storage::write::Desired;

/// The part of an object that a request writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Subresource {
    /// All but the status.
    Main,
    /// The status alone; metadata is left as it is, too.
    Status,
    /// The replicas alone.
    Scale,
    /// A Namespace's `spec.finalizers` alone.
    Finalize,
    /// A Pod's `spec.ephemeralContainers` alone.
    EphemeralContainers,
    /// The resources of a Pod's containers alone.
    Resize,
}

impl Subresource {
    /// Reads a request's `subresource`.
    pub(crate) fn parse(info: &KindInfo, text: &str) -> Result<Self> {
        match text {
            "" => Ok(Self::Main),
            "status" if info.has_status => Ok(Self::Status),
            "scale" if info.has_scale => Ok(Self::Scale),
            "finalize" if info.number == Namespace::NUMBER => Ok(Self::Finalize),
            "ephemeralcontainers" if info.number == Pod::NUMBER => Ok(Self::EphemeralContainers),
            "resize" if info.number == Pod::NUMBER => Ok(Self::Resize),
            _ => Err(errors::no_subresource(info, text)),
        }
    }

    /// As requests and `managedFields` name it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Main => "",
            Self::Status => "status",
            Self::Scale => "scale",
            Self::Finalize => "finalize",
            Self::EphemeralContainers => "ephemeralcontainers",
            Self::Resize => "resize",
        }
    }
}

/// What becomes of `current` when the client's `new` is written to it.
pub(crate) fn plan(
    info: &Resource,
    part: Subresource,
    new: &Bytes,
    current: Option<&Versioned>,
    author: &Author,
) -> Result<Desired> {
    let Some(current) = current else {
        return Err(errors::not_found(info, metadata::view(new)?.name));
    };
    let value = admit(info, part, new, current)?;
    let value = tracking::updated(info, part, (&current.value, new), value, author)?;
    desired(info, value, current)
}

/// What becomes of `current` when an apply led to `new` and to these managers. `entries` are those of `current`.
pub(crate) fn applied(
    info: &Resource,
    part: Subresource,
    new: &Bytes,
    current: &Versioned,
    (entries, managers): (&[ManagedFieldsEntry], &Managers),
) -> Result<Desired> {
    let value = admit(info, part, new, current)?;
    let value = tracking::settled(info, (&current.value, entries), &value, managers)?;
    desired(info, value, current)
}

/// The part of `new` over `current`, checked.
fn admit(info: &Resource, part: Subresource, new: &Bytes, current: &Versioned) -> Result<Bytes> {
    let (sent, old) = (metadata::view(new)?, metadata::view(&current.value)?);
    metadata::check_current(info, &sent, &old, current.revision)?;
    let next = match (part, info.number) {
        (Subresource::Main, Namespace::NUMBER) => with_finalizers(new, &current.value)?,
        (Subresource::Finalize, _) => with_finalizers(&current.value, new)?,
        (Subresource::Status, Pod::NUMBER) => keep_qos_class(new, &current.value)?,
        _ => new.clone(),
    };
    let part = match part {
        Subresource::Status => strategy::Part::Status,
        Subresource::EphemeralContainers => strategy::Part::EphemeralContainers,
        Subresource::Resize => strategy::Part::Resize,
        Subresource::Main | Subresource::Scale | Subresource::Finalize => strategy::Part::None,
    };
    strategy::update(info, &current.value, &next, part)
}

/// What is stored when `value` takes the place of `current`.
fn desired(info: &KindInfo, value: Bytes, current: &Versioned) -> Result<Desired> {
    if value == current.value {
        return Ok(Desired::Keep);
    }
    if is_done(info, &value)? {
        return Ok(Desired::Delete);
    }
    Ok(Desired::Put(value))
}

/// Reads what the store holds; it was checked when it was written.
pub(crate) fn parse_stored(info: &KindInfo, value: &Bytes) -> Result<Outline> {
    Outline::parse(value)
        .map_err(|error| errors::internal(format!("a stored {} does not decode: {error}", info.kind)))
}

/// Decodes what the store holds; it was checked when it was written.
pub(crate) fn decode_stored<K: Kind>(value: &Bytes) -> Result<K> {
    K::decode(value.clone()).map_err(|error| {
        errors::internal(format!(
            "a stored {} does not decode: {error}",
            kinds::of::<K>().kind
        ))
    })
}

/// Whether nothing holds a deleting object any more.
fn is_done(info: &KindInfo, value: &Bytes) -> Result<bool> {
    if metadata::view(value)?.deletion_timestamp.is_none() {
        return Ok(false);
    }
    let released = deletion::is_released(&parse_stored(info, value)?.meta);
    if !released || info.number != Namespace::NUMBER {
        return Ok(released);
    }
    Ok(namespace::is_empty(&decode_stored(value)?))
}

/// `namespace` with the `spec.finalizers` of `other`: they change through `finalize` alone.
fn with_finalizers(namespace: &Bytes, other: &Bytes) -> Result<Bytes> {
    let mut namespace: Namespace = decode_stored(namespace)?;
    namespace.spec = decode_stored::<Namespace>(other)?.spec;
    Ok(namespace.encode_to_vec().into())
}

/// A Pod's QoS class is decided when it is created; a kubelet that leaves it out does not mean to clear it.
fn keep_qos_class(new: &Bytes, old: &Bytes) -> Result<Bytes> {
    let mut pod: Pod = decode_stored(new)?;
    let status = pod.status.get_or_insert_default();
    if !status.qos_class.is_empty() {
        return Ok(new.clone());
    }
    let old: Pod = decode_stored(old)?;
    status.qos_class = old.status.map(|status| status.qos_class).unwrap_or_default();
    Ok(pod.encode_to_vec().into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::api::apps::v1::{Deployment, DeploymentStatus};
    use proto::meta::v1::ObjectMeta;

    fn deployment(edit: impl FnOnce(&mut Deployment)) -> Bytes {
        let mut deployment = Deployment::default();
        *deployment.metadata_mut() = ObjectMeta {
            name: "web".into(),
            namespace: "default".into(),
            uid: "u1".into(),
            generation: 1,
            ..ObjectMeta::default()
        };
        let labels = std::collections::BTreeMap::from([("app".to_owned(), "web".to_owned())]);
        let spec = deployment.spec.get_or_insert_default();
        spec.selector.get_or_insert_default().match_labels = labels.clone();
        let template = spec.template.get_or_insert_default();
        template.metadata.get_or_insert_default().labels = labels;
        let containers = &mut template.spec.get_or_insert_default().containers;
        containers.push(proto::api::core::v1::Container {
            name: "web".into(),
            image: "nginx".into(),
            ..proto::api::core::v1::Container::default()
        });
        edit(&mut deployment);
        let meta = deployment.metadata.clone().unwrap_or_default();
        let status = deployment.status.take();
        let sent = deployment.encode_to_vec().into();
        let stored = strategy::create(&kinds::of::<Deployment>().into(), &sent, &mut |m| {
            *m = meta.clone();
        })
        .unwrap();
        let mut deployment: Deployment = decode_stored(&stored).unwrap();
        deployment.status = status;
        deployment.encode_to_vec().into()
    }

    fn run(part: Subresource, new: &Bytes, old: &Bytes) -> Result<Desired> {
        let current = Versioned {
            value: old.clone(),
            revision: 7,
        };
        plan(
            &kinds::of::<Deployment>().into(),
            part,
            new,
            Some(&current),
            &Author::for_test("tests"),
        )
    }

    fn put(effect: Desired) -> Deployment {
        match effect {
            Desired::Put(value) => Deployment::decode(value).unwrap(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_same_object_again_makes_no_revision() {
        let old = deployment(|_| ());
        assert_eq!(run(Subresource::Main, &old, &old), Ok(Desired::Keep));
    }

    #[test]
    fn a_spec_change_raises_the_generation_and_a_label_does_not() {
        let old = deployment(|d| d.status.get_or_insert_default().replicas = 2);
        let scaled = deployment(|d| d.spec.get_or_insert_default().replicas = Some(5));
        let after = put(run(Subresource::Main, &scaled, &old).unwrap());
        assert_eq!(after.meta().generation, 2);
        assert_eq!(after.status.unwrap().replicas, 2, "the status stays");
        let labelled = deployment(|d| {
            d.metadata_mut().labels.insert("tier".into(), "web".into());
        });
        assert_eq!(
            put(run(Subresource::Main, &labelled, &old).unwrap())
                .meta()
                .generation,
            1
        );
    }

    #[test]
    fn a_status_update_writes_the_status_alone() {
        let old = deployment(|_| ());
        let new = deployment(|d| {
            d.metadata_mut().labels.insert("tier".into(), "web".into());
            d.spec.get_or_insert_default().replicas = Some(9);
            d.status = Some(DeploymentStatus {
                replicas: 1,
                ..DeploymentStatus::default()
            });
        });
        let after = put(run(Subresource::Status, &new, &old).unwrap());
        assert_eq!(after.status.unwrap().replicas, 1);
        assert_eq!(after.spec.unwrap().replicas, Some(1));
        assert!(after.metadata.unwrap().labels.is_empty());
    }

    #[test]
    fn removing_the_last_finalizer_of_a_deleting_object_removes_it() {
        let old = deployment(|d| {
            let meta = d.metadata_mut();
            meta.finalizers = vec!["example.com/hold".into()];
            meta.deletion_timestamp = Some(proto::Timestamp { seconds: 5, nanos: 0 });
            meta.deletion_grace_period_seconds = Some(0);
        });
        let released = deployment(|_| ());
        assert_eq!(run(Subresource::Main, &released, &old), Ok(Desired::Delete));
    }

    #[test]
    fn subresources_exist_only_where_the_registry_says() {
        let secrets = kinds::lookup("secrets").unwrap();
        assert!(Subresource::parse(secrets, "status").is_err());
        assert!(Subresource::parse(secrets, "").is_ok());
        assert_eq!(
            Subresource::parse(kinds::of::<Namespace>(), "finalize"),
            Ok(Subresource::Finalize)
        );
    }
}
