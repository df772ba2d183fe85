//! Services and EndpointSlices.

use super::{Defaults, optional, string};
use crate::int_or_string;
use proto::api::core::v1::{ClientIpConfig, Service, ServiceSpec, SessionAffinityConfig};
use proto::api::discovery::v1::EndpointSlice;

/// How long a client sticks to a Pod under `ClientIP` affinity: three hours.
const AFFINITY_SECONDS: i32 = 10_800;

impl Defaults for Service {
    fn set_defaults(&mut self) {
        let spec = self.spec.get_or_insert_default();
        string(&mut spec.session_affinity, "None");
        if spec.session_affinity == "None" {
            spec.session_affinity_config = None;
        } else if spec.session_affinity == "ClientIP" && affinity_seconds(spec).is_none() {
            spec.session_affinity_config = Some(SessionAffinityConfig {
                client_ip: Some(ClientIpConfig {
                    timeout_seconds: Some(AFFINITY_SECONDS),
                }),
            });
        }
        string(&mut spec.r#type, "ClusterIP");
        for port in &mut spec.ports {
            string(&mut port.protocol, "TCP");
            let target = port.target_port.get_or_insert_default();
            if target.int_val == 0 && target.str_val.is_empty() {
                *target = int_or_string::int(port.port);
            }
        }
        let balanced = spec.r#type == "LoadBalancer";
        let external = balanced
            || spec.r#type == "NodePort"
            || (spec.r#type == "ClusterIP" && !spec.external_ips.is_empty());
        if external {
            string(&mut spec.external_traffic_policy, "Cluster");
        }
        if matches!(spec.r#type.as_str(), "ClusterIP" | "NodePort" | "LoadBalancer") {
            optional(&mut spec.internal_traffic_policy, "Cluster");
        }
        if balanced {
            spec.allocate_load_balancer_node_ports.get_or_insert(true);
            let balancer = self.status.as_mut().and_then(|s| s.load_balancer.as_mut());
            for ingress in balancer
                .into_iter()
                .flat_map(|b| &mut b.ingress)
                .filter(|i| !i.ip.is_empty())
            {
                optional(&mut ingress.ip_mode, "VIP");
            }
        }
    }
}

fn affinity_seconds(spec: &ServiceSpec) -> Option<i32> {
    spec.session_affinity_config
        .as_ref()?
        .client_ip
        .as_ref()?
        .timeout_seconds
}

impl Defaults for EndpointSlice {
    fn set_defaults(&mut self) {
        for port in &mut self.ports {
            optional(&mut port.name, "");
            optional(&mut port.protocol, "TCP");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::api::core::v1::ServicePort;

    fn defaulted(spec: ServiceSpec) -> ServiceSpec {
        let mut service = Service {
            spec: Some(spec),
            ..Service::default()
        };
        service.set_defaults();
        service.spec.unwrap()
    }

    #[test]
    fn a_services_port_leads_to_the_same_port_unless_it_says_otherwise() {
        let port = |target| ServicePort {
            port: 80,
            target_port: target,
            ..ServicePort::default()
        };
        let ports = vec![port(None), port(Some(int_or_string::string("http")))];
        let spec = defaulted(ServiceSpec {
            ports,
            ..ServiceSpec::default()
        });
        assert_eq!(spec.r#type, "ClusterIP");
        assert_eq!(spec.ports[0].target_port, Some(int_or_string::int(80)));
        assert_eq!(spec.ports[1].target_port, Some(int_or_string::string("http")));
        assert_eq!(spec.ports[0].protocol, "TCP");
        assert_eq!(spec.external_traffic_policy, "");
        assert_eq!(spec.internal_traffic_policy.as_deref(), Some("Cluster"));
    }

    #[test]
    fn types_and_affinities_have_defaults_of_their_own() {
        let spec = defaulted(ServiceSpec {
            r#type: "LoadBalancer".into(),
            session_affinity: "ClientIP".into(),
            ..ServiceSpec::default()
        });
        assert_eq!(affinity_seconds(&spec), Some(10_800));
        assert_eq!(spec.allocate_load_balancer_node_ports, Some(true));
        assert_eq!(spec.external_traffic_policy, "Cluster");
        let spec = defaulted(ServiceSpec {
            r#type: "ExternalName".into(),
            ..ServiceSpec::default()
        });
        assert_eq!(spec.internal_traffic_policy, None);
    }
}
