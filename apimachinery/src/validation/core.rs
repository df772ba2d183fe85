//! Namespaces, Nodes, Events, Leases, ConfigMaps, Secrets, and the kinds that have few rules.

use super::{Faults, Validate, labels, meta, resources};
use crate::names;
use crate::path::Path;
use proto::Kind;
use proto::api::coordination::v1::Lease;
use proto::api::core::v1::{
    ConfigMap, Event, LimitRange, Namespace, Node, PersistentVolume, PersistentVolumeClaim, ResourceQuota,
    Secret, ServiceAccount,
};
use proto::api::scheduling::v1::PriorityClass;
use proto::api::storage::v1::StorageClass;
use std::collections::HashSet;

/// The most bytes that a ConfigMap's or a Secret's values may have together.
const MAX_DATA_BYTES: usize = 1024 * 1024;
/// The most bytes in an Event's texts of the newer form.
const MAX_EVENT_NAME: usize = 128;
/// The most bytes in an Event's message, likewise.
const MAX_EVENT_MESSAGE: usize = 1024;
/// The highest priority that is not the system's.
const MAX_USER_PRIORITY: i32 = 1_000_000_000;

impl Validate for Namespace {
    fn validate(&self, faults: &mut Faults) {
        let at = Path::ROOT.field("spec.finalizers");
        for (i, finalizer) in self.spec.iter().flat_map(|s| &s.finalizers).enumerate() {
            meta::finalizer_name(finalizer, &at.index(i), faults);
        }
    }

    fn validate_status_update(&self, _old: &Self, faults: &mut Faults) {
        let at = Path::ROOT.field("status.phase");
        let phase = self.status.as_ref().map_or("", |s| &s.phase);
        let deleted = self.meta().deletion_timestamp.is_some();
        if !deleted && phase != "Active" {
            faults.invalid(&at, phase, "may only be 'Active' if `deletionTimestamp` is empty");
        } else if deleted && phase != "Terminating" {
            faults.invalid(
                &at,
                phase,
                "may only be 'Terminating' if `deletionTimestamp` is not empty",
            );
        }
    }
}

impl Validate for Node {
    fn validate(&self, faults: &mut Faults) {
        let Some(spec) = &self.spec else { return };
        let at = Path::ROOT.field("spec");
        labels::taints(&spec.taints, &at.field("taints"), faults);
        let cidrs = at.field("podCIDRs");
        for (i, cidr) in spec.pod_cidrs.iter().enumerate() {
            if cidr.parse::<ipnet::IpNet>().is_err() {
                let detail = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)";
                faults.invalid(&cidrs.index(i), cidr, detail);
            }
        }
    }

    fn validate_create(&self, faults: &mut Faults) {
        self.validate(faults);
        self.validate_status_update(self, faults);
    }

    fn validate_update(&self, old: &Self, faults: &mut Faults) {
        self.validate(faults);
        let empty = Default::default();
        let (old, new) = (
            old.spec.as_ref().unwrap_or(&empty),
            self.spec.as_ref().unwrap_or(&empty),
        );
        let at = Path::ROOT.field("spec");
        if !old.pod_cidrs.is_empty() && old.pod_cidrs != new.pod_cidrs {
            let detail = "node updates may not change podCIDR except from \"\" to valid";
            faults.forbidden(&at.field("podCIDRs"), detail);
        }
        if !old.provider_id.is_empty() && old.provider_id != new.provider_id {
            let detail = "node updates may not change providerID except from \"\" to valid";
            faults.forbidden(&at.field("providerID"), detail);
        }
    }

    fn validate_status_update(&self, _old: &Self, faults: &mut Faults) {
        let Some(status) = &self.status else { return };
        let at = Path::ROOT.field("status");
        resources::list(&status.capacity, &at.field("capacity"), faults);
        resources::list(&status.allocatable, &at.field("allocatable"), faults);
        let addresses = at.field("addresses");
        let mut taken = HashSet::new();
        for (i, address) in status.addresses.iter().enumerate() {
            if !taken.insert((&address.r#type, &address.address)) {
                faults.duplicate(&addresses.index(i), &address.address);
            }
        }
        let conditions = at.field("conditions");
        for (i, condition) in status.conditions.iter().enumerate() {
            let at = conditions.index(i);
            faults.one_of(
                &at.field("status"),
                &condition.status,
                &["True", "False", "Unknown"],
            );
        }
    }
}

