//! Explains: every node's verdict and scores for one Pod, as the scheduler would judge it now, and its last attempts as they were.
//!
//! In: a Pod's name. Out: [`ExplainResponse`]. The engine's task answers between two decisions, so that an explanation shows
//! one moment. Nothing is changed: what is thought of is a copy.

mod service;
mod suggest;
mod what_if;

pub(crate) use service::{Asked, ExplainService};

use crate::cycle::{Appraisal, Appraised, Cycle, Judge, Scored, promises};
use crate::engine::{Attempt, AttemptResult, Engine, Profile};
use crate::framework::{Rejection, Room};
use crate::limits::NODES_EXPLAINED;
use crate::pod::PodInfo;
use crate::queue::Place;
use crate::registry::Plugins;
use crate::snapshot::{PlacedPod, Placement, Snapshot};
use apimachinery::status::{Reason, about};
use client::{ObjectKey, time};
use component_base::grpc::to_tonic;
use proto::api::core::v1::Pod;
use proto::orrery::v1::explain_response::State;
use proto::orrery::v1::scheduling_attempt::Result as Told;
use proto::orrery::v1::{
    ExplainRequest, ExplainResponse, NodeVerdict, PluginRefusal, PluginScore, PreemptionVictim,
    SchedulingAttempt,
};
use std::cmp::Reverse;
use std::collections::BTreeMap;
use tonic::Status;

fn ready(engine: &Engine) -> Result<(), Status> {
    let synced = engine.synced().then_some(());
    synced.ok_or_else(|| Status::unavailable("the scheduler has not seen the cluster yet; ask again"))
}

fn key(request: &ExplainRequest) -> ObjectKey {
    let namespace = if request.namespace.is_empty() {
        "default"
    } else {
        &request.namespace
    };
    ObjectKey::new::<Pod>(namespace, &request.pod)
}

fn not_found(pod: &str) -> Status {
    let message = format!(
        "pods {pod:?} not found: it does not exist, has run to its end, or is another scheduler's; and no attempt at it is remembered"
    );
    to_tonic(about(Reason::NotFound, "", "pods", pod, message))
}

/// Answers a question.
pub(crate) fn explain(engine: &mut Engine, request: &ExplainRequest) -> Result<ExplainResponse, Status> {
    ready(engine)?;
    let key = key(request);
    let queued = engine.queue.get(&key).cloned();
    let placed = engine.snapshot.pod(&key).cloned();
    let history: Vec<SchedulingAttempt> = engine.attempts().of(&key).into_iter().map(attempt).collect();
    let uid = engine
        .attempts()
        .of(&key)
        .last()
        .map(|attempt| attempt.uid.to_string());
    let pod = match (&queued, &placed) {
        (_, Some(placed)) => as_pod(placed),
        (Some(queued), None) => PodInfo::clone(&queued.pod),
        (None, None) => {
            // It is gone, but what was decided about it is not.
            let uid = uid.ok_or_else(|| not_found(&request.pod))?;
            return Ok(ExplainResponse {
                uid,
                revision: engine.revision(),
                history,
                ..ExplainResponse::default()
            });
        }
    };
    let place = queued.as_ref().map(|queued| queued.place);
    let placement = placed.as_ref().map(|placed| placed.placement);
    let mut response = ExplainResponse {
        uid: pod.uid.to_string(),
        state: state(place, placement).into(),
        revision: engine.revision(),
        attempts: queued
            .as_ref()
            .map_or(0, |q| i32::try_from(q.attempts).unwrap_or(i32::MAX)),
        history,
        ..ExplainResponse::default()
    };
    match placed {
        None => judge(
            &engine.profiles,
            &mut engine.snapshot,
            &pod,
            request,
            &mut response,
        )?,
        Some(placed) => {
            let node = engine.snapshot.node(placed.slot).name.clone();
            engine.snapshot.remove_pod(&key);
            let judged = judge(
                &engine.profiles,
                &mut engine.snapshot,
                &pod,
                request,
                &mut response,
            );
            engine.snapshot.put_back(placed, &node);
            judged?;
            response.node = node.to_string();
        }
    }
    Ok(response)
}

