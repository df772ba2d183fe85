//! Any kind: its fields as they are, named for people.

use super::page::Page;
use serde_json::{Map, Value};

/// Metadata that says nothing to people.
const HIDDEN: &[&str] = &["managedFields", "annotations", "labels", "name", "namespace"];

pub(super) fn sections(object: &Value, page: &mut Page) {
    let none = Map::new();
    let fields = object.as_object().unwrap_or(&none);
    let meta = fields.get("metadata").and_then(Value::as_object).unwrap_or(&none);
    let text = |name: &str| meta.get(name).and_then(Value::as_str).unwrap_or_default();
    page.field(0, "Name", text("name"));
    page.some(0, "Namespace", text("namespace"));
    let map = |name: &str| {
        let pairs = meta.get(name).and_then(Value::as_object).into_iter().flatten();
        pairs
            .map(|(key, value)| (key.clone(), apimachinery::jsonpath::text(value)))
            .collect()
    };
    page.labels(0, "Labels", &map("labels"));
    page.annotations(0, &map("annotations"));
    for (name, value) in fields {
        if name == "metadata" {
            page.head(0, "Metadata");
            for (name, value) in meta.iter().filter(|(name, _)| !HIDDEN.contains(&name.as_str())) {
                show(1, &title(name), value, page);
            }
        } else {
            show(0, &title(name), value, page);
        }
    }
}

fn show(level: usize, name: &str, value: &Value, page: &mut Page) {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            page.head(level, name);
            for (name, value) in fields {
                show(level + 1, &title(name), value, page);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            page.head(level, name);
            for item in items {
                match item {
                    Value::Object(fields) => {
                        for (name, value) in fields {
                            show(level + 1, &title(name), value, page);
                        }
                    }
                    item => page.cells(level + 1, &[&apimachinery::jsonpath::text(item)]),
                }
            }
        }
        Value::Object(_) | Value::Array(_) | Value::Null => {}
        value => page.field(level, name, apimachinery::jsonpath::text(value)),
    }
}

/// `apiVersion` becomes `API Version`, `podCIDR` becomes `Pod CIDR`; keys of maps stay as they are.
fn title(name: &str) -> String {
    if name.contains(['.', '/', '-']) {
        return name.to_owned();
    }
    let chars: Vec<char> = name.chars().collect();
    let mut title = String::new();
    for (at, c) in chars.iter().enumerate() {
        if at == 0 {
            title.extend(c.to_uppercase());
            continue;
        }
        let starts_word = c.is_uppercase() && !chars[at - 1].is_uppercase();
        if starts_word {
            title.push(' ');
        }
        title.push(*c);
    }
    match title.as_str() {
        "Api Version" => "API Version".into(),
        "Uid" => "UID".into(),
        _ => title,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_kind_without_sections_of_its_own_is_shown_field_by_field() {
        let mut page = Page::default();
        let object = json!({
            "apiVersion": "scheduling.k8s.io/v1",
            "kind": "PriorityClass",
            "metadata": {"name": "high", "uid": "u-1", "labels": {"a": "b", "c": "d"}},
            "value": 1000,
            "podCIDRs": ["10.0.0.0/24"],
            "rules": [{"clusterIP": "x"}],
        });
        sections(&object, &mut page);
        insta::assert_snapshot!(page.finish(), @r"
        Name:         high
        Labels:       a=b
                      c=d
        Annotations:  <none>
        API Version:  scheduling.k8s.io/v1
        Kind:         PriorityClass
        Metadata:
          UID:  u-1
        Value:  1000
        Pod CIDRs:
          10.0.0.0/24
        Rules:
          Cluster IP:  x
        ");
    }
}
