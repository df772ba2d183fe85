//! Requests that write: each becomes a plan, and the plan runs until the store takes its result.
//!
//! ```text
//! request ─▶ prepare: read strictly, complete, admit ─▶ plan ─▶ run against the present state ─▶ commit
//!                                                              ▲                                  │
//!                                                              └──── changed in between ──────────┘
//! ```

use super::apply::{self, Config};
use super::create::{self, New, Surroundings};
use super::errors::{self, Result};
use super::patch::Patch;
use super::plan::{Answer, Plan, Prepared, Warnings};
use super::tracking::{self, Author};
use super::update::{self, Subresource};
use super::{Registry, Resource, delete, deletion, metadata, patch, pod, read, request, strategy};
use crate::admission;
use crate::custom;
use crate::limits::{MAX_APPLY_ATTEMPTS, MAX_NAME_ATTEMPTS};
use crate::metrics::Verb;
use apimachinery::kinds::{self, KindInfo};
use apimachinery::status::Reason;
use bytes::Bytes;
use component_base::grpc::Caller;
use prost::Message;
use proto::api::autoscaling::v1::Scale;
use proto::api::core::v1::{Namespace, Pod};
use proto::api::scheduling::v1::PriorityClass;
use proto::apiextensions::v1::CustomResourceDefinition;
use proto::meta::v1::Status;
use proto::orrery::v1::patch_request::Type;
use proto::orrery::v1::{
    BindRequest, CreateRequest, DeleteRequest, DeleteResponse, PatchRequest, UpdateRequest,
};
use proto::{Kind, Object};
use storage::store::Key;
use storage::write::{Desired, Effect, Outcome};

/// A request to write one object.
#[derive(Debug)]
pub(crate) enum Operation {
    /// Stores a new one.
    Create(CreateRequest),
    /// Replaces it.
    Update(UpdateRequest),
    /// Changes a part of it.
    Patch(PatchRequest),
    /// Ends it.
    Delete(DeleteRequest),
    /// Gives a Pod its node.
    Bind(BindRequest),
}

impl Operation {
    /// What metrics call it.
    pub(crate) fn verb(&self) -> Verb {
        match self {
            Self::Create(_) => Verb::Create,
            Self::Update(_) => Verb::Update,
            Self::Patch(_) => Verb::Patch,
            Self::Delete(_) => Verb::Delete,
            Self::Bind(_) => Verb::Bind,
        }
    }

    /// The kind that is written, for metrics; `None` when it names none.
    pub(crate) fn kind(&self) -> Option<&'static KindInfo> {
        match self {
            Self::Create(create) => request::kind_of(create.object.as_ref()).ok(),
            Self::Update(update) => match &update.object {
                Some(object) if object.number == Scale::NUMBER => request::kind(&update.kind).ok(),
                object => request::kind_of(object.as_ref()).ok(),
            },
            Self::Patch(patch) => request::kind(&patch.kind).ok(),
            Self::Delete(delete) => request::kind(&delete.kind).ok(),
            Self::Bind(_) => Some(kinds::of::<Pod>()),
        }
    }

    /// Whether a CustomResourceDefinition is written.
    pub(crate) fn writes_definition(&self) -> bool {
        self.kind()
            .is_some_and(|info| info.number == CustomResourceDefinition::NUMBER)
    }

    /// Whether the server draws the object's name.
    pub(crate) fn draws_name(&self) -> bool {
        let Self::Create(CreateRequest {
            object: Some(object), ..
        }) = self
        else {
            return false;
        };
        apimachinery::wire::MetaView::parse(&object.bytes).is_ok_and(|meta| meta.name.is_empty())
    }

    /// Whether it makes an object that is not there, and changes one that is.
    fn creates_or_changes(&self) -> bool {
        matches!(self, Self::Patch(patch) if patch.r#type() == Type::Apply && patch.subresource.is_empty())
    }
}

/// What a write came to.
#[derive(Clone, Debug)]
pub struct Written {
    /// The object afterwards; of one that is gone, its last state.
    pub object: Object,
    /// What happened to it.
    pub effect: Effect,
    /// What the writer should know, though nothing was refused.
    pub warnings: Vec<String>,
}

impl Registry {
    /// Creates an object.
    pub async fn create(&self, caller: &Caller, asked: CreateRequest) -> Result<Written> {
        self.perform(caller, &Operation::Create(asked)).await
    }

    /// Replaces an object, its status or its scale.
    pub async fn update(&self, caller: &Caller, asked: UpdateRequest) -> Result<Written> {
        self.perform(caller, &Operation::Update(asked)).await
    }

