//! CEL: what rules see, what functions give, and what is said when a rule fails or does not compile.

use super::{compile, compiled, object, of_spec, told};
use apiextensions::Schema;
use serde_json::{Value, json};

/// A `spec` with a bit of everything, bounded so that rules fit their budget.
fn properties() -> Value {
    let text = json!({"type": "string", "maxLength": 64});
    json!({
        "text": text,
        "other": text,
        "count": {"type": "integer"},
        "ratio": {"type": "number"},
        "on": {"type": "boolean"},
        "port": {"x-kubernetes-int-or-string": true},
        "at": {"type": "string", "format": "date-time"},
        "wait": {"type": "string", "format": "duration"},
        "data": {"type": "string", "format": "byte", "maxLength": 64},
        "names": {"type": "array", "maxItems": 10, "items": text},
        "numbers": {"type": "array", "maxItems": 10, "items": {"type": "integer"}},
        "set": {"type": "array", "maxItems": 10, "x-kubernetes-list-type": "set", "items": text},
        "ports": {
            "type": "array", "maxItems": 10, "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"],
            "items": {
                "type": "object", "required": ["name"],
                "properties": {"name": text, "port": {"type": "integer"}}
            }
        },
        "labels": {"type": "object", "maxProperties": 10, "additionalProperties": text},
        "nested": {"type": "object", "properties": {"a": {"type": "integer"}}},
        "none": {"type": "integer", "nullable": true},
        "foo-bar": {"type": "integer"},
        "a.b/c": {"type": "integer"},
        "namespace": text,
        "x__y": {"type": "integer"},
        "pod": {
            "type": "object", "x-kubernetes-embedded-resource": true, "x-kubernetes-preserve-unknown-fields": true
        },
    })
}

fn values() -> Value {
    json!({
        "text": "héllo", "other": "", "count": 3, "ratio": 2, "on": true, "port": "http",
        "at": "2026-11-23T10:30:05.250Z", "wait": "1h30m", "data": "aGk=",
        "names": ["a", "b", "c"], "numbers": [3, 1, 2], "set": ["x", "y"],
        "ports": [{"name": "a", "port": 80}, {"name": "b", "port": 443}],
        "labels": {"app": "web", "tier": "front"}, "nested": {"a": 1},
        "foo-bar": 7, "a.b/c": 8, "namespace": "ns", "x__y": 9,
        "pod": {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "labels": {}}},
    })
}

fn with_rule(rule: &str) -> Value {
    of_spec(json!({
        "type": "object", "properties": properties(), "x-kubernetes-validations": [{"rule": rule}]
    }))
}

