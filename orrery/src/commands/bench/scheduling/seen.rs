//! [`Seen`]: which Pods have a node, as one watch shows it. Reads no more of a Pod than its name.

use super::workload::place_of;
use anyhow::{Context, Result, bail};
use apimachinery::wire::{Fields, metadata};
use client::Client;
use component_base::clock::{Clock, Instant};
use futures::StreamExt;
use proto::EventType;
use proto::orrery::v1::{WatchRequest, WatchTarget};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Notify;
use tokio_util::task::AbortOnDropHandle;

/// When the Pods of a step were bound, by their numbers.
#[derive(Debug, Default)]
struct Step {
    at: Vec<Option<Instant>>,
    bound: usize,
}

#[derive(Debug, Default)]
struct State {
    steps: BTreeMap<usize, Step>,
    failure: Option<String>,
}

/// See the module.
pub(super) struct Seen {
    state: Arc<Mutex<State>>,
    changed: Arc<Notify>,
    _reader: AbortOnDropHandle<()>,
}

impl Seen {
    /// Begins to watch.
    pub(super) async fn begin(client: &Client, clock: &Clock) -> Result<Self> {
        let request = WatchRequest {
            targets: vec![WatchTarget {
                kind: "pods".into(),
                field_selector: "spec.nodeName!=".into(),
                ..WatchTarget::default()
            }],
            ..WatchRequest::default()
        };
        let mut events = client.watch(request).await.context("cannot watch pods")?;
        let (state, changed) = (Arc::new(Mutex::new(State::default())), Arc::new(Notify::new()));
        let (shared, notify, clock) = (state.clone(), changed.clone(), clock.clone());
        let reader = tokio::spawn(async move {
            while let Some(frame) = events.next().await {
                let event = frame
                    .map_err(anyhow::Error::from)
                    .and_then(|frame| Ok(frame.event()?));
                let noted = match event {
                    Ok(event) if event.r#type() == EventType::Added => {
                        event.object.map(|object| note(&object.bytes))
                    }
                    Ok(_) => None,
                    Err(error) => Some(Err(error)),
                };
                let Some(noted) = noted else { continue };
                let mut state = shared.lock().unwrap_or_else(PoisonError::into_inner);
                match noted {
                    Ok(Some((step, number))) => state.bind(step, number, clock.now()),
                    Ok(None) => {}
                    Err(error) => state.failure = Some(error.to_string()),
                }
                drop(state);
                notify.notify_waiters();
            }
            let mut state = shared.lock().unwrap_or_else(PoisonError::into_inner);
            state.failure.get_or_insert_with(|| "the watch has ended".into());
            notify.notify_waiters();
        });
        Ok(Self {
            state,
            changed,
            _reader: AbortOnDropHandle::new(reader),
        })
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many of a step's Pods are bound.
    pub(super) fn bound(&self, step: usize) -> usize {
        self.state().steps.get(&step).map_or(0, |step| step.bound)
    }

    /// Waits until so many are.
    pub(super) async fn wait(&self, step: usize, count: usize) -> Result<()> {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if let Some(failure) = &self.state().failure {
                bail!("{failure}");
            }
            if self.bound(step) >= count {
                return Ok(());
            }
            changed.await;
        }
    }

    /// When each of a step's Pods was bound, by number.
    pub(super) fn times(&self, step: usize) -> Vec<Option<Instant>> {
        let state = self.state();
        state
            .steps
            .get(&step)
            .map(|step| step.at.clone())
            .unwrap_or_default()
    }
}

impl State {
    fn bind(&mut self, step: usize, number: usize, now: Instant) {
        let step = self.steps.entry(step).or_default();
        if step.at.len() <= number {
            step.at.resize(number + 1, None);
        }
        // Only the first time: a watch that begins anew would tell it again.
        if step.at[number].is_none() {
            step.at[number] = Some(now);
            step.bound += 1;
        }
    }
}

/// A Pod's step and number; `None` for one that is no part of the workload.
fn note(pod: &[u8]) -> Result<Option<(usize, usize)>> {
    let meta = metadata(pod)?;
    for field in Fields::new(&meta) {
        let field = field?;
        // ObjectMeta.name
        if field.number == 1 {
            return Ok(place_of(field.str()?));
        }
    }
    Ok(None)
}
