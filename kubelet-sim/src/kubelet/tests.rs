//! The kubelet against an API in a map, on virtual time.

use super::*;
use crate::node::{address, group, state};
use client::Error;
use component_base::rng::Seed;
use proto::api::coordination::v1::Lease;
use proto::meta::v1::ObjectMeta;
use proto::orrery::v1::BatchOperation;
use proto::orrery::v1::batch_operation::Operation;
use std::collections::BTreeMap;

/// Objects by key, and the deltas that nobody has read yet.
#[derive(Default)]
struct Api {
    objects: BTreeMap<ObjectKey, Object>,
    revision: i64,
    deltas: Vec<Delta>,
}

fn refused(reason: apimachinery::status::Reason) -> Error {
    Error::Api(Box::new(apimachinery::status::failure(reason, "refused")))
}

impl Api {
    fn put<K: Kind>(&mut self, mut object: K) -> Object {
        self.revision += 1;
        object.metadata_mut().resource_version = self.revision.to_string();
        if object.meta().uid.is_empty() {
            object.metadata_mut().uid = format!("uid-{}", self.revision);
        }
        let (key, encoded) = (ObjectKey::of(&object), Object::encode_from(&object));
        self.objects.insert(key.clone(), encoded.clone());
        self.deltas.push(Delta::Upsert {
            key,
            object: encoded.clone(),
            revision: self.revision,
            actor: "".into(),
            cause: 0,
        });
        encoded
    }

    fn get<K: Kind>(&self, namespace: &str, name: &str) -> Option<K> {
        let object = self.objects.get(&ObjectKey::new::<K>(namespace, name))?;
        Some(object.decode_as().unwrap())
    }

    fn remove(&mut self, key: &ObjectKey) -> Result<Object, Error> {
        let object = self
            .objects
            .remove(key)
            .ok_or_else(|| refused(apimachinery::status::Reason::NotFound))?;
        self.revision += 1;
        self.deltas.push(Delta::Delete {
            key: key.clone(),
            object: Some(object.clone()),
            revision: self.revision,
            actor: "".into(),
            cause: 0,
        });
        Ok(object)
    }

    fn write(&mut self, operation: &BatchOperation) -> Result<Object, Error> {
        use apimachinery::status::Reason;
        match operation.operation.as_ref().unwrap() {
            Operation::Create(create) => {
                let object = create.object.as_ref().unwrap();
                let key = ObjectKey::read(object).unwrap();
                if self.objects.contains_key(&key) {
                    return Err(refused(Reason::AlreadyExists));
                }
                if key.is::<core::Node>() {
                    Ok(self.put(object.decode_as::<core::Node>().unwrap()))
                } else {
                    Ok(self.put(object.decode_as::<Lease>().unwrap()))
                }
            }
            Operation::Update(update) => {
                let object = update.object.as_ref().unwrap();
                let key = ObjectKey::read(object).unwrap();
                let Some(stored) = self.objects.get(&key) else {
                    return Err(refused(Reason::NotFound));
                };
                if key.is::<core::Pod>() {
                    let mut pod = stored.decode_as::<core::Pod>().unwrap();
                    let sent = object.decode_as::<core::Pod>().unwrap();
                    if sent.meta().resource_version != pod.meta().resource_version || sent.uid() != pod.uid()
                    {
                        return Err(refused(Reason::Conflict));
                    }
                    pod.status = sent.status;
                    Ok(self.put(pod))
                } else if key.is::<core::Node>() {
                    let mut node = stored.decode_as::<core::Node>().unwrap();
                    node.status = object.decode_as::<core::Node>().unwrap().status;
                    Ok(self.put(node))
                } else {
                    Ok(self.put(object.decode_as::<Lease>().unwrap()))
                }
            }
            Operation::Delete(delete) => {
                let info = apimachinery::kinds::lookup(&delete.kind).unwrap();
                self.remove(&ObjectKey::of_kind(info.number, &delete.namespace, &delete.name))
            }
            Operation::Patch(patch) => {
                let value: serde_json::Value = serde_json::from_str(&patch.patch).unwrap();
                let mut node: core::Node = self.get("", &patch.name).unwrap();
                for (key, value) in value["metadata"]["annotations"].as_object().unwrap() {
                    let text = value.as_str().unwrap().to_owned();
                    node.metadata_mut().annotations.insert(key.clone(), text);
                }
                Ok(self.put(node))
            }
            Operation::Bind(_) => panic!("a kubelet binds nothing"),
        }
    }
}

