//! The `continue` of a list: where the next page starts, and at which revision.
//!
//! It is base64 of `version|revision|query hash|key`. The hash holds the other fields of the request, so that a token is
//! refused when it comes back with another selector. Clients must not look inside.

use super::errors::{self, Result};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use proto::orrery::v1::ListRequest;
use storage::store::Revision;

/// Changes when the token's form does, so that an old token is refused and not misread.
const VERSION: &str = "1";

/// A place in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Continuation {
    /// Every page of the list shows this revision.
    pub(crate) revision: Revision,
    /// The last key of the page before.
    pub(crate) after: String,
}

impl Continuation {
    /// The token that a client sends with the same request.
    pub(crate) fn encode(&self, request: &ListRequest) -> String {
        let text = format!(
            "{VERSION}|{}|{:016x}|{}",
            self.revision,
            fingerprint(request),
            self.after
        );
        URL_SAFE_NO_PAD.encode(text)
    }

    /// Reads a request's token; `None` when it has none.
    pub(crate) fn of(request: &ListRequest) -> Result<Option<Self>> {
        if request.r#continue.is_empty() {
            return Ok(None);
        }
        let token = Self::decode(request)
            .ok_or_else(|| errors::bad_request("continue key is not valid: it must be used unchanged"))?;
        let (hash, place) = token;
        if hash != fingerprint(request) {
            return Err(errors::bad_request(
                "continue key is not valid: kind, namespace and selectors must be as for the first page",
            ));
        }
        Ok(Some(place))
    }

    fn decode(request: &ListRequest) -> Option<(u64, Self)> {
        let bytes = URL_SAFE_NO_PAD.decode(&request.r#continue).ok()?;
        let text = String::from_utf8(bytes).ok()?;
        let mut parts = text.splitn(4, '|');
        if parts.next()? != VERSION {
            return None;
        }
        let revision = parts.next()?.parse().ok().filter(|revision| *revision > 0)?;
        let hash = u64::from_str_radix(parts.next()?, 16).ok()?;
        let after = parts.next()?.to_owned();
        Some((hash, Self { revision, after }))
    }
}

/// FNV-1a over what must not change between pages: stable across versions and machines, as the token may be.
fn fingerprint(request: &ListRequest) -> u64 {
    let fields = [
        &request.kind,
        &request.namespace,
        &request.label_selector,
        &request.field_selector,
    ];
    let bytes = fields.iter().flat_map(|field| field.bytes().chain([0xff]));
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn request(labels: &str, token: &str) -> ListRequest {
        ListRequest {
            kind: "pods".into(),
            label_selector: labels.into(),
            r#continue: token.into(),
            ..ListRequest::default()
        }
    }

    #[test]
    fn a_token_gives_its_place_back_to_the_same_request_only() {
        let place = Continuation {
            revision: 42,
            after: "pods/default/a|b".into(),
        };
        let token = place.encode(&request("app=web", ""));
        assert_eq!(Continuation::of(&request("app=web", &token)), Ok(Some(place)));
        assert!(Continuation::of(&request("app=db", &token)).is_err());
        assert_eq!(Continuation::of(&request("", "")), Ok(None));
    }

    #[test]
    fn tokens_that_we_did_not_make_are_bad_requests() {
        for token in [
            "x",
            "!!!",
            "AAAA",
            &URL_SAFE_NO_PAD.encode("1|-3|00|k"),
            &URL_SAFE_NO_PAD.encode("9|1|0|k"),
        ] {
            let status = Continuation::of(&request("", token)).unwrap_err();
            assert_eq!(status.reason, "BadRequest", "{token}");
        }
    }

    proptest! {
        #[test]
        fn no_token_that_a_client_makes_up_is_followed(token in "\\PC{1,80}", text in "\\PC{1,60}") {
            for token in [token, URL_SAFE_NO_PAD.encode(text)] {
                prop_assert!(Continuation::of(&request("app=web", &token)).is_err());
            }
        }
    }
}
