//! Get and List.

use super::continuation::Continuation;
use super::errors::{self, Result};
use super::update::{Subresource, decode_stored};
use super::{Registry, Resource, request, strategy};
use crate::limits::{MAX_PAGE_BYTES, MAX_PAGE_ITEMS, MAX_TEXT_BYTES};
use crate::metrics::Verb;
use apimachinery::kinds::{self, KindInfo};
use apimachinery::status::Reason;
use proto::orrery::v1::{GetRequest, ListRequest, ListResponse};
use proto::{Kind, Object};
use storage::list::Page;
use storage::store::{Key, StoreError};
use storage::{Stored, Target};

/// An object that was listed.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    /// It.
    pub(crate) object: Object,
    /// The revision of its last write.
    pub(crate) revision: i64,
}

/// Objects of one kind at one revision.
#[derive(Debug)]
pub(crate) struct Listed {
    /// The objects, in order of namespace and name.
    pub(crate) items: Vec<Item>,
    /// The revision that the list shows.
    pub(crate) revision: i64,
    /// Not empty when there are more.
    pub(crate) r#continue: String,
    /// How many objects follow; `None` where nobody counted.
    pub(crate) remaining: Option<i64>,
}

impl Registry {
    /// One object, or its scale, now or at an earlier revision.
    pub async fn get(&self, asked: GetRequest) -> Result<Object> {
        let info = self.kind(&asked.kind);
        let result = match &info {
            Ok(info) => self.read_one(info, &asked).await,
            Err(status) => Err(status.clone()),
        };
        self.metrics()
            .requested(Verb::Get, info.ok().map(|info| info.info), &result);
        result
    }

    async fn read_one(&self, info: &Resource, asked: &GetRequest) -> Result<Object> {
        let key = request::key(info, &asked.namespace, &asked.name)?;
        // A Namespace's finalizers can only be written.
        if Subresource::parse(info, &asked.subresource)? == Subresource::Finalize {
            return Err(errors::no_subresource(info, &asked.subresource));
        }
        self.catch_up().await?;
        let found = match asked.revision {
            0 => self.cache().get(&key),
            revision if revision > 0 => {
                let at = self.cache().get_at(&key, revision).await;
                at.map_err(|error| errors::store(&error))?
            }
            _ => return Err(errors::bad_request("revision must not be negative")),
        };
        let stored = found.ok_or_else(|| errors::not_found(info, &asked.name))?;
        if asked.subresource == "scale" {
            return Ok(Object::encode_from(&strategy::scale_of(info, &stored.bytes)?));
        }
        object(info, &stored)
    }

    /// A page of a kind's objects.
    pub async fn list(&self, asked: ListRequest) -> Result<ListResponse> {
        let info = self.kind(&asked.kind);
        let result = match &info {
            Ok(info) => self.read_page(info, &asked).await,
            Err(status) => Err(status.clone()),
        };
        self.metrics()
            .requested(Verb::List, info.ok().map(|info| info.info), &result);
        result
    }

    /// As many of a kind's objects as are asked for: all of them without a limit.
    pub(crate) async fn list_whole(&self, asked: ListRequest) -> Result<Listed> {
        let info = self.kind(&asked.kind);
        let result = match &info {
            Ok(info) => self.read_whole(info, &asked).await,
            Err(status) => Err(status.clone()),
        };
        self.metrics()
            .requested(Verb::List, info.ok().map(|info| info.info), &result);
        result
    }

    async fn read_whole(&self, info: &Resource, asked: &ListRequest) -> Result<Listed> {
        let page = self.read(info, asked, usize::MAX).await?;
        let next = page.next.as_ref().map(|key| token(asked, page.revision, key));
        Ok(Listed {
            items: page
                .items
                .iter()
                .map(|(_, stored)| item(info, stored))
                .collect::<Result<_>>()?,
            revision: page.revision,
            r#continue: next.unwrap_or_default(),
            remaining: page.remaining.map(|remaining| remaining as i64),
        })
    }

    async fn read_page(&self, info: &Resource, asked: &ListRequest) -> Result<ListResponse> {
        let page = self.read(info, asked, MAX_PAGE_ITEMS).await?;
        response(info, asked, page)
    }

