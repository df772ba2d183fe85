//! An explanation as people and machines read it.

use crate::table::Table;
use client::time;
use proto::orrery::v1::explain_response::State;
use proto::orrery::v1::scheduling_attempt::Result as Told;
use proto::orrery::v1::{ExplainResponse, NodeVerdict, PreemptionVictim, SchedulingAttempt, Suggestion};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write;

/// How many nodes are named behind a reason that many have.
const NAMED: usize = 4;

/// For people: where the Pod is, the ranking, what refused the other nodes, what would help, and what was tried.
pub(super) fn text(namespace: &str, pod: &str, answer: &ExplainResponse, limit: usize) -> String {
    let mut text = String::new();
    // Into a string, writing cannot fail.
    _ = writeln!(text, "Pod {namespace}/{pod}: {}", headline(answer));
    let taking = || answer.nodes.iter().filter(|node| node.feasible);
    if answer.total_nodes > 0 {
        _ = writeln!(
            text,
            "{} of {} nodes take it, as of revision {}.",
            answer.feasible_nodes, answer.total_nodes, answer.revision
        );
    }
    if taking().next().is_some() {
        _ = write!(
            text,
            "\nRANKING (score x weight, by plugin)\n{}",
            ranking(taking().take(limit), &answer.node)
        );
        let more = taking().count().saturating_sub(limit);
        if more > 0 {
            _ = writeln!(text, "… and {more} more; --limit or --all shows them");
        }
    }
    let refused: Vec<&NodeVerdict> = answer.nodes.iter().filter(|node| !node.feasible).collect();
    if !refused.is_empty() {
        let table = if limit == usize::MAX {
            each(&refused)
        } else {
            grouped(&refused)
        };
        _ = write!(text, "\nREFUSED BY\n{table}");
    }
    if !answer.suggestions.is_empty() {
        _ = write!(
            text,
            "\nWHAT WOULD HELP (any one of these)\n{}",
            help(&answer.suggestions)
        );
    }
    if !answer.history.is_empty() {
        _ = write!(
            text,
            "\nATTEMPTS (as they were then)\n{}",
            history(&answer.history)
        );
    }
    text
}

fn headline(answer: &ExplainResponse) -> String {
    let node = &answer.node;
    match answer.state() {
        State::Bound => format!("bound to {node}"),
        State::Binding => format!("on its way to {node}"),
        State::Active => "waits for its turn".into(),
        State::Backoff => "failed, and waits before it is tried again".into(),
        State::Unschedulable => "no node takes it".into(),
        State::Gated => "held by its scheduling gates".into(),
        State::Unspecified if answer.total_nodes > 0 => match answer.nodes.first() {
            Some(first) if first.feasible => format!("would go to {}", first.node),
            _ => "no node would take it".into(),
        },
        State::Unspecified => "gone; this is what is remembered of it".into(),
    }
}

fn ranking<'a>(nodes: impl Iterator<Item = &'a NodeVerdict>, chosen: &str) -> Table {
    let nodes: Vec<&NodeVerdict> = nodes.collect();
    let mut headers = vec!["#".to_owned(), "NODE".into(), "TOTAL".into()];
    if let Some(first) = nodes.first() {
        headers.extend(first.scores.iter().map(|score| score.plugin.clone()));
    }
    let mut table = Table::new(headers);
    for (place, node) in nodes.iter().enumerate() {
        let name = if node.node == chosen {
            format!("{} *", node.node)
        } else {
            node.node.clone()
        };
        let mut row = vec![(place + 1).to_string(), name, node.total.to_string()];
        row.extend(
            node.scores
                .iter()
                .map(|score| format!("{} x {}", score.score, score.weight)),
        );
        table.row(row);
    }
    table
}

/// Nodes that are refused for the same reasons stand together.
fn grouped(nodes: &[&NodeVerdict]) -> Table {
    let mut groups: BTreeMap<(&str, String, bool), Vec<&str>> = BTreeMap::new();
    for node in nodes {
        let key = (node.plugin.as_str(), node.reasons.join(", "), node.resolvable);
        groups.entry(key).or_default().push(&node.node);
    }
    let mut table = Table::new(["PLUGIN", "REASON", "EVICTIONS MAY HELP", "NODES"]);
    for ((plugin, reasons, resolvable), nodes) in groups {
        table.row([plugin.to_owned(), reasons, yes(resolvable), names(&nodes)]);
    }
    table
}

