//! [`Places`]: the nodes by the value that they have for one label.

use super::super::Slot;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// Names a value of a topology key while some node has it.
pub type Domain = u32;

/// The domain of a node that lacks the label, or is not there.
pub const NOWHERE: Domain = Domain::MAX;

/// One topology key's domains.
#[derive(Clone, Debug)]
pub struct Places {
    /// The label.
    pub key: Arc<str>,
    /// By slot.
    domain_of: Vec<Domain>,
    /// By domain: how many nodes have it.
    nodes_in: Vec<u32>,
    values: HashMap<Arc<str>, Domain>,
    names: Vec<Arc<str>>,
    free: Vec<Domain>,
    labelled: usize,
}

impl Places {
    pub(super) fn new(key: Arc<str>) -> Self {
        Self {
            key,
            domain_of: Vec::new(),
            nodes_in: Vec::new(),
            values: HashMap::new(),
            names: Vec::new(),
            free: Vec::new(),
            labelled: 0,
        }
    }

    /// The domain of the node in a slot.
    pub fn of(&self, slot: Slot) -> Domain {
        self.domain_of[slot as usize]
    }

    /// Every node's domain, by slot.
    pub fn all(&self) -> &[Domain] {
        &self.domain_of
    }

    /// By domain, how many nodes are in it. Those with none are not there.
    pub fn sizes(&self) -> &[u32] {
        &self.nodes_in
    }

    /// How many nodes have the label.
    pub fn labelled(&self) -> usize {
        self.labelled
    }

    pub(super) fn grow(&mut self, slots: usize) {
        if self.domain_of.len() < slots {
            self.domain_of.resize(slots, NOWHERE);
        }
    }

    /// Whether a node with these labels would be in another domain.
    pub(super) fn moves(&self, slot: Slot, labels: &BTreeMap<String, String>) -> bool {
        let value = labels.get(&*self.key);
        let domain = value.and_then(|value| self.values.get(value.as_str()));
        match (domain, value) {
            (Some(domain), _) => *domain != self.of(slot),
            (None, Some(_)) => true,
            (None, None) => self.of(slot) != NOWHERE,
        }
    }

    /// Puts a node where its labels say.
    pub(super) fn put(&mut self, slot: Slot, labels: &BTreeMap<String, String>) {
        let before = self.of(slot);
        let value = labels.get(&*self.key);
        // The new one first: so that a domain is not given up and made again.
        let domain = value.map_or(NOWHERE, |value| self.domain(value));
        if domain != NOWHERE {
            self.nodes_in[domain as usize] += 1;
            self.labelled += 1;
        }
        if before != NOWHERE {
            self.labelled -= 1;
            let left = &mut self.nodes_in[before as usize];
            *left -= 1;
            if *left == 0 {
                self.values.remove(&self.names[before as usize]);
                self.free.push(before);
            }
        }
        self.domain_of[slot as usize] = domain;
    }

    fn domain(&mut self, value: &str) -> Domain {
        if let Some(domain) = self.values.get(value) {
            return *domain;
        }
        let name: Arc<str> = value.into();
        let domain = if let Some(domain) = self.free.pop() {
            self.names[domain as usize] = name.clone();
            domain
        } else {
            self.names.push(name.clone());
            self.nodes_in.push(0);
            (self.names.len() - 1) as Domain
        };
        self.values.insert(name, domain);
        domain
    }
}
