//! Checks who depends on whom in this house.
//!
//! In: `cargo metadata`. Out: nothing, or every arrow that should not be there. [`HOUSE`] is the table of
//! ARCHITECTURE.md in code; a new crate gets a row here, or the check refuses it.
//! Development dependencies are free: a test may look at anything that cargo lets it.

use anyhow::{Result, bail};
use cargo_metadata::{DependencyKind, MetadataCommand};

/// A crate of ours, and which others of ours it may depend on.
const HOUSE: &[(&str, &[&str])] = &[
    ("proto", &[]),
    ("apimachinery", &["proto"]),
    ("component-base", &["proto"]),
    ("storage", &["proto", "apimachinery", "component-base"]),
    ("client", &["proto", "apimachinery", "component-base"]),
    ("apiextensions", &["proto", "apimachinery"]),
    (
        "apiserver",
        &[
            "proto",
            "apimachinery",
            "component-base",
            "storage",
            "apiextensions",
        ],
    ),
    ("controller-manager", COMPONENT),
    ("scheduler", COMPONENT),
    ("kubelet-sim", COMPONENT),
    (
        "orrery",
        &[
            "proto",
            "apimachinery",
            "component-base",
            "client",
            "apiserver",
            "controller-manager",
            "scheduler",
            "kubelet-sim",
        ],
    ),
    (
        "orrery-test",
        &[
            "proto",
            "apimachinery",
            "component-base",
            "client",
            "apiserver",
            "controller-manager",
            "scheduler",
            "kubelet-sim",
        ],
    ),
    (
        "tests",
        &[
            "proto",
            "apimachinery",
            "component-base",
            "storage",
            "client",
            "apiextensions",
            "apiserver",
            "controller-manager",
            "scheduler",
            "kubelet-sim",
            "orrery",
            "orrery-test",
        ],
    ),
    ("xtask", &[]),
];

/// What a component knows: the API, through the client. Never the store, and never another component.
const COMPONENT: &[&str] = &["proto", "apimachinery", "component-base", "client"];

/// What a crate of ours must not know, and why: crate, dependency, reason.
const BANNED: &[(&str, &str, &str)] = &[
    ("apimachinery", "tokio", "it is pure: no async, no clock"),
    ("apimachinery", "tonic", "it is pure: no network"),
    (
        "apimachinery",
        "proto/grpc",
        "it is pure: the feature brings tonic",
    ),
    ("apiextensions", "tokio", "it is pure: no async, no clock"),
    ("proto", "tokio", "messages need no runtime"),
];

/// A crate of ours with what it directly depends on, as a program (not in its tests). A feature that it switches on in
/// a dependency is listed as `dependency/feature`.
struct Crate {
    name: String,
    depends_on: Vec<String>,
}

/// Fails with every arrow that should not be there.
pub(crate) fn run() -> Result<()> {
    let graph = graph()?;
    let faults = faults(&graph);
    if !faults.is_empty() {
        bail!(
            "the house has arrows that it should not have:\n  {}",
            faults.join("\n  ")
        );
    }
    println!("{} crates, and every arrow is where it should be", graph.len());
    Ok(())
}

fn graph() -> Result<Vec<Crate>> {
    let metadata = MetadataCommand::new().no_deps().exec()?;
    let crates = metadata.workspace_packages().into_iter().map(|package| {
        let dependencies = package
            .dependencies
            .iter()
            .filter(|dependency| dependency.kind != DependencyKind::Development);
        Crate {
            name: package.name.to_string(),
            depends_on: dependencies
                .flat_map(|dependency| {
                    let features = dependency.features.iter();
                    let features = features.map(|feature| format!("{}/{feature}", dependency.name));
                    std::iter::once(dependency.name.clone()).chain(features)
                })
                .collect(),
        }
    });
    Ok(crates.collect())
}

/// Every arrow that should not be there, in words.
fn faults(graph: &[Crate]) -> Vec<String> {
    let mut faults = Vec::new();
    for Crate { name, depends_on } in graph {
        let Some((_, allowed)) = HOUSE.iter().find(|(row, _)| row == name) else {
            faults.push(format!(
                "{name} has no row in xtask/src/arrows.rs: say what it may depend on"
            ));
            continue;
        };
        for dependency in depends_on {
            let ours = HOUSE.iter().any(|(row, _)| row == dependency);
            if ours && !allowed.contains(&dependency.as_str()) {
                faults.push(format!(
                    "{name} → {dependency}: it may depend on {}",
                    list(allowed)
                ));
            }
            let banned = BANNED
                .iter()
                .filter(|(who, what, _)| who == name && what == dependency);
            faults.extend(banned.map(|(who, what, why)| format!("{who} → {what}: {why}")));
        }
    }
    faults
}

fn list(names: &[&str]) -> String {
    if names.is_empty() {
        "none of ours".into()
    } else {
        names.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_forbidden_arrow_is_named() {
        for (name, depends_on, expected) in [
            ("proto", &["prost", "tonic"][..], None),
            (
                "proto",
                &["apimachinery"],
                Some("proto → apimachinery: it may depend on none of ours"),
            ),
            ("apimachinery", &["proto", "serde"], None),
            (
                "apimachinery",
                &["tokio"],
                Some("apimachinery → tokio: it is pure"),
            ),
            (
                "apimachinery",
                &["tonic"],
                Some("apimachinery → tonic: it is pure"),
            ),
            (
                "apimachinery",
                &["proto", "proto/grpc"],
                Some("apimachinery → proto/grpc"),
            ),
            (
                "apimachinery",
                &["component-base"],
                Some("apimachinery → component-base"),
            ),
            (
                "component-base",
                &["apimachinery"],
                Some("component-base → apimachinery"),
            ),
            ("apiserver", &["storage", "proto/grpc", "tokio"], None),
            ("apiserver", &["client"], Some("apiserver → client")),
            ("scheduler", &["client"], None),
            ("scheduler", &["storage"], Some("scheduler → storage")),
            ("scheduler", &["apiserver"], Some("scheduler → apiserver")),
            (
                "kubelet-sim",
                &["controller-manager"],
                Some("kubelet-sim → controller-manager"),
            ),
            ("orrery", &["apiserver", "scheduler"], None),
            ("orrery", &["storage"], Some("orrery → storage")),
            ("tests", &["storage", "orrery"], None),
            ("xtask", &["proto"], Some("xtask → proto")),
            ("planetarium", &[], Some("planetarium has no row")),
        ] {
            let graph = [Crate {
                name: name.into(),
                depends_on: depends_on.iter().map(ToString::to_string).collect(),
            }];
            match (faults(&graph).as_slice(), expected) {
                ([], None) => {}
                ([fault], Some(start)) => assert!(fault.starts_with(start), "{fault}"),
                (found, _) => panic!("{name} → {depends_on:?}: {found:?}"),
            }
        }
    }

    #[test]
    fn nothing_in_the_table_is_allowed_in_both_directions() {
        let allows = |from: &str, to: &str| {
            HOUSE
                .iter()
                .any(|(row, to_all)| *row == from && to_all.contains(&to))
        };
        for (from, allowed) in HOUSE {
            for to in *allowed {
                assert!(!allows(to, from), "{from} ⇄ {to}");
            }
        }
    }
}
