//! Who writes and why: the metadata keys `orrery-actor` and `orrery-cause`.
//!
//! What a client sends is kept in the log for ever, so that it is bounded and checked here, once.

use super::{failure, to_tonic};
use tonic::metadata::{MetadataMap, MetadataValue};

/// The metadata key that names the writer.
pub const ACTOR_KEY: &str = "orrery-actor";

/// The metadata key for the revision that the writer acted on.
pub const CAUSE_KEY: &str = "orrery-cause";

/// The actor of a call that names none, as Kubernetes has it.
pub const ANONYMOUS: &str = "system:anonymous";

/// The longest actor in bytes. Kubernetes' longest usual names are those of service accounts:
/// `system:serviceaccount:` and two DNS labels of 63.
const MAX_ACTOR_BYTES: usize = 160;

/// Who makes a call, and which revision made it do so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// A component's name, or a user's; visible ASCII.
    pub actor: String,
    /// The revision that the caller acted on; 0 when nothing but its own will caused the call.
    pub cause: i64,
}

impl Caller {
    /// A caller that acts of its own will.
    pub fn new(actor: impl Into<String>) -> Self {
        Self {
            actor: actor.into(),
            cause: 0,
        }
    }

    /// The same caller, acting because of `revision`.
    pub fn because_of(&self, revision: i64) -> Self {
        Self {
            actor: self.actor.clone(),
            cause: revision,
        }
    }

    /// Reads a request's metadata. A call that names no actor is [`ANONYMOUS`]'s.
    ///
    /// # Errors
    /// `BadRequest` for an actor that is empty, too long or not visible ASCII, and for a cause that is no revision.
    #[allow(clippy::result_large_err, reason = "handlers return tonic::Status as it is")]
    pub fn from_metadata(metadata: &MetadataMap) -> Result<Self, tonic::Status> {
        let bad = |message: String| to_tonic(failure("BadRequest", message));
        let actor = match metadata.get(ACTOR_KEY) {
            None => ANONYMOUS,
            Some(value) => value.to_str().ok().filter(|a| is_actor(a)).ok_or_else(|| {
                bad(format!(
                    "metadata {ACTOR_KEY} must be 1 to {MAX_ACTOR_BYTES} visible ASCII characters"
                ))
            })?,
        };
        let cause = match metadata.get(CAUSE_KEY) {
            None => 0,
            Some(value) => value
                .to_str()
                .ok()
                .and_then(|text| text.parse().ok())
                .filter(|cause| *cause >= 0)
                .ok_or_else(|| bad(format!("metadata {CAUSE_KEY} must be a revision: 0 or more")))?,
        };
        Ok(Self {
            actor: actor.to_owned(),
            cause,
        })
    }

    /// Writes a request's metadata. An actor that no server would take is left out.
    pub fn apply(&self, metadata: &mut MetadataMap) {
        if is_actor(&self.actor)
            && let Ok(value) = MetadataValue::try_from(self.actor.as_str())
        {
            metadata.insert(ACTOR_KEY, value);
        }
        if self.cause > 0 {
            metadata.insert(CAUSE_KEY, MetadataValue::from(self.cause));
        }
    }
}

fn is_actor(text: &str) -> bool {
    (1..=MAX_ACTOR_BYTES).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tonic::Code;

    #[test]
    fn a_caller_survives_its_metadata() {
        for caller in [
            Caller::new("scheduler"),
            Caller::new("controller-manager/replicaset").because_of(42),
        ] {
            let mut metadata = MetadataMap::new();
            caller.apply(&mut metadata);
            assert_eq!(Caller::from_metadata(&metadata).unwrap(), caller);
        }
        assert_eq!(
            Caller::from_metadata(&MetadataMap::new()).unwrap(),
            Caller::new(ANONYMOUS)
        );
    }

    #[test]
    fn bad_metadata_is_refused_with_its_key() {
        let long = "x".repeat(MAX_ACTOR_BYTES + 1);
        for (key, value) in [
            (ACTOR_KEY, ""),
            (ACTOR_KEY, "two words"),
            (ACTOR_KEY, &long),
            (CAUSE_KEY, "-1"),
            (CAUSE_KEY, "soon"),
            (CAUSE_KEY, "99999999999999999999"),
        ] {
            let mut metadata = MetadataMap::new();
            metadata.insert(key, value.parse().unwrap());
            let error = Caller::from_metadata(&metadata).unwrap_err();
            assert_eq!(error.code(), Code::InvalidArgument, "{value}");
            assert!(error.message().contains(key), "{}", error.message());
        }
    }
}
