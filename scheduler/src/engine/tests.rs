//! The engine against an API in memory: no overcommitment, no double binding, the same choices for the same seed.

mod extenders;
mod permits;

use super::*;
use crate::extender::{Answer, Said};
use crate::framework::{Plugin, PostFilter, Reserve, Room, Victim};
use crate::testing::{Amounts, api_node, pod};
use apimachinery::meta::get_condition;
use component_base::clock::Clock;
use component_base::rng::{Rng, Seed};
use proptest::prelude::*;
use proto::orrery::v1::batch_operation::Operation;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

const ROOM: &Amounts<'_> = &[("cpu", "2"), ("memory", "8Gi"), ("pods", "10")];

fn wall() -> Timestamp {
    "2026-01-01T00:00:00Z".parse().unwrap()
}

/// An API with one scheduler, whose stream and answers may lag.
struct World {
    engine: Engine,
    seed: u64,
    now: Instant,
    revision: i64,
    pods: BTreeMap<String, Pod>,
    nodes: BTreeMap<String, Node>,
    /// Changes that the engine has not seen.
    stream: VecDeque<Delta>,
    /// Bindings that the API has not seen.
    sent: Vec<Binding>,
    born: u32,
}

fn engine(seed: u64) -> Engine {
    Engine::new(Plugins::all(), "default-scheduler", Seed(seed).fork("ties"))
}

impl World {
    fn new(seed: u64) -> Self {
        let mut world = Self {
            engine: engine(seed),
            seed,
            now: Clock::system().now(),
            revision: 0,
            pods: BTreeMap::new(),
            nodes: BTreeMap::new(),
            stream: VecDeque::new(),
            sent: Vec::new(),
            born: 0,
        };
        world.restart();
        world
    }

    /// The scheduler dies with what it had not sent, and starts again.
    fn restart(&mut self) {
        self.engine = engine(self.seed);
        self.sent.clear();
        self.stream.clear();
        self.stream.push_back(Delta::Restarted);
        let nodes: Vec<Node> = self.nodes.values().cloned().collect();
        let pods: Vec<Pod> = self.pods.values().cloned().collect();
        for node in &nodes {
            self.tell(node, node.revision());
        }
        for pod in &pods {
            self.tell(pod, pod.revision());
        }
        self.stream.push_back(Delta::Synced(self.revision));
        self.catch_up();
    }

    /// The question that is asked next; what else is decided first must be nothing.
    fn question(&mut self) -> Box<Question> {
        match self.step() {
            Some(Outcome::Ask(question)) => question,
            other => panic!("no question but {other:?}"),
        }
    }

    fn answer(&mut self, pod: &Arc<PodInfo>, said: Result<Said, String>) -> Option<Outcome> {
        self.engine.answered(Answer {
            pod: pod.clone(),
            said,
        });
        self.step()
    }

    fn plugins(&mut self) -> &mut Plugins {
        &mut self.engine.profiles.get_mut("default-scheduler").unwrap().plugins
    }

    fn tell<K: Kind>(&mut self, object: &K, revision: i64) {
        self.stream.push_back(Delta::Upsert {
            key: ObjectKey::of(object),
            object: Object::encode_from(object),
            revision,
            actor: "test".into(),
            cause: 0,
        });
    }

    fn write<K: Kind>(&mut self, object: &mut K) {
        self.revision += 1;
        object.metadata_mut().resource_version = self.revision.to_string();
        let revision = self.revision;
        self.tell(object, revision);
    }

    fn set_node(&mut self, mut node: Node) {
        self.write(&mut node);
        self.nodes.insert(node.name().into(), node);
    }

    fn set_pod(&mut self, mut pod: Pod) {
        self.write(&mut pod);
        self.pods.insert(pod.name().into(), pod);
    }

    /// A new Pod, with a UID of its own.
    fn create(&mut self, name: &str, requests: &Amounts<'_>) {
        let mut pod = pod(name, requests);
        self.born += 1;
        pod.metadata_mut().uid = format!("{name}-{}", self.born);
        self.set_pod(pod);
    }

