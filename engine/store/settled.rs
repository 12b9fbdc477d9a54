use std::collections::HashMap;

use uuid::Uuid;

use super::Settlement;
use super::columns::Columns;
use super::rounds::Round;
use crate::model::{MessageId, MessageStatus};

/// What a settlement leads to in other rows.
pub(super) enum Consequence<'s> {
    /// It ended unsent: what it took is given back, and what it led is free.
    NeverSent(&'s Settlement),
    /// It waits with those that have this in common.
    Gathers(MessageId, &'s str),
    /// It is no longer put off.
    LetGo(MessageId),
}

/// What has to be known of a settled row.
struct Row {
    /// It left before, leads others, or was put off.
    touched: bool,
    held: bool,
    /// A stop came while it was leaving: it is not tried again.
    stopped: bool,
}

/// What follows from settlements for others; of most of them nothing. `rows` are those of the
/// statement that settled them: id, whether it left before, leads others, was put off, and its
/// status.
pub(super) fn consequences<'s>(
    rows: &[impl Columns],
    round: &Round<'s, Settlement>,
) -> sqlx::Result<Vec<Consequence<'s>>> {
    let rows = rows.iter().map(read).collect::<sqlx::Result<HashMap<Uuid, Row>>>()?;
    let consequence = |settlement: &'s Settlement| {
        let row = rows.get(&settlement.message.0)?;
        if row.stopped || settlement.ended_unsent().is_some() {
            return row.touched.then_some(Consequence::NeverSent(settlement));
        }
        if let Some(key) = settlement.held.as_ref().and_then(|held| held.gathers.as_deref()) {
            return Some(Consequence::Gathers(settlement.message, key));
        }
        let let_go = row.held && settlement.status != MessageStatus::Pending;
        let_go.then_some(Consequence::LetGo(settlement.message))
    };
    Ok(round.iter().filter_map(|(_, settlement)| consequence(settlement)).collect())
}

fn read(row: &impl Columns) -> sqlx::Result<(Uuid, Row)> {
    let (left, leads, held) = (row.truth(1)?, row.truth(2)?, row.truth(3)?);
    let stopped = row.number(4)? == MessageStatus::Cancelled as i64;
    Ok((row.id(0)?, Row { touched: left || leads || held, held, stopped }))
}