/// The least that a batch answers: the server leaves out the rest when the answer grows too large.
fn shortened(object: &Object) -> Object {
    let meta = MetaView::parse(&object.bytes).unwrap();
    // Every kind has its metadata in the same field.
    let kept = core::Pod {
        metadata: Some(ObjectMeta {
            name: meta.name.into(),
            namespace: meta.namespace.into(),
            uid: meta.uid.into(),
            resource_version: meta.resource_version.into(),
            ..Default::default()
        }),
        ..Default::default()
    };
    Object {
        number: object.number,
        bytes: prost::Message::encode_to_vec(&kept).into(),
    }
}

/// A kubelet, the API, and the time.
struct World {
    api: Api,
    kubelet: Kubelet,
    now: Timestamp,
    /// Every batch fails while it is set.
    down: bool,
    notices: Vec<Notice>,
}

/// Where the process of this seed is reached.
fn endpoints(seed: u64) -> Endpoints {
    let address = format!("127.0.0.1:{seed}");
    Endpoints {
        kubelet: address.clone(),
        simulator: address,
    }
}

fn new_kubelet(now: Timestamp, seed: u64) -> Kubelet {
    let groups = group::parse("test", "- {name: node, count: 2, capacity: {cpu: 2, pods: 3}}").unwrap();
    let blocks = state::Blocks {
        nodes: address::default_nodes(""),
        pods: address::default_pods(""),
    };
    let nodes = state::build(&groups, blocks, Seed(seed), now).unwrap();
    Kubelet::new(nodes, endpoints(seed), now)
}

impl World {
    fn new() -> Self {
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let mut world = Self {
            api: Api::default(),
            kubelet: new_kubelet(now, 1),
            now,
            down: false,
            notices: Vec::new(),
        };
        world.list();
        world
    }

    /// What an informer tells first.
    fn list(&mut self) {
        self.api.deltas.clear();
        self.kubelet.apply(Delta::Restarted, self.now);
        for (key, object) in self.api.objects.clone() {
            let revision = MetaView::parse(&object.bytes).unwrap().revision();
            let delta = Delta::Upsert {
                key,
                object,
                revision,
                actor: "".into(),
                cause: 0,
            };
            self.kubelet.apply(delta, self.now);
        }
        assert!(self.kubelet.apply(Delta::Synced(self.api.revision), self.now));
        self.settle();
    }

    /// A new process takes the place of the old one. Its own seed is another.
    fn restart(&mut self) {
        self.kubelet = new_kubelet(self.now, 2);
        self.list();
    }

    /// Carries deltas and batches until nothing is left to carry.
    fn settle(&mut self) {
        loop {
            for delta in std::mem::take(&mut self.api.deltas) {
                self.kubelet.apply(delta, self.now);
            }
            self.kubelet.tick(self.now);
            self.notices.extend(self.kubelet.take_notices());
            let Some(batch) = self.kubelet.batch(self.now) else {
                break;
            };
            let results = batch.operations.iter().map(|operation| match self.down {
                true => Err(refused(apimachinery::status::Reason::ServiceUnavailable)),
                false => self.api.write(operation).map(|object| shortened(&object)),
            });
            let results = results.collect();
            self.kubelet.settle(batch, results, self.now);
        }
    }

    fn run(&mut self, seconds: f64) {
        let end = crate::pod::after(self.now, Duration::from_secs_f64(seconds));
        while let Some(next) = self.kubelet.deadline().filter(|next| *next <= end) {
            assert!(next > self.now, "a deadline that passes without effect");
            self.now = next;
            self.settle();
        }
        self.now = end;
        self.settle();
    }

    fn create(&mut self, name: &str, node: &str, cpu: &str) {
        let container = core::Container {
            name: "app".into(),
            image: "nginx".into(),
            resources: Some(core::ResourceRequirements {
                requests: [("cpu".to_owned(), proto::Quantity { string: cpu.into() })].into(),
                ..Default::default()
            }),
            ..Default::default()
        };
        self.api.put(core::Pod {
            metadata: Some(ObjectMeta {
                name: name.into(),
                namespace: "default".into(),
                ..Default::default()
            }),
            spec: Some(core::PodSpec {
                node_name: node.into(),
                containers: vec![container],
                ..Default::default()
            }),
            status: Some(core::PodStatus {
                conditions: vec![core::PodCondition {
                    r#type: "PodScheduled".into(),
                    status: "True".into(),
                    ..Default::default()
                }],
                ..Default::default()
            }),
        });
        self.settle();
    }

    fn pod(&self, name: &str) -> Option<core::Pod> {
        self.api.get("default", name)
    }

    fn status(&self, name: &str) -> core::PodStatus {
        self.pod(name).and_then(|pod| pod.status).unwrap_or_default()
    }

    fn edit(&mut self, name: &str, edit: impl FnOnce(&mut core::Pod)) {
        let mut pod = self.pod(name).unwrap();
        edit(&mut pod);
        self.api.put(pod);
    }