    fn delete(&mut self, name: &str) {
        let Some(pod) = self.pods.remove(name) else { return };
        self.revision += 1;
        self.stream.push_back(Delta::Delete {
            key: ObjectKey::of(&pod),
            object: Some(Object::encode_from(&pod)),
            revision: self.revision,
            actor: "test".into(),
            cause: 0,
        });
    }

    fn hear(&mut self, count: usize) {
        for _ in 0..count {
            let Some(delta) = self.stream.pop_front() else {
                return;
            };
            self.engine.apply(&delta, self.now, wall()).unwrap();
        }
    }

    fn catch_up(&mut self) {
        self.hear(usize::MAX);
    }

    fn step(&mut self) -> Option<Outcome> {
        let outcome = self.engine.step(self.now, wall());
        if let Some(Outcome::Bind(binding)) = &outcome {
            self.sent.push(Binding::clone(binding));
        }
        outcome
    }

    fn decide_all(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.step())
            .filter_map(|outcome| match outcome {
                Outcome::Bind(binding) => Some(format!("{} {}", binding.pod.key.name, binding.node)),
                Outcome::Unschedulable
                | Outcome::Preempt(_)
                | Outcome::Ask(_)
                | Outcome::Waiting
                | Outcome::Error => None,
            })
            .collect()
    }

    /// What the API does with a binding; false when it refuses.
    fn arrive(&mut self, binding: &Binding) -> bool {
        let Some(Operation::Bind(bind)) = binding
            .operation
            .as_ref()
            .and_then(|write| write.operation.as_ref())
        else {
            panic!("not a binding");
        };
        let Some(pod) = self.pods.get(&bind.name) else {
            return false;
        };
        let spec = pod.spec.as_ref().unwrap();
        if pod.uid() != bind.uid || !spec.node_name.is_empty() {
            return false;
        }
        let mut pod = pod.clone();
        pod.spec.as_mut().unwrap().node_name.clone_from(&bind.node);
        self.set_pod(pod);
        true
    }

    /// Brings a binding to the API and its answer back.
    fn deliver(&mut self, binding: &Binding) {
        if self.arrive(binding) {
            self.engine.bound(binding);
        } else {
            self.refuse(binding);
        }
    }

    fn refuse(&mut self, binding: &Binding) {
        let found = match self.pods.get(&*binding.pod.key.name) {
            Some(pod) => Found::Pod(Box::new(pod.clone())),
            None => Found::Gone,
        };
        self.engine.lost(binding, found, self.now, wall());
    }

    fn deliver_all(&mut self) {
        for binding in std::mem::take(&mut self.sent) {
            self.deliver(&binding);
        }
    }

    fn node_of(&self, pod: &str) -> String {
        self.pods[pod].spec.as_ref().unwrap().node_name.clone()
    }

    /// Invariant 6 of the design: requests never exceed what a node has.
    fn assert_no_overcommitment(&self) {
        let mut taken: BTreeMap<&str, (i64, i64)> = BTreeMap::new();
        for pod in self.pods.values() {
            let spec = pod.spec.as_ref().unwrap();
            if !spec.node_name.is_empty() {
                let sums = taken.entry(&spec.node_name).or_default();
                sums.0 += crate::pod::PodClass::of(spec).requests.cpu;
                sums.1 += 1;
            }
        }
        for (node, (cpu, pods)) in taken {
            assert!(
                cpu <= 2000 && pods <= 10,
                "{node} holds {pods} pods that take {cpu}m"
            );
        }
    }
}

fn events(engine: &mut Engine) -> Vec<String> {
    let reports = engine.take_reports().into_iter();
    let events = reports.filter_map(|report| match report {
        Report::Event { event, .. } => Some(format!("{}: {}", event.reason, event.message)),
        Report::Condition(_) | Report::Write(_) => None,
    });
    events.collect()
}

