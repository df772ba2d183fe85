//! How users name objects: `pods`, `po web-1 web-2`, `deploy/nginx`, `pods,services`, `all`.

use anyhow::{Context, Result, bail};
use apimachinery::kinds::{self, KindInfo};

/// A kind's row in the registry.
pub type Kind = &'static KindInfo;

/// What a command line names.
#[derive(Clone, Debug)]
pub enum Selection {
    /// All objects of these kinds.
    Kinds(Vec<Kind>),
    /// These objects.
    Objects(Vec<(Kind, String)>),
}

/// The kind that a word means.
pub fn kind(word: &str) -> Result<Kind> {
    kinds::find(word).with_context(|| {
        format!("the server has no resource type {word:?}: `orrery api-resources` lists what there is")
    })
}

/// The kinds that a word means: `pods`, `pods,svc`, `all`.
pub fn kinds_of(words: &str) -> Result<Vec<Kind>> {
    let mut found: Vec<Kind> = Vec::new();
    for word in words.split(',').filter(|word| !word.is_empty()) {
        let category: Vec<Kind> = kinds::all()
            .iter()
            .chain(kinds::custom::all())
            .filter(|info| info.categories.contains(&word))
            .collect();
        let meant = if category.is_empty() {
            vec![kind(word)?]
        } else {
            category
        };
        for info in meant {
            if !found.iter().any(|known| known.number == info.number) {
                found.push(info);
            }
        }
    }
    if found.is_empty() {
        bail!("name a resource type, for example `pods`");
    }
    Ok(found)
}

/// Reads `KIND[,KIND…]`, `KIND NAME…` or `KIND/NAME…`.
pub fn parse(words: &[String]) -> Result<Selection> {
    let (first, names) = words
        .split_first()
        .context("name a resource type, for example `pods`; `orrery api-resources` lists what there is")?;
    if words.iter().any(|word| word.contains('/')) {
        return words
            .iter()
            .map(|word| slashed(word))
            .collect::<Result<_>>()
            .map(Selection::Objects);
    }
    let kinds = kinds_of(first)?;
    match (kinds.as_slice(), names) {
        (_, []) => Ok(Selection::Kinds(kinds)),
        ([info], names) => Ok(Selection::Objects(
            names.iter().map(|name| (*info, name.clone())).collect(),
        )),
        _ => bail!(
            "names need one resource type, not {}: write them as kind/name",
            kinds.len()
        ),
    }
}

/// Reads what must name objects, not kinds.
pub fn objects(words: &[String]) -> Result<Vec<(Kind, String)>> {
    match parse(words)? {
        Selection::Objects(objects) => Ok(objects),
        Selection::Kinds(kinds) => {
            let singular = kinds.first().map_or("pod", |info| info.singular);
            bail!("name an object, for example {singular}/NAME")
        }
    }
}

/// Reads what must name one object.
pub fn object(words: &[String]) -> Result<(Kind, String)> {
    let mut objects = objects(words)?;
    match (objects.pop(), objects.is_empty()) {
        (Some(object), true) => Ok(object),
        _ => bail!("name one object, not several"),
    }
}

fn slashed(word: &str) -> Result<(Kind, String)> {
    match word.split_once('/') {
        Some((first, name)) if !first.is_empty() && !name.is_empty() && !name.contains('/') => {
            Ok((kind(first)?, name.to_owned()))
        }
        _ => bail!("{word:?} is not kind/name, and kind/name does not mix with other forms"),
    }
}

/// `pod` or `deployment.apps`: what kubectl calls one object of a kind.
pub fn singular(info: &KindInfo) -> String {
    if info.group.is_empty() {
        info.singular.to_owned()
    } else {
        format!("{}.{}", info.singular, info.group)
    }
}

/// `pod/web-1` or `deployment.apps/nginx`.
pub fn label(info: &KindInfo, name: &str) -> String {
    format!("{}/{name}", singular(info))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> String {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        match parse(&words) {
            Ok(Selection::Kinds(kinds)) => kinds.iter().map(|info| info.plural).collect::<Vec<_>>().join(" "),
            Ok(Selection::Objects(objects)) => {
                let labels = objects.iter().map(|(info, name)| label(info, name));
                labels.collect::<Vec<_>>().join(" ")
            }
            Err(error) => format!("error: {error}"),
        }
    }

    #[test]
    fn objects_are_named_in_every_way_that_kubectl_knows() {
        for (line, expected) in [
            ("po", "pods"),
            ("pods,svc,po", "pods services"),
            ("deploy nginx", "deployment.apps/nginx"),
            ("pod a b", "pod/a pod/b"),
            ("deploy/nginx po/a", "deployment.apps/nginx pod/a"),
            ("deployments.apps nginx", "deployment.apps/nginx"),
        ] {
            assert_eq!(read(line), expected, "{line}");
        }
        assert!(read("all").starts_with("pods services"), "{}", read("all"));
    }

    #[test]
    fn what_cannot_be_meant_is_refused_with_the_next_step() {
        for (line, part) in [
            ("", "name a resource type"),
            ("widgets", "api-resources"),
            ("pods,svc a", "kind/name"),
            ("pod/a b", "does not mix"),
            ("pod/", "not kind/name"),
        ] {
            assert!(read(line).contains(part), "{line}: {}", read(line));
        }
        assert!(
            object(&["pods".into()])
                .unwrap_err()
                .to_string()
                .contains("pod/NAME")
        );
        assert!(object(&["pod".into(), "a".into(), "b".into()]).is_err());
    }
}
