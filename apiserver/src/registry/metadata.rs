//! What the registry itself does with an object's metadata: whether a write was made from the present state, and where
//! an object lives that does not say so. Pure.

use super::errors::{self, Result};
use super::outline::Outline;
use apimachinery::kinds::KindInfo;
use apimachinery::status::{self, FieldError};
use apimachinery::wire::MetaView;
use bytes::Bytes;
use storage::store::Revision;

/// The namespace of objects that name none.
const DEFAULT_NAMESPACE: &str = "default";

/// Reads the metadata of an object that was checked before.
pub(crate) fn view(object: &Bytes) -> Result<MetaView<'_>> {
    MetaView::parse(object)
        .map_err(|error| errors::bad_request(format!("the object does not decode: {error}")))
}

/// Whether an update may replace the object at `revision`: it names the resourceVersion and UID that it was made from,
/// or none.
pub(crate) fn check_current(
    info: &KindInfo,
    new: &MetaView<'_>,
    old: &MetaView<'_>,
    revision: Revision,
) -> Result<()> {
    if !new.uid.is_empty() && new.uid != old.uid {
        let why = format!(
            "Precondition failed: UID in precondition: {}, UID in object meta: {}",
            new.uid, old.uid
        );
        return Err(errors::conflict(info, old.name, &why));
    }
    if new.resource_version.is_empty() || new.resource_version == "0" {
        return Ok(());
    }
    match new.resource_version.parse::<Revision>() {
        Ok(version) if version == revision => Ok(()),
        Ok(_) => Err(errors::stale(info, old.name)),
        Err(_) => {
            let fault = FieldError {
                reason: "FieldValueInvalid",
                field: "metadata.resourceVersion".into(),
                message: format!("Invalid value: {:?}: must be an integer", new.resource_version),
            };
            Err(Box::new(status::invalid(
                info.group,
                info.kind,
                old.name,
                &[fault],
            )))
        }
    }
}

/// Where an object of this kind lives that says `namespace`.
pub(crate) fn settled<'a>(info: &KindInfo, namespace: &'a str) -> &'a str {
    match (info.namespaced, namespace) {
        (false, _) => "",
        (true, "") => DEFAULT_NAMESPACE,
        (true, namespace) => namespace,
    }
}

/// The object in the namespace where it lives.
pub(crate) fn settle(info: &KindInfo, object: &Bytes) -> Result<Bytes> {
    let namespace = view(object)?.namespace;
    let home = settled(info, namespace);
    if home == namespace {
        return Ok(object.clone());
    }
    let mut outline = Outline::parse(object).map_err(errors::bad_request)?;
    home.clone_into(&mut outline.meta.namespace);
    Ok(outline.encode())
}

/// The object at the place that a path names: where it does not say where it lives or what its name is, the path does.
pub(crate) fn place(info: &KindInfo, object: &Bytes, namespace: &str, name: Option<&str>) -> Result<Bytes> {
    let meta = view(object)?;
    let home = if info.namespaced { namespace } else { "" };
    if info.namespaced && !meta.namespace.is_empty() && meta.namespace != home {
        return Err(errors::bad_request(format!(
            "the namespace of the provided object does not match the namespace sent on the request ({} is not {home})",
            meta.namespace
        )));
    }
    let name = match name {
        Some(name) if !meta.name.is_empty() && meta.name != name => {
            return Err(errors::bad_request(format!(
                "the name of the object ({}) does not match the name on the URL ({name})",
                meta.name
            )));
        }
        Some(name) => name,
        None => meta.name,
    };
    if meta.namespace == home && meta.name == name {
        return Ok(object.clone());
    }
    let mut outline = Outline::parse(object).map_err(errors::bad_request)?;
    home.clone_into(&mut outline.meta.namespace);
    name.clone_into(&mut outline.meta.name);
    Ok(outline.encode())
}

#[cfg(test)]
mod tests {
    use super::*;
    use apimachinery::kinds;
    use prost::Message;
    use proto::Kind;
    use proto::api::core::v1::{Node, Pod};
    use proto::meta::v1::ObjectMeta;

    fn pod(edit: impl FnOnce(&mut ObjectMeta)) -> Bytes {
        let mut pod = Pod::default();
        edit(pod.metadata_mut());
        pod.encode_to_vec().into()
    }

    #[test]
    fn an_update_must_be_made_from_the_present_state_or_from_none() {
        let cases = [
            ("", "", ""),
            ("7", "u1", ""),
            ("0", "", ""),
            ("6", "", "Conflict"),
            ("7", "u2", "Conflict"),
            ("x", "", "Invalid"),
        ];
        let old = pod(|meta| meta.uid = "u1".into());
        for (version, uid, reason) in cases {
            let new = pod(|meta| {
                meta.resource_version = version.into();
                meta.uid = uid.into();
            });
            let pods = kinds::of::<Pod>();
            let got = check_current(pods, &view(&new).unwrap(), &view(&old).unwrap(), 7);
            assert_eq!(
                got.err().map_or(String::new(), |s| s.reason),
                reason,
                "{version} {uid}"
            );
        }
    }

    #[test]
    fn objects_live_in_default_or_where_they_say_or_nowhere() {
        let home = |info, object: &Bytes| view(&settle(info, object).unwrap()).unwrap().namespace.to_owned();
        let (pods, nodes) = (kinds::of::<Pod>(), kinds::of::<Node>());
        let somewhere = pod(|meta| meta.namespace = "team".into());
        assert_eq!(home(pods, &pod(|meta| meta.name = "web".into())), "default");
        assert_eq!(home(pods, &somewhere), "team");
        assert_eq!(home(nodes, &somewhere), "");
    }

    #[test]
    fn the_path_says_where_an_object_is_that_does_not_say_so_and_may_not_contradict_it() {
        let named = |namespace: &str, name: &str| {
            pod(|meta| {
                meta.namespace = namespace.into();
                meta.name = name.into();
            })
        };
        let (pods, nodes) = (kinds::of::<Pod>(), kinds::of::<Node>());
        for (info, namespace, name, expected) in [
            (pods, "", "", Ok("team/web")),
            (pods, "team", "web", Ok("team/web")),
            (nodes, "other", "web", Ok("/web")),
            (pods, "other", "web", Err("does not match the namespace")),
            (pods, "team", "db", Err("does not match the name on the URL")),
        ] {
            let placed = place(info, &named(namespace, name), "team", Some("web"));
            match (placed, expected) {
                (Ok(object), Ok(expected)) => {
                    let meta = view(&object).unwrap();
                    assert_eq!(format!("{}/{}", meta.namespace, meta.name), expected);
                }
                (Err(status), Err(why)) => assert!(status.message.contains(why), "{}", status.message),
                (got, _) => panic!("{got:?}"),
            }
        }
    }
}
