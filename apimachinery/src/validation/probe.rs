//! Probes and lifecycle hooks of containers.

use super::Faults;
use crate::int_or_string;
use crate::names;
use crate::path::Path;
use proto::IntOrString;
use proto::api::core::v1::{
    ExecAction, HttpGetAction, Lifecycle, LifecycleHandler, Probe, ProbeHandler, TcpSocketAction,
};

/// A container's probes.
pub(super) struct Probes<'a> {
    pub(super) liveness: Option<&'a Probe>,
    pub(super) readiness: Option<&'a Probe>,
    pub(super) startup: Option<&'a Probe>,
}

/// A container's probes. One that `ends` may have none.
pub(super) fn probes(probes: &Probes<'_>, ends: bool, at: &Path<'_>, faults: &mut Faults) {
    for (name, one, readiness) in [
        ("livenessProbe", probes.liveness, false),
        ("readinessProbe", probes.readiness, true),
        ("startupProbe", probes.startup, false),
    ] {
        let Some(one) = one else { continue };
        let at = at.field(name);
        if ends {
            faults.forbidden(
                &at,
                "may not be set for init containers without restartPolicy=Always",
            );
            continue;
        }
        probe(one, &at, faults);
        if readiness {
            if one.termination_grace_period_seconds.is_some() {
                let detail = "must not be set for readinessProbes";
                let grace = one.termination_grace_period_seconds.unwrap_or(0);
                faults.invalid(&at.field("terminationGracePeriodSeconds"), grace, detail);
            }
        } else if one.success_threshold != 1 {
            faults.invalid(&at.field("successThreshold"), one.success_threshold, "must be 1");
        }
    }
}

fn probe(probe: &Probe, at: &Path<'_>, faults: &mut Faults) {
    let empty = ProbeHandler::default();
    let handler = probe.handler.as_ref().unwrap_or(&empty);
    let mut handlers = Handlers::default();
    handlers.exec(handler.exec.as_ref(), at, faults);
    handlers.http_get(handler.http_get.as_ref(), at, faults);
    handlers.tcp_socket(handler.tcp_socket.as_ref(), at, faults);
    if let Some(grpc) = &handler.grpc
        && handlers.first("grpc", at, faults)
    {
        port(
            &int_or_string::int(grpc.port),
            &at.field("grpc").field("port"),
            faults,
        );
    }
    handlers.finish(at, faults);
    for (name, value) in [
        ("initialDelaySeconds", probe.initial_delay_seconds),
        ("timeoutSeconds", probe.timeout_seconds),
        ("periodSeconds", probe.period_seconds),
        ("successThreshold", probe.success_threshold),
        ("failureThreshold", probe.failure_threshold),
    ] {
        faults.non_negative(&at.field(name), value);
    }
    if let Some(grace) = probe.termination_grace_period_seconds
        && grace <= 0
    {
        faults.invalid(
            &at.field("terminationGracePeriodSeconds"),
            grace,
            "must be greater than 0",
        );
    }
}

/// What a container does when it has started and before it is stopped.
pub(super) fn lifecycle(hooks: &Lifecycle, at: &Path<'_>, faults: &mut Faults) {
    for (name, handler) in [("postStart", &hooks.post_start), ("preStop", &hooks.pre_stop)] {
        if let Some(handler) = handler {
            hook(handler, &at.field(name), faults);
        }
    }
}

fn hook(handler: &LifecycleHandler, at: &Path<'_>, faults: &mut Faults) {
    let mut handlers = Handlers::default();
    handlers.exec(handler.exec.as_ref(), at, faults);
    handlers.http_get(handler.http_get.as_ref(), at, faults);
    handlers.tcp_socket(handler.tcp_socket.as_ref(), at, faults);
    if let Some(sleep) = &handler.sleep
        && handlers.first("sleep", at, faults)
    {
        faults.non_negative(&at.field("sleep").field("seconds"), sleep.seconds);
    }
    handlers.finish(at, faults);
}

/// Counts handlers: exactly one must be there.
#[derive(Default)]
struct Handlers(usize);

impl Handlers {
    fn first(&mut self, name: &str, at: &Path<'_>, faults: &mut Faults) -> bool {
        self.0 += 1;
        if self.0 > 1 {
            faults.forbidden(&at.field(name), "may not specify more than 1 handler type");
        }
        self.0 == 1
    }

    fn finish(self, at: &Path<'_>, faults: &mut Faults) {
        if self.0 == 0 {
            faults.required(at, "must specify a handler type");
        }
    }

    fn exec(&mut self, exec: Option<&ExecAction>, at: &Path<'_>, faults: &mut Faults) {
        if let Some(exec) = exec
            && self.first("exec", at, faults)
            && exec.command.is_empty()
        {
            faults.required(&at.field("exec").field("command"), "");
        }
    }

    fn http_get(&mut self, get: Option<&HttpGetAction>, at: &Path<'_>, faults: &mut Faults) {
        let Some(get) = get else { return };
        if !self.first("httpGet", at, faults) {
            return;
        }
        let at = at.field("httpGet");
        if get.path.is_empty() {
            faults.required(&at.field("path"), "");
        }
        port(
            get.port.as_ref().unwrap_or(&IntOrString::default()),
            &at.field("port"),
            faults,
        );
        faults.one_of(&at.field("scheme"), &get.scheme, &["HTTP", "HTTPS"]);
        let headers = at.field("httpHeaders");
        for (i, header) in get.http_headers.iter().enumerate() {
            let good = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
            if header.name.is_empty() || !header.name.bytes().all(good) {
                let at = headers.index(i);
                faults.invalid(
                    &at.field("name"),
                    &header.name,
                    "a valid HTTP header name is a token of RFC 9110",
                );
            }
        }
    }

    fn tcp_socket(&mut self, socket: Option<&TcpSocketAction>, at: &Path<'_>, faults: &mut Faults) {
        if let Some(socket) = socket
            && self.first("tcpSocket", at, faults)
        {
            let at = at.field("tcpSocket");
            port(
                socket.port.as_ref().unwrap_or(&IntOrString::default()),
                &at.field("port"),
                faults,
            );
        }
    }
}

/// A port's number, or the name of one.
pub(super) fn port(port: &IntOrString, at: &Path<'_>, faults: &mut Faults) {
    match int_or_string::as_string(port) {
        Some(name) => faults.problems(at, name, names::port_name(name)),
        None => {
            for problem in names::port_number(port.int_val.into()) {
                faults.invalid(at, port.int_val, &problem);
            }
        }
    }
}
