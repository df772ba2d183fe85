//! The queue's rules one by one, and against a model that keeps one flat list.

use super::*;
use crate::framework::{Change, Changed, ClusterEvent};
use crate::registry::Plugins;
use crate::snapshot::Snapshot;
use crate::testing::{class, info};
use component_base::clock::Clock;
use proptest::prelude::*;
use std::collections::BTreeSet;

fn pod(name: &str, priority: i32) -> PodInfo {
    let mut class = class(&[]);
    class.priority = priority;
    info(name, &class)
}

/// Wakes the Pods that an event helps.
fn wake(queue: &mut Queue, event: ClusterEvent, plugins: &Plugins, now: Instant) {
    let change = Change::new(event, Changed::Other);
    let snapshot = Snapshot::new();
    queue.wake(now, |set, pod, _| plugins.helps(set, pod, &change, &snapshot));
}

/// The plugins, and the place of one of them.
fn plugin(name: &str) -> (Plugins, PluginSet) {
    let plugins = Plugins::all();
    let mut set = PluginSet::default();
    set.insert(
        plugins
            .filters
            .iter()
            .position(|plugin| plugin.name() == name)
            .unwrap(),
    );
    (plugins, set)
}

fn popped(queue: &mut Queue, now: Instant) -> Vec<String> {
    std::iter::from_fn(|| queue.pop(now))
        .map(|queued| queued.pod.key.name.to_string())
        .collect()
}

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn pods_go_by_priority_then_in_the_order_they_came() {
    let now = Clock::system().now();
    let mut queue = Queue::new(BackoffBounds::default());
    for (name, priority) in [("a", 0), ("b", 10), ("c", 0), ("d", 10)] {
        assert!(queue.upsert(pod(name, priority), now));
    }
    assert!(!queue.upsert(pod("c", 20), now));
    assert_eq!(popped(&mut queue, now), ["c", "b", "d", "a"]);
}

#[tokio::test(start_paused = true)]
async fn a_failed_pod_waits_twice_as_long_each_time_up_to_ten_seconds() {
    let mut now = Clock::system().now();
    let mut queue = Queue::new(BackoffBounds::default());
    queue.upsert(pod("a", 0), now);
    for seconds in [1, 2, 4, 8, 10, 10] {
        let taken = queue.pop(now).unwrap();
        queue.fail(&taken.pod.key, now);
        let due = now + seconds * SECOND;
        assert_eq!(queue.next_due(), Some(due));
        assert!(queue.pop(due - Duration::from_millis(1)).is_none());
        now = due;
    }
    assert_eq!(popped(&mut queue, now), ["a"]);
}

