//! A container's log: what a run of it has said, worked out from what is known of the run.
//!
//! In: the run (its program, chance, start, exit) and the time. Out: lines. Nothing is stored, so a restarted process
//! answers the same. Invariant: with one [`Cursor`], every line comes once, and later ones come later.
//!
//! | line | when |
//! | --- | --- |
//! | `nginx starts: …` | at the start |
//! | `nginx answers readiness probes`, and the like | when its annotations say so |
//! | the text of `sim.orrery.dev/log` | at the start, and every `sim.orrery.dev/log-period` from then on |
//! | `nginx received SIGTERM` | when its pod is deleted |
//! | `nginx exits with code 0` | at the end |

use super::program::{ContainerProgram, Program};
use super::state::{ContainerState, Deletion, Exit, KILLED, Phase, after};
use super::timing::sample;
use component_base::rng::Seed;
use jiff::Timestamp;
use std::sync::Arc;
use std::time::Duration;

/// The most lines that are kept of a run: the oldest are cut, as a real kubelet rotates a log away. A line is at most
/// `LONGEST_LOG` bytes, so that this is the 10 MiB at which kubelets rotate.
pub const MOST_LINES: usize = 10 << 10;

/// One line of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// When it was said.
    pub at: Timestamp,
    /// Its text, without an end of line.
    pub text: Arc<str>,
}

/// Which run of a container is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Run {
    /// The one that runs, or the last that did.
    Current,
    /// The one before: `lastState`.
    Previous,
    /// The one of this number, from 0.
    Number(i32),
}

/// What is known of one run of a container.
#[derive(Clone, Debug)]
pub struct ContainerLog {
    /// The pod's program.
    pub program: Arc<Program>,
    /// The container's place in it.
    pub container: usize,
    /// The pod's chance, which no other pod has.
    pub seed: Seed,
    /// The run's number.
    pub run: i32,
    /// When it started.
    pub started: Timestamp,
    /// When and how it ended.
    pub exit: Option<(Timestamp, i32)>,
    /// When its pod was told to go.
    pub stop: Option<Timestamp>,
}

/// How far a log was read.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cursor {
    /// A bit for each line that comes once.
    once: u8,
    /// How often the repeated text has come.
    said: u64,
}

/// Why there is no log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoLog {
    /// It has not run; the status gives this reason.
    Waiting(&'static str),
    /// There was no run before.
    NoPrevious,
    /// The run has been forgotten.
    Gone,
}

impl ContainerLog {
    /// The log of one run; `waiting` is why a container waits that has never run.
    pub fn of(
        program: &Arc<Program>,
        container: usize,
        state: &ContainerState,
        run: Run,
        seed: Seed,
        deletion: Option<Deletion>,
    ) -> Result<Self, NoLog> {
        let (current, previous) = runs(state);
        let known = current.iter().chain(&previous);
        let (number, started, exit) = match run {
            Run::Current => current.ok_or(NoLog::Waiting(waiting(program)))?,
            Run::Previous => previous.ok_or(NoLog::NoPrevious)?,
            Run::Number(wanted) => *known.into_iter().find(|run| run.0 == wanted).ok_or(NoLog::Gone)?,
        };
        Ok(Self {
            program: program.clone(),
            container,
            seed,
            run: number,
            started,
            exit: exit.map(|exit| (exit.finished, exit.code)),
            stop: deletion.map(|deletion| deletion.requested),
        })
    }

    /// What was said by `now` and has not been read yet.
    pub fn lines(&self, cursor: &mut Cursor, now: Timestamp) -> Vec<Line> {
        let cp = &self.program.containers[self.container];
        let end = self.exit.map_or(now, |(at, _)| at.min(now));
        let mut lines = Vec::new();
        for (bit, (at, text)) in self.once(cp).into_iter().enumerate() {
            let (mask, until) = (1 << bit, if bit == EXIT { now } else { end });
            if let Some(at) = at.filter(|at| *at <= until && cursor.once & mask == 0) {
                cursor.once |= mask;
                lines.push((
                    at,
                    bit,
                    Line {
                        at,
                        text: text.into(),
                    },
                ));
            }
        }
        self.repeated(cp, end, cursor, &mut lines);
        lines.sort_by_key(|(at, rank, _)| (*at, *rank));
        lines.drain(..lines.len().saturating_sub(MOST_LINES));
        lines.into_iter().map(|(.., line)| line).collect()
    }

