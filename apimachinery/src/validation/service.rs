//! Services and EndpointSlices.

use super::probe::port;
use super::{Faults, Validate, labels};
use crate::names;
use crate::path::Path;
use proto::IntOrString;
use proto::api::core::v1::{Service, ServiceSpec};
use proto::api::discovery::v1::EndpointSlice;
use std::collections::HashSet;

/// A Service without a virtual address of its own.
const HEADLESS: &str = "None";
/// The longest `ClientIP` affinity: a day.
const MAX_AFFINITY_SECONDS: i32 = 86_400;

impl Validate for Service {
    fn validate(&self, faults: &mut Faults) {
        let empty = ServiceSpec::default();
        let spec = self.spec.as_ref().unwrap_or(&empty);
        let at = Path::ROOT.field("spec");
        let types = ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"];
        faults.one_of(&at.field("type"), &spec.r#type, &types);
        if spec.r#type == "ExternalName" {
            let name = spec.external_name.trim_end_matches('.');
            if name.is_empty() {
                faults.required(&at.field("externalName"), "");
            } else {
                faults.problems(&at.field("externalName"), name, names::dns1123_subdomain(name));
            }
            if !spec.cluster_ip.is_empty() && spec.cluster_ip != HEADLESS {
                faults.forbidden(&at.field("clusterIP"), "may not be set for ExternalName services");
            }
        } else if spec.ports.is_empty() && spec.cluster_ip != HEADLESS {
            faults.required(&at.field("ports"), "");
        }
        if spec.r#type == "LoadBalancer" && spec.cluster_ip == HEADLESS {
            faults.invalid(
                &at.field("clusterIP"),
                HEADLESS,
                "may not be set to 'None' for LoadBalancer services",
            );
        }
        ports(spec, &at.field("ports"), faults);
        labels::labels(&spec.selector, &at.field("selector"), faults);
        faults.one_of(
            &at.field("sessionAffinity"),
            &spec.session_affinity,
            &["ClientIP", "None"],
        );
        let timeout = spec
            .session_affinity_config
            .as_ref()
            .and_then(|c| c.client_ip.as_ref()?.timeout_seconds);
        if let Some(seconds) = timeout
            && !(1..=MAX_AFFINITY_SECONDS).contains(&seconds)
        {
            let detail = format!("must be greater than 0 and less than {MAX_AFFINITY_SECONDS}");
            faults.invalid(
                &at.field("sessionAffinityConfig.clientIP.timeoutSeconds"),
                seconds,
                &detail,
            );
        }
        if !spec.cluster_ip.is_empty() && spec.cluster_ip != HEADLESS {
            address(&spec.cluster_ip, &at.field("clusterIP"), faults);
        }
        let external = at.field("externalIPs");
        for (i, ip) in spec.external_ips.iter().enumerate() {
            address(ip, &external.index(i), faults);
        }
        faults.one_of_or_empty(
            &at.field("externalTrafficPolicy"),
            &spec.external_traffic_policy,
            &["Cluster", "Local"],
        );
        if let Some(policy) = &spec.internal_traffic_policy {
            faults.one_of(&at.field("internalTrafficPolicy"), policy, &["Cluster", "Local"]);
        }
    }

    fn validate_update(&self, old: &Self, faults: &mut Faults) {
        self.validate(faults);
        let (Some(old), Some(new)) = (&old.spec, &self.spec) else {
            return;
        };
        // A Service that stops or starts being a mere name loses or gets its address.
        if old.r#type != "ExternalName" && new.r#type != "ExternalName" && !old.cluster_ip.is_empty() {
            let at = Path::ROOT.field("spec.clusterIP");
            faults.immutable(&at, &old.cluster_ip, &new.cluster_ip, &new.cluster_ip);
        }
    }
}

fn address(ip: &str, at: &Path<'_>, faults: &mut Faults) {
    if ip.parse::<std::net::IpAddr>().is_err() {
        faults.invalid(
            at,
            ip,
            "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)",
        );
    }
}

