//! [`Delta`]: one step of what an [`Informer`](crate::informer::Informer) tells.

use crate::key::ObjectKey;
use proto::Object;
use std::sync::Arc;

/// A change, or a mark. The order of deltas is that of the revisions, except between [`Delta::Restarted`] and
/// [`Delta::Synced`].
#[derive(Clone, Debug, PartialEq)]
pub enum Delta {
    /// The informer (re)lists: until [`Delta::Synced`], what it tells leads from one revision to a later one, in no
    /// order. Hold decisions until then. Always the first delta.
    Restarted,
    /// The objects are those at this revision; from here on every change is told, in order.
    Synced(i64),
    /// Every change up to this revision has been told.
    Bookmark(i64),
    /// An object is new, or has changed.
    Upsert {
        /// The object.
        key: ObjectKey,
        /// Its new state.
        object: Object,
        /// The revision of the change; for an object found by a list, that of its last write.
        revision: i64,
        /// Who wrote. Empty for an object found by a list.
        actor: Arc<str>,
        /// The revision that the writer acted on; 0 when nothing but its own will caused the write.
        cause: i64,
    },
    /// An object is gone, or ceased to match the target's selectors.
    Delete {
        /// The object.
        key: ObjectKey,
        /// Its last state; `None` when a relist found it gone.
        object: Option<Object>,
        /// The revision of the deletion; the list's when a relist found it gone.
        revision: i64,
        /// Who deleted it. Empty when a relist found it gone.
        actor: Arc<str>,
        /// The revision that the deleter acted on; 0 when nothing but its own will caused the deletion.
        cause: i64,
    },
}
