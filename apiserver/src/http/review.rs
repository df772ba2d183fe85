//! Reviews: who am I, and what may I do? There is no authorization: everything is allowed, and everybody is the
//! administrator.
//!
//! <https://kubernetes.io/docs/reference/access-authn-authz/authorization/#checking-api-access>

use super::answer::{self, Shown};
use super::body;
use super::call::Call;
use crate::registry::errors::{self, Result};
use axum::body::Body;
use axum::http::StatusCode;
use axum::response::Response;
use proto::api::authentication::v1::{SelfSubjectReview, UserInfo};
use proto::api::authorization::v1::{
    LocalSubjectAccessReview, NonResourceRule, ResourceRule, SelfSubjectAccessReview, SelfSubjectRulesReview,
    SubjectAccessReview, SubjectAccessReviewStatus,
};
use proto::{Kind, Object};

/// Whom requests come from, all of them.
const USER: &str = "system:admin";
/// What this user belongs to: the group that may do everything, and those who are somebody.
const GROUPS: [&str; 2] = ["system:masters", "system:authenticated"];
/// Why everything is allowed.
const REASON: &str = "there is no authorization: everything is allowed";

/// POST of a review: it comes back with its answer.
pub(crate) async fn create(call: &Call, body: Body) -> Result<Response> {
    let form = call.form()?;
    let sent = body::object(call, body).await?;
    let object = reviewed(&sent.object)?;
    let shown = Shown {
        resource: &call.resource,
        object: &object,
        stored: false,
    };
    let mut response = call.api.object(form, StatusCode::CREATED, &shown)?;
    answer::warn(response.headers_mut(), &sent.warnings);
    Ok(response)
}

fn reviewed(sent: &Object) -> Result<Object> {
    match sent.number {
        SelfSubjectReview::NUMBER => answered(sent, |review: &mut SelfSubjectReview| {
            let user = UserInfo {
                username: USER.into(),
                groups: GROUPS.map(String::from).into(),
                ..UserInfo::default()
            };
            review.status.get_or_insert_default().user_info = Some(user);
        }),
        SelfSubjectAccessReview::NUMBER => answered(sent, |review: &mut SelfSubjectAccessReview| {
            review.status = Some(allowed());
        }),
        SubjectAccessReview::NUMBER => answered(sent, |review: &mut SubjectAccessReview| {
            review.status = Some(allowed());
        }),
        LocalSubjectAccessReview::NUMBER => answered(sent, |review: &mut LocalSubjectAccessReview| {
            review.status = Some(allowed());
        }),
        SelfSubjectRulesReview::NUMBER => answered(sent, |review: &mut SelfSubjectRulesReview| {
            let all = || vec!["*".to_owned()];
            let status = review.status.get_or_insert_default();
            status.resource_rules = vec![ResourceRule {
                verbs: all(),
                api_groups: all(),
                resources: all(),
                ..ResourceRule::default()
            }];
            status.non_resource_rules = vec![NonResourceRule {
                verbs: all(),
                non_resource_urls: all(),
            }];
        }),
        _ => Err(errors::unknown_path()),
    }
}

fn allowed() -> SubjectAccessReviewStatus {
    SubjectAccessReviewStatus {
        allowed: true,
        reason: REASON.into(),
        ..SubjectAccessReviewStatus::default()
    }
}

fn answered<K: Kind>(sent: &Object, answer: impl FnOnce(&mut K)) -> Result<Object> {
    let mut review = K::decode(sent.bytes.clone()).map_err(|error| errors::bad_request(error.to_string()))?;
    answer(&mut review);
    Ok(Object {
        number: K::NUMBER,
        bytes: review.encode_to_vec().into(),
    })
}
