//! Nuncio takes events from services and sees to it that the right people hear of them, once, on
//! the right channel, at the right moment.
//!
//! ```text
//! services ──HTTP / CLI──▶ ingest ─▶ plan ─▶ gate ─▶ render ─▶ dispatch ─▶ receipt
//!                            │        │       │                  │   │        └─▶ retry, dead letter, explain
//!       workflows/ ──────────┴────────┘       │                  │   └─▶ relay ──▶ browsers, apps
//!       users, preferences ───────────────────┘                  └─▶ plugins ──▶ SMTP, webhooks …
//! ```
//!
//! The modules stand in reading order. Each floor imports from the floors above it on this page
//! only (`tests/tidy.rs` holds the table); [`pipeline`] is the page that knows the whole way.

// The nouns, and what everything stands on.
pub mod model;
pub mod clock;
pub mod diagnostic;
pub mod telemetry;
pub mod expression;
pub mod egress;
pub mod seal;

// What is configured, written, remembered and connected.
pub mod config;
pub mod workflow;
pub mod template;
pub mod shared;
pub mod store;
pub mod channel;

// The stages, in the order of the picture.
pub mod ingest;
pub mod plan;
pub mod auth;
pub mod receipt;
pub mod gate;
pub mod render;
pub mod dispatch;

// The whole set of files, the whole story of an event, and the page that joins the stages.
pub mod check;
pub mod explain;
pub mod pipeline;

// What runs it.
pub mod job;
pub mod relay;
pub mod source;
pub mod api;
pub mod simulate;
pub mod node;
pub mod cli;
