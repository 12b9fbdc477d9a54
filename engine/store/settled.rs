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
pub(super) struct Settled {
    /// It left before, leads others, or was put off.
    touched: bool,
    held: bool,
    /// A stop came while it was leaving: it is not tried again.
    stopped: bool,
}

impl Settled {
    pub fn new(left: bool, leads: bool, held: bool, status: i64) -> Self {
        let stopped = status == MessageStatus::Cancelled as i64;
        Self { touched: left || leads || held, held, stopped }
    }

    /// What follows for others; of most settlements nothing.
    pub fn leads_to<'s>(&self, settlement: &'s Settlement) -> Option<Consequence<'s>> {
        if self.stopped || settlement.ended_unsent().is_some() {
            return self.touched.then_some(Consequence::NeverSent(settlement));
        }
        if let Some(key) = settlement.held.as_ref().and_then(|held| held.gathers.as_deref()) {
            return Some(Consequence::Gathers(settlement.message, key));
        }
        let let_go = self.held && settlement.status != MessageStatus::Pending;
        let_go.then_some(Consequence::LetGo(settlement.message))
    }
}

/// What follows from the settlements of `round`. `rows` are those of the statement that settled
/// them: id, whether it left before, leads others, was put off, and its status.
pub(super) fn consequences<'s>(
    rows: &[impl Columns],
    round: &Round<'s, Settlement>,
) -> sqlx::Result<Vec<Consequence<'s>>> {
    let rows = rows.iter().map(read).collect::<sqlx::Result<HashMap<Uuid, Settled>>>()?;
    let consequence =
        |settlement: &'s Settlement| rows.get(&settlement.message.0)?.leads_to(settlement);
    Ok(round.iter().filter_map(|(_, settlement)| consequence(settlement)).collect())
}

fn read(row: &impl Columns) -> sqlx::Result<(Uuid, Settled)> {
    Ok((row.id(0)?, Settled::new(row.truth(1)?, row.truth(2)?, row.truth(3)?, row.number(4)?)))
}
