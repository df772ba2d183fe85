//! [`HostPort`] and [`UsedPorts`]: the ports that Pods open on a node itself.

use proto::api::core::v1::ContainerPort;
use std::collections::BTreeMap;

/// The address that stands for all of a node's addresses.
const ANY: &str = "0.0.0.0";

/// A port on a node's own address.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HostPort {
    /// The number.
    pub port: u16,
    /// `TCP`, `UDP` or `SCTP`.
    pub protocol: String,
    /// One of the node's addresses; empty for all.
    pub ip: String,
}

impl HostPort {
    /// Reads a container's port that has a `hostPort`.
    pub(crate) fn of(port: &ContainerPort) -> Self {
        let protocol = if port.protocol.is_empty() {
            "TCP"
        } else {
            &port.protocol
        };
        Self {
            port: u16::try_from(port.host_port).unwrap_or(0),
            protocol: protocol.into(),
            ip: if port.host_ip == ANY {
                String::new()
            } else {
                port.host_ip.clone()
            },
        }
    }

    /// Whether only one of two Pods can have its port on a node.
    pub fn conflicts(&self, other: &Self) -> bool {
        self.port == other.port
            && self.protocol == other.protocol
            && (self.ip == other.ip || self.ip.is_empty() || other.ip.is_empty())
    }
}

/// The ports in use on a node. Two Pods may have one port, when somebody else than a scheduler placed them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UsedPorts(BTreeMap<HostPort, u32>);

impl UsedPorts {
    /// Whether all of `wanted` are free.
    pub fn are_free(&self, wanted: &[HostPort]) -> bool {
        self.0.is_empty()
            || wanted
                .iter()
                .all(|port| !self.0.keys().any(|used| used.conflicts(port)))
    }

    pub(super) fn take(&mut self, ports: &[HostPort]) {
        for port in ports {
            *self.0.entry(port.clone()).or_default() += 1;
        }
    }

    pub(super) fn give_back(&mut self, ports: &[HostPort]) {
        for port in ports {
            if let Some(users) = self.0.get_mut(port) {
                *users -= 1;
                if *users == 0 {
                    self.0.remove(port);
                }
            }
        }
    }
}
