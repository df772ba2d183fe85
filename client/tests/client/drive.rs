//! The runtime against a server: right however late the cache is and whatever becomes of the answers.

use crate::fake::{Fake, Fault, stored};
use crate::toy::{Toy, set};
use client::{Action, Controller, run_controllers};
use component_base::metrics::Registry;
use component_base::ready::Progress;
use component_base::rng::Seed;
use component_base::shutdown::Shutdown;
use proto::Kind;
use proto::api::apps::v1::ReplicaSet;
use proto::api::core::v1::{Event, Pod};
use serde_json::json;
use std::time::Duration;
use tokio::task::JoinHandle;

/// A toy controller at work on a server.
struct Cluster {
    fake: Fake,
    metrics: Registry,
    progress: Progress,
    shutdown: Shutdown,
    task: JoinHandle<()>,
}

impl Cluster {
    fn start() -> Self {
        Self::of(Toy::default())
    }

    fn of(toy: Toy) -> Self {
        let (fake, metrics) = (Fake::start(), Registry::new());
        let (progress, shutdown) = (Progress::new("starting"), Shutdown::new());
        let (client, m, p, s) = (
            fake.client("toy"),
            metrics.clone(),
            progress.clone(),
            shutdown.clone(),
        );
        let controllers: Vec<Box<dyn Controller>> = vec![Box::new(toy)];
        let task =
            tokio::spawn(async move { run_controllers(client, controllers, vec![], &m, &p, &s).await });
        Self {
            fake,
            metrics,
            progress,
            shutdown,
            task,
        }
    }

    async fn pass(&self, seconds: u64) {
        self.fake.clock.sleep(Duration::from_secs(seconds)).await;
    }

    /// How many Pods were ever created.
    fn ever_created(&self) -> usize {
        let state = self.fake.state();
        let pods = state.log.iter().filter(|event| {
            event.object.as_ref().unwrap().number == Pod::NUMBER && event.r#type() == proto::EventType::Added
        });
        pods.count()
    }

    fn scale(&self, replicas: i32) {
        self.patch(json!({"spec": {"replicas": replicas}}));
    }

    /// Makes the ReplicaSet's key be reconciled.
    fn wake(&self, round: i32) {
        self.patch(json!({"metadata": {"labels": {"round": round.to_string()}}}));
    }

    fn patch(&self, patch: serde_json::Value) {
        let set: ReplicaSet = self.fake.state().world.get("default", "web").unwrap();
        self.fake.write(&Action::patch(&set, patch));
    }

