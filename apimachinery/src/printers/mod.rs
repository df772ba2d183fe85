//! The columns that kubectl prints for each kind, a file a family of kinds.
//!
//! In: an encoded object and the time. Out: its cells. Pure, and shared by the server, which answers with Tables, and the
//! command line. A kind is a row in [`layout`], a list of columns and a function from the object to as many cells; the
//! columns of custom kinds are paths ([`Layout::custom`]). <https://kubernetes.io/docs/reference/kubectl/#output-options>

mod autoscaling;
mod batch;
mod cell;
pub mod cluster;
mod config;
mod csi;
mod custom;
mod network;
pub mod node;
pub mod pod;
mod storage;
pub mod text;
mod workload;

pub use cell::{Cell, Column};
pub use custom::PathColumn;

use crate::json::{self, Faults};
use custom::Paths;
use jiff::Timestamp;
use prost::DecodeError;
use proto::api::{
    apps, autoscaling as scaling, batch as jobs, coordination, core, discovery, policy, scheduling,
    storage as classes,
};
use proto::apiextensions::v1::{CustomResourceColumnDefinition, CustomResourceDefinition};
use proto::{Kind, Object, gangs};
use std::borrow::Cow;

/// The columns of a kind, and how an object fills them.
#[derive(Clone, Debug)]
pub struct Layout {
    columns: Cow<'static, [Column]>,
    cells: Cells,
}

/// How an object fills its columns.
#[derive(Clone, Debug)]
enum Cells {
    /// By what its kind is.
    Kind(fn(&Object, Timestamp) -> Result<Vec<Cell>, DecodeError>),
    /// By paths into its JSON.
    Paths(Paths),
}

impl Layout {
    /// The layout of a custom kind: what its definition asks for, or the age.
    pub fn custom(columns: Vec<PathColumn>) -> Self {
        let paths = Paths::new(columns);
        Self {
            columns: paths.columns().into(),
            cells: Cells::Paths(paths),
        }
    }

    /// The layout of one version of a custom kind.
    pub fn of_version(columns: &[CustomResourceColumnDefinition]) -> Self {
        Self::custom(columns.iter().map(PathColumn::from).collect())
    }

    /// The columns.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// One object's cells, as many as there are columns.
    ///
    /// # Errors
    /// The object is of another kind, or its bytes do not decode.
    pub fn cells(&self, object: &Object, now: Timestamp) -> Result<Vec<Cell>, CellsError> {
        match &self.cells {
            Cells::Kind(cells) => Ok(cells(object, now)?),
            Cells::Paths(paths) => {
                let value = json::to_value(object.number, &object.bytes).map_err(Faults::from)?;
                Ok(paths.cells(&value, now))
            }
        }
    }

    /// The headers as people see them, all or those that are shown without `-o wide`.
    pub fn headers(&self, wide: bool) -> Vec<String> {
        let shown = self
            .columns
            .iter()
            .filter(|column| wide || column.is_always_shown());
        shown.map(|column| column.name.to_uppercase()).collect()
    }

    /// One object's cells as people see them, all or those that are shown without `-o wide`.
    ///
    /// # Errors
    /// As [`Layout::cells`].
    pub fn row(&self, object: &Object, now: Timestamp, wide: bool) -> Result<Vec<String>, CellsError> {
        let cells = self.cells(object, now)?;
        let shown = cells.iter().zip(self.columns.iter());
        let shown = shown.filter(|(_, column)| wide || column.is_always_shown());
        Ok(shown.map(|(cell, _)| cell.to_string()).collect())
    }
}

