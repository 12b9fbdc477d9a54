//! Clearing what is past its time, a slice of a table at a time.
//!
//! A reader finds the slice, in the order of a key that is there already (ids grow with time); a
//! writer removes from it what may go. Nodes may clear the same slice: what one removed, the other
//! does not find.

use async_trait::async_trait;
use jiff::Timestamp;
use sqlx::PgConnection;
use uuid::Uuid;

use super::PostgresStore;
use super::decode::millis;
use crate::store::Result;
use crate::store::retention::{Kept, Mark, Pruned, Retention};

/// Rows of a dead letter, about: it goes with its attempts.
const OF_A_DEAD_LETTER: usize = 10;

/// How one table is walked and cleared.
struct Walk {
    /// The key before all others.
    first: &'static str,
    /// Answers the keys, a JSON array each, of at most `$3` rows behind the key `$1`, up to the
    /// moment `$2`, or to the least id of that moment, `$4`.
    slice: &'static str,
    /// What removes those of the keys `$1` (an array of them) that may go, from before `$2`. Only
    /// the rows of the last statement are counted.
    clear: &'static [&'static str],
}

const NO_ID: &str = "[\"00000000-0000-0000-0000-000000000000\", -1]";
const NO_NAME: &str = "[\"\", -1]";
const NO_NUMBER: &str = "[-1]";

const ATTEMPTS: Walk = Walk {
    first: NO_ID,
    slice: "SELECT json_build_array(message, number)::text FROM attempt \
            WHERE (message, number) > (($1::jsonb ->> 0)::uuid, ($1::jsonb ->> 1)::bigint) \
              AND message < $4 AND $2::bigint IS NOT NULL ORDER BY message, number LIMIT $3",
    clear: &["DELETE FROM attempt a USING jsonb_array_elements($1::jsonb) k \
                WHERE a.message = (k ->> 0)::uuid AND a.number = (k ->> 1)::bigint \
                  AND a.finished_at < $2 AND NOT EXISTS (SELECT 1 FROM message m \
                    WHERE m.id = a.message AND m.status IN (0, 1, 2, 3, 5))"],
};

const MESSAGES: Walk = Walk {
    first: NO_ID,
    slice: "SELECT json_build_array(id)::text FROM message WHERE id > ($1::jsonb ->> 0)::uuid \
              AND id < $4 AND $2::bigint IS NOT NULL ORDER BY id LIMIT $3",
    clear: &["DELETE FROM message m USING jsonb_array_elements($1::jsonb) k \
                WHERE m.id = (k ->> 0)::uuid AND m.due_at < $2 \
                  AND m.status NOT IN (0, 1, 2, 3, 5) \
                  AND NOT EXISTS (SELECT 1 FROM attempt a WHERE a.message = m.id) \
                  AND NOT EXISTS (SELECT 1 FROM run r WHERE r.id = m.run AND r.status IN (0, 1)) \
                  AND NOT EXISTS (SELECT 1 FROM message l WHERE l.id = m.gathered_by \
                    AND l.status IN (0, 1, 2, 3, 5))"],
};

const DEAD_LETTERS: Walk = Walk {
    first: NO_ID,
    slice: "SELECT json_build_array(id)::text FROM message WHERE id > ($1::jsonb ->> 0)::uuid \
              AND id < $4 AND status IN (3, 5) AND $2::bigint IS NOT NULL ORDER BY id LIMIT $3",
    clear: &[
        "DELETE FROM attempt a USING jsonb_array_elements($1::jsonb) k, message m \
           WHERE m.id = (k ->> 0)::uuid AND a.message = m.id AND m.due_at < $2 \
             AND m.status IN (3, 5) \
             AND NOT EXISTS (SELECT 1 FROM run r WHERE r.id = m.run AND r.status IN (0, 1))",
        "DELETE FROM message m USING jsonb_array_elements($1::jsonb) k \
           WHERE m.id = (k ->> 0)::uuid AND m.due_at < $2 AND m.status IN (3, 5) \
             AND NOT EXISTS (SELECT 1 FROM run r WHERE r.id = m.run AND r.status IN (0, 1))",
    ],
};

