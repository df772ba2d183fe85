//! Faults that people ask for: crashes, nodes that are cut off, nodes that are taken out.
//!
//! A stopped node does nothing until it is resumed, as when its network is cut. A removed one is gone for this process;
//! the next process stands for it again, as a machine that is switched on again.

use super::outbox::Item;
use super::record::PodRecord;
use super::{Kubelet, vacate};
use crate::node::Presence;
use crate::pod::{Images, crash_container, crash_pod};
use client::ObjectKey;
use jiff::Timestamp;
use proto::api::core::v1 as core;
use std::sync::Arc;

/// Why a fault cannot be done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FaultError {
    /// The process has no such node.
    #[error("node {0:?} is not one of this process' nodes; ListNodes names them")]
    NoNode(String),
    /// No such pod runs here.
    #[error("pod {0} does not run on any of this process' nodes")]
    NoPod(String),
    /// The pod has no such container.
    #[error("pod {0} has no container {1:?}")]
    NoContainer(String, String),
    /// The container does not run, so it cannot crash.
    #[error("container {1:?} of pod {0} does not run now")]
    NotRunning(String, String),
    /// The node is cut off: nothing that happens on it could be seen.
    #[error("node {0:?} is stopped; resume it first")]
    Stopped(String),
}

/// What a node is doing, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeSummary {
    /// Its name.
    pub name: Arc<str>,
    /// Whether it is cut off.
    pub stopped: bool,
    /// How many pods run on it.
    pub pods: u32,
}

impl Kubelet {
    /// The nodes, in the order of their names; those that were removed are not among them.
    pub fn summaries(&self) -> Vec<NodeSummary> {
        let there = self
            .nodes
            .iter()
            .filter(|node| node.presence != Presence::Removed);
        let mut list: Vec<_> = there
            .map(|node| NodeSummary {
                name: node.name.clone(),
                stopped: node.stopped,
                pods: node.pods,
            })
            .collect();
        list.sort_by(|a, b| a.name.cmp(&b.name));
        list
    }

    fn node_index(&self, name: &str) -> Result<usize, FaultError> {
        let index = self.by_name.get(name).copied();
        index
            .filter(|index| self.nodes[*index].presence != Presence::Removed)
            .ok_or_else(|| FaultError::NoNode(name.to_owned()))
    }

    /// Cuts a node off, as when its network is: no leases, no statuses, nothing.
    ///
    /// # Errors
    /// No such node.
    pub fn stop_node(&mut self, name: &str) -> Result<(), FaultError> {
        let index = self.node_index(name)?;
        self.nodes[index].stopped = true;
        let own: Vec<ObjectKey> = self.pods_of(index);
        for key in own {
            if let Some(due) = self.pods.get_mut(&key).and_then(|record| record.due.take()) {
                self.due.remove(&(due, key));
            }
        }
        Ok(())
    }

    /// Lets a node go on. What was deleted meanwhile stops now.
    ///
    /// # Errors
    /// No such node.
    pub fn resume_node(&mut self, name: &str, now: Timestamp) -> Result<(), FaultError> {
        let index = self.node_index(name)?;
        self.nodes[index].stopped = false;
        if self.nodes[index].presence == Presence::Registered {
            self.nodes[index].ready_since = now;
            self.outbox.push(Item::Status(index));
            self.outbox.push(Item::Lease(index));
        }
        for key in self.pods_of(index) {
            self.process(&key, now);
        }
        Ok(())
    }

    /// Takes a node out, with all that runs on it.
    ///
    /// # Errors
    /// No such node.
    pub fn remove_node(&mut self, name: &str) -> Result<(), FaultError> {
        let index = self.node_index(name)?;
        for key in self.pods_of(index) {
            self.forget(&key);
        }
        self.nodes[index].presence = Presence::Removed;
        self.nodes[index].images = Images::new();
        self.outbox.push(Item::DeleteNode(index));
        self.outbox.push(Item::DeleteLease(index));
        Ok(())
    }

    fn pods_of(&self, node: usize) -> Vec<ObjectKey> {
        let own = self.pods.iter().filter(|(_, record)| record.node == node);
        let mut keys: Vec<ObjectKey> = own.map(|(key, _)| key.clone()).collect();
        keys.sort_unstable();
        keys
    }

    fn faulty_pod(&mut self, namespace: &str, name: &str) -> Result<(ObjectKey, &mut PodRecord), FaultError> {
        let key = ObjectKey::new::<core::Pod>(namespace, name);
        let no_pod = || FaultError::NoPod(format!("{namespace}/{name}"));
        let record = self.pods.get_mut(&key).ok_or_else(no_pod)?;
        let node = &self.nodes[record.node];
        if node.stopped {
            return Err(FaultError::Stopped(node.name.to_string()));
        }
        Ok((key, record))
    }

    /// Ends one container of a pod; the first main one when `container` is empty.
    ///
    /// # Errors
    /// No such pod or container, or it does not run.
    pub fn crash_container(
        &mut self,
        namespace: &str,
        name: &str,
        container: &str,
        code: i32,
        now: Timestamp,
    ) -> Result<(), FaultError> {
        let pod = format!("{namespace}/{name}");
        let (key, record) = self.faulty_pod(namespace, name)?;
        let containers = &record.program.containers;
        let index = if container.is_empty() {
            record.program.init
        } else {
            let place = containers.iter().position(|cp| *cp.name == *container);
            place.ok_or_else(|| FaultError::NoContainer(pod.clone(), container.to_owned()))?
        };
        let crashed = record
            .state
            .as_mut()
            .is_some_and(|state| crash_container(state, index, code, now));
        if !crashed {
            let container = containers.get(index).map_or(container, |cp| &cp.name);
            return Err(FaultError::NotRunning(pod, container.to_owned()));
        }
        record.dirty = true;
        self.process(&key, now);
        Ok(())
    }

    /// Ends a pod and leaves it Failed.
    ///
    /// # Errors
    /// No such pod, or it has ended already.
    pub fn crash_pod(&mut self, namespace: &str, name: &str, now: Timestamp) -> Result<(), FaultError> {
        let (key, record) = self.faulty_pod(namespace, name)?;
        if !record.state.as_mut().is_some_and(|state| crash_pod(state, now)) {
            return Err(FaultError::NotRunning(
                format!("{namespace}/{name}"),
                String::new(),
            ));
        }
        record.dirty = true;
        if let Some(record) = self.pods.get_mut(&key) {
            vacate(&mut self.nodes[record.node], record);
        }
        self.process(&key, now);
        Ok(())
    }
}
