//! Groups of nodes that are alike: what `--nodes` and its flags, or a YAML file, ask for.
//!
//! Input: flags, or the text of a file. Output: [`NodeGroup`]s. Invariant: a group that is given out is valid; what is
//! not is refused with its file, line and field.
//!
//! ```yaml
//! - name: general          # nodes are general-0, general-1, …
//!   count: 100
//!   zone: zone-a
//!   capacity: {cpu: 16, memory: 64Gi, pods: 110}
//! - name: gpu
//!   count: 4
//!   labels: {accelerator: h100}
//!   taints: [{key: gpu, value: "true", effect: NoSchedule}]
//! ```

use apimachinery::names;
use apimachinery::quantity::Quantity;
use apimachinery::resources::Amounts;
use proto::api::core::v1::Taint;
use serde::Deserialize;
use serde::de::{self, Deserializer, MapAccess, Visitor};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// The most nodes that one process stands for: beyond it, leases alone are a write every millisecond.
pub const MOST_NODES: u32 = 10_000;

/// What a node has unless it is said otherwise: a usual cloud machine.
const DEFAULT_CAPACITY: [(&str, &str); 4] = [
    ("cpu", "8"),
    ("memory", "32Gi"),
    ("pods", "110"),
    ("ephemeral-storage", "100Gi"),
];

/// Nodes that are alike.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct NodeGroup {
    /// What the nodes' names begin with, before `-0`, `-1`, ….
    pub name: String,
    /// How many they are.
    pub count: u32,
    /// `topology.kubernetes.io/zone`; empty for none.
    #[serde(default)]
    pub zone: String,
    /// `topology.kubernetes.io/region`; empty for none.
    #[serde(default)]
    pub region: String,
    /// `node.kubernetes.io/instance-type`; empty for none.
    #[serde(default)]
    pub instance_type: String,
    /// What each node has; what is not named has its default.
    #[serde(default = "default_capacity", deserialize_with = "capacity")]
    pub capacity: Amounts,
    /// Labels besides the usual ones.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// Taints.
    #[serde(default)]
    pub taints: Vec<NodeTaint>,
}

/// A taint as a group's file has it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeTaint {
    /// Its key.
    pub key: String,
    /// Its value; may be empty.
    #[serde(default)]
    pub value: String,
    /// What it does.
    pub effect: TaintEffect,
}

/// What a taint does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum TaintEffect {
    /// No new pods that do not tolerate it.
    NoSchedule,
    /// Rather no new pods.
    PreferNoSchedule,
    /// No pods at all that do not tolerate it.
    NoExecute,
}

/// Groups that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GroupError {
    /// The file is no YAML, or has another form. The text names line and field.
    #[error("{file}: {problem}")]
    Yaml {
        /// The file.
        file: String,
        /// What is wrong, and where.
        problem: String,
    },
    /// A group breaks a rule.
    #[error("{place}: {problem}")]
    Invalid {
        /// The field: `nodes.yaml: group "gpu": labels`.
        place: String,
        /// What is wrong.
        problem: String,
    },
}

impl NodeTaint {
    /// Reads `key=value:Effect` or `key:Effect`, as `kubectl taint` has it.
    ///
    /// # Errors
    /// What is wrong.
    pub fn parse(text: &str) -> Result<Self, String> {
        let form = || format!("{text:?} is no taint; write key=value:NoSchedule");
        let (rest, effect) = text.rsplit_once(':').ok_or_else(form)?;
        let (key, value) = rest.split_once('=').unwrap_or((rest, ""));
        let effect = match effect {
            "NoSchedule" => TaintEffect::NoSchedule,
            "PreferNoSchedule" => TaintEffect::PreferNoSchedule,
            "NoExecute" => TaintEffect::NoExecute,
            other => {
                return Err(format!(
                    "{other:?} is no effect; there are NoSchedule, PreferNoSchedule and NoExecute"
                ));
            }
        };
        Ok(Self {
            key: key.to_owned(),
            value: value.to_owned(),
            effect,
        })
    }

    /// As the Node has it.
    pub fn to_proto(&self) -> Taint {
        let effect = match self.effect {
            TaintEffect::NoSchedule => "NoSchedule",
            TaintEffect::PreferNoSchedule => "PreferNoSchedule",
            TaintEffect::NoExecute => "NoExecute",
        };
        Taint {
            key: self.key.clone(),
            value: self.value.clone(),
            effect: effect.to_owned(),
            time_added: None,
        }
    }
}

/// What a node has unless it is said otherwise.
pub fn default_capacity() -> Amounts {
    let parsed = |text: &str| text.parse().expect("a constant that a test reads");
    DEFAULT_CAPACITY
        .iter()
        .map(|(name, text)| ((*name).to_owned(), parsed(text)))
        .collect()
}

/// Reads a file of groups. `file` is its name, for errors.
///
/// # Errors
/// The first fault, with file, line and field.
pub fn parse(file: &str, text: &str) -> Result<Vec<NodeGroup>, GroupError> {
    let groups: Vec<NodeGroup> = serde_saphyr::from_str(text).map_err(|error| GroupError::Yaml {
        file: file.to_owned(),
        problem: error.to_string(),
    })?;
    check(file, &groups)?;
    Ok(groups)
}

