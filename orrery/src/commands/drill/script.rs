//! The load, step by step: what each lane asks of the API, as a pure function of the seed.
//!
//! In: a lane and the number of a step. Out: one write. Lanes run side by side and never touch each other's objects, so
//! that what is wanted in the end follows from how many steps each has done, and a run can be repeated without faults.

use crate::invariants::finalizers::HOLD;
use client::ObjectKey;
use component_base::rng::Seed;
use proto::api::apps::v1::Deployment;
use proto::api::core::v1::ConfigMap;
use rand::RngExt;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

/// Where everything that the load declares lives.
pub(super) const NAMESPACE: &str = "drill";
/// Processors that each pod of a rollout asks for: half a node's default, so that nodes really get full.
const POD_CPU: u32 = 4;
/// How many of those pods a node with the default eight processors takes.
const PODS_A_NODE: u32 = 2;
/// Pods of a Deployment that comes and goes.
const PASSING_REPLICAS: u32 = 2;
/// How many Deployments are scaled and rolled out.
const ROLLOUTS: u32 = 3;
/// How many notes are rewritten all the time: plain writes that are on their way whenever a kill comes.
const NOTES: u32 = 2;

/// A sequence of writes, one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Lane {
    /// A Deployment that is scaled and rolled out in turn.
    Rollout(u32),
    /// A ConfigMap that is rewritten.
    Note(u32),
    /// ConfigMaps that are made with a finalizer, deleted, and then released.
    Held,
    /// ConfigMaps that own another one, and are deleted.
    Owned,
    /// Deployments that are made and deleted.
    Passing,
}

/// What the script may choose from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Script {
    /// Where its chance comes from.
    pub(super) seed: Seed,
    /// The most replicas of one rollout.
    pub(super) most_replicas: u32,
}

/// One write.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Step {
    /// Of what.
    pub(super) key: ObjectKey,
    /// What.
    pub(super) ask: Ask,
}

/// What to ask.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Ask {
    /// Make this object.
    Create(Value),
    /// Make this object, owned by the ConfigMap of this name.
    CreateOwned(Value, ObjectKey),
    /// Lay this over the object.
    Patch(Value),
    /// Delete the object.
    Delete,
    /// Take the load's finalizer off the object, which is being deleted.
    Release,
}

/// A Deployment as the load wants it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    /// How many pods.
    pub(super) replicas: i64,
    /// Of which image.
    pub(super) image: String,
}

impl Lane {
    /// Every lane.
    pub(super) fn all() -> Vec<Self> {
        let rollouts = (0..ROLLOUTS).map(Self::Rollout);
        let notes = (0..NOTES).map(Self::Note);
        rollouts
            .chain(notes)
            .chain([Self::Held, Self::Owned, Self::Passing])
            .collect()
    }

    /// How long it waits between two steps: rollouts get less than the time that they take, notes come as a
    /// stream.
    pub(super) fn pace(self) -> Duration {
        Duration::from_millis(match self {
            Self::Rollout(_) => 200,
            Self::Note(_) => 40,
            Self::Held | Self::Owned => 150,
            Self::Passing => 900,
        })
    }
}

impl Script {
    /// A script that never asks for more than so many nodes can run while all rollouts surge.
    pub(super) fn new(seed: Seed, nodes: u32) -> Self {
        let slots = nodes * PODS_A_NODE;
        // A rollout of n pods has n and a quarter of n, rounded up, for a while.
        let each = (slots / ROLLOUTS).saturating_sub(1) * 4 / 5;
        Self {
            seed,
            most_replicas: each.clamp(1, 8),
        }
    }

    /// The lane's step of this number, from 0.
    pub(super) fn step(self, lane: Lane, number: u64) -> Step {
        match lane {
            Lane::Rollout(index) => Step {
                key: ObjectKey::new::<Deployment>(NAMESPACE, &format!("load-{index}")),
                ask: self.rollout(index, number),
            },
            Lane::Note(index) => {
                let name = format!("note-{index}");
                let data = json!({ "step": number.to_string() });
                let ask = if number == 0 {
                    Ask::Create(config_map(&name, &data))
                } else {
                    Ask::Patch(json!({ "data": data }))
                };
                Step {
                    key: note(&name),
                    ask,
                }
            }
            Lane::Held => {
                let name = format!("held-{}", number / 3);
                let ask = match number % 3 {
                    0 => {
                        let mut object = config_map(&name, &json!({}));
                        object["metadata"]["finalizers"] = json!([HOLD]);
                        Ask::Create(object)
                    }
                    1 => Ask::Delete,
                    _ => Ask::Release,
                };
                Step {
                    key: note(&name),
                    ask,
                }
            }
            Lane::Owned => {
                let owner = format!("owner-{}", number / 3);
                let owned = format!("owned-{}", number / 3);
                let (name, ask) = match number % 3 {
                    0 => (&owner, Ask::Create(config_map(&owner, &json!({})))),
                    1 => (
                        &owned,
                        Ask::CreateOwned(config_map(&owned, &json!({})), note(&owner)),
                    ),
                    _ => (&owner, Ask::Delete),
                };
                Step { key: note(name), ask }
            }
            Lane::Passing => {
                let name = format!("passing-{}", number / 2);
                let ask = if number.is_multiple_of(2) {
                    Ask::Create(deployment(&name, PASSING_REPLICAS, &image(0), 0))
                } else {
                    Ask::Delete
                };
                Step {
                    key: ObjectKey::new::<Deployment>(NAMESPACE, &name),
                    ask,
                }
            }
        }
    }

