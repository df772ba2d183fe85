//! The kinds that CustomResourceDefinitions add: rows that come to be while the process runs.
//!
//! In: a definition's names, or the resource part of a stored key. Out: a number that stands for the kind in this process
//! (caches, selectors and object keys go by it), and rows of the same form as those of the kinds that are built in.
//!
//! Numbers and rows are never taken back, so that they can be `'static` and a reader needs no lock for them; therefore the
//! table has an end, [`MAX_KINDS`] and [`MAX_ROWS`]. The same content is the same row, however often it is asked for.
//!
//! The table is the process's: two clusters in one process (tests) share it. Which kinds a cluster serves is the
//! apiserver's to say, not this table's.

use super::{ANY_CUSTOM, FIRST_CUSTOM, KindInfo};
use crate::wire::{Fields, WireError};
use proto::apiextensions::v1::{CustomResourceDefinition, CustomResourceDefinitionVersion};
use proto::{Kind, Object};
use std::collections::HashMap;
use std::sync::{LazyLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// The most custom kinds that a process ever knows. A large cluster has some hundreds.
pub const MAX_KINDS: usize = 1 << 14;
/// The most rows: each version of a kind has one, and a new one whenever a definition changes its names. About 500 bytes
/// each.
pub const MAX_ROWS: usize = 1 << 16;

/// What a row of a custom kind says; equal ones are one row.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Content {
    group: String,
    version: String,
    kind: String,
    plural: String,
    singular: String,
    short_names: Vec<String>,
    categories: Vec<String>,
    namespaced: bool,
    has_status: bool,
    has_scale: bool,
    selectable: Vec<String>,
}

#[derive(Default)]
struct Table {
    /// By `plural.group`.
    numbers: HashMap<String, u32>,
    rows: HashMap<Content, &'static KindInfo>,
    /// By number: the row that stands for the kind where no version is said.
    current: HashMap<u32, &'static KindInfo>,
    /// By group and kind.
    by_kind: HashMap<(String, String), u32>,
}

static TABLE: LazyLock<RwLock<Table>> = LazyLock::new(RwLock::default);

fn read() -> RwLockReadGuard<'static, Table> {
    // Every change is one insertion, which a panic cannot leave half done.
    TABLE.read().unwrap_or_else(PoisonError::into_inner)
}

fn write() -> RwLockWriteGuard<'static, Table> {
    TABLE.write().unwrap_or_else(PoisonError::into_inner)
}

impl Table {
    fn number(&mut self, resource: &str) -> Option<u32> {
        if let Some(number) = self.numbers.get(resource) {
            return Some(*number);
        }
        if self.numbers.len() >= MAX_KINDS {
            return None;
        }
        let number = FIRST_CUSTOM + self.numbers.len() as u32;
        self.numbers.insert(resource.to_owned(), number);
        Some(number)
    }
}

/// The number of the custom kind whose keys start with `resource` (`widgets.example.com`), also of one whose definition
/// is not known. `None` for what cannot be the name of one, and when the table is full.
pub fn number(resource: &str) -> Option<u32> {
    if let Some(number) = read().numbers.get(resource) {
        return Some(*number);
    }
    // A definition's group has a dot in it, so that the resource has two.
    (resource.matches('.').count() >= 2).then(|| write().number(resource))?
}

/// The row of a custom kind by its number: of the version that was stored when its definition was last noted.
pub fn by_number(number: u32) -> Option<&'static KindInfo> {
    read().current.get(&number).copied()
}

/// The row of a custom kind by group and kind.
pub fn by_kind(group: &str, kind: &str) -> Option<&'static KindInfo> {
    let table = read();
    let number = table.by_kind.get(&(group.to_owned(), kind.to_owned()))?;
    table.current.get(number).copied()
}

/// Every custom kind that was ever noted, in the order of their numbers.
pub fn all() -> Vec<&'static KindInfo> {
    let mut rows: Vec<_> = read().current.values().copied().collect();
    rows.sort_unstable_by_key(|row| row.number);
    rows
}

