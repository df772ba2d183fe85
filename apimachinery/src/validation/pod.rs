//! Pods and Pod templates: what may run, and what of it may change.

mod subresource;

use super::container::{Shared, Sort, containers, id_in_range};
use super::{Faults, Validate, labels, meta, resources, volume};
use crate::names;
use crate::path::Path;
use crate::strategy::Subresource;
use proto::api::core::v1::{
    Affinity, Container, NodeAffinity, NodeSelectorTerm, Pod, PodSecurityContext, PodSpec, PodTemplate,
    PodTemplateSpec, Toleration,
};
use std::collections::HashSet;
use std::net::IpAddr;

impl Validate for Pod {
    fn validate(&self, faults: &mut Faults) {
        let at = Path::ROOT.field("spec");
        let empty = PodSpec::default();
        let spec = self.spec.as_ref().unwrap_or(&empty);
        pod_spec(spec, &at, faults);
    }

    fn validate_create(&self, faults: &mut Faults) {
        self.validate(faults);
        if self
            .spec
            .as_ref()
            .is_some_and(|s| !s.ephemeral_containers.is_empty())
        {
            faults.forbidden(
                &Path::ROOT.field("spec.ephemeralContainers"),
                "cannot be set on create",
            );
        }
        if self
            .spec
            .as_ref()
            .is_some_and(|s| !s.node_name.is_empty() && !s.scheduling_gates.is_empty())
        {
            let detail = "cannot be set until all schedulingGates have been cleared";
            faults.forbidden(&Path::ROOT.field("spec.nodeName"), detail);
        }
    }

    fn validate_update(&self, old: &Self, faults: &mut Faults) {
        self.validate(faults);
        let empty = PodSpec::default();
        let (old, new) = (
            old.spec.as_ref().unwrap_or(&empty),
            self.spec.as_ref().unwrap_or(&empty),
        );
        spec_update(old, new, &Path::ROOT.field("spec"), faults);
    }

    fn validate_part_update(&self, part: Subresource, old: &Self, faults: &mut Faults) {
        self.validate(faults);
        match part {
            Subresource::EphemeralContainers => subresource::ephemeral_containers(old, self, faults),
            Subresource::Resize => subresource::resize(old, self, faults),
            Subresource::None | Subresource::Status | Subresource::Scale => {}
        }
    }

