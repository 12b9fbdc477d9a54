//! What may leave, when, and why not (docs/reference/gates.md). The only maker of a [`Permit`].
//!
//! Each gate is a file with one question; [`ask`] asks them in order, and the first that does not
//! let the message through decides. Facts are those of the moment the message is due, not of the
//! moment it was planned.

mod condition;
mod expiry;
mod preference;
mod reachable;

use std::borrow::Cow;

use jiff::Timestamp;

use crate::channel::{Address, Traits};
use crate::expression::Scope;
use crate::model::{Decision, Planned, Preferences, Priority, Verdict};
use crate::workflow::Workflow;
use crate::workflow::step::Send;

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
    Drop(Reason),
    Skip(Reason),
}

/// A record's content: stable code, words for a reader, and what decided.
struct Reason {
    code: &'static str,
    reason: Cow<'static, str>,
    rule: Option<String>,
}

/// Asks the gates of docs/reference/gates.md in their order.
pub fn ask(planned: Planned, facts: &Facts<'_>) -> Answer {
    let mut passes = Vec::new();
    for gate in [expiry::ask, condition::ask, preference::ask] {
        match gate(&planned, facts) {
            Says::Pass => {}
            Says::Waived(reason) => {
                passes.push(reason.record(&planned, Verdict::Send, facts.now));
            }
            Says::Drop(reason) => return reason.stop(planned, Verdict::Drop, facts.now),
            Says::Skip(reason) => return reason.stop(planned, Verdict::Skip, facts.now),
        }
    }
    match reachable::address(&planned, facts) {
        Ok(to) => {
            let discreet = discreet(&planned, facts);
            let granted_at = facts.now;
            Answer::Send(Box::new(Permit { planned, to, granted_at, passes, discreet }))
        }
        Err(reason) => reason.stop(planned, Verdict::Drop, facts.now),
    }
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
        self.workflow.critical || planned.message.priority == Priority::Critical
    }
}

impl Reason {
    fn record(self, planned: &Planned, verdict: Verdict, at: Timestamp) -> Decision {
        let decision = Decision::of_message(&planned.message, at, verdict, self.code, self.reason);
        Decision { rule: self.rule, ..decision }
    }

    fn stop(self, message: Planned, verdict: Verdict, at: Timestamp) -> Answer {
        let decision = self.record(&message, verdict, at);
        match verdict {
            Verdict::Skip => Answer::Skip { message, decision },
            _ => Answer::Drop { message, decision },
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

/// What the recipient said; nothing, for a contact.
fn preferences(planned: &Planned) -> Option<&Preferences> {
    planned.recipient.person.as_deref().map(|person| &person.preferences)
}
