//! Definitions: what is refused, and how it is told.

use super::fixtures;
use super::told;
use apiextensions::validate_definition;
use serde_json::{Value, json};

fn definition() -> Value {
    json!({
        "metadata": {"name": "widgets.example.com"},
        "spec": {
            "group": "example.com", "scope": "Namespaced", "conversion": {"strategy": "None"},
            "names": {"plural": "widgets", "singular": "widget", "kind": "Widget", "listKind": "WidgetList",
                "shortNames": ["wd"], "categories": ["all"]},
            "versions": [{
                "name": "v1", "served": true, "storage": true,
                "schema": {"openAPIV3Schema": {"type": "object", "properties": {
                    "spec": {"type": "object", "properties": {
                        "color": {"type": "string"}, "replicas": {"type": "integer"}, "tags": {"type": "array", "items": {"type": "string"}}}},
                    "status": {"type": "object", "properties": {"replicas": {"type": "integer"}}}}}},
                "subresources": {"status": {}, "scale": {
                    "specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas"}},
                "additionalPrinterColumns": [{"name": "Color", "type": "string", "jsonPath": ".spec.color"}],
                "selectableFields": [{"jsonPath": ".spec.color"}]
            }]
        }
    })
}

#[test]
fn a_good_definition_has_no_fault() {
    assert_eq!(told(validate_definition(&definition())), [""; 0]);
}

#[test]
fn definitions_of_the_shapes_that_people_use_have_no_fault() {
    for (name, definition) in fixtures::all() {
        assert_eq!(told(validate_definition(&definition)), [""; 0], "{name}");
    }
}