impl Validate for Event {
    fn validate(&self, faults: &mut Faults) {
        let at = Path::ROOT.field("involvedObject.namespace");
        let about = self.involved_object.as_ref().map_or("", |o| &o.namespace);
        // What lives in no namespace is told about in the default one.
        let expected = if about.is_empty() { "default" } else { about };
        let elsewhere = self.namespace() != expected;
        if elsewhere && !(about.is_empty() && self.namespace() == "kube-system") {
            faults.invalid(&at, about, "does not match event.namespace");
        }
        if self.event_time.is_none() {
            return;
        }
        for (name, value) in [
            ("reportingComponent", &self.reporting_component),
            ("reportingInstance", &self.reporting_instance),
            ("action", &self.action),
            ("reason", &self.reason),
        ] {
            let at = Path::ROOT.field(name);
            if value.is_empty() {
                faults.required(&at, "");
            } else if value.len() > MAX_EVENT_NAME {
                faults.too_long(&at, MAX_EVENT_NAME);
            }
        }
        let component = &self.reporting_component;
        if !component.is_empty() {
            faults.problems(
                &Path::ROOT.field("reportingComponent"),
                component,
                names::qualified_name(component),
            );
        }
        if self.message.len() > MAX_EVENT_MESSAGE {
            faults.too_long(&Path::ROOT.field("message"), MAX_EVENT_MESSAGE);
        }
        faults.one_of(&Path::ROOT.field("type"), &self.r#type, &["Normal", "Warning"]);
    }
}

impl Validate for Lease {
    fn validate(&self, faults: &mut Faults) {
        let Some(spec) = &self.spec else { return };
        let at = Path::ROOT.field("spec");
        if let Some(seconds) = spec.lease_duration_seconds
            && seconds <= 0
        {
            faults.invalid(
                &at.field("leaseDurationSeconds"),
                seconds,
                "must be greater than 0",
            );
        }
        faults.non_negative(&at.field("leaseTransitions"), spec.lease_transitions.unwrap_or(0));
        if spec.preferred_holder.as_ref().is_some_and(|h| !h.is_empty()) && spec.strategy.is_none() {
            let detail = "may only be specified when `strategy` is defined";
            faults.forbidden(&at.field("preferredHolder"), detail);
        }
    }
}

impl Validate for ConfigMap {
    fn validate(&self, faults: &mut Faults) {
        let (data, binary) = (Path::ROOT.field("data"), Path::ROOT.field("binaryData"));
        let mut total = 0;
        for (key, value) in &self.data {
            faults.problems(&data.key(key), key, names::config_map_key(key));
            if self.binary_data.contains_key(key) {
                faults.invalid(&data.key(key), key, "duplicate of key present in binaryData");
            }
            total += value.len();
        }
        for (key, value) in &self.binary_data {
            faults.problems(&binary.key(key), key, names::config_map_key(key));
            total += value.len();
        }
        if total > MAX_DATA_BYTES {
            faults.too_long(&Path::ROOT.field("data"), MAX_DATA_BYTES);
        }
    }

