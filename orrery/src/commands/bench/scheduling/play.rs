//! Runs one workload on processes of its own.

use super::seen::Seen;
use super::usage::Used;
use super::workload::{Alone, Churn, Create, Step, Template, Workload};
use super::{Bench, Row, Windows};
use crate::commands::bench::cluster::{Cluster, Parts};
use crate::commands::bench::report::{histogram, micros};
use anyhow::{Context, Result, anyhow, bail};
use client::Client;
use component_base::clock::{Clock, Instant};
use futures::{StreamExt, stream};
use proto::Object;
use proto::orrery::v1::batch_operation::Operation;
use proto::orrery::v1::{BatchOperation, CreateRequest, DeleteRequest};
use std::time::Duration;
use tokio::task::JoinSet;

/// How many objects are created by one call.
const A_CALL: usize = 500;
/// How many such calls are on their way at a time.
const CALLS: usize = 4;
/// How often people are told how far it is.
const TELL_EVERY: Duration = Duration::from_millis(200);
/// How long the processes have to catch up before they are looked at idle.
const SETTLE: Duration = Duration::from_secs(3);

/// What was measured.
#[derive(Default)]
struct Measured {
    /// When each was created and bound.
    pods: Vec<(Instant, Instant)>,
    /// When the first was sent.
    began: Option<Instant>,
    idle_cpu_seconds: Option<f64>,
}

struct Stage<'a> {
    bench: &'a Bench,
    client: Client,
    seen: Seen,
    workload: &'a Workload,
    churning: JoinSet<Result<()>>,
    measured: Measured,
}

/// Runs a workload.
pub(super) async fn play(bench: &Bench, workload: &Workload, limit: u64) -> Result<Row> {
    let parts = Parts::Scheduling {
        controllers: workload.controllers,
    };
    let mut cluster = Cluster::start(&bench.common, &bench.clock, parts).await?;
    let client = cluster.client()?;
    let mut stage = Stage {
        seen: Seen::begin(&client, &bench.clock).await?,
        bench,
        client,
        workload,
        churning: JoinSet::new(),
        measured: Measured::default(),
    };
    let limit = Duration::from_secs(limit);
    let mut at = 0;
    let ran = bench.clock.timeout(limit, async {
        for (number, step) in workload.steps.iter().enumerate() {
            at = number;
            stage.step(number, step, &mut cluster).await?;
        }
        anyhow::Ok(())
    });
    let ran = ran.await;
    let bound = stage.seen.bound(at);
    ran.map_err(|_| {
        anyhow!("not done after {limit:?}: steps[{at}] has {bound} pods bound; --limit gives it longer")
    })??;
    stage.churning.shutdown().await;
    let mut pids = cluster.pids();
    pids.sort_unstable();
    let processes = pids.into_iter().map(|(name, pid)| Used::by(name, pid)).collect();
    let row = row(workload, &stage.measured, processes)?;
    drop(stage);
    cluster.stop().await?;
    Ok(row)
}

impl Stage<'_> {
    async fn step(&mut self, number: usize, step: &Step, cluster: &mut Cluster) -> Result<()> {
        match step {
            Step::Create(create) => self.create(number, create).await,
            Step::Alone(alone) => self.alone(number, alone).await,
            Step::Churn(churn) => self.churn(number, churn),
            Step::Idle(idle) => {
                let clock = &self.bench.clock;
                clock.sleep(SETTLE).await;
                let scheduler = cluster.pids().into_iter().find(|(name, _)| *name == "scheduler");
                let (name, pid) = scheduler.context("the scheduler does not run")?;
                let before = Used::by(name, pid).cpu_seconds;
                clock.sleep(Duration::from_secs(idle.seconds)).await;
                self.measured.idle_cpu_seconds = Some(Used::by(name, pid).cpu_seconds - before);
                Ok(())
            }
        }
    }

    fn template(&self, number: usize, name: &str) -> Result<Template> {
        let value = self
            .workload
            .templates
            .get(name)
            .context("the template is gone")?;
        Template::new(value, number, name)
    }

    async fn create(&mut self, number: usize, create: &Create) -> Result<()> {
        let template = self.template(number, &create.template)?;
        if create.measure {
            self.measured.began.get_or_insert(self.bench.clock.now());
        }
        let calls = (0..create.count).step_by(A_CALL).map(|from| {
            let to = (from + A_CALL).min(create.count);
            let (client, template, clock) = (self.client.clone(), template.clone(), self.bench.clock.clone());
            // A task of its own, so that making objects uses both cores.
            tokio::spawn(async move {
                send(&client, &template, from..to)
                    .await
                    .map(|()| (from..to, clock.now()))
            })
        });
        let waits = template.is_pod && !create.dont_wait;
        let sent = async {
            let mut created = vec![None; create.count];
            let mut calls = stream::iter(calls).buffer_unordered(CALLS);
            while let Some(call) = calls.next().await {
                let (range, at) = call.context("a creator broke")??;
                created[range].fill(Some(at));
            }
            anyhow::Ok(created)
        };
        let bound = async {
            if waits {
                self.seen.wait(number, create.count).await?;
            }
            anyhow::Ok(())
        };
        let told = async {
            loop {
                let bound = self.seen.bound(number);
                let message = format!(
                    "{}: {} of {} {}",
                    self.workload.name, bound, create.count, create.template
                );
                self.bench.progress.now(message);
                self.bench.clock.sleep(TELL_EVERY).await;
            }
        };
        let done = async { tokio::try_join!(sent, bound) };
        let created = tokio::select! {
            done = done => done?.0,
            () = told => bail!("the clock has stopped"),
        };
        if create.measure {
            let times = created.into_iter().zip(self.seen.times(number));
            let pods = times.filter_map(|(created, bound)| Some((created?, bound?)));
            self.measured.pods.extend(pods);
        }
        Ok(())
    }

    async fn alone(&mut self, number: usize, alone: &Alone) -> Result<()> {
        let template = self.template(number, &alone.template)?;
        self.measured.began.get_or_insert(self.bench.clock.now());
        for pod in 0..alone.count {
            send(&self.client, &template, pod..pod + 1).await?;
            let created = self.bench.clock.now();
            self.seen.wait(number, pod + 1).await?;
            let bound = self.seen.times(number).get(pod).copied().flatten();
            let bound = bound.context("a bound pod has no time")?;
            // The bind may be seen before the answer to the create is.
            self.measured.pods.push((created.min(bound), bound));
            if pod % 50 == 0 {
                let message = format!(
                    "{}: {pod} of {} {}",
                    self.workload.name, alone.count, alone.template
                );
                self.bench.progress.now(message);
            }
        }
        Ok(())
    }

    fn churn(&mut self, number: usize, churn: &Churn) -> Result<()> {
        let names = churn.templates.iter();
        let templates: Vec<Template> = names
            .map(|name| self.template(number, name))
            .collect::<Result<_>>()?;
        let (client, clock) = (self.client.clone(), self.bench.clock.clone());
        let every = Duration::from_millis(churn.every_milliseconds);
        self.churning
            .spawn(async move { churn_on(&client, &clock, &templates, every).await });
        Ok(())
    }
}

