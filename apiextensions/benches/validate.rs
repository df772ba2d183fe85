//! What a write of a custom object costs beyond its storage: `cargo bench -p apiextensions`.
//!
//! The goal: an object of 1 KB against a schema of 50 properties, without rules, in less than 20 µs.

use apiextensions::Schema;
use criterion::{Criterion, criterion_group, criterion_main};
use serde_json::{Map, Value, json};
use std::hint::black_box;

/// Fifty properties of the types that people use, five of them objects.
fn schema() -> Value {
    let mut properties = Map::new();
    for index in 0..10 {
        properties.insert(
            format!("text{index}"),
            json!({"type": "string", "maxLength": 63, "pattern": "^[a-z0-9-]+$"}),
        );
        properties.insert(
            format!("count{index}"),
            json!({"type": "integer", "format": "int32", "minimum": 0}),
        );
        properties.insert(
            format!("kind{index}"),
            json!({"type": "string", "enum": ["One", "Two", "Three"]}),
        );
        properties.insert(
            format!("list{index}"),
            json!({"type": "array", "maxItems": 20, "items": {"type": "string"}}),
        );
        properties.insert(
            format!("map{index}"),
            json!({"type": "object", "additionalProperties": {"type": "string"}}),
        );
    }
    json!({"type": "object", "properties": {"spec": {"type": "object", "properties": properties}}})
}

fn object() -> Value {
    let mut spec = Map::new();
    for index in 0..8 {
        spec.insert(format!("text{index}"), json!("a-name-of-something"));
        spec.insert(format!("count{index}"), json!(index));
        spec.insert(format!("kind{index}"), json!("Two"));
        spec.insert(format!("list{index}"), json!(["first", "second"]));
        spec.insert(format!("map{index}"), json!({"app": "web", "tier": "front"}));
    }
    json!({"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "w"}, "spec": spec})
}

fn bench(criterion: &mut Criterion) {
    let (json, object) = (schema(), object());
    let compiled = Schema::compile(&json).expect("the schema is structural");
    let mut with_rule = json.clone();
    with_rule["properties"]["spec"]["x-kubernetes-validations"] =
        json!([{"rule": "self.count1 <= self.count7 && self.text1.startsWith('a')"}]);
    let ruled = Schema::compile(&with_rule).expect("the rule compiles");
    let bytes = object.to_string().len();
    criterion.bench_function(&format!("validate {bytes} bytes"), |bencher| {
        bencher.iter(|| compiled.validate(black_box(&object), None));
    });
    criterion.bench_function("validate with a rule", |bencher| {
        bencher.iter(|| ruled.validate(black_box(&object), None));
    });
    criterion.bench_function("prune and default", |bencher| {
        let mut object = object.clone();
        bencher.iter(|| {
            compiled.prune(black_box(&mut object));
            compiled.default(black_box(&mut object));
        });
    });
    criterion.bench_function("compile", |bencher| {
        bencher.iter(|| Schema::compile(black_box(&json)));
    });
    criterion.bench_function("compile with a rule", |bencher| {
        bencher.iter(|| Schema::compile(black_box(&with_rule)));
    });
}

criterion_group!(benches, bench);
criterion_main!(benches);
