//! Simple JSON paths: fields only, as `.spec['a.b'].c`.

use crate::node::Node;

/// The fields of a path; `None` when it is not a simple one.
pub(crate) fn steps(path: &str) -> Option<Vec<String>> {
    let mut steps = Vec::new();
    let mut rest = path.trim();
    while !rest.is_empty() {
        if let Some(tail) = rest.strip_prefix("['") {
            let (name, tail) = tail.split_once("']")?;
            steps.push(name.into());
            rest = tail;
        } else {
            let tail = rest.strip_prefix('.')?;
            let end = tail.find(['.', '[']).unwrap_or(tail.len());
            let (name, tail) = tail.split_at(end);
            if name.is_empty() {
                return None;
            }
            steps.push(name.into());
            rest = tail;
        }
    }
    Some(steps)
}

/// The node that a path leads to.
pub(crate) fn find<'n>(root: &'n Node, steps: &[String]) -> Option<&'n Node> {
    steps.iter().try_fold(root, |node, step| node.field(step))
}

#[cfg(test)]
mod tests {
    use super::steps;

    #[test]
    fn a_simple_path_is_its_fields_and_any_other_is_none() {
        for (path, wanted) in [
            (".spec.replicas", Some(vec!["spec", "replicas"])),
            (".a['b.c'].d", Some(vec!["a", "b.c", "d"])),
            ("spec", None),
            (".a..b", None),
            (".a[0]", None),
            (".", None),
        ] {
            let wanted = wanted.map(|all| all.into_iter().map(String::from).collect());
            assert_eq!(steps(path), wanted, "{path}");
        }
    }
}
