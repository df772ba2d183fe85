//! CustomResourceDefinitions: what cannot change once objects may exist. What a definition must look like at any time is
//! apiextensions' to say.

use super::{Faults, Validate};
use crate::path::Path;
use proto::apiextensions::v1::{CustomResourceDefinition, CustomResourceDefinitionSpec};

impl Validate for CustomResourceDefinition {
    fn validate(&self, _faults: &mut Faults) {}

    fn validate_update(&self, old: &Self, faults: &mut Faults) {
        let (old_spec, spec) = (
            old.spec.clone().unwrap_or_default(),
            self.spec.clone().unwrap_or_default(),
        );
        let at = Path::ROOT.field("spec");
        faults.immutable(&at.field("group"), &old_spec.group, &spec.group, &spec.group);
        if is_established(old) {
            faults.immutable(&at.field("scope"), &old_spec.scope, &spec.scope, &spec.scope);
            let (old_names, names) = (
                old_spec.names.clone().unwrap_or_default(),
                spec.names.clone().unwrap_or_default(),
            );
            let at = at.field("names");
            faults.immutable(&at.field("kind"), &old_names.kind, &names.kind, &names.kind);
            faults.immutable(
                &at.field("plural"),
                &old_names.plural,
                &names.plural,
                &names.plural,
            );
        }
        stored_versions(self, &spec, faults);
    }

    fn validate_status_update(&self, _old: &Self, faults: &mut Faults) {
        stored_versions(self, &self.spec.clone().unwrap_or_default(), faults);
    }
}

fn is_established(definition: &CustomResourceDefinition) -> bool {
    let conditions = definition.status.iter().flat_map(|status| &status.conditions);
    conditions
        .into_iter()
        .any(|condition| condition.r#type == "Established" && condition.status == "True")
}

/// A version that objects are stored in cannot go: nobody could read them.
fn stored_versions(
    definition: &CustomResourceDefinition,
    spec: &CustomResourceDefinitionSpec,
    faults: &mut Faults,
) {
    let at = Path::ROOT.field("status.storedVersions");
    let stored = definition
        .status
        .iter()
        .flat_map(|status| &status.stored_versions);
    for (i, version) in stored.enumerate() {
        if !spec.versions.iter().any(|v| v.name == *version) {
            faults.invalid(&at.index(i), version, "must appear in spec.versions");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::apiextensions::v1::{
        CustomResourceDefinitionCondition, CustomResourceDefinitionNames, CustomResourceDefinitionStatus,
        CustomResourceDefinitionVersion,
    };

    fn definition() -> CustomResourceDefinition {
        CustomResourceDefinition {
            spec: Some(CustomResourceDefinitionSpec {
                group: "example.com".into(),
                scope: "Namespaced".into(),
                names: Some(CustomResourceDefinitionNames {
                    plural: "widgets".into(),
                    kind: "Widget".into(),
                    ..Default::default()
                }),
                versions: vec![CustomResourceDefinitionVersion {
                    name: "v1".into(),
                    ..Default::default()
                }],
                ..Default::default()
            }),
            status: Some(CustomResourceDefinitionStatus {
                stored_versions: vec!["v1".into()],
                conditions: vec![CustomResourceDefinitionCondition {
                    r#type: "Established".into(),
                    status: "True".into(),
                    ..Default::default()
                }],
                ..Default::default()
            }),
            ..Default::default()
        }
    }

    #[test]
    fn what_objects_are_found_and_read_by_cannot_change() {
        type Change = fn(&mut CustomResourceDefinitionSpec);
        let cases: [(Change, &[&str]); 5] = [
            (|_| {}, &[]),
            (|spec| spec.group = "example.org".into(), &["spec.group"]),
            (|spec| spec.scope = "Cluster".into(), &["spec.scope"]),
            (
                |spec| spec.names.get_or_insert_default().kind = "Gadget".into(),
                &["spec.names.kind"],
            ),
            (|spec| spec.versions.clear(), &["status.storedVersions[0]"]),
        ];
        for (change, expected) in cases {
            let mut new = definition();
            change(new.spec.as_mut().unwrap());
            let mut faults = Faults::default();
            new.validate_update(&definition(), &mut faults);
            let fields: Vec<String> = faults.into_vec().into_iter().map(|fault| fault.field).collect();
            assert_eq!(fields, expected);
        }
    }
}
