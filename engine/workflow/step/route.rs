use super::Fields;
use crate::diagnostic::Node;
use crate::model::{ChannelName, Span};

/// Channels one after another, until one succeeds.
#[derive(Clone, Debug, PartialEq)]
pub struct Route {
    pub channels: Vec<ChannelName>,
    pub template: Option<String>,
    pub success: Success,
    /// How long one channel has to succeed.
    pub within: Option<Span>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Success {
    #[default]
    Accepted,
    Delivered,
    Seen,
    Read,
}

const SUCCESSES: [(&str, Success); 4] = [
    ("accepted", Success::Accepted),
    ("delivered", Success::Delivered),
    ("seen", Success::Seen),
    ("read", Success::Read),
];

pub(super) fn read(value: &Node, mut fields: Fields<'_, '_>) -> Option<Route> {
    let reader = fields.reader;
    fields.take("route");
    let mut fields = fields.join(value);
    let channels = fields.need("channels").map_or_else(Vec::new, |node| {
        let items = reader.items(node, "channels").iter();
        items.filter_map(|item| reader.text(item, "channels")).map(ChannelName::from).collect()
    });
    let template = fields.text("template");
    let success = fields.word("success", &SUCCESSES);
    let within = fields.span("within");
    fields.finish();
    Some(Route { channels, template, success, within })
}
