//! Taking what is due.

use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, PgConnection};

use super::decode::{self, millis};
use crate::store::QueueName;
use crate::store::writer::ClaimCall;

/// Rows that another claim is taking are passed over, not waited for. One class after the other,
/// as in SQLite (docs/decisions/0002, T17): each walks its index no further than to the limit.
pub(super) async fn claim(
    connection: &mut PgConnection,
    call: &ClaimCall,
) -> sqlx::Result<Vec<PgRow>> {
    let sql = match call.queue {
        QueueName::Events => format!(
            "UPDATE event SET fence = $1, lease_until = $2, tries = tries + 1 WHERE id = ANY(ARRAY(
               SELECT id FROM event WHERE plan_at <= $3 AND fence IS NULL ORDER BY plan_at LIMIT $4
               FOR UPDATE SKIP LOCKED)) RETURNING {}",
            decode::EVENT
        ),
        QueueName::Runs => format!(
            "UPDATE run SET status = 1, fence = $1, lease_until = $2, tries = tries + 1
             WHERE id = ANY(ARRAY({})) RETURNING {}",
            by_class("run", "wake_at"),
            decode::RUN
        ),
        QueueName::Messages => format!(
            "UPDATE message SET status = 1, fence = $1, lease_until = $2, tries = tries + 1
             WHERE id = ANY(ARRAY({})) RETURNING {}",
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

/// The limit stands outside too: what it cuts off is not even locked.
fn by_class(table: &str, due: &str) -> String {
    let class = |priority: i64| {
        format!(
            "SELECT id FROM (SELECT id FROM {table} WHERE status = 0 AND priority = {priority} \
             AND {due} <= $3 ORDER BY {due} LIMIT $4 FOR UPDATE SKIP LOCKED) AS class{priority}"
        )
    };
    format!("{} LIMIT $4", [0, 1, 2, 3].map(class).join(" UNION ALL "))
}