#[derive(Clone, Debug)]
enum Op {
    Create(u8, u8),
    Delete(u8),
    AddNode(u8),
    Decide,
    /// The API gets the binding, and the engine the answer.
    Deliver(u8),
    /// The API gets the binding twice, as after an answer that was lost.
    DeliverTwice(u8),
    /// Somebody else takes the Pod's name before the binding arrives.
    Replace(u8),
    Hear(u8),
    Restart,
    Wait,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => (0..12u8, 0..3u8).prop_map(|(pod, size)| Op::Create(pod, size)),
        2 => (0..12u8).prop_map(Op::Delete),
        1 => (0..3u8).prop_map(Op::AddNode),
        8 => Just(Op::Decide),
        4 => (0..4u8).prop_map(Op::Deliver),
        2 => (0..4u8).prop_map(Op::DeliverTwice),
        1 => (0..12u8).prop_map(Op::Replace),
        6 => (0..6u8).prop_map(Op::Hear),
        1 => Just(Op::Restart),
        2 => Just(Op::Wait),
    ]
}

fn perform(world: &mut World, op: &Op) {
    let size = |size: u8| ["500m", "800m", "1500m"][usize::from(size)];
    match op {
        Op::Create(pod, asked) => {
            let name = format!("pod-{pod}");
            if !world.pods.contains_key(&name) {
                world.create(&name, &[("cpu", size(*asked))]);
            }
        }
        Op::Delete(pod) => world.delete(&format!("pod-{pod}")),
        Op::AddNode(node) => world.set_node(api_node(&format!("node-{node}"), ROOM)),
        Op::Decide => _ = world.step(),
        Op::Deliver(place) | Op::DeliverTwice(place) => {
            if world.sent.is_empty() {
                return;
            }
            let binding = world.sent.remove(usize::from(*place) % world.sent.len());
            if matches!(op, Op::DeliverTwice(_)) {
                world.arrive(&binding);
                assert!(!world.arrive(&binding), "bound twice");
            }
            world.deliver(&binding);
        }
        Op::Replace(pod) => {
            let name = format!("pod-{pod}");
            if world.pods.contains_key(&name) {
                world.delete(&name);
                world.create(&name, &[("cpu", "1500m")]);
            }
        }
        Op::Hear(count) => world.hear(usize::from(*count)),
        Op::Restart => world.restart(),
        Op::Wait => world.now += Duration::from_secs(4),
    }
}

/// Runs `test` where paused time exists.
fn on_a_clock<T>(test: impl FnOnce() -> T) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.enable_time().start_paused(true).build().unwrap();
    let _entered = runtime.enter();
    test()
}

proptest! {
    #[test]
    fn no_node_is_ever_overcommitted_and_every_pod_that_fits_is_bound_in_the_end(
        ops in prop::collection::vec(op(), 1..150),
        seed: u64,
    ) {
        on_a_clock(|| {
            let mut world = World::new(seed);
            for op in &ops {
                perform(&mut world, op);
                world.assert_no_overcommitment();
            }
            for node in 0..9 {
                world.set_node(api_node(&format!("node-{node}"), ROOM));
            }
            for _ in 0..4 {
                world.now += Duration::from_secs(10);
                world.catch_up();
                world.decide_all();
                world.deliver_all();
                world.assert_no_overcommitment();
            }
            world.catch_up();
            // Twelve Pods of at most 1500m have room on nine nodes unless they came in the worst order.
            let waiting = world.engine.queue().lengths();
            assert_eq!((waiting.active, waiting.backoff), (0, 0));
            let unbound = world.pods.values().filter(|pod| pod.spec.as_ref().unwrap().node_name.is_empty());
            assert_eq!(unbound.count(), waiting.unschedulable);
            let placed = world.engine.snapshot().pod_count();
            assert_eq!(placed, world.pods.len() - waiting.unschedulable);
        });
    }

    #[test]
    fn one_seed_gives_one_sequence_of_decisions(ops in prop::collection::vec(op(), 1..80), seed: u64) {
        let run = || on_a_clock(|| {
            let mut world = World::new(seed);
            for op in &ops {
                perform(&mut world, op);
            }
            world.catch_up();
            (world.decide_all(), events(&mut world.engine))
        });
        prop_assert_eq!(run(), run());
    }
}

