//! [`World`]: a cluster in a map, to test controllers without time, network or a server.
//!
//! It does to objects what the API does as far as controllers can tell: uids, revisions, generations, generated names,
//! status apart from spec, finalizers, propagation, graceful deletion, preconditions. [`World::settle`] runs controllers
//! until none of them has anything left to do, and then reconciles every key once more: a second `reconcile` must plan
//! nothing.
//! Deterministic: the same calls give the same names, uids and revisions.
//!
//! ```text
//! let mut world = World::new([Watch::of::<Pod>(), Watch::of::<ReplicaSet>()]);
//! world.add(&replica_set);
//! world.settle(&[&ReplicaSetController]);
//! assert_eq!(world.list::<Pod>().len(), 3);
//! ```

mod fields;
mod patch;

use crate::cache::{Cache, CacheEvent, Watch};
use crate::cached::Metadata;
use crate::controller::{Action, Controller, DeleteAction, EventAction, Plan};
use crate::delta::Delta;
use crate::key::ObjectKey;
use crate::time;
use apimachinery::kinds;
use apimachinery::meta::{begin_deletion, can_be_removed, deletion_finalizers, is_being_deleted};
use apimachinery::status::{Reason, about};
use fields::{METADATA, SPEC, STATUS};
use jiff::Timestamp;
use prost::Message;
use proto::api::core::v1::{Namespace, Pod};
use proto::meta::v1::{ObjectMeta, Status};
use proto::{Kind, Object};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// After so many reconciles without coming to rest, controllers are taken to fight each other.
const MAX_RECONCILES: usize = 20_000;

/// What Kubernetes gives a Pod that names no grace period.
const DEFAULT_GRACE_SECONDS: i64 = 30;

/// A cluster in a map.
pub struct World {
    cache: Cache,
    objects: BTreeMap<ObjectKey, Object>,
    revision: i64,
    uids: u64,
    now: Timestamp,
    /// Every change so far. Controllers read on from where they were.
    log: Vec<CacheEvent>,
    /// By controller name.
    readers: BTreeMap<&'static str, Reader>,
    /// What was told with [`Action::RecordEvent`], in order.
    pub events: Vec<EventAction>,
}

/// How far a controller has come.
#[derive(Default)]
struct Reader {
    read: usize,
    keys: BTreeSet<ObjectKey>,
    touched: BTreeSet<ObjectKey>,
    later: BTreeSet<(Timestamp, ObjectKey)>,
}

impl World {
    /// An empty cluster at midnight of 2026-01-01, whose cache holds these kinds.
    pub fn new(watches: impl IntoIterator<Item = Watch>) -> Self {
        let mut cache = Cache::new(watches);
        cache
            .apply(&Delta::Synced(0))
            .expect("a mark has no object to decode");
        Self {
            cache,
            objects: BTreeMap::new(),
            revision: 0,
            uids: 0,
            now: Timestamp::constant(1_767_225_600, 0),
            log: Vec::new(),
            readers: BTreeMap::new(),
            events: Vec::new(),
        }
    }

    /// An empty cluster, whose cache holds what these controllers watch.
    pub fn of(controllers: &[&dyn Controller]) -> Self {
        Self::new(controllers.iter().flat_map(|controller| controller.watches()))
    }

    /// What controllers see.
    pub fn cache(&self) -> &Cache {
        &self.cache
    }

    /// Wall time.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// Lets time pass. Keys whose plans asked for it are reconciled again by the next [`World::settle`].
    pub fn advance(&mut self, by: Duration) {
        self.now = later(self.now, by);
    }

    /// Forgets what controllers have read and when they asked to be called, as a restart of their process does.
    pub fn restart(&mut self) {
        self.readers.clear();
    }

    /// Creates an object; gives it as stored. Panics when the name is taken.
    pub fn add<K: Kind>(&mut self, object: &K) -> K {
        self.typed(Action::create(object))
    }

    /// Replaces an object's metadata and spec; panics when it is missing or was changed since.
    pub fn update<K: Kind>(&mut self, object: &K) -> K {
        self.typed(Action::update(object))
    }

    /// Replaces an object's status; panics when it is missing or was changed since.
    pub fn update_status<K: Kind>(&mut self, object: &K) -> K {
        self.typed(Action::update_status(object))
    }

    /// Reads, changes and replaces an object: metadata and spec as well as status.
    pub fn edit<K: Kind>(&mut self, namespace: &str, name: &str, change: impl FnOnce(&mut K)) -> K {
        let mut object: K = self
            .get(namespace, name)
            .unwrap_or_else(|| panic!("no {} {namespace}/{name}", K::NAME));
        change(&mut object);
        let mut stored = self.update(&object);
        if kinds::of::<K>().has_status && self.get::<K>(namespace, name).is_some() {
            object
                .metadata_mut()
                .resource_version
                .clone_from(&stored.metadata_mut().resource_version);
            stored = self.update_status(&object);
        }
        stored
    }