fn each(nodes: &[&NodeVerdict]) -> Table {
    let mut table = Table::new(["NODE", "PLUGIN", "REASON", "EVICTIONS MAY HELP"]);
    for node in nodes {
        for refusal in &node.refusals {
            let reasons = refusal.reasons.join(", ");
            table.row([
                node.node.clone(),
                refusal.plugin.clone(),
                reasons,
                yes(refusal.resolvable),
            ]);
        }
    }
    table
}

fn yes(is: bool) -> String {
    if is { "yes" } else { "no" }.into()
}

/// "node-1, node-2 and 7 more"
fn names(nodes: &[&str]) -> String {
    let named = nodes[..nodes.len().min(NAMED)].join(", ");
    match nodes.len() - nodes.len().min(NAMED) {
        0 => named,
        more => format!("{named} and {more} more"),
    }
}

fn help(suggestions: &[Suggestion]) -> Table {
    let mut table = Table::new(["NODE", "CHANGE"]);
    for suggestion in suggestions {
        let changes: Vec<&str> = suggestion
            .changes
            .iter()
            .map(|change| change.text.as_str())
            .collect();
        table.row([suggestion.node.clone(), changes.join(" and ")]);
    }
    table
}

fn history(attempts: &[SchedulingAttempt]) -> String {
    let mut text = String::new();
    for attempt in attempts {
        let when = attempt
            .time
            .as_ref()
            .map(|at| time::timestamp(at).to_string())
            .unwrap_or_default();
        let what = match attempt.result() {
            Told::Scheduled => format!("chose {}", attempt.node),
            Told::Waiting => format!("chose {}, and waited there for leave to be bound", attempt.node),
            Told::Preempting => format!("makes room on {}: {}", attempt.node, attempt.why),
            Told::Failed => format!("failed: {}", attempt.message),
            Told::Unschedulable | Told::Unspecified => attempt.message.clone(),
        };
        _ = writeln!(text, "{when}  revision {}  {what}", attempt.revision);
        for victim in &attempt.victims {
            _ = writeln!(text, "    {}", told(victim));
        }
    }
    text
}

fn told(victim: &PreemptionVictim) -> String {
    let budget = if victim.violates_budget {
        ", although a PodDisruptionBudget asks to keep it"
    } else {
        ""
    };
    format!(
        "{}/{} had to go: priority {}{budget}",
        victim.namespace, victim.name, victim.priority
    )
}