    /// Step 0 makes the Deployment; then it is scaled and rolled out in turn.
    fn rollout(self, index: u32, number: u64) -> Ask {
        match number {
            0 => Ask::Create(deployment(&format!("load-{index}"), 1, &image(0), POD_CPU * 1000)),
            number if !number.is_multiple_of(2) => Ask::Patch(json!({
                // Two steps that draw the same number are two writes all the same.
                "metadata": {"annotations": {"drill.orrery.dev/step": number.to_string()}},
                "spec": {"replicas": self.replicas(index, number)},
            })),
            number => Ask::Patch(json!({
                "spec": {"template": {"spec": {"containers": [container(&image(number), POD_CPU * 1000)]}}},
            })),
        }
    }

    fn replicas(self, index: u32, number: u64) -> u32 {
        let mut rng = self.seed.fork(&format!("replicas {index} {number}"));
        rng.random_range(0..=self.most_replicas)
    }

    /// The Deployments that are wanted after each lane has done so many steps.
    pub(super) fn wanted(self, done: &BTreeMap<Lane, u64>) -> BTreeMap<String, Wanted> {
        let mut wanted = BTreeMap::new();
        for (&lane, &steps) in done.iter().filter(|(_, steps)| **steps > 0) {
            let last = steps - 1;
            match lane {
                Lane::Rollout(index) => {
                    // The last odd step scaled, the last even step set the image.
                    let scaled = if last.is_multiple_of(2) {
                        last.checked_sub(1)
                    } else {
                        Some(last)
                    };
                    let replicas = scaled.map_or(1, |number| self.replicas(index, number));
                    let image = image(last - last % 2);
                    let replicas = replicas.into();
                    wanted.insert(format!("load-{index}"), Wanted { replicas, image });
                }
                Lane::Passing if last.is_multiple_of(2) => {
                    let (replicas, image) = (PASSING_REPLICAS.into(), image(0));
                    wanted.insert(format!("passing-{}", last / 2), Wanted { replicas, image });
                }
                _ => {}
            }
        }
        wanted
    }
}

fn image(version: u64) -> String {
    format!("drill.example/app:v{version}")
}

fn note(name: &str) -> ObjectKey {
    ObjectKey::new::<ConfigMap>(NAMESPACE, name)
}

fn config_map(name: &str, data: &Value) -> Value {
    json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "data": data,
    })
}

fn container(image: &str, milli_cpu: u32) -> Value {
    json!({"name": "app", "image": image, "resources": {"requests": {"cpu": format!("{milli_cpu}m")}}})
}

/// A Deployment whose pods start and stop quickly, so that a rollout takes about as long as the cluster's own work.
pub(super) fn deployment(name: &str, replicas: u32, image: &str, milli_cpu: u32) -> Value {
    let labels = json!({ "app": name });
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": name, "namespace": NAMESPACE, "labels": labels},
        "spec": {
            "replicas": replicas,
            "revisionHistoryLimit": 2,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {
                    "labels": labels,
                    "annotations": {
                        "sim.orrery.dev/pull-latency": "0s",
                        "sim.orrery.dev/start-latency": "10ms",
                        "sim.orrery.dev/stop-latency": "10ms",
                    },
                },
                "spec": {"containers": [container(image, milli_cpu)]},
            },
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCRIPT: Script = Script {
        seed: Seed(7),
        most_replicas: 5,
    };

    #[test]
    fn the_same_seed_gives_the_same_steps() {
        for lane in Lane::all() {
            for number in 0..10 {
                assert_eq!(SCRIPT.step(lane, number), SCRIPT.step(lane, number));
            }
        }
    }

    #[test]
    fn what_is_wanted_is_what_the_steps_lead_to() {
        for steps in 1..12 {
            let done = BTreeMap::from([(Lane::Rollout(1), steps)]);
            let wanted = &SCRIPT.wanted(&done)["load-1"];
            let (mut replicas, mut image) = (1, String::new());
            for number in 0..steps {
                let (Ask::Create(asked) | Ask::Patch(asked)) = SCRIPT.step(Lane::Rollout(1), number).ask
                else {
                    panic!("a rollout only makes and changes")
                };
                replicas = asked["spec"]["replicas"].as_i64().unwrap_or(replicas);
                let container = &asked["spec"]["template"]["spec"]["containers"][0];
                image = container["image"].as_str().map_or(image, str::to_owned);
            }
            assert_eq!(*wanted, Wanted { replicas, image }, "after {steps} steps");
        }
    }

    #[test]
    fn a_passing_deployment_is_wanted_until_it_is_deleted() {
        let after = |steps| SCRIPT.wanted(&BTreeMap::from([(Lane::Passing, steps)]));
        assert_eq!(after(0).len(), 0);
        assert_eq!(after(3).keys().collect::<Vec<_>>(), ["passing-1"]);
        assert_eq!(after(4).len(), 0);
    }

    #[test]
    fn the_nodes_have_room_while_every_rollout_surges() {
        for nodes in [3, 4, 10, 1000] {
            let most = Script::new(Seed(1), nodes).most_replicas;
            let surging = most + most.div_ceil(4);
            assert!(surging * ROLLOUTS <= nodes * PODS_A_NODE, "{nodes} nodes");
        }
    }

    #[test]
    fn every_object_is_one_that_the_api_knows() {
        use apimachinery::json::{Unknown, from_value};
        for lane in Lane::all() {
            for number in 0..6 {
                if let Ask::Create(object) | Ask::CreateOwned(object, _) = SCRIPT.step(lane, number).ask {
                    from_value(&object, Unknown::Strict).unwrap();
                }
            }
        }
    }
}
