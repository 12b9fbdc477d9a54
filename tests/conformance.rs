//! Suites that every implementation of a contract passes, whatever it is made of.

mod channel;
pub mod store;
