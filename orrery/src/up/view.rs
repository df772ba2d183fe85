//! How the cluster is, for people: a picture that redraws itself on a terminal, lines elsewhere.
//!
//! [`Picture`] holds what is shown and [`Picture::lines`] turns it into text, both without I/O. [`show`] feeds it: from
//! the supervisor's notices, from each component's own status, and from one watch over Nodes and Pods.

use super::line;
use super::supervisor::Notice;
use crate::commands::ps;
use crate::data_dir::Component;
use anyhow::Result;
use client::cache::{Cache, Watch};
use client::client::{Client, ClientConfig};
use client::informer::{Informer, target};
use component_base::clock::{Clock, Instant};
use component_base::rng::Seed;
use crossterm::{QueueableCommand, cursor, terminal};
use proto::Kind;
use proto::api::core::v1::{Node, NodeStatus, Pod, PodStatus};
use std::collections::{BTreeMap, VecDeque};
use std::io::{IsTerminal, Write};
use std::time::Duration;
use tokio::sync::mpsc;

/// How often the picture is drawn, and the least time between two lines about the same thing.
const PERIOD: Duration = Duration::from_millis(500);
/// How long the rates look back.
const RATE_WINDOW: Duration = Duration::from_secs(5);
/// How many notices stay in the picture.
const NOTICES: usize = 6;
/// What is shown.
#[derive(Debug, Default)]
struct Picture {
    api: String,
    components: Vec<ps::Row>,
    nodes: usize,
    ready_nodes: usize,
    phases: BTreeMap<String, usize>,
    revision: i64,
    /// Revision and Pod starts at earlier moments, oldest first.
    samples: VecDeque<(Instant, i64)>,
    notices: VecDeque<String>,
}

impl Picture {
    /// Takes over what the cache shows.
    fn observe(&mut self, cache: &Cache, now: Instant) {
        self.nodes = cache.count::<Node>();
        self.ready_nodes = cache.list::<Node>(None).filter(|node| is_ready(node)).count();
        self.phases.clear();
        for pod in cache.list::<Pod>(None) {
            *self.phases.entry(phase(pod)).or_default() += 1;
        }
        self.revision = cache.revision();
        self.samples.push_back((now, self.revision));
        while self
            .samples
            .front()
            .is_some_and(|(then, _)| now - *then > RATE_WINDOW)
        {
            self.samples.pop_front();
        }
    }

    /// Writes per second, over the last seconds.
    fn rate(&self) -> f64 {
        let (Some(first), Some(last)) = (self.samples.front(), self.samples.back()) else {
            return 0.0;
        };
        let seconds = (last.0 - first.0).as_secs_f64();
        if seconds > 0.0 {
            (last.1 - first.1) as f64 / seconds
        } else {
            0.0
        }
    }

    fn note(&mut self, text: String) {
        self.notices.push_back(text);
        if self.notices.len() > NOTICES {
            self.notices.pop_front();
        }
    }

    /// `3 Running, 1 Pending`, or `none`.
    fn pods(&self) -> String {
        let counts: Vec<_> = self
            .phases
            .iter()
            .map(|(phase, count)| format!("{count} {phase}"))
            .collect();
        if counts.is_empty() {
            "none".to_owned()
        } else {
            counts.join(", ")
        }
    }

    fn lines(&self) -> Vec<String> {
        let mut lines = vec![format!("orrery on {}", self.api), String::new()];
        lines.extend(ps::table(&self.components).to_string().lines().map(str::to_owned));
        lines.push(String::new());
        lines.push(format!("Nodes      {} of {} ready", self.ready_nodes, self.nodes));
        lines.push(format!("Pods       {}", self.pods()));
        lines.push(format!(
            "Revision   {} ({:.1} writes/s)",
            self.revision,
            self.rate()
        ));
        lines.push(String::new());
        lines.extend(self.notices.iter().cloned());
        lines.push("Ctrl-C stops the cluster; its state stays.".to_owned());
        lines
    }
}

