//! [`Rejection`]: why a plugin refuses a node, or all of them.

use std::borrow::Cow;

/// What a refusal means for what is tried next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Status {
    /// Not now; evicting other Pods may help.
    Unschedulable,
    /// Not now, and evicting other Pods cannot help.
    UnschedulableAndUnresolvable,
    /// The plugin could not tell. The Pod is tried again later.
    Error,
}

/// A refusal: its meaning and its reasons, as Kubernetes words them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Rejection {
    /// What it means.
    pub status: Status,
    /// Never empty.
    pub reasons: Vec<Cow<'static, str>>,
}

impl Rejection {
    /// Evicting other Pods may help.
    pub fn unschedulable(reason: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Status::Unschedulable, reason)
    }

    /// Evicting other Pods cannot help.
    pub fn unresolvable(reason: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Status::UnschedulableAndUnresolvable, reason)
    }

    /// The plugin could not tell.
    pub fn error(reason: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Status::Error, reason)
    }

    /// Whether evicting other Pods may help.
    pub fn is_resolvable(&self) -> bool {
        self.status == Status::Unschedulable
    }

    fn new(status: Status, reason: impl Into<Cow<'static, str>>) -> Self {
        Self {
            status,
            reasons: vec![reason.into()],
        }
    }
}
