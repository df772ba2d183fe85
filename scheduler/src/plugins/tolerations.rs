//! When a toleration tolerates a taint. <https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration/>

use proto::api::core::v1::{Taint, Toleration};

/// Whether any of a Pod's tolerations tolerates the taint.
pub(super) fn tolerated(tolerations: &[Toleration], taint: &Taint) -> bool {
    tolerations.iter().any(|toleration| tolerates(toleration, taint))
}

/// An empty effect tolerates all effects; an empty key, which only `Exists` may have, tolerates all keys.
fn tolerates(toleration: &Toleration, taint: &Taint) -> bool {
    let matches = |asked: &str, is: &str| asked.is_empty() || asked == is;
    matches(&toleration.effect, &taint.effect)
        && matches(&toleration.key, &taint.key)
        && match toleration.operator.as_str() {
            "" | "Equal" => toleration.value == taint.value,
            "Exists" => true,
            _ => false,
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_toleration_matches_key_value_and_effect() {
        let taint = Taint {
            key: "dedicated".into(),
            value: "gpu".into(),
            effect: "NoSchedule".into(),
            time_added: None,
        };
        for (key, operator, value, effect, expected) in [
            ("dedicated", "Equal", "gpu", "NoSchedule", true),
            ("dedicated", "", "gpu", "", true),
            ("dedicated", "Equal", "web", "NoSchedule", false),
            ("dedicated", "Exists", "", "NoSchedule", true),
            ("dedicated", "Exists", "", "NoExecute", false),
            ("other", "Exists", "", "", false),
            ("", "Exists", "", "", true),
            ("dedicated", "Gt", "gpu", "", false),
        ] {
            let toleration = Toleration {
                key: key.into(),
                operator: operator.into(),
                value: value.into(),
                effect: effect.into(),
                toleration_seconds: None,
            };
            assert_eq!(tolerates(&toleration, &taint), expected, "{toleration:?}");
        }
    }
}
