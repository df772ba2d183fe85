//! A Namespace: whether it lives, and its quotas.

use super::page::Page;
use anyhow::Result;
use client::api::ListOptions;
use client::{Api, Client};
use proto::Kind;
use proto::api::core::v1::{Namespace, ResourceQuota};

pub(super) async fn sections(client: &Client, namespace: &Namespace, page: &mut Page) -> Result<()> {
    let meta = namespace.meta();
    page.field(0, "Name", &meta.name);
    page.labels(0, "Labels", &meta.labels);
    page.annotations(0, &meta.annotations);
    page.field(
        0,
        "Status",
        namespace.status.as_ref().map_or("", |status| &status.phase),
    );
    let status = namespace.status.clone().unwrap_or_default();
    if !status.conditions.is_empty() {
        page.head(0, "Conditions");
        page.cells(1, &["Type", "Status", "Reason", "Message"]);
        for condition in &status.conditions {
            page.cells(
                1,
                &[
                    &condition.r#type,
                    &condition.status,
                    &condition.reason,
                    &condition.message,
                ],
            );
        }
    }
    let options = ListOptions {
        namespace: meta.name.clone(),
        ..ListOptions::default()
    };
    let quotas = Api::<ResourceQuota>::new(client.clone())
        .list(options)
        .await?
        .items;
    if quotas.is_empty() {
        page.cells(0, &["No resource quota."]);
        return Ok(());
    }
    page.head(0, "Resource Quotas");
    for quota in quotas {
        let status = quota.status.clone().unwrap_or_default();
        page.field(1, "Name", quota.name());
        page.cells(1, &["Resource", "Used", "Hard"]);
        for (resource, hard) in &status.hard {
            let used = status.used.get(resource).map_or("0", |used| &used.string);
            page.cells(1, &[resource, used, &hard.string]);
        }
    }
    Ok(())
}
