//! What became of a message that was worked on, as one write.

use std::time::Duration;

use jiff::Timestamp;

use super::MOST_CLAIMS;
use crate::channel::Outcome;
use crate::clock::Clock;
use crate::dispatch::{Dispatched, Passed, Tried};
use crate::expression::ExpressionError;
use crate::gate::Answer;
use crate::model::{
    Attempt, ChannelName, Decision, Entry, Expected, Fence, Message, MessageId, MessageStatus,
    Planned, ProviderName, Span, Verdict,
};
use crate::receipt::{self, Receipt, Rules};
use crate::render::{RenderError, Rendered};
use crate::store::{Failover, Held, Plan, Settlement};
use crate::telemetry::{MessageAttempted, MessageDecided, MessageSent};

/// What a message's way is measured from.
#[derive(Clone, Copy)]
pub(super) struct Since {
    /// Its event was.
    pub accepted: Timestamp,
    pub due: Timestamp,
}

/// The new state of a message with the records of why.
pub(super) struct Ended {
    pub status: MessageStatus,
    /// For `Pending`: when to try again.
    pub due_at: Option<Timestamp>,
    pub attempt: Option<Attempt>,
    pub entry: Option<Entry>,
    pub decisions: Vec<Decision>,
    pub code: Option<String>,
    /// For `Pending`: a gate put it off.
    pub held: Option<Held>,
    /// For `Sent`: what its provider will report of it.
    pub expected: Option<Expected>,
}

impl Ended {
    fn new(status: MessageStatus) -> Self {
        Self {
            status,
            due_at: None,
            attempt: None,
            entry: None,
            decisions: Vec::new(),
            code: None,
            held: None,
            expected: None,
        }
    }

    fn because(status: MessageStatus, decision: Decision) -> Self {
        let code = Some(decision.code.to_string());
        Self { code, decisions: vec![decision], ..Self::new(status) }
    }

    fn failed(message: &Message, at: Timestamp, code: &'static str, reason: String) -> Self {
        let decision = Decision::of_message(message, at, Verdict::Fail, code, reason);
        Self::because(MessageStatus::Failed, decision)
    }

    /// In the inbox.
    pub fn delivered(entry: Entry, attempt: Attempt, passes: Vec<Decision>) -> Self {
        Self {
            attempt: Some(attempt),
            entry: Some(entry),
            decisions: passes,
            ..Self::new(MessageStatus::Sent)
        }
    }

    /// Its worker died with it too often.
    pub fn poisoned(message: &Message, claims: u32, at: Timestamp) -> Self {
        let reason = format!("its worker ended {} times, at most {MOST_CLAIMS} may", claims - 1);
        Self::failed(message, at, "attempts.exhausted", reason)
    }

    pub fn no_step(message: &Message, at: Timestamp) -> Self {
        let reason = format!("step `{}` is no send step of its workflow", message.step);
        Self::failed(message, at, "render.failed", reason)
    }

    pub fn no_provider(message: &Message, at: Timestamp) -> Self {
        let reason = format!("no provider is configured for channel `{}`", message.channel);
        Self::failed(message, at, "provider.none", reason)
    }

    /// The permit lapsed before the provider's turn came: back to the gates.
    pub fn lapsed(at: Timestamp) -> Self {
        Self { due_at: Some(at), ..Self::new(MessageStatus::Pending) }
    }

    /// A gate did not say send.
    pub fn stopped(answer: Answer) -> Self {
        match answer {
            Answer::Hold { message, decision, until, gathers } => {
                let gathers =
                    if gathers { in_common(&message.message, message.run.sensitive) } else { None };
                let held = Some(Held { gathers });
                let due_at = Some(until);
                Self { due_at, held, ..Self::because(MessageStatus::Pending, decision) }
            }
            Answer::Drop { decision, .. } if decision.code == "expired" => {
                Self::because(MessageStatus::Expired, decision)
            }
            Answer::Drop { decision, .. } | Answer::Skip { decision, .. } => {
                Self::because(MessageStatus::Suppressed, decision)
            }
            // Not asked for: `send` is no stop. Due at once, so that nothing is lost.
            Answer::Send(permit) => Self::lapsed(permit.granted_at()),
        }
    }