/// Creates the objects of these numbers with one call.
async fn send(client: &Client, template: &Template, numbers: std::ops::Range<usize>) -> Result<()> {
    let create = |object: Object| BatchOperation {
        operation: Some(Operation::Create(CreateRequest {
            object: Some(object),
            ..CreateRequest::default()
        })),
        cause: 0,
    };
    let objects = numbers.map(|number| template.object(number).map(create));
    for result in client.batch(objects.collect::<Result<_>>()?).await {
        result.context("an object was not created")?;
    }
    Ok(())
}

/// Creates and deletes, by turns.
async fn churn_on(client: &Client, clock: &Clock, templates: &[Template], every: Duration) -> Result<()> {
    let mut turn = 0;
    loop {
        let mut deletes = Vec::new();
        for template in templates {
            let object = template.object(turn)?;
            let request = CreateRequest {
                object: Some(object),
                ..CreateRequest::default()
            };
            let created = client.create(request).await?;
            deletes.push(delete(&created)?);
        }
        clock.sleep(every).await;
        for delete in deletes {
            // It may be gone by itself: a Pod that was preempted.
            _ = client.delete(delete).await;
        }
        clock.sleep(every).await;
        turn += 1;
    }
}

fn delete(object: &Object) -> Result<DeleteRequest> {
    let value =
        apimachinery::json::to_value(object.number, &object.bytes).map_err(|fault| anyhow!("{fault}"))?;
    let text = |path: &str| {
        value
            .pointer(path)
            .and_then(|value| value.as_str())
            .unwrap_or_default()
            .to_owned()
    };
    let info = apimachinery::kinds::by_number(object.number).context("an unknown kind")?;
    Ok(DeleteRequest {
        kind: info.resource(),
        namespace: text("/metadata/namespace"),
        name: text("/metadata/name"),
        ..DeleteRequest::default()
    })
}

fn row(workload: &Workload, measured: &Measured, processes: Vec<Used>) -> Result<Row> {
    let bound = || measured.pods.iter().map(|(_, bound)| *bound);
    let (Some(first), Some(last)) = (bound().min(), bound().max()) else {
        bail!("no pod was measured");
    };
    let took = last - first;
    let mut windows = vec![0; took.as_secs() as usize];
    let mut latency = histogram();
    for (created, bound) in &measured.pods {
        if let Some(count) = windows.get_mut((*bound - first).as_secs() as usize) {
            *count += 1;
        }
        latency.record(micros(bound.saturating_duration_since(*created)))?;
    }
    let seconds = took.as_secs_f64();
    Ok(Row {
        workload: workload.name.clone(),
        pods: measured.pods.len(),
        seconds,
        pods_per_second: if seconds > 0.0 {
            measured.pods.len() as f64 / seconds
        } else {
            0.0
        },
        pods_per_second_from_create: measured.began.map_or(0.0, |began| {
            measured.pods.len() as f64 / (last - began).as_secs_f64()
        }),
        windows: Windows::of(windows),
        latency_p50_micros: latency.value_at_quantile(0.5),
        latency_p99_micros: latency.value_at_quantile(0.99),
        goal: workload.goal,
        upstream: workload.upstream,
        percentage_of_nodes_scored: 100,
        processes,
        idle_cpu_seconds: measured.idle_cpu_seconds,
    })
}
