//! One request: what it names, what it asks for, who sends it. Everything but its body.

use super::Api;
use super::media::{self, Form, Include, Shape};
use super::path::Address;
use super::query::Query;
use crate::registry::errors::{self, Result};
use crate::registry::{Resource, create_only};
use axum::http::{HeaderMap, Method, header};
use component_base::grpc::{ANONYMOUS, Caller};
use std::sync::Arc;

/// The longest actor or field manager, as upstream.
const MAX_MANAGER_BYTES: usize = 128;

/// A request that names a resource.
pub(crate) struct Call {
    /// What serves it.
    pub(crate) api: Arc<Api>,
    /// What it is about.
    pub(crate) resource: Resource,
    /// What its path says.
    pub(crate) address: Address,
    /// Its parameters.
    pub(crate) query: Query,
    /// Its method.
    pub(crate) method: Method,
    /// Its headers.
    pub(crate) headers: HeaderMap,
}

impl Call {
    /// The namespace in the path; empty for none.
    pub(crate) fn namespace(&self) -> &str {
        self.address.namespace.as_deref().unwrap_or_default()
    }

    /// The object's name; empty for a collection.
    pub(crate) fn name(&self) -> &str {
        self.address.name.as_deref().unwrap_or_default()
    }

    /// Whether it asks for changes as they come.
    pub(crate) fn is_watch(&self) -> bool {
        self.address.watch || self.query.switch("watch") == Some(true)
    }

    /// The subresource; empty for the object itself.
    pub(crate) fn subresource(&self) -> &str {
        self.address.subresource.as_deref().unwrap_or_default()
    }

    /// Whether it is about what is never stored.
    pub(crate) fn is_create_only(&self) -> bool {
        create_only()
            .iter()
            .any(|info| std::ptr::eq(info, self.resource.info))
    }

    /// How the registry calls the kind.
    pub(crate) fn kind(&self) -> String {
        self.resource.name()
    }

    /// The field selector, as the registry understands it.
    pub(crate) fn field_selector(&self) -> Result<String> {
        let text = self.query.text("fieldSelector");
        match self.resource.view {
            Some(view) => view
                .field_selector(text)
                .map_err(|error| errors::bad_request(error.to_string())),
            None => Ok(text.to_owned()),
        }
    }

    /// The form of the answer.
    pub(crate) fn form(&self) -> Result<Form> {
        let mut form = media::negotiate(&self.headers, self.query.switch("pretty"))?;
        if let Shape::Table(table) = &mut form.shape {
            table.include = Include::parse(self.query.text("includeObject"))?;
        }
        Ok(form)
    }

    /// Who writes, for the log: the program's name.
    pub(crate) fn caller(&self) -> Caller {
        let name = self.program();
        Caller::new(if name.is_empty() { ANONYMOUS } else { name })
    }

    /// Whom to name in managedFields: what the request says, or else the program.
    pub(crate) fn field_manager(&self) -> Result<String> {
        let manager = self.query.text("fieldManager");
        if manager.len() > MAX_MANAGER_BYTES || manager.chars().any(char::is_control) {
            return Err(errors::bad_request(format!(
                "fieldManager must be at most {MAX_MANAGER_BYTES} printable bytes long"
            )));
        }
        Ok(if manager.is_empty() {
            self.program()
        } else {
            manager
        }
        .to_owned())
    }

    /// The first word of `User-Agent` up to its `/`: `kubectl` of `kubectl/v1.35.0 (linux/amd64)`.
    fn program(&self) -> &str {
        let agent = self.headers.get(header::USER_AGENT);
        let agent = agent.and_then(|value| value.to_str().ok()).unwrap_or_default();
        let name = agent.split(['/', ' ']).next().unwrap_or_default();
        // A header's value is ASCII here, so that any byte is a boundary.
        &name[..name.len().min(MAX_MANAGER_BYTES)]
    }
}