/// The row of one version of a definition's kind. `None` when the table is full.
pub fn row(
    definition: &CustomResourceDefinition,
    version: &CustomResourceDefinitionVersion,
) -> Option<&'static KindInfo> {
    let content = content(definition, version);
    if let Some(row) = read().rows.get(&content) {
        return Some(row);
    }
    let mut table = write();
    if table.rows.len() >= MAX_ROWS {
        return None;
    }
    let number = table.number(&format!("{}.{}", content.plural, content.group))?;
    let row = leak(number, &content);
    Some(table.rows.entry(content).or_insert(row))
}

/// Remembers the kind of a definition that is established, so that its objects are found by kind and number. Whoever
/// follows the definitions of a cluster calls this for each.
pub fn note(definition: &CustomResourceDefinition) -> Option<&'static KindInfo> {
    if !is_established(definition) {
        return None;
    }
    let versions = definition.spec.iter().flat_map(|spec| &spec.versions);
    let stored = versions.into_iter().find(|version| version.storage)?;
    let row = row(definition, stored)?;
    let known = by_number(row.number).is_some_and(|known| std::ptr::eq(known, row))
        && by_kind(row.group, row.kind).is_some_and(|known| std::ptr::eq(known, row));
    if !known {
        let mut table = write();
        table.current.insert(row.number, row);
        table
            .by_kind
            .insert((row.group.to_owned(), row.kind.to_owned()), row.number);
    }
    Some(row)
}

/// Whether a definition has the condition `Established`: its objects can be written and read.
pub fn is_established(definition: &CustomResourceDefinition) -> bool {
    has_condition(definition, "Established")
}

/// Whether a definition has this condition, with status `True`.
pub fn has_condition(definition: &CustomResourceDefinition, r#type: &str) -> bool {
    let conditions = definition.status.iter().flat_map(|status| &status.conditions);
    conditions
        .into_iter()
        .any(|condition| condition.r#type == r#type && condition.status == "True")
}

/// The row of an object of any kind. For a custom kind whose definition this process does not know: [`ANY_CUSTOM`].
pub fn of_object(object: &Object) -> Option<&'static KindInfo> {
    if object.number != ANY_CUSTOM.number {
        return super::by_number(object.number);
    }
    let (api_version, kind) = type_of(&object.bytes).ok()?;
    let group = api_version.split_once('/').map_or("", |(group, _)| group);
    Some(by_kind(group, kind).unwrap_or(&ANY_CUSTOM))
}

/// `apiVersion` and `kind` of an encoded [`CustomResource`](proto::orrery::v1::CustomResource).
pub fn type_of(bytes: &[u8]) -> Result<(&str, &str), WireError> {
    let (mut api_version, mut kind) = ("", "");
    for field in Fields::new(bytes) {
        let field = field?;
        match field.number {
            2 => api_version = field.str()?,
            3 => kind = field.str()?,
            _ => {}
        }
    }
    Ok((api_version, kind))
}

fn content(definition: &CustomResourceDefinition, version: &CustomResourceDefinitionVersion) -> Content {
    let spec = definition.spec.clone().unwrap_or_default();
    let names = spec.names.unwrap_or_default();
    // Singular, short names, list kind and categories are those that were accepted; the rest never differs.
    let accepted = definition.status.as_ref().and_then(|s| s.accepted_names.clone());
    let accepted = accepted.unwrap_or_default();
    let subresources = version.subresources.clone().unwrap_or_default();
    let selectable = version.selectable_fields.iter();
    Content {
        group: spec.group,
        version: version.name.clone(),
        kind: names.kind,
        plural: names.plural,
        singular: accepted.singular,
        short_names: accepted.short_names,
        categories: accepted.categories,
        namespaced: spec.scope == "Namespaced",
        has_status: subresources.status.is_some(),
        has_scale: subresources.scale.is_some(),
        selectable: selectable
            .map(|field| field.json_path.trim_start_matches('.').to_owned())
            .collect(),
    }
}

