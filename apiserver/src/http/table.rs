//! Objects as rows of a Table, and objects cut down to their metadata.
//!
//! In: encoded objects. Out: JSON of `meta.k8s.io`'s Table, PartialObjectMetadata and PartialObjectMetadataList.
//! <https://kubernetes.io/docs/reference/using-api/api-concepts/#receiving-resources-as-tables>

use super::Api;
use super::answer::{self, Shown};
use crate::registry::errors::{self, Result};
use bytes::Bytes;
use serde_json::{Value, json};

/// The Table of one object.
pub(crate) fn of_object(shown: &Shown<'_>, version: &str, _api: &Api) -> Result<Bytes> {
    let object = tree(shown)?;
    let version_of_object = object["metadata"]["resourceVersion"].clone();
    let mut table = head(version, &json!({ "resourceVersion": version_of_object }));
    table["rows"] = json!([row(&object)]);
    Ok(table.to_string().into())
}

/// The Table of one event of a watch: the columns are told once.
pub(crate) fn of_event(shown: &Shown<'_>, version: &str, columns: bool, api: &Api) -> Result<Bytes> {
    let text = of_object(shown, version, api)?;
    if columns {
        return Ok(text);
    }
    let mut table: Value =
        serde_json::from_slice(&text).map_err(|error| errors::internal(error.to_string()))?;
    table["columnDefinitions"] = Value::Null;
    Ok(table.to_string().into())
}

/// The Table of a list.
pub(crate) fn of_list(rows: &[Shown<'_>], metadata: &Value, version: &str, _api: &Api) -> Result<Bytes> {
    let rows = rows.iter().map(|shown| Ok(row(&tree(shown)?)));
    let mut table = head(version, metadata);
    table["rows"] = Value::Array(rows.collect::<Result<_>>()?);
    Ok(table.to_string().into())
}

/// One object's PartialObjectMetadata.
pub(crate) fn partial(shown: &Shown<'_>, version: &str) -> Result<Bytes> {
    Ok(cut(&tree(shown)?, version).to_string().into())
}

/// The PartialObjectMetadataList of a list.
pub(crate) fn partial_list(rows: &[Shown<'_>], metadata: &Value, version: &str) -> Result<Bytes> {
    let items = rows.iter().map(|shown| Ok(cut(&tree(shown)?, version)));
    let list = json!({
        "kind": "PartialObjectMetadataList",
        "apiVersion": api_version(version),
        "metadata": metadata,
        "items": items.collect::<Result<Vec<_>>>()?,
    });
    Ok(list.to_string().into())
}

fn api_version(version: &str) -> String {
    format!("meta.k8s.io/{version}")
}

fn tree(shown: &Shown<'_>) -> Result<Value> {
    apimachinery::json::to_value(shown.object.number, &shown.object.bytes)
        .map_err(|fault| answer::unshown(&fault))
}

fn cut(object: &Value, version: &str) -> Value {
    json!({
        "kind": "PartialObjectMetadata",
        "apiVersion": api_version(version),
        "metadata": object["metadata"],
    })
}

fn head(version: &str, metadata: &Value) -> Value {
    let column = |name: &str, format: &str, about: &str| json!({"name": name, "type": "string", "format": format, "description": about, "priority": 0});
    json!({
        "kind": "Table",
        "apiVersion": api_version(version),
        "metadata": metadata,
        "columnDefinitions": [
            column("Name", "name", "Name of the object, unique within its namespace."),
            column("Created At", "date", "When the object was created."),
        ],
        "rows": [],
    })
}

fn row(object: &Value) -> Value {
    let metadata = &object["metadata"];
    json!({
        "cells": [metadata["name"], metadata["creationTimestamp"]],
        "object": cut(object, "v1"),
    })
}