fn is_ready(node: &Node) -> bool {
    let conditions = node.status.as_ref().map_or(&[][..], |status| &status.conditions);
    conditions
        .iter()
        .any(|condition| condition.r#type == "Ready" && condition.status == "True")
}

fn phase(pod: &Pod) -> String {
    if pod.meta().deletion_timestamp.is_some() {
        return "Terminating".to_owned();
    }
    let phase = pod.status.as_ref().map_or("", |status| status.phase.as_str());
    if phase.is_empty() {
        "Pending".to_owned()
    } else {
        phase.to_owned()
    }
}

/// Keeps of a Pod what is counted.
fn project_pod(pod: &mut Pod) {
    let phase = pod.status.take().unwrap_or_default().phase;
    let meta = std::mem::take(pod.metadata_mut());
    *pod = Pod {
        status: Some(PodStatus {
            phase,
            ..PodStatus::default()
        }),
        ..Pod::default()
    };
    let kept = pod.metadata_mut();
    (kept.name, kept.namespace, kept.deletion_timestamp) =
        (meta.name, meta.namespace, meta.deletion_timestamp);
}

/// Keeps of a Node what is counted.
fn project_node(node: &mut Node) {
    let conditions = node.status.take().unwrap_or_default().conditions;
    let name = std::mem::take(&mut node.metadata_mut().name);
    *node = Node {
        status: Some(NodeStatus {
            conditions,
            ..NodeStatus::default()
        }),
        ..Node::default()
    };
    node.metadata_mut().name = name;
}

/// Shows the cluster until the supervisor has no more to say.
pub(super) async fn show(
    api: &str,
    mut components: Vec<Component>,
    mut notices: mpsc::Receiver<Notice>,
    clock: &Clock,
) -> Result<()> {
    let client = Client::new(
        &ClientConfig::new(api, "orrery-up"),
        clock.clone(),
        Seed::from_entropy(),
    )?;
    let mut cache = Cache::new([
        Watch::projected::<Pod>(project_pod),
        Watch::projected::<Node>(project_node),
    ]);
    let mut informer = Informer::spawn(&client, vec![target::<Pod>(), target::<Node>()]);
    let mut picture = Picture {
        api: api.to_owned(),
        ..Picture::default()
    };
    let mut screen = std::io::stdout().is_terminal().then(Screen::default);
    let mut told = String::new();
    let mut next = clock.now() + PERIOD;
    loop {
        tokio::select! {
            notice = notices.recv() => {
                let Some(notice) = notice else { break };
                apply(&notice, &mut components);
                match &mut screen {
                    Some(_) => picture.note(line(&notice)),
                    None => println!("orrery: {}", line(&notice)),
                }
            }
            delta = informer.next() => {
                let Some(delta) = delta else { break };
                if let Err(error) = cache.apply(&delta) {
                    // A picture that lacks an object is no reason to stop the cluster.
                    tracing::warn!(%error, "an object does not decode");
                }
            }
            () = clock.sleep_until(next) => {
                next = clock.now() + PERIOD;
                if cache.synced() {
                    picture.observe(&cache, clock.now());
                }
                if let Some(screen) = &mut screen {
                    picture.components = ps::ask_all(components.clone(), clock).await;
                    screen.draw(&picture.lines())?;
                } else {
                    let now = format!("{} of {} nodes ready; pods: {}", picture.ready_nodes, picture.nodes, picture.pods());
                    if cache.synced() && now != told {
                        println!("orrery: {now}");
                        told = now;
                    }
                }
            }
        }
    }
    Ok(())
}

fn apply(notice: &Notice, components: &mut [Component]) {
    let (name, pid) = match notice {
        Notice::Started { name, pid, .. } => (name, Some(*pid)),
        Notice::Died { name, .. } | Notice::Failed { name, .. } => (name, None),
    };
    for component in components.iter_mut().filter(|component| component.name == *name) {
        component.restarts += u32::from(matches!(notice, Notice::Started { again: true, .. }));
        component.pid = pid;
    }
}

/// The part of the terminal that is drawn over and over.
#[derive(Default)]
struct Screen {
    drawn: u16,
}

impl Screen {
    fn draw(&mut self, lines: &[String]) -> Result<()> {
        let mut out = std::io::stdout().lock();
        let width = usize::from(terminal::size().map_or(80, |(columns, _)| columns));
        if self.drawn > 0 {
            out.queue(cursor::MoveToPreviousLine(self.drawn))?;
        }
        out.queue(terminal::Clear(terminal::ClearType::FromCursorDown))?;
        for line in lines {
            // A line that wraps would put the cursor somewhere else next time.
            let cut: String = line.chars().take(width.saturating_sub(1)).collect();
            writeln!(out, "{cut}")?;
        }
        self.drawn = u16::try_from(lines.len()).unwrap_or(u16::MAX);
        Ok(out.flush()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_picture_tells_components_nodes_pods_and_rate() {
        let now = Clock::system().now();
        let picture = Picture {
            api: "127.0.0.1:7443".into(),
            components: Vec::new(),
            nodes: 3,
            ready_nodes: 2,
            phases: [("Running".to_owned(), 5)].into(),
            revision: 50,
            samples: [(now, 40), (now + Duration::from_secs(2), 50)].into(),
            notices: ["scheduler started again (pid 7)".to_owned()].into(),
        };
        let text = picture.lines().join("\n");
        for part in [
            "scheduler started again",
            "2 of 3 ready",
            "5 Running",
            "50 (5.0 writes/s)",
        ] {
            assert!(text.contains(part), "{part:?} in\n{text}");
        }
    }

    #[test]
    fn what_is_kept_of_an_object_is_what_is_counted() {
        let mut pod = Pod {
            spec: Some(Default::default()),
            ..Pod::default()
        };
        pod.metadata_mut().name = "web".into();
        pod.status.get_or_insert_default().phase = "Running".into();
        project_pod(&mut pod);
        assert_eq!(
            (phase(&pod).as_str(), pod.name(), &pod.spec),
            ("Running", "web", &None)
        );
    }
}
