//! Whether the cluster has done all that it was asked for: a pure look at one state.

use super::script::{NAMESPACE, Wanted};
use crate::invariants::facts::{Body, Facts};
use crate::invariants::history::State;
use client::ObjectKey;
use std::collections::{BTreeMap, HashMap, HashSet};

/// What the cluster was asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Want {
    /// How many nodes.
    pub(super) nodes: usize,
    /// The load's Deployments. Those of other namespaces are wanted as they are.
    pub(super) deployments: BTreeMap<String, Wanted>,
}

/// What is still to be done first; `None` when nothing is.
pub(super) fn missing(state: &State, want: &Want) -> Option<String> {
    let nodes = state.objects.values().filter_map(|facts| facts.node());
    let ready = nodes.filter(|node| node.ready).count();
    if ready != want.nodes {
        return Some(format!("{ready} of {} nodes are ready", want.nodes));
    }
    for name in want.deployments.keys() {
        let key = ObjectKey::new::<proto::api::apps::v1::Deployment>(NAMESPACE, name);
        if !state.objects.contains_key(&key) {
            return Some(format!("{key} is not there"));
        }
    }
    let there: HashSet<&str> = state.objects.values().map(|facts| facts.uid.as_str()).collect();
    let live = state.live_pods();
    let mut sets: HashMap<&str, i64> = HashMap::new();
    for facts in state
        .objects
        .values()
        .filter(|facts| facts.replica_set().is_some())
    {
        *sets
            .entry(facts.controller.as_deref().unwrap_or_default())
            .or_default() += 1;
    }
    state.objects.iter().find_map(|(key, facts)| {
        let orphan =
            !facts.owners.is_empty() && !facts.owners.iter().any(|owner| there.contains(owner.as_str()));
        let why = if orphan {
            Some("has lost its owner and is not collected".to_owned())
        } else {
            of_one(key, facts, want, &live, &sets)
        };
        why.map(|why| format!("{key} {why}"))
    })
}

fn of_one(
    key: &ObjectKey,
    facts: &Facts,
    want: &Want,
    live: &BTreeMap<&str, i64>,
    sets: &HashMap<&str, i64>,
) -> Option<String> {
    let count = |counts: Option<&i64>| counts.copied().unwrap_or(0);
    match &facts.body {
        Body::Pod(_) | Body::ReplicaSet(_) | Body::Deployment(_) if facts.deleting => {
            Some("is being deleted".to_owned())
        }
        Body::Pod(pod) if !pod.ready => Some(format!("is {:?} and not ready", pod.phase)),
        Body::ReplicaSet(set) => {
            let pods = count(live.get(facts.uid.as_str()));
            (pods != set.replicas).then(|| format!("has {pods} of {} pods", set.replicas))
        }
        Body::Deployment(deployment) => {
            let inside = key.namespace.as_ref() == NAMESPACE;
            let wanted = want.deployments.get(key.name.as_ref());
            if inside && wanted.is_none() {
                return Some("is not wanted any more".to_owned());
            }
            let asked = wanted.filter(|_| inside);
            if asked.is_some_and(|wanted| {
                wanted.replicas != deployment.replicas || wanted.image != deployment.images
            }) {
                return Some("asks for something else than the load".to_owned());
            }
            let numbers = [deployment.current, deployment.updated, deployment.available];
            let old_sets = count(sets.get(facts.uid.as_str())) - 1;
            if deployment.observed_generation < facts.generation {
                Some("was not looked at yet".to_owned())
            } else if numbers != [deployment.replicas; 3] {
                let [current, updated, available] = numbers;
                Some(format!(
                    "has {current} pods, {updated} updated, {available} available, of {}",
                    deployment.replicas
                ))
            } else if old_sets > deployment.history_limit {
                Some(format!("keeps {old_sets} old ReplicaSets"))
            } else {
                None
            }
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::invariants::testing::{
        deployment, deployment_key, node, node_key, owned, pod, pod_key, set, set_key,
    };

    /// One ready node, one Deployment with one ready pod.
    fn converged() -> (State, Want) {
        let mut state = State::default();
        let mut web = deployment("d", 1);
        if let Body::Deployment(deployment) = &mut web.body {
            deployment.images = "web:1".into();
            (deployment.current, deployment.updated, deployment.available) = (1, 1, 1);
        }
        for (key, facts) in [
            (node_key("n"), node("n", 4)),
            (deployment_key("web"), web),
            (set_key("web-1"), set("r", "d", 1)),
            (pod_key("web-1-a"), pod("p", "r", "n", "Running")),
        ] {
            state.objects.insert(key, facts.into());
        }
        let (replicas, image) = (1, "web:1".into());
        let deployments = [("web".to_owned(), Wanted { replicas, image })].into();
        (
            state,
            Want {
                nodes: 1,
                deployments,
            },
        )
    }

    fn check(part: &str, change: impl FnOnce(&mut State, &mut Want)) {
        let (mut state, mut want) = converged();
        change(&mut state, &mut want);
        let found = missing(&state, &want);
        assert!(
            found.as_ref().is_some_and(|why| why.contains(part)),
            "{part}: {found:?}"
        );
    }

    fn edit(state: &mut State, key: &ObjectKey, change: impl FnOnce(&mut Facts)) {
        let mut facts = state.objects[key].as_ref().clone();
        change(&mut facts);
        state.objects.insert(key.clone(), facts.into());
    }

    #[test]
    fn a_cluster_that_did_everything_has_converged() {
        let (state, want) = converged();
        assert_eq!(missing(&state, &want), None);
    }

    #[test]
    fn whatever_is_still_to_be_done_is_named() {
        check("0 of 1 nodes", |state, _| {
            state.objects.remove(&node_key("n"));
        });
        check("load-0 is not there", |_, want| {
            let wanted = want.deployments["web"].clone();
            want.deployments.insert("load-0".into(), wanted);
        });
        check("not wanted any more", |_, want| want.deployments.clear());
        check("something else", |_, want| {
            want.deployments.get_mut("web").unwrap().replicas = 2;
        });
        check("not looked at", |state, _| {
            edit(state, &deployment_key("web"), |facts| facts.generation = 2);
        });
        check("0 available", |state, _| {
            edit(state, &deployment_key("web"), |facts| {
                if let Body::Deployment(deployment) = &mut facts.body {
                    deployment.available = 0;
                }
            });
        });
        check("has 0 of 1 pods", |state, _| {
            state.objects.remove(&pod_key("web-1-a"));
        });
        check("is being deleted", |state, _| {
            edit(state, &pod_key("web-1-a"), |facts| facts.deleting = true);
        });
        check("not ready", |state, _| {
            let pending = pod("q", "r", "n", "Pending");
            state.objects.insert(pod_key("q"), pending.into());
        });
        check("old ReplicaSets", |state, _| {
            state.objects.insert(set_key("old"), set("r0", "d", 0).into());
        });
        check("lost its owner", |state, _| {
            let lost = owned("x", "gone", Body::Other);
            state
                .objects
                .insert(crate::invariants::testing::note_key("x"), lost.into());
        });
    }
}
