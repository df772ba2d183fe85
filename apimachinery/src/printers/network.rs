//! Services and the addresses behind them.

use super::cell::{AGE, Cell, Column, NAME, SELECTOR, row};
use super::text::{age, or_none, set};
use jiff::Timestamp;
use proto::Kind;
use proto::api::core::v1::{Service, ServiceSpec};
use proto::api::discovery::v1::EndpointSlice;

pub(super) const SERVICES: &[Column] = &[
    NAME,
    Column::text("Type", "From where it can be reached."),
    Column::text("Cluster-IP", "Address within the cluster."),
    Column::text("External-IP", "Addresses outside of the cluster."),
    Column::text("Port(s)", "Its ports, and those of the nodes that lead to them."),
    AGE,
    SELECTOR,
];

pub(super) fn service(object: &Service, now: Timestamp) -> Vec<Cell> {
    let spec = object.spec.clone().unwrap_or_default();
    row![
        object.name(),
        spec.r#type.clone(),
        or_none(&spec.cluster_ip),
        or_none(&external(object, &spec)),
        or_none(&ports(&spec)),
        age(object.meta().creation_timestamp.as_ref(), now),
        set(&spec.selector),
    ]
}

fn external(object: &Service, spec: &ServiceSpec) -> String {
    if spec.r#type == "ExternalName" {
        return spec.external_name.clone();
    }
    let mut addresses = spec.external_ips.clone();
    if spec.r#type == "LoadBalancer" {
        let balancer = object
            .status
            .as_ref()
            .and_then(|status| status.load_balancer.as_ref());
        for ingress in balancer.map_or(&[][..], |balancer| &balancer.ingress) {
            let address = if ingress.ip.is_empty() {
                &ingress.hostname
            } else {
                &ingress.ip
            };
            addresses.push(address.clone());
        }
        if addresses.is_empty() {
            return "<pending>".into();
        }
    }
    addresses.join(",")
}

fn ports(spec: &ServiceSpec) -> String {
    let ports = spec.ports.iter().map(|port| match port.node_port {
        0 => format!("{}/{}", port.port, port.protocol),
        node => format!("{}:{node}/{}", port.port, port.protocol),
    });
    ports.collect::<Vec<_>>().join(",")
}

pub(super) const ENDPOINT_SLICES: &[Column] = &[
    NAME,
    Column::text("AddressType", "IPv4, IPv6 or FQDN."),
    Column::text("Ports", "Ports of the endpoints."),
    Column::text("Endpoints", "Addresses of the endpoints."),
    AGE,
];

/// How many ports or addresses a cell names before it only counts the rest.
const NAMED: usize = 3;

pub(super) fn endpoint_slice(object: &EndpointSlice, now: Timestamp) -> Vec<Cell> {
    let ports = object
        .ports
        .iter()
        .map(|port| port.port.map_or_else(|| "*".into(), |port| port.to_string()));
    let addresses = object
        .endpoints
        .iter()
        .flat_map(|endpoint| endpoint.addresses.iter().cloned());
    row![
        object.name(),
        object.address_type.clone(),
        shorten(ports, "<unset>"),
        shorten(addresses, "<unset>"),
        age(object.meta().creation_timestamp.as_ref(), now),
    ]
}

fn shorten(words: impl Iterator<Item = String>, absent: &str) -> String {
    let words: Vec<String> = words.collect();
    match words.len() {
        0 => absent.into(),
        len if len > NAMED => format!("{} + {} more...", words[..NAMED].join(","), len - NAMED),
        _ => words.join(","),
    }
}
