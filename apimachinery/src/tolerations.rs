//! Taints keep Pods away from Nodes; tolerations let them stay all the same.
//!
//! <https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration/>

use proto::api::core::v1::{Taint, Toleration};

/// Whether the toleration covers the taint. An empty key with `Exists` covers every key, an empty effect every effect.
pub fn tolerates(toleration: &Toleration, taint: &Taint) -> bool {
    let effect = toleration.effect.is_empty() || toleration.effect == taint.effect;
    let key = toleration.key.is_empty() || toleration.key == taint.key;
    let value = match toleration.operator.as_str() {
        "Exists" => true,
        "" | "Equal" => !toleration.key.is_empty() && toleration.value == taint.value,
        // Operators that compare numbers are still off by default upstream.
        _ => false,
    };
    effect && key && value
}

/// Whether any of the tolerations covers the taint.
pub fn tolerated(tolerations: &[Toleration], taint: &Taint) -> bool {
    tolerations.iter().any(|toleration| tolerates(toleration, taint))
}

/// The first of the taints that none of the tolerations covers.
pub fn untolerated<'a>(
    taints: impl IntoIterator<Item = &'a Taint>,
    tolerations: &[Toleration],
) -> Option<&'a Taint> {
    taints.into_iter().find(|taint| !tolerated(tolerations, taint))
}

/// How long a Pod may stay on a Node with these `NoExecute` taints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stay {
    /// For good.
    Forever,
    /// For so many seconds since it was tainted; 0 for not at all.
    Seconds(i64),
}

/// How long a Pod with these tolerations may stay: as long as the shortest of those that cover a taint, and not at all
/// where one taint is covered by none.
pub fn stay<'a>(taints: impl IntoIterator<Item = &'a Taint> + Clone, tolerations: &[Toleration]) -> Stay {
    if untolerated(taints.clone(), tolerations).is_some() {
        return Stay::Seconds(0);
    }
    let used = |toleration: &&Toleration| {
        taints
            .clone()
            .into_iter()
            .any(|taint| tolerates(toleration, taint))
    };
    let limits = tolerations
        .iter()
        .filter(used)
        .filter_map(|toleration| toleration.toleration_seconds);
    limits
        .min()
        .map_or(Stay::Forever, |seconds| Stay::Seconds(seconds.max(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taint(key: &str, value: &str, effect: &str) -> Taint {
        Taint {
            key: key.into(),
            value: value.into(),
            effect: effect.into(),
            time_added: None,
        }
    }

    fn toleration(key: &str, operator: &str, value: &str, effect: &str, seconds: Option<i64>) -> Toleration {
        Toleration {
            key: key.into(),
            operator: operator.into(),
            value: value.into(),
            effect: effect.into(),
            toleration_seconds: seconds,
        }
    }

    #[test]
    fn a_toleration_covers_what_it_names_and_leaves_open_what_it_does_not() {
        let gpu = taint("gpu", "yes", "NoSchedule");
        for (key, operator, value, effect, expected) in [
            ("gpu", "Equal", "yes", "NoSchedule", true),
            ("gpu", "", "yes", "", true),
            ("gpu", "Equal", "no", "NoSchedule", false),
            ("gpu", "Exists", "", "NoSchedule", true),
            ("gpu", "Exists", "", "NoExecute", false),
            ("", "Exists", "", "", true),
            ("", "Equal", "yes", "", false),
            ("disk", "Exists", "", "", false),
            ("gpu", "Near", "yes", "", false),
        ] {
            let toleration = toleration(key, operator, value, effect, None);
            assert_eq!(tolerates(&toleration, &gpu), expected, "{toleration:?}");
        }
    }

    #[test]
    fn the_shortest_toleration_that_is_needed_decides_how_long_a_pod_stays() {
        let a = taint("a", "", "NoExecute");
        let b = taint("b", "", "NoExecute");
        let exists = |key: &str, seconds| toleration(key, "Exists", "", "", seconds);
        for (taints, tolerations, expected) in [
            (vec![], vec![], Stay::Forever),
            (vec![&a], vec![], Stay::Seconds(0)),
            (vec![&a], vec![exists("a", None)], Stay::Forever),
            (vec![&a], vec![exists("a", Some(300))], Stay::Seconds(300)),
            (vec![&a], vec![exists("a", Some(-1))], Stay::Seconds(0)),
            (vec![&a, &b], vec![exists("a", Some(300))], Stay::Seconds(0)),
            (
                vec![&a, &b],
                vec![exists("a", Some(300)), exists("b", Some(5))],
                Stay::Seconds(5),
            ),
            (
                vec![&a],
                vec![exists("a", Some(300)), exists("b", Some(5))],
                Stay::Seconds(300),
            ),
        ] {
            assert_eq!(stay(taints, &tolerations), expected);
        }
    }
}
