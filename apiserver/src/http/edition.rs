//! Everything that is told about what is served: discovery and OpenAPI, made once for each set of resources.
//!
//! A CustomResourceDefinition changes what is served; whoever asks then gets a new [`Edition`]. Its documents are made when
//! they are first asked for, and kept until the next edition.

use super::Api;
use super::discovery::groups::{self, Group};
use super::{discovery, openapi};
use crate::registry::Served;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use bytes::Bytes;
use serde::Serialize;
use std::sync::{Arc, Mutex, PoisonError};
use xxhash_rust::xxh3::xxh3_128;

/// What is told about one set of resources.
#[derive(Debug)]
pub(crate) struct Edition {
    /// The set.
    pub(crate) served: Arc<Served>,
    /// The set, as groups.
    pub(crate) groups: Vec<Group>,
    /// The documents of discovery.
    pub(crate) discovery: discovery::Documents,
    /// The documents of OpenAPI.
    pub(crate) openapi: openapi::Documents,
}

/// Keeps the latest edition.
#[derive(Debug, Default)]
pub(crate) struct Editions(Mutex<Option<Arc<Edition>>>);

impl Api {
    /// The edition of what is served now.
    pub(crate) fn edition(&self) -> Arc<Edition> {
        let served = self.registry.served();
        // An edition is put in place whole.
        let mut latest = self.editions.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &*latest {
            Some(edition) if Arc::ptr_eq(&edition.served, &served) => edition.clone(),
            _ => {
                let groups = groups::groups(served.all().iter().map(|resource| resource.info));
                let edition = Arc::new(Edition {
                    served,
                    groups,
                    discovery: discovery::Documents::default(),
                    openapi: openapi::Documents::default(),
                });
                latest.insert(edition).clone()
            }
        }
    }
}

/// A text that clients may keep, and ask whether it has changed.
#[derive(Clone, Debug)]
pub(crate) struct Document {
    body: Bytes,
    etag: HeaderValue,
}

impl Document {
    /// A document of these bytes.
    pub(crate) fn new(body: Vec<u8>) -> Self {
        let etag = format!("\"{:032X}\"", xxh3_128(&body));
        Self {
            body: body.into(),
            etag: HeaderValue::from_str(&etag).expect("hexadecimal digits and quotes are ASCII"),
        }
    }

    /// A document as JSON.
    pub(crate) fn json(value: &impl Serialize) -> Self {
        Self::new(serde_json::to_vec(value).expect("these documents have string keys and no failing parts"))
    }

    /// Its bytes.
    pub(crate) fn body(&self) -> &Bytes {
        &self.body
    }

    /// The document, or that the client has it already.
    pub(crate) fn answer(&self, request: &HeaderMap, content_type: &'static str) -> Response {
        let known = request.get_all(header::IF_NONE_MATCH).iter();
        let has_it = known.filter_map(|value| value.to_str().ok()).any(|known| {
            let mut tags = known.split(',').map(str::trim);
            tags.any(|tag| tag == "*" || tag.trim_start_matches("W/").as_bytes() == self.etag.as_bytes())
        });
        let mut response = Response::new(if has_it {
            Body::empty()
        } else {
            Body::from(self.body.clone())
        });
        if has_it {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
        }
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        headers.insert(header::ETAG, self.etag.clone());
        headers.insert(header::VARY, HeaderValue::from_static("Accept"));
        headers.insert(
            header::CACHE_CONTROL,
            HeaderValue::from_static("no-cache, private"),
        );
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_the_document_is_told_so() {
        let document = Document::new(b"{}".to_vec());
        let mut request = HeaderMap::new();
        assert_eq!(document.answer(&request, "application/json").status(), 200);
        let etag = document.etag.to_str().unwrap();
        for (known, expected) in [
            (etag.to_owned(), 304),
            (format!("W/{etag}"), 304),
            (format!("\"other\", {etag}"), 304),
            ("*".to_owned(), 304),
            ("\"other\"".to_owned(), 200),
            ("".to_owned(), 200),
        ] {
            request.insert(header::IF_NONE_MATCH, known.parse().unwrap());
            let response = document.answer(&request, "application/json");
            assert_eq!(response.status(), expected, "{known}");
            assert_eq!(response.headers()[header::VARY], "Accept");
        }
    }
}
