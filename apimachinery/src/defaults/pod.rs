//! Pods and Pod templates.
//!
//! What stands in [`pod_spec`] is written into templates too; what stands in `impl Defaults for Pod` only into Pods,
//! so that a template stays as its author wrote it.

use super::{Defaults, fill_in, number, optional, resource_list, string};
use crate::int_or_string;
use crate::resources;
use crate::well_known::{TAINT_NOT_READY, TAINT_UNREACHABLE};
use proto::Quantity;
use proto::api::core::v1::{
    Container, DownwardApiVolumeFile, EphemeralContainerCommon, HttpGetAction, Lifecycle, LifecycleHandler,
    ObjectFieldSelector, Pod, PodSpec, PodTemplate, PodTemplateSpec, Probe, ProbeHandler,
    ResourceFieldSelector, ResourceRequirements, Toleration, Volume, VolumeSource,
};
use proto::api::scheduling::v1::PriorityClass;
use proto::meta::v1::ObjectMeta;

/// Mode of files in volumes made from ConfigMaps, Secrets and the like: `rw-r--r--`.
const FILE_MODE: i32 = 0o644;
/// How long a service account's token in a projected volume lives: an hour.
const TOKEN_SECONDS: i64 = 3600;
/// How long a Pod may take to end.
pub(super) const GRACE_SECONDS: i64 = 30;
/// How long a Pod that says nothing stays on a Node that is not ready or not heard of.
const TOLERATED_SECONDS: i64 = 300;

impl Defaults for Pod {
    fn set_defaults(&mut self) {
        let spec = self.spec.get_or_insert_default();
        pod_spec(spec);
        for container in spec.containers.iter_mut().chain(&mut spec.init_containers) {
            if let Some(resources) = &mut container.resources {
                let ResourceRequirements { limits, requests, .. } = resources;
                fill_in(requests, limits);
            }
            if spec.host_network {
                for port in &mut container.ports {
                    number(&mut port.host_port, port.container_port);
                }
            }
        }
        pod_level_resources(spec);
        spec.enable_service_links.get_or_insert(true);
    }
}

impl Defaults for PodTemplate {
    fn set_defaults(&mut self) {
        pod_template(&mut self.template);
    }
}

/// A template's defaults. The template is made when it is missing, so that validation can say what it lacks.
pub(super) fn pod_template(template: &mut Option<PodTemplateSpec>) {
    let template = template.get_or_insert_default();
    // JSON does not show empty metadata, and what was read from it must be the same object.
    template.metadata.take_if(|meta| *meta == ObjectMeta::default());
    pod_spec(template.spec.get_or_insert_default());
}

/// The defaults that Pods and templates share.
pub(super) fn pod_spec(spec: &mut PodSpec) {
    string(&mut spec.dns_policy, "ClusterFirst");
    string(&mut spec.restart_policy, "Always");
    string(&mut spec.scheduler_name, "default-scheduler");
    spec.security_context.get_or_insert_default();
    spec.termination_grace_period_seconds.get_or_insert(GRACE_SECONDS);
    // The old and the new name of one field.
    if spec.service_account_name.is_empty() {
        spec.service_account_name.clone_from(&spec.service_account);
    }
    spec.service_account.clone_from(&spec.service_account_name);
    resource_list(&mut spec.overhead);
    spec.volumes.iter_mut().for_each(volume);
    for container in spec.containers.iter_mut().chain(&mut spec.init_containers) {
        container.set_defaults();
    }
    for container in &mut spec.ephemeral_containers {
        container
            .ephemeral_container_common
            .get_or_insert_default()
            .set_defaults();
    }
    if let Some(resources) = &mut spec.resources {
        resource_list(&mut resources.limits);
        resource_list(&mut resources.requests);
    }
}