/// For machines: the message as JSON, names as in the schema.
pub(super) fn json(answer: &ExplainResponse) -> Value {
    let node = |node: &NodeVerdict| {
        let scores = node.scores.iter().map(|score| {
            json!({ "plugin": score.plugin, "raw": score.raw, "score": score.score, "weight": score.weight })
        });
        let refusals = node.refusals.iter().map(|refusal| {
            json!({ "plugin": refusal.plugin, "reasons": refusal.reasons, "resolvable": refusal.resolvable })
        });
        json!({
            "node": node.node,
            "feasible": node.feasible,
            "plugin": node.plugin,
            "resolvable": node.resolvable,
            "reasons": node.reasons,
            "scores": scores.collect::<Vec<_>>(),
            "total": node.total,
            "refusals": refusals.collect::<Vec<_>>(),
        })
    };
    let attempt = |attempt: &SchedulingAttempt| {
        let victims = attempt.victims.iter().map(|victim| {
            json!({
                "namespace": victim.namespace,
                "name": victim.name,
                "priority": victim.priority,
                "violatesBudget": victim.violates_budget,
            })
        });
        json!({
            "result": attempt.result().as_str_name(),
            "revision": attempt.revision,
            "time": attempt.time.as_ref().map(|at| time::timestamp(at).to_string()),
            "node": attempt.node,
            "message": attempt.message,
            "victims": victims.collect::<Vec<_>>(),
            "why": attempt.why,
        })
    };
    let suggestion = |suggestion: &Suggestion| {
        let changes = suggestion
            .changes
            .iter()
            .map(|change| json!({ "plugin": change.plugin, "text": change.text, "amount": change.amount }));
        json!({ "node": suggestion.node, "changes": changes.collect::<Vec<_>>() })
    };
    json!({
        "uid": answer.uid,
        "state": answer.state().as_str_name(),
        "revision": answer.revision,
        "node": answer.node,
        "attempts": answer.attempts,
        "message": answer.message,
        "totalNodes": answer.total_nodes,
        "feasibleNodes": answer.feasible_nodes,
        "nodes": answer.nodes.iter().map(node).collect::<Vec<_>>(),
        "history": answer.history.iter().map(attempt).collect::<Vec<_>>(),
        "suggestions": answer.suggestions.iter().map(suggestion).collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::orrery::v1::{PluginScore, SuggestedChange};

    fn refused(node: &str, reason: &str) -> NodeVerdict {
        NodeVerdict {
            node: node.into(),
            plugin: "NodeResourcesFit".into(),
            reasons: vec![reason.into()],
            resolvable: true,
            ..NodeVerdict::default()
        }
    }

    #[test]
    fn an_explanation_reads_from_the_verdict_to_the_details() {
        let score = |plugin: &str, score, weight| PluginScore {
            plugin: plugin.into(),
            raw: score,
            score,
            weight,
        };
        let taken = NodeVerdict {
            node: "node-1".into(),
            feasible: true,
            scores: vec![score("TaintToleration", 100, 3), score("NodeResourcesFit", 92, 1)],
            total: 392,
            ..NodeVerdict::default()
        };
        let mut answer = ExplainResponse {
            state: State::Bound.into(),
            revision: 7,
            node: "node-1".into(),
            total_nodes: 3,
            feasible_nodes: 1,
            nodes: vec![
                taken,
                refused("node-2", "Insufficient cpu"),
                refused("node-3", "Insufficient cpu"),
            ],
            history: vec![SchedulingAttempt {
                result: Told::Preempting.into(),
                revision: 5,
                node: "node-1".into(),
                why: "it is the only node where room can be made".into(),
                victims: vec![PreemptionVictim {
                    namespace: "default".into(),
                    name: "batch".into(),
                    priority: -5,
                    violates_budget: true,
                }],
                ..SchedulingAttempt::default()
            }],
            ..ExplainResponse::default()
        };
        insta::assert_snapshot!(text("default", "web", &answer, 10), @r"
        Pod default/web: bound to node-1
        1 of 3 nodes take it, as of revision 7.

        RANKING (score x weight, by plugin)
        #   NODE       TOTAL   TaintToleration   NodeResourcesFit
        1   node-1 *   392     100 x 3           92 x 1

        REFUSED BY
        PLUGIN             REASON             EVICTIONS MAY HELP   NODES
        NodeResourcesFit   Insufficient cpu   yes                  node-2, node-3

        ATTEMPTS (as they were then)
          revision 5  makes room on node-1: it is the only node where room can be made
            default/batch had to go: priority -5, although a PodDisruptionBudget asks to keep it
        ");
        answer.set_state(State::Unschedulable);
        answer.nodes.remove(0);
        answer.history.clear();
        answer.feasible_nodes = 0;
        answer.suggestions = vec![Suggestion {
            node: "node-2".into(),
            changes: vec![SuggestedChange {
                plugin: "NodeResourcesFit".into(),
                text: "500m more cpu on node node-2".into(),
                amount: "500m".into(),
            }],
        }];
        insta::assert_snapshot!(text("default", "web", &answer, 10), @r"
        Pod default/web: no node takes it
        0 of 3 nodes take it, as of revision 7.

        REFUSED BY
        PLUGIN             REASON             EVICTIONS MAY HELP   NODES
        NodeResourcesFit   Insufficient cpu   yes                  node-2, node-3

        WHAT WOULD HELP (any one of these)
        NODE     CHANGE
        node-2   500m more cpu on node node-2
        ");
        assert_eq!(json(&answer)["suggestions"][0]["changes"][0]["amount"], "500m");
    }

    #[test]
    fn many_nodes_are_counted_and_few_are_named() {
        assert_eq!(names(&["a", "b"]), "a, b");
        assert_eq!(names(&["a", "b", "c", "d", "e", "f"]), "a, b, c, d and 2 more");
    }
}
