//! [`Resources`]: amounts of what nodes give and Pods take.

use super::Amounts;
use crate::quantity::Quantity;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Amounts by resource. Those that every node has are fields of their own, as almost no Pod asks for others.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Resources {
    /// Thousandths of a core.
    pub cpu: i64,
    /// Bytes.
    pub memory: i64,
    /// Bytes.
    pub ephemeral_storage: i64,
    /// All others by name, in whole units. Never 0.
    pub extended: BTreeMap<Arc<str>, i64>,
}

impl Resources {
    /// Reads amounts. `pods` is no resource that a Pod asks for, and is left out.
    pub fn of(amounts: &Amounts) -> Self {
        let mut resources = Self::default();
        for (name, amount) in amounts {
            match name.as_str() {
                "cpu" => resources.cpu = amount.milli_value(),
                "memory" => resources.memory = amount.value(),
                "ephemeral-storage" => resources.ephemeral_storage = amount.value(),
                "pods" => {}
                _ if amount.is_zero() => {}
                other => _ = resources.extended.insert(other.into(), amount.value()),
            }
        }
        resources
    }

    /// Whether nothing is asked for.
    pub fn is_empty(&self) -> bool {
        self.cpu == 0 && self.memory == 0 && self.ephemeral_storage == 0 && self.extended.is_empty()
    }

    /// How much there is of an extended resource.
    pub fn extended(&self, name: &str) -> i64 {
        self.extended.get(name).copied().unwrap_or(0)
    }

    /// Adds amounts.
    pub fn add(&mut self, more: &Self) {
        self.change(more, 1);
    }

    /// Takes amounts away that were added before.
    pub fn subtract(&mut self, less: &Self) {
        self.change(less, -1);
    }

    fn change(&mut self, by: &Self, sign: i64) {
        self.cpu += sign * by.cpu;
        self.memory += sign * by.memory;
        self.ephemeral_storage += sign * by.ephemeral_storage;
        for (name, amount) in &by.extended {
            let sum = self.extended(name) + sign * amount;
            if sum == 0 {
                self.extended.remove(name);
            } else {
                self.extended.insert(name.clone(), sum);
            }
        }
    }
}

/// What a node gives: amounts, and how many Pods it may hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Allocatable {
    /// Amounts.
    pub resources: Resources,
    /// How many Pods.
    pub pods: i64,
}

impl Allocatable {
    /// Reads `status.allocatable`. What cannot be read counts as nothing; validation has refused it.
    pub fn of(list: &BTreeMap<String, proto::Quantity>) -> Self {
        let readable = |(name, amount): (&String, &proto::Quantity)| {
            Some((name.clone(), Quantity::try_from(amount).ok()?))
        };
        let amounts: Amounts = list.iter().filter_map(readable).collect();
        Self {
            pods: amounts.get("pods").map_or(0, Quantity::value),
            resources: Resources::of(&amounts),
        }
    }
}
