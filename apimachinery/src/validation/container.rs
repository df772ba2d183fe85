//! Containers of every sort: what runs, its ports, environment and mounts.

use super::probe::{Probes, lifecycle, probes};
use super::restart::restart;
use super::volume::Volumes;
use super::{Faults, resources};
use crate::names;
use crate::path::Path;
use crate::resources::is_sidecar;
use proto::api::core::v1::{
    Container, ContainerPort, EnvFromSource, EnvVar, EnvVarSource, VolumeDevice, VolumeMount,
};
use std::collections::HashSet;

const PROTOCOLS: [&str; 3] = ["TCP", "UDP", "SCTP"];
const PULL_POLICIES: [&str; 3] = ["Always", "IfNotPresent", "Never"];

/// Which of a Pod's containers these are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sort {
    /// They run side by side, for as long as the Pod does.
    Main,
    /// They run one after another, before the others; but for sidecars, which stay.
    Init,
}

/// What the containers of a Pod share.
#[derive(Default)]
pub(super) struct Shared<'a> {
    /// Names that are taken.
    pub(super) names: HashSet<&'a str>,
    /// Host ports that are taken.
    host_ports: HashSet<(&'a str, &'a str, i32)>,
    /// The Pod's volumes.
    volumes: Volumes<'a>,
    /// Whether the Pod uses its Node's network.
    host_network: bool,
}

impl<'a> Shared<'a> {
    /// Nothing is taken yet.
    pub(super) fn new(volumes: Volumes<'a>, host_network: bool) -> Self {
        Self {
            volumes,
            host_network,
            ..Self::default()
        }
    }
}

/// A list of containers.
pub(super) fn containers<'a>(
    list: &'a [Container],
    sort: Sort,
    shared: &mut Shared<'a>,
    at: &Path<'_>,
    faults: &mut Faults,
) {
    for (i, container) in list.iter().enumerate() {
        let at = at.index(i);
        let name = at.field("name");
        if container.name.is_empty() {
            faults.required(&name, "");
        } else {
            faults.problems(&name, &container.name, names::dns1123_label(&container.name));
            if !shared.names.insert(&container.name) {
                faults.duplicate(&name, &container.name);
            }
        }
        one(container, sort, shared, &at, faults);
    }
}

fn one<'a>(
    container: &'a Container,
    sort: Sort,
    shared: &mut Shared<'a>,
    at: &Path<'_>,
    faults: &mut Faults,
) {
    if container.image.is_empty() {
        faults.required(&at.field("image"), "");
    } else if container.image.trim() != container.image {
        faults.invalid(
            &at.field("image"),
            &container.image,
            "must not have leading or trailing whitespace",
        );
    }
    faults.one_of(
        &at.field("terminationMessagePolicy"),
        &container.termination_message_policy,
        &["File", "FallbackToLogsOnError"],
    );
    faults.one_of(
        &at.field("imagePullPolicy"),
        &container.image_pull_policy,
        &PULL_POLICIES,
    );
    restart(container, at, faults);
    ports(&container.ports, shared, &at.field("ports"), faults);
    env(&container.env, &at.field("env"), faults);
    env_from(&container.env_from, &at.field("envFrom"), faults);
    mounts(
        &container.volume_mounts,
        &shared.volumes,
        &at.field("volumeMounts"),
        faults,
    );
    devices(
        &container.volume_devices,
        &shared.volumes,
        &at.field("volumeDevices"),
        faults,
    );
    if let Some(requirements) = &container.resources {
        resources::requirements(requirements, &at.field("resources"), faults);
    }
    for (i, policy) in container.resize_policy.iter().enumerate() {
        let list = at.field("resizePolicy");
        let at = list.index(i);
        faults.one_of(
            &at.field("resourceName"),
            &policy.resource_name,
            &["cpu", "memory"],
        );
        faults.one_of(
            &at.field("restartPolicy"),
            &policy.restart_policy,
            &["NotRequired", "RestartContainer"],
        );
    }
    let all = Probes {
        liveness: container.liveness_probe.as_ref(),
        readiness: container.readiness_probe.as_ref(),
        startup: container.startup_probe.as_ref(),
    };
    // An init container that ends has nothing to probe and no end of its own to prepare.
    let ends = sort == Sort::Init && !is_sidecar(container);
    probes(&all, ends, at, faults);
    match &container.lifecycle {
        Some(_) if ends => faults.forbidden(
            &at.field("lifecycle"),
            "may not be set for init containers without restartPolicy=Always",
        ),
        Some(hooks) => lifecycle(hooks, &at.field("lifecycle"), faults),
        None => {}
    }
    security(container, at, faults);
}

