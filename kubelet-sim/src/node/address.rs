//! Addresses: each node has one, and a block for its pods.
//!
//! Inputs: the process' blocks, what nodes and pods have already. Output: addresses that nobody else in this process
//! has. Invariant: [`PodAddresses`] never gives out an address that is in use, and goes round its block before it gives
//! one a second time, so that nobody takes a new pod for the one that had its address just before.

use ipnet::Ipv4Net;
use std::net::Ipv4Addr;

/// Where pods live when there is one process: 65,536 blocks of 256 addresses.
const ALL_PODS: Ipv4Net = Ipv4Net::new_assert(Ipv4Addr::new(10, 0, 0, 0), 8);
/// Where nodes live when there is one process.
const ALL_NODES: Ipv4Net = Ipv4Net::new_assert(Ipv4Addr::new(172, 16, 0, 0), 12);
/// Zones divide both into so many parts: a process that has a zone takes one of them.
const ZONE_PARTS: u8 = 16;
const ZONE_BITS: u8 = 4;

/// The smallest block of a node: what most clusters give it.
const SMALLEST_BLOCK: u32 = 256;
/// Addresses that no pod gets: the block's own, its gateway's and its broadcast.
const RESERVED: u32 = 3;

/// A block that does not hold all nodes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{block} has room for {room} nodes of {each} addresses, and {nodes} are asked for; give a larger --{flag}"
)]
pub struct TooSmall {
    block: Ipv4Net,
    room: u64,
    each: u64,
    nodes: usize,
    flag: &'static str,
}

/// The process' part of `all`: processes of zones whose names end differently get different ones.
fn part_of(all: Ipv4Net, zone: &str) -> Ipv4Net {
    let Some(last) = zone.bytes().last() else {
        return all;
    };
    let part = u32::from(last % ZONE_PARTS);
    let prefix = all.prefix_len() + ZONE_BITS;
    let base = u32::from(all.network()) + (part << (32 - prefix));
    Ipv4Net::new(base.into(), prefix).expect("a few bits longer than a short prefix")
}

/// Where the pods of a process live that names no block.
pub fn default_pods(zone: &str) -> Ipv4Net {
    part_of(ALL_PODS, zone)
}

/// Where the nodes of a process live that names no block.
pub fn default_nodes(zone: &str) -> Ipv4Net {
    part_of(ALL_NODES, zone)
}

/// A block of pod addresses for each of `nodes` nodes with room for `pods` pods each.
///
/// # Errors
/// They do not fit.
pub fn pod_blocks(all: Ipv4Net, nodes: usize, pods: u32) -> Result<impl Iterator<Item = Ipv4Net>, TooSmall> {
    // Twice the room, so that an address rests before it is used again.
    let size = pods
        .saturating_add(RESERVED)
        .saturating_mul(2)
        .clamp(SMALLEST_BLOCK, 1 << 31)
        .next_power_of_two();
    let prefix = 32 - u8::try_from(size.trailing_zeros()).expect("at most 31");
    let room = if prefix < all.prefix_len() {
        0
    } else {
        1u64 << (prefix - all.prefix_len())
    };
    fits(all, nodes, room, size.into(), "pod-cidr")?;
    Ok(all.subnets(prefix.max(all.prefix_len())).expect("checked above"))
}

/// An address for each of `nodes` nodes.
///
/// # Errors
/// They do not fit.
pub fn node_addresses(all: Ipv4Net, nodes: usize) -> Result<impl Iterator<Item = Ipv4Addr>, TooSmall> {
    let room = (1u64 << (32 - all.prefix_len())).saturating_sub(2);
    fits(all, nodes, room, 1, "node-cidr")?;
    Ok(all.hosts())
}

fn fits(block: Ipv4Net, nodes: usize, room: u64, each: u64, flag: &'static str) -> Result<(), TooSmall> {
    if nodes as u64 <= room {
        return Ok(());
    }
    Err(TooSmall {
        block,
        room,
        each,
        nodes,
        flag,
    })
}

/// The addresses of a node's pods.
#[derive(Clone, Debug)]
pub struct PodAddresses {
    block: Ipv4Net,
    /// A bit for each address of the block.
    used: Box<[u64]>,
    /// Where to look for the next free one.
    next: u32,
}