    /// Changes a part of an object; server-side apply may create it.
    pub async fn patch(&self, caller: &Caller, asked: PatchRequest) -> Result<Written> {
        self.perform(caller, &Operation::Patch(asked)).await
    }

    /// Deletes an object, or marks it for deletion.
    pub async fn delete(&self, caller: &Caller, asked: DeleteRequest) -> Result<DeleteResponse> {
        let written = self.perform(caller, &Operation::Delete(asked)).await?;
        Ok(DeleteResponse {
            object: Some(written.object),
            gone: written.effect == Effect::Deleted,
        })
    }

    /// Binds a Pod to a node.
    pub async fn bind(&self, caller: &Caller, asked: BindRequest) -> Result<Object> {
        let written = self.perform(caller, &Operation::Bind(asked)).await?;
        Ok(written.object)
    }

    /// One operation, counted.
    async fn perform(&self, caller: &Caller, operation: &Operation) -> Result<Written> {
        let result = self.attempt(caller, operation, 0).await;
        self.metrics()
            .requested(operation.verb(), operation.kind(), &result);
        result
    }

    /// One operation. A drawn name that is taken is drawn again.
    pub(crate) async fn attempt(
        &self,
        caller: &Caller,
        operation: &Operation,
        cause: i64,
    ) -> Result<Written> {
        let draws = if operation.draws_name() {
            MAX_NAME_ATTEMPTS
        } else {
            1
        };
        let applies = if operation.creates_or_changes() {
            MAX_APPLY_ATTEMPTS
        } else {
            1
        };
        let _definitions = match operation.writes_definition() {
            true => Some(self.definitions.lock().await),
            false => None,
        };
        let mut attempt = 1;
        loop {
            self.catch_up().await?;
            let prepared = self.prepare(caller, operation, cause).await?;
            match self.run(caller, &prepared).await {
                Err(status) if attempt < draws && is_taken(&status) => attempt += 1,
                // It was there when the plan was made, and is not any more.
                Err(status) if attempt < applies && is_missing(&status) => attempt += 1,
                Err(status) => return Err(status),
                Ok(outcome) => {
                    return Ok(Written {
                        object: answer(&prepared, &outcome)?,
                        effect: outcome.effect,
                        warnings: deprecated(&prepared.info, prepared.warnings.take()),
                    });
                }
            }
        }
    }