fn ports(spec: &ServiceSpec, at: &Path<'_>, faults: &mut Faults) {
    let (mut taken_names, mut taken, mut node_ports) = (HashSet::new(), HashSet::new(), HashSet::new());
    for (i, one) in spec.ports.iter().enumerate() {
        let at = at.index(i);
        let name = at.field("name");
        if !one.name.is_empty() {
            faults.problems(&name, &one.name, names::dns1123_label(&one.name));
            if !taken_names.insert(&one.name) {
                faults.duplicate(&name, &one.name);
            }
        } else if spec.ports.len() > 1 {
            faults.required(&name, "");
        }
        for problem in names::port_number(one.port.into()) {
            faults.invalid(&at.field("port"), one.port, &problem);
        }
        faults.one_of(&at.field("protocol"), &one.protocol, &["SCTP", "TCP", "UDP"]);
        let target = one.target_port.clone().unwrap_or_else(IntOrString::default);
        port(&target, &at.field("targetPort"), faults);
        if !taken.insert((&one.protocol, one.port)) {
            faults.duplicate(&at, format!("{}/{}", one.protocol, one.port));
        }
        if one.node_port != 0 {
            let at = at.field("nodePort");
            if matches!(spec.r#type.as_str(), "ClusterIP" | "ExternalName") {
                faults.forbidden(&at, &format!("may not be used when `type` is '{}'", spec.r#type));
            }
            for problem in names::port_number(one.node_port.into()) {
                faults.invalid(&at, one.node_port, &problem);
            }
            if !node_ports.insert((&one.protocol, one.node_port)) {
                faults.duplicate(&at, one.node_port);
            }
        }
    }
}

impl Validate for EndpointSlice {
    fn validate(&self, faults: &mut Faults) {
        let types = ["FQDN", "IPv4", "IPv6"];
        faults.one_of(&Path::ROOT.field("addressType"), &self.address_type, &types);
        let endpoints = Path::ROOT.field("endpoints");
        for (i, endpoint) in self.endpoints.iter().enumerate() {
            if endpoint.addresses.is_empty() {
                let at = endpoints.index(i);
                faults.required(&at.field("addresses"), "must contain at least 1 address");
            }
        }
    }

    fn validate_update(&self, old: &Self, faults: &mut Faults) {
        self.validate(faults);
        let at = Path::ROOT.field("addressType");
        faults.immutable(&at, &old.address_type, &self.address_type, &self.address_type);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::defaults::Defaults;
    use proto::api::core::v1::ServicePort;

    fn service() -> Service {
        let port = |name: &str, port| ServicePort {
            name: name.into(),
            port,
            ..ServicePort::default()
        };
        let spec = ServiceSpec {
            ports: vec![port("http", 80), port("https", 443)],
            ..ServiceSpec::default()
        };
        let mut service = Service {
            spec: Some(spec),
            ..Service::default()
        };
        service.set_defaults();
        service
    }

    #[test]
    fn a_service_that_breaks_a_rule_is_named_by_its_path() {
        let cases: Vec<(fn(&mut ServiceSpec), &[&str])> = vec![
            (|_| {}, &[]),
            (|s| s.ports.clear(), &["spec.ports"]),
            (
                |s| {
                    s.ports.clear();
                    s.cluster_ip = "None".into();
                },
                &[],
            ),
            (|s| s.ports[0].name.clear(), &["spec.ports[0].name"]),
            (|s| s.ports[1].name = "http".into(), &["spec.ports[1].name"]),
            (|s| s.ports[0].port = 0, &["spec.ports[0].port"]),
            (|s| s.ports[1].port = 80, &["spec.ports[1]"]),
            (
                |s| s.ports[0].protocol = "ICMP".into(),
                &["spec.ports[0].protocol"],
            ),
            (|s| s.ports[0].node_port = 30080, &["spec.ports[0].nodePort"]),
            (|s| s.r#type = "Magic".into(), &["spec.type"]),
            (|s| s.r#type = "ExternalName".into(), &["spec.externalName"]),
            (
                |s| s.session_affinity = "Cookie".into(),
                &["spec.sessionAffinity"],
            ),
            (|s| s.cluster_ip = "here".into(), &["spec.clusterIP"]),
        ];
        for (spoil, expected) in cases {
            let mut spoilt = service();
            spoil(spoilt.spec.as_mut().unwrap());
            let mut faults = Faults::default();
            spoilt.validate(&mut faults);
            let fields: Vec<_> = faults.into_vec().into_iter().map(|f| f.field).collect();
            assert_eq!(fields, expected);
        }
    }

    #[test]
    fn an_address_once_given_stays() {
        let mut old = service();
        old.spec.as_mut().unwrap().cluster_ip = "10.0.0.1".into();
        let mut new = old.clone();
        new.spec.as_mut().unwrap().cluster_ip = "10.0.0.2".into();
        let mut faults = Faults::default();
        new.validate_update(&old, &mut faults);
        assert_eq!(faults.into_vec()[0].field, "spec.clusterIP");
    }
}
