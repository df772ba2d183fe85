//! Swagger 2.0 in protobuf: gnostic's `openapi.v2.Document`, the form in which client-go asks for it. Pure.
//!
//! In: the document as a JSON tree, as `document` makes it. Out: its bytes. What the messages have no field for (and the tree
//! does not have) is left out; whatever is of any type travels as text, which is JSON, and so YAML too.
//! <https://github.com/google/gnostic/blob/main/openapiv2/OpenAPIv2.proto> has the numbers.

use prost::encoding::{WireType, encode_key, encode_varint};
use serde_json::{Map, Value};

/// The document's bytes.
pub(super) fn encode(document: &Value) -> Vec<u8> {
    let mut out = Message::default();
    out.text(1, document, "swagger");
    out.nested(2, &document["info"], |out, info| {
        out.text(1, info, "title");
        out.text(2, info, "version");
    });
    out.nested(8, &document["paths"], |out, paths| {
        out.named(2, paths, path_item);
    });
    out.nested(9, &document["definitions"], |out, definitions| {
        out.named(1, definitions, schema);
    });
    out.0
}

fn path_item(out: &mut Message, path: &Value) {
    for (tag, method) in [(2, "get"), (3, "put"), (4, "post"), (5, "delete"), (8, "patch")] {
        if let Some(value) = path.get(method) {
            out.nested(tag, value, operation);
        }
    }
    out.each(9, path, "parameters", parameter);
}

fn operation(out: &mut Message, operation: &Value) {
    out.texts(1, operation, "tags");
    out.text(3, operation, "description");
    out.text(5, operation, "operationId");
    out.texts(6, operation, "produces");
    out.texts(7, operation, "consumes");
    out.each(8, operation, "parameters", parameter);
    out.nested(9, &operation["responses"], |out, responses| {
        out.named(1, responses, response);
    });
    out.texts(10, operation, "schemes");
    out.extensions(13, operation);
}

/// A ParametersItem: a Parameter, of the body or not, of the path or of the query.
fn parameter(out: &mut Message, value: &Value) {
    out.nested(1, value, |out, _| match value["in"].as_str() {
        Some("body") => out.nested(1, value, |out, value| {
            out.text(1, value, "description");
            out.text(2, value, "name");
            out.text(3, value, "in");
            out.flag(4, value, "required");
            out.nested(5, &value["schema"], schema);
        }),
        place => {
            let in_path = place == Some("path");
            // The two messages differ in their numbers from the type on.
            let (tag, kind, unique) = if in_path { (4, 5, 19) } else { (3, 6, 20) };
            out.nested(2, value, |out, _| {
                out.nested(tag, value, |out, value| {
                    out.flag(1, value, "required");
                    out.text(2, value, "in");
                    out.text(3, value, "description");
                    out.text(4, value, "name");
                    out.text(kind, value, "type");
                    out.flag(unique, value, "uniqueItems");
                });
            });
        }
    });
}

/// A ResponseValue.
fn response(out: &mut Message, value: &Value) {
    out.nested(1, value, |out, value| {
        out.text(1, value, "description");
        if let Some(answer) = value.get("schema") {
            // A SchemaItem.
            out.nested(2, answer, |out, answer| out.nested(1, answer, schema));
        }
    });
}

fn schema(out: &mut Message, value: &Value) {
    for (tag, name) in [
        (1, "$ref"),
        (2, "format"),
        (3, "title"),
        (4, "description"),
        (13, "pattern"),
    ] {
        out.text(tag, value, name);
    }
    out.any(5, value, "default");
    for (tag, name) in [(6, "multipleOf"), (7, "maximum"), (9, "minimum")] {
        out.double(tag, value, name);
    }
    for (tag, name) in [
        (8, "exclusiveMaximum"),
        (10, "exclusiveMinimum"),
        (16, "uniqueItems"),
    ] {
        out.flag(tag, value, name);
    }
    for (tag, name) in [
        (11, "maxLength"),
        (12, "minLength"),
        (14, "maxItems"),
        (15, "minItems"),
        (17, "maxProperties"),
        (18, "minProperties"),
    ] {
        out.integer(tag, value, name);
    }
    out.texts(19, value, "required");
    for item in value["enum"].as_array().into_iter().flatten() {
        out.text_of_any(20, item);
    }
    match value.get("additionalProperties") {
        Some(&Value::Bool(open)) => out.nested(21, value, |out, _| {
            encode_key(2, WireType::Varint, &mut out.0);
            encode_varint(u64::from(open), &mut out.0);
        }),
        Some(values) => out.nested(21, values, |out, values| out.nested(1, values, schema)),
        None => {}
    }
    if let Some(kind) = value["type"].as_str() {
        out.nested(22, value, |out, _| out.bytes(1, kind.as_bytes()));
    }
    if let Some(items) = value.get("items") {
        out.nested(23, items, |out, items| out.nested(1, items, schema));
    }
    out.each(24, value, "allOf", schema);
    if let Some(properties) = value.get("properties") {
        out.nested(25, properties, |out, properties| out.named(1, properties, schema));
    }
    out.any(30, value, "example");
    out.extensions(31, value);
}

