//! Taking what is due.

use std::sync::{Arc, LazyLock};

use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, PgConnection};

use super::decode::{self, millis};
use crate::model::Lane;
use crate::store::QueueName;
use crate::store::writer::ClaimCall;

/// The places (class and lane) in which anything waits, one look along the index each: nearly
/// always a handful, however many rows there are.
pub(super) const PLACES: &str = "WITH RECURSIVE place (priority, lane) AS (
   (SELECT priority, lane FROM message WHERE status = 0 ORDER BY priority, lane LIMIT 1)
   UNION ALL
   SELECT next.priority, next.lane FROM place, LATERAL (
     SELECT priority, lane FROM message WHERE status = 0
       AND (message.priority, message.lane) > (place.priority, place.lane)
     ORDER BY priority, lane LIMIT 1) AS next)";

/// Class by class, in each the lane whose turn it is first; `$5` is the turn.
static MESSAGES: LazyLock<Arc<str>> = LazyLock::new(|| {
    let sql = format!(
        "UPDATE message SET status = 1, fence = $1, lease_until = $2, tries = tries + 1
         WHERE id = ANY(ARRAY(
           {PLACES}
           SELECT due.id FROM
             (SELECT priority, lane FROM place ORDER BY priority, (lane + 16 - $5) % 16) AS p,
             LATERAL (SELECT id FROM message WHERE status = 0 AND priority = p.priority
               AND lane = p.lane AND due_at <= $3 ORDER BY due_at LIMIT $4
               FOR UPDATE SKIP LOCKED) AS due
           LIMIT $4)) RETURNING {}",
        decode::MESSAGE
    );
    sql.into()
});

/// The earliest moment at which a message falls due.
pub(super) static NEXT_MESSAGE: LazyLock<Arc<str>> = LazyLock::new(|| {
    let sql = format!(
        "{PLACES}
         SELECT min(first.due) FROM place, LATERAL (
           SELECT due_at AS due FROM message WHERE status = 0
             AND message.priority = place.priority AND message.lane = place.lane
           ORDER BY due_at LIMIT 1) AS first"
    );
    sql.into()
});

/// Rows that another claim is taking are passed over, not waited for. One class after the other,
/// as in SQLite (docs/decisions/0002, T17): each walks its index no further than to the limit.
pub(super) async fn claim(
    connection: &mut PgConnection,
    call: &ClaimCall,
) -> sqlx::Result<Vec<PgRow>> {
    let sql: Arc<str> = match call.queue {
        QueueName::Events => format!(
            "UPDATE event SET fence = $1, lease_until = $2, tries = tries + 1 WHERE id = ANY(ARRAY(
               SELECT id FROM event WHERE plan_at <= $3 AND fence IS NULL ORDER BY plan_at LIMIT $4
               FOR UPDATE SKIP LOCKED)) RETURNING {}",
            decode::EVENT
        )
        .into(),
        QueueName::Runs => format!(
            "UPDATE run SET status = 1, fence = $1, lease_until = $2, tries = tries + 1
             WHERE id = ANY(ARRAY({})) RETURNING {}",
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

/// The limit stands outside too: what it cuts off is not even locked.
fn runs_by_class() -> String {
    let class = |priority: i64| {
        format!(
            "SELECT id FROM (SELECT id FROM run WHERE status = 0 AND priority = {priority} \
             AND wake_at <= $3 ORDER BY wake_at LIMIT $4 FOR UPDATE SKIP LOCKED) AS class{priority}"
        )
    };
    format!("{} LIMIT $4", [0, 1, 2, 3].map(class).join(" UNION ALL "))
}
