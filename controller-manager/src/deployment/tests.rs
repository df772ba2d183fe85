//! Rollouts as stories, on a cluster in a map; and the limits that hold whatever happens.

use super::{DeploymentController, limits};
use crate::pods;
use crate::replicaset::ReplicaSetController;
use crate::testing::{
    NAMESPACE, deployment, finish_terminating, live_pods, make_all_ready, make_ready, template,
};
use apimachinery::int_or_string::int;
use apimachinery::meta::get_condition;
use apimachinery::owner::controller_of;
use apimachinery::well_known::{REVISION, REVISION_HISTORY};
use client::controller::{Action, Controller};
use client::testing::World;
use proptest::prelude::*;
use proto::Kind;
use proto::api::apps::v1::{Deployment, DeploymentCondition, DeploymentSpec, ReplicaSet};
use proto::api::core::v1::Pod;
use std::time::Duration;

const CONTROLLERS: [&dyn Controller; 2] = [&DeploymentController, &ReplicaSetController];

fn world() -> World {
    World::of(&CONTROLLERS)
}

fn settle(world: &mut World) -> Vec<Action> {
    world.settle(&CONTROLLERS)
}

/// Lets kubelets do their part until the cluster is at rest.
fn converge(world: &mut World) {
    loop {
        settle(world);
        let idle = live_pods(world).iter().all(pods::is_ready)
            && !world.list::<Pod>().iter().any(pods::is_terminating);
        if idle {
            return;
        }
        make_all_ready(world);
        finish_terminating(world);
    }
}

fn edit(world: &mut World, change: impl FnOnce(&mut DeploymentSpec)) {
    world.edit::<Deployment>(NAMESPACE, "web", |web| change(web.spec.get_or_insert_default()));
}

fn set_image(world: &mut World, image: &str) {
    edit(world, |spec| spec.template = Some(template("web", image)));
}

fn web(world: &World) -> Deployment {
    world.get(NAMESPACE, "web").unwrap()
}

