//! Configuration and limits: ConfigMaps, Secrets, ServiceAccounts, ResourceQuotas; and kinds that show only their age.

use super::cell::{AGE, Cell, Column, NAME, row};
use super::text::{age, quantity};
use jiff::Timestamp;
use proto::Kind;
use proto::api::core::v1::{ConfigMap, ResourceQuota, Secret, ServiceAccount};

pub(super) const CONFIG_MAPS: &[Column] = &[NAME, Column::integer("Data", "Number of entries."), AGE];

pub(super) fn config_map(object: &ConfigMap, now: Timestamp) -> Vec<Cell> {
    row![
        object.name(),
        object.data.len() + object.binary_data.len(),
        age(object.meta().creation_timestamp.as_ref(), now),
    ]
}

pub(super) const SECRETS: &[Column] = &[
    NAME,
    Column::text("Type", "What the entries are for."),
    Column::integer("Data", "Number of entries."),
    AGE,
];

pub(super) fn secret(object: &Secret, now: Timestamp) -> Vec<Cell> {
    row![
        object.name(),
        object.r#type.clone(),
        object.data.len(),
        age(object.meta().creation_timestamp.as_ref(), now),
    ]
}

pub(super) const SERVICE_ACCOUNTS: &[Column] = &[
    NAME,
    Column::integer("Secrets", "Number of secrets that its pods may use."),
    AGE,
];

pub(super) fn service_account(object: &ServiceAccount, now: Timestamp) -> Vec<Cell> {
    row![
        object.name(),
        object.secrets.len(),
        age(object.meta().creation_timestamp.as_ref(), now),
    ]
}

pub(super) const RESOURCE_QUOTAS: &[Column] = &[
    NAME,
    Column::text("Request", "Use and bound of what is counted, requests among it."),
    Column::text("Limit", "Use and bound of the sums of limits."),
    AGE,
];

pub(super) fn resource_quota(object: &ResourceQuota, now: Timestamp) -> Vec<Cell> {
    let status = object.status.clone().unwrap_or_default();
    let shown = |limits: bool| {
        let hard = status
            .hard
            .iter()
            .filter(|(name, _)| name.starts_with("limits.") == limits);
        let parts = hard.map(|(name, hard)| {
            let used = status.used.get(name).map_or_else(|| "0".into(), quantity);
            format!("{name}: {used}/{}", quantity(hard))
        });
        parts.collect::<Vec<_>>().join(", ")
    };
    row![
        object.name(),
        shown(false),
        shown(true),
        age(object.meta().creation_timestamp.as_ref(), now),
    ]
}

/// The columns of kinds that show when their objects were created, and nothing else.
pub(super) const CREATED: &[Column] = &[NAME, Column::text("Created At", "When the object was created.")];

pub(super) fn created<K: Kind>(object: &K, _now: Timestamp) -> Vec<Cell> {
    let created = object.meta().creation_timestamp.as_ref();
    let created = created.map(|time| {
        Timestamp::from_second(time.seconds).map_or_else(|_| "<invalid>".into(), |time| time.to_string())
    });
    row![object.name(), created.unwrap_or_default()]
}
