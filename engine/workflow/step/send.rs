use std::ops::Range;
use std::sync::Arc;

use super::Fields;
use crate::expression::{Expression, Names};
use crate::model::{ChannelName, ProviderName, Span};

/// One message on each of its channels.
#[derive(Clone, Debug, PartialEq)]
pub struct Send {
    /// Each is tried on its own.
    pub channels: Vec<ChannelName>,
    /// A folder under `templates/`.
    pub template: Option<String>,
    /// Failover, in this order; empty: the configuration's.
    pub providers: Vec<ProviderName>,
    /// Waits before further attempts; `None`: the configuration's.
    pub retry: Option<Vec<Span>>,
    pub quiet_hours: WhenHeld,
    pub over_limit: WhenHeld,
    /// Beats the workflow's.
    pub expires: Option<Span>,
    /// An address instead of the recipient's own.
    pub to: Option<Expression>,
    /// What the template sees as `data`; an inbox entry's `metadata` too.
    pub data: Vec<(String, Expression)>,
    /// The step's `if`, asked when the message is due.
    pub condition: Option<Expression>,
    /// `path:line`.
    pub place: Arc<str>,
    /// Where the channels and the template's name stand, in bytes of the file.
    pub channel_spans: Vec<Range<usize>>,
    pub template_span: Range<usize>,
}

/// What becomes of a message that may not leave now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WhenHeld {
    #[default]
    Defer,
    /// Gathered with others into one.
    Batch,
    Drop,
    /// It leaves all the same.
    Ignore,
}

const HELD: [(&str, WhenHeld); 4] = [
    ("defer", WhenHeld::Defer),
    ("batch", WhenHeld::Batch),
    ("drop", WhenHeld::Drop),
    ("ignore", WhenHeld::Ignore),
];

pub(super) fn read(
    mut fields: Fields<'_, '_>,
    condition: Option<Expression>,
    place: Arc<str>,
) -> Option<Send> {
    let reader = fields.reader;
    let channels = fields.texts("send");
    if channels.is_empty() {
        reader.error("send.channel", fields.span.clone(), "a `send` step needs a channel");
    }
    let send = message(&mut fields, channels, condition, place);
    fields.finish();
    Some(send)
}

/// What a step says of the messages that it makes.
pub(super) fn message(
    fields: &mut Fields<'_, '_>,
    channels: Vec<(String, Range<usize>)>,
    condition: Option<Expression>,
    place: Arc<str>,
) -> Send {
    let reader = fields.reader;
    let template = fields.take("template");
    let providers = fields.texts("providers");
    let retry = fields.take("retry").map(|node| {
        let items = reader.one_or_more(node).iter();
        items.filter_map(|item| reader.span_or_zero(item, "retry")).collect()
    });
    let quiet_hours = fields.word("quiet_hours", &HELD);
    let over_limit = fields.word("over_limit", &HELD);
    let expires = fields.span("expires");
    let to = fields.expression("to", Names::STEP);
    let data = fields.expressions("data", Names::STEP);
    let template_span = template.map_or(0..0, |node| node.span.clone());
    let template = template.and_then(|node| reader.text(node, "template"));
    let (channels, channel_spans): (Vec<_>, Vec<_>) = channels.into_iter().unzip();
    Send {
        channels: channels.into_iter().map(ChannelName::from).collect(),
        template,
        providers: providers.into_iter().map(|(name, _)| ProviderName::from(name)).collect(),
        retry,
        quiet_hours,
        over_limit,
        expires,
        to,
        data,
        condition,
        place,
        channel_spans,
        template_span,
    }
}
