//! What the tests stand on: real servers on this machine, and ways to make things.

pub mod node;
pub mod sink;
pub mod smtp;
pub mod stage;
