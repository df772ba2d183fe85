//! Exactness: over random clusters that change, every plugin's verdict and score is the naive one's, and the node that is chosen has the
//! highest total. All nodes are filtered and scored, as with upstream's `percentageOfNodesToScore: 100`.
//!
//! `REFERENCE_CASES` says how many clusters, `REFERENCE_SEED` which one to begin with: a failure prints its own.

mod naive;
mod random;
mod room;
mod volumes;

use client::ObjectKey;
use component_base::rng::{Rng, Seed};
use naive::World;
use proto::api::core::v1::{Namespace, Node, Pod};
use proto::{Kind, Object};
use random::Draw;
use scheduler::cycle::{Appraisal, Cycle};
use scheduler::framework::{PostFilter, PostFiltered};
use scheduler::plugins::default_preemption::DefaultPreemption;
use scheduler::pod::{Classes, PodInfo};
use scheduler::registry::Plugins;
use scheduler::snapshot::{Placement, Snapshot};
use std::collections::{BTreeMap, BTreeSet};

/// How many clusters, unless the environment says otherwise. Each is judged again after each of its changes.
const CASES: u64 = 100_000;
/// How often each cluster changes.
const CHANGES: usize = 3;
/// As many as the machines that run this have cores.
const THREADS: u64 = 2;

/// The scheduler's side of a world.
struct Kept {
    plugins: Plugins,
    snapshot: Snapshot,
    cycle: Cycle,
    classes: Classes,
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name)
        .ok()
        .map_or(default, |text| text.parse().expect("a number"))
}

#[test]
fn every_verdict_score_and_choice_is_the_naive_one() {
    let (cases, first) = (number("REFERENCE_CASES", CASES), number("REFERENCE_SEED", 0));
    let (feasible, rooms) = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| {
                scope.spawn(move || {
                    let seeds = (first + thread..first + cases).step_by(THREADS as usize);
                    seeds.map(case).fold((0, 0), sum)
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().expect("a case failed, see above"))
            .fold((0, 0), sum)
    });
    // Rules that refuse everything would show nothing.
    assert!(
        feasible as u64 > cases,
        "only {feasible} nodes took a pod in {cases} clusters"
    );
    assert!(
        rooms as u64 > cases / 50,
        "room was made only {rooms} times in {cases} clusters"
    );
}

fn sum(a: (usize, usize), b: (usize, usize)) -> (usize, usize) {
    (a.0 + b.0, a.1 + b.1)
}

/// One cluster; how many nodes took Pods, and how often room was made for one.
fn case(seed: u64) -> (usize, usize) {
    let mut rng = Seed(seed).fork("world");
    let mut ties = Seed(seed).fork("ties");
    let mut draw = Draw(&mut rng);
    let mut world = draw.world();
    let mut kept = Kept {
        plugins: Plugins::all(),
        snapshot: Snapshot::new(),
        cycle: Cycle::default(),
        classes: Classes::default(),
    };
    for (name, labels) in &world.namespaces {
        let mut namespace = Namespace::default();
        namespace.metadata_mut().name.clone_from(name);
        namespace.metadata_mut().labels.clone_from(labels);
        tell(&mut kept, &namespace);
    }
    for service in &world.services {
        tell(&mut kept, service);
    }
    for budget in &world.budgets {
        tell(&mut kept, budget);
    }
    let storage = &world.storage;
    tell_all(&mut kept, &storage.classes);
    tell_all(&mut kept, &storage.volumes);
    tell_all(&mut kept, &storage.claims);
    tell_all(&mut kept, &storage.nodes);
    tell_all(&mut kept, &storage.drivers);
    tell_all(&mut kept, &storage.capacities);
    for node in world.nodes.values() {
        kept.snapshot.set_node(node);
    }
    for pod in world.pods.values() {
        place(&mut kept, pod);
    }
    for pod in &world.promised {
        let info = PodInfo::of(pod, 1, &mut kept.classes);
        kept.snapshot
            .nominate(&info, Some(&pod.spec.as_ref().expect("a spec").node_name));
    }
    let mut asking = draw.pod("asking");
    let mut counts = compare(seed, &world, &mut kept, &asking, &mut ties);
    for change in 0..CHANGES {
        change_one(&mut draw, &mut world, &mut kept, change);
        if draw.below(3) == 0 {
            asking = draw.pod("asking");
        }
        counts = sum(counts, compare(seed, &world, &mut kept, &asking, &mut ties));
    }
    counts
}

fn tell<K: Kind>(kept: &mut Kept, object: &K) {
    let key = ObjectKey::of(object);
    let told = kept.snapshot.set_object(&key, Some(&Object::encode_from(object)));
    told.expect("the object decodes");
}

fn tell_all<K: Kind>(kept: &mut Kept, objects: &BTreeMap<String, K>) {
    for object in objects.values() {
        tell(kept, object);
    }
}

fn place(kept: &mut Kept, pod: &Pod) {
    let info = PodInfo::of(pod, 1, &mut kept.classes);
    let node = &pod.spec.as_ref().expect("every pod here has a spec").node_name;
    kept.snapshot.place(&info, node, Placement::Bound);
}

