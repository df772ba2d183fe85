//! A ReplicaSet never has more live pods than it asked for, and settles at exactly that many.
//!
//! When a controller makes a pod, the live pods of its ReplicaSet are at most what the ReplicaSet asked for. The
//! controller may have seen an older version of it: what counts is the most that it asked for between what the
//! controller acted on and the write. The same holds one level up: when a controller makes a ReplicaSet larger, the
//! ReplicaSets of its Deployment together ask for at most the Deployment's replicas and its surge.

use super::Violation;
use super::facts::Facts;
use super::history::{Change, Entry, History, State};
use std::collections::HashMap;

/// The invariant's name.
pub const NAME: &str = "replicas are exact";

/// One violation for each pod or replica too many, and for each ReplicaSet that settled at another number.
pub fn check(history: &History) -> Vec<Violation> {
    let mut broken = Vec::new();
    let mut counts = Counts::of(&history.start);
    history.replay(|state, entry| {
        let before = state.objects.get(&entry.key).map(AsRef::as_ref);
        let now = match &entry.change {
            Change::Upsert(facts) => Some(facts.as_ref()),
            Change::Delete => None,
        };
        counts.step(before, now, entry.revision);
        if let Some(now) = now {
            let too_many = counts.excess(before, now, entry);
            broken.extend(too_many.map(|what| Violation::new(NAME, entry.revision, what)));
        }
    });
    let revisions = history.settled.iter().map(|settled| settled.to);
    history.at_revisions(revisions, |_, state| broken.extend(unsettled(state)));
    broken
}

/// What is asked for, and what there is, by the UID of the ReplicaSet or Deployment.
#[derive(Default)]
struct Counts {
    /// What was asked for from which revision on: a Deployment's surge included.
    asked: HashMap<String, Vec<(i64, i64)>>,
    /// Live pods of a ReplicaSet; replicas that the ReplicaSets of a Deployment ask for.
    there: HashMap<String, i64>,
}

impl Counts {
    fn of(start: &State) -> Self {
        let mut counts = Self::default();
        for facts in start.objects.values() {
            counts.step(None, Some(facts), facts.revision);
        }
        counts
    }

    fn step(&mut self, before: Option<&Facts>, now: Option<&Facts>, revision: i64) {
        for (facts, sign) in [(before, -1), (now, 1)] {
            if let Some((owner, amount)) = facts.and_then(takes) {
                *self.there.entry(owner.to_owned()).or_default() += sign * amount;
            }
        }
        if let Some((uid, most)) = now.and_then(asks) {
            let asked = self.asked.entry(uid.to_owned()).or_default();
            if asked.last().map(|(_, last)| *last) != Some(most) {
                asked.push((revision, most));
            }
        }
    }

    /// Whether this change makes more than anybody asked for.
    fn excess(&self, before: Option<&Facts>, now: &Facts, entry: &Entry) -> Option<String> {
        let (owner, amount) = takes(now)?;
        let same = before.filter(|before| before.uid == now.uid).and_then(takes);
        if same.is_some_and(|(_, before)| before >= amount) {
            return None;
        }
        let there = self.there.get(owner).copied().unwrap_or(0);
        let most = most_between(self.asked.get(owner)?, entry.cause, entry.revision);
        (there > most).then(|| format!("{} makes {there} where at most {most} were asked for", entry.key))
    }
}

/// What an object takes of its controller's number: a live pod one, a ReplicaSet its replicas.
fn takes(facts: &Facts) -> Option<(&str, i64)> {
    let controller = facts.controller.as_deref()?;
    match facts.replica_set() {
        Some(set) if !facts.deleting => Some((controller, set.replicas)),
        _ => facts.is_live_pod().then_some((controller, 1)),
    }
}

/// The most that an object allows to be there.
fn asks(facts: &Facts) -> Option<(&str, i64)> {
    let most = match (facts.replica_set(), facts.deployment()) {
        (Some(set), _) => set.replicas,
        (_, Some(deployment)) => deployment.replicas + deployment.surge,
        _ => return None,
    };
    Some((facts.uid.as_str(), most))
}

/// The most that was asked for at any revision from `cause` up to `revision`.
fn most_between(asked: &[(i64, i64)], cause: i64, revision: i64) -> i64 {
    let in_force = asked.iter().rposition(|(from, _)| *from <= cause).unwrap_or(0);
    let window = asked[in_force..].iter().take_while(|(from, _)| *from <= revision);
    window.map(|(_, most)| *most).max().unwrap_or(0)
}

fn unsettled(state: &State) -> Vec<Violation> {
    let live = state.live_pods();
    let mut found = Vec::new();
    for (key, facts) in &state.objects {
        let Some(set) = facts.replica_set() else { continue };
        let pods = live.get(facts.uid.as_str()).copied().unwrap_or(0);
        if pods != set.replicas {
            let what = format!("{key} asks for {} pods and has settled at {pods}", set.replicas);
            found.push(Violation::new(NAME, state.revision, what));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Story, deployment, deployment_key, pod, pod_key, set, set_key};
    use super::*;

    #[test]
    fn a_pod_too_many_is_found_when_it_is_made() {
        let mut story = Story::default();
        let asked = story.put(&set_key("web"), set("r", "d", 2));
        for name in ["a", "b"] {
            story.put_by("rs", asked, &pod_key(name), pod(name, "r", "", "Pending"));
            story.put(&pod_key(name), pod(name, "r", "n", "Running"));
        }
        story.put(&pod_key("b"), pod("b", "r", "n", "Failed"));
        story.put_by("rs", asked, &pod_key("c"), pod("c", "r", "", "Pending"));
        assert_eq!(check(&story.history), []);
        let revision = story.put_by("rs", asked, &pod_key("d"), pod("d", "r", "", "Pending"));
        let found = check(&story.history);
        assert_eq!((found.len(), found[0].revision), (1, revision));
    }

    #[test]
    fn what_was_asked_for_when_the_controller_looked_counts() {
        let mut story = Story::default();
        let larger = story.put(&set_key("web"), set("r", "d", 1));
        let smaller = story.put(&set_key("web"), set("r", "d", 0));
        let mut fresh = story.clone();
        story.put_by("rs", larger, &pod_key("a"), pod("a", "r", "", "Pending"));
        assert_eq!(check(&story.history), []);
        fresh.put_by("rs", smaller, &pod_key("a"), pod("a", "r", "", "Pending"));
        assert_eq!(check(&fresh.history).len(), 1);
    }

    #[test]
    fn replica_sets_together_keep_to_the_surge() {
        let mut story = Story::default();
        let asked = story.put(&deployment_key("web"), deployment("d", 3));
        story.put_by("d", asked, &set_key("old"), set("r1", "d", 3));
        story.put_by("d", asked, &set_key("new"), set("r2", "d", 1));
        story.put_by("d", asked, &set_key("old"), set("r1", "d", 2));
        story.put_by("d", asked, &set_key("new"), set("r2", "d", 2));
        assert_eq!(check(&story.history), []);
        story.put_by("d", asked, &set_key("new"), set("r2", "d", 3));
        assert_eq!(check(&story.history).len(), 1);
    }

    #[test]
    fn a_number_that_is_not_reached_is_found_once_all_is_quiet() {
        let mut story = Story::default();
        story.put(&set_key("web"), set("r", "d", 2));
        story.put(&pod_key("a"), pod("a", "r", "", "Pending"));
        assert_eq!(check(&story.history), []);
        story.settle(|_| {});
        assert_eq!(check(&story.history).len(), 1);
    }
}
