//! How resources are looked at where nodes are scored: shared by the two plugins that score them.

use crate::framework::MAX_SCORE;
use crate::pod::PodClass;
use crate::snapshot::Node;

/// A resource, and how much it counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResourceWeight {
    /// `cpu`, `memory`, `example.com/gpu`.
    pub name: String,
    /// At least 1.
    pub weight: i64,
}

impl ResourceWeight {
    /// CPU and memory, which count alike: what upstream scores by default.
    pub fn defaults() -> Vec<Self> {
        ["cpu", "memory"]
            .map(|name| Self {
                name: name.into(),
                weight: 1,
            })
            .into()
    }
}

/// How much of a resource a node has, and how much of it is taken once the Pod is there. `None` where it does not count: the node
/// has none, or it is an extended resource that the Pod does not ask for. With `filled`, containers without a request count too.
pub fn share(name: &str, pod: &PodClass, node: &Node, filled: bool) -> Option<(i64, i64)> {
    let (has, taken, asked) = (&node.allocatable, &node.requested, &pod.requests);
    let (has, taken) = match name {
        "cpu" if filled => (has.cpu, node.scored[0] + pod.scored[0]),
        "memory" if filled => (has.memory, node.scored[1] + pod.scored[1]),
        "cpu" => (has.cpu, taken.cpu + asked.cpu),
        "memory" => (has.memory, taken.memory + asked.memory),
        "ephemeral-storage" => (
            has.ephemeral_storage,
            taken.ephemeral_storage + asked.ephemeral_storage,
        ),
        _ if asked.extended(name) == 0 => return None,
        _ => (has.extended(name), taken.extended(name) + asked.extended(name)),
    };
    (has != 0).then_some((has, taken))
}

/// A point of a function that is straight between its points.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShapePoint {
    /// In percent.
    pub utilization: i64,
    /// From 0 to 10.
    pub score: i64,
}

/// How upstream's points become scores.
const A_POINT: i64 = MAX_SCORE / 10;

/// The function's value, from 0 to [`MAX_SCORE`].
pub fn shape(points: &[ShapePoint], utilization: i64) -> i64 {
    let mut before: Option<&ShapePoint> = None;
    for point in points {
        if utilization <= point.utilization {
            let Some(before) = before else {
                return point.score * A_POINT;
            };
            let rise = (point.score - before.score) * A_POINT;
            return before.score * A_POINT
                + rise * (utilization - before.utilization) / (point.utilization - before.utilization);
        }
        before = Some(point);
    }
    before.map_or(0, |last| last.score * A_POINT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shape_is_straight_between_its_points() {
        let point = |utilization, score| ShapePoint { utilization, score };
        let points = [point(10, 0), point(50, 10), point(90, 5)];
        for (utilization, expected) in [
            (0, 0),
            (10, 0),
            (30, 50),
            (50, 100),
            (70, 75),
            (90, 50),
            (100, 50),
        ] {
            assert_eq!(shape(&points, utilization), expected, "{utilization}");
        }
        assert_eq!(shape(&[], 50), 0);
    }
}
