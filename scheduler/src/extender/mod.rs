//! HTTP extenders: other processes that have a say in where Pods go, as upstream's `extenders`.
//!
//! ```text
//!   Engine: no plugin refuses these nodes ──Question──> run: extenders are asked, one after the other ──Answer──> Engine: judges them
//!                                                                                                                 again, and chooses
//! ```
//! The engine never waits. A Pod that an extender is interested in is put aside while the question is on its way; others are decided on
//! meanwhile. As upstream, one Pod is asked about at a time, so that an extender can count what it has said yes to. A Pod that no extender
//! is interested in pays nothing for them.
//! <https://kubernetes.io/docs/reference/config-api/kube-scheduler-config.v1/#kubescheduler-config-k8s-io-v1-Extender>

mod http;
mod wire;

pub(crate) use http::Caller;

use crate::diagnosis::Diagnosis;
use crate::framework::{Rejection, Room};
use crate::pod::{PodInfo, PodTemplate};
use proto::api::core::v1::Container;
use std::sync::Arc;
use std::time::Duration;

/// How long an extender may take when its configuration does not say.
pub const TIMEOUT: Duration = Duration::from_secs(5);

/// One extender, as it is configured.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extender {
    /// Where it is; the verbs follow after a slash.
    pub url_prefix: String,
    /// Refuses nodes.
    pub filter: Option<String>,
    /// Scores nodes.
    pub prioritize: Option<String>,
    /// What its scores are multiplied by.
    pub weight: i64,
    /// Has a say in which Pods go to make room.
    pub preempt: Option<String>,
    /// Binds Pods itself.
    pub bind: Option<String>,
    /// How long it may take for one answer.
    pub timeout: Duration,
    /// Whether it knows the nodes itself, so that names are enough.
    pub node_cache_capable: bool,
    /// The resources that it manages: it is asked only about Pods that have one of them. Empty for all Pods.
    pub managed_resources: Vec<String>,
    /// Whether Pods are placed without it when it does not answer.
    pub ignorable: bool,
}

impl Extender {
    /// Whether it has a say about Pods of a template.
    pub fn is_interested(&self, pod: &PodTemplate) -> bool {
        let has = |container: &Container| {
            let resources = container.resources.as_ref();
            resources.is_some_and(|resources| {
                let mut names = resources.requests.keys().chain(resources.limits.keys());
                names.any(|name| self.managed_resources.contains(name))
            })
        };
        let mut containers = pod.spec.containers.iter().chain(&pod.spec.init_containers);
        self.managed_resources.is_empty() || containers.any(has)
    }

    fn url(&self, verb: &str) -> String {
        format!("{}/{verb}", self.url_prefix.trim_end_matches('/'))
    }
}

/// All extenders, in the order in which they are asked.
#[derive(Clone, Debug, Default)]
pub struct Extenders(Arc<[Extender]>);

impl Extenders {
    /// These.
    pub fn new(extenders: Vec<Extender>) -> Self {
        Self(extenders.into())
    }

    /// Those that have a say about Pods of a template, and have some verb.
    fn interested<'a>(
        &'a self,
        pod: &'a PodTemplate,
        verb: fn(&Extender) -> bool,
    ) -> impl Iterator<Item = &'a Extender> {
        let all = self.0.iter();
        all.filter(move |extender| verb(extender) && extender.is_interested(pod))
    }

    /// Whether any has a say about which node a Pod gets.
    pub fn choose_nodes(&self, pod: &PodTemplate) -> bool {
        let verb = |extender: &Extender| extender.filter.is_some() || extender.prioritize.is_some();
        self.interested(pod, verb).next().is_some()
    }

    /// Whether any has a say about which Pods go to make room.
    pub fn choose_victims(&self, pod: &PodTemplate) -> bool {
        let verb = |extender: &Extender| extender.preempt.is_some();
        self.interested(pod, verb).next().is_some()
    }

    /// Whether any binds a Pod itself.
    pub fn bind(&self, pod: &PodTemplate) -> bool {
        self.interested(pod, |extender| extender.bind.is_some())
            .next()
            .is_some()
    }
}

/// What extenders are asked.
#[derive(Clone, Debug)]
pub struct Question {
    /// The Pod.
    pub pod: Arc<PodInfo>,
    /// What about.
    pub about: About,
}

/// What a question is about.
#[derive(Clone, Debug)]
pub enum About {
    /// Which of these nodes, none of which a plugin refuses.
    Nodes(Vec<Arc<str>>),
    /// Which of these rooms, the cheapest first; and why no node takes the Pod.
    Rooms(Vec<Room>, Arc<Diagnosis>),
}

/// What extenders have said.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The Pod.
    pub pod: Arc<PodInfo>,
    /// What was said, or why there is no answer.
    pub said: Result<Said, String>,
}

/// See [`Answer`].
#[derive(Clone, Debug)]
pub enum Said {
    /// What each node that is left adds to its score; and why others are refused.
    Nodes(Vec<(Arc<str>, i64)>, Vec<Rejection>),
    /// The rooms that are left.
    Rooms(Vec<Room>, Arc<Diagnosis>),
}

#[cfg(test)]
mod tests;
