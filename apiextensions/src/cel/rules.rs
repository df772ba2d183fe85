//! The rules of a schema, checked when it is compiled.
//!
//! In: a schema's JSON and its tree. Out: the tree with its rules, or faults as upstream words them. A rule is refused
//! when it does not compile, or when its estimated cost, times how often it can run for one object, is beyond
//! [`MAX_RULE_COST`]; all rules of a schema together may cost [`MAX_SCHEMA_COST`].

use super::check::{self, Checked};
use super::program::Program;
use super::shape::{self, MAX_REQUEST, Shape, Ty};
use crate::json_path::steps;
use crate::node::{Additional, ListType, Node};
use crate::report::Report;
use crate::structural::{Json, entries, flag, text};
use apimachinery::path::Path;
use serde_json::Value;

/// The most steps that one rule may be estimated to take for one object; upstream's.
const MAX_RULE_COST: u64 = 10_000_000;

/// The most steps that all rules of a schema together may be estimated to take for one object; upstream's.
const MAX_SCHEMA_COST: u64 = 100_000_000;

/// How many rules a schema may have: compiling one takes up to a millisecond.
const MAX_RULES: usize = 2_000;

/// How long a rule's message may be; upstream's.
const MAX_MESSAGE: usize = 2048;

/// What `reason` may say; upstream's.
const REASONS: [&str; 4] = [
    "FieldValueRequired",
    "FieldValueForbidden",
    "FieldValueInvalid",
    "FieldValueDuplicate",
];

/// One rule.
#[derive(Debug)]
pub(crate) struct Rule {
    pub(crate) text: String,
    pub(crate) program: Program,
    pub(crate) slots: usize,
    pub(crate) message: String,
    pub(crate) message_expression: Option<(Program, usize)>,
    pub(crate) reason: &'static str,
    /// The field below the rule's place that is told as the faulty one.
    pub(crate) field_path: Vec<String>,
    pub(crate) uses_old: bool,
    pub(crate) optional_old: bool,
}

impl Rule {
    /// Whether it compares with the stored object.
    pub(crate) fn is_transition(&self) -> bool {
        self.uses_old
    }
}

/// Compiles the rules of a schema into its nodes.
pub(crate) fn attach(root: &mut Node, schema: &Json, at: &Path<'_>, report: &mut Report) {
    if !has_rules(schema) {
        return;
    }
    // The parser recurses deeper than the stacks of threads that serve requests allow.
    let thread = std::thread::Builder::new().stack_size(check::STACK);
    let spawned = std::thread::scope(|scope| {
        let compiling = thread.spawn_scoped(scope, || compile(root, schema, at, &mut *report));
        compiling.map(std::thread::ScopedJoinHandle::join)
    });
    match spawned {
        Ok(Ok(())) => {}
        Ok(Err(_)) => report.forbidden(at, "a rule made its compiler fail: write it more simply"),
        Err(why) => report.forbidden(at, &format!("rules cannot be compiled now, try again: {why}")),
    }
}

fn has_rules(schema: &Json) -> bool {
    schema.iter().any(|(name, value)| match value {
        Value::Object(json) => has_rules(json),
        Value::Array(rules) => name == "x-kubernetes-validations" && !rules.is_empty(),
        _ => false,
    })
}

fn compile(root: &mut Node, schema: &Json, at: &Path<'_>, report: &mut Report) {
    let mut compiler = Compiler {
        report,
        rules: 0,
        cost: 0,
    };
    let place = Place {
        times: Some(1),
        correlatable: true,
    };
    compiler.node(root, schema, at, place);
    if compiler.cost > MAX_SCHEMA_COST {
        let what = "contributed to estimated rule & messageExpression cost total";
        let message = too_dear(
            &format!("{what} exceeding cost limit for entire OpenAPIv3 schema:"),
            compiler.cost,
            MAX_SCHEMA_COST,
        );
        report.forbidden(at, &message);
    }
}