    /// As the apiserver marks a pod.
    fn delete(&mut self, name: &str, grace: i64) {
        let by = client::time::micro_time(crate::pod::after(
            self.now,
            Duration::from_secs(grace.unsigned_abs()),
        ));
        self.edit(name, |pod| {
            pod.metadata_mut().deletion_timestamp = Some(by);
            pod.metadata_mut().deletion_grace_period_seconds = Some(grace);
        });
        self.settle();
    }

    fn lease(&self, node: &str) -> Option<Timestamp> {
        let lease: Lease = self.api.get(object::LEASE_NAMESPACE, node)?;
        Some(client::time::timestamp(&lease.spec?.renew_time?))
    }
}

#[test]
fn nodes_register_and_renew_their_leases() {
    let mut world = World::new();
    let node: core::Node = world.api.get("", "node-0").unwrap();
    assert!(object::ready(&node).is_some());
    let first = world.lease("node-1").unwrap();
    world.run(25.0);
    for node in ["node-0", "node-1"] {
        let age = world.now.duration_since(world.lease(node).unwrap());
        assert!(age <= jiff::SignedDuration::from_secs(10), "{node}: {age}");
    }
    assert!(world.lease("node-1").unwrap() > first);
}

#[test]
fn a_bound_pod_runs_and_a_deleted_one_goes() {
    let mut world = World::new();
    world.create("web", "node-0", "1");
    world.create("elsewhere", "somebody-elses", "1");
    world.run(1.0);
    let status = world.status("web");
    assert_eq!(
        (status.phase.as_str(), status.pod_ip.as_str()),
        ("Running", "10.0.0.2")
    );
    assert!(
        status.conditions.iter().any(|c| c.r#type == "PodScheduled"),
        "others' conditions stay"
    );
    assert_eq!(world.status("elsewhere").phase, "");
    let reasons: Vec<_> = world
        .notices
        .iter()
        .map(|notice| notice.event.reason.as_str())
        .collect();
    assert_eq!(reasons, ["Pulling", "Pulled", "Created", "Started"]);
    world.delete("web", 30);
    assert_eq!(world.status("web").phase, "Running");
    world.run(1.0);
    assert_eq!(world.pod("web"), None);
    assert_eq!(world.kubelet.summaries()[0].pods, 0);
}

#[test]
fn a_pod_that_does_not_fit_fails_and_takes_nothing() {
    let mut world = World::new();
    world.create("big", "node-0", "1500m");
    world.create("late", "node-0", "1");
    world.run(1.0);
    let status = world.status("late");
    assert_eq!(
        (status.phase.as_str(), status.reason.as_str()),
        ("Failed", "OutOfcpu")
    );
    assert!(
        status
            .message
            .starts_with("Pod was rejected: Node didn't have enough resource: cpu")
    );
    world.delete("big", 30);
    world.run(1.0);
    world.create("next", "node-0", "2");
    world.run(1.0);
    assert_eq!(world.status("next").phase, "Running");
}

#[test]
fn a_new_process_goes_on_where_the_old_one_was_killed() {
    let mut world = World::new();
    world.create("old", "node-0", "1");
    world.run(1.0);
    world.create("young", "node-1", "1");
    let (old, young) = (world.status("old"), world.status("young"));
    assert_eq!(young.phase, "Pending");
    world.restart();
    assert_eq!(
        world.status("old"),
        old,
        "nothing changes because the process did"
    );
    world.run(1.0);
    assert_eq!(world.status("young").phase, "Running");
    assert_eq!(world.status("young").pod_ip, young.pod_ip);
    world.create("new", "node-0", "1");
    world.run(1.0);
    assert_ne!(world.status("new").pod_ip, old.pod_ip);
    let node: core::Node = world.api.get("", "node-0").unwrap();
    assert_eq!(
        node.meta().annotations[object::ENDPOINT],
        "127.0.0.1:2",
        "faults find the new process"
    );
    world.create("too-much", "node-0", "1");
    world.run(1.0);
    assert_eq!(
        world.status("too-much").reason,
        "OutOfcpu",
        "the old pods still count"
    );
}

#[test]
fn a_conflict_is_written_again_from_the_newer_object() {
    let mut world = World::new();
    world.create("web", "node-0", "1");
    world.run(1.0);
    world
        .kubelet
        .crash_container("default", "web", "", 3, world.now)
        .unwrap();
    // Somebody labels the pod while the write is on its way.
    let batch = world.kubelet.batch(world.now).unwrap();
    world.edit("web", |pod| {
        pod.metadata_mut().labels.insert("a".into(), "b".into());
    });
    let results = batch
        .operations
        .iter()
        .map(|operation| world.api.write(operation))
        .collect();
    world.kubelet.settle(batch, results, world.now);
    world.run(1.0);
    let pod = world.pod("web").unwrap();
    assert_eq!(pod.meta().labels["a"], "b");
    assert_eq!(pod.status.unwrap().container_statuses[0].restart_count, 1);
    assert_eq!(world.kubelet.counts().conflicts, 1);
}

#[test]
fn nothing_is_lost_while_the_server_is_away() {
    let mut world = World::new();
    world.create("web", "node-0", "1");
    world.down = true;
    world.run(60.0);
    assert_eq!(world.status("web").phase, "Pending");
    world.down = false;
    world.run(1.0);
    assert_eq!(world.status("web").phase, "Running");
    assert!(world.now.duration_since(world.lease("node-0").unwrap()).as_secs() <= 10);
}

#[test]
fn a_stopped_node_is_silent_and_catches_up_when_it_is_resumed() {
    let mut world = World::new();
    world.create("web", "node-0", "1");
    world.run(1.0);
    world.kubelet.stop_node("node-0").unwrap();
    let (revision, renewed) = (world.api.revision, world.lease("node-0").unwrap());
    world.delete("web", 30);
    world.create("late", "node-0", "1");
    world.run(120.0);
    assert_eq!(world.lease("node-0"), Some(renewed));
    assert_eq!(world.status("web").phase, "Running");
    assert_eq!(world.status("late").phase, "");
    assert!(world.api.revision > revision, "the other node goes on");
    let crash = world.kubelet.crash_pod("default", "web", world.now);
    assert_eq!(crash, Err(FaultError::Stopped("node-0".into())));
    world.kubelet.resume_node("node-0", world.now).unwrap();
    world.run(1.0);
    assert_eq!(world.pod("web"), None);
    assert_eq!(world.status("late").phase, "Running");
    assert!(world.lease("node-0").unwrap() > renewed);
}

#[test]
fn a_removed_node_goes_with_all_that_ran_on_it() {
    let mut world = World::new();
    world.create("web", "node-0", "1");
    world.run(1.0);
    world.kubelet.remove_node("node-0").unwrap();
    world.run(30.0);
    assert_eq!(world.api.get::<core::Node>("", "node-0"), None);
    assert_eq!(world.lease("node-0"), None);
    assert_eq!(world.kubelet.summaries().len(), 1);
    assert_eq!(
        world.kubelet.stop_node("node-0"),
        Err(FaultError::NoNode("node-0".into()))
    );
    assert_eq!(
        world.status("web").phase,
        "Running",
        "nobody is left to say otherwise"
    );
}

#[test]
fn a_node_that_somebody_deleted_comes_back_with_the_next_process() {
    let mut world = World::new();
    world
        .api
        .remove(&ObjectKey::new::<core::Node>("", "node-0"))
        .unwrap();
    world.run(60.0);
    assert_eq!(world.api.get::<core::Node>("", "node-0"), None);
    world.restart();
    assert!(world.api.get::<core::Node>("", "node-0").is_some());
}

#[test]
fn a_node_that_others_took_for_dead_says_that_it_is_ready() {
    let mut world = World::new();
    let mut node: core::Node = world.api.get("", "node-0").unwrap();
    for condition in &mut node.status.as_mut().unwrap().conditions {
        condition.status = "Unknown".into();
    }
    world.api.put(node);
    world.settle();
    assert!(object::ready(&world.api.get("", "node-0").unwrap()).is_some());
}

#[test]
fn a_pod_that_others_took_for_lost_says_that_it_is_ready() {
    let mut world = World::new();
    world.create("web", "node-0", "1");
    world.run(1.0);
    world.edit("web", |pod| {
        for condition in &mut pod.status.as_mut().unwrap().conditions {
            condition.status = "False".into();
        }
    });
    world.settle();
    let ready = world
        .status("web")
        .conditions
        .into_iter()
        .find(|c| c.r#type == "Ready")
        .unwrap();
    assert_eq!(ready.status, "True");
}

#[test]
fn a_pod_of_the_same_name_is_another_pod() {
    let mut world = World::new();
    world.create("web", "node-0", "1");
    world.run(1.0);
    let first = world.status("web");
    world
        .api
        .remove(&ObjectKey::new::<core::Pod>("default", "web"))
        .unwrap();
    world.create("web", "node-0", "1");
    world.run(1.0);
    let second = world.status("web");
    assert_eq!(second.phase, "Running");
    assert_ne!(
        second.container_statuses[0].container_id,
        first.container_statuses[0].container_id
    );
    assert_eq!(world.kubelet.summaries()[0].pods, 1);
}
