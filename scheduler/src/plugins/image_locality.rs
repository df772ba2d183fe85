//! ImageLocality: prefers nodes that hold the Pod's images already.
//!
//! Score. Each image that a node holds counts by its size, times the share of all nodes that hold it: so that Pods do not crowd the one
//! node that happens to have an image. Below 23 MB it counts for nothing; from 1000 MB a container on, it counts in full.
//! <https://kubernetes.io/docs/reference/scheduling/config/#scheduling-plugins>

use crate::framework::{MAX_SCORE, Plugin, PreScore, Score};
use crate::pod::PodClass;
use crate::snapshot::{Node, Snapshot};
use std::hash::{DefaultHasher, Hash, Hasher};

/// Images together below this many bytes count for nothing.
const LEAST: i64 = 23 << 20;
/// What counts in full, for each container.
const MOST_A_CONTAINER: i64 = 1000 << 20;

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct ImageLocality;

/// The images that the Pod needs, and how many nodes hold each.
#[derive(Debug)]
pub struct Wanted {
    /// Name and number of nodes; once for each container that has it.
    images: Vec<(String, u32)>,
    nodes: usize,
}

impl Plugin for ImageLocality {
    fn name(&self) -> &'static str {
        "ImageLocality"
    }
}

impl PreScore for ImageLocality {
    type State<'a> = Wanted;

    /// Images that no node holds tell no node from another.
    fn pre_score<'a>(&'a self, pod: &'a PodClass, snapshot: &'a Snapshot) -> Option<Wanted> {
        let with_tag = pod.images.iter().map(|image| tagged(image));
        let images: Vec<(String, u32)> = with_tag
            .map(|image| {
                let nodes = snapshot.image_nodes(&image);
                (image, nodes)
            })
            .collect();
        let held = images.iter().any(|(_, nodes)| *nodes > 0);
        held.then_some(Wanted {
            images,
            nodes: snapshot.node_count(),
        })
    }
}

impl Score for Wanted {
    fn score(&self, node: &Node) -> i64 {
        let held = self.images.iter().filter_map(|(image, nodes)| {
            let size = *node.images.get(image.as_str())?;
            let share = f64::from(*nodes) / self.nodes as f64;
            Some((size as f64 * share) as i64)
        });
        let most = MOST_A_CONTAINER * self.images.len() as i64;
        let sum = held.sum::<i64>().clamp(LEAST, most);
        MAX_SCORE * (sum - LEAST) / (most - LEAST)
    }

    fn basis(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        (&self.images, self.nodes).hash(&mut hasher);
        hasher.finish()
    }
}

/// The image with the tag that it has when it names none.
fn tagged(image: &str) -> String {
    let name = image.rsplit('/').next().unwrap_or(image);
    if name.contains([':', '@']) {
        image.to_owned()
    } else {
        format!("{image}:latest")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{api_node, class};
    use proto::api::core::v1::ContainerImage;

    const MB: i64 = 1 << 20;

    fn cluster(nodes: &[(&str, &[(&str, i64)])]) -> Snapshot {
        let mut snapshot = Snapshot::new();
        for (name, images) in nodes {
            let mut node = api_node(name, &[("cpu", "4"), ("pods", "10")]);
            let image = |(name, size): &(&str, i64)| ContainerImage {
                names: vec![(*name).into()],
                size_bytes: *size,
            };
            node.status.get_or_insert_default().images = images.iter().map(image).collect();
            snapshot.set_node(&node);
        }
        snapshot
    }

    fn scores(images: &[&str], snapshot: &Snapshot) -> Option<Vec<i64>> {
        let mut pod = class(&[]);
        pod.images = images.iter().map(ToString::to_string).collect();
        let wanted = ImageLocality.pre_score(&pod, snapshot)?;
        Some(snapshot.slots().iter().map(|node| wanted.score(node)).collect())
    }

    #[test]
    fn nodes_that_hold_much_of_what_a_pod_needs_score_higher() {
        for (shows, nodes, images, expected) in [
            (
                "no node holds any",
                vec![("a", &[("other:1", 900 * MB)][..]), ("b", &[])],
                vec!["web:1"],
                None,
            ),
            (
                "half of the nodes hold 500 MB: a quarter of the most, less the least",
                vec![("a", &[("web:1", 500 * MB)][..]), ("b", &[])],
                vec!["web:1"],
                Some(vec![100 * (250 - 23) / (1000 - 23), 0]),
            ),
            (
                "all nodes hold it: nobody is told from another, but it counts in full",
                vec![("a", &[("web:1", 2000 * MB)][..]), ("b", &[("web:1", 2000 * MB)])],
                vec!["web:1"],
                Some(vec![100, 100]),
            ),
            (
                "small images count for nothing",
                vec![("a", &[("web:1", 20 * MB)][..]), ("b", &[])],
                vec!["web:1"],
                Some(vec![0, 0]),
            ),
            (
                "without a tag it is the latest; a registry's port is no tag",
                vec![("a", &[("host:5000/web:latest", 1000 * MB)][..])],
                vec!["host:5000/web"],
                Some(vec![100]),
            ),
            (
                "two containers: the most is twice as much",
                vec![("a", &[("web:1", 1000 * MB)][..])],
                vec!["web:1", "sidecar:1"],
                Some(vec![100 * (1000 - 23) / (2000 - 23)]),
            ),
        ] {
            assert_eq!(scores(&images, &cluster(&nodes)), expected, "{shows}");
        }
    }

    #[test]
    fn scores_are_worked_out_anew_when_another_node_holds_the_image() {
        let pod = PodClass {
            images: vec!["web:1".into()],
            ..class(&[])
        };
        let one = cluster(&[("a", &[("web:1", 500 * MB)]), ("b", &[])]);
        let two = cluster(&[("a", &[("web:1", 500 * MB)]), ("b", &[("web:1", 500 * MB)])]);
        let basis = |snapshot: &Snapshot| ImageLocality.pre_score(&pod, snapshot).unwrap().basis();
        assert_ne!(basis(&one), basis(&two));
    }
}
