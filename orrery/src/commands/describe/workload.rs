//! Deployments and ReplicaSets: how many Pods, of what template, and how far they are.

use super::page::{Page, moment};
use super::pod;
use anyhow::Result;
use apimachinery::int_or_string;
use apimachinery::meta::Condition;
use apimachinery::owner::{controller_of, is_controlled_by};
use apimachinery::printers::text::selector;
use apimachinery::selector::LabelSelector;
use client::api::ListOptions;
use client::{Api, Client};
use proto::Kind;
use proto::api::apps::v1::{Deployment, ReplicaSet};
use proto::api::core::v1::{Pod, PodTemplateSpec};
use proto::meta::v1;

pub(super) async fn deployment(client: &Client, object: &Deployment, page: &mut Page) -> Result<()> {
    let (meta, spec) = (object.meta(), object.spec.clone().unwrap_or_default());
    let status = object.status.clone().unwrap_or_default();
    page.field(0, "Name", &meta.name);
    page.field(0, "Namespace", &meta.namespace);
    page.field(0, "CreationTimestamp", moment(meta.creation_timestamp.as_ref()));
    page.labels(0, "Labels", &meta.labels);
    page.annotations(0, &meta.annotations);
    page.field(0, "Selector", selector(spec.selector.as_ref()));
    page.field(
        0,
        "Replicas",
        format!(
            "{} desired | {} updated | {} total | {} available | {} unavailable",
            spec.replicas.unwrap_or(0),
            status.updated_replicas,
            status.replicas,
            status.available_replicas,
            status.unavailable_replicas
        ),
    );
    let strategy = spec.strategy.unwrap_or_default();
    page.field(0, "StrategyType", &strategy.r#type);
    page.field(0, "MinReadySeconds", spec.min_ready_seconds.to_string());
    if let Some(rolling) = strategy.rolling_update {
        let shown =
            |value: Option<&proto::IntOrString>| value.map(int_or_string::display).unwrap_or_default();
        let (unavailable, surge) = (
            shown(rolling.max_unavailable.as_ref()),
            shown(rolling.max_surge.as_ref()),
        );
        page.field(
            0,
            "RollingUpdateStrategy",
            format!("{unavailable} max unavailable, {surge} max surge"),
        );
    }
    if spec.paused {
        page.field(0, "Paused", "true");
    }
    template(spec.template.as_ref(), page);
    conditions(&status.conditions, page);
    let options = matching(&meta.namespace, spec.selector.as_ref())?;
    let sets = Api::<ReplicaSet>::new(client.clone()).list(options).await?.items;
    let newest = &meta.annotations.get(apimachinery::well_known::REVISION);
    let (new, old): (Vec<_>, Vec<_>) = sets
        .iter()
        .filter(|set| is_controlled_by(set.meta(), &meta.uid))
        .partition(|set| set.meta().annotations.get(apimachinery::well_known::REVISION) == *newest);
    let named = |set: &&ReplicaSet| {
        let wanted = set.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(0);
        let made = set.status.as_ref().map_or(0, |status| status.replicas);
        format!("{} ({made}/{wanted} replicas created)", set.name())
    };
    page.list(0, "OldReplicaSets", old.iter().map(named));
    page.list(0, "NewReplicaSet", new.iter().map(named));
    Ok(())
}

pub(super) async fn replica_set(client: &Client, object: &ReplicaSet, page: &mut Page) -> Result<()> {
    let (meta, spec) = (object.meta(), object.spec.clone().unwrap_or_default());
    let status = object.status.clone().unwrap_or_default();
    page.field(0, "Name", &meta.name);
    page.field(0, "Namespace", &meta.namespace);
    page.field(0, "Selector", selector(spec.selector.as_ref()));
    page.labels(0, "Labels", &meta.labels);
    page.annotations(0, &meta.annotations);
    if let Some(owner) = controller_of(meta) {
        page.field(0, "Controlled By", format!("{}/{}", owner.kind, owner.name));
    }
    let wanted = spec.replicas.unwrap_or(0);
    page.field(
        0,
        "Replicas",
        format!("{} current / {wanted} desired", status.replicas),
    );
    let options = matching(&meta.namespace, spec.selector.as_ref())?;
    let pods = Api::<Pod>::new(client.clone()).list(options).await?.items;
    let count = |phase: &str| {
        let own = pods.iter().filter(|pod| is_controlled_by(pod.meta(), &meta.uid));
        own.filter(|pod| pod.status.as_ref().is_some_and(|status| status.phase == phase))
            .count()
    };
    let (running, waiting) = (count("Running"), count("Pending"));
    let (succeeded, failed) = (count("Succeeded"), count("Failed"));
    page.field(
        0,
        "Pods Status",
        format!("{running} Running / {waiting} Waiting / {succeeded} Succeeded / {failed} Failed"),
    );
    template(spec.template.as_ref(), page);
    conditions(&status.conditions, page);
    Ok(())
}

fn matching(namespace: &str, selector: Option<&v1::LabelSelector>) -> Result<ListOptions> {
    Ok(ListOptions {
        namespace: namespace.into(),
        label_selector: LabelSelector::from_proto(selector)?.to_string(),
        ..ListOptions::default()
    })
}

fn template(template: Option<&PodTemplateSpec>, page: &mut Page) {
    let template = template.cloned().unwrap_or_default();
    let (meta, spec) = (
        template.metadata.unwrap_or_default(),
        template.spec.unwrap_or_default(),
    );
    page.head(0, "Pod Template");
    page.labels(1, "Labels", &meta.labels);
    if !meta.annotations.is_empty() {
        page.annotations(1, &meta.annotations);
    }
    pod::containers(1, "Init Containers", &spec.init_containers, &[], page);
    pod::containers(1, "Containers", &spec.containers, &[], page);
    pod::volumes(1, &spec, page);
    pod::placement(1, &spec, page);
}

fn conditions<C: Condition>(conditions: &[C], page: &mut Page) {
    if conditions.is_empty() {
        return;
    }
    page.head(0, "Conditions");
    page.cells(1, &["Type", "Status", "Reason"]);
    page.cells(1, &["----", "------", "------"]);
    for condition in conditions {
        page.cells(1, &[condition.r#type(), condition.status(), condition.reason()]);
    }
}
