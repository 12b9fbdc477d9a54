//! Clearing what is past its time, a slice of a table at a time.
//!
//! A reader finds the slice, in the order of a key that is there already (ids grow with time); the
//! writer removes from it what may go, so that it holds its lock for a thousand rows at most.

use async_trait::async_trait;
use jiff::Timestamp;
use rusqlite::Connection;
use uuid::Uuid;

use super::SqliteStore;
use super::decode::millis;
use super::rows::Statements;
use crate::store::Result;
use crate::store::retention::{Kept, Mark, Pruned, Retention};

/// Rows of a dead letter, about: it goes with its attempts.
const OF_A_DEAD_LETTER: usize = 10;

/// How one table is walked and cleared.
struct Walk {
    /// Answers the keys, a JSON array each, of at most `?3` rows behind the key `?1`, up to the
    /// moment `?2`, or to the least id of that moment, `?4`.
    slice: &'static str,
    /// What comes before the removal.
    prepare: &'static [&'static str],
    /// What removes those of the keys `?1` (an array of them) that may go, from before `?2`. Only
    /// the rows of the first statement are counted.
    clear: &'static [&'static str],
}

const ATTEMPTS: Walk = Walk {
    slice: "SELECT json_array(hex(message), number) FROM attempt \
            WHERE (message, number) > (unhex(?1 ->> 0), ?1 ->> 1) AND message < ?4 \
              AND ?2 IS NOT NULL ORDER BY message, number LIMIT ?3",
    prepare: &[],
    clear: &["DELETE FROM attempt WHERE (message, number) IN \
                (SELECT unhex(value ->> 0), value ->> 1 FROM json_each(?1)) AND finished_at < ?2 \
                AND NOT EXISTS (SELECT 1 FROM message m WHERE m.id = attempt.message \
                  AND m.status IN (0, 1, 2, 3, 5))"],
};

const MESSAGES: Walk = Walk {
    slice: "SELECT json_array(hex(id)) FROM message WHERE id > unhex(?1 ->> 0) AND id < ?4 \
              AND ?2 IS NOT NULL ORDER BY id LIMIT ?3",
    prepare: &[],
    clear: &["DELETE FROM message WHERE id IN (SELECT unhex(value ->> 0) FROM json_each(?1)) \
                AND due_at < ?2 AND status NOT IN (0, 1, 2, 3, 5) \
                AND NOT EXISTS (SELECT 1 FROM attempt a WHERE a.message = message.id) \
                AND NOT EXISTS (SELECT 1 FROM run r WHERE r.id = message.run AND r.status IN (0, 1)) \
                AND NOT EXISTS (SELECT 1 FROM message l WHERE l.id = message.gathered_by \
                  AND l.status IN (0, 1, 2, 3, 5))"],
};

const DEAD_LETTERS: Walk = Walk {
    slice: "SELECT json_array(hex(id)) FROM message WHERE id > unhex(?1 ->> 0) AND id < ?4 \
              AND status IN (3, 5) AND ?2 IS NOT NULL ORDER BY id LIMIT ?3",
    prepare: &["DELETE FROM attempt WHERE message IN (SELECT m.id FROM message m \
                  WHERE m.id IN (SELECT unhex(value ->> 0) FROM json_each(?1)) \
                    AND m.due_at < ?2 AND m.status IN (3, 5) AND NOT EXISTS \
                      (SELECT 1 FROM run r WHERE r.id = m.run AND r.status IN (0, 1)))"],
    clear: &["DELETE FROM message WHERE id IN (SELECT unhex(value ->> 0) FROM json_each(?1)) \
                AND due_at < ?2 AND status IN (3, 5) AND NOT EXISTS \
                  (SELECT 1 FROM run r WHERE r.id = message.run AND r.status IN (0, 1))"],
};

const DECISIONS: Walk = Walk {
    slice: "SELECT json_array(seq) FROM decision WHERE seq > (?1 ->> 0) AND at < ?2 \
              AND ?4 IS NOT NULL ORDER BY seq LIMIT ?3",
    prepare: &[],
    clear: &[
        "DELETE FROM decision WHERE seq IN (SELECT value ->> 0 FROM json_each(?1)) AND at < ?2 \
                AND NOT EXISTS (SELECT 1 FROM event e WHERE e.id = decision.event \
                  AND e.plan_at IS NOT NULL) \
                AND NOT EXISTS (SELECT 1 FROM run r WHERE r.id = decision.run \
                  AND r.status IN (0, 1)) \
                AND NOT EXISTS (SELECT 1 FROM message m WHERE m.id = decision.message \
                  AND m.status IN (0, 1, 2, 3, 5))",
    ],
};

const RUNS: Walk = Walk {
    slice: "SELECT json_array(hex(id)) FROM run WHERE id > unhex(?1 ->> 0) AND id < ?4 \
              AND ?2 IS NOT NULL ORDER BY id LIMIT ?3",
    prepare: &[],
    clear: &[
        "DELETE FROM run WHERE id IN (SELECT unhex(value ->> 0) FROM json_each(?1)) \
           AND started_at < ?2 AND status NOT IN (0, 1) \
           AND NOT EXISTS (SELECT 1 FROM message m WHERE m.run = run.id) \
           AND NOT EXISTS (SELECT 1 FROM collected d JOIN collection c ON c.id = d.collection \
             WHERE d.run = run.id)",
        "DELETE FROM collected WHERE run IN (SELECT unhex(value ->> 0) FROM json_each(?1)) \
           AND ?2 IS NOT NULL AND NOT EXISTS (SELECT 1 FROM run r WHERE r.id = collected.run)",
    ],
};