#[test]
fn rules_that_hold() {
    for rule in [
        // What a rule sees.
        "self.count == 3 && self.on",
        "self.ratio == 2.0 && self.ratio > 1 && type(self.ratio) == double",
        "type(self.count) == int",
        "self.port == 'http' && type(self.port) == string",
        "has(self.text) && !has(self.none) && has(self.other)",
        "self.foo__dash__bar == 7 && self.a__dot__b__slash__c == 8",
        "self.__namespace__ == 'ns' && self.x__underscores__y == 9",
        "self.pod.metadata.name == 'p' && self.pod.kind == 'Pod'",
        "self.labels['app'] == 'web' && self.labels.tier == 'front' && 'app' in self.labels",
        "self.ports.exists(p, p.name == 'b' && p.port == 443)",
        "self.nested.a == 1 && has(self.nested.a)",
        "string(self.data) == 'hi' && self.data == b'hi'",
        // Macros.
        "self.names.all(n, n.size() == 1) && !self.names.exists(n, n == 'z')",
        "self.names.exists_one(n, n == 'a')",
        "self.numbers.map(n, n * 2) == [6, 2, 4]",
        "self.numbers.map(n, n > 1, n * 2) == [6, 4]",
        "self.numbers.filter(n, n > 1).size() == 2",
        "self.labels.all(k, self.labels[k] != '')",
        "self.numbers.all(i, n, n > i - 3)",
        "self.labels.all(k, v, k != v)",
        "self.numbers.transformList(i, n, i + n) == [3, 2, 4]",
        "self.labels.transformMap(k, v, k + v)['app'] == 'appweb'",
        // One side decides though the other fails.
        "self.on || self.numbers[9] == 1",
        "!(self.numbers[9] == 1 && !self.on)",
        "self.numbers.exists(n, 10 / (n - 1) == 10)",
        // Lists, sets, list-maps.
        "self.set == ['y', 'x'] || self.set == ['x', 'y']",
        "self.names + ['d'] == ['a', 'b', 'c', 'd']",
        "(self.set + ['y', 'z']).size() == 3",
        "[1, 2, 3].isSorted() && !self.numbers.isSorted()",
        "self.numbers.sum() == 6 && self.numbers.min() == 1 && self.numbers.max() == 3",
        "self.names.indexOf('b') == 1 && self.names.indexOf('z') == -1 && [1, 2, 1].lastIndexOf(1) == 2",
        "sets.contains(self.names, ['a']) && sets.intersects([1], [1, 2]) && sets.equivalent([1, 2], [2, 1, 1])",
        "[[1], [2, 3]].flatten() == [1, 2, 3]",
        "{'a': 1}['a'] == 1 && size({'a': 1}) == 1",
        // Texts.
        "self.text.size() == 5 && self.text.startsWith('hé') && self.text.endsWith('lo') && self.text.contains('l')",
        "self.text.matches('^h.l+o$') && matches(self.text, 'll')",
        "'abc 123 45'.find('[0-9]+') == '123' && 'a1b22'.findAll('[0-9]+') == ['1', '22']",
        "'a1b22'.findAll('[0-9]+', 1) == ['1']",
        "'a,b,c'.split(',') == ['a', 'b', 'c'] && 'a,b,c'.split(',', 2) == ['a', 'b,c'] && 'ab'.split('') == ['a', 'b']",
        "self.names.join('-') == 'a-b-c' && self.names.join() == 'abc'",
        "'AbC'.lowerAscii() == 'abc' && 'abc'.upperAscii() == 'ABC' && ' x '.trim() == 'x'",
        "'hello'.substring(1) == 'ello' && 'hello'.substring(1, 3) == 'el' && 'hello'.charAt(1) == 'e'",
        "'aaa'.replace('a', 'b') == 'bbb' && 'aaa'.replace('a', 'b', 2) == 'bba' && 'abc'.reverse() == 'cba'",
        "'hello'.indexOf('l') == 2 && 'hello'.lastIndexOf('l') == 3 && 'hello'.indexOf('l', 3) == 3",
        "'a' + 'b' == 'ab' && string(1) == '1' && int('7') == 7 && double('1.5') == 1.5 && bool('true')",
        // Numbers.
        "7 / 2 == 3 && 7 % 2 == 1 && -7 / 2 == -3 && 2.0 * 1.5 == 3.0 && 1u + 2u == 3u",
        "1 < 1.5 && 2u > 1 && 9223372036854775807 > 9223372036854775806",
        // Time.
        "self.at < timestamp('2027-01-01T00:00:00Z') && self.at.getFullYear() == 2026 && self.at.getMonth() == 10",
        "self.at.getHours() == 10 && self.at.getHours('-02:00') == 8 && self.at.getDayOfWeek() == 1",
        "self.at.getMilliseconds() == 250 && self.at.getDate() == 23",
        "self.wait == duration('90m') && self.wait.getMinutes() == 90 && self.wait > duration('1h')",
        "self.at + self.wait > self.at && (self.at + self.wait) - self.at == self.wait",
        // Kubernetes' libraries.
        "isURL('https://a.b:8080/c?d=e') && !isURL('a b') && url('https://a.b:8080/c?d=e').getHost() == 'a.b:8080'",
        "url('https://[::1]:80/').getHostname() == '::1' && url('https://a.b/c?d=e').getQuery()['d'] == ['e']",
        "url('/a/b').getEscapedPath() == '/a/b' && url('/a').getScheme() == '' && url('http://a:1').getPort() == '1'",
        "isQuantity('1.5Gi') && !isQuantity('x') && quantity('1Gi').isGreaterThan(quantity('1G'))",
        "quantity('500m').add(quantity('500m')).compareTo(quantity('1')) == 0 && quantity('2').sub(1).asInteger() == 1",
        "quantity('50k').isInteger() && quantity('-1').sign() == -1 && quantity('1.5').asApproximateFloat() == 1.5",
        "isIP('::1') && !isIP('1.2.3') && ip('10.0.0.1').family() == 4 && ip('127.0.0.1').isLoopback()",
        "ip.isCanonical('::1') && !ip.isCanonical('0::1') && ip('8.8.8.8').isGlobalUnicast()",
        "cidr('10.0.0.0/8').containsIP('10.1.2.3') && cidr('10.0.0.0/8').containsCIDR('10.1.0.0/16')",
        "cidr('10.1.2.3/8').masked() == cidr('10.0.0.0/8') && cidr('::/64').prefixLength() == 64 && isCIDR('::/0')",
        "!format.dns1123Label().validate('abc').hasValue() && format.dns1123Label().validate('A').hasValue()",
        "format.named('date').hasValue() && !format.named('x').hasValue()",
        // Optionals.
        "self.?none.orValue(5) == 5 && self.?count.orValue(5) == 3",
        "self.?nested.?a.hasValue() && self.labels[?'no'].orValue('-') == '-'",
        "optional.of(1).optMap(x, x + 1).value() == 2 && optional.none().or(optional.of(1)).hasValue()",
        "[?self.?none, 1].size() == 1 && {?'a': self.?none}.size() == 0",
        "self.on ? self.count == 3 : false",
        "self.none == null || true",
    ] {
        let schema = compile(&with_rule(rule));
        assert_eq!(told(schema.validate(&object(values()), None)), [""; 0], "{rule}");
    }
}