    fn validate_status_update(&self, old: &Self, faults: &mut Faults) {
        let at = Path::ROOT.field("status");
        let empty = Default::default();
        let (old, new) = (
            old.status.as_ref().unwrap_or(&empty),
            self.status.as_ref().unwrap_or(&empty),
        );
        if !old.qos_class.is_empty() {
            faults.immutable(
                &at.field("qosClass"),
                &old.qos_class,
                &new.qos_class,
                &new.qos_class,
            );
        }
        let phases = ["Pending", "Running", "Succeeded", "Failed", "Unknown"];
        faults.one_of_or_empty(&at.field("phase"), &new.phase, &phases);
        let node = &new.nominated_node_name;
        if !node.is_empty() {
            faults.problems(
                &at.field("nominatedNodeName"),
                node,
                names::dns1123_subdomain(node),
            );
        }
        let conditions = at.field("conditions");
        for (i, condition) in new.conditions.iter().enumerate() {
            let at = conditions.index(i);
            labels::qualified(&condition.r#type, &at.field("type"), faults);
        }
    }
}

impl Validate for PodTemplate {
    fn validate(&self, faults: &mut Faults) {
        pod_template(self.template.as_ref(), &Path::ROOT.field("template"), faults);
    }
}

/// A template.
pub(super) fn pod_template(template: Option<&PodTemplateSpec>, at: &Path<'_>, faults: &mut Faults) {
    let Some(template) = template else {
        faults.required(at, "");
        return;
    };
    if let Some(metadata) = &template.metadata {
        meta::template_meta(metadata, &at.field("metadata"), faults);
    }
    let at = at.field("spec");
    let spec = template.spec.as_ref();
    if spec.is_some_and(|s| !s.ephemeral_containers.is_empty()) {
        faults.forbidden(
            &at.field("ephemeralContainers"),
            "ephemeral containers not allowed in pod template",
        );
    }
    pod_spec(spec.unwrap_or(&PodSpec::default()), &at, faults);
}

fn pod_spec(spec: &PodSpec, at: &Path<'_>, faults: &mut Faults) {
    let volumes = volume::volumes(&spec.volumes, &at.field("volumes"), faults);
    let mut shared = Shared::new(volumes, spec.host_network);
    if spec.containers.is_empty() {
        faults.required(&at.field("containers"), "");
    }
    containers(
        &spec.containers,
        Sort::Main,
        &mut shared,
        &at.field("containers"),
        faults,
    );
    containers(
        &spec.init_containers,
        Sort::Init,
        &mut shared,
        &at.field("initContainers"),
        faults,
    );
    ephemeral_containers(spec, &mut shared, at, faults);
    faults.one_of(
        &at.field("restartPolicy"),
        &spec.restart_policy,
        &["Always", "OnFailure", "Never"],
    );
    dns(spec, at, faults);
    labels::labels(&spec.node_selector, &at.field("nodeSelector"), faults);
    if let Some(context) = &spec.security_context {
        security(context, &at.field("securityContext"), faults);
    }
    if let Some(affinity) = &spec.affinity {
        labels::affinity(affinity, &at.field("affinity"), faults);
    }
    labels::tolerations(&spec.tolerations, &at.field("tolerations"), faults);
    labels::topology_spread(
        &spec.topology_spread_constraints,
        &at.field("topologySpreadConstraints"),
        faults,
    );
    object_names(spec, at, faults);
    hosts(spec, at, faults);
    if let Some(seconds) = spec.active_deadline_seconds
        && !(1..=i64::from(i32::MAX)).contains(&seconds)
    {
        let detail = "must be between 1 and 2147483647, inclusive";
        faults.invalid(&at.field("activeDeadlineSeconds"), seconds, detail);
    }
    if let Some(policy) = &spec.preemption_policy {
        faults.one_of(
            &at.field("preemptionPolicy"),
            policy,
            &["PreemptLowerPriority", "Never"],
        );
    }
    if let Some(os) = &spec.os {
        faults.one_of(&at.field("os.name"), &os.name, &["linux", "windows"]);
    }
    resources::list(&spec.overhead, &at.field("overhead"), faults);
    if let Some(requirements) = &spec.resources {
        resources::requirements(requirements, &at.field("resources"), faults);
        resources::pod_level(spec, requirements, &at.field("resources"), faults);
    }
    let gates = at.field("readinessGates");
    for (i, gate) in spec.readiness_gates.iter().enumerate() {
        let at = gates.index(i);
        labels::qualified(&gate.condition_type, &at.field("conditionType"), faults);
    }
    let gates = at.field("schedulingGates");
    let mut taken = HashSet::new();
    for (i, gate) in spec.scheduling_gates.iter().enumerate() {
        let at = gates.index(i);
        labels::qualified(&gate.name, &at.field("name"), faults);
        if !taken.insert(&gate.name) {
            faults.duplicate(&at, &gate.name);
        }
    }
}

fn ephemeral_containers<'a>(spec: &'a PodSpec, shared: &mut Shared<'a>, at: &Path<'_>, faults: &mut Faults) {
    let list = at.field("ephemeralContainers");
    for (i, container) in spec.ephemeral_containers.iter().enumerate() {
        let at = list.index(i);
        let Some(common) = &container.ephemeral_container_common else {
            faults.required(&at.field("name"), "");
            continue;
        };
        faults.problems(
            &at.field("name"),
            &common.name,
            names::dns1123_label(&common.name),
        );
        if !shared.names.insert(&common.name) {
            faults.duplicate(&at.field("name"), &common.name);
        }
        if common.image.is_empty() {
            faults.required(&at.field("image"), "");
        }
        let target = &container.target_container_name;
        if !target.is_empty() && !shared.names.contains(target.as_str()) {
            faults.not_found(&at.field("targetContainerName"), target);
        }
    }
}

fn dns(spec: &PodSpec, at: &Path<'_>, faults: &mut Faults) {
    let policies = ["ClusterFirst", "ClusterFirstWithHostNet", "Default", "None"];
    faults.one_of(&at.field("dnsPolicy"), &spec.dns_policy, &policies);
    let at = at.field("dnsConfig");
    let servers = at.field("nameservers");
    match &spec.dns_config {
        None if spec.dns_policy == "None" => {
            faults.required(&at, "must provide `dnsConfig` when `dnsPolicy` is None");
        }
        Some(config) if spec.dns_policy == "None" && config.nameservers.is_empty() => {
            faults.required(
                &servers,
                "must provide at least one DNS nameserver when `dnsPolicy` is None",
            );
        }
        _ => {}
    }
    for (i, server) in spec.dns_config.iter().flat_map(|c| &c.nameservers).enumerate() {
        ip(server, &servers.index(i), faults);
    }
}