    /// The lines that come once at most, in the order in which they come when they come together.
    fn once(&self, cp: &ContainerProgram) -> [(Option<Timestamp>, String); 6] {
        let name = &cp.name;
        let draw =
            |what, distribution| after(self.started, sample(self.seed, cp, self.run, what, distribution));
        let behavior = &cp.behavior;
        let startup = cp.startup.map(|_| draw("startup", behavior.startup_delay));
        let readiness = cp.readiness.map(|_| draw("readiness", behavior.readiness_delay));
        let liveness = behavior.liveness_fail_after.filter(|_| cp.liveness.is_some());
        let stop = self.stop.filter(|at| *at >= self.started);
        let end = self.exit.map_or(String::new(), |(_, code)| match code {
            KILLED => format!("{name} is killed (exit code {code})"),
            code => format!("{name} exits with code {code}"),
        });
        [
            (
                Some(self.started),
                format!(
                    "{name} starts: run {}, image {}; a simulation, nothing real runs",
                    self.run, cp.image
                ),
            ),
            (startup, format!("{name} answers startup probes")),
            (readiness, format!("{name} answers readiness probes")),
            (
                liveness.map(|fails| draw("liveness", fails)),
                format!("{name} answers liveness probes no longer"),
            ),
            (stop, format!("{name} received SIGTERM")),
            (self.exit.map(|(at, _)| at), end),
        ]
    }

    /// What annotations make it say, again and again.
    fn repeated(
        &self,
        cp: &ContainerProgram,
        end: Timestamp,
        cursor: &mut Cursor,
        lines: &mut Vec<(Timestamp, usize, Line)>,
    ) {
        let Some(text) = &cp.behavior.log else { return };
        let Ok(ran) = Duration::try_from(end.duration_since(self.started)) else {
            return;
        };
        let period = cp.behavior.log_period.filter(|period| !period.is_zero());
        let times = period.map_or(1, |period| 1 + ran.as_nanos() / period.as_nanos());
        let times = u64::try_from(times).unwrap_or(u64::MAX);
        let texts: Vec<Arc<str>> = text.lines().map(Arc::from).collect();
        let most = (MOST_LINES / texts.len().max(1)).max(1) as u64;
        for time in cursor.said.max(times.saturating_sub(most))..times {
            let later = period.unwrap_or_default().as_nanos() * u128::from(time);
            let at = after(
                self.started,
                Duration::from_nanos(u64::try_from(later).unwrap_or(u64::MAX)),
            );
            for text in &texts {
                let text = text.clone();
                lines.push((at, SAID, Line { at, text }));
            }
        }
        cursor.said = cursor.said.max(times);
    }
}

/// The place of the exit among the lines that come once.
const EXIT: usize = 5;
/// The rank of repeated text: after what the container becomes, before its end.
const SAID: usize = 3;

type KnownRun = (i32, Timestamp, Option<Exit>);

/// The run that a status shows as the current one, and the one that it shows as the last.
fn runs(state: &ContainerState) -> (Option<KnownRun>, Option<KnownRun>) {
    let over = |number: i32, exit: &Exit| (number, exit.started, Some(*exit));
    let last = state.restarts;
    let exit = state.exit.as_ref();
    let before = state.previous.as_ref();
    match state.phase {
        Phase::Running { since } => (Some((last, since, None)), exit.map(|exit| over(last - 1, exit))),
        // Between two runs the status shows the one that has ended as the last, and as the one to read.
        Phase::BackOff { .. } => (
            exit.map(|exit| over(last, exit)),
            exit.map(|exit| over(last, exit)),
        ),
        Phase::Waiting | Phase::Pulling { .. } | Phase::Starting { .. } | Phase::Exited => (
            exit.map(|exit| over(last, exit)),
            before.map(|exit| over(last - 1, exit)),
        ),
    }
}

