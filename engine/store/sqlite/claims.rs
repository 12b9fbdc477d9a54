//! Taking what is due.

use std::sync::{Arc, LazyLock};

use sqlx::{AssertSqlSafe, SqliteConnection};

use super::decode::{self, millis};
use super::queue::{ClaimCall, ClaimedRows};
use crate::model::{Lane, Priority};
use crate::store::QueueName;

/// A statement for each lane that a claim may begin with.
static MESSAGES: LazyLock<Vec<Arc<str>>> = LazyLock::new(|| {
    let statement = |turn| {
        let sql = format!(
            "UPDATE message SET status = 1, fence = ?1, lease_until = ?2, tries = tries + 1 WHERE id IN
               (SELECT id FROM ({})) RETURNING {}",
            by_class_and_lane(turn),
            decode::MESSAGE
        );
        sql.into()
    };
    (0..Lane::COUNT).map(statement).collect()
});

/// One class after the other (docs/decisions/0002, T17): a single `ORDER BY priority, due_at` would walk all
/// rows that fall due later.
pub(super) async fn claim(
    connection: &mut SqliteConnection,
    call: &ClaimCall,
) -> sqlx::Result<ClaimedRows> {
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
        QueueName::Messages => MESSAGES[usize::from(call.turn % Lane::COUNT)].clone(),
    };
    sqlx::query(AssertSqlSafe(sql))
        .bind(call.fence.0)
        .bind(millis(call.claim.until))
        .bind(millis(call.claim.now))
        .bind(i64::try_from(call.claim.limit).unwrap_or(i64::MAX))
        .fetch_all(connection)
        .await
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

/// Each lane is a walk of its own along the index; SQLite begins none once the limit is reached.
fn by_class_and_lane(turn: u8) -> String {
    let mut lanes = Vec::with_capacity(Priority::ALL.len() * usize::from(Lane::COUNT));
    for priority in Priority::ALL {
        lanes.extend(Lane::in_turn(turn).map(|lane| {
            format!(
                "SELECT * FROM (SELECT id FROM message WHERE status = 0 AND priority = {} \
                 AND lane = {lane} AND due_at <= ?3 ORDER BY due_at LIMIT ?4)",
                priority as i64
            )
        }));
    }
    format!("{} LIMIT ?4", lanes.join(" UNION ALL "))
}
