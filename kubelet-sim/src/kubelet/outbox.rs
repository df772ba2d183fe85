//! What is to be written: names of things, each once, not the writes themselves.
//!
//! A write is made when it is sent, from the state of that moment; so under load many changes of one pod become one
//! write, and the queue is never longer than there are pods and nodes. Invariant: an item is in the queue at most once.

use client::ObjectKey;
use std::collections::{HashSet, VecDeque};

/// Something that the API does not know yet.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Item {
    /// A node's Node is to be created.
    Register(usize),
    /// A node's labels or annotations.
    Metadata(usize),
    /// A node's status.
    Status(usize),
    /// A node's lease is to be renewed.
    Lease(usize),
    /// A removed node's Node is to go.
    DeleteNode(usize),
    /// A removed node's Lease is to go.
    DeleteLease(usize),
    /// A pod's status, or its end.
    Pod(ObjectKey),
}

/// The queue.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    queue: VecDeque<Item>,
    queued: HashSet<Item>,
}

impl Outbox {
    /// Puts an item at the end, unless it waits already.
    pub(super) fn push(&mut self, item: Item) {
        if self.queued.insert(item.clone()) {
            self.queue.push_back(item);
        }
    }

    /// Takes the first.
    pub(super) fn pop(&mut self) -> Option<Item> {
        let item = self.queue.pop_front()?;
        self.queued.remove(&item);
        Some(item)
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.queue.len()
    }
}
