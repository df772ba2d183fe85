//! Which Kubernetes this server speaks like, and which server it is. The one home of both.

use serde::Serialize;

/// Kubernetes' version whose API this is.
const MAJOR: &str = "1";
const MINOR: &str = "35";

/// `v1.35.0+orrery.0.1.0`: what kubectl compares its own version with, and ours after it.
pub(crate) const GIT_VERSION: &str = concat!("v1.35.0+orrery.", env!("CARGO_PKG_VERSION"));

/// What `/version` answers. Clients insist on every field.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Info {
    major: &'static str,
    minor: &'static str,
    git_version: &'static str,
    git_commit: &'static str,
    git_tree_state: &'static str,
    build_date: &'static str,
    go_version: &'static str,
    compiler: &'static str,
    platform: String,
}

impl Info {
    /// Of this program.
    pub(crate) fn new() -> Self {
        let arch = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            other => other,
        };
        Self {
            major: MAJOR,
            minor: MINOR,
            git_version: GIT_VERSION,
            git_commit: "",
            git_tree_state: "",
            // Equal sources make equal programs: nothing here says when.
            build_date: "1970-01-01T00:00:00Z",
            go_version: "",
            compiler: "rustc",
            platform: format!("{}/{arch}", std::env::consts::OS),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_versions_agree() {
        assert!(GIT_VERSION.starts_with(&format!("v{MAJOR}.{MINOR}.")));
    }
}
