//! Which plugins stand at which extension points: the defaults, and what a profile changes of them.

use anyhow::{Result, bail};
use serde::Deserialize;

/// Where a plugin can stand. Each has a field in `plugins`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Point {
    PreEnqueue,
    QueueSort,
    Filter,
    PostFilter,
    Score,
    Reserve,
    Permit,
    PreBind,
    Bind,
}

/// A plugin: its name, where it stands, and its weight where it scores.
pub(super) struct Known {
    pub(super) name: &'static str,
    pub(super) points: &'static [Point],
    pub(super) weight: i64,
}

const fn known(name: &'static str, points: &'static [Point], weight: i64) -> Known {
    Known { name, points, weight }
}

/// Every plugin, in the order in which filters and scores are asked, all of them on by default.
pub(super) const KNOWN: &[Known] = &[
    known("SchedulingGates", &[Point::PreEnqueue], 0),
    known("PrioritySort", &[Point::QueueSort], 0),
    known("Coscheduling", &[Point::Filter, Point::Permit], 0),
    known("NodeUnschedulable", &[Point::Filter], 0),
    known("NodeName", &[Point::Filter], 0),
    known("TaintToleration", &[Point::Filter, Point::Score], 3),
    known("NodeAffinity", &[Point::Filter, Point::Score], 2),
    known("NodePorts", &[Point::Filter], 0),
    known("NodeResourcesFit", &[Point::Filter, Point::Score], 1),
    known("VolumeRestrictions", &[Point::Filter], 0),
    known("NodeVolumeLimits", &[Point::Filter], 0),
    known("VolumeBinding", VOLUME_BINDING, 0),
    known("VolumeZone", &[Point::Filter], 0),
    known("PodTopologySpread", &[Point::Filter, Point::Score], 2),
    known("InterPodAffinity", &[Point::Filter, Point::Score], 2),
    known("DefaultPreemption", &[Point::PostFilter], 0),
    known("NodeResourcesBalancedAllocation", &[Point::Score], 1),
    known("ImageLocality", &[Point::Score], 1),
    known("DefaultBinder", &[Point::Bind], 0),
];

const VOLUME_BINDING: &[Point] = &[Point::Filter, Point::Reserve, Point::PreBind];

/// Stands for all plugins.
const ALL: &str = "*";

/// A profile's `plugins`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub(super) struct PluginsConfig {
    multi_point: Changes,
    pre_enqueue: Changes,
    queue_sort: Changes,
    pre_filter: Changes,
    filter: Changes,
    post_filter: Changes,
    pre_score: Changes,
    score: Changes,
    reserve: Changes,
    permit: Changes,
    pre_bind: Changes,
    bind: Changes,
    post_bind: Changes,
}

/// What a profile changes at an extension point.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
struct Changes {
    enabled: Vec<Enabled>,
    disabled: Vec<Disabled>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Enabled {
    name: String,
    #[serde(default)]
    weight: i64,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Disabled {
    name: String,
    // Upstream reads one type for both lists, and so its examples may carry a weight.
    #[serde(default, rename = "weight")]
    _weight: i64,
}

impl Changes {
    fn disables(&self, name: &str) -> bool {
        self.disabled
            .iter()
            .any(|plugin| plugin.name == name || plugin.name == ALL)
    }

    fn enables(&self, name: &str) -> Option<&Enabled> {
        self.enabled.iter().find(|plugin| plugin.name == name)
    }
}

pub(super) fn find(name: &str) -> Option<&'static Known> {
    KNOWN.iter().find(|known| known.name == name)
}

pub(super) fn unknown(path: &str, name: &str) -> anyhow::Error {
    let names: Vec<&str> = KNOWN.iter().map(|known| known.name).collect();
    anyhow::anyhow!(
        "{path}: there is no plugin {name:?}; there are {}",
        names.join(", ")
    )
}

impl PluginsConfig {
    fn at(&self, point: Point) -> &Changes {
        match point {
            Point::PreEnqueue => &self.pre_enqueue,
            Point::QueueSort => &self.queue_sort,
            Point::Filter => &self.filter,
            Point::PostFilter => &self.post_filter,
            Point::Score => &self.score,
            Point::Reserve => &self.reserve,
            Point::Permit => &self.permit,
            Point::PreBind => &self.pre_bind,
            Point::Bind => &self.bind,
        }
    }

    fn all(&self) -> [(&'static str, &Changes, Option<Point>); 13] {
        [
            ("multiPoint", &self.multi_point, None),
            ("preEnqueue", &self.pre_enqueue, Some(Point::PreEnqueue)),
            ("queueSort", &self.queue_sort, Some(Point::QueueSort)),
            ("preFilter", &self.pre_filter, Some(Point::Filter)),
            ("filter", &self.filter, Some(Point::Filter)),
            ("postFilter", &self.post_filter, Some(Point::PostFilter)),
            ("preScore", &self.pre_score, Some(Point::Score)),
            ("score", &self.score, Some(Point::Score)),
            ("reserve", &self.reserve, Some(Point::Reserve)),
            ("permit", &self.permit, Some(Point::Permit)),
            ("preBind", &self.pre_bind, Some(Point::PreBind)),
            ("bind", &self.bind, Some(Point::Bind)),
            ("postBind", &self.post_bind, None),
        ]
    }

    /// Refuses plugins that there are not, and those that do not stand where they are enabled.
    pub(super) fn check(&self) -> Result<()> {
        for (field, changes, point) in self.all() {
            for (place, enabled) in changes.enabled.iter().enumerate() {
                let path = format!("plugins.{field}.enabled[{place}]");
                let Some(known) = find(&enabled.name) else {
                    return Err(unknown(&path, &enabled.name));
                };
                if point.is_some_and(|point| !known.points.contains(&point)) {
                    bail!("{path}: {} has no part in {field}", known.name);
                }
                if changes.enabled[..place]
                    .iter()
                    .any(|other| other.name == enabled.name)
                {
                    bail!("{path}: plugin {:?} already registered", enabled.name);
                }
                if enabled.weight < 0 {
                    bail!("{path}.weight: must not be negative");
                }
            }
            for (place, disabled) in changes.disabled.iter().enumerate() {
                if disabled.name != ALL && find(&disabled.name).is_none() {
                    return Err(unknown(
                        &format!("plugins.{field}.disabled[{place}]"),
                        &disabled.name,
                    ));
                }
            }
        }
        Ok(())
    }

    /// Whether a plugin stands at an extension point, and its weight there. What is said of the point itself goes before what is
    /// said of all points at once, and that before the defaults.
    pub(super) fn weight(&self, known: &Known, point: Point) -> Option<i64> {
        if !known.points.contains(&point) {
            return None;
        }
        // One that is enabled without a weight has 1, as upstream has it.
        let weight = |enabled: &Enabled| enabled.weight.max(1);
        let own = self.at(point);
        if let Some(enabled) = own.enables(known.name) {
            return Some(weight(enabled));
        }
        if own.disables(known.name) {
            return None;
        }
        if let Some(enabled) = self.multi_point.enables(known.name) {
            return Some(weight(enabled));
        }
        (!self.multi_point.disables(known.name)).then_some(known.weight)
    }
}
