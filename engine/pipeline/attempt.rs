//! What became of a message that was worked on, as one write.

use jiff::Timestamp;

use super::MOST_CLAIMS;
use crate::channel::Outcome;
use crate::clock::Clock;
use crate::dispatch::Dispatched;
use crate::expression::ExpressionError;
use crate::gate::Answer;
use crate::model::{
    Attempt, ChannelName, Decision, Entry, Expected, Fence, Message, MessageId, MessageStatus,
    Planned, ProviderName, Span, Verdict,
};
use crate::receipt::{self, Receipt, Rules};
use crate::render::{RenderError, Rendered};
use crate::store::{Held, Plan, Settlement};
use crate::telemetry::{MessageAttempted, MessageDecided};

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
            Dispatched::Attempted { provider, started_at, finished_at, outcome, retry_unknown } => {
                let number = message.attempt + 1;
                let attempts = number - message.forgiven;
                let receipt =
                    receipt::judge(&outcome, Rules { schedule, attempts, retry_unknown }, clock);
                let attempt = Attempt {
                    message: message.id,
                    number,
                    provider,
                    started_at,
                    finished_at,
                    outcome: receipt::journalled(&outcome),
                    code: outcome.failure().map(|failure| failure.code.clone()),
                    detail: detail(&outcome),
                    receipt: receipt_of(&outcome),
                };
                Self::attempted(rendered, attempt, receipt)
            }
            Dispatched::Later { provider, at } => Self::later(message, &provider, at, clock.now()),
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

    fn later(message: &Message, provider: &ProviderName, until: Timestamp, at: Timestamp) -> Self {
        let reason = format!("provider `{provider}` has no sends left until then");
        let decision = Decision::of_message(message, at, Verdict::Hold, "provider.rate", reason);
        let decision = Decision { until: Some(until), ..decision };
        Self { due_at: Some(until), code: None, ..Self::because(MessageStatus::Pending, decision) }
    }

    /// For the metrics: what was tried, and what was decided.
    pub fn emit(&self, channel: &ChannelName) {
        if let Some(attempt) = &self.attempt {
            let took = attempt.finished_at.duration_since(attempt.started_at);
            MessageAttempted {
                channel: channel.as_str(),
                provider: attempt.provider.as_str(),
                outcome: attempt.outcome.as_str(),
                took: took.try_into().unwrap_or_default(),
            }
            .emit();
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

/// What messages have in common that may become one; a contact's stay by themselves.
fn in_common(message: &Message, sensitive: bool) -> Option<String> {
    let user = message.recipient.as_ref()?;
    // What is sensitive is never told among what is not.
    serde_json::to_string(&(user, &message.channel, &message.category, sensitive)).ok()
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
