//! Resources that are nothing but a question or a command: they are created, answered, and stored nowhere.

use apimachinery::kinds::KindInfo;
use proto::Kind;
use proto::api::authentication::v1::SelfSubjectReview;
use proto::api::authorization::v1::{
    LocalSubjectAccessReview, SelfSubjectAccessReview, SelfSubjectRulesReview, SubjectAccessReview,
};
use proto::api::core::v1::Binding;

/// All of them.
pub fn create_only() -> &'static [KindInfo] {
    const AUTHORIZATION: &str = "authorization.k8s.io";
    const AUTHENTICATION: &str = "authentication.k8s.io";
    static ALL: [KindInfo; 6] = [
        row::<Binding>("", "bindings", "binding", true),
        row::<SelfSubjectReview>(AUTHENTICATION, "selfsubjectreviews", "selfsubjectreview", false),
        row::<SelfSubjectAccessReview>(
            AUTHORIZATION,
            "selfsubjectaccessreviews",
            "selfsubjectaccessreview",
            false,
        ),
        row::<SubjectAccessReview>(
            AUTHORIZATION,
            "subjectaccessreviews",
            "subjectaccessreview",
            false,
        ),
        row::<SelfSubjectRulesReview>(
            AUTHORIZATION,
            "selfsubjectrulesreviews",
            "selfsubjectrulesreview",
            false,
        ),
        row::<LocalSubjectAccessReview>(
            AUTHORIZATION,
            "localsubjectaccessreviews",
            "localsubjectaccessreview",
            true,
        ),
    ];
    &ALL
}

const fn row<K: Kind>(
    group: &'static str,
    plural: &'static str,
    singular: &'static str,
    namespaced: bool,
) -> KindInfo {
    KindInfo {
        number: K::NUMBER,
        kind: K::NAME,
        group,
        version: "v1",
        plural,
        singular,
        short_names: &[],
        categories: &[],
        namespaced,
        has_status: false,
        has_scale: false,
        message: K::FULL_NAME,
        selectable: &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use apimachinery::json::Message;

    #[test]
    fn each_reads_and_writes_json_under_its_own_group_and_version() {
        for info in create_only() {
            let message = Message::by_number(info.number).unwrap();
            assert_eq!(
                message.type_meta(),
                Some((info.api_version().as_str(), info.kind))
            );
        }
    }
}