    /// The step's `data` gave no value.
    pub fn no_data(planned: &Planned, error: &ExpressionError, at: Timestamp) -> Self {
        let (message, reason) = (&planned.message, error.message.as_str());
        let decision =
            Decision::of_message(message, at, Verdict::Fail, "expression.failed", reason);
        let rule = Some(error.place.to_string());
        Self::because(MessageStatus::Failed, Decision { rule, ..decision })
    }

    pub fn not_rendered(error: &RenderError, at: Timestamp) -> Self {
        let decision = Decision::of_message(
            error.message(),
            at,
            Verdict::Fail,
            "render.failed",
            error.to_string(),
        );
        let decision = Decision { rule: error.place(), ..decision };
        Self::because(MessageStatus::Failed, decision)
    }

    /// A provider was asked, or could not be.
    pub fn dispatched(
        rendered: &Rendered,
        dispatched: Dispatched,
        schedule: &[Span],
        clock: &Clock,
    ) -> Self {
        let message = &rendered.planned().message;
        match dispatched {
            Dispatched::Attempted { tried, passed } => {
                let attempts = message.attempt + 1 - message.forgiven;
                let rules = Rules { schedule, attempts, retry_unknown: tried.retry_unknown };
                let receipt = receipt::judge(&tried.outcome, rules, clock);
                let mut ended = Self::attempted(rendered, journalled(message, &tried), receipt);
                ended
                    .decisions
                    .extend(passed.iter().map(|passed| skipped(message, passed, &tried)));
                ended
            }
            Dispatched::Later { passed, at } => Self::later(message, passed, at, clock.now()),
            Dispatched::NoProvider => Self::no_provider(message, clock.now()),
            Dispatched::Withdrawn => Self::lapsed(clock.now()),
        }
    }

    fn attempted(rendered: &Rendered, attempt: Attempt, receipt: Receipt) -> Self {
        let message = &rendered.planned().message;
        let at = attempt.finished_at;
        let why = |attempt: &Attempt| {
            attempt.detail.clone().unwrap_or_else(|| attempt.outcome.as_str().to_owned())
        };
        let mut ended = match receipt {
            Receipt::Delivered => Self::new(MessageStatus::Sent),
            Receipt::Retry { at: until, code } => {
                let until = not_after_its_end(message, until);
                let reason = why(&attempt);
                let decision = Decision::of_message(message, at, Verdict::Retry, code, reason);
                let decision = Decision { until: Some(until), ..decision };
                Self { due_at: Some(until), ..Self::because(MessageStatus::Pending, decision) }
            }
            Receipt::Held => {
                let reason = "may have been sent, and its provider cannot tell a repetition: \
                              retry or leave it by hand";
                let decision =
                    Decision::of_message(message, at, Verdict::Hold, "provider.unknown", reason);
                Self::because(MessageStatus::Unknown, decision)
            }
            Receipt::Dead { code } => Self::failed(message, at, code, why(&attempt)),
        };
        ended.decisions.extend(rendered.passes().iter().cloned());
        ended.attempt = Some(attempt);
        ended
    }

    /// Put off by what stands before the providers: told once, for as long as it lasts.
    fn later(message: &Message, passed: Passed, until: Timestamp, at: Timestamp) -> Self {
        let until = not_after_its_end(message, until);
        let code = passed.code.to_string();
        let told = message.code.as_deref() == Some(code.as_str());
        let decision = Decision::of_message(message, at, Verdict::Hold, passed.code, passed.reason);
        let decision = Decision { until: Some(until), ..decision };
        Self {
            due_at: Some(until),
            code: Some(code),
            decisions: if told { Vec::new() } else { vec![decision] },
            ..Self::new(MessageStatus::Pending)
        }
    }