/// Where the Pod as a whole has limits, its requests are what its containers ask for, or else those limits. Where it has
/// requests only, its limits are those of its containers, if every one of them has some.
fn pod_level_resources(spec: &mut PodSpec) {
    let supported = |name: &str| name == "cpu" || name == "memory" || name.starts_with("hugepages-");
    let overcommittable = |name: &str| name == "cpu" || name == "memory";
    let requests = resources::container_amounts(spec, |r| &r.requests);
    let limits = resources::container_amounts(spec, |r| &r.limits);
    let has_limit = |name: &str| {
        (spec.containers.iter().chain(&spec.init_containers))
            .all(|c| c.resources.as_ref().is_some_and(|r| r.limits.contains_key(name)))
    };
    let limited: Vec<_> = limits.iter().filter(|(name, _)| has_limit(name)).collect();
    let Some(pod) = &mut spec.resources else { return };
    if pod.limits.is_empty() && pod.requests.is_empty() {
        return;
    }
    for (name, amount) in limits.iter().filter(|(name, _)| name.starts_with("hugepages-")) {
        if !pod.requests.contains_key(name) {
            pod.limits.entry(name.clone()).or_insert_with(|| amount.into());
        }
    }
    if pod.limits.is_empty() {
        for (name, amount) in limited.into_iter().filter(|(name, _)| overcommittable(name)) {
            pod.limits.insert(name.clone(), amount.into());
        }
        return;
    }
    for (name, amount) in requests.iter().filter(|(name, _)| overcommittable(name)) {
        pod.requests.entry(name.clone()).or_insert_with(|| amount.into());
    }
    for (name, amount) in pod.limits.iter().filter(|(name, _)| supported(name)) {
        pod.requests.entry(name.clone()).or_insert_with(|| amount.clone());
    }
}

macro_rules! container_defaults {
    ($type:ty) => {
        impl Defaults for $type {
            fn set_defaults(&mut self) {
                string(&mut self.image_pull_policy, pull_policy(&self.image));
                string(&mut self.termination_message_path, "/dev/termination-log");
                string(&mut self.termination_message_policy, "File");
                for port in &mut self.ports {
                    string(&mut port.protocol, "TCP");
                }
                for source in self
                    .env
                    .iter_mut()
                    .filter_map(|env| env.value_from.as_mut())
                {
                    field_ref(&mut source.field_ref);
                    resource_ref(&mut source.resource_field_ref);
                    if let Some(key) = &mut source.file_key_ref {
                        key.optional.get_or_insert(false);
                    }
                }
                if let Some(resources) = &mut self.resources {
                    resource_list(&mut resources.limits);
                    resource_list(&mut resources.requests);
                }
                for one in [
                    &mut self.liveness_probe,
                    &mut self.readiness_probe,
                    &mut self.startup_probe,
                ] {
                    one.iter_mut().for_each(probe);
                }
                self.lifecycle.iter_mut().for_each(lifecycle);
            }
        }
    };
}

// The schema writes an ephemeral container's fields in a message of their own.
container_defaults!(Container);
container_defaults!(EphemeralContainerCommon);

fn field_ref(field: &mut Option<ObjectFieldSelector>) {
    if let Some(field) = field {
        string(&mut field.api_version, "v1");
    }
}

fn downward_file(file: &mut DownwardApiVolumeFile) {
    field_ref(&mut file.field_ref);
    resource_ref(&mut file.resource_field_ref);
}

/// Divided by 0 means divided by 1. It is written out, because JSON always shows it: an object that was read as JSON and
/// written again must be the same.
fn resource_ref(resource: &mut Option<ResourceFieldSelector>) {
    if let Some(resource) = resource {
        resource.divisor.get_or_insert_with(|| Quantity {
            string: "0".to_owned(),
        });
    }
}

/// `Always` for an image that may change under its name: tagged `latest`, or with neither tag nor digest.
fn pull_policy(image: &str) -> &'static str {
    let last = image.rsplit('/').next().unwrap_or(image);
    let changing = match last.split_once('@') {
        Some((named, _)) => named.ends_with(":latest"),
        None => last.rsplit_once(':').is_none_or(|(_, tag)| tag == "latest"),
    };
    if changing && !image.is_empty() {
        "Always"
    } else {
        "IfNotPresent"
    }
}

fn probe(probe: &mut Probe) {
    number(&mut probe.timeout_seconds, 1);
    number(&mut probe.period_seconds, 10);
    number(&mut probe.success_threshold, 1);
    number(&mut probe.failure_threshold, 3);
    if let Some(ProbeHandler {
        http_get: get, grpc, ..
    }) = &mut probe.handler
    {
        get.iter_mut().for_each(http_get);
        if let Some(grpc) = grpc {
            optional(&mut grpc.service, "");
        }
    }
}

fn lifecycle(lifecycle: &mut Lifecycle) {
    for handler in [&mut lifecycle.post_start, &mut lifecycle.pre_stop]
        .into_iter()
        .flatten()
    {
        let LifecycleHandler { http_get: get, .. } = handler;
        get.iter_mut().for_each(http_get);
    }
}