    /// Reads a request and makes its plan, from what the cache shows. `cause` is this operation's own, 0 for the call's.
    pub(crate) async fn prepare(
        &self,
        caller: &Caller,
        operation: &Operation,
        cause: i64,
    ) -> Result<Prepared> {
        if cause < 0 {
            return Err(errors::bad_request("cause must be a revision: 0 or more"));
        }
        let prepared = match operation {
            Operation::Create(asked) => self.prepare_create(caller, asked).await,
            Operation::Update(asked) => self.prepare_update(caller, asked),
            Operation::Patch(asked) if asked.r#type() == Type::Apply => {
                self.prepare_apply(caller, asked).await
            }
            Operation::Patch(asked) => self.prepare_patch(caller, asked),
            Operation::Delete(asked) => self.prepare_delete(asked),
            Operation::Bind(asked) => self.prepare_bind(asked),
        }?;
        if prepared.info.number == CustomResourceDefinition::NUMBER {
            let all = self.served().definitions().to_vec();
            return Ok(Prepared {
                cause,
                plan: custom::admission::with_rules(prepared.plan, all, self.now()),
                ..prepared
            });
        }
        Ok(Prepared { cause, ..prepared })
    }

    /// Who writes to a kind.
    fn author(&self, caller: &Caller, info: &Resource, field_manager: &str) -> Result<Author> {
        let schema = info.custom.as_ref().and_then(|version| version.merges.clone());
        Author::new(caller, field_manager, self.now(), schema)
    }

    async fn prepare_create(&self, caller: &Caller, asked: &CreateRequest) -> Result<Prepared> {
        let info = self.kind_of(asked.object.as_ref())?;
        let author = self.author(caller, &info, &asked.field_manager)?;
        let sent = asked
            .object
            .as_ref()
            .map(|object| object.bytes.clone())
            .unwrap_or_default();
        let mut new = self.new_object(&info, &sent).await?;
        let warnings =
            strategy::check_fields(&info, &sent, request::unknown_to(&info, &asked.field_validation)?)?;
        new.value = tracking::created(&info, new.value, (&sent, &new.managers), &author)?;
        Ok(Prepared {
            dry_run: asked.dry_run,
            warnings: warnings.into(),
            ..prepared(
                info.clone(),
                Key::new(&info.resource(), &new.namespace, &new.name),
                create::plan(info.info, &new),
            )
        })
    }

    /// A new object, admitted.
    async fn new_object(&self, info: &Resource, sent: &Bytes) -> Result<New> {
        if info.custom.as_ref().is_some_and(|version| version.is_terminating) {
            return Err(errors::terminating());
        }
        let classes = match info.number {
            Pod::NUMBER => self.all::<PriorityClass>(None).await?,
            _ => Vec::new(),
        };
        let new = self.with_rng(|rng| {
            let mut around = Surroundings {
                now: self.now(),
                rng,
                classes: &classes,
            };
            create::complete(info, sent, &mut around)
        })?;
        if info.namespaced {
            let namespace = self.namespace(&new.namespace)?;
            admission::namespace::check_create(info, &new.name, &new.namespace, namespace.as_ref())?;
        }
        Ok(new)
    }

    async fn prepare_apply(&self, caller: &Caller, asked: &PatchRequest) -> Result<Prepared> {
        if asked.field_manager.is_empty() {
            return Err(errors::bad_request("fieldManager is required for apply patch"));
        }
        let info = self.kind(&asked.kind)?;
        let author = self.author(caller, &info, &asked.field_manager)?;
        let part = Subresource::parse(&info, &asked.subresource)?;
        let key = request::key(&info, &asked.namespace, &asked.name)?;
        let namespace = metadata::settled(&info, &asked.namespace);
        let config = Config::read(&info, part, (namespace, &asked.name), &asked.patch, &author)?;
        let new = if part == Subresource::Main && self.cache().get(&key).is_none() {
            config.check_creates(&info)?;
            let new = self.new_object(&info, &config.bytes).await?;
            Some(apply::born(&info, new, &config, &author)?)
        } else {
            None
        };
        let warnings = match part {
            Subresource::Main => strategy::check_fields(
                &info,
                &config.bytes,
                request::unknown_to(&info, &asked.field_validation)?,
            )?,
            _ => Vec::new(),
        };
        Ok(Prepared {
            dry_run: asked.dry_run,
            answer: answers_with(part),
            warnings: warnings.into(),
            ..prepared(
                info.clone(),
                key,
                apply::plan(info, part, config, new, asked.force, author),
            )
        })
    }

    fn prepare_update(&self, caller: &Caller, asked: &UpdateRequest) -> Result<Prepared> {
        // The kind is the object's own, or for a Scale the one that the request names.
        let info = match &asked.object {
            Some(object) if object.number == Scale::NUMBER => self.kind(&asked.kind),
            object => self.kind_of(object.as_ref()),
        }?;
        let author = self.author(caller, &info, &asked.field_manager)?;
        let part = Subresource::parse(&info, &asked.subresource)?;
        let sent = asked.object.clone().unwrap_or_default();
        if (part == Subresource::Scale) != (sent.number == Scale::NUMBER) {
            return Err(errors::bad_request(
                "a Scale, and nothing else, is written to the subresource \"scale\"",
            ));
        }
        strategy::check_sent(sent.number, &sent.bytes)?;
        if part == Subresource::Scale {
            let scale = Scale::decode(sent.bytes).map_err(|error| errors::bad_request(error.to_string()))?;
            let key = request::key(&info, &scale.meta().namespace, &scale.meta().name)?;
            let kind = info.clone();
            let plan: Plan = Box::new(move |current| match current {
                None => Err(errors::not_found(&kind, &scale.meta().name)),
                Some(current) => patch::rescale(&kind, &scale, current, &author),
            });
            return Ok(Prepared {
                dry_run: asked.dry_run,
                answer: Answer::Scale,
                ..prepared(info, key, plan)
            });
        }
        let warnings = strategy::check_fields(
            &info,
            &sent.bytes,
            request::unknown_to(&info, &asked.field_validation)?,
        )?;
        let new = metadata::settle(&info, &sent.bytes)?;
        let meta = metadata::view(&new)?;
        let key = request::key(&info, meta.namespace, meta.name)?;
        let kind = info.clone();
        let plan: Plan = Box::new(move |current| update::plan(&kind, part, &new, current, &author));
        Ok(Prepared {
            dry_run: asked.dry_run,
            warnings: warnings.into(),
            ..prepared(info, key, plan)
        })
    }

    fn prepare_patch(&self, caller: &Caller, asked: &PatchRequest) -> Result<Prepared> {
        let info = self.kind(&asked.kind)?;
        let author = self.author(caller, &info, &asked.field_manager)?;
        let part = Subresource::parse(&info, &asked.subresource)?;
        let key = request::key(&info, &asked.namespace, &asked.name)?;
        let warnings = Warnings::default();
        let patch = Patch {
            form: asked.r#type(),
            text: asked.patch.clone(),
            unknown: request::unknown_to(&info, &asked.field_validation)?,
            warnings: warnings.clone(),
        };
        let plan = patch::plan(info.clone(), part, asked.name.clone(), patch, author)?;
        Ok(Prepared {
            dry_run: asked.dry_run,
            answer: answers_with(part),
            warnings,
            ..prepared(info, key, plan)
        })
    }

    fn prepare_delete(&self, asked: &DeleteRequest) -> Result<Prepared> {
        let info = self.kind(&asked.kind)?;
        let key = request::key(&info, &asked.namespace, &asked.name)?;
        let options = asked.options.clone().unwrap_or_default();
        deletion::validate_options(&options)?;
        let dry_run = deletion::is_dry_run(&options);
        let plan = delete::plan(info.info, asked.name.clone(), options, self.now());
        Ok(Prepared {
            dry_run,
            ..prepared(info, key, plan)
        })
    }

    fn prepare_bind(&self, asked: &BindRequest) -> Result<Prepared> {
        let info = kinds::of::<Pod>();
        let key = request::key(info, &asked.namespace, &asked.name)?;
        // The node's name ends up in the Pod's spec, where it must be a name.
        request::key(kinds::lookup("nodes").unwrap_or(info), "", &asked.node)
            .map_err(|_| errors::bad_request("node must be the name of a Node"))?;
        let (asked, now) = (asked.clone(), self.now());
        // Held as long as the plan is: until the cache, and with it the ledger, shows what came of it.
        let claim = self.ledger.claim(key.clone());
        let plan: Plan = Box::new(move |current| {
            let Some(current) = current else {
                return Err(errors::not_found(info, &asked.name));
            };
            let mut pod: Pod = update::decode_stored(&current.value)?;
            pod::bind(info, &mut pod, &asked.uid, &asked.node, now)?;
            claim
                .take(&pod, &asked.node)
                .map_err(|short| errors::conflict(info, &asked.name, &short.to_string()))?;
            Ok(Desired::Put(pod.encode_to_vec().into()))
        });
        Ok(prepared(info.into(), key, plan))
    }

    fn namespace(&self, name: &str) -> Result<Option<Namespace>> {
        let key = Key::new(&kinds::of::<Namespace>().resource(), "", name);
        let stored = self.cache().get(&key);
        stored
            .map(|stored| update::decode_stored(&stored.bytes))
            .transpose()
    }
}

