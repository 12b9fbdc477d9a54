use std::ops::Range;

use jiff::Timestamp;

use super::{instant, instant_of, user};
use crate::diagnostic::{Kind, Node};
use crate::model::{AttemptOutcome, ChannelName, ProviderName, Span, UserId, WorkflowName};
use crate::workflow::reader::{Fields, Reader};

/// Failures that one line tells of.
const MOST_TIMES: u64 = 1_000_000;

/// Something that happens, with its place.
#[derive(Clone, Debug)]
pub struct When {
    pub what: Happening,
    /// In bytes of the file.
    pub span: Range<usize>,
}

#[derive(Clone, Debug)]
pub enum Happening {
    /// As POST /v1/events takes it, but that `sample` may stand for `data`: a file beside this one.
    Event(Node),
    /// So much time passes, and what falls due in it is done.
    Wait(Span),
    /// Time passes until then.
    Until(Timestamp),
    Read(Reading),
    /// From now on.
    Fail(Fault),
    /// A user's preferences, replaced: `user`, and what the inbox API takes.
    Preferences(Node),
    /// A user, replaced.
    User(Node),
}

/// What a user reads: all that is unread in the inbox, or one workflow's part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    pub user: UserId,
    pub workflow: Option<WorkflowName>,
}

/// What providers do wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// `None`: every channel.
    pub channel: Option<ChannelName>,
    /// `None`: every provider.
    pub provider: Option<ProviderName>,
    pub outcome: AttemptOutcome,
    /// The provider's own code. Default `scripted`.
    pub code: String,
    pub message: String,
    /// When the provider wants to be asked again; for `retry` and `rate_limited`.
    pub after: Option<Span>,
    /// How many attempts fail. `None`: all.
    pub times: Option<u64>,
    /// From this instant on. `None`: from the beginning.
    pub from: Option<Timestamp>,
    /// Before this instant. `None`: for ever.
    pub until: Option<Timestamp>,
    /// Where `channel` and `provider` stand, in bytes of the file.
    pub channel_span: Range<usize>,
    pub provider_span: Range<usize>,
}

const OUTCOMES: [(&str, AttemptOutcome); 7] = [
    ("retry", AttemptOutcome::Retry),
    ("rate_limited", AttemptOutcome::RateLimited),
    ("unknown", AttemptOutcome::Unknown),
    ("invalid_recipient", AttemptOutcome::InvalidRecipient),
    ("rejected", AttemptOutcome::Rejected),
    ("misconfigured", AttemptOutcome::Misconfigured),
    ("plugin_fault", AttemptOutcome::PluginFault),
];

const KINDS: [&str; 7] = ["event", "wait", "until", "read", "fail", "preferences", "user"];

pub(super) fn read(reader: &Reader<'_>, node: &Node) -> Option<When> {
    let mut fields = reader.fields(node, "a step of `when`")?;
    let given = match &node.kind {
        Kind::Map(entries) => entries.len(),
        _ => 0,
    };
    let mut found = None;
    for kind in KINDS {
        if let Some(value) = fields.take(kind) {
            found = found.or(Some((kind, value)));
        }
    }
    if found.is_none() || given > 1 {
        let message = format!("a step of `when` is one of `{}`", KINDS.join("`, `"));
        reader.error("case.when", node.span.start..node.span.start, message);
    }
    fields.finish();
    let (kind, value) = found?;
    let what = match kind {
        "event" => Happening::Event(value.clone()),
        "wait" => Happening::Wait(reader.span(value, kind)?),
        "until" => Happening::Until(instant_of(reader, value, kind)?),
        "read" => {
            let mut fields = reader.fields(value, "a `read`")?;
            let reading = reading(reader, &mut fields);
            fields.finish();
            Happening::Read(reading?)
        }
        "fail" => Happening::Fail(fault(reader, value)?),
        "preferences" => Happening::Preferences(value.clone()),
        _ => Happening::User(value.clone()),
    };
    Some(When { what, span: node.span.clone() })
}

pub(super) fn reading(reader: &Reader<'_>, fields: &mut Fields<'_, '_>) -> Option<Reading> {
    let user = user(reader, fields);
    let workflow = fields.text("workflow").map(WorkflowName::from);
    Some(Reading { user: user?, workflow })
}

pub(super) fn fault(reader: &Reader<'_>, node: &Node) -> Option<Fault> {
    let mut fields = reader.fields(node, "a provider's failure")?;
    let span = |node: Option<&Node>| node.map_or(0..0, |node| node.span.clone());
    let channel = fields.take("channel");
    let provider = fields.take("provider");
    let outcome = fields.need("outcome").and_then(|node| reader.word(node, "outcome", &OUTCOMES));
    let code = fields.text("code");
    let message = fields.text("message");
    let after = fields.span("after");
    let times = fields.count_to("times", MOST_TIMES);
    let from = instant(reader, &mut fields, "from");
    let until = instant(reader, &mut fields, "until");
    fields.finish();
    Some(Fault {
        channel_span: span(channel),
        provider_span: span(provider),
        channel: channel.and_then(|node| reader.text(node, "channel")).map(ChannelName::from),
        provider: provider.and_then(|node| reader.text(node, "provider")).map(ProviderName::from),
        outcome: outcome?,
        code: code.unwrap_or_else(|| "scripted".into()),
        message: message.unwrap_or_else(|| "the script says so".into()),
        after,
        times,
        from,
        until,
    })
}
