//! Get and List.

use super::continuation::Continuation;
use super::errors::{self, Result};
use super::update::decode_stored;
use super::{Registry, request, strategy};
use crate::limits::{MAX_PAGE_BYTES, MAX_PAGE_ITEMS, MAX_TEXT_BYTES};
use crate::metrics::Verb;
use apimachinery::kinds::{self, KindInfo};
use apimachinery::status::Reason;
use proto::orrery::v1::{GetRequest, ListRequest, ListResponse};
use proto::{Kind, Object};
use storage::list::Page;
use storage::store::{Key, StoreError};
use storage::{Stored, Target};

impl Registry {
    /// One object, or its scale, now or at an earlier revision.
    pub async fn get(&self, asked: GetRequest) -> Result<Object> {
        let info = request::kind(&asked.kind);
        let result = match &info {
            Ok(info) => self.read_one(info, &asked).await,
            Err(status) => Err(status.clone()),
        };
        self.metrics().requested(Verb::Get, info.ok(), &result);
        result
    }

    async fn read_one(&self, info: &'static KindInfo, asked: &GetRequest) -> Result<Object> {
        let key = request::key(info, &asked.namespace, &asked.name)?;
        match asked.subresource.as_str() {
            "" | "status" => {}
            "scale" if info.has_scale => {}
            other => return Err(errors::no_subresource(info, other)),
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
        Ok(object(info, &stored))
    }

    /// A page of a kind's objects.
    pub async fn list(&self, asked: ListRequest) -> Result<ListResponse> {
        let info = request::kind(&asked.kind);
        let result = match &info {
            Ok(info) => self.read_page(info, &asked).await,
            Err(status) => Err(status.clone()),
        };
        self.metrics().requested(Verb::List, info.ok(), &result);
        result
    }

    async fn read_page(&self, info: &'static KindInfo, asked: &ListRequest) -> Result<ListResponse> {
        let target = target(
            info,
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
            Ok(0) => MAX_PAGE_ITEMS,
            Ok(limit) => limit.min(MAX_PAGE_ITEMS),
        };
        self.catch_up().await?;
        let page = self.cache().list(&target, limit, after, revision).await;
        let page = page.map_err(|error| expired_page(place.is_some(), &error))?;
        Ok(response(info, asked, page))
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

/// An object as the API hands it out.
pub(crate) fn object(info: &KindInfo, stored: &Stored) -> Object {
    Object {
        number: info.number,
        bytes: stored.bytes.clone(),
    }
}

/// The key that a token continues after; it must be of the kind that is listed.
fn last_key(info: &KindInfo, place: &Continuation) -> Result<Key> {
    Key::parse(&place.after)
        .filter(|key| key.parts().0 == info.resource())
        .ok_or_else(|| errors::bad_request("continue key is not valid: it must be used unchanged"))
}

/// Cuts the page where its message would become too large.
fn response(info: &KindInfo, asked: &ListRequest, page: Page) -> ListResponse {
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
    let r#continue = next.map(|key| {
        let place = Continuation {
            revision: page.revision,
            after: key.as_str().to_owned(),
        };
        place.encode(asked)
    });
    ListResponse {
        items: page.items[..count]
            .iter()
            .map(|(_, stored)| object(info, stored))
            .collect(),
        revision: page.revision,
        r#continue: r#continue.unwrap_or_default(),
        remaining: page
            .remaining
            .map_or(0, |remaining| (remaining + left_out) as i64),
    }
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
