//! Taking what is due.

use std::sync::{Arc, LazyLock};

use sqlx::sqlite::SqliteRow;
use sqlx::{AssertSqlSafe, SqliteConnection};

use super::decode::{self, millis};
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
static MESSAGES: LazyLock<Arc<str>> = LazyLock::new(|| {
    let sql = format!(
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
    );
    sql.into()
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
pub(super) async fn claim(
    connection: &mut SqliteConnection,
    call: &ClaimCall,
) -> sqlx::Result<Vec<SqliteRow>> {
    let sql: Arc<str> = match call.queue {
        QueueName::Events => format!(
            "UPDATE event SET fence = ?1, lease_until = ?2, tries = tries + 1 WHERE id IN
               (SELECT id FROM event WHERE plan_at <= ?3 AND fence IS NULL ORDER BY plan_at LIMIT ?4)
             RETURNING {}",
            decode::EVENT
        )
        .into(),
        QueueName::Runs => format!(
            "UPDATE run SET status = 1, fence = ?1, lease_until = ?2, tries = tries + 1 WHERE id IN
               (SELECT id FROM ({})) RETURNING {}",
            runs_by_class(),
            decode::RUN
        )
        .into(),
        QueueName::Messages => MESSAGES.clone(),
    };
    let query = sqlx::query(AssertSqlSafe(sql))
        .bind(call.fence.0)
        .bind(millis(call.claim.until))
        .bind(millis(call.claim.now))
        .bind(i64::try_from(call.claim.limit).unwrap_or(i64::MAX));
    let query = match call.queue {
        QueueName::Messages => query.bind(i64::from(call.turn % Lane::COUNT)),
        QueueName::Events | QueueName::Runs => query,
    };
    query.fetch_all(connection).await
}

fn runs_by_class() -> String {
    let class = |priority: i64| {
        format!(
            "SELECT * FROM (SELECT id FROM run WHERE status = 0 AND priority = {priority} \
             AND wake_at <= ?3 ORDER BY wake_at LIMIT ?4)"
        )
    };
    format!("{} LIMIT ?4", [0, 1, 2, 3].map(class).join(" UNION ALL "))
}
