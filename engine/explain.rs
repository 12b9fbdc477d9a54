//! The time line of an event: what was sent, held, skipped and dropped, and why.
//!
//! `rows` is the one shape of it for machines (docs/reference/api.md, "Explain"); `text` is the
//! same for people.

mod text;

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt::Write;

use jiff::Timestamp;
use serde::{Serialize, Serializer};

use crate::model::{
    Attempt, AttemptOutcome, ChannelName, Decision, EventId, Message, MessageId, ProviderName,
    RunId, StepPath, UserId, Verdict, WorkflowName,
};
use crate::store::Timeline;

pub use text::{Look, table, text};

/// One line of the time line.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// UTC, with milliseconds.
    #[serde(serialize_with = "in_milliseconds")]
    pub at: Timestamp,
    pub event: EventId,
    pub workflow: Option<WorkflowName>,
    pub run: Option<RunId>,
    pub recipient: Option<UserId>,
    pub step: Option<StepPath>,
    pub channel: Option<ChannelName>,
    pub decision: Verdict,
    /// A decision's own; for an attempt, how it ended.
    pub code: Cow<'static, str>,
    pub reason: String,
    pub rule: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "optional_milliseconds")]
    pub until: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<MessageId>,
    /// Of a `send`: who was asked, how it ended, and the provider's own id for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider: Option<ProviderName>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<AttemptOutcome>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub receipt: Option<String>,
}

/// The event's rows in the order of time: one `send` an attempt, at the instant it left, and one
/// row a decision. A decision to send (a waiver on the way) is told in the row of its attempt.
pub fn rows(timeline: &Timeline) -> Vec<Row> {
    let messages: HashMap<_, _> = timeline.messages.iter().map(|one| (one.id, one)).collect();
    let mut waivers: HashMap<MessageId, Vec<&Decision>> = HashMap::new();
    let mut rows = Vec::new();
    for decision in &timeline.decisions {
        match (decision.verdict, decision.message) {
            (Verdict::Send, Some(message)) => waivers.entry(message).or_default().push(decision),
            _ => rows.push(Row::from(decision)),
        }
    }
    for attempt in &timeline.attempts {
        let Some(message) = messages.get(&attempt.message) else { continue };
        let waived = waivers.remove(&attempt.message).unwrap_or_default();
        rows.push(sent(message, attempt, &waived));
    }
    rows.sort_by_key(|row| (row.at, rank(row)));
    rows
}

impl From<&Decision> for Row {
    fn from(decision: &Decision) -> Self {
        Self {
            at: decision.at,
            event: decision.event,
            workflow: decision.workflow.clone(),
            run: decision.run,
            recipient: decision.recipient.clone(),
            step: decision.step.clone(),
            channel: decision.channel.clone(),
            decision: decision.verdict,
            code: decision.code.clone(),
            reason: decision.reason.clone(),
            rule: decision.rule.clone(),
            until: decision.until,
            message: decision.message,
            provider: None,
            outcome: None,
            receipt: None,
        }
    }
}

fn sent(message: &Message, attempt: &Attempt, waived: &[&Decision]) -> Row {
    Row {
        at: attempt.started_at,
        event: message.event,
        workflow: Some(message.workflow.clone()),
        run: Some(message.run),
        recipient: message.recipient.clone(),
        step: Some(message.step.clone()),
        channel: Some(message.channel.clone()),
        decision: Verdict::Send,
        code: attempt.outcome.as_str().into(),
        reason: reason(attempt, waived),
        rule: waived.iter().find_map(|decision| decision.rule.clone()),
        until: None,
        message: Some(message.id),
        provider: Some(attempt.provider.clone()),
        outcome: Some(attempt.outcome),
        receipt: attempt.receipt.clone(),
    }
}

/// `attempt 2 by smtp: accepted, receipt 250 2.0.0 Ok; critical passes quiet hours`.
fn reason(attempt: &Attempt, waived: &[&Decision]) -> String {
    let outcome = attempt.outcome.as_str().replace('_', " ");
    let mut text = format!("attempt {} by {}: {outcome}", attempt.number, attempt.provider);
    // Writing into text cannot fail.
    if let Some(code) = &attempt.code {
        let _ = write!(text, " ({code})");
    }
    if let Some(detail) = &attempt.detail {
        let _ = write!(text, ", {detail}");
    }
    if let Some(receipt) = &attempt.receipt {
        let _ = write!(text, ", receipt {receipt}");
    }
    for decision in waived {
        let _ = write!(text, "; {}", decision.reason);
    }
    text
}

/// Of one instant: what led to an attempt, the attempt, what followed from it.
fn rank(row: &Row) -> u8 {
    match row.decision {
        Verdict::Hold | Verdict::Drop | Verdict::Skip => 0,
        Verdict::Send => 1,
        Verdict::Retry | Verdict::Fail | Verdict::Deliver | Verdict::Wait | Verdict::Cancel => 2,
    }
}

fn in_milliseconds<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{at:.3}"))
}

fn optional_milliseconds<S: Serializer>(
    at: &Option<Timestamp>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match at {
        Some(at) => in_milliseconds(at, serializer),
        None => serializer.serialize_none(),
    }
}

#[cfg(test)]
mod tests;