    /// Deletes an object as a user does: finalizers and a bound Pod's grace hold it.
    pub fn delete<K: Kind>(&mut self, object: &K) {
        self.apply(&Action::delete(object))
            .unwrap_or_else(|status| panic!("{}", status.message));
    }

    /// Takes an object out at once, as a kubelet does when a Pod's containers have ended.
    pub fn remove<K: Kind>(&mut self, object: &K) {
        self.take_out(&ObjectKey::of(object));
    }

    /// One object, whether the cache holds its kind or not.
    pub fn get<K: Kind>(&self, namespace: &str, name: &str) -> Option<K> {
        self.objects
            .get(&ObjectKey::new::<K>(namespace, name))
            .map(decoded)
    }

    /// One object as it is stored.
    pub fn object(&self, key: &ObjectKey) -> Option<&Object> {
        self.objects.get(key)
    }

    /// All stored objects, in the order of their keys.
    pub fn objects(&self) -> impl Iterator<Item = (&ObjectKey, &Object)> {
        self.objects.iter()
    }

    /// All objects of a kind, in order of namespace and name, whether the cache holds the kind or not.
    pub fn list<K: Kind>(&self) -> Vec<K> {
        self.objects
            .iter()
            .filter(|(key, _)| key.is::<K>())
            .map(|(_, object)| decoded(object))
            .collect()
    }

    /// What the controller plans for a key; nothing is done.
    pub fn reconcile(&self, controller: &dyn Controller, key: &ObjectKey) -> Plan {
        controller.reconcile(&self.cache, key, self.now)
    }

    /// Reconciles a key once and carries its plan out; gives the plan. Refusals are part of the game: as in the
    /// runtime, they do not stop the rest.
    pub fn step(&mut self, controller: &dyn Controller, key: &ObjectKey) -> Plan {
        let plan = self.reconcile(controller, key);
        let mut done = Some(String::new());
        for action in &plan.actions {
            if let Action::RecordEvent(event) = action {
                if let Some(name) = &done {
                    self.events.push(event.about_written(name));
                }
                continue;
            }
            done = self.apply(action).ok().map(|written| written.name.to_string());
        }
        plan
    }

    /// Runs the controllers until all are at rest, as far as time stands still; gives every action they took. Panics
    /// when they do not come to rest, or when a key's second `reconcile` plans anything.
    pub fn settle(&mut self, controllers: &[&dyn Controller]) -> Vec<Action> {
        let mut taken = Vec::new();
        for _ in 0..MAX_RECONCILES {
            let Some((controller, key)) = controllers.iter().find_map(|c| Some((*c, self.next_key(*c)?)))
            else {
                self.check_rest(controllers);
                return taken;
            };
            let plan = self.step(controller, &key);
            if let Some(delay) = plan.requeue_after {
                let due = later(self.now, delay);
                self.reader(controller).later.insert((due, key.clone()));
            }
            taken.extend(plan.actions);
        }
        let last: Vec<_> = taken.iter().rev().take(5).collect();
        panic!(
            "controllers did not come to rest after {MAX_RECONCILES} reconciles; the last actions: {last:#?}"
        );
    }

    /// Carries one action out; gives the key it wrote, or the API's refusal.
    pub fn apply(&mut self, action: &Action) -> Result<ObjectKey, Box<Status>> {
        match action {
            Action::Create(object) => self.create(object),
            Action::Update(object) => self.replace(object, false),
            Action::UpdateStatus(object) => self.replace(object, true),
            Action::Patch(patch) => {
                let stored = self.stored(&patch.key)?.clone();
                let patched = patch::apply(&stored, patch)?;
                self.replace(&patched, patch.subresource == "status")
            }
            Action::Delete(delete) | Action::Evict(delete) => self.mark(delete),
            Action::RecordEvent(event) => {
                self.events.push(event.clone());
                let about = &event.regarding;
                Ok(ObjectKey::of_kind(0, &about.namespace, &about.name))
            }
        }
    }

    fn typed<K: Kind>(&mut self, action: Action) -> K {
        let before = action_object(&action).map(decoded::<K>);
        match self.apply(&action) {
            // An update that ends a deletion leaves nothing to read.
            Ok(key) => self.objects.get(&key).map(decoded).or(before).unwrap_or_default(),
            Err(status) => panic!("{}", status.message),
        }
    }

