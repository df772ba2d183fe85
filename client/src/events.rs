//! [`EventRecorder`]: tells people what happened, as Kubernetes' Event objects.
//!
//! Best effort: recording never blocks and never fails. What does not fit into the queue, or is refused, is dropped and
//! counted in the log. A repeat (same object, type, reason and message) counts up the first Event instead of making a
//! new one, for as long as the `Correlator` remembers it.
//! <https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/event-v1/>

use crate::client::Client;
use crate::controller::{EventAction, EventKind};
use crate::key::ObjectKey;
use crate::limits::{EVENTS_A_BATCH, EVENTS_REMEMBERED, EVENTS_WAITING};
use crate::time;
use jiff::Timestamp;
use proto::api::core::v1::{Event, EventSource, ObjectReference};
use proto::orrery::v1::batch_operation::Operation;
use proto::orrery::v1::patch_request::Type as PatchType;
use proto::orrery::v1::{BatchOperation, CreateRequest, PatchRequest};
use proto::{Kind, Object};
use serde_json::json;
use std::collections::{BTreeMap, HashMap};
use tokio::sync::mpsc;

/// The most bytes of a message; Kubernetes refuses longer ones in `events.k8s.io`.
const MAX_MESSAGE: usize = 1024;

/// The most bytes of the object's name in an Event's name, which may have 253 with the dot and the 16 digits after it.
const MAX_NAME: usize = 236;

/// Where events of objects go that live in no namespace.
const DEFAULT_NAMESPACE: &str = "default";

/// Records events. Cheap to clone; all clones share one queue, whose task ends with the last of them.
#[derive(Clone, Debug)]
pub struct EventRecorder {
    queue: mpsc::Sender<(EventAction, i64)>,
}

impl EventRecorder {
    /// Starts the task that writes events. Their source is the client's actor. Must be called on a tokio runtime.
    pub fn spawn(client: &Client) -> Self {
        let (queue, events) = mpsc::channel(EVENTS_WAITING);
        tokio::spawn(write(client.clone(), events));
        Self { queue }
    }

    /// Records an event. `cause` is the revision that it tells of; 0 for none.
    pub fn record(&self, event: EventAction, cause: i64) {
        if let Err(error) = self.queue.try_send((event, cause)) {
            tracing::debug!(%error, "an event for people is dropped");
        }
    }

    /// Records an event about a typed object.
    pub fn event<K: Kind>(
        &self,
        regarding: &K,
        r#type: EventKind,
        reason: impl Into<String>,
        message: impl Into<String>,
        cause: i64,
    ) {
        self.record(EventAction::new(regarding, r#type, reason, message), cause);
    }
}

/// Writes events until nobody records any more.
async fn write(client: Client, mut events: mpsc::Receiver<(EventAction, i64)>) {
    let mut correlator = Correlator::new(client.actor());
    let mut waiting = Vec::with_capacity(EVENTS_A_BATCH);
    while events.recv_many(&mut waiting, EVENTS_A_BATCH).await > 0 {
        let now = client.clock().wall();
        let (mut operations, mut whats) = (Vec::new(), Vec::new());
        for (event, cause) in waiting.drain(..) {
            let what = What::of(&event);
            operations.push(correlator.note(event, now, cause));
            whats.push(what);
        }
        for (what, result) in whats.iter().zip(client.batch(operations).await) {
            if let Err(error) = result {
                tracing::debug!(%error, reason = %what.reason, "an event for people is lost");
                // It may have expired; the next repeat makes a new one.
                correlator.forget(what);
            }
        }
    }
}

/// What makes two events the same.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct What {
    kind: String,
    namespace: String,
    name: String,
    uid: String,
    r#type: &'static str,
    reason: String,
    message: String,
}

impl What {
    fn of(event: &EventAction) -> Self {
        Self {
            kind: event.regarding.kind.clone(),
            namespace: event.regarding.namespace.clone(),
            name: event.regarding.name.clone(),
            uid: event.regarding.uid.clone(),
            r#type: event.r#type.as_str(),
            reason: event.reason.clone(),
            message: event.message.clone(),
        }
    }
}

/// An Event that was made.
#[derive(Debug)]
struct Made {
    key: ObjectKey,
    count: i32,
    /// When it was last used, in the order of uses.
    used: u64,
}

/// Decides whether an event makes a new Event or counts up an old one. Remembers at most [`EVENTS_REMEMBERED`].
#[derive(Debug)]
struct Correlator {
    component: String,
    made: HashMap<What, Made>,
    by_use: BTreeMap<u64, What>,
    uses: u64,
    /// The last moment that went into a name, so that no two Events share one.
    stamp: i128,
}

impl Correlator {
    fn new(component: &str) -> Self {
        Self {
            component: component.into(),
            made: HashMap::new(),
            by_use: BTreeMap::new(),
            uses: 0,
            stamp: 0,
        }
    }

