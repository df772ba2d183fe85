//! [`Prepared`]: the class plugins' states for one class; [`PodPrepared`]: the Pod plugins' states for one Pod.

use crate::framework::{Filter, Normalize, PreFiltered, Rejection, Score};
use crate::pod::{PodClass, PodInfo};
use crate::registry::{FilterPlugin, PluginSet, Plugins, ScorePlugin};
use crate::snapshot::{Node, Slot, Snapshot};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// A refusal, and the place of the plugin that it comes from.
pub type Refusal = (usize, Rejection);

/// Which class plugins have an opinion, and on what else it rests. It may change with the snapshot, as the first soft taint
/// wakes a plugin.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Active {
    filters: PluginSet,
    /// By place: how it is normalized, and its basis.
    pub(crate) scores: Vec<(usize, Normalize, u64)>,
    pub(crate) rejected: bool,
}

/// The class plugins' states for one class: they judge and score.
pub(crate) struct Prepared<'a> {
    class: &'a PodClass,
    pub(crate) filters: Vec<(usize, Box<dyn Filter + 'a>)>,
    pub(crate) scores: Vec<PreparedScore<'a>>,
    /// The plugin that refused all nodes.
    pub(crate) rejected: Option<Refusal>,
}

/// A scoring plugin's state.
pub(crate) struct PreparedScore<'a> {
    pub(crate) place: usize,
    pub(crate) weight: i64,
    pub(crate) normalize: Normalize,
    pub(crate) score: Box<dyn Score + 'a>,
}

impl<'a> Prepared<'a> {
    pub(crate) fn new(plugins: &'a Plugins, class: &'a PodClass, snapshot: &'a Snapshot) -> Self {
        let mut prepared = Self {
            class,
            filters: Vec::with_capacity(plugins.filters.len()),
            scores: Vec::with_capacity(plugins.scores.len()),
            rejected: None,
        };
        for (place, plugin) in plugins.filters.iter().enumerate() {
            let FilterPlugin::Class(plugin) = plugin else {
                continue;
            };
            match plugin.prepare(class, snapshot) {
                PreFiltered::Skip => {}
                PreFiltered::Filter(filter) => prepared.filters.push((place, filter)),
                PreFiltered::Reject(rejection) => {
                    prepared.rejected = Some((place, rejection));
                    break;
                }
            }
        }
        for (place, weighted) in plugins.scores.iter().enumerate() {
            let ScorePlugin::Class(plugin) = &weighted.plugin else {
                continue;
            };
            if let Some(score) = plugin.prepare(class, snapshot) {
                prepared.scores.push(PreparedScore {
                    place,
                    weight: weighted.weight,
                    normalize: score.normalize(),
                    score,
                });
            }
        }
        prepared
    }

    pub(crate) fn active(&self) -> Active {
        let mut filters = PluginSet::default();
        for (place, _) in &self.filters {
            filters.insert(*place);
        }
        let scores = self.scores.iter();
        Active {
            filters,
            scores: scores
                .map(|scoring| (scoring.place, scoring.normalize, scoring.score.basis()))
                .collect(),
            rejected: self.rejected.is_some(),
        }
    }

    /// The first refusal. Room that is promised to Pods of this priority or higher counts as taken, but for the one that asks
    /// (`uid`).
    pub(crate) fn judge(&self, node: &Node, uid: &str) -> Result<(), Refusal> {
        if let Some(refusal) = &self.rejected {
            return Err(refusal.clone());
        }
        let node = self.with_nominated(node, uid);
        for (place, filter) in &self.filters {
            filter.filter(&node).map_err(|rejection| (*place, rejection))?;
        }
        Ok(())
    }

    /// The node with the Pods that it is promised to, of this priority or higher, but for one.
    pub(crate) fn with_nominated<'n>(&self, node: &'n Node, uid: &str) -> Cow<'n, Node> {
        let mut node = Cow::Borrowed(node);
        for place in 0..node.nominated.len() {
            let promised = &node.nominated[place];
            if promised.counts_for(self.class.priority, uid) {
                let class = promised.class().clone();
                node.to_mut().add_pod(&class);
            }
        }
        node
    }
}

/// The Pod plugins' filter states for one Pod.
pub(crate) struct PodPrepared<'a> {
    pub(crate) filters: Vec<(usize, Box<dyn Filter + 'a>)>,
    /// The plugin that refused all nodes.
    pub(crate) rejected: Option<Refusal>,
    promises: &'a Promises,
}

/// Nodes that would be refused if the Pods were there that they are promised to.
pub type Promises = BTreeMap<Slot, Refusal>;

/// For where promises do not count, as where room is looked for.
pub static NO_PROMISES: Promises = Promises::new();