    fn create(&mut self, object: &Object) -> Result<ObjectKey, Box<Status>> {
        let mut meta = metadata(object);
        self.uids += 1;
        if meta.name.is_empty() && !meta.generate_name.is_empty() {
            meta.name = format!("{}{:05}", meta.generate_name, self.uids);
        }
        let info = kinds::by_number(object.number);
        if info.is_some_and(|info| info.namespaced) && meta.namespace.is_empty() {
            meta.namespace = "default".into();
        }
        let key = ObjectKey::of_kind(object.number, &meta.namespace, &meta.name);
        if self.objects.contains_key(&key) {
            return Err(refusal(Reason::AlreadyExists, &key, "already exists"));
        }
        meta.uid = format!("00000000-0000-4000-8000-{:012x}", self.uids);
        meta.creation_timestamp = Some(time::time(self.now));
        meta.generation = i64::from(info.is_some_and(|info| info.has_status));
        self.put(&key, fields::with(object, METADATA, &meta.encode_to_vec()));
        Ok(key)
    }

    /// Replaces either metadata and spec or the status of a stored object.
    fn replace(&mut self, object: &Object, status: bool) -> Result<ObjectKey, Box<Status>> {
        let asked = metadata(object);
        let key = ObjectKey::of_kind(object.number, &asked.namespace, &asked.name);
        let stored = self.stored(&key)?.clone();
        let current = metadata(&stored);
        check(&key, &current, Some(&asked.uid), Some(&asked.resource_version))?;
        let next = if status {
            fields::with(&stored, STATUS, &fields::get(object, STATUS))
        } else {
            let mut meta = ObjectMeta {
                uid: current.uid.clone(),
                resource_version: current.resource_version.clone(),
                creation_timestamp: current.creation_timestamp,
                deletion_timestamp: current.deletion_timestamp,
                deletion_grace_period_seconds: current.deletion_grace_period_seconds,
                generation: current.generation,
                ..asked
            };
            let has_status = key.info().is_some_and(|info| info.has_status);
            if has_status && fields::get(&stored, SPEC) != fields::get(object, SPEC) {
                meta.generation += 1;
            }
            let kept = fields::get(if has_status { &stored } else { object }, STATUS);
            fields::with(
                &fields::with(object, METADATA, &meta.encode_to_vec()),
                STATUS,
                &kept,
            )
        };
        if fields::same(&next, &stored) {
            return Ok(key);
        }
        let meta = metadata(&next);
        if is_being_deleted(&meta) && can_be_removed(&meta) && !holds_content(&next) {
            self.take_out(&key);
        } else {
            self.put(&key, next);
        }
        Ok(key)
    }

    /// Deletes an object, or marks it where finalizers, propagation or grace hold it.
    fn mark(&mut self, delete: &DeleteAction) -> Result<ObjectKey, Box<Status>> {
        let key = &delete.key;
        let stored = self.stored(key)?.clone();
        let meta = metadata(&stored);
        let preconditions = delete.options.preconditions.clone().unwrap_or_default();
        check(
            key,
            &meta,
            preconditions.uid.as_deref(),
            preconditions.resource_version.as_deref(),
        )?;
        let grace = grace_of(&stored, delete.options.grace_period_seconds);
        let mut after = meta.clone();
        // A Pod's finalizers are settled once its grace runs.
        if !is_being_deleted(&meta) || !key.is::<Pod>() {
            after.finalizers = deletion_finalizers(&meta, &delete.options);
        }
        if grace == 0 && after.finalizers.is_empty() && !holds_content(&stored) {
            self.take_out(key);
            return Ok(key.clone());
        }
        begin_deletion(&mut after, time::time(self.now), grace);
        if after != meta {
            let mut marked = fields::with(&stored, METADATA, &after.encode_to_vec());
            if key.is::<Namespace>() && !is_being_deleted(&meta) {
                let mut namespace: Namespace = decoded(&marked);
                namespace.status.get_or_insert_default().phase = "Terminating".into();
                marked = Object::encode_from(&namespace);
            }
            self.put(key, marked);
        }
        Ok(key.clone())
    }

    fn stored(&self, key: &ObjectKey) -> Result<&Object, Box<Status>> {
        self.objects
            .get(key)
            .ok_or_else(|| refusal(Reason::NotFound, key, "not found"))
    }

    fn put(&mut self, key: &ObjectKey, object: Object) {
        self.revision += 1;
        let mut meta = metadata(&object);
        meta.resource_version = self.revision.to_string();
        let object = fields::with(&object, METADATA, &meta.encode_to_vec());
        self.objects.insert(key.clone(), object.clone());
        let (key, revision, actor) = (key.clone(), self.revision, Arc::from("world"));
        self.feed(&Delta::Upsert {
            key,
            object,
            revision,
            actor,
            cause: 0,
        });
    }

