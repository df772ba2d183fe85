//! [`Api`]: the objects of one kind, typed.
//!
//! A thin layer over [`Client`]: it fills in the kind, and decodes the answers.

use crate::client::Client;
use crate::error::Error;
use apimachinery::kinds;
use proto::meta::v1::DeleteOptions;
use proto::orrery::v1::patch_request::Type as PatchType;
use proto::orrery::v1::{CreateRequest, DeleteRequest, GetRequest, ListRequest, PatchRequest, UpdateRequest};
use proto::{Kind, Object};
use std::marker::PhantomData;

/// The objects of kind `K`. Cheap to make and to clone.
pub struct Api<K> {
    client: Client,
    kind: PhantomData<fn() -> K>,
}

impl<K> Clone for Api<K> {
    fn clone(&self) -> Self {
        Self {
            client: self.client.clone(),
            kind: PhantomData,
        }
    }
}

/// Which objects to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListOptions {
    /// Empty for all namespaces.
    pub namespace: String,
    /// `app=web,tier in (a, b)`.
    pub label_selector: String,
    /// `spec.nodeName=node-1`.
    pub field_selector: String,
}

/// All objects that a list asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct List<K> {
    /// In order of namespace and name.
    pub items: Vec<K>,
    /// The revision that the list shows.
    pub revision: i64,
}

/// A change to a part of an object, as JSON text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Patch {
    /// RFC 7386: laid over the object; null removes.
    Merge(String),
    /// RFC 6902: a list of operations.
    Json(String),
}

/// What became of a deleted object.
#[derive(Clone, Debug, PartialEq)]
pub struct Deleted<K> {
    /// Its last state.
    pub object: K,
    /// Whether it is gone already, and not held by grace or finalizers.
    pub gone: bool,
}

impl<K: Kind> Api<K> {
    /// The objects of kind `K` that `client` reaches.
    pub fn new(client: Client) -> Self {
        Self {
            client,
            kind: PhantomData,
        }
    }

    /// The same, with writes that name `revision` as what made them.
    pub fn with_cause(&self, revision: i64) -> Self {
        Self::new(self.client.with_cause(revision))
    }

    /// One object. `namespace` is empty for kinds that live in none.
    pub async fn get(&self, namespace: &str, name: &str) -> Result<K, Error> {
        let request = GetRequest {
            kind: resource::<K>(),
            namespace: namespace.into(),
            name: name.into(),
            ..GetRequest::default()
        };
        typed(self.client.get(request).await?)
    }

    /// One object, or `None` when there is none of that name.
    pub async fn find(&self, namespace: &str, name: &str) -> Result<Option<K>, Error> {
        match self.get(namespace, name).await {
            Ok(object) => Ok(Some(object)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// All objects that match, at one revision, however many pages they take.
    pub async fn list(&self, options: ListOptions) -> Result<List<K>, Error> {
        let request = ListRequest {
            kind: resource::<K>(),
            namespace: options.namespace,
            label_selector: options.label_selector,
            field_selector: options.field_selector,
            ..ListRequest::default()
        };
        let list = self.client.list(request).await?;
        let items = list.items.into_iter().map(typed).collect::<Result<_, _>>()?;
        Ok(List {
            items,
            revision: list.revision,
        })
    }

    /// Creates an object; the answer is as it was stored.
    pub async fn create(&self, object: &K) -> Result<K, Error> {
        let request = CreateRequest {
            object: Some(Object::encode_from(object)),
            ..CreateRequest::default()
        };
        typed(self.client.create(request).await?)
    }

    /// Replaces an object; its uid and resourceVersion, where set, must still hold.
    pub async fn update(&self, object: &K) -> Result<K, Error> {
        self.replace(object, "").await
    }

    /// Replaces an object's status; its uid and resourceVersion, where set, must still hold.
    pub async fn update_status(&self, object: &K) -> Result<K, Error> {
        self.replace(object, "status").await
    }

    async fn replace(&self, object: &K, subresource: &str) -> Result<K, Error> {
        let request = UpdateRequest {
            object: Some(Object::encode_from(object)),
            subresource: subresource.into(),
            ..UpdateRequest::default()
        };
        typed(self.client.update(request).await?)
    }

    /// Changes a part of an object.
    pub async fn patch(&self, namespace: &str, name: &str, patch: Patch) -> Result<K, Error> {
        self.patch_subresource(namespace, name, "", patch).await
    }

    /// Changes a part of an object's status.
    pub async fn patch_status(&self, namespace: &str, name: &str, patch: Patch) -> Result<K, Error> {
        self.patch_subresource(namespace, name, "status", patch).await
    }

    async fn patch_subresource(
        &self,
        namespace: &str,
        name: &str,
        subresource: &str,
        patch: Patch,
    ) -> Result<K, Error> {
        let (r#type, patch) = match patch {
            Patch::Merge(text) => (PatchType::Merge, text),
            Patch::Json(text) => (PatchType::Json, text),
        };
        let request = PatchRequest {
            kind: resource::<K>(),
            namespace: namespace.into(),
            name: name.into(),
            subresource: subresource.into(),
            r#type: r#type.into(),
            patch,
            ..PatchRequest::default()
        };
        typed(self.client.patch(request).await?)
    }

    /// Deletes an object, or marks it for deletion where grace or finalizers hold it.
    pub async fn delete(
        &self,
        namespace: &str,
        name: &str,
        options: DeleteOptions,
    ) -> Result<Deleted<K>, Error> {
        let request = DeleteRequest {
            kind: resource::<K>(),
            namespace: namespace.into(),
            name: name.into(),
            options: Some(options),
        };
        let response = self.client.delete(request).await?;
        Ok(Deleted {
            object: typed(response.object.unwrap_or_default())?,
            gone: response.gone,
        })
    }
}

/// The kind as requests name it.
fn resource<K: Kind>() -> String {
    kinds::of::<K>().resource()
}

fn typed<K: Kind>(object: Object) -> Result<K, Error> {
    Ok(object.decode_as()?)
}