fn security(container: &Container, at: &Path<'_>, faults: &mut Faults) {
    let Some(context) = &container.security_context else {
        return;
    };
    let at = at.field("securityContext");
    for (name, id) in [
        ("runAsUser", context.run_as_user),
        ("runAsGroup", context.run_as_group),
    ] {
        if let Some(id) = id {
            id_in_range(id, &at.field(name), faults);
        }
    }
    if let Some(mount) = &context.proc_mount {
        faults.one_of(&at.field("procMount"), mount, &["Default", "Unmasked"]);
    }
    if context.allow_privilege_escalation == Some(false) && context.privileged == Some(true) {
        let detail = "cannot set `allowPrivilegeEscalation` to false and `privileged` to true";
        faults.invalid(&at, context.privileged, detail);
    }
}

/// User and group ids.
pub(super) fn id_in_range(id: i64, at: &Path<'_>, faults: &mut Faults) {
    if !(0..=i64::from(i32::MAX)).contains(&id) {
        faults.invalid(at, id, "must be between 0 and 2147483647, inclusive");
    }
}

fn ports<'a>(ports: &'a [ContainerPort], shared: &mut Shared<'a>, at: &Path<'_>, faults: &mut Faults) {
    let mut port_names = HashSet::new();
    for (i, port) in ports.iter().enumerate() {
        let at = at.index(i);
        if !port.name.is_empty() {
            let problems = names::port_name(&port.name);
            if problems.is_empty() && !port_names.insert(&port.name) {
                faults.duplicate(&at.field("name"), &port.name);
            }
            faults.problems(&at.field("name"), &port.name, problems);
        }
        if port.container_port == 0 {
            faults.required(&at.field("containerPort"), "");
        } else {
            number(port.container_port, &at.field("containerPort"), faults);
        }
        faults.one_of(&at.field("protocol"), &port.protocol, &PROTOCOLS);
        if port.host_port == 0 {
            continue;
        }
        let host_port = at.field("hostPort");
        number(port.host_port, &host_port, faults);
        if shared.host_network && port.host_port != port.container_port {
            faults.invalid(
                &at.field("containerPort"),
                port.container_port,
                "must match `hostPort` when `hostNetwork` is true",
            );
        }
        if !shared
            .host_ports
            .insert((&port.protocol, &port.host_ip, port.host_port))
        {
            faults.duplicate(
                &host_port,
                format!("{}/{}/{}", port.protocol, port.host_ip, port.host_port),
            );
        }
    }
}

fn number(port: i32, at: &Path<'_>, faults: &mut Faults) {
    for problem in names::port_number(port.into()) {
        faults.invalid(at, port, &problem);
    }
}

fn env(vars: &[EnvVar], at: &Path<'_>, faults: &mut Faults) {
    for (i, var) in vars.iter().enumerate() {
        let at = at.index(i);
        if var.name.is_empty() {
            faults.required(&at.field("name"), "");
        } else {
            faults.problems(&at.field("name"), &var.name, names::env_var_name(&var.name));
        }
        if let Some(source) = &var.value_from {
            let at = at.field("valueFrom");
            if !var.value.is_empty() {
                faults.invalid(&at, "", "may not be specified when `value` is not empty");
            }
            env_source(source, &at, faults);
        }
    }
}

fn env_source(source: &EnvVarSource, at: &Path<'_>, faults: &mut Faults) {
    const FIELDS: [&str; 10] = [
        "metadata.annotations",
        "metadata.labels",
        "metadata.name",
        "metadata.namespace",
        "metadata.uid",
        "spec.nodeName",
        "spec.serviceAccountName",
        "status.hostIP",
        "status.hostIPs",
        "status.podIP",
    ];
    let mut sources = 0;
    if let Some(field) = &source.field_ref {
        sources += 1;
        let at = at.field("fieldRef");
        let at = at.field("fieldPath");
        // metadata.labels['a'] and metadata.annotations['a'] name one entry.
        let (path, entry) = field
            .field_path
            .split_once('[')
            .map_or((&*field.field_path, false), |(p, _)| (p, true));
        let whole_map = matches!(path, "metadata.annotations" | "metadata.labels");
        let known = FIELDS.contains(&path) || path == "status.podIPs";
        if path.is_empty() {
            faults.required(&at, "");
        } else if !known || whole_map != entry {
            faults.unsupported(&at, &field.field_path, &FIELDS[2..]);
        }
    }
    if let Some(resource) = &source.resource_field_ref {
        sources += 1;
        let at = at.field("resourceFieldRef");
        if resource.resource.is_empty() {
            faults.required(&at.field("resource"), "");
        }
    }
    let config_map = source
        .config_map_key_ref
        .as_ref()
        .map(|r| (&r.local_object_reference, &r.key));
    let secret = source
        .secret_key_ref
        .as_ref()
        .map(|r| (&r.local_object_reference, &r.key));
    for (name, reference) in [("configMapKeyRef", config_map), ("secretKeyRef", secret)] {
        let Some((object, key)) = reference else { continue };
        sources += 1;
        let at = at.field(name);
        if object.as_ref().is_none_or(|o| o.name.is_empty()) {
            faults.required(&at.field("name"), "");
        }
        if key.is_empty() {
            faults.required(&at.field("key"), "");
        } else {
            faults.problems(&at.field("key"), key, names::config_map_key(key));
        }
    }
    if let Some(file) = &source.file_key_ref {
        sources += 1;
        let at = at.field("fileKeyRef");
        for (name, value) in [
            ("volumeName", &file.volume_name),
            ("path", &file.path),
            ("key", &file.key),
        ] {
            if value.is_empty() {
                faults.required(&at.field(name), "");
            }
        }
    }
    match sources {
        0 => faults.invalid(
            at,
            "",
            "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`",
        ),
        1 => {}
        _ => faults.invalid(at, "", "may not have more than one field specified at a time"),
    }
}

