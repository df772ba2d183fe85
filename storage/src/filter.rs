//! What a list or a watch asks for: a kind, perhaps one namespace, perhaps only objects that selectors match.
//!
//! Selectors read encoded objects where they lie. A field equality for which [`crate::index`] has a row is answered by
//! that index, so that `spec.nodeName=node-1` neither scans all Pods nor wakes a watch for every Pod.

use crate::index;
use crate::store::Key;
use apimachinery::kinds::{self, KindInfo};
use apimachinery::selector::{FieldSelector, LabelSelector};
use apimachinery::wire::{MetaView, WireError};
use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

/// Objects of one kind that a list or a watch asks for.
#[derive(Clone, Debug)]
pub struct Target {
    /// The kind. A watch may ask for [`kinds::ANY_CUSTOM`]: every custom kind, also those to come.
    pub kind: &'static KindInfo,
    /// `None` for all namespaces, and for kinds that live in none.
    pub namespace: Option<String>,
    /// Only objects with these labels.
    pub labels: LabelSelector,
    /// Only objects with these fields. Every path must be one that the kind can be selected by
    /// ([`FieldSelector::parse_for`]).
    pub fields: FieldSelector,
}

/// A field equality that an index answers.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct IndexedValue {
    /// The row in [`index::of`] of the kind.
    pub(crate) row: usize,
    /// What the field must be.
    pub(crate) value: Arc<str>,
}

impl Target {
    /// All objects of a kind.
    pub fn all(kind: &'static KindInfo) -> Self {
        Self {
            kind,
            namespace: None,
            labels: LabelSelector::everything(),
            fields: FieldSelector::default(),
        }
    }

    /// Whether selectors leave out nothing.
    pub(crate) fn is_unfiltered(&self) -> bool {
        self.labels.is_everything() && self.fields.is_everything()
    }

    /// What the keys of the objects start with.
    pub(crate) fn prefix(&self) -> String {
        if self.kind.number == kinds::ANY_CUSTOM.number {
            // They share none; whoever walks them walks one kind after the other.
            return String::new();
        }
        Key::prefix(&self.kind.resource(), self.namespace.as_deref())
    }

    /// The first key that an object could have.
    pub(crate) fn first_key(&self) -> Key {
        if self.kind.number == kinds::ANY_CUSTOM.number {
            return Key::new("", "", "");
        }
        Key::new(&self.kind.resource(), self.namespace.as_deref().unwrap_or(""), "")
    }

    /// The equality that an index answers, where there is one.
    pub(crate) fn indexed(&self) -> Option<IndexedValue> {
        index::of(self.kind.number)
            .iter()
            .enumerate()
            .find_map(|(row, index)| {
                let value = self.fields.exact(index.path)?.into();
                Some(IndexedValue { row, value })
            })
    }

    /// Whether the namespace is one that is asked for.
    pub(crate) fn covers(&self, key: &Key) -> bool {
        self.namespace
            .as_deref()
            .is_none_or(|namespace| key.parts().1 == namespace)
    }

    /// Whether the selectors match an encoded object.
    pub(crate) fn selects(&self, object: &[u8]) -> Result<bool, WireError> {
        if !self.fields.is_everything() && !self.fields.matches_object(self.kind.number, object) {
            return Ok(false);
        }
        if self.labels.is_everything() {
            return Ok(true);
        }
        let meta = MetaView::parse(object)?;
        Ok(self.labels.matches(|key| meta.label(key)))
    }
}

/// The number of the kind whose keys start with `resource`. A custom kind has one whether or not its definition is known
/// here: what is stored is read, whatever became of its definition.
pub(crate) fn number_of(resource: &str) -> Option<u32> {
    static KINDS: LazyLock<HashMap<String, u32>> = LazyLock::new(|| {
        let kinds = kinds::all().iter();
        kinds.map(|kind| (kind.resource(), kind.number)).collect()
    });
    KINDS
        .get(resource)
        .copied()
        .or_else(|| kinds::custom::number(resource))
}

/// Whether a change of an object of kind `number` concerns who follows [`kinds::ANY_CUSTOM`].
pub(crate) fn is_custom(number: u32) -> bool {
    number >= kinds::FIRST_CUSTOM
}
