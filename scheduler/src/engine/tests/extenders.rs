//! Pods that extenders have a say about.

use super::*;
use crate::extender::{Extender, Extenders};

fn with_extender(resources: &[&str]) -> World {
    let mut world = World::new(1);
    world.plugins().extenders = Extenders::new(vec![Extender {
        filter: Some("filter".into()),
        preempt: Some("preempt".into()),
        managed_resources: resources.iter().map(ToString::to_string).collect(),
        ..Extender::default()
    }]);
    world
}

#[tokio::test(start_paused = true)]
async fn pods_that_extenders_have_a_say_about_are_asked_about_one_at_a_time_and_others_go_on() {
    let mut world = with_extender(&["example.com/gpu"]);
    let room: &Amounts<'_> = &[
        ("cpu", "2"),
        ("memory", "8Gi"),
        ("pods", "10"),
        ("example.com/gpu", "4"),
    ];
    world.set_node(api_node("node-1", room));
    world.set_node(api_node("node-2", room));
    for name in ["gpu-1", "gpu-2"] {
        world.create(name, &[("example.com/gpu", "1")]);
    }
    world.create("plain", &[("cpu", "100m")]);
    world.catch_up();
    let question = world.question();
    assert_eq!(&*question.pod.key.name, "gpu-1");
    let About::Nodes(nodes) = &question.about else {
        panic!("about nodes")
    };
    assert_eq!(nodes.len(), 2);
    let others = world.decide_all();
    assert!(others.len() == 1 && others[0].starts_with("plain"), "{others:?}");
    assert!(!world.engine.is_ready(), "the other gpu waits for its turn");
    // It scores one node higher than all plugins together can.
    let said = Said::Nodes(vec![("node-1".into(), 0), ("node-2".into(), 100_000)], vec![]);
    let Some(Outcome::Bind(binding)) = world.answer(&question.pod, Ok(said)) else {
        panic!("a node was chosen")
    };
    assert_eq!(&*binding.node, "node-2");
    let question = world.question();
    assert_eq!(&*question.pod.key.name, "gpu-2");
    world.delete("gpu-2");
    world.catch_up();
    let said = Said::Nodes(vec![("node-1".into(), 0)], vec![]);
    assert!(world.answer(&question.pod, Ok(said)).is_none(), "it is gone");
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_extenders_refuse_says_why_and_any_event_may_help_it() {
    let mut world = with_extender(&[]);
    world.set_node(api_node("node-1", ROOM));
    world.set_node(api_node("node-2", &[("cpu", "0"), ("pods", "10")]));
    world.create("web", &[("cpu", "1")]);
    world.catch_up();
    let question = world.question();
    let refused = Said::Nodes(vec![], vec![Rejection::unschedulable("too hot")]);
    assert!(matches!(
        world.answer(&question.pod, Ok(refused)),
        Some(Outcome::Unschedulable)
    ));
    let said = events(&mut world.engine);
    assert!(
        said[0].contains("0/2 nodes are available: 1 Insufficient cpu, 1 too hot."),
        "{said:?}"
    );
    // A label, which no plugin that refused a node asks for.
    let mut node = api_node("node-1", ROOM);
    node.metadata_mut().labels.insert("cooled".into(), "yes".into());
    world.set_node(node);
    world.catch_up();
    world.now += Duration::from_secs(11);
    let question = world.question();
    // The node is full by the time of the answer: nobody is overcommitted.
    let mut rival = pod("rival", &[("cpu", "2")]);
    rival.metadata_mut().uid = "rival".into();
    rival.spec.as_mut().unwrap().node_name = "node-1".into();
    world.set_pod(rival);
    world.catch_up();
    let said = Said::Nodes(vec![("node-1".into(), 0)], vec![]);
    assert!(matches!(
        world.answer(&question.pod, Ok(said)),
        Some(Outcome::Unschedulable)
    ));
    world.assert_no_overcommitment();
}

#[tokio::test(start_paused = true)]
async fn a_pod_is_tried_again_when_an_extender_has_failed() {
    let mut world = with_extender(&[]);
    world.set_node(api_node("node-1", ROOM));
    world.create("web", &[("cpu", "1")]);
    world.catch_up();
    let question = world.question();
    let failed = world.answer(&question.pod, Err("extender x: no power".into()));
    assert!(matches!(failed, Some(Outcome::Error)));
    assert!(events(&mut world.engine)[0].contains("no power"));
    assert_eq!(world.engine.queue().lengths().backoff, 1);
    world.now += Duration::from_secs(1);
    assert_eq!(&*world.question().pod.key.name, "web");
}

#[tokio::test(start_paused = true)]
async fn extenders_choose_the_room_that_is_made() {
    let mut world = with_extender(&[]);
    world.set_node(api_node("node-1", ROOM));
    world.set_node(api_node("node-2", ROOM));
    for (name, node) in [("low-1", "node-1"), ("low-2", "node-2")] {
        let mut low = pod(name, &[("cpu", "2")]);
        low.metadata_mut().uid = name.into();
        low.spec.as_mut().unwrap().node_name = node.into();
        world.set_pod(low);
    }
    let mut high = pod("high", &[("cpu", "2")]);
    high.metadata_mut().uid = "high".into();
    high.spec.as_mut().unwrap().priority = Some(10);
    world.set_pod(high);
    world.catch_up();
    // No node is left to ask about, so the first question is about rooms.
    let question = world.question();
    let About::Rooms(rooms, diagnosis) = question.about else {
        panic!("about rooms")
    };
    assert_eq!(rooms.len(), 2);
    let last = rooms.last().cloned().unwrap();
    let said = Said::Rooms(vec![last.clone()], diagnosis);
    let Some(Outcome::Preempt(preemption)) = world.answer(&question.pod, Ok(said)) else {
        panic!("room is to be made")
    };
    assert_eq!(preemption.room.node, last.node);
}