    /// At most `most` of the objects that are asked for.
    async fn read(&self, info: &Resource, asked: &ListRequest, most: usize) -> Result<Page> {
        let target = target(
            info.info,
            &asked.namespace,
            &asked.label_selector,
            &asked.field_selector,
        )?;
        if asked.r#continue.len() > MAX_TEXT_BYTES {
            return Err(errors::bad_request("continue key is not valid: it is too long"));
        }
        let place = Continuation::of(asked)?;
        let (after, revision) = match &place {
            Some(place) if asked.revision != 0 && asked.revision != place.revision => {
                return Err(errors::bad_request(
                    "revision must be 0 or that of the first page when continue is set",
                ));
            }
            Some(place) => (Some(last_key(info, place)?), Some(place.revision)),
            None if asked.revision < 0 => return Err(errors::bad_request("revision must not be negative")),
            None => (None, Some(asked.revision).filter(|revision| *revision > 0)),
        };
        let limit = match usize::try_from(asked.limit) {
            Err(_) => return Err(errors::bad_request("limit must not be negative")),
            Ok(0) => most,
            Ok(limit) => limit.min(most),
        };
        self.catch_up().await?;
        let page = self.cache().list(&target, limit, after, revision).await;
        page.map_err(|error| expired_page(place.is_some(), &error))
    }

    /// The newest revision.
    pub(crate) async fn revision(&self) -> Result<i64> {
        self.catch_up().await?;
        Ok(self.cache().revision())
    }

    /// Refuses a revision that is not written yet: what is read shows it or a later one.
    pub(crate) async fn not_older(&self, revision: i64) -> Result<()> {
        self.catch_up().await?;
        let current = self.cache().revision();
        if revision > current {
            let asked = revision;
            return Err(errors::store(&StoreError::Future { asked, current }));
        }
        Ok(())
    }

    /// All objects of a kind, decoded: for kinds of which there are few.
    pub(crate) async fn all<K: Kind>(&self, namespace: Option<&str>) -> Result<Vec<K>> {
        let target = Target {
            namespace: namespace.map(ToOwned::to_owned),
            ..Target::all(kinds::of::<K>())
        };
        let page = self.cache().list(&target, 0, None, None).await;
        let page = page.map_err(|error| errors::store(&error))?;
        page.items
            .iter()
            .map(|(_, stored)| decode_stored(&stored.bytes))
            .collect()
    }
}

/// What a request for many objects asks for.
pub(crate) fn target(info: &'static KindInfo, namespace: &str, labels: &str, fields: &str) -> Result<Target> {
    Ok(Target {
        kind: info,
        namespace: request::namespaces(info, namespace)?,
        labels: request::labels(labels)?,
        fields: request::fields(info, fields)?,
    })
}

fn item(info: &Resource, stored: &Stored) -> Result<Item> {
    Ok(Item {
        object: object(info, stored)?,
        revision: stored.revision,
    })
}

/// An object as the API hands it out.
pub(crate) fn object(info: &Resource, stored: &Stored) -> Result<Object> {
    Ok(Object {
        number: info.arm(),
        bytes: strategy::shown(info, &stored.bytes, stored.revision)?,
    })
}

/// The key that a token continues after; it must be of the kind that is listed.
fn last_key(info: &KindInfo, place: &Continuation) -> Result<Key> {
    Key::parse(&place.after)
        .filter(|key| key.parts().0 == info.resource())
        .ok_or_else(|| errors::bad_request("continue key is not valid: it must be used unchanged"))
}

/// The token for the page after `key`.
fn token(asked: &ListRequest, revision: i64, key: &Key) -> String {
    let place = Continuation {
        revision,
        after: key.as_str().to_owned(),
    };
    place.encode(asked)
}

/// Cuts the page where its message would become too large.
fn response(info: &Resource, asked: &ListRequest, page: Page) -> Result<ListResponse> {
    let mut bytes = 0;
    let fits = page.items.iter().take_while(|(_, stored)| {
        let fits = bytes < MAX_PAGE_BYTES;
        bytes += stored.bytes.len();
        fits
    });
    let count = fits.count();
    let left_out = page.items.len() - count;
    let last = &page.items[..count].last();
    let next = if left_out > 0 {
        last.map(|(key, _)| key.clone())
    } else {
        page.next
    };
    let r#continue = next.map(|key| token(asked, page.revision, &key));
    Ok(ListResponse {
        items: page.items[..count]
            .iter()
            .map(|(_, stored)| object(info, stored))
            .collect::<Result<_>>()?,
        revision: page.revision,
        r#continue: r#continue.unwrap_or_default(),
        remaining: page
            .remaining
            .map_or(0, |remaining| (remaining + left_out) as i64),
    })
}

/// A later page whose revision is gone says what to do.
fn expired_page(continued: bool, error: &StoreError) -> Box<proto::meta::v1::Status> {
    if continued && matches!(error, StoreError::Expired { .. }) {
        return Box::new(apimachinery::status::failure(
            Reason::Expired,
            "The provided continue parameter is too old to display a consistent list result. You must start a new list without the continue parameter.",
        ));
    }
    errors::store(error)
}
