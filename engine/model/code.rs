//! Every code that a decision may bear, in one place: the reference is made from it.

/// A stable code of a [`Decision`](super::Decision).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Code {
    pub code: &'static str,
    pub stage: Stage,
    /// The decision's word, or words.
    pub decision: &'static str,
    pub meaning: &'static str,
}

/// Where it is decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// From an event to its runs.
    Plan,
    /// While a run goes through its steps.
    Run,
    /// The gate of that number.
    Gate(u8),
    Render,
    /// At the provider, or on the way to it.
    Dispatch,
    /// By a person, or by another event.
    Asked,
}

/// A question that is asked before a message leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gate {
    pub number: u8,
    pub name: &'static str,
    pub question: &'static str,
    /// What it may answer beside "send".
    pub otherwise: &'static str,
    /// Before every attempt, or until the message left for the first time.
    pub asked: &'static str,
}

const AGAIN: &str = "before every attempt";
const ONCE: &str = "until it left once";

/// The gates, in their order.
pub const GATES: [Gate; 7] = [
    gate(1, "expiry", "can it still leave in time?", "drop; the message is `expired`", AGAIN),
    gate(2, "condition", "does the step's `if` hold now?", "skip", ONCE),
    gate(
        3,
        "preference",
        "has the recipient, or a default, allowed this category on this channel?",
        "drop",
        AGAIN,
    ),
    gate(
        4,
        "reachable",
        "is there an address or an active device, and has it not bounced for good?",
        "drop",
        AGAIN,
    ),
    gate(
        5,
        "duplicate",
        "was the same (workflow, recipient, channel, dedupe key) sent within its window?",
        "drop",
        ONCE,
    ),
    gate(6, "quiet hours", "is it night for the recipient?", "hold, batch, drop", AGAIN),
    gate(7, "budget", "has the recipient had enough?", "hold, batch, drop", ONCE),
];

