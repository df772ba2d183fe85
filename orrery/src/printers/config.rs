//! Configuration and limits: ConfigMaps, Secrets, ServiceAccounts, ResourceQuotas, LimitRanges.

use super::text::{age, quantity};
use super::{Column, always};
use jiff::Timestamp;
use proto::Kind;
use proto::api::core::v1::{ConfigMap, LimitRange, ResourceQuota, Secret, ServiceAccount};

pub(super) const CONFIG_MAPS: &[Column] = &[always("NAME"), always("DATA"), always("AGE")];

pub(super) fn config_map(object: &ConfigMap, now: Timestamp) -> Vec<String> {
    vec![
        object.name().to_owned(),
        (object.data.len() + object.binary_data.len()).to_string(),
        age(object.meta().creation_timestamp.as_ref(), now),
    ]
}

pub(super) const SECRETS: &[Column] = &[always("NAME"), always("TYPE"), always("DATA"), always("AGE")];

pub(super) fn secret(object: &Secret, now: Timestamp) -> Vec<String> {
    vec![
        object.name().to_owned(),
        object.r#type.clone(),
        object.data.len().to_string(),
        age(object.meta().creation_timestamp.as_ref(), now),
    ]
}

pub(super) const SERVICE_ACCOUNTS: &[Column] = &[always("NAME"), always("SECRETS"), always("AGE")];

pub(super) fn service_account(object: &ServiceAccount, now: Timestamp) -> Vec<String> {
    vec![
        object.name().to_owned(),
        object.secrets.len().to_string(),
        age(object.meta().creation_timestamp.as_ref(), now),
    ]
}

pub(super) const RESOURCE_QUOTAS: &[Column] =
    &[always("NAME"), always("REQUEST"), always("LIMIT"), always("AGE")];

pub(super) fn resource_quota(object: &ResourceQuota, now: Timestamp) -> Vec<String> {
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
    vec![
        object.name().to_owned(),
        shown(false),
        shown(true),
        age(object.meta().creation_timestamp.as_ref(), now),
    ]
}

pub(super) const LIMIT_RANGES: &[Column] = &[always("NAME"), always("CREATED AT")];

pub(super) fn limit_range(object: &LimitRange, _now: Timestamp) -> Vec<String> {
    let created = object.meta().creation_timestamp.as_ref();
    let created = created.map(|time| component_base::time::timestamp(time).to_string());
    vec![object.name().to_owned(), created.unwrap_or_default()]
}
