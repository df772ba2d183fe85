//! A Pod: where it runs, and the state of each of its containers.

use super::page::{Page, moment};
use apimachinery::int_or_string;
use apimachinery::owner::controller_of;
use apimachinery::printers::pod::summary;
use apimachinery::printers::text::{duration, or_none, set};
use jiff::Timestamp;
use proto::Kind;
use proto::api::core::v1::{Container, ContainerState, ContainerStatus, Pod, PodSpec, Probe, Toleration};

pub(super) fn sections(pod: &Pod, page: &mut Page, now: Timestamp) {
    let (meta, spec) = (pod.meta(), pod.spec.clone().unwrap_or_default());
    let status = pod.status.clone().unwrap_or_default();
    page.field(0, "Name", &meta.name);
    page.field(0, "Namespace", &meta.namespace);
    page.field(0, "Priority", spec.priority.unwrap_or(0).to_string());
    page.some(0, "Priority Class Name", &spec.priority_class_name);
    page.some(0, "Service Account", &spec.service_account_name);
    let host = if status.host_ip.is_empty() {
        String::new()
    } else {
        format!("/{}", status.host_ip)
    };
    page.field(0, "Node", or_none(&format!("{}{host}", spec.node_name)));
    page.some(0, "Start Time", moment(status.start_time.as_ref()));
    page.labels(0, "Labels", &meta.labels);
    page.annotations(0, &meta.annotations);
    match &meta.deletion_timestamp {
        Some(time) => {
            let lasts = duration(now.as_second() - time.seconds);
            page.field(0, "Status", format!("Terminating (lasts {lasts})"));
            let grace = meta.deletion_grace_period_seconds.unwrap_or(0);
            page.field(0, "Termination Grace Period", format!("{grace}s"));
        }
        None => page.field(0, "Status", &status.phase),
    }
    let shown = summary(pod).status;
    if meta.deletion_timestamp.is_none() && shown != status.phase {
        page.some(0, "Reason", shown);
    }
    page.some(0, "Message", &status.message);
    page.field(0, "IP", &status.pod_ip);
    page.list(0, "IPs", status.pod_ips.iter().map(|address| address.ip.clone()));
    if let Some(owner) = controller_of(meta) {
        page.field(0, "Controlled By", format!("{}/{}", owner.kind, owner.name));
    }
    page.some(0, "Nominated Node", &status.nominated_node_name);
    containers(
        0,
        "Init Containers",
        &spec.init_containers,
        &status.init_container_statuses,
        page,
    );
    containers(
        0,
        "Containers",
        &spec.containers,
        &status.container_statuses,
        page,
    );
    if !status.conditions.is_empty() {
        page.head(0, "Conditions");
        page.cells(1, &["Type", "Status", "Reason"]);
        for condition in &status.conditions {
            page.cells(1, &[&condition.r#type, &condition.status, &condition.reason]);
        }
    }
    volumes(0, &spec, page);
    page.some(0, "QoS Class", &status.qos_class);
    placement(0, &spec, page);
}

/// The containers of a Pod, or of a template, which has no `statuses`.
pub(super) fn containers(
    level: usize,
    title: &str,
    containers: &[Container],
    statuses: &[ContainerStatus],
    page: &mut Page,
) {
    if containers.is_empty() {
        return;
    }
    page.head(level, title);
    for container in containers {
        page.head(level + 1, &container.name);
        let status = statuses.iter().find(|status| status.name == container.name);
        one(level + 2, container, status, page);
    }
}

fn one(level: usize, container: &Container, status: Option<&ContainerStatus>, page: &mut Page) {
    page.some(
        level,
        "Container ID",
        status.map_or("", |status| &status.container_id),
    );
    page.field(level, "Image", &container.image);
    page.some(level, "Image ID", status.map_or("", |status| &status.image_id));
    let ports = |of: fn(&proto::api::core::v1::ContainerPort) -> i32| {
        let ports = container
            .ports
            .iter()
            .map(|port| format!("{}/{}", of(port), port.protocol));
        or_none(&ports.collect::<Vec<_>>().join(", "))
    };
    page.field(level, "Port", ports(|port| port.container_port));
    page.field(level, "Host Port", ports(|port| port.host_port));
    if !container.command.is_empty() {
        page.list(level, "Command", container.command.iter().cloned());
    }
    if !container.args.is_empty() {
        page.list(level, "Args", container.args.iter().cloned());
    }
    if let Some(status) = status {
        state(level, "State", status.state.as_ref(), page);
        if status
            .last_state
            .as_ref()
            .is_some_and(|last| *last != ContainerState::default())
        {
            state(level, "Last State", status.last_state.as_ref(), page);
        }
        page.field(level, "Ready", if status.ready { "True" } else { "False" });
        page.field(level, "Restart Count", status.restart_count.to_string());
    }
    let resources = container.resources.clone().unwrap_or_default();
    page.amounts(level, "Limits", &resources.limits);
    page.amounts(level, "Requests", &resources.requests);
    for (name, checks) in [
        ("Liveness", &container.liveness_probe),
        ("Readiness", &container.readiness_probe),
        ("Startup", &container.startup_probe),
    ] {
        if let Some(checks) = checks {
            page.field(level, name, probe(checks));
        }
    }
    let env = container.env.iter().map(|variable| match &variable.value_from {
        Some(_) => format!("{} (from elsewhere)", variable.name),
        None => format!("{}: {}", variable.name, variable.value),
    });
    page.list(level, "Environment", env);
    let mounts = container.volume_mounts.iter().map(|mount| {
        let mode = if mount.read_only { "ro" } else { "rw" };
        format!("{} from {} ({mode})", mount.mount_path, mount.name)
    });
    page.list(level, "Mounts", mounts);
}

fn state(level: usize, title: &str, state: Option<&ContainerState>, page: &mut Page) {
    let state = state.cloned().unwrap_or_default();
    if let Some(running) = state.running {
        page.field(level, title, "Running");
        page.field(level + 1, "Started", moment(running.started_at.as_ref()));
    } else if let Some(ended) = state.terminated {
        page.field(level, title, "Terminated");
        page.some(level + 1, "Reason", ended.reason);
        page.some(level + 1, "Message", ended.message);
        page.field(level + 1, "Exit Code", ended.exit_code.to_string());
        page.some(level + 1, "Started", moment(ended.started_at.as_ref()));
        page.field(level + 1, "Finished", moment(ended.finished_at.as_ref()));
    } else {
        page.field(level, title, "Waiting");
        let waiting = state.waiting.unwrap_or_default();
        page.some(level + 1, "Reason", waiting.reason);
    }
}

/// `http-get http://:80/ delay=0s timeout=1s period=10s #success=1 #failure=3`.
fn probe(probe: &Probe) -> String {
    let handler = probe.handler.clone().unwrap_or_default();
    let port = |port: Option<&proto::IntOrString>| port.map(int_or_string::display).unwrap_or_default();
    let how = if let Some(get) = handler.http_get {
        let scheme = get.scheme.to_lowercase();
        format!(
            "http-get {scheme}://{}:{}{}",
            get.host,
            port(get.port.as_ref()),
            get.path
        )
    } else if let Some(exec) = handler.exec {
        format!("exec [{}]", exec.command.join(" "))
    } else if let Some(tcp) = handler.tcp_socket {
        format!("tcp-socket {}:{}", tcp.host, port(tcp.port.as_ref()))
    } else if let Some(grpc) = handler.grpc {
        format!("grpc <pod>:{} {}", grpc.port, grpc.service.unwrap_or_default())
    } else {
        "unknown".into()
    };
    format!(
        "{how} delay={}s timeout={}s period={}s #success={} #failure={}",
        probe.initial_delay_seconds,
        probe.timeout_seconds,
        probe.period_seconds,
        probe.success_threshold,
        probe.failure_threshold
    )
}

pub(super) fn volumes(level: usize, spec: &PodSpec, page: &mut Page) {
    page.list(
        level,
        "Volumes",
        spec.volumes.iter().map(|volume| volume.name.clone()),
    );
}

/// What restricts where a Pod may run.
pub(super) fn placement(level: usize, spec: &PodSpec, page: &mut Page) {
    page.field(level, "Node-Selectors", set(&spec.node_selector));
    page.list(level, "Tolerations", spec.tolerations.iter().map(toleration));
}

fn toleration(toleration: &Toleration) -> String {
    let mut text = toleration.key.clone();
    if !toleration.value.is_empty() {
        text += &format!("={}", toleration.value);
    }
    if !toleration.effect.is_empty() {
        text += &format!(":{}", toleration.effect);
    }
    if toleration.operator == "Exists" {
        text += " op=Exists";
    }
    if let Some(seconds) = toleration.toleration_seconds {
        text += &format!(" for {seconds}s");
    }
    text.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use apimachinery::json::{self, Unknown};
    use proto::Object;

    #[test]
    fn a_pod_is_described_with_the_state_of_its_containers() {
        let manifest = "apiVersion: v1
kind: Pod
metadata: {name: web, namespace: shop, labels: {app: web, tier: front}}
spec:
  nodeName: node-1
  containers:
  - name: web
    image: web:1
    ports: [{containerPort: 80, protocol: TCP}]
    resources: {requests: {cpu: 100m}}
    readinessProbe: {httpGet: {path: /ok, port: 80, scheme: HTTP}, periodSeconds: 1, timeoutSeconds: 1, successThreshold: 1, failureThreshold: 3}
  tolerations: [{key: node.kubernetes.io/not-ready, operator: Exists, effect: NoExecute, tolerationSeconds: 300}]
status:
  phase: Running
  hostIP: 172.16.0.1
  podIP: 10.0.0.2
  podIPs: [{ip: 10.0.0.2}]
  qosClass: Burstable
  conditions: [{type: Ready, status: 'False', reason: ContainersNotReady}]
  containerStatuses:
  - name: web
    image: web:1
    imageID: ''
    ready: false
    restartCount: 1
    state: {waiting: {reason: CrashLoopBackOff}}
    lastState: {terminated: {exitCode: 1, reason: Error, finishedAt: '2026-01-01T00:00:00Z'}}
";
        let document = json::yaml::documents(manifest).next().unwrap().unwrap();
        let decoded = document.decode(Unknown::Strict).unwrap();
        let object = Object {
            number: decoded.number,
            bytes: decoded.bytes,
        };
        let mut page = Page::default();
        let now = "2026-01-01T00:10:00Z".parse().unwrap();
        sections(&object.decode_as().unwrap(), &mut page, now);
        insta::assert_snapshot!(page.finish(), @r"
        Name:         web
        Namespace:    shop
        Priority:     0
        Node:         node-1/172.16.0.1
        Labels:       app=web
                      tier=front
        Annotations:  <none>
        Status:       Running
        Reason:       CrashLoopBackOff
        IP:           10.0.0.2
        IPs:          10.0.0.2
        Containers:
          web:
            Image:          web:1
            Port:           80/TCP
            Host Port:      0/TCP
            State:          Waiting
              Reason:       CrashLoopBackOff
            Last State:     Terminated
              Reason:       Error
              Exit Code:    1
              Finished:     Thu, 01 Jan 2026 00:00:00 +0000
            Ready:          False
            Restart Count:  1
            Requests:
              cpu:        100m
            Readiness:    http-get http://:80/ok delay=0s timeout=1s period=1s #success=1 #failure=3
            Environment:  <none>
            Mounts:       <none>
        Conditions:
          Type           Status  Reason
          Ready          False   ContainersNotReady
        Volumes:         <none>
        QoS Class:       Burstable
        Node-Selectors:  <none>
        Tolerations:     node.kubernetes.io/not-ready:NoExecute op=Exists for 300s
        ");
    }
}
