//! Plugins: what they do for those who are told, and what they cannot do to the engine.

pub mod hosting;

mod email;
mod hostile;
mod load;
mod settings;
mod webhook;
