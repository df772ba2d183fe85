//! Which fields the cache keeps an index of: one row each.
//!
//! A row makes a list or a watch by an equality of that field cost what it finds, not what there is.

use apimachinery::selector::fields;
use proto::Kind;
use proto::api::core::v1::Pod;
use std::borrow::Cow;

/// An indexed field.
#[derive(Debug)]
pub(crate) struct Index {
    number: u32,
    /// As field selectors spell it.
    pub(crate) path: &'static str,
}

const INDEXES: &[Index] = &[
    // What each kubelet asks for.
    Index {
        number: Pod::NUMBER,
        path: "spec.nodeName",
    },
];

impl Index {
    /// The field's value; `None` for an object that cannot be read.
    pub(crate) fn value<'a>(&self, object: &'a [u8]) -> Option<Cow<'a, str>> {
        fields::read(self.number, object, self.path)
    }
}

/// The indexes of a kind. They stand together in the table.
pub(crate) fn of(number: u32) -> &'static [Index] {
    let start = INDEXES
        .iter()
        .position(|index| index.number == number)
        .unwrap_or(INDEXES.len());
    let len = INDEXES[start..]
        .iter()
        .take_while(|index| index.number == number)
        .count();
    &INDEXES[start..start + len]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_index_is_of_a_field_that_can_be_selected_by_and_is_found_under_its_kind() {
        for index in INDEXES {
            fields::check(index.number, index.path).unwrap();
            assert!(of(index.number).iter().any(|found| found.path == index.path));
        }
        assert!(of(u32::MAX).is_empty());
    }
}