fn leak(number: u32, content: &Content) -> &'static KindInfo {
    let text = |text: &str| -> &'static str { text.to_owned().leak() };
    let texts = |texts: &[String]| -> &'static [&'static str] {
        texts.iter().map(|one| text(one)).collect::<Vec<_>>().leak()
    };
    Box::leak(Box::new(KindInfo {
        number,
        kind: text(&content.kind),
        group: text(&content.group),
        version: text(&content.version),
        plural: text(&content.plural),
        singular: text(&content.singular),
        short_names: texts(&content.short_names),
        categories: texts(&content.categories),
        namespaced: content.namespaced,
        has_status: content.has_status,
        has_scale: content.has_scale,
        message: <proto::orrery::v1::CustomResource as Kind>::FULL_NAME,
        selectable: texts(&content.selectable),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::apiextensions::v1::{
        CustomResourceDefinitionCondition, CustomResourceDefinitionNames, CustomResourceDefinitionSpec,
        CustomResourceDefinitionStatus,
    };
    use proto::orrery::v1::CustomResource;

    fn definition(plural: &str, kind: &str, short: &str) -> CustomResourceDefinition {
        let names = CustomResourceDefinitionNames {
            plural: plural.into(),
            kind: kind.into(),
            singular: kind.to_lowercase(),
            short_names: vec![short.into()],
            ..Default::default()
        };
        let version = |name: &str, storage| CustomResourceDefinitionVersion {
            name: name.into(),
            served: true,
            storage,
            ..Default::default()
        };
        CustomResourceDefinition {
            spec: Some(CustomResourceDefinitionSpec {
                group: "kinds.example.com".into(),
                scope: "Namespaced".into(),
                names: Some(names.clone()),
                versions: vec![version("v1", false), version("v2", true)],
                ..Default::default()
            }),
            status: Some(CustomResourceDefinitionStatus {
                accepted_names: Some(names),
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
    fn the_same_definition_gives_the_same_row_and_a_changed_one_keeps_its_number() {
        let first = note(&definition("gears", "Gear", "g")).unwrap();
        assert!(std::ptr::eq(
            first,
            note(&definition("gears", "Gear", "g")).unwrap()
        ));
        assert_eq!((first.version, first.arm(), first.is_custom()), ("v2", 29, true));
        let renamed = note(&definition("gears", "Gear", "gr")).unwrap();
        assert_eq!(renamed.number, first.number);
        assert_eq!(by_number(first.number).unwrap().short_names, ["gr"]);
        assert_eq!(number("gears.kinds.example.com"), Some(first.number));
        let other = row(
            &definition("gears", "Gear", "gr"),
            &definition("gears", "Gear", "gr").spec.unwrap().versions[0],
        );
        assert_eq!(
            other.map(|row| (row.version, row.number)),
            Some(("v1", first.number))
        );
    }

    #[test]
    fn a_definition_that_is_not_established_teaches_no_kind() {
        let mut refused = definition("cogs", "Cog", "c");
        refused.status = None;
        assert!(note(&refused).is_none());
        assert!(by_kind("kinds.example.com", "Cog").is_none());
        assert!(number("cogs").is_none(), "that is no custom resource's name");
    }

    #[test]
    fn an_object_tells_its_kind() {
        let row = note(&definition("springs", "Spring", "sp")).unwrap();
        let object = |kind: &str| {
            Object::encode_from(&CustomResource {
                api_version: "kinds.example.com/v1".into(),
                kind: kind.into(),
                ..Default::default()
            })
        };
        assert!(std::ptr::eq(of_object(&object("Spring")).unwrap(), row));
        assert!(std::ptr::eq(of_object(&object("Unknown")).unwrap(), &ANY_CUSTOM));
    }
}
