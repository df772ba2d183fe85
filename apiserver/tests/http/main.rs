//! The API over HTTP, over real sockets: an apiserver in this process over the memory store, and the smallest client.

mod apply;
mod custom;
mod discovery;
mod harness;
mod hostile;
mod lists;
mod logs;
mod objects;
mod openapi;
mod paths;
mod subresources;
mod tables;
mod views;
mod watches;
