//! What the tests stand on: real servers on this machine, and ways to make things.

mod daemon;
pub mod node;
pub mod postgres;
pub mod preload;
pub mod redis;
pub mod sink;
pub mod smtp;
pub mod stage;
