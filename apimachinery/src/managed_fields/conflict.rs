//! What stops an apply: fields that others own and that it would change.

use super::managers::{Manager, Operation};
use super::set::FieldSet;
use crate::status::{Reason, failure};
use proto::meta::v1::{Status, StatusCause, StatusDetails};

/// Fields of one other manager.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// Who owns them.
    pub manager: Manager,
    /// The version that they are fields of.
    pub api_version: String,
    /// The fields.
    pub fields: FieldSet,
}

/// All that stops an apply. Never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflicts(pub Vec<Conflict>);

impl Conflict {
    /// The manager as messages name it.
    fn owner(&self) -> String {
        let mut owner = format!("{:?}", self.manager.name);
        if !self.manager.subresource.is_empty() {
            owner = format!("{owner} with subresource {:?}", self.manager.subresource);
        }
        if self.manager.operation == Operation::Update {
            owner = format!("{owner} using {}", self.api_version);
        }
        owner
    }
}

impl Conflicts {
    /// All the fields.
    pub fn fields(&self) -> FieldSet {
        let mut fields = FieldSet::default();
        self.0.iter().for_each(|conflict| fields.extend(&conflict.fields));
        fields
    }

    /// What is left of them without these fields; `None` when nothing is.
    pub fn without(&self, fields: &FieldSet) -> Option<Self> {
        let left = self.0.iter().map(|conflict| Conflict {
            fields: conflict.fields.difference(fields),
            ..conflict.clone()
        });
        let left: Vec<Conflict> = left.filter(|conflict| !conflict.fields.is_empty()).collect();
        (!left.is_empty()).then_some(Self(left))
    }

    fn message(&self) -> String {
        let count: usize = self.0.iter().map(|conflict| conflict.fields.len()).sum();
        if let ([only], 1) = (&self.0[..], count) {
            let path = only.fields.paths().concat();
            return format!(
                "Apply failed with 1 conflict: conflict with {}: {path}",
                only.owner()
            );
        }
        let list: Vec<String> = self
            .0
            .iter()
            .map(|conflict| {
                let paths = conflict.fields.paths().join("\n- ");
                format!("conflicts with {}:\n- {paths}", conflict.owner())
            })
            .collect();
        format!("Apply failed with {count} conflicts: {}", list.join("\n"))
    }

    /// As the API answers it.
    pub fn to_status(&self) -> Status {
        let causes = self.0.iter().flat_map(|conflict| {
            conflict.fields.paths().into_iter().map(|field| StatusCause {
                reason: "FieldManagerConflict".into(),
                message: format!("conflict with {}", conflict.owner()),
                field,
            })
        });
        let details = StatusDetails {
            causes: causes.collect(),
            ..StatusDetails::default()
        };
        Status {
            details: Some(details),
            ..failure(Reason::Conflict, self.message())
        }
    }
}