fn condition(world: &World, r#type: &str) -> DeploymentCondition {
    get_condition(&web(world).status.unwrap().conditions, r#type)
        .unwrap()
        .clone()
}

/// Image and replicas of each ReplicaSet that asks for any.
fn sizes(world: &World) -> Vec<(String, i32)> {
    let sets = world
        .list::<ReplicaSet>()
        .into_iter()
        .map(|set| set.spec.unwrap());
    let size = |spec: proto::api::apps::v1::ReplicaSetSpec| {
        let image = spec.template.unwrap().spec.unwrap().containers[0].image.clone();
        (image, spec.replicas.unwrap_or(1))
    };
    let mut sizes: Vec<_> = sets.map(size).filter(|(_, replicas)| *replicas > 0).collect();
    sizes.sort();
    sizes
}

fn at(image: &str, replicas: i32) -> (String, i32) {
    (image.to_owned(), replicas)
}

#[test]
fn a_new_deployment_gets_one_replica_set_with_all_replicas() {
    let mut world = world();
    world.add(&deployment("web", 3));
    settle(&mut world);
    assert_eq!(sizes(&world), [at("one", 3)]);
    assert_eq!(condition(&world, "Progressing").reason, "ReplicaSetUpdated");
    assert_eq!(condition(&world, "Available").status, "False");
    converge(&mut world);
    let status = web(&world).status.unwrap();
    assert_eq!(
        (
            status.replicas,
            status.updated_replicas,
            status.available_replicas
        ),
        (3, 3, 3)
    );
    assert_eq!(condition(&world, "Progressing").reason, "NewReplicaSetAvailable");
    assert_eq!(condition(&world, "Available").reason, "MinimumReplicasAvailable");
    assert_eq!(web(&world).meta().annotations[REVISION], "1");
    let messages: Vec<_> = world
        .events
        .iter()
        .filter(|event| event.reason == "ScalingReplicaSet")
        .collect();
    assert_eq!(messages.len(), 1);
    assert!(
        messages[0].message.ends_with("from 0 to 3"),
        "{}",
        messages[0].message
    );
}

#[test]
fn zero_replicas_cleans_everything_up() {
    let mut world = world();
    world.add(&deployment("web", 3));
    converge(&mut world);
    edit(&mut world, |spec| spec.replicas = Some(0));
    converge(&mut world);
    assert_eq!(world.list::<Pod>().len(), 0);
    assert_eq!(sizes(&world), []);
    edit(&mut world, |spec| spec.replicas = Some(2));
    converge(&mut world);
    assert_eq!(live_pods(&world).len(), 2);
}

#[test]
fn a_new_template_is_rolled_out_and_undone_with_the_replica_set_it_had() {
    let mut world = world();
    world.add(&deployment("web", 4));
    converge(&mut world);
    let first = world.list::<ReplicaSet>()[0].name().to_owned();
    set_image(&mut world, "two");
    settle(&mut world);
    // One more than wanted, and one less may be available.
    assert_eq!(sizes(&world), [at("one", 3), at("two", 2)]);
    converge(&mut world);
    assert_eq!(sizes(&world), [at("two", 4)]);
    assert_eq!(web(&world).meta().annotations[REVISION], "2");
    set_image(&mut world, "one");
    converge(&mut world);
    assert_eq!(sizes(&world), [at("one", 4)]);
    assert_eq!(world.list::<ReplicaSet>().len(), 2);
    let set: ReplicaSet = world.get(NAMESPACE, &first).unwrap();
    assert_eq!(set.meta().annotations[REVISION], "3");
    assert_eq!(set.meta().annotations[REVISION_HISTORY], "1");
    assert_eq!(web(&world).meta().annotations[REVISION], "3");
}

#[test]
fn pods_that_never_become_ready_stop_a_rollout_and_the_deadline_tells() {
    let mut world = world();
    world.add(&deployment("web", 4));
    converge(&mut world);
    set_image(&mut world, "broken");
    settle(&mut world);
    finish_terminating(&mut world);
    settle(&mut world);
    assert_eq!(sizes(&world), [at("broken", 2), at("one", 3)]);
    world.advance(Duration::from_secs(599));
    settle(&mut world);
    assert_eq!(condition(&world, "Progressing").status, "True");
    world.advance(Duration::from_secs(2));
    settle(&mut world);
    assert_eq!(
        condition(&world, "Progressing").reason,
        "ProgressDeadlineExceeded"
    );
    assert_eq!(condition(&world, "Progressing").status, "False");
    assert_eq!(condition(&world, "Available").status, "True");
}

#[test]
fn recreate_waits_until_every_old_pod_is_gone() {
    let mut world = world();
    let mut web = deployment("web", 2);
    web.spec.as_mut().unwrap().strategy.as_mut().unwrap().r#type = "Recreate".into();
    world.add(&web);
    converge(&mut world);
    set_image(&mut world, "two");
    settle(&mut world);
    assert_eq!(sizes(&world), []);
    assert_eq!(world.list::<ReplicaSet>().len(), 1);
    let gone = world.list::<Pod>()[0].clone();
    world.remove(&gone);
    settle(&mut world);
    assert_eq!(world.list::<ReplicaSet>().len(), 1, "one old Pod still ends");
    finish_terminating(&mut world);
    converge(&mut world);
    assert_eq!(sizes(&world), [at("two", 2)]);
}

#[test]
fn a_paused_deployment_scales_but_starts_no_rollout() {
    let mut world = world();
    world.add(&deployment("web", 2));
    converge(&mut world);
    edit(&mut world, |spec| spec.paused = true);
    set_image(&mut world, "two");
    edit(&mut world, |spec| spec.replicas = Some(3));
    converge(&mut world);
    assert_eq!(sizes(&world), [at("one", 3)]);
    assert_eq!(condition(&world, "Progressing").reason, "DeploymentPaused");
    edit(&mut world, |spec| spec.paused = false);
    settle(&mut world);
    converge(&mut world);
    assert_eq!(sizes(&world), [at("two", 3)]);
    assert_eq!(condition(&world, "Progressing").reason, "NewReplicaSetAvailable");
}

#[test]
fn scaling_in_the_middle_of_a_rollout_is_shared_in_proportion() {
    let mut world = world();
    let mut web = deployment("web", 10);
    let rolling = web
        .spec
        .as_mut()
        .unwrap()
        .strategy
        .as_mut()
        .unwrap()
        .rolling_update
        .as_mut()
        .unwrap();
    rolling.max_surge = Some(int(3));
    rolling.max_unavailable = Some(int(2));
    world.add(&web);
    converge(&mut world);
    set_image(&mut world, "two");
    settle(&mut world);
    // The example of Kubernetes' documentation.
    assert_eq!(sizes(&world), [at("one", 8), at("two", 5)]);
    edit(&mut world, |spec| spec.replicas = Some(15));
    settle(&mut world);
    assert_eq!(sizes(&world), [at("one", 11), at("two", 7)]);
}

#[test]
fn old_replica_sets_beyond_the_history_limit_go() {
    let mut world = world();
    let mut web = deployment("web", 1);
    web.spec.as_mut().unwrap().revision_history_limit = Some(1);
    world.add(&web);
    for image in ["one", "two", "three", "four"] {
        set_image(&mut world, image);
        converge(&mut world);
    }
    let mut revisions: Vec<_> = world
        .list::<ReplicaSet>()
        .iter()
        .map(|set| set.meta().annotations[REVISION].clone())
        .collect();
    revisions.sort();
    assert_eq!(revisions, ["3", "4"]);
}

#[test]
fn a_matching_replica_set_is_adopted_and_released_again() {
    let mut world = world();
    world.add(&crate::testing::replica_set("web", 2));
    let owner = world.add(&deployment("web", 2));
    converge(&mut world);
    let set: ReplicaSet = world.get(NAMESPACE, "web").unwrap();
    assert_eq!(controller_of(set.meta()).unwrap().uid, owner.uid());
    assert_eq!(
        sizes(&world),
        [at("one", 2)],
        "the template is the same, so it is the new one"
    );
    world.edit::<ReplicaSet>(NAMESPACE, "web", |set| {
        set.metadata_mut().labels.insert("app".into(), "else".into());
    });
    settle(&mut world);
    let set: ReplicaSet = world.get(NAMESPACE, "web").unwrap();
    assert!(controller_of(set.meta()).is_none());
}

#[test]
fn a_name_that_is_taken_asks_for_another_hash() {
    let mut world = world();
    world.add(&deployment("web", 1));
    let mut probe = self::world();
    probe.add(&deployment("web", 1));
    settle(&mut probe);
    let taken = probe.list::<ReplicaSet>()[0].name().to_owned();
    let mut squatter = crate::testing::replica_set(&taken, 0);
    squatter.spec.as_mut().unwrap().template = Some(template(&taken, "else"));
    world.add(&squatter);
    converge(&mut world);
    assert_eq!(sizes(&world), [at("one", 1)]);
    assert_eq!(web(&world).status.unwrap().collision_count, Some(1));
}

#[test]
fn a_change_of_annotations_reaches_the_replica_set_without_a_rollout() {
    let mut world = world();
    world.add(&deployment("web", 1));
    converge(&mut world);
    world.edit::<Deployment>(NAMESPACE, "web", |web| {
        web.metadata_mut()
            .annotations
            .insert("team".into(), "shop".into());
    });
    settle(&mut world);
    let sets = world.list::<ReplicaSet>();
    assert_eq!(
        (sets.len(), sets[0].meta().annotations["team"].as_str()),
        (1, "shop")
    );
    assert_eq!(sets[0].meta().annotations.get(REVISION_HISTORY), None);
}

/// A step of somebody else than the controllers.
#[derive(Clone, Debug)]
enum Step {
    Scale(i32),
    Image(&'static str),
    Pause(bool),
    Ready(usize),
    Kill(usize),
    Finish,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0..9).prop_map(Step::Scale),
        prop::sample::select(vec!["one", "two", "three"]).prop_map(Step::Image),
        any::<bool>().prop_map(Step::Pause),
        (0..20_usize).prop_map(Step::Ready),
        (0..20_usize).prop_map(Step::Ready),
        (0..20_usize).prop_map(Step::Kill),
        Just(Step::Finish),
    ]
}

