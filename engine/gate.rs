//! What may leave, when, and why not (docs/reference/gates.md). The only maker of a [`Permit`].
//!
//! Each gate is a file with one question; [`ask`] asks them in order, and the first that does not
//! let the message through decides. Facts are those of the moment the message is due, not of the
//! moment it was planned.

mod budget;
mod condition;
mod defaults;
mod duplicate;
mod expiry;
mod preference;
mod quiet_hours;
mod reachable;
mod window;

use std::borrow::Cow;
use std::sync::Arc;

use jiff::Timestamp;

use crate::channel::{Address, Traits};
use crate::expression::Scope;
use crate::model::{Decision, Event, Message, Planned, Preferences, Priority, Run, Verdict};
use crate::workflow::Workflow;
use crate::workflow::step::Send;

pub use budget::limits;
pub use defaults::Defaults;
pub use duplicate::{Likeness, dedupe_key};
pub use preference::{Asked, Layer, Resolved, resolve};
pub use window::Window;

/// Leave to send one message: only a gate can make one, `render` takes nothing else, and it
/// lapses 60 s after `granted_at` (docs/reference/gates.md).
#[derive(Debug)]
pub struct Permit {
    planned: Planned,
    to: String,
    granted_at: Timestamp,
    passes: Vec<Decision>,
    discreet: bool,
}

/// What the gates are told beside the message itself.
#[derive(Clone, Copy)]
pub struct Facts<'a> {
    pub workflow: &'a Workflow,
    pub step: &'a Send,
    /// What the channel's plugin says of itself.
    pub traits: &'a Traits,
    pub now: Timestamp,
    pub defaults: &'a Defaults,
    /// The category is a marketing one: its opt-out binds whatever else is said.
    pub marketing: bool,
    /// It was handed to a provider before: what is asked once was asked.
    pub left_before: bool,
    pub past: &'a Past,
}

/// What the store remembers that gates 5 and 7 ask for. Empty where neither has anything to ask.
#[derive(Clone, Debug, Default)]
pub struct Past {
    pub likeness: Likeness,
    /// When messages left for the recipient in the last 24 hours, in the order of time.
    pub spent: Vec<Timestamp>,
    /// Others of the recipient that were put off, are due, and come first.
    pub ahead: usize,
}

/// Where a message goes from here.
#[derive(Debug)]
pub enum Answer {
    Send(Box<Permit>),
    /// Not now; again at `until`.
    Hold {
        message: Planned,
        decision: Decision,
        until: Timestamp,
        /// With others of its recipient, channel and category that are put off, into one message.
        gathers: bool,
    },
    /// Never, because somebody said no or it cannot be.
    Drop {
        message: Planned,
        decision: Decision,
    },
    /// Never, because the workflow says so.
    Skip {
        message: Planned,
        decision: Decision,
    },
}

/// One gate's answer.
enum Says {
    Pass,
    /// Would have been stopped, but the message is critical: recorded with the send.
    Waived(Reason),
    Stop(Stop),
}

/// A gate's no.
enum Stop {
    Hold { reason: Reason, until: Timestamp, gathers: bool },
    Drop(Reason),
    Skip(Reason),
}

/// A record's content: stable code, words for a reader, and what decided.
struct Reason {
    code: &'static str,
    reason: Cow<'static, str>,
    rule: Option<String>,
}