#[test]
fn a_broken_rule_says_so_as_upstream_does() {
    let schema = compiled(json!({
        "type": "object",
        "properties": {"min": {"type": "integer"}, "max": {"type": "integer"}, "items": {
            "type": "array", "maxItems": 5, "items": {"type": "object", "properties": {"n": {"type": "integer"}},
            "x-kubernetes-validations": [{"rule": "self.n > 0"}]}
        }},
        "x-kubernetes-validations": [
            {"rule": "self.min <= self.max", "message": "min must not exceed max"},
            {"rule": "self.min >= 0", "messageExpression": "'min is ' + string(self.min)", "fieldPath": ".min",
             "reason": "FieldValueForbidden"},
            {"rule": "1 / self.max > 0"},
        ]
    }));
    let faults = schema.validate(
        &object(json!({"min": -1, "max": -2, "items": [{"n": 1}, {"n": 0}]})),
        None,
    );
    assert_eq!(
        told(faults),
        [
            "spec: Invalid value: \"object\": min must not exceed max",
            "spec.min: Forbidden: min is -1",
            "spec: Invalid value: \"object\": failed rule: 1 / self.max > 0",
            "spec.items[1]: Invalid value: \"object\": failed rule: self.n > 0",
        ]
    );
    let faults = schema.validate(&object(json!({"min": 0, "max": 0})), None);
    assert_eq!(
        told(faults),
        ["spec: Invalid value: \"object\": division by zero evaluating rule: 1 / self.max > 0"]
    );
    let faults = schema.validate(&object(json!({"min": 0})), None);
    assert_eq!(
        told(faults)[0],
        "spec: Invalid value: \"object\": no such key: max evaluating rule: self.min <= self.max"
    );
}

#[test]
fn a_rule_that_cannot_work_is_refused_with_the_definition() {
    for (rule, why) in [
        ("self.nope == 1", "undefined field 'nope'"),
        (
            "self.text.nope()",
            "undeclared reference to 'nope' (in container '')",
        ),
        (
            "nope(self.text)",
            "undeclared reference to 'nope' (in container '')",
        ),
        ("other == 1", "undeclared reference to 'other' (in container '')"),
        (
            "self.text == 1",
            "found no matching overload for '_==_' applied to '(string, int)'",
        ),
        (
            "self.text + 1 == ''",
            "found no matching overload for '_+_' applied to '(string, int)'",
        ),
        ("self.count", "cel expression must evaluate to a bool"),
        ("self.text.matches('(')", "invalid matches argument: "),
        (
            "self.count.all(x, true)",
            "expression of type 'int' cannot be range",
        ),
        ("self.pod.spec.x == 1", "undefined field 'spec'"),
        ("self.pod.metadata.labels == {}", "undefined field 'labels'"),
        ("self.x__y == 9", "undefined field 'x__y'"),
        (
            "1 in self.names",
            "found no matching overload for '@in' applied to",
        ),
        ("has(self)", "invalid argument to has() macro"),
        ("self.names[", "compilation failed: ERROR: <input>:1:"),
        ("", "rule is not specified"),
        (
            "self.names.filter(n, n)",
            "expected type 'bool' but found 'string'",
        ),
    ] {
        let faults = told(Schema::compile(&with_rule(rule)).expect_err(rule));
        assert_eq!(faults.len(), 1, "{rule}: {faults:?}");
        assert!(faults[0].contains(why), "{rule}: {faults:?}");
        let at = "openAPIV3Schema.properties[spec].x-kubernetes-validations[0].rule: ";
        assert!(faults[0].starts_with(at), "{rule}: {faults:?}");
    }
}

#[test]
fn what_stands_beside_a_rule_is_checked_too() {
    for (rule, why) in [
        (
            json!({"rule": "true", "message": " "}),
            "message: Invalid value: \" \": message must be non-empty if specified",
        ),
        (
            json!({"rule": "true", "message": "a\nb"}),
            "message must not contain line breaks",
        ),
        (
            json!({"rule": "true ||\nfalse"}),
            "message: Required value: message must be specified if rule contains line breaks",
        ),
        (
            json!({"rule": "true", "reason": "Odd"}),
            "reason: Unsupported value: \"Odd\": supported values: ",
        ),
        (
            json!({"rule": "true", "fieldPath": ".nope"}),
            "fieldPath must be a valid path",
        ),
        (
            json!({"rule": "true", "messageExpression": "1"}),
            "messageExpression must evaluate to a string",
        ),
        (
            json!({"rule": "true", "optionalOldSelf": true}),
            "optionalOldSelf: Invalid value: true: may not be set",
        ),
    ] {
        let schema = of_spec(json!({
            "type": "object", "properties": properties(), "x-kubernetes-validations": [rule]
        }));
        let faults = told(Schema::compile(&schema).expect_err(why));
        assert!(faults.len() == 1 && faults[0].contains(why), "{rule}: {faults:?}");
    }
}