fn env_from(sources: &[EnvFromSource], at: &Path<'_>, faults: &mut Faults) {
    for (i, source) in sources.iter().enumerate() {
        let at = at.index(i);
        if !source.prefix.is_empty() {
            faults.problems(
                &at.field("prefix"),
                &source.prefix,
                names::env_var_name(&source.prefix),
            );
        }
        let config_map = source.config_map_ref.as_ref().map(|r| &r.local_object_reference);
        let secret = source.secret_ref.as_ref().map(|r| &r.local_object_reference);
        for (name, reference) in [("configMapRef", config_map), ("secretRef", secret)] {
            let Some(object) = reference else { continue };
            let at = at.field(name);
            match object.as_ref().map_or("", |o| &o.name) {
                "" => faults.required(&at.field("name"), ""),
                object => faults.problems(&at.field("name"), object, names::dns1123_subdomain(object)),
            }
        }
        match (config_map, secret) {
            (None, None) => faults.invalid(&at, "", "must specify one of: `configMapRef` or `secretRef`"),
            (Some(_), Some(_)) => {
                faults.invalid(&at, "", "may not have more than one field specified at a time");
            }
            _ => {}
        }
    }
}

fn mounts(mounts: &[VolumeMount], volumes: &Volumes<'_>, at: &Path<'_>, faults: &mut Faults) {
    let mut taken = HashSet::new();
    for (i, mount) in mounts.iter().enumerate() {
        let at = at.index(i);
        volume_name(&mount.name, volumes, &at.field("name"), faults);
        let path = at.field("mountPath");
        if mount.mount_path.is_empty() {
            faults.required(&path, "");
        } else if !taken.insert(&mount.mount_path) {
            faults.invalid(&path, &mount.mount_path, "must be unique");
        }
        if mount.mount_path.contains(':') {
            faults.invalid(&path, &mount.mount_path, "must not contain ':'");
        }
        if !mount.sub_path.is_empty() {
            super::volume::local_path(&mount.sub_path, &at.field("subPath"), faults);
        }
        if !mount.sub_path_expr.is_empty() {
            let at = at.field("subPathExpr");
            if !mount.sub_path.is_empty() {
                faults.invalid(
                    &at,
                    &mount.sub_path_expr,
                    "subPathExpr and subPath are mutually exclusive",
                );
            }
            super::volume::local_path(&mount.sub_path_expr, &at, faults);
        }
        if let Some(propagation) = &mount.mount_propagation {
            let supported = ["Bidirectional", "HostToContainer", "None"];
            faults.one_of(&at.field("mountPropagation"), propagation, &supported);
        }
        if let Some(recursive) = &mount.recursive_read_only {
            let at = at.field("recursiveReadOnly");
            faults.one_of(&at, recursive, &["Disabled", "Enabled", "IfPossible"]);
            if recursive != "Disabled" && !mount.read_only {
                faults.forbidden(&at, "may only be specified when readOnly is true");
            }
        }
    }
}

fn devices(devices: &[VolumeDevice], volumes: &Volumes<'_>, at: &Path<'_>, faults: &mut Faults) {
    let mut taken = HashSet::new();
    for (i, device) in devices.iter().enumerate() {
        let at = at.index(i);
        volume_name(&device.name, volumes, &at.field("name"), faults);
        let path = at.field("devicePath");
        if device.device_path.is_empty() {
            faults.required(&path, "");
        } else if !taken.insert(&device.device_path) {
            faults.invalid(&path, &device.device_path, "must be unique");
        }
    }
}

fn volume_name(name: &str, volumes: &Volumes<'_>, at: &Path<'_>, faults: &mut Faults) {
    if name.is_empty() {
        faults.required(at, "");
    } else if !volumes.contains(name) {
        faults.not_found(at, name);
    }
}
