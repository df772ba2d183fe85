//! Whoever may create a definition cannot stop the server with it: rules are refused for what they may cost, and
//! stopped at what they do cost.

use super::{compiled, object, of_spec, told};
use apiextensions::Schema;
use serde_json::{Value, json};

fn list(rule: &str, max: Option<u64>) -> Value {
    let mut list = json!({
        "type": "array", "items": {"type": "integer"}, "x-kubernetes-validations": [{"rule": rule}]
    });
    if let Some(max) = max {
        list["maxItems"] = max.into();
    }
    list
}

#[test]
fn a_rule_over_unbounded_lists_is_refused_and_a_bounded_one_is_not() {
    let nested = "self.all(x, self.all(y, x == y))";
    let deep = "self.all(a, self.all(b, self.all(c, self.all(d, a == d))))";
    let text = |rule: &str| json!({"type": "string", "x-kubernetes-validations": [{"rule": rule}]});
    for (spec, refused) in [
        (list(nested, None), true),
        (list(nested, Some(100)), false),
        (list(deep, Some(100)), true),
        (
            list("self.map(x, self).map(l, l.map(x, self)).size() > 0", Some(3000)),
            true,
        ),
        (list("self.all(x, x > 0)", Some(1000)), false),
        (text("self.matches('a+b+c+')"), false),
        (text("self.replace(self, self) == ''"), true),
        (text("self.split('').all(a, self.contains(a))"), true),
        (
            json!({"type": "array", "items": {"type": "array", "items": text("self.contains('x')")}}),
            true,
        ),
        (
            list(
                "[1,2,3,4,5,6,7,8,9,10].all(a, [1,2,3,4,5,6,7,8,9,10].all(b, self.all(x, x > 0)))",
                Some(10),
            ),
            false,
        ),
    ] {
        let result = Schema::compile(&of_spec(spec.clone()));
        match (result, refused) {
            (Ok(_), false) => {}
            (Err(faults), true) => {
                let faults = told(faults);
                assert!(
                    faults[0].contains("Forbidden: estimated rule cost exceeds budget by factor of "),
                    "{faults:?}"
                );
                assert!(
                    faults[0].contains("adding maxItems, maxProperties, and maxLength"),
                    "{faults:?}"
                );
            }
            (Ok(_), true) => panic!("{spec} is not refused"),
            (Err(faults), false) => panic!("{spec} is refused: {faults:?}"),
        }
    }
}

#[test]
fn all_rules_of_a_schema_share_a_budget() {
    let properties: serde_json::Map<String, Value> = (0..40)
        .map(|index| {
            (
                format!("f{index}"),
                list("self.all(x, self.all(y, x == y))", Some(800)),
            )
        })
        .collect();
    let schema = of_spec(json!({"type": "object", "properties": properties}));
    let faults = told(Schema::compile(&schema).unwrap_err());
    assert_eq!(faults.len(), 1, "{faults:?}");
    assert!(
        faults[0].contains("cost total exceeding cost limit for entire OpenAPIv3 schema"),
        "{faults:?}"
    );
}

#[test]
fn what_runs_longer_than_its_budget_is_stopped() {
    // The estimate takes ten times what one rule may spend when it runs.
    let schema = compiled(json!({
        "type": "array", "maxItems": 700, "items": {"type": "integer"},
        "x-kubernetes-validations": [{"rule": "self.all(x, self.all(y, x >= 0 || y >= 0))"}]
    }));
    let numbers: Vec<u64> = (0..700).collect();
    let faults = told(schema.validate(&object(json!(numbers)), None));
    assert_eq!(faults.len(), 1, "{faults:?}");
    assert!(
        faults[0].contains("no further validation rules will be run due to call cost exceeds limit for rule"),
        "{faults:?}"
    );
    assert_eq!(told(schema.validate(&object(json!([1, 2, 3])), None)), [""; 0]);
}

#[test]
fn hostile_texts_of_rules_are_refused_not_followed() {
    let nested = format!("{}true{}", "(".repeat(5000), ")".repeat(5000));
    let chained = format!("{}true", "!".repeat(15_000));
    let selected = format!("self{} == 1", ".a".repeat(5000));
    let long = format!("'{}' == ''", "x".repeat(20_000));
    for rule in [
        nested.as_str(),
        &chained,
        &selected,
        &long,
        "self.all(",
        "\u{0}",
        "`",
        "'\\",
        "1e999999 > 0 &&",
    ] {
        let schema = of_spec(list(rule, Some(1)));
        assert!(Schema::compile(&schema).is_err(), "{rule:.40}");
    }
}

#[test]
fn the_longest_chains_that_are_read_fit_the_stack_of_a_small_thread() {
    let rules = [
        format!("{}true", "!".repeat(1000)),
        format!("1{} > 0", " + 1".repeat(998)),
        format!("{}1 > 0", "- ".repeat(998)),
        format!("[1]{} > 0", "[0]".repeat(990)),
        format!("{}true", "true ? true : ".repeat(490)),
        format!("{}1{}", "[".repeat(998), "]".repeat(998)),
        format!("{}1{}", "size(".repeat(998), ")".repeat(998)),
        format!("dyn(self){}", ".a".repeat(990)),
        format!("self.all(x, true){}", " || true".repeat(1000)),
        format!("self.all(x, x{} > 0)", " + 1".repeat(90)),
        format!("self.all(x, {}x > 0)", "true ? true : ".repeat(90)),
    ];
    for rule in rules {
        let schema = of_spec(list(&rule, Some(1)));
        // Refused or not: what counts is that an answer comes.
        let thread = std::thread::Builder::new().stack_size(2 << 20);
        let answer = thread
            .spawn(move || Schema::compile(&schema).map(|schema| schema.validate(&object(json!([1])), None)));
        assert!(answer.unwrap().join().is_ok(), "{rule:.40}");
    }
}

#[test]
fn work_that_hides_in_one_step_is_metered_too() {
    // Each of these would read a long list, or compile a pattern, once an item without paying for it: the estimate takes
    // them all, and without a meter the first two would look at 10^11 items.
    let numbers: Vec<u64> = (0..400_000).collect();
    let texts: Vec<String> = (0..100).map(|index| format!("(a{{{index}}}b)*")).collect();
    for (spec, value) in [
        (list("self.all(x, size(self) > 0)", None), json!(numbers)),
        (list("self.all(x, self != [])", None), json!(numbers)),
        (
            json!({"type": "array", "maxItems": 100, "items": {"type": "string", "maxLength": 20},
                "x-kubernetes-validations": [{"rule": "self.all(x, 'ab'.matches(x))"}]}),
            json!(texts),
        ),
    ] {
        let faults = told(compiled(spec.clone()).validate(&object(value), None));
        assert_eq!(faults.len(), 1, "{spec}: {faults:?}");
        assert!(
            faults[0]
                .contains("no further validation rules will be run due to call cost exceeds limit for rule"),
            "{spec}: {faults:?}"
        );
    }
}