/// One gate's question.
type Gate = fn(&Planned, &Facts<'_>) -> Says;

/// The gates that come before `reachable`, which answers an address, and those that come after.
const FIRST: [Gate; 3] = [expiry::ask, condition::ask, preference::ask];
const LAST: [Gate; 3] = [duplicate::ask, quiet_hours::ask, budget::ask];

/// Asks the gates of docs/reference/gates.md in their order.
pub fn ask(planned: Planned, facts: &Facts<'_>) -> Answer {
    let mut passes = Vec::new();
    if let Some(stopped) = ask_each(&FIRST, &planned, facts, &mut passes) {
        return stopped.answer(planned, facts.now);
    }
    let to = match reachable::address(&planned, facts) {
        Ok(to) => to,
        Err(reason) => return Stop::Drop(*reason).answer(planned, facts.now),
    };
    if let Some(stopped) = ask_each(&LAST, &planned, facts, &mut passes) {
        return stopped.answer(planned, facts.now);
    }
    let discreet = discreet(&planned, facts);
    Answer::Send(Box::new(Permit { planned, to, granted_at: facts.now, passes, discreet }))
}

/// The first answer that stops the message; what was waived before goes into `passes`.
fn ask_each(
    gates: &[Gate],
    planned: &Planned,
    facts: &Facts<'_>,
    passes: &mut Vec<Decision>,
) -> Option<Stop> {
    for gate in gates {
        match gate(planned, facts) {
            Says::Pass => {}
            Says::Waived(reason) => passes.push(reason.record(planned, Verdict::Send, facts.now)),
            Says::Stop(stop) => return Some(stop),
        }
    }
    None
}

impl Permit {
    pub fn planned(&self) -> &Planned {
        &self.planned
    }

    /// The address of the channel's own kind; empty where the provider's settings hold the only
    /// one, and for the inbox.
    pub fn to(&self) -> &str {
        &self.to
    }

    pub fn granted_at(&self) -> Timestamp {
        self.granted_at
    }

    /// What was waived on the way (a critical message passing a preference), to be recorded.
    pub fn passes(&self) -> &[Decision] {
        &self.passes
    }

    /// It is sensitive and lands on a lock screen: it may only say that there is something new.
    pub fn is_discreet(&self) -> bool {
        self.discreet
    }

    /// Lets the message tell of others that were gathered with it, in their words: those of `run`
    /// and `event`. To whom, and on which channel, stays.
    pub fn telling_of(mut self, run: Arc<Run>, event: Arc<Event>) -> Self {
        self.planned.run = run;
        self.planned.event = event;
        self
    }

    /// Gives the message back, and with it the right to send it.
    pub fn into_planned(self) -> Planned {
        self.planned
    }
}

impl Facts<'_> {
    /// What the step's expressions see.
    fn scope<'p>(&self, planned: &'p Planned) -> Scope<'p> {
        Scope::new(&planned.event, self.now).recipient(&planned.recipient).run(&planned.run)
    }

    /// A critical message passes what a person prefers (docs/reference/gates.md, "Critical").
    fn critical(&self, planned: &Planned) -> bool {
        is_critical(self.workflow, &planned.message)
    }
}

impl Reason {
    fn record(self, planned: &Planned, verdict: Verdict, at: Timestamp) -> Decision {
        let decision = Decision::of_message(&planned.message, at, verdict, self.code, self.reason);
        Decision { rule: self.rule, ..decision }
    }
}

impl Says {
    fn hold(reason: Reason, until: Timestamp, gathers: bool) -> Self {
        Self::Stop(Stop::Hold { reason, until, gathers })
    }

    fn drop(reason: Reason) -> Self {
        Self::Stop(Stop::Drop(reason))
    }

    fn skip(reason: Reason) -> Self {
        Self::Stop(Stop::Skip(reason))
    }
}

impl Stop {
    /// As the answer about `message`.
    fn answer(self, message: Planned, at: Timestamp) -> Answer {
        match self {
            Self::Hold { reason, until, gathers } => {
                // What would be let go too late is looked at again at its end, and expires.
                let until = message.message.expires_at.map_or(until, |end| end.min(until));
                let decision = reason.record(&message, Verdict::Hold, at);
                let decision = Decision { until: Some(until), ..decision };
                Answer::Hold { message, decision, until, gathers }
            }
            Self::Skip(reason) => {
                let decision = reason.record(&message, Verdict::Skip, at);
                Answer::Skip { message, decision }
            }
            Self::Drop(reason) => {
                let decision = reason.record(&message, Verdict::Drop, at);
                Answer::Drop { message, decision }
            }
        }
    }
}

/// What goes to a telephone or a device is shown without anybody asking for it.
fn discreet(planned: &Planned, facts: &Facts<'_>) -> bool {
    let name = planned.message.channel.as_str();
    let shown = matches!(facts.traits.address, Address::Device | Address::Phone)
        || matches!(name, "push" | "sms");
    planned.run.sensitive && shown
}

/// Whether a message passes what a person prefers: its workflow or its priority says critical.
pub fn is_critical(workflow: &Workflow, message: &Message) -> bool {
    workflow.critical || message.priority == Priority::Critical
}

/// What the recipient said; nothing, for a contact.
fn preferences(planned: &Planned) -> Option<&Preferences> {
    planned.recipient.person.as_deref().map(|person| &person.preferences)
}
