//! Schemas as OpenAPI publishes them.

use super::compiled;
use serde_json::json;

#[test]
fn version_3_says_everything_and_what_every_resource_has() {
    let schema = compiled(json!({"type": "object", "nullable": true, "oneOf": [{"required": []}]}));
    let published = schema.openapi();
    assert_eq!(published["properties"]["spec"]["nullable"], true);
    assert_eq!(published["properties"]["apiVersion"]["type"], "string");
    assert_eq!(
        published["properties"]["metadata"]["allOf"][0]["$ref"],
        "#/components/schemas/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
    );
}

#[test]
fn version_2_leaves_out_what_it_cannot_say() {
    let schema = compiled(json!({"type": "object", "properties": {
        "a": {"type": "string", "nullable": true}, "b": {"x-kubernetes-int-or-string": true,
            "anyOf": [{"type": "integer"}, {"type": "string"}]},
        "c": {"type": "object", "x-kubernetes-preserve-unknown-fields": true, "required": ["d"],
            "properties": {"d": {"type": "string"}}}}}));
    let published = schema.openapi_v2();
    let properties = &published["properties"]["spec"]["properties"];
    assert_eq!(properties["a"], json!({}));
    assert_eq!(properties["b"], json!({"x-kubernetes-int-or-string": true}));
    assert_eq!(
        properties["c"],
        json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true})
    );
    assert_eq!(
        published["properties"]["metadata"]["$ref"],
        "#/definitions/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
    );
}