#[test]
fn every_rule_of_definitions_is_told_with_its_place() {
    let schema = "/spec/versions/0/schema/openAPIV3Schema";
    let in_spec = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/color";
    let at_spec = "spec.versions[0].schema.openAPIV3Schema.properties[spec].properties[color]";
    let version = |name: &str, storage: bool| json!({"name": name, "served": true, "storage": storage, "schema": {"openAPIV3Schema": {"type": "object"}}});
    for (pointer, value, wanted) in [
        ("/metadata/name", json!("w.example.com"), "metadata.name: Invalid value: \"w.example.com\": must be spec.names.plural+\".\"+spec.group".to_owned()),
        ("/spec/scope", json!("World"), "spec.scope: Unsupported value: \"World\": supported values: \"Cluster\", \"Namespaced\"".into()),
        ("/spec/names/kind", json!(""), "spec.names.kind: Required value".into()),
        ("/spec/names/listKind", json!("Widget"), "spec.names.listKind: Invalid value: \"Widget\": kind and listKind may not be the same".into()),
        ("/spec/conversion/strategy", json!("Webhook"), "spec.conversion.strategy: Forbidden: this server calls no webhooks".into()),
        ("/spec/versions", json!([version("v1", false)]), "spec.versions: Invalid value: \"v1\": must have exactly one version marked as storage version".into()),
        ("/spec/versions", json!([version("v1", true), version("v1", false)]), "spec.versions: Invalid value: \"v1, v1\": must contain unique version names".into()),
        (schema, json!(null), "spec.versions[0].schema.openAPIV3Schema: Required value: schemas are required".into()),
        (schema, json!({"type": "string"}), "spec.versions[0].schema.openAPIV3Schema.type: Invalid value: \"string\": must be object at the root".into()),
        (schema, json!({"properties": {}}), "spec.versions[0].schema.openAPIV3Schema.type: Required value: must not be empty at the root".into()),
        (in_spec, json!({}), format!("{at_spec}.type: Required value: must not be empty for specified object fields")),
        (in_spec, json!({"type": "array", "items": {}}), format!("{at_spec}.items.type: Required value: must not be empty for specified array items")),
        (in_spec, json!({"type": "text"}), format!("{at_spec}.type: Unsupported value: \"text\"")),
        (in_spec, json!({"type": "string", "$ref": "#/x"}), format!("{at_spec}.$ref: Forbidden: $ref is not supported")),
        (in_spec, json!({"type": "object", "additionalProperties": false}), format!("{at_spec}.additionalProperties: Forbidden: additionalProperties cannot be set to false")),
        (in_spec, json!({"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": true}), format!("{at_spec}.additionalProperties: Forbidden: additionalProperties and properties are mutual exclusive")),
        (in_spec, json!({"type": "array", "items": {"type": "string"}, "uniqueItems": true}), format!("{at_spec}.uniqueItems: Forbidden: uniqueItems cannot be set to true")),
        (in_spec, json!({"type": "string", "anyOf": [{"type": "string"}]}), format!("{at_spec}.anyOf[0].type: Forbidden: must be empty to be structural")),
        (in_spec, json!({"type": "object", "not": {"properties": {"z": {"minimum": 1}}}}), format!("{at_spec}.not.properties[z]: Required value: because it is defined in")),
        (in_spec, json!({"type": "string", "default": 5}), format!("{at_spec}.default: Invalid value: \"integer\":")),
        (in_spec, json!({"type": "object", "default": {"z": 1}}), format!("{at_spec}.default: Invalid value: {{\"z\":1}}: must not have unspecified fields: z")),
        (in_spec, json!({"type": "string", "pattern": "("}), format!("{at_spec}.pattern: Invalid value: \"(\": must be a valid regular expression, but isn't")),
        (in_spec, json!({"type": "string", "pattern": "(a{1,1000}){1,1000}"}), format!("{at_spec}.pattern: Invalid value")),
        (in_spec, json!({"type": "array", "items": {"type": "object"}, "x-kubernetes-list-type": "map"}), format!("{at_spec}.x-kubernetes-list-map-keys: Required value: must not be empty if x-kubernetes-list-type is map")),
        (in_spec, json!({"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["n"], "items": {"type": "object", "properties": {"n": {"type": "string"}}}}), format!("{at_spec}.items.properties[n].default: Required value: this property is in x-kubernetes-list-map-keys")),
        (in_spec, json!({"type": "string", "x-kubernetes-list-type": "set"}), format!("{at_spec}.type: Invalid value: \"string\": must be array if x-kubernetes-list-type is specified")),
        (in_spec, json!({"type": "object", "x-kubernetes-embedded-resource": true}), format!("{at_spec}.properties: Required value: must not be empty if x-kubernetes-embedded-resource is true")),
        (in_spec, json!({"type": "string", "x-kubernetes-int-or-string": true}), format!("{at_spec}.type: Invalid value: \"string\": must be empty if x-kubernetes-int-or-string is true")),
        (in_spec, json!({"type": "string", "x-kubernetes-validations": [{"rule": "self.x"}]}), format!("{at_spec}.x-kubernetes-validations[0].rule: Invalid value: \"self.x\": compilation failed")),
        ("/spec/versions/0/additionalPrinterColumns/0/type", json!("text"), "spec.versions[0].additionalPrinterColumns[0].type: Unsupported value: \"text\"".into()),
        ("/spec/versions/0/additionalPrinterColumns/0/jsonPath", json!("spec"), "spec.versions[0].additionalPrinterColumns[0].jsonPath: Invalid value: \"spec\"".into()),
        ("/spec/versions/0/selectableFields/0/jsonPath", json!(".spec.none"), "spec.versions[0].selectableFields[0].jsonPath: Invalid value: \".spec.none\": is an invalid path".into()),
        ("/spec/versions/0/selectableFields/0/jsonPath", json!(".spec.tags"), "spec.versions[0].selectableFields[0].jsonPath: Invalid value: \".spec.tags\": must point to a field of type".into()),
        ("/spec/versions/0/subresources/scale/specReplicasPath", json!(".status.replicas"), "spec.versions[0].subresources.scale.specReplicasPath: Invalid value: \".status.replicas\": should be a json path under .spec".into()),
    ] {
        let mut bad = definition();
        *bad.pointer_mut(pointer).unwrap() = value.clone();
        let faults = told(validate_definition(&bad));
        assert!(
            faults.iter().any(|fault| fault.starts_with(&wanted)),
            "{pointer} {value}: {wanted}\ngot {faults:#?}"
        );
    }
}

#[test]
fn metadata_in_a_schema_may_say_only_how_objects_are_named() {
    let mut good = definition();
    good["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["metadata"] =
        json!({"type": "object", "properties": {"name": {"type": "string", "maxLength": 9}}});
    assert_eq!(told(validate_definition(&good)), [""; 0]);
    good["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["metadata"] =
        json!({"type": "object", "properties": {"labels": {"type": "object"}}});
    assert_eq!(
        told(validate_definition(&good)),
        [
            "spec.versions[0].schema.openAPIV3Schema.properties[metadata]: Forbidden: must not specify anything other than name and generateName, but metadata is implicitly specified"
        ]
    );
}

#[test]
fn a_group_of_the_project_itself_needs_an_approval() {
    let mut of_project = definition();
    of_project["spec"]["group"] = "x.k8s.io".into();
    of_project["metadata"]["name"] = "widgets.x.k8s.io".into();
    let faults = told(validate_definition(&of_project));
    assert_eq!(faults.len(), 1);
    assert!(
        faults[0].contains("protected groups must have approval annotation"),
        "{faults:?}"
    );
    of_project["metadata"]["annotations"] = json!({"api-approved.kubernetes.io": "https://example.com/1"});
    assert_eq!(told(validate_definition(&of_project)), [""; 0]);
}

#[test]
fn a_schema_that_nests_too_deep_is_refused() {
    let mut schema = json!({"type": "string"});
    for _ in 0..100 {
        schema = json!({"type": "object", "properties": {"a": schema}});
    }
    let mut deep = definition();
    deep["spec"]["versions"][0]["schema"]["openAPIV3Schema"] = schema;
    let faults = told(validate_definition(&deep));
    assert!(faults[0].contains("schemas may nest 64 deep"), "{faults:?}");
}