fn ip(address: &str, at: &Path<'_>, faults: &mut Faults) {
    if address.parse::<IpAddr>().is_err() {
        faults.invalid(
            at,
            address,
            "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)",
        );
    }
}

fn security(context: &PodSecurityContext, at: &Path<'_>, faults: &mut Faults) {
    let ids = [
        ("runAsUser", context.run_as_user),
        ("runAsGroup", context.run_as_group),
        ("fsGroup", context.fs_group),
    ];
    for (name, id) in ids {
        if let Some(id) = id {
            id_in_range(id, &at.field(name), faults);
        }
    }
    let groups = at.field("supplementalGroups");
    for (i, group) in context.supplemental_groups.iter().enumerate() {
        id_in_range(*group, &groups.index(i), faults);
    }
    if let Some(policy) = &context.fs_group_change_policy {
        faults.one_of(
            &at.field("fsGroupChangePolicy"),
            policy,
            &["Always", "OnRootMismatch"],
        );
    }
}

/// The names of other objects, which need not exist.
fn object_names(spec: &PodSpec, at: &Path<'_>, faults: &mut Faults) {
    let runtime = spec.runtime_class_name.as_deref().unwrap_or("");
    for (name, value) in [
        ("serviceAccountName", spec.service_account_name.as_str()),
        ("nodeName", &spec.node_name),
        ("priorityClassName", &spec.priority_class_name),
        ("schedulerName", &spec.scheduler_name),
        ("runtimeClassName", runtime),
    ] {
        if !value.is_empty() {
            faults.problems(&at.field(name), value, names::dns1123_subdomain(value));
        }
    }
    let secrets = at.field("imagePullSecrets");
    for (i, secret) in spec.image_pull_secrets.iter().enumerate() {
        if !secret.name.is_empty() {
            let at = secrets.index(i);
            faults.problems(
                &at.field("name"),
                &secret.name,
                names::dns1123_subdomain(&secret.name),
            );
        }
    }
}

fn hosts(spec: &PodSpec, at: &Path<'_>, faults: &mut Faults) {
    for (name, value) in [("hostname", &spec.hostname), ("subdomain", &spec.subdomain)] {
        if !value.is_empty() {
            faults.problems(&at.field(name), value, names::dns1123_label(value));
        }
    }
    let aliases = at.field("hostAliases");
    for (i, alias) in spec.host_aliases.iter().enumerate() {
        let at = aliases.index(i);
        ip(&alias.ip, &at.field("ip"), faults);
        let hostnames = at.field("hostnames");
        for (i, hostname) in alias.hostnames.iter().enumerate() {
            faults.problems(&hostnames.index(i), hostname, names::dns1123_subdomain(hostname));
        }
    }
}

const MAY_CHANGE: &str = "pod updates may not change fields other than `spec.containers[*].image`, \
                          `spec.initContainers[*].image`, `spec.activeDeadlineSeconds`, `spec.tolerations` (only \
                          additions to existing tolerations), `spec.terminationGracePeriodSeconds` (allow it to be \
                          set to 1 if it was previously negative)";

fn spec_update(old: &PodSpec, new: &PodSpec, at: &Path<'_>, faults: &mut Faults) {
    if old.containers.len() != new.containers.len() {
        faults.forbidden(
            &at.field("containers"),
            "pod updates may not add or remove containers",
        );
        return;
    }
    if old.init_containers.len() != new.init_containers.len() {
        faults.forbidden(
            &at.field("initContainers"),
            "pod updates may not add or remove containers",
        );
        return;
    }
    deadline_update(old, new, at, faults);
    if !tolerations_only_added(&old.tolerations, &new.tolerations) {
        let detail = "existing toleration can not be modified except its tolerationSeconds";
        faults.forbidden(&at.field("tolerations"), detail);
    }
    let gates = at.field("schedulingGates");
    if new
        .scheduling_gates
        .iter()
        .any(|gate| !old.scheduling_gates.contains(gate))
    {
        faults.forbidden(&gates, "only deletion is allowed, but found new scheduling gate");
    }
    // All that may change is made equal; whatever still differs may not.
    let mut rest = new.clone();
    keep_images(&old.containers, &mut rest.containers);
    keep_images(&old.init_containers, &mut rest.init_containers);
    rest.active_deadline_seconds = old.active_deadline_seconds;
    rest.tolerations.clone_from(&old.tolerations);
    rest.scheduling_gates.clone_from(&old.scheduling_gates);
    if old.termination_grace_period_seconds.is_some_and(|s| s < 0)
        && new.termination_grace_period_seconds == Some(1)
    {
        rest.termination_grace_period_seconds = old.termination_grace_period_seconds;
    }
    if !old.scheduling_gates.is_empty() {
        // Where a gated Pod may go can still be narrowed by whoever holds the gate.
        let kept = old
            .node_selector
            .iter()
            .all(|(key, value)| new.node_selector.get(key) == Some(value));
        if kept {
            rest.node_selector.clone_from(&old.node_selector);
        }
        node_affinity_update(old, &mut rest, &at.field("affinity.nodeAffinity"), faults);
    }
    if rest != *old {
        faults.forbidden(at, MAY_CHANGE);
    }
}