#[tokio::test(start_paused = true)]
async fn a_decision_counts_at_once_and_is_confirmed_by_the_stream() {
    let mut world = World::new(1);
    world.set_node(api_node("node-1", ROOM));
    world.create("a", &[("cpu", "1500m")]);
    world.create("b", &[("cpu", "1500m")]);
    world.catch_up();
    assert_eq!(world.decide_all(), ["a node-1"]);
    assert_eq!(
        events(&mut world.engine),
        [
            "FailedScheduling: 0/1 nodes are available: 1 Insufficient cpu. preemption: 0/1 nodes are available: \
             1 No preemption victims found for incoming pod."
        ]
    );
    let key = ObjectKey::new::<Pod>("default", "a");
    assert_eq!(
        world.engine.snapshot().pod(&key).unwrap().placement,
        Placement::Assumed
    );
    world.deliver_all();
    world.catch_up();
    assert_eq!(
        world.engine.snapshot().pod(&key).unwrap().placement,
        Placement::Bound
    );
    assert_eq!(
        events(&mut world.engine),
        ["Scheduled: Successfully assigned default/a to node-1"]
    );
    world.delete("a");
    world.now += Duration::from_secs(1);
    world.catch_up();
    assert_eq!(world.decide_all(), ["b node-1"]);
}

#[tokio::test(start_paused = true)]
async fn a_refused_binding_is_forgotten_and_a_lost_answer_is_found_out() {
    let mut world = World::new(1);
    world.set_node(api_node("node-1", ROOM));
    for name in ["bound", "replaced", "gone"] {
        world.create(name, &[("cpu", "100m")]);
    }
    world.catch_up();
    assert_eq!(world.decide_all().len(), 3);
    let sent = std::mem::take(&mut world.sent);
    assert!(world.arrive(&sent[0]));
    world.delete("replaced");
    world.create("replaced", &[("cpu", "200m")]);
    world.delete("gone");
    for binding in &sent {
        world.refuse(binding);
    }
    let snapshot = world.engine.snapshot();
    assert_eq!(snapshot.pod_count(), 1);
    assert_eq!(snapshot.node_named("node-1").unwrap().requested.cpu, 100);
    // The stream still has to tell all of it, and changes nothing.
    world.catch_up();
    assert_eq!(world.decide_all(), ["replaced node-1"]);
    assert_eq!(
        world
            .engine
            .snapshot()
            .node_named("node-1")
            .unwrap()
            .requested
            .cpu,
        300
    );
    assert_eq!(world.node_of("bound"), "node-1");
}

#[tokio::test(start_paused = true)]
async fn nothing_is_decided_while_the_cluster_is_listed() {
    let mut world = World::new(1);
    world.set_node(api_node("node-1", ROOM));
    world.create("a", &[]);
    world.catch_up();
    world.engine.apply(&Delta::Restarted, world.now, wall()).unwrap();
    assert!(world.step().is_none());
    world.engine.apply(&Delta::Synced(9), world.now, wall()).unwrap();
    assert_eq!(world.engine.revision(), 9);
    assert!(matches!(world.step(), Some(Outcome::Bind(_))));
}