impl PodAddresses {
    /// All free.
    pub fn new(block: Ipv4Net) -> Self {
        let words = Self::size(block).div_ceil(64);
        Self {
            block,
            used: vec![0; words as usize].into(),
            next: 0,
        }
    }

    /// The block.
    pub fn block(&self) -> Ipv4Net {
        self.block
    }

    fn size(block: Ipv4Net) -> u32 {
        // A block larger than 65,536 is never filled: no node has so many pods.
        1 << (32 - block.prefix_len()).min(16)
    }

    /// Takes a free address; `None` when there is none.
    pub fn take(&mut self) -> Option<Ipv4Addr> {
        let size = Self::size(self.block);
        let most = size.checked_sub(RESERVED)?;
        for step in 0..most {
            let index = (self.next + step) % most;
            // The network's own address and the gateway come first in the block.
            let address = Ipv4Addr::from(u32::from(self.block.network()) + 2 + index);
            if self.claim(address) {
                self.next = (index + 1) % most;
                return Some(address);
            }
        }
        None
    }

    /// Marks an address as used; `false` when it is already, or is not of this block.
    pub fn claim(&mut self, address: Ipv4Addr) -> bool {
        let Some((word, bit)) = self.place(address) else {
            return false;
        };
        let free = self.used[word] & bit == 0;
        self.used[word] |= bit;
        free
    }

    /// Marks an address as free.
    pub fn release(&mut self, address: Ipv4Addr) {
        if let Some((word, bit)) = self.place(address) {
            self.used[word] &= !bit;
        }
    }

    fn place(&self, address: Ipv4Addr) -> Option<(usize, u64)> {
        let offset = u32::from(address).checked_sub(u32::from(self.block.network()))?;
        let word = (offset / 64) as usize;
        (word < self.used.len()).then_some((word, 1 << (offset % 64)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn zones_that_end_differently_have_their_own_blocks() {
        for zones in [["zone-a", "zone-b", "zone-c"], ["eu-1", "eu-2", "eu-3"]] {
            let blocks: BTreeSet<_> = zones.iter().map(|zone| default_pods(zone)).collect();
            assert_eq!(blocks.len(), zones.len());
        }
        assert_eq!(default_pods("").to_string(), "10.0.0.0/8");
        assert_eq!(default_pods("zone-a").to_string(), "10.16.0.0/12");
        assert_eq!(default_nodes("zone-a").to_string(), "172.17.0.0/16");
    }

    #[test]
    fn blocks_fit_the_pods_and_too_many_nodes_are_refused() {
        let all: Ipv4Net = "10.16.0.0/12".parse().unwrap();
        let blocks: Vec<_> = pod_blocks(all, 3, 110)
            .unwrap()
            .take(3)
            .map(|b| b.to_string())
            .collect();
        assert_eq!(blocks, ["10.16.0.0/24", "10.16.1.0/24", "10.16.2.0/24"]);
        assert_eq!(pod_blocks(all, 3, 500).unwrap().next().unwrap().prefix_len(), 22);
        let error = pod_blocks(all, 5000, 110).map(|_| ()).unwrap_err().to_string();
        assert!(
            error.contains("room for 4096 nodes of 256 addresses, and 5000 are asked for"),
            "{error}"
        );
        assert!(node_addresses("192.168.0.0/30".parse().unwrap(), 3).is_err());
    }

    #[test]
    fn an_address_is_used_once_at_a_time_and_rests_before_it_is_used_again() {
        let mut pool = PodAddresses::new("10.0.0.0/28".parse().unwrap());
        assert!(
            pool.claim("10.0.0.3".parse().unwrap()),
            "of a pod that was there before"
        );
        assert!(!pool.claim("10.0.0.3".parse().unwrap()));
        assert!(!pool.claim("10.9.0.3".parse().unwrap()), "of another block");
        let first = pool.take().unwrap();
        assert_eq!(first.to_string(), "10.0.0.2");
        pool.release(first);
        let taken: Vec<_> = std::iter::from_fn(|| pool.take())
            .map(|a| a.to_string())
            .collect();
        assert_eq!(
            (taken.first().unwrap().as_str(), taken.last().unwrap().as_str()),
            ("10.0.0.4", "10.0.0.2")
        );
        assert_eq!(taken.len(), 12);
    }
}