/// A message being written.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn bytes(&mut self, tag: u32, bytes: &[u8]) {
        encode_key(tag, WireType::LengthDelimited, &mut self.0);
        encode_varint(bytes.len() as u64, &mut self.0);
        self.0.extend_from_slice(bytes);
    }

    fn nested(&mut self, tag: u32, value: &Value, write: impl FnOnce(&mut Self, &Value)) {
        let mut inner = Self::default();
        write(&mut inner, value);
        self.bytes(tag, &inner.0);
    }

    fn text(&mut self, tag: u32, of: &Value, name: &str) {
        if let Some(text) = of[name].as_str() {
            self.bytes(tag, text.as_bytes());
        }
    }

    fn texts(&mut self, tag: u32, of: &Value, name: &str) {
        for text in of[name]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
        {
            self.bytes(tag, text.as_bytes());
        }
    }

    fn flag(&mut self, tag: u32, of: &Value, name: &str) {
        if of[name] == true {
            encode_key(tag, WireType::Varint, &mut self.0);
            encode_varint(1, &mut self.0);
        }
    }

    fn integer(&mut self, tag: u32, of: &Value, name: &str) {
        if let Some(number) = of[name].as_i64() {
            encode_key(tag, WireType::Varint, &mut self.0);
            encode_varint(number.cast_unsigned(), &mut self.0);
        }
    }

    fn double(&mut self, tag: u32, of: &Value, name: &str) {
        if let Some(number) = of[name].as_f64() {
            encode_key(tag, WireType::SixtyFourBit, &mut self.0);
            self.0.extend_from_slice(&number.to_le_bytes());
        }
    }

    fn each(&mut self, tag: u32, of: &Value, name: &str, write: impl Fn(&mut Self, &Value)) {
        for item in of[name].as_array().into_iter().flatten() {
            self.nested(tag, item, &write);
        }
    }

    /// An object's fields as pairs of a name and a value.
    fn named(&mut self, tag: u32, of: &Value, write: impl Fn(&mut Self, &Value)) {
        for (name, value) in of.as_object().into_iter().flat_map(Map::iter) {
            self.nested(tag, value, |out, value| {
                out.bytes(1, name.as_bytes());
                out.nested(2, value, &write);
            });
        }
    }

    fn any(&mut self, tag: u32, of: &Value, name: &str) {
        if let Some(value) = of.get(name) {
            self.text_of_any(tag, value);
        }
    }

    /// gnostic's Any: the value as text.
    fn text_of_any(&mut self, tag: u32, value: &Value) {
        self.nested(tag, value, |out, value| {
            out.bytes(2, value.to_string().as_bytes());
        });
    }

    /// Every `x-…` field.
    fn extensions(&mut self, tag: u32, of: &Value) {
        let fields = of.as_object().into_iter().flat_map(Map::iter);
        for (name, value) in fields.filter(|(name, _)| name.starts_with("x-")) {
            self.nested(tag, value, |out, value| {
                out.bytes(1, name.as_bytes());
                out.text_of_any(2, value);
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prost::Message as _;
    use serde_json::json;

    /// As much of gnostic's messages as the test looks at.
    #[derive(Clone, PartialEq, prost::Message)]
    struct Document {
        #[prost(string, tag = "1")]
        swagger: String,
        #[prost(message, optional, tag = "9")]
        definitions: Option<Definitions>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    struct Definitions {
        #[prost(message, repeated, tag = "1")]
        named: Vec<NamedSchema>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    struct NamedSchema {
        #[prost(string, tag = "1")]
        name: String,
        #[prost(message, optional, tag = "2")]
        value: Option<Schema>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    struct Schema {
        #[prost(string, tag = "1")]
        reference: String,
        #[prost(string, tag = "4")]
        description: String,
        #[prost(double, tag = "7")]
        maximum: f64,
        #[prost(int64, tag = "11")]
        max_length: i64,
        #[prost(bool, tag = "16")]
        unique_items: bool,
        #[prost(string, repeated, tag = "19")]
        required: Vec<String>,
        #[prost(message, optional, tag = "25")]
        properties: Option<Definitions>,
        #[prost(message, repeated, tag = "31")]
        extensions: Vec<NamedAny>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    struct NamedAny {
        #[prost(string, tag = "1")]
        name: String,
        #[prost(message, optional, tag = "2")]
        value: Option<Any>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    struct Any {
        #[prost(string, tag = "2")]
        yaml: String,
    }

    #[test]
    fn a_definition_travels_with_its_properties_limits_and_extensions() {
        let tree = json!({
            "swagger": "2.0",
            "definitions": {"Pod": {
                "description": "A pod.",
                "required": ["spec"],
                "maximum": 1.5,
                "maxLength": 7,
                "uniqueItems": true,
                "properties": {"spec": {"$ref": "#/definitions/PodSpec"}},
                "x-kubernetes-list-map-keys": ["name"],
            }},
        });
        let document = Document::decode(&encode(&tree)[..]).unwrap();
        assert_eq!(document.swagger, "2.0");
        let pod = &document.definitions.unwrap().named[0];
        assert_eq!(pod.name, "Pod");
        let schema = pod.value.clone().unwrap();
        assert_eq!((schema.description.as_str(), schema.maximum), ("A pod.", 1.5));
        assert_eq!((schema.max_length, schema.unique_items), (7, true));
        assert_eq!(schema.required, ["spec"]);
        let spec = schema.properties.unwrap().named[0].value.clone().unwrap();
        assert_eq!(spec.reference, "#/definitions/PodSpec");
        let extension = &schema.extensions[0];
        assert_eq!(extension.name, "x-kubernetes-list-map-keys");
        assert_eq!(extension.value.as_ref().unwrap().yaml, r#"["name"]"#);
    }
}
