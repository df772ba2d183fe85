//! Objects cut down to their metadata: PartialObjectMetadata, in JSON and in protobuf.
//!
//! <https://kubernetes.io/docs/reference/using-api/api-concepts/#metadata-only-fetches>

use super::answer;
use crate::registry::Listed;
use crate::registry::errors::{self, Result};
use apimachinery::json::Message;
use apimachinery::wire;
use bytes::Bytes;
use prost::encoding::{WireType, encode_key, encode_varint};
use proto::meta::v1::ListMeta;
use std::sync::LazyLock;

/// The schema's name of the metadata that every object has.
const OBJECT_META: &str = "k8s.io.apimachinery.pkg.apis.meta.v1.ObjectMeta";

/// The JSON of an object's PartialObjectMetadata.
pub(crate) fn json(object: &Bytes, version: &str) -> Result<Vec<u8>> {
    let mut out = Vec::with_capacity(object.len() + 128);
    put_json(object, version, &mut out)?;
    Ok(out)
}

/// Appends the JSON of an object's PartialObjectMetadata.
pub(crate) fn put_json(object: &Bytes, version: &str, out: &mut Vec<u8>) -> Result<()> {
    static MESSAGE: LazyLock<&Message> =
        LazyLock::new(|| Message::by_name(OBJECT_META).expect("the schema has ObjectMeta"));
    out.extend_from_slice(b"{\"kind\":\"PartialObjectMetadata\",\"apiVersion\":\"");
    out.extend_from_slice(api_version(version).as_bytes());
    out.extend_from_slice(b"\",\"metadata\":");
    MESSAGE
        .to_json(&metadata(object)?, out)
        .map_err(|fault| answer::unshown(&fault))?;
    out.push(b'}');
    Ok(())
}

/// An object's PartialObjectMetadata in protobuf, `{metadata = 1}`, in its envelope.
pub(crate) fn envelope(object: &Bytes, version: &str) -> Result<Bytes> {
    let raw = cut(object)?.into();
    Ok(answer::envelope(
        &api_version(version),
        "PartialObjectMetadata",
        &raw,
    ))
}

/// A PartialObjectMetadataList in protobuf, `{metadata = 1, items = 2}`, in its envelope.
pub(crate) fn list_envelope(listed: &Listed, metadata: &ListMeta, version: &str) -> Result<Bytes> {
    const METADATA: u32 = 1;
    const ITEMS: u32 = 2;
    let mut raw = Vec::new();
    prost::encoding::message::encode(METADATA, metadata, &mut raw);
    for item in &listed.items {
        prost::encoding::bytes::encode(ITEMS, &cut(&item.object.bytes)?, &mut raw);
    }
    let kind = "PartialObjectMetadataList";
    Ok(answer::envelope(&api_version(version), kind, &raw.into()))
}

/// `meta.k8s.io/v1`.
pub(crate) fn api_version(version: &str) -> String {
    format!("meta.k8s.io/{version}")
}

/// Every kind has its metadata in field 1, and so has PartialObjectMetadata.
fn cut(object: &Bytes) -> Result<Vec<u8>> {
    let metadata = metadata(object)?;
    let mut out = Vec::with_capacity(metadata.len() + 4);
    encode_key(1, WireType::LengthDelimited, &mut out);
    encode_varint(metadata.len() as u64, &mut out);
    out.extend_from_slice(&metadata);
    Ok(out)
}

fn metadata(object: &Bytes) -> Result<std::borrow::Cow<'_, [u8]>> {
    wire::metadata(object).map_err(|error| errors::internal(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use prost::Message as _;
    use proto::Kind;
    use proto::api::core::v1::ConfigMap;

    #[test]
    fn what_is_not_metadata_is_cut_away() {
        let mut object = ConfigMap::default();
        object.metadata_mut().name = "a".into();
        object.data.insert("secret".into(), "x".into());
        let bytes: Bytes = object.encode_to_vec().into();
        let text = json(&bytes, "v1").unwrap();
        let value: serde_json::Value = serde_json::from_slice(&text).unwrap();
        assert_eq!(value["apiVersion"], "meta.k8s.io/v1");
        assert_eq!(value["metadata"]["name"], "a");
        assert_eq!(value.as_object().unwrap().len(), 3);
        object.data.clear();
        assert_eq!(cut(&bytes).unwrap(), object.encode_to_vec());
    }
}
