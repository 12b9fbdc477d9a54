use std::borrow::Cow;

use jiff::Timestamp;
use serde::Serialize;

use super::{
    ChannelName, Event, EventId, Message, MessageId, Run, RunId, StepPath, UserId, WorkflowName,
};

/// Why something happened, or did not: a line of `explain` and of `simulate`. Written in the
/// transaction of its effect.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    pub at: Timestamp,
    pub event: EventId,
    pub workflow: Option<WorkflowName>,
    pub run: Option<RunId>,
    pub message: Option<MessageId>,
    pub recipient: Option<UserId>,
    pub step: Option<StepPath>,
    pub channel: Option<ChannelName>,
    pub verdict: Verdict,
    /// Stable: one of docs/reference/gates.md's codes.
    pub code: Cow<'static, str>,
    /// For a reader; holds no address, token or body.
    pub reason: String,
    /// What decided: `user 42: notification_types.billing.email`, or a file's `path:line`.
    pub rule: Option<String>,
    pub until: Option<Timestamp>,
}

/// The `decision` of a time line's row (docs/reference/api.md, "Explain").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum Verdict {
    Send = 0,
    Hold = 1,
    Drop = 2,
    Skip = 3,
    Retry = 4,
    Fail = 5,
    Deliver = 6,
    Wait = 7,
    Cancel = 8,
}

impl Decision {
    pub fn of_event(
        event: &Event,
        at: Timestamp,
        verdict: Verdict,
        code: impl Into<Cow<'static, str>>,
        reason: impl Into<String>,
    ) -> Self {
        Self::of_id(event.id, at, verdict, code, reason)
    }

    /// Of an event of which no more than the id is at hand.
    pub fn of_id(
        event: EventId,
        at: Timestamp,
        verdict: Verdict,
        code: impl Into<Cow<'static, str>>,
        reason: impl Into<String>,
    ) -> Self {
        Self::new(event, at, verdict, code.into(), reason.into())
    }

    pub fn of_run(
        run: &Run,
        at: Timestamp,
        verdict: Verdict,
        code: impl Into<Cow<'static, str>>,
        reason: impl Into<String>,
    ) -> Self {
        Self {
            workflow: Some(run.workflow.clone()),
            run: Some(run.id),
            recipient: run.recipient.clone(),
            ..Self::new(run.event, at, verdict, code.into(), reason.into())
        }
    }

    pub fn of_message(
        message: &Message,
        at: Timestamp,
        verdict: Verdict,
        code: impl Into<Cow<'static, str>>,
        reason: impl Into<String>,
    ) -> Self {
        Self {
            workflow: Some(message.workflow.clone()),
            run: Some(message.run),
            message: Some(message.id),
            recipient: message.recipient.clone(),
            step: Some(message.step.clone()),
            channel: Some(message.channel.clone()),
            ..Self::new(message.event, at, verdict, code.into(), reason.into())
        }
    }

    fn new(
        event: EventId,
        at: Timestamp,
        verdict: Verdict,
        code: Cow<'static, str>,
        reason: String,
    ) -> Self {
        Self {
            at,
            event,
            workflow: None,
            run: None,
            message: None,
            recipient: None,
            step: None,
            channel: None,
            verdict,
            code,
            reason,
            rule: None,
            until: None,
        }
    }
}

impl Verdict {
    pub const ALL: [Self; 9] = [
        Self::Send,
        Self::Hold,
        Self::Drop,
        Self::Skip,
        Self::Retry,
        Self::Fail,
        Self::Deliver,
        Self::Wait,
        Self::Cancel,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Send => "send",
            Self::Hold => "hold",
            Self::Drop => "drop",
            Self::Skip => "skip",
            Self::Retry => "retry",
            Self::Fail => "fail",
            Self::Deliver => "deliver",
            Self::Wait => "wait",
            Self::Cancel => "cancel",
        }
    }
}