    /// For the metrics: what was tried, and what was decided.
    pub fn emit(&self, channel: &ChannelName, since: Since) {
        if let Some(attempt) = &self.attempt {
            emit(channel, attempt);
            if self.status == MessageStatus::Sent {
                let after = between(since.accepted, attempt.finished_at);
                let waited = between(since.due, attempt.started_at);
                MessageSent { channel: channel.as_str(), after, waited }.emit();
            }
        }
        for decision in &self.decisions {
            MessageDecided { verdict: decision.verdict.as_str(), code: &decision.code }.emit();
        }
    }

    /// As the result of a claimed message.
    pub fn settlement(self, message: MessageId, fence: Fence) -> Settlement {
        Settlement {
            message,
            fence,
            status: self.status,
            due_at: self.due_at,
            attempt: self.attempt,
            entry: self.entry,
            decisions: self.decisions,
            code: self.code,
            held: self.held,
            expected: self.expected,
        }
    }

    /// As part of the plan that makes the message.
    pub fn apply(self, message: &mut Message, plan: &mut Plan) {
        message.status = self.status;
        message.code = self.code;
        if let Some(due_at) = self.due_at {
            message.due_at = due_at;
        }
        plan.decisions.extend(self.decisions);
        if let Some(attempt) = self.attempt {
            message.attempt = attempt.number;
            message.provider = Some(attempt.provider.clone());
            if let Some(entry) = self.entry {
                plan.delivered.push((entry, attempt));
            }
        }
    }
}

/// For the metrics.
pub(super) fn emit(channel: &ChannelName, attempt: &Attempt) {
    MessageAttempted {
        channel: channel.as_str(),
        provider: attempt.provider.as_str(),
        outcome: attempt.outcome.as_str(),
        took: between(attempt.started_at, attempt.finished_at),
    }
    .emit();
}

/// An attempt that is made up for by another provider at once, as it is written.
pub(super) fn failover(rendered: &Rendered, tried: &Tried, next: &ProviderName) -> Failover {
    let message = &rendered.planned().message;
    let attempt = journalled(message, tried);
    let why = attempt.detail.as_deref().unwrap_or(attempt.outcome.as_str());
    let reason = format!("`{next}` is asked in place of `{}`: {why}", tried.provider);
    let (at, code) = (tried.finished_at, "provider.failover");
    let decision = Decision::of_message(message, at, Verdict::Retry, code, reason);
    Failover { attempt, decisions: vec![decision] }
}

/// A provider that was not asked, where another was.
fn skipped(message: &Message, passed: &Passed, tried: &Tried) -> Decision {
    let Passed { code, reason, .. } = passed;
    let reason = format!("{reason} ({code}); `{}` was asked", tried.provider);
    Decision::of_message(message, tried.started_at, Verdict::Skip, "provider.failover", reason)
}

fn journalled(message: &Message, tried: &Tried) -> Attempt {
    let outcome = &tried.outcome;
    Attempt {
        message: message.id,
        number: tried.number,
        provider: tried.provider.clone(),
        started_at: tried.started_at,
        finished_at: tried.finished_at,
        outcome: receipt::journalled(outcome),
        code: outcome.failure().map(|failure| failure.code.clone()),
        detail: detail(outcome),
        receipt: receipt_of(outcome),
    }
}

/// What would come too late is looked at again at its end, and expires.
fn not_after_its_end(message: &Message, until: Timestamp) -> Timestamp {
    message.expires_at.map_or(until, |end| end.min(until))
}

/// What messages have in common that may become one; a contact's stay by themselves.
fn in_common(message: &Message, sensitive: bool) -> Option<String> {
    let user = message.recipient.as_ref()?;
    // What is sensitive is never told among what is not.
    serde_json::to_string(&(user, &message.channel, &message.category, sensitive)).ok()
}

fn between(from: Timestamp, to: Timestamp) -> Duration {
    to.duration_since(from).try_into().unwrap_or_default()
}

fn detail(outcome: &Outcome) -> Option<String> {
    match outcome {
        Outcome::Accepted { detail, .. } => detail.clone(),
        failed => failed.failure().map(|failure| failure.message.clone()),
    }
}

fn receipt_of(outcome: &Outcome) -> Option<String> {
    match outcome {
        Outcome::Accepted { receipt, .. } => receipt.clone(),
        _ => None,
    }
}