/// An object that fills no row.
#[derive(Debug, thiserror::Error)]
pub enum CellsError {
    /// Its bytes are not of its kind.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// It has no JSON.
    #[error(transparent)]
    Json(#[from] Faults),
}

macro_rules! layouts {
    ($number:ident: $($kind:ty => $columns:path, $cells:path;)*) => {
        match $number {
            $(<$kind as Kind>::NUMBER => Layout {
                columns: Cow::Borrowed($columns),
                cells: Cells::Kind(|object, now| Ok($cells(&object.decode_as::<$kind>()?, now))),
            },)*
            _ => Layout {
                columns: Cow::Borrowed(cluster::ANY),
                cells: Cells::Kind(cluster::any),
            },
        }
    };
}

/// The layout of a kind by its number; name and age for one that has none of its own.
pub fn layout(number: u32) -> Layout {
    layouts! { number:
        core::v1::Pod => pod::PODS, pod::pod;
        core::v1::PodTemplate => workload::POD_TEMPLATES, workload::pod_template;
        core::v1::ReplicationController => workload::REPLICA_SETS, workload::replication_controller;
        apps::v1::Deployment => workload::DEPLOYMENTS, workload::deployment;
        apps::v1::ReplicaSet => workload::REPLICA_SETS, workload::replica_set;
        apps::v1::StatefulSet => workload::STATEFUL_SETS, workload::stateful_set;
        apps::v1::DaemonSet => workload::DAEMON_SETS, workload::daemon_set;
        apps::v1::ControllerRevision => workload::CONTROLLER_REVISIONS, workload::controller_revision;
        jobs::v1::Job => batch::JOBS, batch::job;
        jobs::v1::CronJob => batch::CRON_JOBS, batch::cron_job;
        core::v1::Node => node::NODES, node::node;
        coordination::v1::Lease => node::LEASES, node::lease;
        core::v1::Namespace => cluster::NAMESPACES, cluster::namespace;
        core::v1::Event => cluster::EVENTS, cluster::event;
        scheduling::v1::PriorityClass => cluster::PRIORITY_CLASSES, cluster::priority_class;
        core::v1::ConfigMap => config::CONFIG_MAPS, config::config_map;
        core::v1::Secret => config::SECRETS, config::secret;
        core::v1::ServiceAccount => config::SERVICE_ACCOUNTS, config::service_account;
        core::v1::ResourceQuota => config::RESOURCE_QUOTAS, config::resource_quota;
        core::v1::LimitRange => config::CREATED, config::created;
        CustomResourceDefinition => config::CREATED, config::created;
        core::v1::Service => network::SERVICES, network::service;
        discovery::v1::EndpointSlice => network::ENDPOINT_SLICES, network::endpoint_slice;
        core::v1::PersistentVolume => storage::VOLUMES, storage::volume;
        core::v1::PersistentVolumeClaim => storage::CLAIMS, storage::claim;
        classes::v1::StorageClass => storage::CLASSES, storage::class;
        classes::v1::CsiDriver => csi::DRIVERS, csi::driver;
        classes::v1::CsiNode => csi::CSI_NODES, csi::csi_node;
        classes::v1::CsiStorageCapacity => csi::CAPACITIES, csi::storage_capacity;
        classes::v1::VolumeAttachment => csi::ATTACHMENTS, csi::attachment;
        gangs::v1alpha1::PodGroup => cluster::POD_GROUPS, cluster::pod_group;
        policy::v1::PodDisruptionBudget => autoscaling::BUDGETS, autoscaling::budget;
        scaling::v2::HorizontalPodAutoscaler => autoscaling::AUTOSCALERS, autoscaling::autoscaler;
        scaling::v1::Scale => autoscaling::SCALES, autoscaling::scale;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::Unknown;
    use crate::kinds;

    #[test]
    fn every_kind_fills_every_column_also_when_it_is_empty() {
        for info in kinds::all() {
            let layout = layout(info.number);
            let empty = Object {
                number: info.number,
                ..Object::default()
            };
            let now = "2026-01-01T00:00:00Z".parse().unwrap();
            for wide in [false, true] {
                let row = layout.row(&empty, now, wide).unwrap();
                assert_eq!(row.len(), layout.headers(wide).len(), "{}", info.kind);
            }
            assert!(
                layout.headers(false).contains(&"NAME".to_owned()) || info.kind == "Event",
                "{}",
                info.kind
            );
        }
    }

    /// The table of what a manifest says, ten minutes after 2026-01-01.
    pub(super) fn shown(manifest: &str) -> String {
        let mut lines: Vec<Vec<String>> = Vec::new();
        for document in json::yaml::documents(manifest) {
            let decoded = document.unwrap().decode(Unknown::Strict).unwrap();
            let object = Object {
                number: decoded.number,
                bytes: decoded.bytes,
            };
            let layout = layout(object.number);
            if lines.is_empty() {
                lines.push(layout.headers(true));
            }
            lines.push(
                layout
                    .row(&object, "2026-01-01T00:10:00Z".parse().unwrap(), true)
                    .unwrap(),
            );
        }
        lines.iter().map(|line| line.join(" | ") + "\n").collect()
    }

    #[test]
    fn services_show_their_addresses_and_ports() {
        let shown = shown(
            "apiVersion: v1
kind: Service
metadata: {name: web, creationTimestamp: '2026-01-01T00:00:00Z'}
spec:
  type: NodePort
  clusterIP: 10.0.0.7
  selector: {app: web}
  ports: [{port: 80, nodePort: 30080, protocol: TCP}, {port: 53, protocol: UDP}]
---
apiVersion: v1
kind: Service
metadata: {name: lb, creationTimestamp: '2026-01-01T00:09:00Z'}
spec: {type: LoadBalancer, clusterIP: 10.0.0.8}
",
        );
        insta::assert_snapshot!(shown, @r"
        NAME | TYPE | CLUSTER-IP | EXTERNAL-IP | PORT(S) | AGE | SELECTOR
        web | NodePort | 10.0.0.7 | <none> | 80:30080/TCP,53/UDP | 10m | app=web
        lb | LoadBalancer | 10.0.0.8 | <pending> | <none> | 60s | <none>
        ");
    }

    #[test]
    fn nodes_show_their_state_roles_and_addresses() {
        let shown = shown(
            "apiVersion: v1
kind: Node
metadata:
  name: node-1
  creationTimestamp: '2026-01-01T00:00:00Z'
  labels: {node-role.kubernetes.io/worker: '', node-role.kubernetes.io/edge: ''}
spec: {unschedulable: true}
status:
  conditions: [{type: Ready, status: 'True'}]
  addresses: [{type: InternalIP, address: 10.1.0.1}]
  nodeInfo:
    kubeletVersion: v1.35.0
    osImage: Orrery
    kernelVersion: ''
    containerRuntimeVersion: sim://1
    architecture: amd64
    bootID: a
    kubeProxyVersion: ''
    machineID: m
    operatingSystem: linux
    systemUUID: s
---
apiVersion: v1
kind: Node
metadata: {name: node-2}
status:
  conditions: [{type: Ready, status: Unknown}]
",
        );
        insta::assert_snapshot!(shown, @r"
        NAME | STATUS | ROLES | AGE | VERSION | INTERNAL-IP | EXTERNAL-IP | OS-IMAGE | KERNEL-VERSION | CONTAINER-RUNTIME
        node-1 | Ready,SchedulingDisabled | edge,worker | 10m | v1.35.0 | 10.1.0.1 | <none> | Orrery | <unknown> | sim://1
        node-2 | NotReady | <none> | <unknown> |  | <none> | <none> | <unknown> | <unknown> | <unknown>
        ");
    }

    #[test]
    fn workloads_show_how_far_they_are() {
        let shown = shown(
            "apiVersion: apps/v1
kind: Deployment
metadata: {name: nginx, creationTimestamp: '2026-01-01T00:00:00Z'}
spec:
  replicas: 3
  selector: {matchLabels: {app: nginx}, matchExpressions: [{key: tier, operator: In, values: [a, b]}]}
  template: {spec: {containers: [{name: web, image: 'nginx:1'}, {name: log, image: 'log:2'}]}}
status: {readyReplicas: 2, updatedReplicas: 1, availableReplicas: 2}
",
        );
        insta::assert_snapshot!(shown, @r"
        NAME | READY | UP-TO-DATE | AVAILABLE | AGE | CONTAINERS | IMAGES | SELECTOR
        nginx | 2/3 | 1 | 2 | 10m | web,log | nginx:1,log:2 | app=nginx,tier in (a,b)
        ");
    }
}
