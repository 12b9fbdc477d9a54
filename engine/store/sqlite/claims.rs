//! Taking what is due.

use std::sync::{Arc, LazyLock};

use rusqlite::Connection;

use super::decode::{self, millis};
use super::rows::{Row, Statements};
use crate::model::Lane;
use crate::store::QueueName;
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

pub(super) fn claim(connection: &Connection, call: &ClaimCall) -> rusqlite::Result<Vec<Row>> {
    let fence = call.fence.0;
    let (until, now) = (millis(call.claim.until), millis(call.claim.now));
    let limit = i64::try_from(call.claim.limit).unwrap_or(i64::MAX);
    match call.queue {
        QueueName::Events => connection.all(&EVENTS, (fence, until, now, limit), Row::read),
        QueueName::Runs => connection.all(&RUNS, (fence, until, now, limit), Row::read),
        QueueName::Messages => {
            let turn = call.turn % Lane::COUNT;
            connection.all(&MESSAGES, (fence, until, now, limit, turn), Row::read)
        }
    }
}