/// An attempt as it is told.
fn attempt(attempt: &Attempt) -> SchedulingAttempt {
    let mut told = SchedulingAttempt {
        revision: attempt.revision,
        time: Some(time::time(attempt.time)),
        ..SchedulingAttempt::default()
    };
    let result = match &attempt.result {
        AttemptResult::Scheduled(node) => {
            told.node = node.to_string();
            Told::Scheduled
        }
        AttemptResult::Waiting(node) => {
            told.node = node.to_string();
            Told::Waiting
        }
        AttemptResult::Unschedulable(diagnosis, help) => {
            told.message = format!("{} {help}", diagnosis.message).trim_end().to_owned();
            Told::Unschedulable
        }
        AttemptResult::Preempting(diagnosis, room) => {
            told.message.clone_from(&diagnosis.message);
            told.node = room.node.to_string();
            told.why.clone_from(&room.why);
            told.victims = victims(room);
            Told::Preempting
        }
        AttemptResult::Failed(message) => {
            told.message = message.to_string();
            Told::Failed
        }
    };
    told.result = result.into();
    told
}

fn victims(room: &Room) -> Vec<PreemptionVictim> {
    let victims = room.victims.iter().map(|victim| PreemptionVictim {
        namespace: victim.key.namespace.to_string(),
        name: victim.key.name.to_string(),
        priority: victim.priority,
        violates_budget: victim.violates_budget,
    });
    victims.collect()
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
    profiles: &BTreeMap<String, Profile>,
    snapshot: &mut Snapshot,
    pod: &PodInfo,
    request: &ExplainRequest,
    response: &mut ExplainResponse,
) -> Result<(), Status> {
    let name = &pod.template.spec.scheduler_name;
    let Some(profile) = profiles.get(name) else {
        let message = format!("the pod asks for the scheduler {name:?}, which this one is not");
        return Err(Status::failed_precondition(message));
    };
    let plugins = &profile.plugins;
    let appraisal = Appraisal::of(plugins, pod, snapshot);
    if appraisal.feasible() == 0 {
        // What the profile keeps belongs to the engine's snapshot, and this may be a copy.
        let diagnosis = Cycle::default().diagnose(plugins, pod, snapshot, None);
        response.message.clone_from(&diagnosis.message);
        response.suggestions = suggest::suggestions(plugins, pod, &mut snapshot.clone());
    }
    response.total_nodes = snapshot.node_count() as i32;
    response.feasible_nodes = appraisal.feasible() as i32;
    let nodes = appraisal.nodes.into_iter();
    response.nodes = nodes
        .map(|node| verdict(plugins, &snapshot.node(node.slot).name, node))
        .collect();
    response.nodes.sort_by(|a, b| {
        (Reverse((a.feasible, a.total)), &a.node).cmp(&(Reverse((b.feasible, b.total)), &b.node))
    });
    let limit = usize::try_from(request.limit).ok().filter(|limit| *limit > 0);
    response
        .nodes
        .truncate(limit.unwrap_or(NODES_EXPLAINED).min(NODES_EXPLAINED));
    if request.full {
        let promises = promises(plugins, pod, snapshot);
        let judge = Judge::new(plugins, pod, snapshot, &promises);
        for told in response.nodes.iter_mut().filter(|told| !told.feasible) {
            let Some(node) = snapshot.node_named(&told.node) else {
                continue;
            };
            let refusals = judge.refusals(node, &pod.uid).into_iter();
            told.refusals = refusals
                .map(|(place, rejection)| PluginRefusal {
                    plugin: plugins.filters[place].name().into(),
                    resolvable: rejection.is_resolvable(),
                    reasons: words(rejection),
                })
                .collect();
        }
    }
    Ok(())
}

fn words(rejection: Rejection) -> Vec<String> {
    rejection.reasons.into_iter().map(String::from).collect()
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
            resolvable: rejection.is_resolvable(),
            reasons: words(rejection),
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
