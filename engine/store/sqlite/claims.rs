//! Taking what is due.

use std::collections::HashSet;
use std::sync::{Arc, LazyLock};

use rusqlite::Connection;
use uuid::Uuid;

use super::decode::{self, millis};
use super::rows::{Row, Statements, unfit};
use crate::model::Lane;
use crate::store::QueueName;
use crate::store::columns::Columns;
use crate::store::writer::ClaimCall;

/// The places (class and lane, as one number) in which anything waits, one look along the index
/// each: nearly always a handful, however many rows there are.
const PLACES: &str = "WITH RECURSIVE place(at) AS (
   SELECT (SELECT priority * 16 + lane FROM message WHERE status = 0
           ORDER BY priority, lane LIMIT 1)
   UNION ALL
   SELECT coalesce(
     (SELECT priority * 16 + lane FROM message
      WHERE status = 0 AND priority = at / 16 AND lane > at % 16
      ORDER BY priority, lane LIMIT 1),
     (SELECT priority * 16 + lane FROM message WHERE status = 0 AND priority > at / 16
      ORDER BY priority, lane LIMIT 1))
   FROM place WHERE at IS NOT NULL)";

/// Class by class, in each the lane whose turn it is first; `?5` is the turn. Without the limit
/// (all places there are) SQLite would leave out the order.
static MESSAGES: LazyLock<String> = LazyLock::new(|| {
    format!(
        "UPDATE message SET status = 1, fence = ?1, lease_until = ?2, tries = tries + 1 WHERE id IN
           ({PLACES}
            SELECT m.id FROM
              (SELECT at FROM place WHERE at IS NOT NULL
               ORDER BY at / 16, (at % 16 + 16 - ?5) % 16 LIMIT 64)
                AS p
              CROSS JOIN message AS m INDEXED BY message_due
            WHERE m.status = 0 AND m.priority = p.at / 16 AND m.lane = p.at % 16
              AND m.due_at <= ?3 LIMIT ?4)
         RETURNING {}",
        decode::MESSAGE
    )
});

/// The earliest moment at which a message falls due.
pub(super) static NEXT_MESSAGE: LazyLock<Arc<str>> = LazyLock::new(|| {
    let sql = format!(
        "{PLACES}
         SELECT min((SELECT min(due_at) FROM message
                     WHERE status = 0 AND priority = at / 16 AND lane = at % 16))
         FROM place WHERE at IS NOT NULL"
    );
    sql.into()
});

/// One class after the other (docs/decisions/0002, T17): a single `ORDER BY priority, due_at` would walk all
/// rows that fall due later.
static RUNS: LazyLock<String> = LazyLock::new(|| {
    let class = |priority: i64| {
        format!(
            "SELECT * FROM (SELECT id FROM run WHERE status = 0 AND priority = {priority} \
             AND wake_at <= ?3 ORDER BY wake_at LIMIT ?4)"
        )
    };
    let classes = [0, 1, 2, 3].map(class).join(" UNION ALL ");
    format!(
        "UPDATE run SET status = 1, fence = ?1, lease_until = ?2, tries = tries + 1 WHERE id IN
           (SELECT id FROM ({classes} LIMIT ?4)) RETURNING {}",
        decode::RUN
    )
});

static EVENTS: LazyLock<String> = LazyLock::new(|| {
    format!(
        "UPDATE event SET fence = ?1, lease_until = ?2, tries = tries + 1 WHERE id IN
           (SELECT id FROM event WHERE plan_at <= ?3 AND fence IS NULL ORDER BY plan_at LIMIT ?4)
         RETURNING {}",
        decode::EVENT
    )
});

static RUN: LazyLock<String> =
    LazyLock::new(|| format!("SELECT {} FROM run WHERE id = ?", decode::RUN));
static EVENT: LazyLock<String> =
    LazyLock::new(|| format!("SELECT {} FROM event WHERE id = ?", decode::EVENT));

/// Claimed rows, with those they belong to: read where they are claimed, nobody has to ask for
/// them afterwards.
#[derive(Default)]
pub(super) struct Claimed {
    pub rows: Vec<Row>,
    /// Of messages.
    pub runs: Vec<Row>,
    /// Of messages and runs.
    pub events: Vec<Row>,
}

pub(super) fn claim(connection: &Connection, call: &ClaimCall) -> rusqlite::Result<Claimed> {
    let fence = call.fence.0;
    let (until, now) = (millis(call.claim.until), millis(call.claim.now));
    let limit = i64::try_from(call.claim.limit).unwrap_or(i64::MAX);
    match call.queue {
        QueueName::Events => {
            let rows = connection.all(&EVENTS, (fence, until, now, limit), Row::read)?;
            Ok(Claimed { rows, ..Claimed::default() })
        }
        QueueName::Runs => {
            let rows = connection.all(&RUNS, (fence, until, now, limit), Row::read)?;
            let events = owners(connection, &EVENT, &rows, 1)?;
            Ok(Claimed { rows, events, ..Claimed::default() })
        }
        QueueName::Messages => {
            let turn = call.turn % Lane::COUNT;
            let rows = connection.all(&MESSAGES, (fence, until, now, limit, turn), Row::read)?;
            let runs = owners(connection, &RUN, &rows, 1)?;
            let events = owners(connection, &EVENT, &rows, 5)?;
            Ok(Claimed { rows, runs, events })
        }
    }
}

/// What `rows` name in the column `place`, once each.
fn owners(
    connection: &Connection,
    select: &str,
    rows: &[Row],
    place: usize,
) -> rusqlite::Result<Vec<Row>> {
    let ids: sqlx::Result<HashSet<Uuid>> = rows.iter().map(|row| row.id(place)).collect();
    let ids = ids.map_err(unfit)?;
    let owners = ids.into_iter().map(|id| connection.maybe(select, (id,), Row::read));
    owners.filter_map(Result::transpose).collect()
}