    /// A counter's value; 0 where it was never counted.
    fn count(&self, name: &str) -> u64 {
        let text = self.metrics.encode();
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(&format!("controller_{name} ")));
        line.map_or(0, |value| value.parse().unwrap())
    }

    async fn stop(self) {
        self.shutdown.trigger();
        self.task.await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_change_becomes_writes_that_say_who_and_why_and_then_all_is_quiet() {
    let cluster = Cluster::start();
    cluster.pass(1).await;
    assert!(cluster.progress.readiness().is_ready());
    cluster.fake.write(&Action::create(&set(3)));
    cluster.pass(5).await;
    assert_eq!(stored::<Pod>(&cluster.fake).len(), 3);
    {
        let state = cluster.fake.state();
        let pods = state
            .log
            .iter()
            .filter(|e| e.object.as_ref().unwrap().number == Pod::NUMBER);
        assert!(
            pods.clone().all(|e| e.actor == "toy" && e.cause == 1),
            "{:?}",
            state.log
        );
        assert_eq!(state.batches[0], 3, "one call for all");
    }
    let events = stored::<Event>(&cluster.fake);
    let pods = stored::<Pod>(&cluster.fake);
    assert_eq!(events.len(), 3);
    for (event, pod) in events.iter().zip(&pods) {
        assert_eq!(event.message, format!("Created pod: {}", pod.name()));
        assert_eq!(event.involved_object.as_ref().unwrap().kind, "ReplicaSet");
    }
    let quiet = cluster.fake.state().world.cache().revision();
    cluster.pass(600).await;
    assert_eq!(cluster.fake.state().world.cache().revision(), quiet);
    assert_eq!(cluster.progress.revision(), quiet);
    let text = cluster.metrics.encode();
    for line in [
        r#"controller_writes_total{controller="toy",action="create",result="ok"} 3"#,
        r#"controller_queue_depth{controller="toy"} 0"#,
        "controller_cache_objects 4",
    ] {
        assert!(text.lines().any(|l| l == line), "{line} in\n{text}");
    }
    cluster.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_cache_that_lags_makes_nobody_act_twice() {
    let cluster = Cluster::start();
    cluster.pass(1).await;
    cluster.fake.state().lag = Duration::from_secs(5);
    cluster.fake.write(&Action::create(&set(3)));
    for round in 0..20 {
        // Wakes the key again and again while its Pods are not yet seen.
        cluster.pass(1).await;
        cluster.wake(round);
    }
    cluster.pass(20).await;
    assert_eq!(
        (stored::<Pod>(&cluster.fake).len(), cluster.ever_created()),
        (3, 3)
    );
    cluster.scale(1);
    for round in 0..20 {
        cluster.pass(1).await;
        cluster.wake(round);
    }
    cluster.pass(20).await;
    assert_eq!(
        (stored::<Pod>(&cluster.fake).len(), cluster.ever_created()),
        (1, 3)
    );
    assert_eq!(
        cluster.count(r#"writes_total{controller="toy",action="delete",result="ok"}"#),
        2
    );
    assert_eq!(
        cluster.count(r#"writes_total{controller="toy",action="delete",result="error"}"#),
        0
    );
    cluster.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_eviction_that_a_budget_refuses_is_asked_for_until_it_is_granted() {
    let cluster = Cluster::of(Toy {
        evicts: true,
        ..Toy::default()
    });
    cluster.pass(1).await;
    cluster.fake.write(&Action::create(&set(3)));
    cluster.pass(5).await;
    cluster.fake.state().protected = 7;
    cluster.scale(0);
    cluster.pass(120).await;
    assert_eq!(
        (stored::<Pod>(&cluster.fake).len(), cluster.ever_created()),
        (0, 3)
    );
    assert_eq!(
        cluster.count(r#"writes_total{controller="toy",action="evict",result="error"}"#),
        7
    );
    cluster.stop().await;
}

/// Grows a ReplicaSet under every fault there is. Each Pod must be created exactly once.
#[test]
fn whatever_happens_each_pod_is_created_once() {
    use rand::RngExt;
    for seed in 0..30 {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(async {
            let mut rng = Seed(seed).fork("chaos");
            let cluster = Cluster::start();
            cluster.fake.write(&Action::create(&set(1)));
            let mut replicas = 1;
            for round in 0..60 {
                cluster
                    .fake
                    .clock
                    .sleep(Duration::from_millis(rng.random_range(0..3000)))
                    .await;
                match rng.random_range(0..8) {
                    0 => cluster.fake.disconnect(),
                    1 => cluster.fake.state().faults.push_back(Fault::LoseAnswer),
                    2 => cluster.fake.state().faults.push_back(Fault::Refuse),
                    3 => cluster.fake.state().lag = Duration::from_millis(rng.random_range(0..8000)),
                    4 => {
                        let mut state = cluster.fake.state();
                        state.compacted = state.world.cache().revision();
                    }
                    5 => cluster.fake.state().down ^= true,
                    6 => cluster.wake(round),
                    _ => {
                        replicas += rng.random_range(0..4);
                        cluster.scale(replicas);
                    }
                }
            }
            {
                let mut state = cluster.fake.state();
                (state.down, state.lag) = (false, Duration::ZERO);
                state.faults.clear();
            }
            cluster.pass(300).await;
            assert_eq!(cluster.ever_created(), replicas as usize, "seed {seed}");
            cluster.stop().await;
        });
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_is_waited_out_before_anything_is_done_again() {
    for lag in [0, 3] {
        let cluster = Cluster::start();
        cluster.pass(1).await;
        {
            let mut state = cluster.fake.state();
            state.lag = Duration::from_secs(lag);
            state
                .faults
                .extend([Fault::LoseAnswer, Fault::Refuse, Fault::LoseAnswer]);
        }
        cluster.fake.write(&Action::create(&set(3)));
        cluster.pass(120).await;
        assert_eq!(
            (stored::<Pod>(&cluster.fake).len(), cluster.ever_created()),
            (3, 3),
            "lag {lag}"
        );
        cluster.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_batch_is_tried_again_and_a_disconnect_changes_nothing() {
    let cluster = Cluster::start();
    cluster.pass(1).await;
    cluster
        .fake
        .state()
        .faults
        .extend([Fault::Refuse, Fault::Hang, Fault::Refuse]);
    cluster.fake.write(&Action::create(&set(3)));
    for _ in 0..30 {
        cluster.fake.disconnect();
        cluster.pass(10).await;
    }
    assert_eq!(
        (stored::<Pod>(&cluster.fake).len(), cluster.ever_created()),
        (3, 3)
    );
    cluster.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_relist_in_the_middle_of_work_ends_in_the_same_state() {
    let cluster = Cluster::start();
    cluster.pass(1).await;
    cluster.fake.write(&Action::create(&set(3)));
    cluster.pass(5).await;
    cluster.fake.state().frozen = true;
    let pods = stored::<Pod>(&cluster.fake);
    cluster.fake.write(&Action::delete(&pods[0]));
    {
        let mut state = cluster.fake.state();
        state.compacted = state.world.cache().revision();
        state.frozen = false;
    }
    cluster.fake.disconnect();
    cluster.pass(30).await;
    assert_eq!(
        (stored::<Pod>(&cluster.fake).len(), cluster.ever_created()),
        (3, 4)
    );
    cluster.stop().await;
}
