//! Objects as rows of a Table: what `kubectl get` prints, made here.
//!
//! In: encoded objects, as they are stored. Out: JSON of `meta.k8s.io`'s Table. The columns are those of
//! `apimachinery::printers`; a row has the object's cells, and as much of the object as the client asks for.
//! <https://kubernetes.io/docs/reference/using-api/api-concepts/#receiving-resources-as-tables>

use super::answer::Shown;
use super::media::{Include, TableForm};
use super::{Api, partial};
use crate::registry::Resource;
use crate::registry::errors::{self, Result};
use apimachinery::printers::{self, Layout};
use apimachinery::wire::MetaView;
use bytes::Bytes;
use jiff::Timestamp;
use proto::api::autoscaling::v1::Scale;
use proto::{Kind, Object};
use serde::Serialize;
use serde_json::{Value, json};

/// A Table in the making: its head, then rows, then [`END`].
pub(crate) struct Printer {
    layout: Layout,
    resource: Resource,
    form: TableForm,
    now: Timestamp,
}

/// What ends a Table.
pub(crate) const END: &[u8] = b"]}";

impl Printer {
    /// A Table of a resource's objects.
    pub(crate) fn new(resource: &Resource, form: TableForm, api: &Api) -> Self {
        Self {
            layout: match &resource.custom {
                Some(version) => Layout::of_version(&version.columns),
                None => printers::layout(resource.stored().number),
            },
            resource: resource.clone(),
            form,
            now: api.clock.wall(),
        }
    }

    /// Everything before the rows. A watch tells the columns only once.
    pub(crate) fn head(&self, metadata: &Value, columns: bool) -> Vec<u8> {
        let version = partial::api_version(self.form.version);
        let columns = columns.then(|| self.layout.columns());
        let mut out = Vec::new();
        put(b"{\"kind\":\"Table\",\"apiVersion\":", &version, &mut out);
        put(b",\"metadata\":", metadata, &mut out);
        put(b",\"columnDefinitions\":", &columns, &mut out);
        out.extend_from_slice(b",\"rows\":[");
        out
    }

    /// Appends an object's row.
    pub(crate) fn row(&self, object: &Object, api: &Api, out: &mut Vec<u8>) -> Result<()> {
        let cells = self
            .layout
            .cells(object, self.now)
            .map_err(|error| errors::internal(format!("a stored object fills no row: {error}")))?;
        put(b"{\"cells\":", &cells, out);
        out.extend_from_slice(b",\"object\":");
        match self.form.include {
            Include::None => out.extend_from_slice(b"null"),
            Include::Metadata => partial::put_json(&object.bytes, self.form.version, out)?,
            Include::Object => out.extend_from_slice(&api.json(&self.resource, object)?),
        }
        out.push(b'}');
        Ok(())
    }
}

fn put(before: &[u8], value: &impl Serialize, out: &mut Vec<u8>) {
    out.extend_from_slice(before);
    serde_json::to_writer(out, value).expect("texts, numbers and lists of them go into memory");
}

/// The Table of one object.
pub(crate) fn of_object(shown: &Shown<'_>, form: TableForm, api: &Api) -> Result<Bytes> {
    of_event(shown, form, true, api)
}

/// The Table of one event of a watch.
pub(crate) fn of_event(shown: &Shown<'_>, form: TableForm, columns: bool, api: &Api) -> Result<Bytes> {
    let meta = MetaView::parse(&shown.object.bytes).map_err(|error| errors::internal(error.to_string()))?;
    let metadata = json!({ "resourceVersion": meta.resource_version });
    let mut printer = Printer::new(shown.resource, form, api);
    // What a subresource answers with is of another kind than the resource.
    if shown.object.number == Scale::NUMBER {
        printer.layout = printers::layout(Scale::NUMBER);
    }
    let mut out = printer.head(&metadata, columns);
    printer.row(shown.object, api, &mut out)?;
    out.extend_from_slice(END);
    Ok(out.into())
}