#[tokio::test(start_paused = true)]
async fn an_unschedulable_pod_waits_for_an_event_that_its_plugins_ask_for() {
    let start = Clock::system().now();
    let (plugins, fit) = plugin("NodeResourcesFit");
    let mut queue = Queue::new(BackoffBounds::default());
    queue.upsert(pod("a", 0), start);
    let key = queue.pop(start).unwrap().pod.key.clone();
    queue.fail_unschedulable(&key, fit, start);
    wake(&mut queue, ClusterEvent::NodeLabels, &plugins, start);
    assert!(queue.pop(start).is_none());
    // The first event that may help is taken at once.
    wake(&mut queue, ClusterEvent::AssignedPodDeleted, &plugins, start);
    assert_eq!(queue.pop(start).unwrap().attempts, 2);
    // Too soon after the second failure, it waits its second first.
    queue.fail_unschedulable(&key, fit, start);
    let soon = start + SECOND / 2;
    wake(&mut queue, ClusterEvent::NodeAdded, &plugins, soon);
    assert_eq!(queue.get(&key).unwrap().place, Place::Backoff);
    assert!(queue.pop(soon).is_none());
    assert!(queue.pop(start + SECOND).is_some());
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_no_event_helps_is_tried_again_after_five_minutes() {
    let start = Clock::system().now();
    let (_, fit) = plugin("NodeResourcesFit");
    let mut queue = Queue::new(BackoffBounds::default());
    queue.upsert(pod("a", 0), start);
    let key = queue.pop(start).unwrap().pod.key.clone();
    queue.fail_unschedulable(&key, fit, start);
    assert_eq!(queue.next_due(), Some(start + STALE_AFTER));
    assert!(queue.pop(start + STALE_AFTER - SECOND).is_none());
    assert!(queue.pop(start + STALE_AFTER).is_some());
}

#[tokio::test(start_paused = true)]
async fn gates_hold_a_pod_and_a_changed_pod_is_tried_again() {
    let now = Clock::system().now();
    let (_, fit) = plugin("NodeResourcesFit");
    let gated = |gated| PodInfo { gated, ..pod("a", 0) };
    let mut queue = Queue::new(BackoffBounds::default());
    assert!(queue.upsert(gated(true), now));
    assert!(queue.pop(now).is_none());
    assert!(!queue.upsert(gated(true), now));
    assert!(!queue.upsert(gated(false), now));
    let key = queue.pop(now).unwrap().pod.key.clone();
    queue.fail_unschedulable(&key, fit, now);
    let later = now + SECOND;
    let smaller = info("a", &class(&[("cpu", "1m")]));
    queue.upsert(smaller, later);
    assert_eq!(popped(&mut queue, later), ["a"]);
    let lengths = queue.lengths();
    assert_eq!(lengths, Lengths::default());
}

#[tokio::test(start_paused = true)]
async fn a_new_pod_of_an_old_name_starts_afresh() {
    let now = Clock::system().now();
    let mut queue = Queue::new(BackoffBounds::default());
    queue.upsert(pod("a", 0), now);
    let key = queue.pop(now).unwrap().pod.key.clone();
    queue.fail(&key, now);
    let reborn = PodInfo {
        uid: "another".into(),
        ..pod("a", 0)
    };
    assert!(queue.upsert(reborn, now));
    assert_eq!(queue.pop(now).unwrap().attempts, 1);
}

#[derive(Clone, Debug)]
enum Op {
    Upsert { pod: u8, priority: i32, gated: bool },
    Remove(u8),
    Pop,
    Fail(u8),
    FailUnschedulable(u8, u8),
    Wake(u8),
    Wait(u16),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => (0..6u8, 0..3i32, any::<bool>())
            .prop_map(|(pod, priority, gated)| Op::Upsert { pod, priority, gated: gated && pod == 0 }),
        1 => (0..6u8).prop_map(Op::Remove),
        4 => Just(Op::Pop),
        2 => (0..6u8).prop_map(Op::Fail),
        3 => (0..6u8, 0..6u8).prop_map(|(pod, plugin)| Op::FailUnschedulable(pod, plugin)),
        2 => (0..5u8).prop_map(Op::Wake),
        3 => (1..400u16).prop_map(Op::Wait),
    ]
}

/// A Pod in the model.
#[derive(Clone, Debug)]
struct Modelled {
    priority: i32,
    gated: bool,
    place: Place,
    /// When it came to its place, as a count of arrivals.
    arrival: u64,
    since: Instant,
    attempts: u32,
    until: Instant,
}

/// The queue as one list that is searched from end to end.
struct Model {
    pods: BTreeMap<u8, Modelled>,
    arrivals: u64,
}

impl Model {
    fn put(&mut self, pod: u8, place: Place, now: Instant) {
        self.arrivals += 1;
        let modelled = self.pods.get_mut(&pod).unwrap();
        (modelled.place, modelled.since, modelled.arrival) = (place, now, self.arrivals);
    }

    fn ready(&self, pod: u8, now: Instant) -> Place {
        if self.pods[&pod].until <= now {
            Place::Active
        } else {
            Place::Backoff
        }
    }

    /// The Pods that `wanted` accepts, in the order that `order` gives.
    fn all<K: Ord>(&self, wanted: impl Fn(&Modelled) -> bool, order: impl Fn(&Modelled) -> K) -> Vec<u8> {
        let mut found: Vec<_> = self.pods.iter().filter(|(_, pod)| wanted(pod)).collect();
        found.sort_by_key(|(_, pod)| order(pod));
        found.into_iter().map(|(number, _)| *number).collect()
    }

    fn pop(&mut self, now: Instant) -> Option<u8> {
        let due = self.all(
            |p| p.place == Place::Backoff && p.until <= now,
            |p| (p.until, p.arrival),
        );
        for pod in due {
            self.put(pod, Place::Active, now);
        }
        let stale = |p: &Modelled| matches!(p.place, Place::Unschedulable(_)) && p.since + STALE_AFTER <= now;
        for pod in self.all(stale, |p| (p.since, p.arrival)) {
            self.put(pod, Place::Active, now);
        }
        let active = self.all(|p| p.place == Place::Active, |p| (Reverse(p.priority), p.arrival));
        let pod = *active.first()?;
        self.pods.get_mut(&pod).unwrap().attempts += 1;
        self.put(pod, Place::Taken, now);
        Some(pod)
    }
}