/// In the order in which they may come.
pub const CODES: &[Code] = &[
    code(
        "workflow.if_false",
        Stage::Plan,
        "skip",
        "the workflow's `if` does not hold for this event",
    ),
    code("recipient.unknown", Stage::Plan, "skip", "no user of that id is known"),
    code("recipient.actor", Stage::Plan, "skip", "the one who did it is not told of it"),
    code("recipient.if_false", Stage::Plan, "skip", "the recipient rule's `if` does not hold"),
    code("delay", Stage::Run, "wait", "the run goes on at `until`"),
    code("schedule", Stage::Run, "wait", "the run goes on at a moment of its schedule"),
    code("schedule.past", Stage::Run, "skip", "the moment of a schedule lies in the past"),
    code("batch", Stage::Run, "wait", "the run leads what comes together until then"),
    code(
        "digest",
        Stage::Run,
        "wait",
        "the run leads what comes together until then; or there are too few, and all wait on",
    ),
    code(
        "batch.joined",
        Stage::Run,
        "wait",
        "the run goes on with another, which the reason names",
    ),
    code("digest.never", Stage::Run, "fail", "the cron does not fire within ten years"),
    code("throttle.limit", Stage::Run, "skip, hold", "the step acted often enough in its window"),
    code("wait_for", Stage::Run, "wait", "the run stands still, until then if there is a timeout"),
    code("wait_for.matched", Stage::Run, "wait", "what the run waited for has come"),
    code("wait_for.timeout", Stage::Run, "wait", "what the run waited for did not come in time"),
    code("wait_for.key", Stage::Run, "fail", "the run has no key for an event to match"),
    code("wait_for.step", Stage::Run, "fail", "the step whose message is awaited sent none"),
    code("route", Stage::Run, "wait", "the step tries a channel, until then"),
    code("route.succeeded", Stage::Run, "wait", "a channel of the step succeeded"),
    code(
        "route.exhausted",
        Stage::Run,
        "fail",
        "no channel of the step succeeded; the run goes on",
    ),
    code("published", Stage::Run, "send", "the frame is in its stream; the channel is `relay`"),
    code("fetch.refused", Stage::Run, "fail", "the address may not be asked"),
    code("fetch.failed", Stage::Run, "fail", "the server said no, or nothing that can be read"),
    code("fetch.timeout", Stage::Run, "fail", "the server did not answer in time"),
    code("fetch.too_large", Stage::Run, "fail", "the server's answer is too large"),
    code("emit.depth", Stage::Run, "fail", "events that workflows emit are 8 deep at most"),
    code("event.schema", Stage::Run, "fail", "an emitted event does not fit its schema"),
    code(
        "expression.failed",
        Stage::Run,
        "fail, drop",
        "an expression could not be evaluated; `rule` is its place",
    ),
    code("run.loops", Stage::Run, "fail", "10,000 steps without a wait"),
    code("expired", Stage::Gate(1), "drop", "it could not leave before its end"),
    code("condition.false", Stage::Gate(2), "skip", "the step's `if` does not hold"),
    code("preference.channel_off", Stage::Gate(3), "drop", "the category is off on this channel"),
    code(
        "preference.category_off",
        Stage::Gate(3),
        "drop",
        "the recipient turned the whole category off",
    ),
    code(
        "preference.workflow_off",
        Stage::Gate(3),
        "drop",
        "the workflow's default, or the recipient's choice for the workflow or the topic, is off",
    ),
    code(
        "preference.unsubscribed",
        Stage::Gate(3),
        "drop",
        "the recipient unsubscribed from the category",
    ),
    code(
        "reachable.no_address",
        Stage::Gate(4),
        "drop",
        "the recipient has no address for the channel",
    ),
    code("reachable.no_device", Stage::Gate(4), "drop", "the recipient has no active device"),
    code("reachable.bounced", Stage::Gate(4), "drop", "the address bounced for good"),
    code(
        "duplicate",
        Stage::Gate(5),
        "drop",
        "the same was sent within the window of the workflow's `dedupe`",
    ),
    code("quiet_hours.held", Stage::Gate(6), "hold", "until the recipient's quiet hours end"),
    code(
        "quiet_hours.batched",
        Stage::Gate(6),
        "hold",
        "until then, as one message with others of its category and channel",
    ),
    code("quiet_hours.dropped", Stage::Gate(6), "drop", "the step says `quiet_hours: drop`"),
    code("budget.hour", Stage::Gate(7), "hold, drop", "the recipient's `max_per_hour` is used up"),
    code("budget.day", Stage::Gate(7), "hold, drop", "the recipient's `max_per_day` is used up"),
    code(
        "render.failed",
        Stage::Render,
        "fail",
        "the template could not be rendered, or the step is gone",
    ),
    code("provider.none", Stage::Dispatch, "fail", "no provider is configured for the channel"),
    code(
        "provider.rate",
        Stage::Dispatch,
        "hold",
        "the provider's configured rate is used up until then",
    ),
    code(
        "provider.open",
        Stage::Dispatch,
        "hold",
        "the provider failed too often and is left alone until then",
    ),
    code("provider.retry", Stage::Dispatch, "retry", "the provider said \"later\""),
    code("provider.rate_limited", Stage::Dispatch, "retry", "the provider said \"not so many\""),
    code("plugin.fault", Stage::Dispatch, "retry", "the plugin trapped, or went past a limit"),
    code(
        "provider.unknown",
        Stage::Dispatch,
        "retry, hold",
        "the message may have been sent (configuration, `on_unknown`)",
    ),
    code("recipient.invalid", Stage::Dispatch, "fail", "the provider does not know the address"),
    code("provider.rejected", Stage::Dispatch, "fail", "the provider will never take it"),
    code(
        "provider.misconfigured",
        Stage::Dispatch,
        "fail",
        "the provider refuses the account or its settings",
    ),
    code(
        "attempts.exhausted",
        Stage::Dispatch,
        "fail",
        "the schedule of retries is used up, or a job ended too often with its worker",
    ),
    code(
        "report.delivered",
        Stage::Dispatch,
        "deliver",
        "the provider reports that the message arrived",
    ),
    code("report.bounced", Stage::Dispatch, "fail", "the provider reports that it came back"),
    code(
        "report.complained",
        Stage::Dispatch,
        "deliver",
        "the provider reports that the recipient complained of it",
    ),
    code("cancelled", Stage::Asked, "cancel", "it was called off before it left"),
    code("retried", Stage::Asked, "retry", "a person asked for another try"),
    code("redriven", Stage::Asked, "retry", "dead letters were sent on their way again"),
];

const fn gate(
    number: u8,
    name: &'static str,
    question: &'static str,
    otherwise: &'static str,
    asked: &'static str,
) -> Gate {
    Gate { number, name, question, otherwise, asked }
}

const fn code(
    code: &'static str,
    stage: Stage,
    decision: &'static str,
    meaning: &'static str,
) -> Code {
    Code { code, stage, decision, meaning }
}

impl Stage {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Plan => "plan",
            Self::Run => "run",
            Self::Gate(_) => "gate",
            Self::Render => "render",
            Self::Dispatch => "dispatch",
            Self::Asked => "asked",
        }
    }
}
