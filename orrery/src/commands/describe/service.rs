//! A Service: its addresses and ports.

use super::page::Page;
use apimachinery::int_or_string;
use apimachinery::printers::text::{or_none, set};
use proto::Kind;
use proto::api::core::v1::Service;

pub(super) fn sections(service: &Service, page: &mut Page) {
    let (meta, spec) = (service.meta(), service.spec.clone().unwrap_or_default());
    page.field(0, "Name", &meta.name);
    page.field(0, "Namespace", &meta.namespace);
    page.labels(0, "Labels", &meta.labels);
    page.annotations(0, &meta.annotations);
    page.field(0, "Selector", set(&spec.selector));
    page.field(0, "Type", &spec.r#type);
    page.some(0, "IP Family Policy", spec.ip_family_policy.unwrap_or_default());
    page.some(0, "IP Families", spec.ip_families.join(","));
    page.field(0, "IP", or_none(&spec.cluster_ip));
    page.field(0, "IPs", or_none(&spec.cluster_ips.join(",")));
    page.some(0, "External IPs", spec.external_ips.join(","));
    page.some(0, "External Name", &spec.external_name);
    for port in &spec.ports {
        let name = or_none(&port.name).replace("<none>", "<unset>");
        page.cells(0, &["Port:", &name, &format!("{}/{}", port.port, port.protocol)]);
        let target = port
            .target_port
            .as_ref()
            .map(int_or_string::display)
            .unwrap_or_default();
        page.field(0, "TargetPort", format!("{target}/{}", port.protocol));
        if port.node_port > 0 {
            page.cells(
                0,
                &[
                    "NodePort:",
                    &name,
                    &format!("{}/{}", port.node_port, port.protocol),
                ],
            );
        }
    }
    page.some(0, "Session Affinity", &spec.session_affinity);
    page.some(
        0,
        "Internal Traffic Policy",
        spec.internal_traffic_policy.unwrap_or_default(),
    );
}