proptest! {
    #[test]
    fn the_queue_does_what_a_flat_list_does(ops in prop::collection::vec(op(), 1..120)) {
        let runtime = tokio::runtime::Builder::new_current_thread().start_paused(true).enable_time().build().unwrap();
        let _entered = runtime.enter();
        let mut now = Clock::system().now();
        let plugins = Plugins::all();
        let mut queue = Queue::new(BackoffBounds::default());
        let mut model = Model { pods: BTreeMap::new(), arrivals: 0 };
        let name = |number: u8| format!("pod-{number}");
        let key = |number: u8| pod(&name(number), 0).key;
        for op in ops {
            match op {
                Op::Upsert { pod: number, priority, gated } => {
                    queue.upsert(PodInfo { gated, ..pod(&name(number), priority) }, now);
                    let Some(known) = model.pods.get_mut(&number) else {
                        let place = if gated { Place::Gated } else { Place::Active };
                        let modelled =
                            Modelled { priority, gated, place, arrival: 0, since: now, attempts: 0, until: now };
                        model.pods.insert(number, modelled);
                        model.put(number, place, now);
                        continue;
                    };
                    // Each Pod here has a class of its own copy, so every change asks for another try.
                    (known.priority, known.gated) = (priority, gated);
                    if known.place != Place::Taken {
                        let place = if gated { Place::Gated } else { model.ready(number, now) };
                        model.put(number, place, now);
                    }
                }
                Op::Remove(number) => {
                    let removed = queue.remove(&key(number)).is_some();
                    prop_assert_eq!(removed, model.pods.remove(&number).is_some());
                }
                Op::Pop => {
                    let expected = model.pop(now).map(name);
                    let taken = queue.pop(now).map(|queued| queued.pod.key.name.to_string());
                    prop_assert_eq!(taken, expected);
                }
                Op::Fail(number) | Op::FailUnschedulable(number, _) => {
                    let mut place = Place::Backoff;
                    if let Op::FailUnschedulable(_, plugin) = op {
                        let mut set = PluginSet::default();
                        set.insert(plugin.into());
                        place = Place::Unschedulable(set);
                        queue.fail_unschedulable(&key(number), set, now);
                    } else {
                        queue.fail(&key(number), now);
                    }
                    if let Some(taken) = model.pods.get_mut(&number).filter(|pod| pod.place == Place::Taken) {
                        let counted = taken.attempts.min(6) as usize - usize::from(matches!(op, Op::FailUnschedulable(..)));
                        taken.until = now + SECOND * [0, 1, 2, 4, 8, 10, 10][counted];
                        let place = if taken.gated { Place::Gated } else { place };
                        model.put(number, place, now);
                    }
                }
                Op::Wake(event) => {
                    let event = ClusterEvent::ALL[usize::from(event)];
                    wake(&mut queue, event, &plugins, now);
                    let (change, snapshot) = (Change::new(event, Changed::Other), Snapshot::new());
                    let template = PodTemplate::default();
                    let helped = |pod: &Modelled| match pod.place {
                        Place::Unschedulable(by) => plugins.helps(by, &template, &change, &snapshot),
                        _ => false,
                    };
                    for pod in model.all(helped, |pod| (pod.since, pod.arrival)) {
                        model.put(pod, model.ready(pod, now), now);
                    }
                }
                Op::Wait(seconds) => now += SECOND * u32::from(seconds) / 4,
            }
            for number in 0..6 {
                let place = queue.get(&key(number)).map(|queued| (queued.place, queued.attempts));
                prop_assert_eq!(place, model.pods.get(&number).map(|pod| (pod.place, pod.attempts)));
            }
            let lengths = queue.lengths();
            let count = |wanted: fn(&Place) -> bool| model.pods.values().filter(|pod| wanted(&pod.place)).count();
            prop_assert_eq!(lengths.active, count(|place| *place == Place::Active));
            prop_assert_eq!(lengths.backoff, count(|place| *place == Place::Backoff));
            prop_assert_eq!(lengths.unschedulable, count(|place| matches!(place, Place::Unschedulable(_))));
            prop_assert_eq!(lengths.gated, count(|place| *place == Place::Gated));
            let names: BTreeSet<_> = queue.pods.keys().map(|key| key.name.to_string()).collect();
            prop_assert_eq!(names.len(), model.pods.len());
        }
    }
}
