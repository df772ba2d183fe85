//! What a drill found, as a table or as JSON.

use crate::invariants::{self, Violation, acknowledged};
use crate::table::Table;
use serde::Serialize;
use std::time::Duration;

/// The most violations that are told one by one: more of them only repeat what is wrong.
const MOST_TOLD: usize = 20;

/// How long recovery may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Limits {
    /// From the apiserver's start to its first answer.
    pub(super) serve: Duration,
    /// From the kill until the cluster has converged.
    pub(super) converge: Duration,
}

/// One fault and what came of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(super) struct Row {
    /// Which round, from 1.
    pub(super) round: u32,
    /// The component that was killed.
    pub(super) component: String,
    /// Its process.
    pub(super) pid: u32,
    /// From its start until it did its work again.
    pub(super) back_ms: u64,
    /// From the kill until the cluster had converged; `None` when it has not.
    pub(super) recovered_ms: Option<u64>,
    /// Writes that were acknowledged since the fault before.
    pub(super) acknowledged: usize,
    /// What the invariants found.
    pub(super) violations: Vec<Violation>,
    /// What else was wrong.
    pub(super) problems: Vec<String>,
}

impl Row {
    /// How many acknowledged writes are lost.
    pub(super) fn lost(&self) -> usize {
        let lost = self.violations.iter();
        lost.filter(|violation| violation.invariant == acknowledged::NAME)
            .count()
    }

    /// Adds a problem for each limit that was exceeded.
    pub(super) fn judge(&mut self, limits: Limits) {
        let millis = |limit: Duration| u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
        if self.component == "apiserver" && self.back_ms > millis(limits.serve) {
            let problem = format!(
                "served again after {} ms, later than {:?}",
                self.back_ms, limits.serve
            );
            self.problems.push(problem);
        }
        if let Some(recovered) = self.recovered_ms
            && recovered > millis(limits.converge)
        {
            let problem = format!("converged after {recovered} ms, later than {:?}", limits.converge);
            self.problems.push(problem);
        }
    }

    fn broken(&self) -> usize {
        let mut names: Vec<_> = self
            .violations
            .iter()
            .map(|violation| violation.invariant)
            .collect();
        names.sort_unstable();
        names.dedup();
        names.len()
    }
}

/// The whole drill.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(super) struct Report {
    /// Repeats the drill's chance: `--seed`.
    pub(super) seed: u64,
    /// How many nodes there were.
    pub(super) nodes: u32,
    /// How many pods were stored besides the load's.
    pub(super) stored_pods: u32,
    /// A row a fault.
    pub(super) faults: Vec<Row>,
    /// How the end differs from that of the same load without faults; `None` when it could not be compared.
    pub(super) against_no_faults: Option<Vec<Violation>>,
    /// What was wrong besides.
    pub(super) problems: Vec<String>,
}

impl Report {
    /// Whether everything held.
    pub(super) fn passed(&self) -> bool {
        let row =
            |row: &Row| row.violations.is_empty() && row.problems.is_empty() && row.recovered_ms.is_some();
        self.problems.is_empty()
            && self.faults.iter().all(row)
            && self.against_no_faults.as_ref().is_some_and(Vec::is_empty)
    }