/// Node affinity of a gated Pod may only become narrower: terms are alternatives, so none may come or go, and each may get more
/// requirements. What is only preferred may become anything. Where that is so, `rest` gets the old one.
/// <https://kubernetes.io/docs/concepts/scheduling-eviction/pod-scheduling-readiness/#mutable-pod-scheduling-directives>
fn node_affinity_update(old: &PodSpec, rest: &mut PodSpec, at: &Path<'_>, faults: &mut Faults) {
    fn of(spec: &PodSpec) -> Option<&NodeAffinity> {
        spec.affinity.as_ref()?.node_affinity.as_ref()
    }
    fn terms(affinity: Option<&NodeAffinity>) -> &[NodeSelectorTerm] {
        let required = affinity.and_then(|a| a.required_during_scheduling_ignored_during_execution.as_ref());
        required.map_or(&[], |required| &required.node_selector_terms)
    }
    let before = of(old).cloned();
    let (were, are) = (terms(before.as_ref()), terms(of(rest)));
    let list = at.field("requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms");
    if !were.is_empty() && were.len() != are.len() {
        let detail = "no additions/deletions to non-empty NodeSelectorTerms list are allowed";
        faults.invalid(&list, are.len(), detail);
    } else {
        for (i, (was, is)) in were.iter().zip(are).enumerate() {
            let only_more = is.match_expressions.starts_with(&was.match_expressions)
                && is.match_fields.starts_with(&was.match_fields);
            // A term without requirements is met by no node: with some it would be wider.
            let was_empty = was.match_expressions.is_empty() && was.match_fields.is_empty();
            if !only_more || was_empty && is != was {
                let detail = "only additions are allowed (no mutations or deletions)";
                faults.invalid(&list.index(i), i, detail);
            }
        }
    }
    let is_empty =
        |affinity: &Affinity| affinity.pod_affinity.is_none() && affinity.pod_anti_affinity.is_none();
    match (&mut rest.affinity, before) {
        (None, None) => {}
        (affinity @ None, before) => {
            *affinity = Some(Affinity {
                node_affinity: before,
                ..Affinity::default()
            });
        }
        (Some(affinity), None) if old.affinity.is_none() && is_empty(affinity) => rest.affinity = None,
        (Some(affinity), before) => affinity.node_affinity = before,
    }
}

fn keep_images(old: &[Container], new: &mut [Container]) {
    for (old, new) in old.iter().zip(new) {
        new.image.clone_from(&old.image);
    }
}

fn deadline_update(old: &PodSpec, new: &PodSpec, at: &Path<'_>, faults: &mut Faults) {
    let at = at.field("activeDeadlineSeconds");
    match (old.active_deadline_seconds, new.active_deadline_seconds) {
        (Some(_), None) => faults.invalid(&at, 0, "must not update from a positive integer to nil value"),
        (Some(old), Some(new)) if new > old => {
            faults.invalid(
                &at,
                new,
                &format!("must be less than or equal to previous value ({old})"),
            );
        }
        _ => {}
    }
}

/// Whether each old toleration is still there, at most with other seconds.
fn tolerations_only_added(old: &[Toleration], new: &[Toleration]) -> bool {
    let same = |a: &Toleration, b: &Toleration| {
        (&a.key, &a.operator, &a.value, &a.effect) == (&b.key, &b.operator, &b.value, &b.effect)
    };
    old.iter().all(|old| new.iter().any(|new| same(old, new)))
}

#[cfg(test)]
mod tests;