#[test]
fn transition_rules_compare_with_what_is_stored() {
    let schema = compiled(json!({
        "type": "object",
        "properties": {
            "class": {"type": "string", "x-kubernetes-validations": [
                {"rule": "self == oldSelf", "message": "is immutable"}]},
            "once": {"type": "integer", "x-kubernetes-validations": [
                {"rule": "!oldSelf.hasValue() || self >= oldSelf.value()", "message": "may only grow",
                 "optionalOldSelf": true}]},
            "ports": {
                "type": "array", "maxItems": 5, "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"],
                "items": {"type": "object", "required": ["name"],
                    "properties": {"name": {"type": "string", "maxLength": 9}, "port": {"type": "integer"}},
                    "x-kubernetes-validations": [{"rule": "self.port == oldSelf.port", "message": "port is fixed"}]}
            }
        }
    }));
    let old = object(
        json!({"class": "a", "once": 2, "ports": [{"name": "x", "port": 1}, {"name": "y", "port": 2}]}),
    );
    assert_eq!(told(schema.validate(&old, None)), [""; 0]);
    assert_eq!(told(schema.validate(&old, Some(&old))), [""; 0]);
    let new = object(json!({"class": "b", "once": 1, "ports": [
        {"name": "y", "port": 3}, {"name": "z", "port": 9}, {"name": "x", "port": 1}]}));
    assert_eq!(
        told(schema.validate(&new, Some(&old))),
        [
            "spec.class: Invalid value: \"string\": is immutable",
            "spec.once: Invalid value: \"integer\": may only grow",
            "spec.ports[0]: Invalid value: \"object\": port is fixed",
        ]
    );
    // A field that is new has nothing to compare with.
    assert_eq!(told(schema.validate(&new, Some(&object(json!({}))))), [""; 0]);
}

#[test]
fn old_self_needs_a_place_where_the_stored_value_can_be_found() {
    let schema = of_spec(json!({"type": "array", "maxItems": 3, "items": {
        "type": "integer", "x-kubernetes-validations": [{"rule": "self == oldSelf"}]}}));
    let faults = told(Schema::compile(&schema).unwrap_err());
    assert!(
        faults[0].contains("oldSelf cannot be used on the uncorrelatable portion"),
        "{faults:?}"
    );
}

#[test]
fn rules_see_the_name_of_the_object_and_of_no_other_metadata() {
    let with = |rule: &str| json!({"type": "object", "x-kubernetes-validations": [{"rule": rule}]});
    let schema = compile(&with(
        "self.metadata.name.startsWith('w') && self.kind == 'Widget'",
    ));
    assert_eq!(told(schema.validate(&object(json!({})), None)), [""; 0]);
    let faults = told(Schema::compile(&with("self.metadata.labels == {}")).unwrap_err());
    assert!(faults[0].contains("undefined field 'labels'"), "{faults:?}");
}

#[test]
fn rules_wait_until_the_object_is_sound() {
    let schema = compiled(json!({
        "type": "object", "required": ["a"], "properties": {"a": {"type": "integer"}},
        "x-kubernetes-validations": [{"rule": "self.a > 0"}]
    }));
    assert_eq!(
        told(schema.validate(&object(json!({})), None)),
        [
            "spec.a: Required value",
            "<nil>: Invalid value: \"null\": some validation rules were not checked because the object was invalid; correct the existing errors to complete validation",
        ]
    );
}

#[test]
fn a_rule_that_an_unchanged_part_breaks_is_tolerated() {
    let schema = compiled(json!({"type": "object", "properties": {
        "a": {"type": "integer", "x-kubernetes-validations": [{"rule": "self > 0", "message": "too small"}]},
        "b": {"type": "integer"}
    }}));
    let old = object(json!({"a": -1, "b": 1}));
    assert_eq!(
        told(schema.validate(&object(json!({"a": -1, "b": 2})), Some(&old))),
        [""; 0]
    );
    assert_eq!(
        told(schema.validate(&object(json!({"a": -2, "b": 2})), Some(&old))),
        ["spec.a: Invalid value: \"integer\": too small"]
    );
}
