//! The one integration-test binary: a module a feature.

mod harness;

mod api;
mod bad_input;
mod check;
mod conformance;
mod crash;
mod guide;
mod inbox;
mod language;
mod main_job;
mod plugins;
mod relay;
mod server;
mod telemetry;
mod templates;
mod tidy;
mod tokens;
