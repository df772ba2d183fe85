//! A CustomResourceDefinition as the server uses it.
//!
//! In: a stored definition. Out: its versions, each with its row, its compiled schema and its paths. Compiling costs
//! milliseconds, so it is done once for each version of the definition that is stored.

use super::scale::ScalePaths;
use apiextensions::Schema;
use apimachinery::json::Message;
use apimachinery::kinds::{self, KindInfo};
use apimachinery::managed_fields;
use apimachinery::meta::is_being_deleted;
use prost::Message as _;
use proto::Kind;
use proto::apiextensions::v1::{
    CustomResourceColumnDefinition, CustomResourceDefinition, CustomResourceDefinitionVersion,
};
use serde_json::Value;
use std::sync::Arc;
use storage::store::Revision;
use tokio_util::sync::CancellationToken;

/// A definition that is served.
#[derive(Debug)]
pub(crate) struct Definition {
    /// It, as it is stored.
    pub(crate) object: CustomResourceDefinition,
    /// The revision of its last write.
    pub(crate) revision: Revision,
    /// The versions that are served, and the stored one. None before it is established.
    pub(crate) versions: Vec<Arc<Version>>,
}

/// One version of a custom kind.
#[derive(Debug)]
pub struct Version {
    /// Its names.
    pub info: &'static KindInfo,
    /// Whether clients may use it. The stored version is known to the server even when they may not.
    pub served: bool,
    /// What a list of its objects calls itself.
    pub list_kind: String,
    /// What those who use it are told.
    pub deprecation: Option<String>,
    /// The columns of its table beside the name; none for the usual ones.
    pub columns: Vec<CustomResourceColumnDefinition>,
    /// What objects look like. `None` for a schema that an earlier server took and this one cannot compile: then
    /// everything is kept and nothing is checked.
    pub schema: Option<Schema>,
    /// How its objects merge, for field managers.
    pub(crate) merges: Option<Arc<managed_fields::Schema>>,
    /// Where an object keeps what a Scale shows.
    pub(crate) scale: Option<ScalePaths>,
    /// What objects are stored as.
    pub(crate) stored_as: String,
    /// Objects that were written after this revision were written under this schema, where it is the only one.
    pub(crate) since: Revision,
    /// Whether the kind has no other version, through whose schema an object may have been written.
    pub(crate) is_only: bool,
    /// Whether the kind is on its way out, and takes no new objects.
    pub(crate) is_terminating: bool,
    /// Cancelled once the kind is no longer served.
    pub(crate) gone: CancellationToken,
}

impl Definition {
    /// Reads a stored definition, and notes its kind for the process. `before` is the same one as it was: who watches a
    /// version goes on when the definition changes.
    pub(crate) fn new(object: CustomResourceDefinition, revision: Revision, before: Option<&Self>) -> Self {
        let before = before.filter(|before| before.object.uid() == object.uid());
        let versions = if kinds::custom::note(&object).is_some() {
            versions(&object, revision, before)
        } else {
            Vec::new()
        };
        Self {
            object,
            revision,
            versions,
        }
    }

    /// Ends the watches of the versions that `after` does not serve; `None` serves nothing.
    pub(crate) fn end_watches(&self, after: Option<&Self>) {
        let still = |version: &Version| {
            after.is_some_and(|after| {
                let mut versions = after.versions.iter();
                versions.any(|other| other.info.version == version.info.version && other.served)
            })
        };
        for version in self.versions.iter().filter(|version| !still(version)) {
            version.gone.cancel();
        }
    }

    /// The version that objects are stored in.
    pub(crate) fn stored(&self) -> Option<&Arc<Version>> {
        self.versions
            .iter()
            .find(|version| version.info.api_version() == version.stored_as)
    }
}

fn versions(
    object: &CustomResourceDefinition,
    revision: Revision,
    before: Option<&Definition>,
) -> Vec<Arc<Version>> {
    let spec = object.spec.clone().unwrap_or_default();
    let accepted = object
        .status
        .as_ref()
        .and_then(|status| status.accepted_names.clone());
    let accepted = accepted.unwrap_or_default();
    let Some(stored) = spec.versions.iter().find(|version| version.storage) else {
        return Vec::new();
    };
    let stored_as = format!("{}/{}", spec.group, stored.name);
    let wanted = spec
        .versions
        .iter()
        .filter(|version| version.served || version.storage);
    let version = |version: &CustomResourceDefinitionVersion| {
        let info = kinds::custom::row(object, version)?;
        let schema = schema(version);
        let subresources = version.subresources.clone().unwrap_or_default();
        let mut known = before.iter().flat_map(|before| &before.versions);
        let known = known.find(|known| known.info.version == version.name);
        let default_warning = || format!("{} {} is deprecated", info.api_version(), info.kind);
        Some(Arc::new(Version {
            info,
            served: version.served,
            list_kind: accepted.list_kind.clone(),
            deprecation: version.deprecated.then(|| {
                version
                    .deprecation_warning
                    .clone()
                    .unwrap_or_else(default_warning)
            }),
            columns: version.additional_printer_columns.clone(),
            merges: schema.as_ref().map(|schema| Arc::clone(schema.merge_schema())),
            schema,
            scale: subresources.scale.as_ref().map(ScalePaths::new),
            stored_as: stored_as.clone(),
            since: revision,
            is_only: spec.versions.len() == 1,
            is_terminating: is_being_deleted(object.meta()),
            gone: known.map(|known| known.gone.clone()).unwrap_or_default(),
        }))
    };
    wanted.filter_map(version).collect()
}

fn schema(version: &CustomResourceDefinitionVersion) -> Option<Schema> {
    let source = version.schema.as_ref()?.open_apiv3_schema.as_ref()?;
    let compiled = Schema::compile(&json(source.encode_to_vec(), SCHEMA_MESSAGE)?);
    compiled
        .inspect_err(|faults| {
            let first = faults
                .first()
                .map(|fault| format!("{}: {}", fault.field, fault.message));
            tracing::warn!(
                version = version.name,
                fault = first,
                "a stored schema does not compile"
            );
        })
        .ok()
}

const SCHEMA_MESSAGE: &str = "k8s.io.apiextensions_apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps";

/// A message as JSON. What the store holds was checked, so that there is always one.
fn json(bytes: Vec<u8>, message: &str) -> Option<Value> {
    Message::by_name(message)?.to_value(&bytes).ok()
}
