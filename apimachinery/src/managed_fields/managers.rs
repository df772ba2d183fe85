//! Who owns which fields of an object: `metadata.managedFields`, read and written.
//!
//! Invariant: no manager owns nothing, and at most [`MAX_UPDATE_MANAGERS`] managers own what they have by updates.

use super::set::FieldSet;
use bytes::Bytes;
use proto::Timestamp;
use proto::meta::v1::{FieldsV1, ManagedFieldsEntry};
use std::collections::BTreeMap;

/// The most managers that own fields by updates, as upstream has it: an object that every client writes under a name of
/// its own would only grow. The oldest become one, [`ANCIENT_CHANGES`].
pub const MAX_UPDATE_MANAGERS: usize = 10;
/// Whom the fields of the oldest updates belong to.
pub const ANCIENT_CHANGES: &str = "ancient-changes";
/// Whom the fields belong to that an object had before anybody applied to it.
pub const BEFORE_FIRST_APPLY: &str = "before-first-apply";

/// The only form of `fieldsV1`.
const FIELDS_TYPE: &str = "FieldsV1";

/// How a manager came to own its fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    /// By applying a configuration that has them.
    Apply,
    /// By setting them in any other way.
    Update,
}

impl Operation {
    /// As `managedFields` spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Apply => "Apply",
            Self::Update => "Update",
        }
    }
}

/// What tells one manager from another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Manager {
    /// How it writes.
    pub operation: Operation,
    /// Its name.
    pub name: String,
    /// In which version; empty for one that applies, which is the same one in every version.
    pub api_version: String,
    /// What it writes to; empty for the object itself.
    pub subresource: String,
}

/// What a manager owns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owned {
    /// The fields.
    pub fields: FieldSet,
    /// The version that they are fields of.
    pub api_version: String,
    /// When they last changed.
    pub time: Option<Timestamp>,
}

/// Everybody who owns fields of an object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Managers {
    pub(super) entries: BTreeMap<Manager, Owned>,
}

/// Why `managedFields` cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// Neither `Apply` nor `Update`.
    #[error("operation must be `Apply` or `Update`")]
    Operation,
    /// No version.
    #[error("apiVersion must not be empty")]
    ApiVersion,
    /// Another form than `FieldsV1`.
    #[error("invalid fieldsType {0:?} in managed fields entry")]
    FieldsType(String),
    /// The set does not read.
    #[error("fieldsV1 of {0:?} is no set of fields: {1}")]
    Fields(String, String),
}

impl Managers {
    /// Whether nobody owns anything.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// What a manager owns.
    pub fn get(&self, manager: &Manager) -> Option<&Owned> {
        self.entries.get(manager)
    }

    /// Everybody, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&Manager, &Owned)> {
        self.entries.iter()
    }

    /// Reads `metadata.managedFields`.
    pub fn decode(entries: &[ManagedFieldsEntry]) -> Result<Self, Malformed> {
        let mut managers = Self::default();
        for entry in entries {
            let operation = match entry.operation.as_str() {
                "Apply" => Operation::Apply,
                "Update" => Operation::Update,
                _ => return Err(Malformed::Operation),
            };
            if entry.api_version.is_empty() {
                return Err(Malformed::ApiVersion);
            }
            if entry.fields_type != FIELDS_TYPE {
                return Err(Malformed::FieldsType(entry.fields_type.clone()));
            }
            let raw = entry
                .fields_v1
                .as_ref()
                .map_or(&b"{}"[..], |fields| &fields.raw[..]);
            let fields = FieldSet::from_json(raw)
                .map_err(|error| Malformed::Fields(entry.manager.clone(), error.to_string()))?;
            let manager = Manager {
                operation,
                name: entry.manager.clone(),
                api_version: match operation {
                    Operation::Apply => String::new(),
                    Operation::Update => entry.api_version.clone(),
                },
                subresource: entry.subresource.clone(),
            };
            let owned = Owned {
                fields,
                api_version: entry.api_version.clone(),
                time: entry.time,
            };
            managers.entries.insert(manager, owned);
        }
        Ok(managers)
    }

    /// Writes `metadata.managedFields`: who applies first, then the oldest first.
    pub fn encode(&self) -> Vec<ManagedFieldsEntry> {
        let mut entries: Vec<(&Manager, &Owned)> = self.entries.iter().collect();
        entries.sort_by_key(|(manager, owned)| {
            let seconds = owned.time.map_or(0, |time| time.seconds);
            (
                manager.operation,
                seconds,
                &manager.name,
                &manager.api_version,
                &manager.subresource,
            )
        });
        let entry = |(manager, owned): (&Manager, &Owned)| ManagedFieldsEntry {
            manager: manager.name.clone(),
            operation: manager.operation.as_str().to_owned(),
            api_version: owned.api_version.clone(),
            time: owned.time,
            fields_type: FIELDS_TYPE.to_owned(),
            fields_v1: Some(FieldsV1 {
                raw: Bytes::from(owned.fields.to_json()),
            }),
            subresource: manager.subresource.clone(),
        };
        entries.into_iter().map(entry).collect()
    }

    /// Whether these are the same managers with the same fields, whatever the times say.
    pub fn same_but_for_times(&self, other: &Self) -> bool {
        self.entries.len() == other.entries.len()
            && self
                .entries
                .iter()
                .zip(&other.entries)
                .all(|((a, mine), (b, theirs))| {
                    a == b && mine.fields == theirs.fields && mine.api_version == theirs.api_version
                })
    }

    /// Makes the oldest updates one, until there are no more than [`MAX_UPDATE_MANAGERS`].
    pub(super) fn cap(&mut self) {
        let mut updates: Vec<(i64, Manager)> = self
            .entries
            .iter()
            .filter(|(manager, _)| manager.operation == Operation::Update)
            .map(|(manager, owned)| (owned.time.map_or(0, |time| time.seconds), manager.clone()))
            .collect();
        let mut left = updates.len();
        updates.sort();
        // Of each version the oldest stays itself until a second one joins it.
        let mut first_of: BTreeMap<String, Manager> = BTreeMap::new();
        for (_, manager) in updates {
            if left <= MAX_UPDATE_MANAGERS {
                return;
            }
            let version = manager.api_version.clone();
            let Some(first) = first_of.get(&version) else {
                first_of.insert(version, manager);
                continue;
            };
            let bucket = Manager {
                operation: Operation::Update,
                name: ANCIENT_CHANGES.to_owned(),
                api_version: version,
                subresource: String::new(),
            };
            if !self.entries.contains_key(&bucket)
                && let Some(oldest) = self.entries.remove(first)
            {
                self.entries.insert(bucket.clone(), oldest);
            }
            if manager == bucket {
                continue;
            }
            if let Some(joining) = self.entries.remove(&manager)
                && let Some(there) = self.entries.get_mut(&bucket)
            {
                there.fields.extend(&joining.fields);
                // It is the younger of the two.
                there.time = joining.time;
                left -= 1;
            }
        }
    }
}
