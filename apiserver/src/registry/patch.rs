//! What a patch makes of an object: the stored object as JSON, patched, read back strictly, and then an update. Pure.
//!
//! <https://kubernetes.io/docs/reference/using-api/api-concepts/#patch-and-apply>.

use super::create;
use super::errors::{self, Result};
use super::plan::Plan;
use super::update::{self, Subresource};
use super::{scale, strategy};
use apimachinery::json::{self, Unknown};
use apimachinery::kinds::KindInfo;
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

/// A patch of the object `name`.
pub(crate) fn plan(
    info: &'static KindInfo,
    part: Subresource,
    name: String,
    form: Type,
    text: String,
) -> Result<Plan> {
    if form == Type::Unspecified {
        return Err(errors::bad_request("type must be JSON or MERGE"));
    }
    Ok(Box::new(move |current| {
        let Some(current) = current else {
            return Err(errors::not_found(info, &name));
        };
        if part == Subresource::Scale {
            let before = scale::read(info, &current.value, current.revision)?;
            let patched = patched(Scale::NUMBER, &before.encode_to_vec().into(), form, &text)?;
            let after = Scale::decode(patched).map_err(|error| errors::internal(error.to_string()))?;
            return rescale(info, &after, current);
        }
        let before = with_resource_version(&current.value, current.revision)
            .map_err(|error| errors::internal(format!("a stored {} does not decode: {error}", info.kind)))?;
        let after = patched(info.number, &before, form, &text)?;
        strategy::check_size(&after)?;
        let mut next = create::parse(info, &strategy::defaulted(info, &after)?)?;
        create::settle_namespace(info, &mut next);
        let namespace = current_namespace(current)?;
        if next.meta.name != name || next.meta.namespace != namespace {
            return Err(errors::bad_request(
                "a patch cannot change metadata.name or metadata.namespace",
            ));
        }
        update::plan(info, part, &next, Some(current))
    }))
}

/// What becomes of an object whose scale is `scale` from now on.
pub(crate) fn rescale(info: &'static KindInfo, scale: &Scale, current: &Versioned) -> Result<Desired> {
    let old = update::parse_stored(info, &current.value)?;
    super::metadata::check_current(info, scale.meta(), &old.meta, current.revision)?;
    let value = scale::write(info, &current.value, scale)?;
    let next = create::parse(info, &value)?;
    update::plan(info, Subresource::Scale, &next, Some(current))
}

fn current_namespace(current: &Versioned) -> Result<String> {
    let meta = apimachinery::wire::MetaView::parse(&current.value);
    let meta = meta.map_err(|error| errors::internal(format!("a stored object does not decode: {error}")))?;
    Ok(meta.namespace.to_owned())
}

/// The patched object in canonical encoding.
fn patched(number: u32, before: &Bytes, form: Type, text: &str) -> Result<Bytes> {
    let before = json::to_value(number, before)
        .map_err(|fault| errors::internal(format!("a stored object cannot be shown as JSON: {fault}")))?;
    let after: Value = match form {
        Type::Json => patch::json_patch(&before, text),
        Type::Merge | Type::Unspecified => patch::merge_patch(&before, text),
    }
    .map_err(|error| Box::new(error.to_status()))?;
    let decoded = json::from_value_as(number, &after, Unknown::Strict)
        .map_err(|faults| strategy::unreadable(&faults))?;
    Ok(decoded.bytes)
}