fn waiting(program: &Program) -> &'static str {
    if program.init > 0 {
        "PodInitializing"
    } else {
        "ContainerCreating"
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::behavior::PREFIX;
    use proto::api::core::v1::{Container, Pod, PodSpec, Probe};
    use proto::meta::v1::ObjectMeta;

    const START: &str = "2026-01-01T00:00:00Z";

    fn at(seconds: f64) -> Timestamp {
        after(START.parse().unwrap(), Duration::from_secs_f64(seconds))
    }

    /// A run of a container that probes look at.
    fn log(annotations: &[(&str, &str)], exit: Option<(f64, i32)>) -> ContainerLog {
        let annotations = annotations
            .iter()
            .map(|(key, value)| (format!("{PREFIX}{key}"), (*value).to_owned()));
        let container = Container {
            name: "web".into(),
            image: "nginx:1.27".into(),
            readiness_probe: Some(Probe::default()),
            ..Container::default()
        };
        let pod = Pod {
            metadata: Some(ObjectMeta {
                annotations: annotations.collect(),
                ..ObjectMeta::default()
            }),
            spec: Some(PodSpec {
                containers: vec![container],
                ..PodSpec::default()
            }),
            status: None,
        };
        ContainerLog {
            program: Arc::new(Program::of(&pod)),
            container: 0,
            seed: Seed(7),
            run: 2,
            started: START.parse().unwrap(),
            exit: exit.map(|(seconds, code)| (at(seconds), code)),
            stop: None,
        }
    }

    fn read(log: &ContainerLog, cursor: &mut Cursor, seconds: f64) -> Vec<String> {
        let lines = log.lines(cursor, at(seconds)).into_iter();
        let shown = |line: Line| {
            let since = line.at.duration_since(START.parse().unwrap()).as_secs_f64();
            format!("{since} {}", line.text)
        };
        lines.map(shown).collect()
    }

    #[test]
    fn a_log_tells_a_run_from_start_to_exit() {
        let mut log = log(
            &[
                ("readiness-delay", "3s"),
                ("log", "hello\nworld"),
                ("log-period.web", "2s"),
            ],
            None,
        );
        let mut cursor = Cursor::default();
        assert_eq!(
            read(&log, &mut cursor, 2.5),
            [
                "0 web starts: run 2, image nginx:1.27; a simulation, nothing real runs",
                "0 hello",
                "0 world",
                "2 hello",
                "2 world",
            ]
        );
        assert_eq!(read(&log, &mut cursor, 3.0), ["3 web answers readiness probes"]);
        assert_eq!(read(&log, &mut cursor, 3.0), Vec::<String>::new());
        // What is learned late is told late, and nothing that would have come after.
        log.stop = Some(at(4.0));
        log.exit = Some((at(5.0), 0));
        assert_eq!(
            read(&log, &mut cursor, 60.0),
            [
                "4 hello",
                "4 world",
                "4 web received SIGTERM",
                "5 web exits with code 0"
            ]
        );
        let whole = read(&log, &mut Cursor::default(), 60.0);
        assert_eq!(whole.len(), 10, "{whole:?}");
    }

    #[test]
    fn a_run_that_ended_early_says_nothing_of_what_it_did_not_live_to_see() {
        let log = log(&[("readiness-delay", "3s")], Some((1.0, 137)));
        let told = read(&log, &mut Cursor::default(), 60.0);
        assert_eq!(told.len(), 2, "{told:?}");
        assert_eq!(told[1], "1 web is killed (exit code 137)");
    }

    #[test]
    fn a_log_is_bounded_and_loses_its_oldest_lines() {
        let log = log(&[("log", "tick"), ("log-period", "10ms")], None);
        let mut cursor = Cursor::default();
        let year = 365.0 * 24.0 * 3600.0;
        let lines = log.lines(&mut cursor, at(year));
        assert_eq!(lines.len(), MOST_LINES);
        assert_eq!(lines.last().unwrap().at, at(year));
        assert_eq!(log.lines(&mut cursor, at(year + 0.01)).len(), 1);
    }

    #[test]
    fn the_status_decides_which_run_is_current_and_which_previous() {
        let exit = |seconds: f64| Exit {
            code: 1,
            started: at(seconds),
            finished: at(seconds + 1.0),
            row: 0,
        };
        let state = |phase, exit, previous: Option<Exit>| ContainerState {
            phase,
            exit,
            previous: previous.map(Box::new),
            restarts: 3,
            ..ContainerState::NEW
        };
        let (since, until) = (at(9.0), at(9.0));
        let program = log(&[], None).program;
        for (state, current, previous) in [
            (
                ContainerState::NEW,
                Err(NoLog::Waiting("ContainerCreating")),
                Err(NoLog::NoPrevious),
            ),
            (
                state(Phase::Running { since }, None, None),
                Ok(3),
                Err(NoLog::NoPrevious),
            ),
            (
                state(Phase::Running { since }, Some(exit(1.0)), None),
                Ok(3),
                Ok(2),
            ),
            (
                state(Phase::Exited, Some(exit(5.0)), Some(exit(1.0))),
                Ok(3),
                Ok(2),
            ),
            (
                state(Phase::Exited, Some(exit(5.0)), None),
                Ok(3),
                Err(NoLog::NoPrevious),
            ),
            (
                state(Phase::BackOff { until }, Some(exit(5.0)), None),
                Ok(3),
                Ok(3),
            ),
        ] {
            let run = |run| {
                let log = ContainerLog::of(&program, 0, &state, run, Seed(1), None);
                log.map(|log| log.run)
            };
            assert_eq!(
                (run(Run::Current), run(Run::Previous)),
                (current, previous),
                "{state:?}"
            );
            assert_eq!(run(Run::Number(9)), Err(NoLog::Gone));
        }
    }
}
