//! How long a decision takes, on 100, 1,000 and 5,000 nodes: `cargo bench -p scheduler`.
//!
//! - `template`: Pods of one template, one after the other, each assumed on its node while an older one leaves: what a
//!   Deployment that scales up costs.
//! - `new_class`: every node is judged and scored from nothing: what the first Pod of a template costs.
//! - `diagnose`: no node has room, and the message is worked out anew.

use component_base::rng::Seed;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use proto::api::core::v1::{Container, Node, Pod};
use proto::{Kind, Quantity};
use scheduler::cycle::Cycle;
use scheduler::pod::{Classes, PodInfo};
use scheduler::registry::Plugins;
use scheduler::snapshot::{Placement, Snapshot};
use std::collections::VecDeque;

const SIZES: [usize; 3] = [100, 1000, 5000];

fn quantities(amounts: &[(&str, &str)]) -> std::collections::BTreeMap<String, Quantity> {
    let quantity = |text: &str| Quantity { string: text.into() };
    amounts
        .iter()
        .map(|(name, text)| ((*name).into(), quantity(text)))
        .collect()
}

fn cluster(nodes: usize) -> Snapshot {
    let mut snapshot = Snapshot::new();
    for number in 0..nodes {
        let mut node = Node::default();
        node.metadata_mut().name = format!("node-{number}");
        let labels = &mut node.metadata_mut().labels;
        labels.insert(
            "topology.kubernetes.io/zone".into(),
            format!("zone-{}", number % 3),
        );
        let status = node.status.get_or_insert_default();
        status.allocatable = quantities(&[("cpu", "32"), ("memory", "256Gi"), ("pods", "110")]);
        snapshot.set_node(&node);
    }
    snapshot
}

fn pod(number: usize, cpu: &str, classes: &mut Classes) -> PodInfo {
    let mut pod = Pod::default();
    pod.metadata_mut().name = format!("pod-{number}");
    pod.metadata_mut().namespace = "default".into();
    pod.metadata_mut().uid = format!("uid-{number}");
    let mut container = Container::default();
    container.resources.get_or_insert_default().requests = quantities(&[("cpu", cpu), ("memory", "500Mi")]);
    pod.spec.get_or_insert_default().containers.push(container);
    PodInfo::of(&pod, 1, classes)
}

fn template(c: &mut Criterion) {
    let mut group = c.benchmark_group("template");
    group.throughput(Throughput::Elements(1));
    for nodes in SIZES {
        let (plugins, mut snapshot, mut classes) = (Plugins::all(), cluster(nodes), Classes::default());
        let mut cycle = Cycle::default();
        let mut rng = Seed(1).fork("ties");
        let mut waiting: VecDeque<PodInfo> = (0..nodes * 4)
            .map(|number| pod(number, "100m", &mut classes))
            .collect();
        let mut placed = VecDeque::new();
        group.bench_function(BenchmarkId::from_parameter(nodes), |bencher| {
            bencher.iter(|| {
                let next = waiting.pop_front().or_else(|| {
                    let oldest: PodInfo = placed.pop_front()?;
                    snapshot.remove_pod(&oldest.key);
                    Some(oldest)
                });
                let next = next.expect("a pod waits or is placed");
                let slot = cycle.decide(&plugins, &next, &mut snapshot, &mut rng);
                let slot = slot.expect("there is room");
                let node = snapshot.node(slot).name.clone();
                snapshot.place(&next, &node, Placement::Assumed);
                placed.push_back(next);
            });
        });
    }
    group.finish();
}

fn new_class(c: &mut Criterion) {
    let mut group = c.benchmark_group("new_class");
    group.throughput(Throughput::Elements(1));
    for nodes in SIZES {
        let (plugins, mut snapshot) = (Plugins::all(), cluster(nodes));
        let next = pod(0, "100m", &mut Classes::default());
        let mut rng = Seed(1).fork("ties");
        group.bench_function(BenchmarkId::from_parameter(nodes), |bencher| {
            bencher.iter(|| Cycle::default().decide(&plugins, &next, &mut snapshot, &mut rng));
        });
    }
    group.finish();
}

fn diagnose(c: &mut Criterion) {
    let mut group = c.benchmark_group("diagnose");
    group.throughput(Throughput::Elements(1));
    for nodes in SIZES {
        let (plugins, mut snapshot) = (Plugins::all(), cluster(nodes));
        let next = pod(0, "64", &mut Classes::default());
        group.bench_function(BenchmarkId::from_parameter(nodes), |bencher| {
            bencher.iter(|| Cycle::default().diagnose(&plugins, &next, &mut snapshot, None));
        });
    }
    group.finish();
}

criterion_group!(benches, template, new_class, diagnose);
criterion_main!(benches);