    fn validate_update(&self, old: &Self, faults: &mut Faults) {
        self.validate(faults);
        if old.immutable == Some(true) {
            sealed("immutable", self.immutable == Some(true), faults);
            sealed("data", self.data == old.data, faults);
            sealed("binaryData", self.binary_data == old.binary_data, faults);
        }
    }
}

/// A field of an object that was declared immutable.
fn sealed(name: &str, unchanged: bool, faults: &mut Faults) {
    if !unchanged {
        faults.forbidden(
            &Path::ROOT.field(name),
            "field is immutable when `immutable` is set",
        );
    }
}

impl Validate for Secret {
    fn validate(&self, faults: &mut Faults) {
        let at = Path::ROOT.field("data");
        let mut total = 0;
        for (key, value) in &self.data {
            faults.problems(&at.key(key), key, names::config_map_key(key));
            total += value.len();
        }
        if total > MAX_DATA_BYTES {
            faults.too_long(&at, MAX_DATA_BYTES);
        }
        let needed: &[&str] = match self.r#type.as_str() {
            "kubernetes.io/dockercfg" => &[".dockercfg"],
            "kubernetes.io/dockerconfigjson" => &[".dockerconfigjson"],
            "kubernetes.io/ssh-auth" => &["ssh-privatekey"],
            "kubernetes.io/tls" => &["tls.crt", "tls.key"],
            "kubernetes.io/basic-auth"
                if !self.data.contains_key("username") && !self.data.contains_key("password") =>
            {
                &["username", "password"]
            }
            _ => &[],
        };
        for key in needed.iter().filter(|key| !self.data.contains_key(**key)) {
            faults.required(&at.key(key), "");
        }
        let account = "kubernetes.io/service-account.name";
        if self.r#type == "kubernetes.io/service-account-token"
            && !self.meta().annotations.contains_key(account)
        {
            faults.required(&Path::ROOT.field("metadata.annotations").key(account), "");
        }
    }

    fn validate_update(&self, old: &Self, faults: &mut Faults) {
        self.validate(faults);
        faults.immutable(&Path::ROOT.field("type"), &old.r#type, &self.r#type, &self.r#type);
        if old.immutable == Some(true) {
            sealed("immutable", self.immutable == Some(true), faults);
            sealed("data", self.data == old.data, faults);
        }
    }
}

impl Validate for ServiceAccount {
    fn validate(&self, _faults: &mut Faults) {}
}

impl Validate for PriorityClass {
    fn validate(&self, faults: &mut Faults) {
        let system = self.name().starts_with("system-");
        if system && !["system-node-critical", "system-cluster-critical"].contains(&self.name()) {
            let detail = "priority class names with 'system-' prefix are reserved for system use only";
            faults.forbidden(&Path::ROOT.field("metadata.name"), detail);
        } else if !system && self.value > MAX_USER_PRIORITY {
            let detail = format!("maximum allowed value of a user defined priority is {MAX_USER_PRIORITY}");
            faults.forbidden(&Path::ROOT.field("value"), &detail);
        }
        let policy = self.preemption_policy.as_deref().unwrap_or("");
        faults.one_of(
            &Path::ROOT.field("preemptionPolicy"),
            policy,
            &["Never", "PreemptLowerPriority"],
        );
    }