    /// The write that tells of the event.
    fn note(&mut self, event: EventAction, now: Timestamp, cause: i64) -> BatchOperation {
        let what = What::of(&event);
        self.uses += 1;
        let uses = self.uses;
        if let Some(made) = self.made.get_mut(&what) {
            self.by_use.remove(&made.used);
            made.used = uses;
            made.count = made.count.saturating_add(1);
            let patch = repeat(&made.key, made.count, now);
            self.by_use.insert(uses, what);
            return BatchOperation {
                operation: Some(Operation::Patch(patch)),
                cause,
            };
        }
        let object = self.event(event, now);
        let made = Made {
            key: ObjectKey::of(&object),
            count: 1,
            used: uses,
        };
        self.made.insert(what.clone(), made);
        self.by_use.insert(uses, what);
        if self.made.len() > EVENTS_REMEMBERED
            && let Some((_, oldest)) = self.by_use.pop_first()
        {
            self.made.remove(&oldest);
        }
        let create = CreateRequest {
            object: Some(Object::encode_from(&object)),
            ..CreateRequest::default()
        };
        BatchOperation {
            operation: Some(Operation::Create(create)),
            cause,
        }
    }

    fn forget(&mut self, what: &What) {
        if let Some(made) = self.made.remove(what) {
            self.by_use.remove(&made.used);
        }
    }

    fn event(&mut self, event: EventAction, now: Timestamp) -> Event {
        self.stamp = now.as_nanosecond().max(self.stamp + 1);
        let about: ObjectReference = event.regarding;
        let mut object = Event {
            reason: event.reason,
            message: cut(&event.message, MAX_MESSAGE).into(),
            source: Some(EventSource {
                component: self.component.clone(),
                host: String::new(),
            }),
            first_timestamp: Some(time::time(now)),
            last_timestamp: Some(time::time(now)),
            count: 1,
            r#type: event.r#type.as_str().into(),
            reporting_component: self.component.clone(),
            ..Event::default()
        };
        let meta = object.metadata_mut();
        meta.name = format!("{}.{:x}", cut(&about.name, MAX_NAME), self.stamp);
        meta.namespace = if about.namespace.is_empty() {
            DEFAULT_NAMESPACE.into()
        } else {
            about.namespace.clone()
        };
        object.involved_object = Some(about);
        object
    }
}

/// Counts an Event up.
fn repeat(key: &ObjectKey, count: i32, now: Timestamp) -> PatchRequest {
    let second = Timestamp::from_second(now.as_second()).unwrap_or(now);
    PatchRequest {
        kind: key.resource(),
        namespace: key.namespace.to_string(),
        name: key.name.to_string(),
        r#type: PatchType::Merge.into(),
        patch: json!({"count": count, "lastTimestamp": second.to_string()}).to_string(),
        ..PatchRequest::default()
    }
}

/// The longest start of `text` within `limit` bytes that ends between characters.
fn cut(text: &str, limit: usize) -> &str {
    let ends = text.char_indices().map(|(start, char)| start + char.len_utf8());
    &text[..ends.take_while(|end| *end <= limit).last().unwrap_or(0)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::api::core::v1::Node;

    fn told(message: &str) -> EventAction {
        let mut node = Node::default();
        node.metadata_mut().name = "node-1".into();
        EventAction::new(&node, EventKind::Normal, "NodeReady", message)
    }

    fn created(operation: BatchOperation) -> Event {
        match operation.operation {
            Some(Operation::Create(create)) => create.object.unwrap().decode_as().unwrap(),
            other => panic!("no creation: {other:?}"),
        }
    }

    fn now() -> Timestamp {
        "2026-01-02T03:04:05.678Z".parse().unwrap()
    }

    #[test]
    fn a_first_event_is_created_and_its_repeat_counts_it_up() {
        let mut correlator = Correlator::new("kubelet");
        let event = created(correlator.note(told("ready"), now(), 7));
        assert_eq!(event.name(), format!("node-1.{:x}", now().as_nanosecond()));
        assert_eq!(
            (event.namespace(), event.count, event.r#type.as_str()),
            ("default", 1, "Normal")
        );
        assert_eq!(event.involved_object.as_ref().unwrap().kind, "Node");
        let again = correlator.note(told("ready"), now(), 9);
        let Some(Operation::Patch(patch)) = again.operation else {
            panic!("a patch")
        };
        assert_eq!(
            (patch.kind.as_str(), patch.name.as_str(), again.cause),
            ("events", event.name(), 9)
        );
        assert_eq!(
            patch.patch,
            r#"{"count":2,"lastTimestamp":"2026-01-02T03:04:05Z"}"#
        );
    }

    #[test]
    fn events_of_one_moment_have_names_of_their_own() {
        let mut correlator = Correlator::new("kubelet");
        let one = created(correlator.note(told("one"), now(), 0));
        let two = created(correlator.note(told("two"), now(), 0));
        assert_ne!(one.name(), two.name());
    }

    #[test]
    fn an_event_that_was_lost_or_pushed_out_is_made_anew() {
        let mut correlator = Correlator::new("kubelet");
        created(correlator.note(told("lost"), now(), 0));
        correlator.forget(&What::of(&told("lost")));
        created(correlator.note(told("lost"), now(), 0));
        for i in 0..EVENTS_REMEMBERED {
            created(correlator.note(told(&i.to_string()), now(), 0));
        }
        assert_eq!(
            (correlator.made.len(), correlator.by_use.len()),
            (EVENTS_REMEMBERED, EVENTS_REMEMBERED)
        );
        created(correlator.note(told("lost"), now(), 0));
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        let event = created(Correlator::new("kubelet").note(told(&"ö".repeat(2000)), now(), 0));
        assert_eq!(event.message, "ö".repeat(512));
    }
}
