//! Walks a snapshot of one kind's objects in key order, a part at a time: for pages of a list and for the initial state
//! of a watch.

use crate::event::{Stored, damaged};
use crate::filter::Target;
use crate::objects::KindObjects;
use crate::store::{Key, StoreError};

/// A walk over the objects that one of the targets asks for. All targets are of the snapshot's kind.
#[derive(Debug)]
pub(crate) struct Scan {
    objects: KindObjects,
    targets: Vec<Target>,
    /// The last key that was given.
    last: Option<Key>,
    /// Whether the end was reached.
    done: bool,
}

/// How much is taken at a time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    /// Objects found.
    pub(crate) objects: usize,
    /// Their bytes; the last object may go beyond.
    pub(crate) bytes: usize,
    /// Objects looked at.
    pub(crate) effort: usize,
}

impl Scan {
    /// Starts after `last`, or with the first object.
    pub(crate) fn new(objects: KindObjects, targets: Vec<Target>, last: Option<Key>) -> Self {
        Self {
            objects,
            targets,
            last,
            done: false,
        }
    }

    /// Whether there is nothing more.
    pub(crate) fn is_done(&self) -> bool {
        self.done
    }

    /// The next matching objects. An empty part does not mean the end: see [`Scan::is_done`].
    pub(crate) fn next(&mut self, step: Step) -> Result<Vec<(Key, Stored)>, StoreError> {
        let mut found = Vec::new();
        let mut bytes = 0;
        let mut stopped = false;
        let mut last = None;
        for (looked, (key, object)) in
            candidates(&self.objects, &self.targets, self.last.as_ref()).enumerate()
        {
            if found.len() == step.objects || bytes >= step.bytes || looked == step.effort {
                stopped = true;
                break;
            }
            last = Some(key);
            if matches(&self.targets, key, object)? {
                bytes += object.bytes.len();
                found.push((key.clone(), object.clone()));
            }
        }
        if let Some(last) = last.cloned() {
            self.last = Some(last);
        }
        self.done = !stopped;
        Ok(found)
    }

    /// How many objects follow, selectors or not.
    pub(crate) fn count_rest(&self) -> usize {
        candidates(&self.objects, &self.targets, self.last.as_ref()).count()
    }
}

/// Whether one of the targets, all of the object's kind, asks for the object.
pub(crate) fn matches(targets: &[Target], key: &Key, object: &Stored) -> Result<bool, StoreError> {
    for target in targets {
        if target.covers(key)
            && target
                .selects(&object.bytes)
                .map_err(|error| damaged(key, object.revision, error))?
        {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The objects after `last` that could match: by an index where the only target has one, else by the keys' prefix.
fn candidates<'a>(
    objects: &'a KindObjects,
    targets: &[Target],
    last: Option<&'a Key>,
) -> Box<dyn Iterator<Item = (&'a Key, &'a Stored)> + 'a> {
    let Some(first) = targets.first() else {
        return Box::new(std::iter::empty());
    };
    let (start, prefix, indexed) = if let [only] = targets {
        (only.first_key(), only.prefix(), only.indexed())
    } else {
        // Several targets of a kind are rare; the walk then is over the whole kind.
        let kind = Target::all(first.kind);
        (kind.first_key(), kind.prefix(), None)
    };
    let start = last.cloned().unwrap_or(start);
    let is_new = move |(key, _): &(&Key, &Stored)| Some(*key) != last;
    match indexed {
        Some(wanted) if objects.has_indexes() => {
            Box::new(objects.indexed(wanted, prefix, start).filter(is_new))
        }
        _ => Box::new(objects.range(prefix, start).filter(is_new)),
    }
}