    fn validate_update(&self, old: &Self, faults: &mut Faults) {
        self.validate(faults);
        if self.value != old.value {
            faults.forbidden(&Path::ROOT.field("value"), "may not be changed in an update.");
        }
        let policy = self.preemption_policy.as_deref().unwrap_or("");
        let at = Path::ROOT.field("preemptionPolicy");
        faults.immutable(&at, &old.preemption_policy, &self.preemption_policy, policy);
    }
}

impl Validate for ResourceQuota {
    fn validate(&self, faults: &mut Faults) {
        if let Some(spec) = &self.spec {
            resources::list(&spec.hard, &Path::ROOT.field("spec.hard"), faults);
        }
    }
}

impl Validate for LimitRange {
    fn validate(&self, faults: &mut Faults) {
        let limits = Path::ROOT.field("spec.limits");
        for (i, item) in self.spec.iter().flat_map(|s| &s.limits).enumerate() {
            let at = limits.index(i);
            labels::qualified_or_standard(
                &item.r#type,
                &["Container", "PersistentVolumeClaim", "Pod"],
                &at.field("type"),
                faults,
            );
            for (name, list) in [
                ("max", &item.max),
                ("min", &item.min),
                ("default", &item.default),
                ("defaultRequest", &item.default_request),
            ] {
                resources::list(list, &at.field(name), faults);
            }
        }
    }
}

impl Validate for PersistentVolume {
    fn validate(&self, faults: &mut Faults) {
        let empty = Default::default();
        let spec = self.spec.as_ref().unwrap_or(&empty);
        let at = Path::ROOT.field("spec");
        access_modes(&spec.access_modes, &at, faults);
        if spec.capacity.is_empty() {
            faults.required(&at.field("capacity"), "");
        }
        resources::list(&spec.capacity, &at.field("capacity"), faults);
        if spec
            .persistent_volume_source
            .as_ref()
            .is_none_or(|s| *s == Default::default())
        {
            faults.required(&at, "must specify a volume type");
        }
        let policies = ["Delete", "Recycle", "Retain"];
        let policy = &spec.persistent_volume_reclaim_policy;
        faults.one_of(&at.field("persistentVolumeReclaimPolicy"), policy, &policies);
    }
}

impl Validate for PersistentVolumeClaim {
    fn validate(&self, faults: &mut Faults) {
        let empty = Default::default();
        let spec = self.spec.as_ref().unwrap_or(&empty);
        let at = Path::ROOT.field("spec");
        access_modes(&spec.access_modes, &at, faults);
        if let Some(selector) = &spec.selector {
            labels::selector(selector, &at.field("selector"), faults);
        }
        let requests = at.field("resources.requests");
        match &spec.resources {
            Some(wanted) if wanted.requests.contains_key("storage") => {
                resources::list(&wanted.requests, &requests, faults);
            }
            _ => faults.required(&requests.key("storage"), ""),
        }
    }
}

fn access_modes(modes: &[String], spec: &Path<'_>, faults: &mut Faults) {
    let supported = [
        "ReadOnlyMany",
        "ReadWriteMany",
        "ReadWriteOnce",
        "ReadWriteOncePod",
    ];
    let at = spec.field("accessModes");
    if modes.is_empty() {
        faults.required(&at, "at least 1 access mode is required");
    }
    for mode in modes {
        faults.one_of(&at, mode, &supported);
    }
}

impl Validate for StorageClass {
    fn validate(&self, faults: &mut Faults) {
        let at = Path::ROOT.field("provisioner");
        if self.provisioner.is_empty() {
            faults.required(&at, "");
        } else {
            let name = self.provisioner.to_lowercase();
            faults.problems(&at, &self.provisioner, names::qualified_name(&name));
        }
        let reclaim = self.reclaim_policy.as_deref().unwrap_or("");
        faults.one_of(&Path::ROOT.field("reclaimPolicy"), reclaim, &["Delete", "Retain"]);
        let binding = self.volume_binding_mode.as_deref().unwrap_or("");
        let supported = ["Immediate", "WaitForFirstConsumer"];
        faults.one_of(&Path::ROOT.field("volumeBindingMode"), binding, &supported);
    }

