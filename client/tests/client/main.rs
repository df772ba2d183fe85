//! The client against a server in the same process: requests, the informer across faults, the runtime; and controllers
//! in a `World`.

mod drive;
mod fake;
mod follow;
mod requests;
mod toy;
mod world;