    /// For people.
    pub(super) fn table(&self) -> String {
        let mut table = Table::new([
            "ROUND",
            "FAULT",
            "BACK",
            "RECOVERED",
            "ACKNOWLEDGED",
            "LOST",
            "INVARIANTS",
        ]);
        for row in &self.faults {
            let recovered = row.recovered_ms;
            table.row([
                row.round.to_string(),
                format!("SIGKILL {}", row.component),
                format!("{} ms", row.back_ms),
                recovered.map_or_else(|| "never".to_owned(), |recovered| format!("{recovered} ms")),
                row.acknowledged.to_string(),
                row.lost().to_string(),
                match row.broken() {
                    0 => format!("{} hold", invariants::ALL.len()),
                    broken => format!("{broken} BROKEN"),
                },
            ]);
        }
        let acknowledged: usize = self.faults.iter().map(|row| row.acknowledged).sum();
        let lost: usize = self.faults.iter().map(Row::lost).sum();
        let mut text = format!(
            "{table}\n{acknowledged} writes acknowledged, {lost} lost; {} nodes, {} pods stored besides the load's; seed {}\n",
            self.nodes, self.stored_pods, self.seed
        );
        text += match &self.against_no_faults {
            None => "The end was not compared with that of a run without faults\n",
            Some(differences) if differences.is_empty() => {
                "The same load without faults ends in the same state\n"
            }
            Some(_) => "The same load without faults ends in ANOTHER state\n",
        };
        let against = self.against_no_faults.iter().flatten();
        let violations = self.faults.iter().flat_map(|row| &row.violations).chain(against);
        let in_rows = self.faults.iter().flat_map(|row| {
            let told = move |problem| format!("round {}, {}: {problem}", row.round, row.component);
            row.problems.iter().map(told)
        });
        let mut wrong: Vec<String> = self.problems.clone();
        wrong.extend(in_rows);
        wrong.extend(violations.map(ToString::to_string));
        for line in wrong.iter().take(MOST_TOLD) {
            text += &format!("- {line}\n");
        }
        if wrong.len() > MOST_TOLD {
            text += &format!("- and {} more\n", wrong.len() - MOST_TOLD);
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        let row = Row {
            round: 1,
            component: "apiserver".into(),
            pid: 7,
            back_ms: 120,
            recovered_ms: Some(1400),
            acknowledged: 90,
            ..Row::default()
        };
        Report {
            seed: 7,
            nodes: 10,
            faults: vec![row],
            against_no_faults: Some(Vec::new()),
            ..Report::default()
        }
    }

    #[test]
    fn a_drill_in_which_everything_held_has_passed() {
        let mut report = report();
        let limits = Limits {
            serve: Duration::from_secs(1),
            converge: Duration::from_secs(5),
        };
        report.faults[0].judge(limits);
        assert!(report.passed());
        assert_eq!(
            report.table(),
            "ROUND   FAULT               BACK     RECOVERED   ACKNOWLEDGED   LOST   INVARIANTS\n\
             1       SIGKILL apiserver   120 ms   1400 ms     90             0      11 hold\n\
             \n\
             90 writes acknowledged, 0 lost; 10 nodes, 0 pods stored besides the load's; seed 7\n\
             The same load without faults ends in the same state\n"
        );
    }

    #[test]
    fn whatever_did_not_hold_makes_it_fail_and_is_told() {
        let lost = Violation {
            invariant: acknowledged::NAME,
            revision: 9,
            what: "a write of x".into(),
        };
        let check = |told: &str, change: &dyn Fn(&mut Report)| {
            let mut report = report();
            change(&mut report);
            assert!(!report.passed(), "{told}");
            assert!(report.table().contains(told), "{told}:\n{}", report.table());
        };
        check("90 writes acknowledged, 1 lost", &|report| {
            report.faults[0].violations = vec![lost.clone()];
        });
        check("1 BROKEN", &|report| {
            report.faults[0].violations = vec![lost.clone()];
        });
        check("never", &|report| report.faults[0].recovered_ms = None);
        check("ANOTHER", &|report| {
            report.against_no_faults = Some(vec![lost.clone()]);
        });
        check("not compared", &|report| report.against_no_faults = None);
        check("scheduler died", &|report| {
            report.problems.push("scheduler died".into());
        });
        check("later than 100ms", &|report| {
            let (serve, converge) = (Duration::from_millis(100), Duration::from_secs(9));
            report.faults[0].judge(Limits { serve, converge });
        });
        check("later than 1s", &|report| {
            let (serve, converge) = (Duration::from_secs(1), Duration::from_secs(1));
            report.faults[0].judge(Limits { serve, converge });
        });
    }
}