    fn validate_update(&self, old: &Self, faults: &mut Faults) {
        self.validate(faults);
        for (name, same) in [
            ("parameters", self.parameters == old.parameters),
            ("provisioner", self.provisioner == old.provisioner),
            ("reclaimPolicy", self.reclaim_policy == old.reclaim_policy),
            (
                "volumeBindingMode",
                self.volume_binding_mode == old.volume_binding_mode,
            ),
        ] {
            if !same {
                faults.forbidden(
                    &Path::ROOT.field(name),
                    &format!("updates to {name} are forbidden."),
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::Timestamp;
    use proto::api::core::v1::{ObjectReference, Taint};

    fn fields(check: impl FnOnce(&mut Faults)) -> Vec<String> {
        let mut faults = Faults::default();
        check(&mut faults);
        faults.into_vec().into_iter().map(|f| f.field).collect()
    }

    #[test]
    fn config_maps_have_file_names_for_keys_and_a_size() {
        let mut map = ConfigMap::default();
        map.data.insert("a.txt".into(), "1".into());
        assert_eq!(fields(|f| map.validate(f)), [""; 0]);
        map.binary_data.insert("a.txt".into(), "1".into());
        map.data.insert("a/b".into(), "1".into());
        assert_eq!(fields(|f| map.validate(f)), ["data[a.txt]", "data[a/b]"]);
        let large = ConfigMap {
            data: [("a".into(), "x".repeat(MAX_DATA_BYTES + 1))].into(),
            ..ConfigMap::default()
        };
        assert_eq!(fields(|f| large.validate(f)), ["data"]);
    }

    #[test]
    fn what_was_declared_immutable_stays() {
        let old = ConfigMap {
            immutable: Some(true),
            ..ConfigMap::default()
        };
        let new = ConfigMap {
            data: [("a".into(), String::new())].into(),
            ..ConfigMap::default()
        };
        assert_eq!(fields(|f| new.validate_update(&old, f)), ["immutable", "data"]);
        let old = Secret {
            immutable: Some(true),
            r#type: "Opaque".into(),
            ..Secret::default()
        };
        let new = Secret {
            r#type: "example.com/x".into(),
            ..old.clone()
        };
        assert_eq!(fields(|f| new.validate_update(&old, f)), ["type"]);
    }

    #[test]
    fn secrets_of_known_types_have_what_their_users_need() {
        for (r#type, expected) in [
            ("Opaque", &[][..]),
            ("kubernetes.io/tls", &["data[tls.crt]", "data[tls.key]"]),
            ("kubernetes.io/dockerconfigjson", &["data[.dockerconfigjson]"]),
            ("kubernetes.io/ssh-auth", &["data[ssh-privatekey]"]),
            ("kubernetes.io/basic-auth", &["data[username]", "data[password]"]),
            (
                "kubernetes.io/service-account-token",
                &["metadata.annotations[kubernetes.io/service-account.name]"],
            ),
        ] {
            let secret = Secret {
                r#type: r#type.into(),
                ..Secret::default()
            };
            assert_eq!(fields(|f| secret.validate(f)), expected, "{}", secret.r#type);
        }
    }

    #[test]
    fn nodes_have_sound_taints_and_amounts() {
        let mut node = Node::default();
        let spec = node.spec.get_or_insert_default();
        spec.taints = vec![Taint {
            key: "a".into(),
            effect: "Never".into(),
            ..Taint::default()
        }];
        spec.pod_cidrs = vec!["10.0.0.0/33".into()];
        let status = node.status.get_or_insert_default();
        status
            .capacity
            .insert("cpu".into(), proto::Quantity { string: "-1".into() });
        let expected = [
            "spec.taints[0].effect",
            "spec.podCIDRs[0]",
            "status.capacity[cpu]",
        ];
        assert_eq!(fields(|f| node.validate_create(f)), expected);
        let mut old = Node::default();
        old.spec.get_or_insert_default().provider_id = "a".into();
        assert_eq!(
            fields(|f| Node::default().validate_update(&old, f)),
            ["spec.providerID"]
        );
    }

    #[test]
    fn an_event_lives_where_its_object_does() {
        let event = |namespace: &str, about: &str| {
            let involved = ObjectReference {
                namespace: about.into(),
                ..ObjectReference::default()
            };
            let mut event = Event {
                involved_object: Some(involved),
                ..Event::default()
            };
            event.metadata_mut().namespace = namespace.into();
            event
        };
        for (namespace, about, good) in [
            ("a", "a", true),
            ("default", "", true),
            ("kube-system", "", true),
            ("a", "", false),
            ("a", "b", false),
        ] {
            let found = fields(|f| event(namespace, about).validate(f));
            assert_eq!(found.is_empty(), good, "{namespace} {about}");
        }
        let newer = Event {
            event_time: Some(Timestamp::default()),
            ..event("a", "a")
        };
        assert_eq!(fields(|f| newer.validate(f)).len(), 5);
    }

    #[test]
    fn leases_and_priorities_have_bounds() {
        let mut lease = Lease::default();
        lease.spec.get_or_insert_default().lease_duration_seconds = Some(0);
        assert_eq!(fields(|f| lease.validate(f)), ["spec.leaseDurationSeconds"]);
        let mut class = PriorityClass {
            value: i32::MAX,
            preemption_policy: Some("Never".into()),
            ..PriorityClass::default()
        };
        assert_eq!(fields(|f| class.validate(f)), ["value"]);
        class.metadata_mut().name = "system-mine".into();
        assert_eq!(fields(|f| class.validate(f)), ["metadata.name"]);
    }
}
