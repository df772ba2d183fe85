//! The watch cache, on a store in memory and on virtual time: reads, writes, watches, and what they promise together.

mod broken;
mod custom;
mod lists;
mod promises;
mod restarts;
mod watches;
mod world;
mod writes;
