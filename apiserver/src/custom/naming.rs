//! Which names a definition gets, and the conditions that say so. Pure.
//!
//! Within a group a name stands for one kind. Who came first keeps it; a later definition is told that it has a conflict,
//! and gets the name when it is free.

use apimachinery::kinds::{self, custom::has_condition};
use apimachinery::meta::{is_being_deleted, whole_seconds};
use proto::apiextensions::v1::{
    CustomResourceDefinition, CustomResourceDefinitionCondition, CustomResourceDefinitionNames,
};
use proto::{Kind, Timestamp};
use std::collections::HashSet;

/// Sets accepted names and conditions. `others` are all definitions; this one among them counts as it is stored.
pub(super) fn settle(
    definition: &mut CustomResourceDefinition,
    others: &[&CustomResourceDefinition],
    now: Timestamp,
) {
    let wanted = definition
        .spec
        .clone()
        .unwrap_or_default()
        .names
        .unwrap_or_default();
    let group = definition.spec.clone().unwrap_or_default().group;
    let taken = Taken::new(&group, definition.name(), others);
    let mut accepted = definition
        .status
        .as_ref()
        .and_then(|status| status.accepted_names.clone())
        .unwrap_or_default();
    let conflict = accept(&wanted, &mut accepted, &taken);
    let established = has_condition(definition, "Established");
    let names = match &conflict {
        None => condition("NamesAccepted", true, "NoConflicts", "no conflicts found"),
        Some(conflict) => condition("NamesAccepted", false, conflict.reason, &conflict.message),
    };
    let ready = if established || conflict.is_none() {
        condition(
            "Established",
            true,
            "InitialNamesAccepted",
            "the initial names have been accepted",
        )
    } else {
        condition("Established", false, "NotAccepted", "not all names are accepted")
    };
    let deleting = is_being_deleted(definition.meta());
    let status = definition.status.get_or_insert_default();
    status.accepted_names = Some(accepted);
    set(&mut status.conditions, names, now);
    set(&mut status.conditions, ready, now);
    if deleting {
        let terminating = condition(
            "Terminating",
            true,
            "InstanceDeletionPending",
            "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon",
        );
        set(&mut status.conditions, terminating, now);
    }
}

/// The names in a group that others have.
struct Taken {
    resources: HashSet<String>,
    kinds: HashSet<String>,
}

impl Taken {
    fn new(group: &str, name: &str, others: &[&CustomResourceDefinition]) -> Self {
        let mut taken = Self {
            resources: HashSet::new(),
            kinds: HashSet::new(),
        };
        for info in kinds::all().iter().filter(|info| info.group == group) {
            taken.resources.extend([info.plural.into(), info.singular.into()]);
            taken
                .resources
                .extend(info.short_names.iter().map(|s| (*s).into()));
            taken
                .kinds
                .extend([info.kind.into(), format!("{}List", info.kind)]);
        }
        let of_group = |other: &&&CustomResourceDefinition| {
            other.name() != name && other.spec.as_ref().is_some_and(|spec| spec.group == group)
        };
        for other in others.iter().filter(of_group) {
            let names = other.status.as_ref().and_then(|s| s.accepted_names.clone());
            let names = names.unwrap_or_default();
            taken.resources.extend([names.plural, names.singular]);
            taken.resources.extend(names.short_names);
            taken.kinds.extend([names.kind, names.list_kind]);
        }
        taken
    }
}

struct Conflict {
    reason: &'static str,
    message: String,
}

/// Accepts the names that are free; gives the first conflict.
fn accept(
    wanted: &CustomResourceDefinitionNames,
    accepted: &mut CustomResourceDefinitionNames,
    taken: &Taken,
) -> Option<Conflict> {
    let in_use = |reason, name: &str| Conflict {
        reason,
        message: format!("{name:?} is already in use"),
    };
    let mut conflicts = Vec::new();
    let mut one = |reason, wanted: &String, accepted: &mut String, taken: &HashSet<String>| {
        if !wanted.is_empty() && taken.contains(wanted) {
            conflicts.push(in_use(reason, wanted));
        } else {
            accepted.clone_from(wanted);
        }
    };
    one(
        "PluralConflict",
        &wanted.plural,
        &mut accepted.plural,
        &taken.resources,
    );
    one(
        "SingularConflict",
        &wanted.singular,
        &mut accepted.singular,
        &taken.resources,
    );
    one("KindConflict", &wanted.kind, &mut accepted.kind, &taken.kinds);
    one(
        "ListKindConflict",
        &wanted.list_kind,
        &mut accepted.list_kind,
        &taken.kinds,
    );
    let short = wanted
        .short_names
        .iter()
        .find(|name| taken.resources.contains(*name));
    match short {
        Some(name) => conflicts.push(in_use("ShortNamesConflict", name)),
        None => accepted.short_names.clone_from(&wanted.short_names),
    }
    // Several kinds may share a category.
    accepted.categories.clone_from(&wanted.categories);
    conflicts.into_iter().next()
}