#[tokio::test(start_paused = true)]
async fn only_own_pods_that_are_neither_gated_nor_going_are_placed() {
    let mut world = World::new(1);
    world.set_node(api_node("node-1", ROOM));
    let mut others = pod("others", &[]);
    others.spec.as_mut().unwrap().scheduler_name = "another".into();
    let mut gated = pod("gated", &[]);
    gated.spec.as_mut().unwrap().scheduling_gates = vec![Default::default()];
    let mut going = pod("going", &[]);
    going.metadata_mut().deletion_timestamp = Some(proto::Timestamp::default());
    let mut done = pod("done", &[("cpu", "1")]);
    done.spec.as_mut().unwrap().node_name = "node-1".into();
    done.status.get_or_insert_default().phase = "Succeeded".into();
    for pod in [others, gated.clone(), going, done] {
        world.set_pod(pod);
    }
    world.catch_up();
    assert!(world.decide_all().is_empty());
    assert_eq!(world.engine.snapshot().pod_count(), 0);
    let [Report::Condition(write)] = &world.engine.take_reports()[..] else {
        panic!("a gated pod's condition is to be written, and nothing else");
    };
    let Some(Operation::Patch(patch)) = &write.operation else {
        panic!("a condition is a patch");
    };
    assert!(patch.name == "gated" && patch.patch.contains("SchedulingGated"));
    gated.spec.as_mut().unwrap().scheduling_gates.clear();
    world.set_pod(gated);
    world.catch_up();
    assert_eq!(world.decide_all(), ["gated node-1"]);
}

#[tokio::test(start_paused = true)]
async fn a_condition_that_the_pod_has_is_not_written_again() {
    let mut world = World::new(1);
    world.create("a", &[]);
    world.catch_up();
    world.decide_all();
    let reports = world.engine.take_reports();
    let Report::Condition(write) = &reports[1] else {
        panic!("no condition in {reports:?}");
    };
    let Some(Operation::Patch(patch)) = &write.operation else {
        panic!("a condition is a patch");
    };
    assert!(patch.patch.contains("no nodes available to schedule pods"));
    let mut held = world.pods["a"].clone();
    let conditions = &mut held.status.get_or_insert_default().conditions;
    conditions.push(proto::api::core::v1::PodCondition {
        r#type: "PodScheduled".into(),
        status: "False".into(),
        reason: "Unschedulable".into(),
        message: "no nodes available to schedule pods".into(),
        ..Default::default()
    });
    assert!(get_condition(conditions, "PodScheduled").is_some());
    world.set_pod(held);
    world.catch_up();
    world.now += Duration::from_secs(301);
    world.decide_all();
    assert!(matches!(world.engine.take_reports()[..], [Report::Event { .. }]));
}

/// Reserves at most one Pod a node, and says what it would evict where none fits.
#[derive(Default)]
struct OneANode {
    held: BTreeMap<String, ObjectKey>,
}

impl Plugin for OneANode {
    fn name(&self) -> &'static str {
        "OneANode"
    }
}

impl Reserve for OneANode {
    fn reserve(&mut self, pod: &PodInfo, node: &str, _: &mut Snapshot) -> Result<(), Rejection> {
        if self.held.contains_key(node) {
            return Err(Rejection::error("the node's one place is taken"));
        }
        self.held.insert(node.into(), pod.key.clone());
        Ok(())
    }

    fn unreserve(&mut self, pod: &ObjectKey, node: &str, _: &mut Snapshot) {
        if self.held.get(node) == Some(pod) {
            self.held.remove(node);
        }
    }
}

