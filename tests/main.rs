//! The one integration-test binary: a module a feature.

mod harness;

mod abuse;
mod api;
mod bad_input;
mod check;
mod collect;
mod conformance;
mod crash;
mod fuzz;
mod graph;
mod gates;
mod guide;
mod inbox;
mod init;
mod language;
mod main_job;
mod packs;
mod plugins;
mod reference;
mod relay;
mod rig;
mod sensitive;
mod server;
mod services;
mod shared;
mod steps;
mod simulate;
mod sources;
mod simulation;
mod telemetry;
mod templates;
mod tidy;
mod tokens;
mod versions;
mod waiting;