/// A node, a Pod, a claim or a volume comes, changes or goes.
fn change_one(draw: &mut Draw<'_>, world: &mut World, kept: &mut Kept, change: usize) {
    match draw.below(7) {
        5 => {
            let claim = draw.claim();
            tell(kept, &claim);
            let name = format!("{}/{}", claim.namespace(), claim.name());
            world.storage.claims.insert(name, claim);
        }
        6 => {
            let number = draw.below(5);
            let volume = draw.volume(number);
            tell(kept, &volume);
            world.storage.volumes.insert(volume.name().into(), volume);
        }
        0 => {
            let number = draw.below(7);
            let node: Node = draw.node(number);
            kept.snapshot.set_node(&node);
            world.nodes.insert(node.name().into(), node);
        }
        1 => {
            let name = format!("node-{}", draw.below(7));
            kept.snapshot.remove_node(&name);
            world.nodes.remove(&name);
        }
        2 => {
            let name = format!("pod-{}", draw.below(9));
            if let Some(pod) = world.pods.remove(&name) {
                kept.snapshot.remove_pod(&ObjectKey::of(&pod));
            }
        }
        _ => {
            let pod = draw.placed(&format!("more-{change}"), 6);
            place(kept, &pod);
            world.pods.insert(pod.name().into(), pod);
        }
    }
}

/// Compares everything that is said of a Pod; how many nodes take it, and whether room is made.
fn compare(seed: u64, world: &World, kept: &mut Kept, pod: &Pod, ties: &mut Rng) -> (usize, usize) {
    let again = format!("REFERENCE_SEED={seed} REFERENCE_CASES=1");
    let info = PodInfo::of(pod, 1, &mut kept.classes);
    let appraisal = Appraisal::of(&kept.plugins, &info, &mut kept.snapshot);
    let expected: BTreeMap<&str, Option<&str>> = world
        .nodes
        .values()
        .map(|node| (node.name(), world.filter(pod, node)))
        .collect();
    let mut told: BTreeMap<&str, Option<&str>> = BTreeMap::new();
    for node in &appraisal.nodes {
        let refused = node.verdict.as_ref().err();
        let plugin = refused.map(|(place, _)| kept.plugins.filters[*place].name());
        told.insert(&kept.snapshot.node(node.slot).name, plugin);
    }
    assert_eq!(told, expected, "verdicts: {again}\n{pod:?}");
    let feasible: Vec<&Node> = world
        .nodes
        .values()
        .filter(|node| expected[node.name()].is_none())
        .collect();
    let mut totals: BTreeMap<&str, i64> = feasible.iter().map(|node| (node.name(), 0)).collect();
    for (plugin, weight, scores) in world.scores(pod, &feasible) {
        // A plugin that has no opinion gives every node the same.
        let mut silent = Vec::new();
        for (node, score) in feasible.iter().zip(&scores) {
            *totals.entry(node.name()).or_default() += weight * score;
            let slot = kept.snapshot.slot_named(node.name()).expect("the node is there");
            let appraised = appraisal.nodes.iter().find(|appraised| appraised.slot == slot);
            let verdict = appraised.and_then(|appraised| appraised.verdict.as_ref().ok());
            let scored = verdict
                .into_iter()
                .flatten()
                .find(|scored| kept.plugins.scores[scored.place].plugin.name() == plugin);
            match scored {
                Some(scored) => assert_eq!(
                    (scored.score, scored.weight),
                    (*score, weight),
                    "{plugin} on {}: {again}\n{pod:?}",
                    node.name()
                ),
                None => silent.push(*score),
            }
        }
        silent.dedup();
        assert!(
            silent.len() <= 1,
            "{plugin} says nothing, and should say {scores:?}: {again}\n{pod:?}"
        );
    }
    let mut made = 0;
    if feasible.is_empty() {
        made = usize::from(compare_rooms(&again, world, kept, &info, pod, ties));
    }
    let highest = totals.values().copied().max();
    let chosen = kept.cycle.decide(&kept.plugins, &info, &mut kept.snapshot, ties);
    let chosen = chosen.map(|slot| kept.snapshot.node(slot).name.clone());
    match chosen {
        None => assert!(
            highest.is_none(),
            "no node was chosen of {totals:?}: {again}\n{pod:?}"
        ),
        Some(node) => assert_eq!(
            totals.get(&*node).copied(),
            highest,
            "{node} of {totals:?}: {again}\n{pod:?}"
        ),
    }
    (feasible.len(), made)
}

/// Compares where room is made for a Pod that no node takes, and who must go; whether there is any.
fn compare_rooms(
    again: &str,
    world: &World,
    kept: &mut Kept,
    info: &PodInfo,
    pod: &Pod,
    ties: &mut Rng,
) -> bool {
    let rooms = world.rooms(pod);
    // All nodes are looked at.
    let mut preemption = DefaultPreemption::new(100, u32::MAX);
    let found = preemption.post_filter(info, &kept.plugins, &mut kept.snapshot, ties);
    let PostFiltered::Room(room) = found else {
        assert!(rooms.is_empty(), "{found:?} of {rooms:?}: {again}\n{pod:?}");
        return false;
    };
    let Some((victims, cost)) = rooms.get(&*room.node) else {
        panic!("{room:?} of {rooms:?}: {again}\n{pod:?}");
    };
    let told: BTreeSet<String> = room
        .victims
        .iter()
        .map(|victim| victim.key.name.to_string())
        .collect();
    assert_eq!(told, *victims, "victims on {}: {again}\n{pod:?}", room.node);
    let least = rooms.values().map(|(_, cost)| cost).min();
    assert_eq!(Some(cost), least, "{} of {rooms:?}: {again}\n{pod:?}", room.node);
    true
}