    fn take_out(&mut self, key: &ObjectKey) {
        let Some(object) = self.objects.remove(key) else {
            return;
        };
        self.revision += 1;
        let (key, revision, actor) = (key.clone(), self.revision, Arc::from("world"));
        self.feed(&Delta::Delete {
            key,
            object: Some(object),
            revision,
            actor,
            cause: 0,
        });
    }

    fn feed(&mut self, delta: &Delta) {
        let change = self
            .cache
            .apply(delta)
            .unwrap_or_else(|error| panic!("{delta:?} does not decode: {error}"));
        self.log.extend(change);
    }

    fn reader(&mut self, controller: &dyn Controller) -> &mut Reader {
        self.readers.entry(controller.name()).or_default()
    }

    /// The next key that a controller should reconcile, as its `keys` and its plans' requeues have it.
    fn next_key(&mut self, controller: &dyn Controller) -> Option<ObjectKey> {
        let watched: BTreeSet<u32> = controller.watches().iter().map(Watch::number).collect();
        let (now, log, cache) = (self.now, &self.log, &self.cache);
        let reader = self.readers.entry(controller.name()).or_default();
        for event in &log[reader.read..] {
            if watched.contains(&kinds::arm(event.key.kind)) {
                reader.keys.extend(controller.keys(cache, event));
            }
        }
        reader.read = log.len();
        while let Some((due, key)) = reader.later.pop_first() {
            if due > now {
                reader.later.insert((due, key));
                break;
            }
            reader.keys.insert(key);
        }
        let key = reader.keys.pop_first()?;
        reader.touched.insert(key.clone());
        Some(key)
    }

    fn check_rest(&self, controllers: &[&dyn Controller]) {
        for controller in controllers {
            let touched = self.readers.get(controller.name()).map(|reader| &reader.touched);
            for key in touched.into_iter().flatten() {
                let plan = self.reconcile(*controller, key);
                let actions = plan.actions;
                assert!(
                    actions.is_empty(),
                    "{} reconciled {key} at rest, and planned again: {actions:#?}",
                    controller.name()
                );
            }
        }
    }
}

fn later(now: Timestamp, by: Duration) -> Timestamp {
    now.checked_add(by).expect("tests stay within the calendar")
}

fn decoded<K: Kind>(object: &Object) -> K {
    object
        .decode_as()
        .unwrap_or_else(|error| panic!("an object that is no {}: {error}", K::NAME))
}

fn action_object(action: &Action) -> Option<&Object> {
    match action {
        Action::Create(object) | Action::Update(object) | Action::UpdateStatus(object) => Some(object),
        _ => None,
    }
}

fn metadata(object: &Object) -> ObjectMeta {
    Metadata::decode(object.bytes.clone())
        .ok()
        .and_then(|held| held.metadata)
        .unwrap_or_default()
}

/// Whether the object is a Namespace that waits for its content to go.
fn holds_content(object: &Object) -> bool {
    let namespace = object.decode_as::<Namespace>().ok();
    let spec = namespace.and_then(|namespace| namespace.spec);
    spec.is_some_and(|spec| !spec.finalizers.is_empty())
}

/// A bound Pod gets its grace; everything else goes at once.
fn grace_of(object: &Object, asked: Option<i64>) -> i64 {
    let Ok(pod) = object.decode_as::<Pod>() else {
        return 0;
    };
    let spec = pod.spec.unwrap_or_default();
    let ended = pod
        .status
        .is_some_and(|status| matches!(status.phase.as_str(), "Succeeded" | "Failed"));
    if spec.node_name.is_empty() || ended {
        return 0;
    }
    asked
        .or(spec.termination_grace_period_seconds)
        .unwrap_or(DEFAULT_GRACE_SECONDS)
        .max(0)
}

/// Preconditions; empty ones hold.
fn check(
    key: &ObjectKey,
    current: &ObjectMeta,
    uid: Option<&str>,
    resource_version: Option<&str>,
) -> Result<(), Box<Status>> {
    let differs = |asked: Option<&str>, is: &str| asked.is_some_and(|asked| !asked.is_empty() && asked != is);
    if differs(uid, &current.uid) {
        return Err(refusal(Reason::Conflict, key, "has another uid"));
    }
    if differs(resource_version, &current.resource_version) {
        return Err(refusal(Reason::Conflict, key, "has been changed"));
    }
    Ok(())
}

fn refusal(reason: Reason, key: &ObjectKey, why: &str) -> Box<Status> {
    let (group, plural) = key.info().map_or(("", ""), |info| (info.group, info.plural));
    Box::new(about(reason, group, plural, &key.name, format!("{key} {why}")))
}
