//! Views: versions of a kind that are served but not stored.
//!
//! In: an encoded object of one version. Out: the same object, encoded, in the other. A view is a row in [`views`]: its
//! names, the stored kind, and a function each way. Reads convert what is stored, writes convert what was sent; nothing
//! behind the edge of the API knows of views.
//!
//! Invariant: stored → view → stored loses nothing that a valid object says.

mod autoscaler;
mod event;

use crate::kinds::{self, KindInfo};
use crate::selector::{FieldSelector, SelectorError};
use bytes::Bytes;
use proto::Kind;
use proto::api::{autoscaling, core, events};
use std::sync::LazyLock;

/// A version of a kind that is served but not stored.
#[derive(Debug)]
pub struct View {
    /// Its names. `number` is its own arm of `orrery.v1.Object`.
    pub info: KindInfo,
    /// The number of the kind that is stored.
    pub stored: u32,
    /// From the stored form to the view's.
    pub to: fn(&Bytes) -> Result<Bytes, ConvertError>,
    /// From the view's form to the stored one.
    pub from: fn(&Bytes) -> Result<Bytes, ConvertError>,
    /// What the view calls the fields that the stored kind can be selected by, where it differs: `(view's, stored)`.
    fields: &'static [(&'static str, &'static str)],
}

/// An object that cannot be converted.
#[derive(Debug, thiserror::Error)]
pub enum ConvertError {
    /// Its bytes are not of its kind.
    #[error("the object cannot be decoded: {0}")]
    Decode(#[from] prost::DecodeError),
    /// An annotation that holds a part of the object does not say it.
    #[error("metadata.annotations[{name}]: {wrong}")]
    Annotation {
        /// The annotation.
        name: &'static str,
        /// What is wrong with it.
        wrong: String,
    },
}

impl View {
    /// A field selector of the view, as the stored kind understands it.
    ///
    /// # Errors
    /// The text is no selector, or names a field that the view cannot be selected by.
    pub fn field_selector(&self, text: &str) -> Result<String, SelectorError> {
        let stored = |path: &str| {
            let renamed = self.fields.iter().find(|(view, _)| *view == path);
            match renamed {
                Some((_, stored)) => Some(*stored),
                None => self.supported().into_iter().find(|supported| *supported == path),
            }
        };
        let selector: FieldSelector = text.parse()?;
        let renamed = selector.rename(|path| match stored(path) {
            Some(stored) => Ok(stored.to_owned()),
            None => Err(SelectorError::UnknownField {
                field: path.to_owned(),
                resource: self.info.plural,
                supported: self.supported(),
            }),
        })?;
        Ok(renamed.to_string())
    }

    /// The paths that the view can be selected by.
    pub fn supported(&self) -> Vec<&'static str> {
        if self.fields.is_empty() {
            return crate::selector::fields::supported(self.stored);
        }
        self.fields.iter().map(|(view, _)| *view).collect()
    }
}

/// Every view, in the order of their numbers.
pub fn views() -> &'static [View] {
    static VIEWS: LazyLock<[View; 2]> = LazyLock::new(|| {
        [
            View {
                info: named::<autoscaling::v1::HorizontalPodAutoscaler>(
                    kinds::of::<autoscaling::v2::HorizontalPodAutoscaler>(),
                    "autoscaling",
                    "v1",
                ),
                stored: autoscaling::v2::HorizontalPodAutoscaler::NUMBER,
                to: |stored| with(stored, autoscaler::to_v1),
                from: |view| with(view, autoscaler::from_v1),
                fields: &[],
            },
            View {
                info: named::<events::v1::Event>(kinds::of::<core::v1::Event>(), "events.k8s.io", "v1"),
                stored: core::v1::Event::NUMBER,
                to: |stored| with(stored, |event| Ok(event::to_events(event))),
                from: |view| with(view, |event| Ok(event::from_events(event))),
                fields: event::FIELDS,
            },
        ]
    });
    &*VIEWS
}

/// The view with this arm of `orrery.v1.Object`.
pub fn by_number(number: u32) -> Option<&'static View> {
    views().iter().find(|view| view.info.number == number)
}

/// A view is named as the stored kind is, but for group and version.
fn named<V: Kind>(stored: &'static KindInfo, group: &'static str, version: &'static str) -> KindInfo {
    KindInfo {
        number: V::NUMBER,
        group,
        version,
        message: V::FULL_NAME,
        ..stored.clone()
    }
}

fn with<A: Kind, B: Kind>(
    bytes: &Bytes,
    convert: impl FnOnce(A) -> Result<B, ConvertError>,
) -> Result<Bytes, ConvertError> {
    let converted = convert(A::decode(bytes.clone())?)?;
    Ok(converted.encode_to_vec().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_view_bears_the_names_of_its_kind() {
        for view in views() {
            let stored = kinds::by_number(view.stored).unwrap();
            assert_eq!(view.info.kind, stored.kind);
            assert_eq!(view.info.plural, stored.plural);
            assert_ne!(view.info.api_version(), stored.api_version());
            assert!(std::ptr::eq(by_number(view.info.number).unwrap(), view));
        }
    }

    #[test]
    fn an_empty_object_converts_both_ways() {
        for view in views() {
            let there = (view.to)(&Bytes::new()).unwrap();
            assert!((view.from)(&there).is_ok(), "{}", view.info.kind);
        }
    }

    #[test]
    fn bytes_that_are_no_object_are_refused() {
        for view in views() {
            assert!((view.to)(&Bytes::from_static(b"\x0a\xff")).is_err());
            assert!((view.from)(&Bytes::from_static(b"\x0a\xff")).is_err());
        }
    }

    #[test]
    fn a_views_fields_are_selected_by_its_own_names() {
        let view = by_number(events::v1::Event::NUMBER).unwrap();
        assert_eq!(
            view.field_selector("regarding.name=web-1,reportingController!=a\\,b,type=Normal")
                .unwrap(),
            "involvedObject.name=web-1,reportingComponent!=a\\,b,type=Normal"
        );
        assert_eq!(view.field_selector("").unwrap(), "");
        let wrong = view.field_selector("involvedObject.name=a").unwrap_err();
        assert!(wrong.to_string().contains("regarding.name"), "{wrong}");
        let view = by_number(autoscaling::v1::HorizontalPodAutoscaler::NUMBER).unwrap();
        assert_eq!(view.field_selector("metadata.name=a").unwrap(), "metadata.name=a");
        assert!(view.field_selector("spec.maxReplicas=1").is_err());
    }

    #[test]
    fn every_field_of_a_view_stands_for_one_that_the_stored_kind_knows() {
        for view in views() {
            for (name, stored) in view.fields {
                let known = crate::selector::fields::supported(view.stored);
                assert!(known.contains(stored), "{name}");
            }
        }
    }
}