/// Refuses groups that break a rule. `source` says where they come from.
///
/// # Errors
/// The first fault.
pub fn check(source: &str, groups: &[NodeGroup]) -> Result<(), GroupError> {
    let mut seen = BTreeSet::new();
    let mut total = 0u32;
    for group in groups {
        let invalid = |(field, problem): (String, String)| GroupError::Invalid {
            place: format!("{source}: group {:?}: {field}", group.name),
            problem,
        };
        if !seen.insert(&group.name) {
            return Err(invalid(("name".into(), "another group has this name".into())));
        }
        total = total.saturating_add(group.count);
        if total > MOST_NODES {
            let problem = format!("one process stands for at most {MOST_NODES} nodes");
            return Err(invalid(("count".into(), problem)));
        }
        match faults(group).into_iter().next() {
            Some(fault) => return Err(invalid(fault)),
            None => continue,
        }
    }
    Ok(())
}

/// Fields that break a rule by themselves, and which one.
fn faults(group: &NodeGroup) -> Vec<(String, String)> {
    let mut faults = Vec::new();
    let mut add = |field: String, problems: names::Problems| {
        faults.extend(problems.into_iter().map(|problem| (field.clone(), problem)));
    };
    add(
        "name".into(),
        names::dns1123_subdomain(&format!("{}-{MOST_NODES}", group.name)),
    );
    add("zone".into(), names::label_value(&group.zone));
    add("region".into(), names::label_value(&group.region));
    add("instanceType".into(), names::label_value(&group.instance_type));
    for (key, value) in &group.labels {
        add(format!("labels[{key}]"), names::qualified_name(key));
        add(format!("labels[{key}]"), names::label_value(value));
    }
    for (index, taint) in group.taints.iter().enumerate() {
        add(format!("taints[{index}].key"), names::qualified_name(&taint.key));
        add(format!("taints[{index}].value"), names::label_value(&taint.value));
    }
    for (name, amount) in &group.capacity {
        if amount.is_negative() {
            add(format!("capacity.{name}"), vec!["must not be negative".into()]);
        }
    }
    faults
}

/// A map of quantities, laid over the defaults. A fault names its resource.
fn capacity<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Amounts, D::Error> {
    struct Map;

    impl<'de> Visitor<'de> for Map {
        type Value = Amounts;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("capacity: a map of quantities, such as {cpu: 8, memory: 32Gi}")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Amounts, A::Error> {
            let mut amounts = default_capacity();
            while let Some(name) = map.next_key::<String>()? {
                // Numbers, too, are read as their text.
                let text = map.next_value::<String>()?;
                let amount: Quantity = text
                    .parse()
                    .map_err(|error| de::Error::custom(format_args!("capacity.{name}: {error}")))?;
                amounts.insert(name, amount);
            }
            Ok(amounts)
        }
    }

    deserializer.deserialize_map(Map)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_groups_is_read_and_defaults_fill_the_rest() {
        let text = "\
- name: general
  count: 100
  zone: zone-a
  capacity: {cpu: 16, memory: 64Gi}
- name: gpu
  count: 4
  labels: {accelerator: h100}
  taints: [{key: gpu, value: \"true\", effect: NoSchedule}]
";
        let groups = parse("nodes.yaml", text).unwrap();
        assert_eq!((groups[0].count, groups[0].zone.as_str()), (100, "zone-a"));
        assert_eq!(groups[0].capacity["cpu"].to_string(), "16");
        assert_eq!(groups[0].capacity["pods"].to_string(), "110");
        assert_eq!(groups[1].capacity, default_capacity());
        assert_eq!(
            groups[1].taints[0],
            NodeTaint::parse("gpu=true:NoSchedule").unwrap()
        );
    }

    #[test]
    fn a_malformed_file_is_refused_with_file_line_and_field() {
        let cases: [(&str, &[&str]); 9] = [
            ("- name: a\n  count: many\n", &["line 2", "count"]),
            ("- name: a\n  count: 1\n  zones: x\n", &["line 3", "zones"]),
            ("- count: 1\n", &["line 1", "name"]),
            (
                "- name: a\n  count: 1\n  capacity: {cpu: lots}\n",
                &["line 3", "capacity.cpu", "quantities must be"],
            ),
            (
                "- name: a\n  count: 1\n  taints: [{key: x, effect: Never}]\n",
                &["line 3", "NoExecute"],
            ),
            ("- name: a\n  count: [\n", &["line"]),
            ("- name: A_b\n  count: 1\n", &["group \"A_b\": name", "RFC 1123"]),
            (
                "- name: a\n  count: 1\n- name: a\n  count: 1\n",
                &["group \"a\": name", "another group"],
            ),
            (
                "- name: a\n  count: 20000\n",
                &["group \"a\": count", "at most 10000"],
            ),
        ];
        for (text, parts) in cases {
            let error = parse("nodes.yaml", text).unwrap_err().to_string();
            assert!(error.starts_with("nodes.yaml: "), "{error}");
            for part in parts {
                assert!(error.contains(part), "{part} in\n{error}");
            }
        }
    }

    #[test]
    fn taints_are_read_as_kubectl_has_them() {
        assert_eq!(NodeTaint::parse("gpu:NoExecute").unwrap().value, "");
        let wrong = NodeTaint::parse("gpu").unwrap_err();
        assert!(wrong.contains("write key=value:NoSchedule"), "{wrong}");
        let wrong = NodeTaint::parse("gpu=1:Never").unwrap_err();
        assert!(wrong.contains("there are NoSchedule"), "{wrong}");
    }
}