/// The newest stays: what waits for an event counts rows from the last that was accepted.
const EVENTS: Walk = Walk {
    slice: "SELECT json_array(hex(id)) FROM event WHERE id > unhex(?1 ->> 0) AND id < ?4 \
              AND ?2 IS NOT NULL ORDER BY id LIMIT ?3",
    prepare: &[],
    clear: &[
        "DELETE FROM event WHERE id IN (SELECT unhex(value ->> 0) FROM json_each(?1)) \
           AND at < ?2 AND plan_at IS NULL AND fence IS NULL \
           AND rowid < (SELECT max(rowid) FROM event) \
           AND NOT EXISTS (SELECT 1 FROM run r WHERE r.event = event.id) \
           AND NOT EXISTS (SELECT 1 FROM decision d WHERE d.event = event.id)",
        "DELETE FROM once WHERE event IN (SELECT unhex(value ->> 0) FROM json_each(?1)) \
           AND ?2 IS NOT NULL AND NOT EXISTS (SELECT 1 FROM event e WHERE e.id = once.event)",
        "DELETE FROM unplanned WHERE event IN (SELECT unhex(value ->> 0) FROM json_each(?1)) \
           AND ?2 IS NOT NULL AND NOT EXISTS (SELECT 1 FROM event e WHERE e.id = unplanned.event)",
    ],
};

/// Where the numbering stood outlives the entries.
const INBOX: Walk = Walk {
    slice: "SELECT json_array(rowid) FROM inbox WHERE rowid > (?1 ->> 0) AND created_at < ?2 \
              AND ?4 IS NOT NULL ORDER BY rowid LIMIT ?3",
    prepare: &["INSERT INTO stream (name, head) SELECT 'user:' || user, max(seq) FROM inbox \
                  WHERE rowid IN (SELECT value ->> 0 FROM json_each(?1)) AND created_at < ?2 \
                  GROUP BY user ON CONFLICT DO UPDATE SET head = max(head, excluded.head)"],
    clear: &["DELETE FROM inbox WHERE rowid IN (SELECT value ->> 0 FROM json_each(?1)) \
                AND created_at < ?2"],
};

const FRAMES: Walk = Walk {
    slice: "SELECT json_array(user, seq) FROM frame WHERE (user, seq) > (?1 ->> 0, ?1 ->> 1) \
              AND ?2 IS NOT NULL AND ?4 IS NOT NULL ORDER BY user, seq LIMIT ?3",
    prepare: &["INSERT INTO stream (name, head) SELECT 'user:' || user, max(seq) FROM frame \
                  WHERE (user, seq) IN (SELECT value ->> 0, value ->> 1 FROM json_each(?1)) \
                    AND at < ?2 \
                  GROUP BY user ON CONFLICT DO UPDATE SET head = max(head, excluded.head)"],
    clear: &["DELETE FROM frame WHERE (user, seq) IN \
                (SELECT value ->> 0, value ->> 1 FROM json_each(?1)) AND at < ?2"],
};

const SAYINGS: Walk = Walk {
    slice: "SELECT json_array(room, seq) FROM saying WHERE (room, seq) > (?1 ->> 0, ?1 ->> 1) \
              AND ?2 IS NOT NULL AND ?4 IS NOT NULL ORDER BY room, seq LIMIT ?3",
    prepare: &[],
    clear: &["DELETE FROM saying WHERE (room, seq) IN \
                (SELECT value ->> 0, value ->> 1 FROM json_each(?1)) AND at < ?2"],
};

const STREAMS: Walk = Walk {
    slice: "SELECT json_array(stream, seq) FROM stream_frame \
              WHERE (stream, seq) > (?1 ->> 0, ?1 ->> 1) \
              AND ?2 IS NOT NULL AND ?4 IS NOT NULL ORDER BY stream, seq LIMIT ?3",
    prepare: &[],
    clear: &["DELETE FROM stream_frame WHERE (stream, seq) IN \
                (SELECT value ->> 0, value ->> 1 FROM json_each(?1)) AND at < ?2"],
};

#[async_trait]
impl Retention for SqliteStore {
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
        let first = match of {
            Kept::Decisions | Kept::Inbox => "[-1]",
            _ => "[\"\", -1]",
        };
        let keys: Vec<String> = sqlx::query_scalar(walk.slice)
            .bind(after.map_or(first, |mark| mark.0.as_str()))
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
        let clearing = self.writer.other(move |connection| clear(connection, walk, &keys, millis));
        Ok(Pruned { rows: clearing.await?, next })
    }
}

fn clear(
    connection: &Connection,
    walk: &'static Walk,
    keys: &str,
    before: i64,
) -> rusqlite::Result<u64> {
    for sql in walk.prepare {
        connection.run(sql, (keys, before))?;
    }
    let mut removed = 0;
    for (place, sql) in walk.clear.iter().enumerate() {
        let rows = connection.run(sql, (keys, before))?;
        removed += if place == 0 { rows as u64 } else { 0 };
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