/// The usual: an operation on one object that answers with it.
pub(crate) fn prepared(info: Resource, key: Key, plan: Plan) -> Prepared {
    Prepared {
        info,
        key,
        cause: 0,
        dry_run: false,
        answer: Answer::Object,
        warnings: Warnings::default(),
        plan,
    }
}

/// The warnings of a write to a version that is on its way out begin with that.
fn deprecated(info: &Resource, mut warnings: Vec<String>) -> Vec<String> {
    warnings.splice(0..0, info.deprecation().map(ToOwned::to_owned));
    warnings
}

/// What a write to a part of an object is answered with.
fn answers_with(part: Subresource) -> Answer {
    match part {
        Subresource::Scale => Answer::Scale,
        _ => Answer::Object,
    }
}

/// What a client gets for an outcome.
pub(crate) fn answer(prepared: &Prepared, outcome: &Outcome) -> Result<Object> {
    let info = &prepared.info;
    let Some(stored) = &outcome.object else {
        return Err(errors::internal(format!(
            "a {} was written and is nowhere",
            info.kind
        )));
    };
    if prepared.answer == Answer::Scale {
        let scale = strategy::scale_of(info, &stored.bytes)?;
        return Ok(Object::encode_from(&scale));
    }
    read::object(info, stored)
}

/// Whether a write failed because its name is taken.
pub(crate) fn is_taken(status: &Status) -> bool {
    Reason::of(status) == Some(Reason::AlreadyExists)
}

/// Whether a write failed because its object is not there.
fn is_missing(status: &Status) -> bool {
    Reason::of(status) == Some(Reason::NotFound)
}