/// Works out which promises speak against a Pod by what Pod plugins say; what class plugins say of them is in every judgement. As upstream,
/// a Pod must fit with them and without them, and plugins that have no opinion without them are not asked.
pub fn promises(plugins: &Plugins, pod: &PodInfo, snapshot: &mut Snapshot) -> Promises {
    let mut promises = Promises::new();
    if snapshot.promises_nothing() {
        return promises;
    }
    let of_pod = PodPrepared::new(plugins, pod, snapshot, &NO_PROMISES);
    let mut asked = PluginSet::default();
    for (place, _) in &of_pod.filters {
        asked.insert(*place);
    }
    // One that keeps away from Pods which are not there yet has nothing to say, and is asked all the same.
    let affinity = pod.template.spec.affinity.as_ref();
    if affinity.is_some_and(|affinity| affinity.pod_anti_affinity.is_some()) {
        let place = plugins
            .filters
            .iter()
            .position(|plugin| plugin.name() == "InterPodAffinity");
        place.into_iter().for_each(|place| asked.insert(place));
    }
    if asked.is_empty() || of_pod.rejected.is_some() {
        return promises;
    }
    let mut slots = snapshot.promised_to_others(pod);
    // Mostly there is no room on a node that is promised, which is soon seen.
    let of_class = Prepared::new(plugins, pod.class(), snapshot);
    slots.retain(|slot| of_class.judge(snapshot.node(*slot), &pod.uid).is_ok());
    drop((of_pod, of_class));
    for slot in slots {
        let kept = snapshot.keep_promises(slot, pod);
        snapshot.know(&pod.template, &plugins.spreading);
        let of_pod = PodPrepared::new(plugins, pod, snapshot, &NO_PROMISES);
        let refused = of_pod.judge(snapshot.node(slot)).err();
        drop(of_pod);
        for key in kept {
            snapshot.remove_pod(&key);
        }
        if let Some(refusal) = refused.filter(|(place, _)| asked.contains(*place)) {
            promises.insert(slot, refusal);
        }
    }
    snapshot.know(&pod.template, &plugins.spreading);
    promises
}

impl<'a> PodPrepared<'a> {
    pub(crate) fn new(
        plugins: &'a Plugins,
        pod: &'a PodInfo,
        snapshot: &'a Snapshot,
        promises: &'a Promises,
    ) -> Self {
        let mut filters = Vec::new();
        for (place, plugin) in plugins.filters.iter().enumerate() {
            let FilterPlugin::Pod(plugin) = plugin else {
                continue;
            };
            match plugin.prepare(pod, snapshot) {
                PreFiltered::Skip => {}
                PreFiltered::Filter(filter) => filters.push((place, filter)),
                PreFiltered::Reject(rejection) => {
                    return Self {
                        filters,
                        rejected: Some((place, rejection)),
                        promises,
                    };
                }
            }
        }
        Self {
            filters,
            rejected: None,
            promises,
        }
    }

    /// The first refusal.
    pub(crate) fn judge(&self, node: &Node) -> Result<(), Refusal> {
        if let Some(refusal) = &self.rejected {
            return Err(refusal.clone());
        }
        for (place, filter) in &self.filters {
            filter.filter(node).map_err(|rejection| (*place, rejection))?;
        }
        self.promised(node.slot).map_or(Ok(()), Err)
    }

    /// The refusal of a node that others are promised.
    pub(crate) fn promised(&self, slot: Slot) -> Option<Refusal> {
        self.promises.get(&slot).cloned()
    }

    /// Keeps the nodes that all of them take.
    pub(crate) fn narrow(&self, slots: &mut Vec<Slot>, snapshot: &Snapshot) {
        if self.rejected.is_some() {
            slots.clear();
        }
        for (_, filter) in &self.filters {
            filter.narrow(slots, snapshot);
        }
        if !self.promises.is_empty() {
            slots.retain(|slot| !self.promises.contains_key(slot));
        }
    }

    /// Whether it has no opinion.
    pub(crate) fn is_empty(&self) -> bool {
        self.filters.is_empty() && self.rejected.is_none() && self.promises.is_empty()
    }
}

/// The Pod plugins' scoring states for one Pod and its feasible nodes.
pub(crate) fn pod_scores<'a>(
    plugins: &'a Plugins,
    pod: &'a PodInfo,
    feasible: &'a [Slot],
    snapshot: &'a Snapshot,
) -> Vec<PreparedScore<'a>> {
    let mut scores = Vec::new();
    for (place, weighted) in plugins.scores.iter().enumerate() {
        if let ScorePlugin::Pod(plugin) = &weighted.plugin
            && let Some(score) = plugin.prepare(pod, feasible, snapshot)
        {
            scores.push(PreparedScore {
                place,
                weight: weighted.weight,
                normalize: score.normalize(),
                score,
            });
        }
    }
    scores
}
