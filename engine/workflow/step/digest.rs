use super::Fields;
use crate::diagnostic::Node;
use crate::expression::{Expression, Names};

/// Collected until a moment that comes round.
#[derive(Clone, Debug, PartialEq)]
pub struct Digest {
    pub cron: String,
    /// IANA; `None`: the recipient's.
    pub time_zone: Option<String>,
    pub min_items: Option<u64>,
    pub key: Option<Expression>,
}

pub(super) fn read(value: &Node, mut fields: Fields<'_, '_>) -> Option<Digest> {
    let reader = fields.reader;
    fields.take("digest");
    let mut fields = fields.join(value);
    let cron = fields.need("cron").and_then(|node| reader.text(node, "cron"));
    let zone = fields.take("time_zone");
    let time_zone = zone.and_then(|node| reader.text(node, "time_zone"));
    if let (Some(name), Some(node)) = (&time_zone, zone)
        && jiff::tz::TimeZone::get(name).is_err()
    {
        let message = format!("`{name}` is no time zone");
        reader.error("time_zone.unknown", node.span.clone(), message);
    }
    let min_items = fields.count("min_items");
    let key = fields.expression("key", Names::STEP);
    fields.finish();
    Some(Digest { cron: cron?, time_zone, min_items, key })
}