struct Compiler<'r> {
    report: &'r mut Report,
    rules: usize,
    cost: u64,
}

/// What is known of a place by what it stands under.
#[derive(Clone, Copy)]
struct Place {
    /// How many values can stand here in one object; `None` when no limit bounds it.
    times: Option<u64>,
    /// Whether the stored value of a place can be found.
    correlatable: bool,
}

impl Place {
    fn repeated(self, max: Option<u64>) -> Option<u64> {
        Some(self.times?.saturating_mul(max?))
    }
}

impl Compiler<'_> {
    fn node(&mut self, node: &mut Node, json: &Json, at: &Path<'_>, place: Place) {
        if let Some(rules) = json.get("x-kubernetes-validations").and_then(Value::as_array) {
            let at = at.field("x-kubernetes-validations");
            let compiled = rules
                .iter()
                .enumerate()
                .filter_map(|(index, rule)| self.rule(node, rule.as_object()?, &at.index(index), place));
            node.rules = compiled.collect();
        }
        for (name, child) in entries(json, "properties") {
            if let (Some(node), Some(json)) = (node.properties.get_mut(name), child.as_object()) {
                self.node(node, json, &at.field("properties").key(name), place);
            }
        }
        let max = node.checks.max_properties;
        let is_granular = !node.map_atomic;
        if let (Additional::Of(node), Some(json)) = (
            &mut node.additional,
            json.get("additionalProperties").and_then(Value::as_object),
        ) {
            let place = Place {
                times: place.repeated(max),
                correlatable: place.correlatable && is_granular,
            };
            self.node(node, json, &at.field("additionalProperties"), place);
        }
        let place = Place {
            times: place.repeated(node.checks.max_items),
            correlatable: place.correlatable && node.list_type == ListType::Map,
        };
        if let (Some(node), Some(json)) = (&mut node.items, json.get("items").and_then(Value::as_object)) {
            self.node(node, json, &at.field("items"), place);
        }
    }

    fn rule(&mut self, node: &Node, json: &Json, at: &Path<'_>, place: Place) -> Option<Rule> {
        self.rules += 1;
        if self.rules > MAX_RULES {
            if self.rules == MAX_RULES + 1 {
                let detail = format!("a schema may have at most {MAX_RULES} rules");
                self.report.forbidden(at, &detail);
            }
            return None;
        }
        let rule = text(json, "rule").trim();
        if rule.is_empty() {
            self.report.required(&at.field("rule"), "rule is not specified");
            return None;
        }
        self.message(json, rule, at);
        let reason = self.reason(json, at);
        let field_path = self.field_path(node, text(json, "fieldPath"), at);
        let optional_old = flag(json, "optionalOldSelf");
        let this = shape::of(node).unwrap_or_else(Shape::any);
        let old = if optional_old {
            this.clone().optional()
        } else {
            this.clone()
        };
        let variables = [("self", this), ("oldSelf", old)];
        let checked = self.compiled(rule, &variables, "bool", &at.field("rule"), node, place)?;
        let uses_old = checked.used[1];
        if optional_old && !uses_old {
            self.report.invalid(
                &at.field("optionalOldSelf"),
                &Value::Bool(true),
                "may not be set if oldSelf is not used in rule",
            );
        }
        if uses_old && !place.correlatable {
            self.report.invalid_text(
                &at.field("rule"),
                rule,
                "oldSelf cannot be used on the uncorrelatable portion of the schema",
            );
        }
        let message_expression = text(json, "messageExpression");
        let message_expression = if message_expression.is_empty() {
            None
        } else {
            let at = at.field("messageExpression");
            let checked = self.compiled(message_expression, &variables, "string", &at, node, place)?;
            Some((checked.program, checked.slots))
        };
        Some(Rule {
            text: rule.into(),
            program: checked.program,
            slots: checked.slots,
            message: text(json, "message").trim().into(),
            message_expression,
            reason,
            field_path,
            uses_old,
            optional_old,
        })
    }

    /// An expression that gives a `wanted`, within its budget.
    fn compiled<'n>(
        &mut self,
        expression: &str,
        variables: &[(&str, Shape<'n>)],
        wanted: &str,
        at: &Path<'_>,
        node: &Node,
        place: Place,
    ) -> Option<Checked<'n>> {
        let checked = match check::check(expression, variables) {
            Ok(checked) => checked,
            Err(why) => {
                self.report
                    .invalid_text(at, expression, &format!("compilation failed: {why}"));
                return None;
            }
        };
        let fits = match &checked.shape.ty {
            Ty::Bool => wanted == "bool",
            Ty::String => wanted == "string",
            Ty::Dyn => true,
            _ => false,
        };
        if !fits {
            let what = if wanted == "bool" {
                "cel expression"
            } else {
                "messageExpression"
            };
            let detail = format!("{what} must evaluate to a {wanted}");
            self.report.invalid_text(at, expression, &detail);
            return None;
        }
        let times = place.times.unwrap_or_else(|| MAX_REQUEST / (node.min_bytes + 1));
        let cost = checked.cost.saturating_mul(times);
        self.cost = self.cost.saturating_add(cost);
        if cost > MAX_RULE_COST {
            let what = if wanted == "bool" {
                "rule"
            } else {
                "messageExpression"
            };
            let detail = too_dear(&format!("estimated {what} cost"), cost, MAX_RULE_COST);
            self.report.forbidden(at, &detail);
        }
        Some(checked)
    }

    fn message(&mut self, json: &Json, rule: &str, at: &Path<'_>) {
        let at = at.field("message");
        let Some(message) = json
            .get("message")
            .and_then(Value::as_str)
            .filter(|text| !text.is_empty())
        else {
            let expression = text(json, "messageExpression");
            if rule.contains('\n') && expression.is_empty() {
                let detail = "message must be specified if rule contains line breaks";
                self.report.required(&at, detail);
            }
            return;
        };
        if message.trim().is_empty() {
            let detail = "message must be non-empty if specified";
            self.report.invalid_text(&at, message, detail);
        } else if message.trim().contains('\n') {
            let detail = "message must not contain line breaks";
            self.report.invalid_text(&at, message, detail);
        }
        if message.len() > MAX_MESSAGE {
            self.report.too_long(&at, MAX_MESSAGE as u64);
        }
    }

    fn reason(&mut self, json: &Json, at: &Path<'_>) -> &'static str {
        let reason = text(json, "reason");
        if reason.is_empty() {
            return "FieldValueInvalid";
        }
        REASONS
            .into_iter()
            .find(|known| *known == reason)
            .unwrap_or_else(|| {
                let at = at.field("reason");
                self.report
                    .unsupported(&at, &reason.into(), &REASONS.map(Into::into));
                "FieldValueInvalid"
            })
    }

    fn field_path(&mut self, node: &Node, path: &str, at: &Path<'_>) -> Vec<String> {
        if path.is_empty() {
            return Vec::new();
        }
        let steps = steps(path);
        let mut found = Some(node);
        for step in steps.iter().flatten() {
            found = found.and_then(|node| node.field(step));
        }
        match steps {
            Some(steps) if found.is_some() => steps,
            _ => {
                self.report.invalid_text(
                    &at.field("fieldPath"),
                    path,
                    "fieldPath must be a valid path: it must name a field of the schema, as in .spec.replicas or ['a.b']",
                );
                Vec::new()
            }
        }
    }
}

fn too_dear(what: &str, cost: u64, limit: u64) -> String {
    let factor = cost as f64 / limit as f64;
    let factor = if factor > 100.0 {
        "more than 100x".into()
    } else if factor < 1.5 {
        format!("{factor:.6}x")
    } else {
        format!("{factor:.1}x")
    };
    format!(
        "{what} exceeds budget by factor of {factor} (try simplifying the rule, or adding maxItems, maxProperties, and maxLength where arrays, maps, and strings are declared)"
    )
}
