//! [`Diagnosis`]: why no node takes a Pod, in the words of Kubernetes' events.
//!
//! "0/5 nodes are available: 2 Insufficient cpu, 3 node(s) had untolerated taint(s)."

use crate::framework::{Rejection, Status};
use crate::registry::PluginSet;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// What is said when there are no nodes at all.
const NO_NODES: &str = "no nodes available to schedule pods";

/// Why no node takes a Pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnosis {
    /// A sentence for people.
    pub message: String,
    /// The plugins that refused any node.
    pub rejected_by: PluginSet,
    /// Whether a plugin failed rather than refused: time may help, not only changes.
    pub is_error: bool,
}

/// How many nodes were refused for each reason.
#[derive(Debug, Default)]
pub(crate) struct Histogram {
    counts: BTreeMap<Cow<'static, str>, usize>,
    rejected_by: PluginSet,
    is_error: bool,
    is_foreign: bool,
}

impl Histogram {
    /// Extenders have refused nodes too. Nobody knows what helps there, so any event may.
    pub(crate) fn add_foreign(&mut self, refused: &[Rejection]) {
        self.is_foreign = true;
        for reason in refused.iter().flat_map(|rejection| &rejection.reasons) {
            *self.counts.entry(reason.clone()).or_default() += 1;
        }
    }

    /// So many nodes were refused by the plugin in a place.
    pub(crate) fn add(&mut self, place: usize, rejection: &Rejection, nodes: usize) {
        self.rejected_by.insert(place);
        self.is_error |= rejection.status == Status::Error;
        for reason in &rejection.reasons {
            if let Some(count) = self.counts.get_mut(reason) {
                *count += nodes;
            } else {
                self.counts.insert(reason.clone(), nodes);
            }
        }
    }

    /// The result. `whole` is what refused all nodes at once. Sorted as upstream sorts: as text, counts first.
    pub(crate) fn diagnosis(self, nodes: usize, whole: Option<&Rejection>) -> Diagnosis {
        let reasons = match whole {
            Some(rejection) => rejection.reasons.join(", "),
            None => {
                let mut counts: Vec<String> = self
                    .counts
                    .iter()
                    .map(|(reason, count)| format!("{count} {reason}"))
                    .collect();
                counts.sort_unstable();
                counts.join(", ")
            }
        };
        let message = match (nodes, reasons.is_empty()) {
            (0, _) => NO_NODES.into(),
            (nodes, true) => format!("0/{nodes} nodes are available:"),
            (nodes, false) => format!("0/{nodes} nodes are available: {reasons}."),
        };
        Diagnosis {
            message,
            rejected_by: if self.is_foreign {
                PluginSet::default()
            } else {
                self.rejected_by
            },
            is_error: self.is_error,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_counted_and_sorted_as_upstream_does() {
        let mut histogram = Histogram::default();
        let both = Rejection {
            reasons: vec!["Too many pods".into(), "Insufficient cpu".into()],
            ..Rejection::unschedulable("")
        };
        for (place, rejection, times) in [
            (1, Rejection::unresolvable("node(s) were unschedulable"), 10),
            (5, both, 1),
            (5, Rejection::unschedulable("Insufficient cpu"), 1),
        ] {
            histogram.add(place, &rejection, times);
        }
        let diagnosis = histogram.diagnosis(12, None);
        assert_eq!(
            diagnosis.message,
            "0/12 nodes are available: 1 Too many pods, 10 node(s) were unschedulable, 2 Insufficient cpu."
        );
        assert!(diagnosis.rejected_by.contains(1) && diagnosis.rejected_by.contains(5));
        assert!(!diagnosis.rejected_by.contains(0) && !diagnosis.is_error);
    }

    #[test]
    fn a_refusal_of_all_nodes_is_told_once_and_no_nodes_differently() {
        let rejection = Rejection::error("no such volume");
        let mut histogram = Histogram::default();
        histogram.add(0, &rejection, 1);
        let diagnosis = histogram.diagnosis(3, Some(&rejection));
        assert_eq!(diagnosis.message, "0/3 nodes are available: no such volume.");
        assert!(diagnosis.is_error);
        assert_eq!(Histogram::default().diagnosis(0, None).message, NO_NODES);
    }
}
