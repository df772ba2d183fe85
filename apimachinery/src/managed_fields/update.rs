//! Who owns what after a write.
//!
//! An update takes the fields that it changes from everybody else. An apply owns the fields of its configuration, which
//! others may own too as long as they agree, and takes away what it owned before and nobody owns now.

use super::compare::{Comparison, compare};
use super::conflict::{Conflict, Conflicts};
use super::element::Element;
use super::fields::{field_set, with_named};
use super::managers::{BEFORE_FIRST_APPLY, Manager, Managers, Operation, Owned};
use super::merge::{merge, remove};
use super::schema::Cursor;
use super::set::FieldSet;
use proto::Timestamp;
use serde_json::Value;
use std::sync::LazyLock;

/// Who writes, and to what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Writer {
    /// The field manager's name.
    pub name: String,
    /// The version that it writes in.
    pub api_version: String,
    /// The subresource that it writes to; empty for the object itself.
    pub subresource: String,
    /// The wall time.
    pub time: Timestamp,
}

/// The fields that a write can change. Nobody comes to own others by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// All.
    Whole,
    /// All but the status, which is a subresource.
    WithoutStatus,
    /// The status alone.
    Status,
}

impl Part {
    fn of(self, mut fields: FieldSet) -> FieldSet {
        let status = Element::field("status");
        match self {
            Self::Whole => {}
            Self::WithoutStatus => fields.retain(|element| *element != status),
            Self::Status => fields.retain(|element| *element == status),
        }
        fields
    }
}

/// What says which object this is, or is the server's: nobody owns it.
fn strip(fields: &FieldSet) -> FieldSet {
    static NOBODYS: LazyLock<FieldSet> = LazyLock::new(|| {
        let paths: [&[&str]; 12] = [
            &["apiVersion"],
            &["kind"],
            &["metadata"],
            &["metadata", "name"],
            &["metadata", "namespace"],
            &["metadata", "creationTimestamp"],
            &["metadata", "selfLink"],
            &["metadata", "uid"],
            &["metadata", "clusterName"],
            &["metadata", "generation"],
            &["metadata", "managedFields"],
            &["metadata", "resourceVersion"],
        ];
        paths.into_iter().collect()
    });
    fields.difference(&NOBODYS)
}

impl Writer {
    fn manager(&self, operation: Operation) -> Manager {
        Manager {
            operation,
            name: self.name.clone(),
            api_version: match operation {
                Operation::Apply => String::new(),
                Operation::Update => self.api_version.clone(),
            },
            subresource: self.subresource.clone(),
        }
    }
}

impl Managers {
    /// Notes an update that led from `old` to `new`.
    pub fn update(&mut self, of: Cursor<'_>, old: &Value, new: &Value, part: Part, writer: &Writer) {
        let change = filtered(compare(of, old, new), part);
        self.lose(&change, None);
        let fields = strip(&change.changed());
        if !fields.is_empty() {
            let owned = self
                .entries
                .entry(writer.manager(Operation::Update))
                .or_insert_with(|| Owned {
                    fields: FieldSet::default(),
                    api_version: writer.api_version.clone(),
                    time: None,
                });
            owned.fields.extend(&fields);
            owned.time = Some(writer.time);
        }
        self.entries.retain(|_, owned| !owned.fields.is_empty());
        self.cap();
    }

    /// Notes an apply of `config` on `live`, and gives back the object that it leads to. `empty` is an object of the kind
    /// in which nothing is set.
    pub fn apply(
        &mut self,
        of: Cursor<'_>,
        (empty, live): (&Value, &Value),
        config: &Value,
        part: Part,
        writer: &Writer,
        force: bool,
    ) -> Result<Value, Conflicts> {
        let mut managers = self.clone();
        if managers.is_empty() && empty != live {
            let before = Writer {
                name: BEFORE_FIRST_APPLY.to_owned(),
                ..writer.clone()
            };
            managers.update(of, empty, live, part, &before);
        }
        let manager = writer.manager(Operation::Apply);
        let last = managers.entries.get(&manager).cloned();
        let fields = part.of(field_set(of, config));
        managers.entries.insert(
            manager.clone(),
            Owned {
                fields: fields.clone(),
                api_version: writer.api_version.clone(),
                time: Some(writer.time),
            },
        );
        let mut object = merge(of, live.clone(), config);
        if let Some(last) = &last
            && !last.fields.difference(&fields).is_empty()
        {
            object = managers.prune(of, object, &last.fields);
        }
        let change = filtered(compare(of, live, &object), part);
        let conflicts = managers.conflicts(&change, &manager);
        if !force && !conflicts.is_empty() {
            return Err(Conflicts(conflicts));
        }
        managers.lose(&change, Some(&manager));
        if let Some(owned) = managers.entries.get_mut(&manager) {
            owned.fields = strip(&owned.fields);
            let same = last.filter(|last| last.fields == owned.fields && object == *live);
            owned.time = same.map_or(owned.time, |last| last.time);
        }
        managers.entries.retain(|_, owned| !owned.fields.is_empty());
        *self = managers;
        Ok(object)
    }

    /// The fields of others that a change would set otherwise.
    fn conflicts(&self, change: &Comparison, own: &Manager) -> Vec<Conflict> {
        let changed = change.changed();
        let others = self.entries.iter().filter(|(manager, _)| *manager != own);
        let conflicts = others.map(|(manager, owned)| Conflict {
            manager: manager.clone(),
            api_version: owned.api_version.clone(),
            fields: owned.fields.intersection(&changed),
        });
        conflicts.filter(|conflict| !conflict.fields.is_empty()).collect()
    }

    /// Takes what changed from everybody but `own`.
    fn lose(&mut self, change: &Comparison, own: Option<&Manager>) {
        let lost = change.changed().union(&change.removed);
        if lost.is_empty() {
            return;
        }
        for (manager, owned) in &mut self.entries {
            if Some(manager) != own {
                owned.fields = owned.fields.difference(&lost);
            }
        }
    }

    /// The object without what was applied last and is owned by nobody now.
    fn prune(&self, of: Cursor<'_>, object: Value, last: &FieldSet) -> Value {
        let fields = |object: &Value| with_named(of, &field_set(of, object));
        let (all, last) = (fields(&object), with_named(of, last));
        // What is left when all of it goes, and what somebody owns, stays;
        let mut kept = fields(&remove(of, object.clone(), &last));
        for owned in self.entries.values() {
            kept.extend(&with_named(of, &owned.fields));
        }
        let left = fields(&remove(of, object.clone(), &all.difference(&kept)));
        // and so does what nobody owned then either.
        remove(of, object, &all.difference(&left).intersection(&last))
    }
}

fn filtered(change: Comparison, part: Part) -> Comparison {
    Comparison {
        added: part.of(change.added),
        modified: part.of(change.modified),
        removed: part.of(change.removed),
    }
}
