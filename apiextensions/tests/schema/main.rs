//! What schemas do to objects, as tables: a schema, an object, and what comes of it.

mod cel;
mod cost;
mod definition;
mod fixtures;
mod merge;
mod properties;
mod prune_and_default;
mod publish;
mod validate;
mod whole;

use apiextensions::Schema;
use serde_json::{Value, json};

/// A schema whose `spec` is this.
fn of_spec(spec: Value) -> Value {
    json!({"type": "object", "properties": {"spec": spec}})
}

/// A compiled schema whose `spec` is this.
fn compiled(spec: Value) -> Schema {
    compile(&of_spec(spec))
}

fn compile(schema: &Value) -> Schema {
    Schema::compile(schema).unwrap_or_else(|faults| panic!("{schema} does not compile: {faults:?}"))
}

/// An object of a kind, with this `spec`.
fn object(spec: Value) -> Value {
    json!({"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "w"}, "spec": spec})
}

/// Faults as `field: message`.
fn told(faults: Vec<apimachinery::status::FieldError>) -> Vec<String> {
    faults
        .into_iter()
        .map(|fault| format!("{}: {}", fault.field, fault.message))
        .collect()
}
