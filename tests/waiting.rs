//! Steps that wait for the world or ask it: each over both stores, and through crashes.

mod event;
mod fetch;
mod message;
mod publish;
mod route;
pub mod stage;