fn take(world: &mut World, step: &Step) {
    let pods = live_pods(world);
    let pick = |index: usize| (!pods.is_empty()).then(|| &pods[index % pods.len()]);
    match step {
        Step::Scale(replicas) => edit(world, |spec| spec.replicas = Some(*replicas)),
        Step::Image(image) => set_image(world, image),
        Step::Pause(paused) => edit(world, |spec| spec.paused = *paused),
        Step::Ready(index) => {
            if let Some(pod) = pick(*index) {
                make_ready(world, pod);
            }
        }
        Step::Kill(index) => {
            if let Some(pod) = pick(*index) {
                world.remove(pod);
            }
        }
        Step::Finish => finish_terminating(world),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn limits_hold_at_every_step_and_it_settles_at_what_is_asked_for(steps in prop::collection::vec(step(), 1..30)) {
        let mut world = world();
        world.add(&deployment("web", 4));
        converge(&mut world);
        for step in &steps {
            let available_before = live_pods(&world).iter().filter(|pod| pods::is_ready(pod)).count();
            let scaled_down = matches!(step, Step::Scale(_));
            take(&mut world, step);
            settle(&mut world);
            let web = web(&world);
            let live = live_pods(&world);
            let most = limits::replicas(&web) + limits::max_surge(&web);
            prop_assert!(i32::try_from(live.len()).unwrap() <= most, "{} live, {} allowed", live.len(), most);
            // Only somebody else may take available Pods below the least; the controllers only while above it.
            let least = limits::replicas(&web) - limits::max_unavailable(&web);
            let available = live.iter().filter(|pod| pods::is_ready(pod)).count();
            let killed = usize::from(matches!(step, Step::Kill(_)));
            let floor = usize::try_from(least).unwrap().min(available_before.saturating_sub(killed));
            prop_assert!(scaled_down || available >= floor, "{available} available, {floor} is the least");
        }
        edit(&mut world, |spec| spec.paused = false);
        converge(&mut world);
        let wanted = limits::replicas(&web(&world));
        let image = web(&world).spec.unwrap().template.unwrap().spec.unwrap().containers[0].image.clone();
        let expected = if wanted > 0 { vec![at(&image, wanted)] } else { vec![] };
        prop_assert_eq!(sizes(&world), expected);
        prop_assert_eq!(live_pods(&world).len(), usize::try_from(wanted).unwrap());
    }
}