const DECISIONS: Walk = Walk {
    first: NO_NUMBER,
    slice: "SELECT json_build_array(seq)::text FROM decision WHERE seq > ($1::jsonb ->> 0)::bigint \
              AND at < $2 AND $4::uuid IS NOT NULL ORDER BY seq LIMIT $3",
    clear: &["DELETE FROM decision d USING jsonb_array_elements($1::jsonb) k \
                WHERE d.seq = (k ->> 0)::bigint AND d.at < $2 \
                  AND NOT EXISTS (SELECT 1 FROM event e WHERE e.id = d.event \
                    AND e.plan_at IS NOT NULL) \
                  AND NOT EXISTS (SELECT 1 FROM run r WHERE r.id = d.run AND r.status IN (0, 1)) \
                  AND NOT EXISTS (SELECT 1 FROM message m WHERE m.id = d.message \
                    AND m.status IN (0, 1, 2, 3, 5))"],
};

const RUNS: Walk = Walk {
    first: NO_ID,
    slice: "SELECT json_build_array(id)::text FROM run WHERE id > ($1::jsonb ->> 0)::uuid \
              AND id < $4 AND $2::bigint IS NOT NULL ORDER BY id LIMIT $3",
    clear: &[
        "DELETE FROM collected d USING jsonb_array_elements($1::jsonb) k, run r \
           WHERE d.run = (k ->> 0)::uuid AND r.id = d.run AND r.started_at < $2 \
             AND r.status NOT IN (0, 1) \
             AND NOT EXISTS (SELECT 1 FROM collection c WHERE c.id = d.collection)",
        "DELETE FROM run r USING jsonb_array_elements($1::jsonb) k \
           WHERE r.id = (k ->> 0)::uuid AND r.started_at < $2 AND r.status NOT IN (0, 1) \
             AND NOT EXISTS (SELECT 1 FROM message m WHERE m.run = r.id) \
             AND NOT EXISTS (SELECT 1 FROM collected d JOIN collection c ON c.id = d.collection \
               WHERE d.run = r.id)",
    ],
};

const EVENTS: Walk = Walk {
    first: NO_ID,
    slice: "SELECT json_build_array(id)::text FROM event WHERE id > ($1::jsonb ->> 0)::uuid \
              AND id < $4 AND $2::bigint IS NOT NULL ORDER BY id LIMIT $3",
    clear: &["WITH gone AS (DELETE FROM event e USING jsonb_array_elements($1::jsonb) k \
                WHERE e.id = (k ->> 0)::uuid AND e.at < $2 AND e.plan_at IS NULL \
                  AND e.fence IS NULL \
                  AND NOT EXISTS (SELECT 1 FROM run r WHERE r.event = e.id) \
                  AND NOT EXISTS (SELECT 1 FROM decision d WHERE d.event = e.id) \
                RETURNING e.id), \
              done AS (DELETE FROM once o USING gone WHERE o.event = gone.id), \
              told AS (DELETE FROM unplanned u USING gone WHERE u.event = gone.id) \
              SELECT 1 FROM gone"],
};

/// An entry's id is its run's, which is never younger.
const INBOX: Walk = Walk {
    first: NO_ID,
    slice: "SELECT json_build_array(id)::text FROM inbox WHERE id > ($1::jsonb ->> 0)::uuid \
              AND id < $4 AND $2::bigint IS NOT NULL ORDER BY id LIMIT $3",
    clear: &["DELETE FROM inbox i USING jsonb_array_elements($1::jsonb) k \
                WHERE i.id = (k ->> 0)::uuid AND i.created_at < $2"],
};