impl PostFilter for OneANode {
    fn post_filter(
        &mut self,
        _: &PodInfo,
        _: &Plugins,
        snapshot: &mut Snapshot,
        _: &mut Rng,
    ) -> PostFiltered {
        PostFiltered::Nothing(format!("preemption: {} nodes looked at.", snapshot.node_count()))
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_reserved_is_given_back_and_what_helps_is_told() {
    let mut world = World::new(1);
    let plugins = world.plugins();
    plugins.reserves.push(Box::new(OneANode::default()));
    plugins.post_filters = vec![Box::new(OneANode::default())];
    world.set_node(api_node("node-1", ROOM));
    for (name, cpu) in [("a", "100m"), ("b", "100m"), ("large", "64")] {
        world.create(name, &[("cpu", cpu)]);
    }
    world.catch_up();
    assert_eq!(world.decide_all(), ["a node-1"]);
    assert_eq!(
        events(&mut world.engine),
        [
            "FailedScheduling: the node's one place is taken",
            "FailedScheduling: 0/1 nodes are available: 1 Insufficient cpu. preemption: 1 nodes looked at.",
        ]
    );
    // The first is deleted before its binding arrives, so the second gets its place.
    world.delete("a");
    world.deliver_all();
    world.catch_up();
    world.now += Duration::from_secs(1);
    assert_eq!(world.decide_all(), ["b node-1"]);
    assert_eq!(world.engine.snapshot().pod_count(), 1);
}

/// Evicts the first Pod that it finds.
struct EvictAnyone;

impl Plugin for EvictAnyone {
    fn name(&self) -> &'static str {
        "EvictAnyone"
    }
}

impl PostFilter for EvictAnyone {
    fn post_filter(
        &mut self,
        pod: &PodInfo,
        _: &Plugins,
        snapshot: &mut Snapshot,
        _: &mut Rng,
    ) -> PostFiltered {
        if snapshot.nomination(&pod.uid).is_some() {
            return PostFiltered::Wait;
        }
        let Some(placed) = snapshot.placed_pods().next() else {
            return PostFiltered::Nothing(String::new());
        };
        PostFiltered::Room(Room {
            node: snapshot.node(placed.slot).name.clone(),
            victims: vec![Victim {
                key: placed.key.clone(),
                uid: placed.uid.clone(),
                priority: 0,
                violates_budget: false,
                graceful: false,
            }],
            why: "the first".into(),
        })
    }
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_room_is_made_for_is_tried_when_its_victims_are_gone_and_nobody_takes_the_room() {
    let mut world = World::new(1);
    world.plugins().post_filters = vec![Box::new(EvictAnyone)];
    world.set_node(api_node("node-1", ROOM));
    world.create("small", &[("cpu", "1500m")]);
    world.catch_up();
    world.decide_all();
    world.deliver_all();
    world.create("large", &[("cpu", "2")]);
    world.catch_up();
    let Some(Outcome::Preempt(preemption)) = world.step() else {
        panic!("room is to be made");
    };
    assert_eq!(&*preemption.room.victims[0].key.name, "small");
    assert_eq!(world.engine.queue().lengths().unschedulable, 1);
    // The room is promised: another of the same priority does not get it.
    world.delete("small");
    world.create("rival", &[("cpu", "1")]);
    world.catch_up();
    world.now += Duration::from_secs(1);
    assert_eq!(world.decide_all(), ["large node-1"]);
}

#[tokio::test(start_paused = true)]
async fn room_that_the_api_no_longer_promises_is_free_for_others() {
    let mut world = World::new(1);
    world.set_node(api_node("node-1", ROOM));
    let mut large = pod("large", &[("cpu", "64")]);
    large.status.get_or_insert_default().nominated_node_name = "node-1".into();
    large.metadata_mut().uid = "large".into();
    world.set_pod(large.clone());
    world.catch_up();
    assert!(
        world.engine.snapshot().nomination("large").is_some(),
        "as after a restart"
    );
    large.status.get_or_insert_default().nominated_node_name.clear();
    world.set_pod(large);
    world.catch_up();
    assert!(world.engine.snapshot().nomination("large").is_none());
    world.create("small", &[("cpu", "1")]);
    world.catch_up();
    assert_eq!(world.decide_all(), ["small node-1"]);
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_is_bound_is_not_decided_on_again_for_news_from_before_its_bind() {
    let mut world = World::new(1);
    world.set_node(api_node("node-1", ROOM));
    world.create("web", &[("cpu", "1")]);
    world.catch_up();
    assert!(matches!(world.step(), Some(Outcome::Bind(_))));
    // Somebody writes its status before the bind arrives; the stream tells so only after the API has answered.
    let mut touched = world.pods["web"].clone();
    touched.status.get_or_insert_default().message = "seen".into();
    world.set_pod(touched);
    world.deliver_all();
    world.hear(1);
    assert!(world.decide_all().is_empty());
    world.catch_up();
    let placed = world.engine.snapshot().placed_pods().next().unwrap();
    assert_eq!(placed.placement, Placement::Bound);
}
