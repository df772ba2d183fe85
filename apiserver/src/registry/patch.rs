//! What a patch makes of an object: the stored object as JSON, patched, read back strictly, and then an update. Pure.
//!
//! <https://kubernetes.io/docs/reference/using-api/api-concepts/#patch-and-apply>.

use super::Resource;
use super::errors::{self, Result};
use super::plan::{Plan, Warnings};
use super::tracking::Author;
use super::update::{self, Subresource};
use super::{metadata, strategy};
use apimachinery::json::{self, Unknown};
use apimachinery::patch;
use apimachinery::wire::with_resource_version;
use bytes::Bytes;
use prost::Message;
use proto::Kind;
use proto::api::autoscaling::v1::Scale;
use proto::orrery::v1::patch_request::Type;
use serde_json::Value;
use storage::store::Versioned;
use storage::write::Desired;

/// A change to a part of an object, as it was sent.
pub(crate) struct Patch {
    /// How to read it.
    pub(crate) form: Type,
    /// It.
    pub(crate) text: String,
    /// What becomes of fields that the schema does not have.
    pub(crate) unknown: Unknown,
    /// Where their names go, when they are left out with a warning.
    pub(crate) warnings: Warnings,
}

/// A patch of the object `name`.
pub(crate) fn plan(
    info: Resource,
    part: Subresource,
    name: String,
    patch: Patch,
    author: Author,
) -> Result<Plan> {
    if !matches!(patch.form, Type::Json | Type::Merge | Type::StrategicMerge) {
        return Err(errors::bad_request(
            "type must be JSON, MERGE, STRATEGIC_MERGE or APPLY",
        ));
    }
    // Only the descriptors say how lists merge strategically.
    if patch.form == Type::StrategicMerge && info.is_custom() {
        return Err(errors::unsupported_media_type(&[
            "application/json-patch+json",
            "application/merge-patch+json",
            "application/apply-patch+yaml",
        ]));
    }
    Ok(Box::new(move |current| {
        let Some(current) = current else {
            return Err(errors::not_found(&info, &name));
        };
        let before = with_resource_version(&current.value, current.revision)
            .map_err(|error| errors::internal(format!("a stored {} does not decode: {error}", info.kind)))?;
        let before = strategy::shown(&info, &before, current.revision)?;
        if part == Subresource::Scale {
            let scale = strategy::scale_of(&info, &before)?.encode_to_vec().into();
            let after = patched(Scale::NUMBER, &scale, &patch)?;
            let after = Scale::decode(after).map_err(|error| errors::internal(error.to_string()))?;
            return rescale(&info, &after, current, &author);
        }
        let after = metadata::settle(&info, &patched(info.arm(), &before, &patch)?)?;
        patch
            .warnings
            .add(strategy::check_fields(&info, &after, patch.unknown)?);
        let (old, new) = (metadata::view(&before)?, metadata::view(&after)?);
        if new.name != old.name || new.namespace != old.namespace {
            return Err(errors::bad_request(
                "a patch cannot change metadata.name or metadata.namespace",
            ));
        }
        update::plan(&info, part, &after, Some(current), &author)
    }))
}

/// What becomes of an object whose scale is `scale` from now on.
pub(crate) fn rescale(
    info: &Resource,
    scale: &Scale,
    current: &Versioned,
    author: &Author,
) -> Result<Desired> {
    let meta = scale.meta();
    let mut next = update::parse_stored(info, &strategy::with_scale(info, &current.value, scale)?)?;
    // What the Scale was made from decides, as with any update.
    next.meta.uid.clone_from(&meta.uid);
    next.meta.resource_version.clone_from(&meta.resource_version);
    update::plan(info, Subresource::Scale, &next.encode(), Some(current), author)
}

/// The patched object in canonical encoding.
fn patched(number: u32, before: &Bytes, sent: &Patch) -> Result<Bytes> {
    let text = &sent.text;
    let before = json::to_value(number, before)
        .map_err(|fault| errors::internal(format!("a stored object cannot be shown as JSON: {fault}")))?;
    let after: Value = match sent.form {
        Type::Json => patch::json_patch(&before, text),
        Type::StrategicMerge => patch::strategic_merge_patch(number, &before, text),
        _ => patch::merge_patch(&before, text),
    }
    .map_err(|error| Box::new(error.to_status()))?;
    let decoded =
        json::from_value_as(number, &after, sent.unknown).map_err(|faults| strategy::unreadable(&faults))?;
    sent.warnings
        .set(decoded.warnings.iter().map(ToString::to_string).collect());
    Ok(decoded.bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use apimachinery::kinds::{self, KindInfo, custom};
    use proto::api::core::v1::Pod;
    use proto::apiextensions::v1::{
        CustomResourceDefinition, CustomResourceDefinitionNames, CustomResourceDefinitionSpec,
        CustomResourceDefinitionVersion,
    };

    #[test]
    fn only_kinds_that_descriptors_describe_merge_strategically() {
        let version = CustomResourceDefinitionVersion {
            name: "v1".into(),
            served: true,
            storage: true,
            ..CustomResourceDefinitionVersion::default()
        };
        let definition = CustomResourceDefinition {
            spec: Some(CustomResourceDefinitionSpec {
                group: "patch.example.com".into(),
                names: Some(CustomResourceDefinitionNames {
                    plural: "widgets".into(),
                    kind: "Widget".into(),
                    ..CustomResourceDefinitionNames::default()
                }),
                versions: vec![version.clone()],
                ..CustomResourceDefinitionSpec::default()
            }),
            ..CustomResourceDefinition::default()
        };
        let widget = custom::row(&definition, &version).unwrap();
        let try_plan = |info: &'static KindInfo, form| {
            let author = Author::for_test("tests");
            let patch = Patch {
                form,
                text: "{}".into(),
                unknown: Unknown::Strict,
                warnings: Warnings::default(),
            };
            let planned = plan(info.into(), Subresource::Main, "a".into(), patch, author);
            planned.err().map(|status| status.code)
        };
        assert_eq!(try_plan(widget, Type::StrategicMerge), Some(415));
        assert_eq!(try_plan(widget, Type::Merge), None);
        assert_eq!(try_plan(kinds::of::<Pod>(), Type::StrategicMerge), None);
        assert_eq!(try_plan(kinds::of::<Pod>(), Type::Unspecified), Some(400));
    }
}
