//! The rules of an object, run.
//!
//! In: a tree with rules, an object, on an update the stored one. Out: faults. Rules that compare with `oldSelf` run only
//! where there is one; rules that do not are skipped where nothing changed. One rule may take [`MAX_CALL`] steps, all
//! rules of an object [`MAX_OBJECT`]; beyond that none is run any more, and the object is refused.

use super::program::{Failure, Meter, Run};
use super::rules::Rule;
use super::value::Val;
use crate::node::{Correlation, Node, equal};
use crate::report::Report;
use crate::validate::typed;
use apimachinery::path::Path;
use serde_json::Value;

/// The most steps of one rule; upstream's.
const MAX_CALL: u64 = 1_000_000;

/// The most steps of all rules of one object; upstream's. A step takes some 20 ns.
const MAX_OBJECT: u64 = 10_000_000;

/// The longest message that an expression may make; upstream's.
const MAX_MESSAGE: usize = 5 * 1024;

/// Runs every rule of an object.
pub(crate) fn run(root: &Node, object: &Value, old: Option<&Value>, report: &mut Report) {
    let mut runner = Runner {
        report,
        left: MAX_OBJECT,
        stopped: false,
    };
    runner.node(root, object, old, &Path::ROOT);
}

struct Runner<'r> {
    report: &'r mut Report,
    left: u64,
    stopped: bool,
}

impl Runner<'_> {
    fn node(&mut self, node: &Node, value: &Value, old: Option<&Value>, at: &Path<'_>) {
        // The state of a value that is null is for the rules around it.
        if self.stopped || self.report.is_full() || !node.rules_below || value.is_null() {
            return;
        }
        // A value of another type that got this far did not change: no rule can say more of it.
        if typed(node, value).is_err() {
            return;
        }
        let unchanged = old.is_some_and(|old| equal(old, value));
        if unchanged && !node.transitions_below {
            return;
        }
        for rule in &node.rules {
            let runs = if rule.uses_old {
                rule.optional_old || old.is_some_and(|old| !old.is_null())
            } else {
                !unchanged
            };
            if runs && !self.stopped {
                self.rule(rule, node, value, old, at);
            }
        }
        match value {
            Value::Object(map) => {
                let old = old.and_then(Value::as_object).filter(|_| !node.map_atomic);
                for (name, value) in map {
                    let Some(child) = node.field(name) else {
                        continue;
                    };
                    let old = old.and_then(|old| old.get(name));
                    if node.properties.contains_key(name) {
                        self.node(child, value, old, &at.field(name));
                    } else {
                        self.node(child, value, old, &at.key(name));
                    }
                }
            }
            Value::Array(items) => {
                let Some(child) = node.items.as_deref().filter(|child| child.rules_below) else {
                    return;
                };
                let correlation = Correlation::of(node, old);
                for (index, item) in items.iter().enumerate() {
                    let old = correlation.as_ref().and_then(|old| old.find(node, item));
                    self.node(child, item, old, &at.index(index));
                }
            }
            _ => {}
        }
    }

    fn rule(&mut self, rule: &Rule, node: &Node, value: &Value, old: Option<&Value>, at: &Path<'_>) {
        let old = old.map(|old| Val::of(old, Some(node)));
        let old = if rule.optional_old {
            Val::optional(old)
        } else {
            old.unwrap_or(Val::Null)
        };
        let mut slots = vec![Val::Null; rule.slots.max(2)];
        slots[0] = Val::of(value, Some(node));
        slots[1] = old;
        let ty = node.ty.map_or("", |ty| ty.name());
        let mut meter = Meter::new(MAX_CALL.min(self.left));
        let allowed = meter.left();
        let mut run = Run {
            slots,
            meter: &mut meter,
        };
        let result = run.eval(&rule.program);
        let message = match &result {
            Ok(Val::Bool(false)) => Some(message(rule, &mut run)),
            _ => None,
        };
        self.left -= allowed - meter.left();
        let detail = match (result, message) {
            (Ok(Val::Bool(true)), _) => return,
            (_, Some(message)) => return self.broken(rule, ty, at, &message),
            (Ok(_), None) => format!("rule must evaluate to a bool: {}", rule.text),
            (Err(Failure::Error(why)), None) if why == "no such overload" => format!(
                "'{why}': call arguments did not match a supported operator, function or macro signature for rule: {}",
                rule.text
            ),
            (Err(Failure::Error(why)), None) => format!("{why} evaluating rule: {}", rule.text),
            (Err(Failure::Budget), None) => {
                self.stopped = true;
                if self.left == 0 {
                    "validation failed due to running out of cost budget, no further validation rules will be run"
                        .into()
                } else {
                    format!(
                        "'operation cancelled: actual cost limit exceeded': no further validation rules will be run due to call cost exceeds limit for rule: {}",
                        rule.text
                    )
                }
            }
        };
        self.report.invalid_text(at, ty, &detail);
    }

    fn broken(&mut self, rule: &Rule, ty: &str, at: &Path<'_>, message: &str) {
        let mut field = at.to_string();
        for step in &rule.field_path {
            field.push('.');
            field.push_str(step);
        }
        let text = match rule.reason {
            "FieldValueRequired" => format!("Required value: {message}"),
            "FieldValueForbidden" => format!("Forbidden: {message}"),
            "FieldValueDuplicate" => format!("Duplicate value: {ty:?}"),
            _ => format!("Invalid value: {ty:?}: {message}"),
        };
        let field = field.trim_start_matches('.').to_owned();
        self.report.push_text(rule.reason, field, text);
    }
}

/// What a broken rule says: what its expression makes of the object, else its message, else itself.
fn message(rule: &Rule, run: &mut Run<'_, '_>) -> String {
    if let Some((expression, slots)) = &rule.message_expression {
        run.slots.resize(run.slots.len().max(*slots), Val::Null);
        if let Ok(Val::Str(text)) = run.eval(expression) {
            let text = text.trim();
            if !text.is_empty() && !text.contains('\n') && text.len() <= MAX_MESSAGE {
                return text.into();
            }
        }
    }
    if rule.message.is_empty() {
        format!("failed rule: {}", rule.text)
    } else {
        rule.message.clone()
    }
}
