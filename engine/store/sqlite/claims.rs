//! Taking what is due.

use sqlx::sqlite::SqliteRow;
use sqlx::{AssertSqlSafe, SqliteConnection};

use super::decode::{self, millis};
use crate::store::QueueName;
use crate::store::writer::ClaimCall;

/// One class after the other (docs/decisions/0002, T17): a single `ORDER BY priority, due_at` would walk all
/// rows that fall due later.
pub(super) async fn claim(
    connection: &mut SqliteConnection,
    call: &ClaimCall,
) -> sqlx::Result<Vec<SqliteRow>> {
    let sql = match call.queue {
        QueueName::Events => format!(
            "UPDATE event SET fence = ?1, lease_until = ?2, tries = tries + 1 WHERE id IN
               (SELECT id FROM event WHERE plan_at <= ?3 AND fence IS NULL ORDER BY plan_at LIMIT ?4)
             RETURNING {}",
            decode::EVENT
        ),
        QueueName::Runs => format!(
            "UPDATE run SET status = 1, fence = ?1, lease_until = ?2, tries = tries + 1 WHERE id IN
               (SELECT id FROM ({})) RETURNING {}",
            by_class("run", "wake_at"),
            decode::RUN
        ),
        QueueName::Messages => format!(
            "UPDATE message SET status = 1, fence = ?1, lease_until = ?2, tries = tries + 1 WHERE id IN
               (SELECT id FROM ({})) RETURNING {}",
            by_class("message", "due_at"),
            decode::MESSAGE
        ),
    };
    sqlx::query(AssertSqlSafe(sql))
        .bind(call.fence.0)
        .bind(millis(call.claim.until))
        .bind(millis(call.claim.now))
        .bind(i64::try_from(call.claim.limit).unwrap_or(i64::MAX))
        .fetch_all(connection)
        .await
}

fn by_class(table: &str, due: &str) -> String {
    let class = |priority: i64| {
        format!(
            "SELECT * FROM (SELECT id FROM {table} WHERE status = 0 AND priority = {priority} \
             AND {due} <= ?3 ORDER BY {due} LIMIT ?4)"
        )
    };
    format!("{} LIMIT ?4", [0, 1, 2, 3].map(class).join(" UNION ALL "))
}
