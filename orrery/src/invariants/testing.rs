//! Histories for tests: a story told change by change.

use super::facts::{Body, Deployment, Facts, Node, Pod, ReplicaSet};
use super::history::{Acknowledged, Change, Entry, History, Listing, Settled, Wrote};
use client::ObjectKey;
use proto::api::{apps::v1 as apps, core::v1 as core};
use std::sync::Arc;

/// A history under construction; each change gets the next revision.
#[derive(Clone, Debug, Default)]
pub(crate) struct Story {
    pub(crate) history: History,
    revision: i64,
}

impl Story {
    /// An object is written by nobody in particular.
    pub(crate) fn put(&mut self, key: &ObjectKey, facts: Facts) -> i64 {
        self.put_by("somebody", 0, key, facts)
    }

    /// An object is written by `actor`, who acted on `cause`.
    pub(crate) fn put_by(&mut self, actor: &str, cause: i64, key: &ObjectKey, mut facts: Facts) -> i64 {
        facts.revision = self.revision + 1;
        self.tell(actor, cause, key, Change::Upsert(Arc::new(facts)))
    }

    /// An object goes.
    pub(crate) fn delete(&mut self, key: &ObjectKey) -> i64 {
        self.delete_by("somebody", key)
    }

    /// `actor` makes an object go.
    pub(crate) fn delete_by(&mut self, actor: &str, key: &ObjectKey) -> i64 {
        self.tell(actor, 0, key, Change::Delete)
    }

    /// The write at `revision` was acknowledged.
    pub(crate) fn acknowledge(&mut self, key: &ObjectKey, revision: i64) {
        self.history.acknowledged.push(Acknowledged {
            key: key.clone(),
            after: revision - 1,
            wrote: Wrote::Put { revision },
        });
    }

    /// A list of everything, as it should be.
    pub(crate) fn list(&mut self) {
        let mut state = self.history.replay(|_, _| {});
        state.revision = self.revision;
        self.history.listings.push(Listing {
            acknowledged: self.history.acknowledged.len(),
            state,
        });
    }

    /// The cluster has converged, and nobody asks for anything while `during` happens.
    pub(crate) fn settle(&mut self, during: impl FnOnce(&mut Self)) {
        let from = self.revision;
        during(self);
        let to = self.revision;
        self.history.settled.push(Settled { from, to });
    }

    fn tell(&mut self, actor: &str, cause: i64, key: &ObjectKey, change: Change) -> i64 {
        self.revision += 1;
        self.history.entries.push(Entry {
            revision: self.revision,
            key: key.clone(),
            change,
            actor: actor.into(),
            cause,
        });
        self.revision
    }
}

pub(crate) fn pod_key(name: &str) -> ObjectKey {
    ObjectKey::new::<core::Pod>("drill", name)
}

pub(crate) fn node_key(name: &str) -> ObjectKey {
    ObjectKey::new::<core::Node>("", name)
}

pub(crate) fn set_key(name: &str) -> ObjectKey {
    ObjectKey::new::<apps::ReplicaSet>("drill", name)
}

pub(crate) fn deployment_key(name: &str) -> ObjectKey {
    ObjectKey::new::<apps::Deployment>("drill", name)
}

pub(crate) fn note_key(name: &str) -> ObjectKey {
    ObjectKey::new::<core::ConfigMap>("drill", name)
}

/// An object of a kind that has no facts of its own.
pub(crate) fn note(uid: &str, content: u64) -> Facts {
    Facts {
        uid: uid.into(),
        digest: content,
        content,
        ..Facts::default()
    }
}

/// An object managed by `controller`.
pub(crate) fn owned(uid: &str, controller: &str, body: Body) -> Facts {
    Facts {
        uid: uid.into(),
        owners: vec![controller.into()],
        controller: Some(controller.into()),
        body,
        ..Facts::default()
    }
}

/// A Pod of the ReplicaSet with the UID `set`; on no node when `node` is empty. Node `n` has the address `ip-n`.
pub(crate) fn pod(uid: &str, set: &str, node: &str, phase: &str) -> Facts {
    let running = phase == "Running";
    owned(
        uid,
        set,
        Body::Pod(Pod {
            node: node.into(),
            phase: phase.into(),
            host_ip: if running {
                format!("ip-{node}")
            } else {
                String::new()
            },
            ready: running,
            restarts: 0,
            requests: [("cpu".to_owned(), 1000)].into(),
            images: "web:1".into(),
        }),
    )
}

/// A Node with room for so many of those Pods.
pub(crate) fn node(name: &str, cpus: i64) -> Facts {
    Facts {
        uid: format!("uid-{name}"),
        body: Body::Node(Node {
            allocatable: [("cpu".to_owned(), cpus * 1000)].into(),
            address: format!("ip-{name}"),
            ready: true,
        }),
        ..Facts::default()
    }
}

/// A ReplicaSet of the Deployment with the UID `deployment`.
pub(crate) fn set(uid: &str, deployment: &str, replicas: i64) -> Facts {
    let mut facts = owned(uid, deployment, Body::ReplicaSet(ReplicaSet { replicas }));
    facts.content = u64::try_from(replicas).unwrap();
    facts
}

/// A Deployment that may have one pod too many.
pub(crate) fn deployment(uid: &str, replicas: i64) -> Facts {
    Facts {
        uid: uid.into(),
        body: Body::Deployment(Deployment {
            replicas,
            surge: 1,
            ..Deployment::default()
        }),
        ..Facts::default()
    }
}

/// A Deployment of two pods that comes up, is listed, and stands still; a note is written beside it.
pub(crate) fn ordinary() -> History {
    let mut story = Story::default();
    story.put(&node_key("n"), node("n", 2));
    let asked = story.put(&deployment_key("web"), deployment("d", 2));
    story.acknowledge(&deployment_key("web"), asked);
    let made = story.put_by("controller-manager", asked, &set_key("web-1"), set("r", "d", 2));
    for (name, uid) in [("web-1-a", "a"), ("web-1-b", "b")] {
        story.put_by(
            "controller-manager",
            made,
            &pod_key(name),
            pod(uid, "r", "", "Pending"),
        );
        story.put(&pod_key(name), pod(uid, "r", "n", "Pending"));
        story.put(&pod_key(name), pod(uid, "r", "n", "Running"));
    }
    let noted = story.put(&note_key("note"), note("x", 1));
    story.acknowledge(&note_key("note"), noted);
    story.list();
    story.settle(|_| {});
    story.history
}