fn condition(r#type: &str, holds: bool, reason: &str, message: &str) -> CustomResourceDefinitionCondition {
    CustomResourceDefinitionCondition {
        r#type: r#type.into(),
        status: if holds { "True" } else { "False" }.into(),
        reason: reason.into(),
        message: message.into(),
        ..Default::default()
    }
}

/// Sets a condition; its time is that of the last change of its status.
fn set(
    conditions: &mut Vec<CustomResourceDefinitionCondition>,
    mut new: CustomResourceDefinitionCondition,
    now: Timestamp,
) {
    let known = conditions.iter_mut().find(|known| known.r#type == new.r#type);
    match known {
        Some(known) => {
            new.last_transition_time = if known.status == new.status {
                known.last_transition_time
            } else {
                Some(whole_seconds(now))
            };
            *known = new;
        }
        None => {
            new.last_transition_time = Some(whole_seconds(now));
            conditions.push(new);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::apiextensions::v1::CustomResourceDefinitionSpec;

    fn definition(plural: &str, kind: &str, short: &str) -> CustomResourceDefinition {
        let mut made = CustomResourceDefinition {
            spec: Some(CustomResourceDefinitionSpec {
                group: "naming.example.com".into(),
                names: Some(CustomResourceDefinitionNames {
                    plural: plural.into(),
                    singular: kind.to_lowercase(),
                    kind: kind.into(),
                    list_kind: format!("{kind}List"),
                    short_names: vec![short.into()],
                    ..Default::default()
                }),
                ..Default::default()
            }),
            ..Default::default()
        };
        made.metadata_mut().name = format!("{plural}.naming.example.com");
        made
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp { seconds, nanos: 0 }
    }

    #[test]
    fn a_name_belongs_to_who_came_first_and_is_given_on_when_it_is_free() {
        let mut first = definition("cars", "Car", "c");
        settle(&mut first, &[], at(1));
        assert!(has_condition(&first, "NamesAccepted") && has_condition(&first, "Established"));
        for (plural, kind, short, reason) in [
            ("carts", "Car", "ct", "SingularConflict"),
            ("cabs", "Cab", "c", "ShortNamesConflict"),
            ("trucks", "Truck", "cars", "ShortNamesConflict"),
        ] {
            let mut second = definition(plural, kind, short);
            settle(&mut second, &[&first], at(2));
            let status = second.status.clone().unwrap();
            assert_eq!(status.conditions[0].reason, reason);
            assert!(!has_condition(&second, "Established"));
            settle(&mut second, &[], at(3));
            assert!(has_condition(&second, "Established"));
            let times: Vec<_> = second.status.unwrap().conditions;
            assert!(times.iter().all(|c| c.last_transition_time == Some(at(3))));
        }
        let again = first.clone();
        settle(&mut first, &[&again], at(9));
        assert_eq!(first, again, "settled once is settled");
    }

    #[test]
    fn a_kind_that_is_served_stays_served_when_a_new_name_is_refused() {
        let mut cars = definition("cars", "Car", "c");
        settle(&mut cars, &[], at(1));
        let mut cabs = definition("cabs", "Cab", "cb");
        settle(&mut cabs, &[&cars], at(1));
        cabs.spec.as_mut().unwrap().names.as_mut().unwrap().short_names = vec!["c".into()];
        settle(&mut cabs, &[&cars], at(2));
        assert!(has_condition(&cabs, "Established") && !has_condition(&cabs, "NamesAccepted"));
        assert_eq!(cabs.status.unwrap().accepted_names.unwrap().short_names, ["cb"]);
    }
}
