//! Workflow files: when this event comes, these people hear of it, in this way.
//!
//! [`compile`] turns one file's text into a [`Workflow`], with every problem of the file at once;
//! [`Set`] finds the workflows of an event. What packs declare beside their workflows
//! is in [`EventSchemas`] and [`NotificationType`]. Nothing here reads a file: `check` does.

pub mod case;
mod cron;
mod event;
mod file;
mod graph;
mod index;
pub mod language;
mod patterns;
mod reader;
mod recipient;
mod route;
pub mod step;
mod notification_type;

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

pub use cron::{BadCron, Cron};
pub use event::{EventSchemas, Misfit, read_events};
pub use file::compile;
pub use index::Set;
pub use notification_type::{NotificationType, read_types};
pub use recipient::{RecipientRule, Who};
pub use route::{Room, Route, read_routes};
pub use step::{OnError, Step, StepKind};

pub use crate::model::Pattern;

use crate::expression::Expression;
use crate::model::{Category, ChannelName, Priority, Span, Version, WorkflowName};

/// One workflow file, compiled. Immutable; shared by all its runs.
#[derive(Clone, Debug, PartialEq)]
pub struct Workflow {
    pub name: WorkflowName,
    /// SHA-256 of the file's content, in hex.
    pub version: Version,
    /// As given to [`compile`]: what `rule`s of decisions name.
    pub path: Arc<str>,
    /// The file's content.
    pub source: Arc<str>,
    pub on: Vec<Pattern>,
    /// False: no run, and the event's record says why.
    pub condition: Option<Expression>,
    pub category: Category,
    /// The first that holds; none: medium, or critical for a critical workflow.
    pub priority: Vec<PriorityRule>,
    /// Ignores preferences, quiet hours and frequency limits.
    pub critical: bool,
    pub sensitive: bool,
    /// What `cancel_on` and `restart_on` look up.
    pub key: Option<Expression>,
    pub cancel_on: Vec<Pattern>,
    pub restart_on: Vec<Pattern>,
    pub dedupe: Option<Dedupe>,
    /// Channels that preferences cannot turn off.
    pub required: Required,
    /// The workflow-level preference.
    pub defaults: BTreeMap<ChannelName, bool>,
    /// A message that could not leave so long after it was planned is dropped.
    pub expires: Option<Span>,
    /// Empty: one run without a recipient.
    pub recipients: Vec<RecipientRule>,
    pub steps: Vec<Step>,
    /// Where a cross-file check points: the value of `category`, in bytes of the file.
    pub category_span: Range<usize>,
    /// The channels that `required` and `defaults` name, with their places.
    pub named_channels: Vec<(ChannelName, Range<usize>)>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct PriorityRule {
    pub priority: Priority,
    /// `None`: always.
    pub condition: Option<Expression>,
}

/// The same thing within `window` is not said twice.
#[derive(Clone, Debug, PartialEq)]
pub struct Dedupe {
    pub key: Expression,
    pub window: Span,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Required {
    #[default]
    None,
    All,
    Channels(Vec<ChannelName>),
}

impl Required {
    /// Whether preferences may not turn `channel` off.
    pub fn binds(&self, channel: &ChannelName) -> bool {
        match self {
            Self::None => false,
            Self::All => true,
            Self::Channels(channels) => channels.contains(channel),
        }
    }
}

impl Workflow {
    /// What starts it: `on`, and `restart_on`.
    pub fn starters(&self) -> impl Iterator<Item = &Pattern> + Clone {
        self.on.iter().chain(&self.restart_on)
    }

    /// What stops its runs of the event's key: `cancel_on`, and `restart_on`.
    pub fn stoppers(&self) -> impl Iterator<Item = &Pattern> + Clone {
        self.cancel_on.iter().chain(&self.restart_on)
    }

    /// Whether an event of this name starts it.
    pub fn starts_on(&self, event: &str) -> bool {
        self.starters().any(|pattern| pattern.matches(event))
    }

    /// Whether an event of this name means anything to it or to its runs.
    pub fn concerns(&self, event: &str) -> bool {
        let matches = |patterns: &[Pattern]| patterns.iter().any(|on| on.matches(event));
        let waits = |step: &&Step| match &step.kind {
            StepKind::WaitFor(wait) => match &wait.awaited {
                step::Awaited::Event { on, .. } => matches(on),
                step::Awaited::Message { .. } => false,
            },
            _ => false,
        };
        matches(&self.on)
            || matches(&self.cancel_on)
            || matches(&self.restart_on)
            || self.all_steps().iter().any(waits)
    }

    /// Every step, nested ones after the step that holds them.
    pub fn all_steps(&self) -> Vec<&Step> {
        fn gather<'a>(steps: &'a [Step], found: &mut Vec<&'a Step>) {
            for step in steps {
                found.push(step);
                for block in step.kind.blocks() {
                    gather(block, found);
                }
            }
        }
        let mut found = Vec::new();
        gather(&self.steps, &mut found);
        found
    }

    /// The version of a file's content.
    pub fn version_of(source: &str) -> Version {
        use sha2::{Digest, Sha256};
        use std::fmt::Write;
        let mut hex = String::with_capacity(64);
        for byte in Sha256::digest(source) {
            // Writing to a String cannot fail.
            let _ = write!(hex, "{byte:02x}");
        }
        Version::from(hex)
    }
}
