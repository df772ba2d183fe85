//! Explains: every node's verdict and scores for one Pod, as the scheduler would judge it now.
//!
//! In: a Pod's name. Out: [`ExplainResponse`]. The engine's task answers between two decisions, so that an explanation shows
//! one moment. Nothing is changed: a Pod that has a node is lifted from it for the length of the question.

use crate::cycle::{Appraisal, Appraised, Scored};
use crate::engine::Engine;
use crate::framework::Status as Verdict;
use crate::limits::{EXPLANATIONS_WAITING, NODES_EXPLAINED};
use crate::pod::PodInfo;
use crate::queue::Place;
use crate::registry::Plugins;
use crate::snapshot::{PlacedPod, Placement};
use apimachinery::status::{Reason, about};
use client::ObjectKey;
use component_base::grpc::to_tonic;
use proto::api::core::v1::Pod;
use proto::orrery::v1::explain_response::State;
use proto::orrery::v1::scheduler_server::Scheduler;
use proto::orrery::v1::{ExplainRequest, ExplainResponse, NodeVerdict, PluginScore};
use std::cmp::Reverse;
use tokio::sync::{mpsc, oneshot};
use tonic::{Request, Response, Status};

/// A question, and where the answer goes.
#[derive(Debug)]
pub(crate) struct Asked {
    request: ExplainRequest,
    answer: oneshot::Sender<Result<ExplainResponse, Status>>,
}

impl Asked {
    /// Answers. Who asked may have gone away.
    pub(crate) fn answer(self, engine: &mut Engine) {
        _ = self.answer.send(explain(engine, &self.request));
    }
}

/// The gRPC service: passes questions to the engine's task.
#[derive(Clone, Debug)]
pub(crate) struct ExplainService(mpsc::Sender<Asked>);

impl ExplainService {
    /// The service, and the questions that it gets.
    pub(crate) fn new() -> (Self, mpsc::Receiver<Asked>) {
        let (sender, receiver) = mpsc::channel(EXPLANATIONS_WAITING);
        (Self(sender), receiver)
    }
}

#[tonic::async_trait]
impl Scheduler for ExplainService {
    async fn explain(&self, request: Request<ExplainRequest>) -> Result<Response<ExplainResponse>, Status> {
        let (answer, answered) = oneshot::channel();
        let asked = Asked {
            request: request.into_inner(),
            answer,
        };
        self.0.try_send(asked).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => {
                Status::resource_exhausted("too many explanations are asked for at once; ask again")
            }
            mpsc::error::TrySendError::Closed(_) => Status::unavailable("the scheduler is shutting down"),
        })?;
        let answered = answered.await;
        let answer = answered.map_err(|_| Status::unavailable("the scheduler is shutting down"))?;
        answer.map(Response::new)
    }
}

/// Answers a question.
pub(crate) fn explain(engine: &mut Engine, request: &ExplainRequest) -> Result<ExplainResponse, Status> {
    let namespace = if request.namespace.is_empty() {
        "default"
    } else {
        &request.namespace
    };
    if !engine.synced() {
        return Err(Status::unavailable(
            "the scheduler has not seen the cluster yet; ask again",
        ));
    }
    let key = ObjectKey::new::<Pod>(namespace, &request.pod);
    let queued = engine.queue.get(&key).cloned();
    let placed = engine.snapshot.pod(&key).cloned();
    let pod = match (&queued, &placed) {
        (_, Some(placed)) => as_pod(placed),
        (Some(queued), None) => PodInfo::clone(&queued.pod),
        (None, None) => {
            let message = format!(
                "pods {:?} not found: it does not exist, has run to its end, or is another scheduler's",
                request.pod
            );
            let status = about(Reason::NotFound, "", "pods", &request.pod, message);
            return Err(to_tonic(status));
        }
    };
    let mut response = ExplainResponse {
        uid: pod.uid.to_string(),
        state: state(
            queued.as_ref().map(|q| q.place),
            placed.as_ref().map(|p| p.placement),
        )
        .into(),
        revision: engine.revision(),
        attempts: queued
            .as_ref()
            .map_or(0, |q| i32::try_from(q.attempts).unwrap_or(i32::MAX)),
        ..ExplainResponse::default()
    };
    let Some(placed) = placed else {
        judge(engine, &pod, request.limit, &mut response)?;
        return Ok(response);
    };
    let node = engine.snapshot.node(placed.slot).name.clone();
    engine.snapshot.remove_pod(&key);
    let judged = judge(engine, &pod, request.limit, &mut response);
    engine.snapshot.put_back(placed, &node);
    judged?;
    response.node = node.to_string();
    Ok(response)
}