fn http_get(get: &mut HttpGetAction) {
    string(&mut get.path, "/");
    string(&mut get.scheme, "HTTP");
    get.port.get_or_insert_with(|| int_or_string::int(0));
}

fn volume(volume: &mut Volume) {
    let source = volume.volume_source.get_or_insert_default();
    if *source == VolumeSource::default() {
        source.empty_dir = Some(Default::default());
    }
    if let Some(image) = &mut source.image {
        string(&mut image.pull_policy, pull_policy(&image.reference));
    }
    if let Some(host_path) = &mut source.host_path {
        optional(&mut host_path.r#type, "");
    }
    if let Some(secret) = &mut source.secret {
        secret.default_mode.get_or_insert(FILE_MODE);
    }
    if let Some(config_map) = &mut source.config_map {
        config_map.default_mode.get_or_insert(FILE_MODE);
    }
    if let Some(downward) = &mut source.downward_api {
        downward.default_mode.get_or_insert(FILE_MODE);
        downward.items.iter_mut().for_each(downward_file);
    }
    if let Some(projected) = &mut source.projected {
        projected.default_mode.get_or_insert(FILE_MODE);
        for part in &mut projected.sources {
            if let Some(downward) = &mut part.downward_api {
                downward.items.iter_mut().for_each(downward_file);
            }
            if let Some(token) = &mut part.service_account_token {
                token.expiration_seconds.get_or_insert(TOKEN_SECONDS);
            }
        }
    }
    if let Some(ephemeral) = &mut source.ephemeral
        && let Some(spec) = ephemeral
            .volume_claim_template
            .as_mut()
            .and_then(|t| t.spec.as_mut())
    {
        super::storage::claim_spec(spec);
    }
    network_disk(source);
}

/// Network disks that hardly anybody has any more.
fn network_disk(source: &mut VolumeSource) {
    if let Some(iscsi) = &mut source.iscsi {
        string(&mut iscsi.iscsi_interface, "default");
    }
    if let Some(rbd) = &mut source.rbd {
        string(&mut rbd.pool, "rbd");
        string(&mut rbd.user, "admin");
        string(&mut rbd.keyring, "/etc/ceph/keyring");
    }
    if let Some(disk) = &mut source.azure_disk {
        super::storage::azure_disk(disk);
    }
    if let Some(scale_io) = &mut source.scale_io {
        string(&mut scale_io.storage_mode, "ThinProvisioned");
        string(&mut scale_io.fs_type, "xfs");
    }
}

/// Lets a Pod stay for five minutes on a Node that is not ready or not heard of, unless it says something of its own:
/// what the admission plugin DefaultTolerationSeconds does.
pub fn add_default_tolerations(spec: &mut PodSpec) {
    for key in [TAINT_NOT_READY, TAINT_UNREACHABLE] {
        let says = |t: &Toleration| {
            (t.key == key || t.key.is_empty()) && (t.effect.is_empty() || t.effect == "NoExecute")
        };
        if !spec.tolerations.iter().any(says) {
            spec.tolerations.push(Toleration {
                key: key.to_owned(),
                operator: "Exists".to_owned(),
                effect: "NoExecute".to_owned(),
                toleration_seconds: Some(TOLERATED_SECONDS),
                ..Toleration::default()
            });
        }
    }
}

/// Gives a Pod the priority of its class, or of the global default class, or 0: what the admission plugin Priority does.
/// The two system classes exist whether anybody made them or not.
pub fn resolve_priority(spec: &mut PodSpec, class: Option<&PriorityClass>) {
    let (value, policy) = match (class, spec.priority_class_name.as_str()) {
        (Some(class), _) => (class.value, class.preemption_policy.as_deref()),
        (None, "system-node-critical") => (2_000_001_000, None),
        (None, "system-cluster-critical") => (2_000_000_000, None),
        (None, _) => (0, None),
    };
    if let Some(class) = class {
        string(
            &mut spec.priority_class_name,
            class.metadata.as_ref().map_or("", |m| &m.name),
        );
    }
    spec.priority = Some(value);
    spec.preemption_policy = Some(policy.unwrap_or("PreemptLowerPriority").to_owned());
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::api::core::v1::{ContainerPort, EmptyDirVolumeSource};

    #[test]
    fn images_that_may_change_are_always_pulled() {
        for (image, policy) in [
            ("nginx", "Always"),
            ("nginx:latest", "Always"),
            ("nginx:1.27", "IfNotPresent"),
            ("registry:5000/nginx", "Always"),
            ("registry:5000/nginx:1", "IfNotPresent"),
            ("nginx@sha256:abc", "IfNotPresent"),
            ("nginx:1@sha256:abc", "IfNotPresent"),
            ("", "IfNotPresent"),
        ] {
            assert_eq!(pull_policy(image), policy, "{image}");
        }
    }

    #[test]
    fn a_pod_gets_what_upstream_writes_into_it() {
        let port = ContainerPort {
            container_port: 80,
            ..ContainerPort::default()
        };
        let container = Container {
            name: "web".into(),
            image: "nginx".into(),
            ports: vec![port],
            ..Container::default()
        };
        let mut pod = Pod {
            spec: Some(PodSpec {
                containers: vec![container],
                volumes: vec![Volume {
                    name: "v".into(),
                    ..Volume::default()
                }],
                host_network: true,
                ..PodSpec::default()
            }),
            ..Pod::default()
        };
        pod.set_defaults();
        let spec = pod.spec.as_ref().unwrap();
        assert_eq!(spec.restart_policy, "Always");
        assert_eq!(spec.dns_policy, "ClusterFirst");
        assert_eq!(spec.scheduler_name, "default-scheduler");
        assert_eq!(spec.termination_grace_period_seconds, Some(30));
        assert_eq!(spec.enable_service_links, Some(true));
        assert!(spec.security_context.is_some());
        let container = &spec.containers[0];
        assert_eq!(container.image_pull_policy, "Always");
        assert_eq!(container.termination_message_path, "/dev/termination-log");
        assert_eq!(container.ports[0].protocol, "TCP");
        assert_eq!(container.ports[0].host_port, 80);
        let source = spec.volumes[0].volume_source.as_ref().unwrap();
        assert_eq!(source.empty_dir, Some(EmptyDirVolumeSource::default()));
    }

    #[test]
    fn requests_default_to_limits_in_pods_and_not_in_templates() {
        let mut resources = ResourceRequirements::default();
        resources
            .limits
            .insert("cpu".into(), proto::Quantity { string: "0.5".into() });
        let container = Container {
            resources: Some(resources),
            ..Container::default()
        };
        let spec = PodSpec {
            containers: vec![container],
            ..PodSpec::default()
        };
        let mut pod = Pod {
            spec: Some(spec.clone()),
            ..Pod::default()
        };
        pod.set_defaults();
        let requests = |spec: &PodSpec| spec.containers[0].resources.as_ref().unwrap().requests.clone();
        assert_eq!(requests(pod.spec.as_ref().unwrap())["cpu"].string, "500m");
        let mut template = Some(PodTemplateSpec {
            spec: Some(spec),
            ..PodTemplateSpec::default()
        });
        pod_template(&mut template);
        assert!(requests(template.unwrap().spec.as_ref().unwrap()).is_empty());
    }

    #[test]
    fn a_pod_outlives_its_node_by_five_minutes_unless_it_says_otherwise() {
        let mut spec = PodSpec::default();
        add_default_tolerations(&mut spec);
        add_default_tolerations(&mut spec);
        let keys: Vec<_> = spec
            .tolerations
            .iter()
            .map(|t| (t.key.as_str(), t.toleration_seconds))
            .collect();
        assert_eq!(
            keys,
            [(TAINT_NOT_READY, Some(300)), (TAINT_UNREACHABLE, Some(300))]
        );
        let everything = Toleration {
            operator: "Exists".into(),
            ..Toleration::default()
        };
        let mut spec = PodSpec {
            tolerations: vec![everything],
            ..PodSpec::default()
        };
        add_default_tolerations(&mut spec);
        assert_eq!(spec.tolerations.len(), 1);
    }

    #[test]
    fn priority_comes_from_the_class() {
        let mut spec = PodSpec::default();
        resolve_priority(&mut spec, None);
        assert_eq!(
            (spec.priority, spec.preemption_policy.as_deref()),
            (Some(0), Some("PreemptLowerPriority"))
        );
        let mut class = PriorityClass {
            value: 7,
            preemption_policy: Some("Never".into()),
            ..PriorityClass::default()
        };
        class.metadata.get_or_insert_default().name = "high".into();
        resolve_priority(&mut spec, Some(&class));
        assert_eq!(spec.priority_class_name, "high");
        assert_eq!(
            (spec.priority, spec.preemption_policy.as_deref()),
            (Some(7), Some("Never"))
        );
    }
}
