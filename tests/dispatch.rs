//! What stands between a rendered message and its providers: failover, breakers, rates, turns.
//! The providers are the real plugins; what they speak to is a server on this machine.

mod breaker;
mod fairness;
mod failover;
mod pace;
mod scene;
mod schedule;
