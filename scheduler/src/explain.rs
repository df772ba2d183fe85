//! Explains: every node's verdict and scores for one Pod, as the scheduler would judge it now.
//!
//! In: a Pod's name. Out: [`ExplainResponse`]. The engine's task answers between two decisions, so that an explanation shows
//! one moment. Nothing is changed: a Pod that has a node is lifted from it for the length of the question.

use crate::cycle::{Evaluation, Prepared};
use crate::engine::Engine;
use crate::framework::Status as Verdict;
use crate::limits::{EXPLANATIONS_WAITING, NODES_EXPLAINED};
use crate::pod::PodClass;
use crate::queue::Place;
use crate::snapshot::{Node, Placement};
use apimachinery::status::{Reason, about};
use client::ObjectKey;
use component_base::grpc::to_tonic;
use proto::api::core::v1::Pod;
use proto::orrery::v1::explain_response::State;
use proto::orrery::v1::scheduler_server::Scheduler;
use proto::orrery::v1::{ExplainRequest, ExplainResponse, NodeVerdict, PluginScore};
use std::cmp::Reverse;
use std::sync::Arc;
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
    let (uid, class) = match (&queued, &placed) {
        (_, Some(placed)) => (placed.uid.clone(), placed.class.clone()),
        (Some(queued), None) => (queued.pod.uid.clone(), queued.pod.class.clone()),
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
        uid: uid.to_string(),
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
        judge(engine, &class, request.limit, &mut response);
        return Ok(response);
    };
    let node = engine.snapshot.node(placed.slot).name.clone();
    engine.snapshot.remove_pod(&key);
    judge(engine, &class, request.limit, &mut response);
    engine.snapshot.put_back(key, placed, &node);
    response.node = node.to_string();
    Ok(response)
}

fn state(place: Option<Place>, placement: Option<Placement>) -> State {
    match (placement, place) {
        (Some(Placement::Bound), _) => State::Bound,
        (Some(Placement::Assumed), _) | (None, Some(Place::Taken)) => State::Binding,
        (None, Some(Place::Active)) => State::Active,
        (None, Some(Place::Backoff)) => State::Backoff,
        (None, Some(Place::Unschedulable(_))) => State::Unschedulable,
        (None, Some(Place::Gated)) => State::Gated,
        (None, None) => State::Unspecified,
    }
}

/// Fills in what the nodes are to a class of Pods.
fn judge(engine: &mut Engine, class: &Arc<PodClass>, limit: i32, response: &mut ExplainResponse) {
    let mut evaluation = Evaluation::default();
    evaluation.refresh(&engine.plugins, class, &engine.snapshot);
    if evaluation.feasible() == 0 {
        let diagnosis = evaluation.diagnose(&engine.plugins, class, &engine.snapshot);
        response.message.clone_from(&diagnosis.message);
    }
    response.total_nodes = engine.snapshot.node_count() as i32;
    response.feasible_nodes = evaluation.feasible() as i32;
    let prepared = Prepared::new(&engine.plugins, class, &engine.snapshot);
    let present = engine.snapshot.slots().iter().filter(|node| node.present);
    let verdict = |node: &Node| match prepared.judge(node) {
        Ok(()) => accepted(engine, &prepared, &evaluation, node),
        Err((place, rejection)) => NodeVerdict {
            node: node.name.to_string(),
            plugin: engine.plugins.filters[place].name().into(),
            resolvable: rejection.status == Verdict::Unschedulable,
            reasons: rejection.reasons.into_iter().map(String::from).collect(),
            ..NodeVerdict::default()
        },
    };
    response.nodes = present.map(verdict).collect();
    response.nodes.sort_by(|a, b| {
        (Reverse((a.feasible, a.total)), &a.node).cmp(&(Reverse((b.feasible, b.total)), &b.node))
    });
    let limit = usize::try_from(limit).ok().filter(|limit| *limit > 0);
    response
        .nodes
        .truncate(limit.unwrap_or(NODES_EXPLAINED).min(NODES_EXPLAINED));
}

fn accepted(engine: &Engine, prepared: &Prepared<'_>, evaluation: &Evaluation, node: &Node) -> NodeVerdict {
    let score = |scoring: &crate::cycle::PreparedScore<'_>| {
        let raw = scoring.score.score(node);
        PluginScore {
            plugin: engine.plugins.scores[scoring.place].plugin.name().into(),
            raw,
            score: scoring.normalize.apply(raw, evaluation.highest(scoring.place)),
            weight: scoring.weight,
        }
    };
    let scores: Vec<PluginScore> = prepared.scores.iter().map(score).collect();
    NodeVerdict {
        node: node.name.to_string(),
        feasible: true,
        total: scores.iter().map(|score| score.weight * score.score).sum(),
        scores,
        ..NodeVerdict::default()
    }
}

#[cfg(test)]
mod tests;