/// A placed Pod as one that waits.
fn as_pod(placed: &PlacedPod) -> PodInfo {
    PodInfo {
        key: placed.key.clone(),
        uid: placed.uid.clone(),
        revision: placed.revision,
        gated: false,
        deleting: placed.deleting,
        started: placed.started,
        nominated: None,
        conditions: vec![],
        template: placed.template.clone(),
    }
}

fn state(place: Option<Place>, placement: Option<Placement>) -> State {
    match (placement, place) {
        (Some(Placement::Bound), _) => State::Bound,
        (Some(Placement::Assumed), _) | (None, Some(Place::Taken)) => State::Binding,
        (None, Some(Place::Active)) => State::Active,
        (None, Some(Place::Backoff)) => State::Backoff,
        (None, Some(Place::Unschedulable(_) | Place::MakingRoom(_))) => State::Unschedulable,
        (None, Some(Place::Gated)) => State::Gated,
        (None, None) => State::Unspecified,
    }
}

/// Fills in what the nodes are to a Pod.
fn judge(
    engine: &mut Engine,
    pod: &PodInfo,
    limit: i32,
    response: &mut ExplainResponse,
) -> Result<(), Status> {
    let name = &pod.template.spec.scheduler_name;
    let Some(profile) = engine.profiles.get_mut(name) else {
        let message = format!("the pod asks for the scheduler {name:?}, which this one is not");
        return Err(Status::failed_precondition(message));
    };
    let snapshot = &mut engine.snapshot;
    let appraisal = Appraisal::of(&profile.plugins, pod, snapshot);
    if appraisal.feasible() == 0 {
        let diagnosis = profile.cycle.diagnose(&profile.plugins, pod, snapshot);
        response.message.clone_from(&diagnosis.message);
    }
    response.total_nodes = snapshot.node_count() as i32;
    response.feasible_nodes = appraisal.feasible() as i32;
    let nodes = appraisal.nodes.into_iter();
    response.nodes = nodes
        .map(|node| verdict(&profile.plugins, &snapshot.node(node.slot).name, node))
        .collect();
    response.nodes.sort_by(|a, b| {
        (Reverse((a.feasible, a.total)), &a.node).cmp(&(Reverse((b.feasible, b.total)), &b.node))
    });
    let limit = usize::try_from(limit).ok().filter(|limit| *limit > 0);
    response
        .nodes
        .truncate(limit.unwrap_or(NODES_EXPLAINED).min(NODES_EXPLAINED));
    Ok(())
}

fn verdict(plugins: &Plugins, node: &str, appraised: Appraised) -> NodeVerdict {
    let total = appraised.total().unwrap_or_default();
    match appraised.verdict {
        Ok(scores) => NodeVerdict {
            node: node.into(),
            feasible: true,
            total,
            scores: scores.into_iter().map(|scored| score(plugins, scored)).collect(),
            ..NodeVerdict::default()
        },
        Err((place, rejection)) => NodeVerdict {
            node: node.into(),
            plugin: plugins.filters[place].name().into(),
            resolvable: rejection.status == Verdict::Unschedulable,
            reasons: rejection.reasons.into_iter().map(String::from).collect(),
            ..NodeVerdict::default()
        },
    }
}

fn score(plugins: &Plugins, scored: Scored) -> PluginScore {
    PluginScore {
        plugin: plugins.scores[scored.place].plugin.name().into(),
        raw: scored.raw,
        score: scored.score,
        weight: scored.weight,
    }
}

#[cfg(test)]
mod tests;