const FRAMES: Walk = Walk {
    first: NO_NAME,
    slice: "SELECT json_build_array(user_id, seq)::text FROM frame \
              WHERE (user_id, seq) > (($1::jsonb ->> 0) COLLATE \"C\", ($1::jsonb ->> 1)::bigint) \
              AND $2::bigint IS NOT NULL AND $4::uuid IS NOT NULL ORDER BY user_id, seq LIMIT $3",
    clear: &["DELETE FROM frame f USING jsonb_array_elements($1::jsonb) k \
                WHERE f.user_id = (k ->> 0) AND f.seq = (k ->> 1)::bigint AND f.at < $2"],
};

const SAYINGS: Walk = Walk {
    first: NO_NAME,
    slice: "SELECT json_build_array(room, seq)::text FROM saying \
              WHERE (room, seq) > (($1::jsonb ->> 0) COLLATE \"C\", ($1::jsonb ->> 1)::bigint) \
              AND $2::bigint IS NOT NULL AND $4::uuid IS NOT NULL ORDER BY room, seq LIMIT $3",
    clear: &["DELETE FROM saying s USING jsonb_array_elements($1::jsonb) k \
                WHERE s.room = (k ->> 0) AND s.seq = (k ->> 1)::bigint AND s.at < $2"],
};

const STREAMS: Walk = Walk {
    first: NO_NAME,
    slice: "SELECT json_build_array(stream, seq)::text FROM stream_frame \
              WHERE (stream, seq) > (($1::jsonb ->> 0) COLLATE \"C\", ($1::jsonb ->> 1)::bigint) \
              AND $2::bigint IS NOT NULL AND $4::uuid IS NOT NULL ORDER BY stream, seq LIMIT $3",
    clear: &["DELETE FROM stream_frame f USING jsonb_array_elements($1::jsonb) k \
                WHERE f.stream = (k ->> 0) AND f.seq = (k ->> 1)::bigint AND f.at < $2"],
};

#[async_trait]
impl Retention for PostgresStore {
    async fn prune(
        &self,
        of: Kept,
        before: Timestamp,
        after: Option<&Mark>,
        limit: usize,
    ) -> Result<Pruned> {
        let walk = walk(of);
        let limit = if of == Kept::DeadLetters { limit / OF_A_DEAD_LETTER } else { limit }.max(1);
        let millis = millis(before);
        let keys: Vec<String> = sqlx::query_scalar(walk.slice)
            .bind(after.map_or(walk.first, |mark| mark.0.as_str()))
            .bind(millis)
            .bind(i64::try_from(limit).unwrap_or(i64::MAX))
            .bind(least_id(millis))
            .fetch_all(&self.readers)
            .await?;
        let full = keys.len() >= limit;
        let next = keys.last().filter(|_| full).cloned().map(Mark);
        if keys.is_empty() {
            return Ok(Pruned::default());
        }
        let keys = format!("[{}]", keys.join(","));
        let clearing = self.writer.other(move |connection| {
            let keys = keys.clone();
            Box::pin(async move { clear(connection, walk, keys, millis).await })
        });
        Ok(Pruned { rows: clearing.await?, next })
    }
}

async fn clear(
    connection: &mut PgConnection,
    walk: &'static Walk,
    keys: String,
    before: i64,
) -> sqlx::Result<u64> {
    let mut removed = 0;
    for sql in walk.clear {
        let done = sqlx::query(*sql).bind(keys.as_str()).bind(before);
        removed = done.execute(&mut *connection).await?.rows_affected();
    }
    Ok(removed)
}

fn walk(of: Kept) -> &'static Walk {
    match of {
        Kept::Attempts => &ATTEMPTS,
        Kept::Messages => &MESSAGES,
        Kept::DeadLetters => &DEAD_LETTERS,
        Kept::Decisions => &DECISIONS,
        Kept::Runs => &RUNS,
        Kept::Events => &EVENTS,
        Kept::Inbox => &INBOX,
        Kept::Frames => &FRAMES,
        Kept::Sayings => &SAYINGS,
        Kept::Streams => &STREAMS,
    }
}

/// The least UUIDv7 of a moment.
fn least_id(millis: i64) -> Uuid {
    Uuid::from_u128(u128::from(millis.max(0).unsigned_abs()) << 80)
}
