use std::collections::HashMap;

use async_trait::async_trait;
use sqlx::Row;
use uuid::Uuid;

use super::SqliteStore;
use super::decode::millis;
use crate::model::{EventId, MessageId, Run, RunId};
use crate::store::joined::Joined;
use crate::store::{Calendar, CalendarQuery, Due, Planned, Result};

/// `?1` user, `?2` workflow, `?3` from, `?4` until, `?5` and `?6` after, `?7` limit. Each part
/// takes no more than a page, along its index of what is due.
const PLANNED: &str = "SELECT * FROM (
   SELECT * FROM (SELECT plan_at AS at, id, id AS event, 0 AS kind FROM event
     WHERE plan_at >= ?3 AND plan_at < ?4 AND fence IS NULL AND ?1 IS NULL AND ?2 IS NULL
       AND (plan_at, id) > (?5, ?6) ORDER BY plan_at, id LIMIT ?7)
   UNION ALL
   SELECT * FROM (SELECT wake_at AS at, id, event, 1 AS kind FROM run
     WHERE status = 0 AND wake_at >= ?3 AND wake_at < ?4 AND (?1 IS NULL OR recipient = ?1)
       AND (?2 IS NULL OR workflow = ?2) AND (wake_at, id) > (?5, ?6) ORDER BY wake_at, id LIMIT ?7)
   UNION ALL
   SELECT * FROM (SELECT due_at AS at, id, event, 2 AS kind FROM message
     WHERE status = 0 AND due_at >= ?3 AND due_at < ?4 AND (?1 IS NULL OR recipient = ?1)
       AND (?2 IS NULL OR workflow = ?2) AND (due_at, id) > (?5, ?6) ORDER BY due_at, id LIMIT ?7)
 ) ORDER BY at, id LIMIT ?7";

#[async_trait]
impl Calendar for SqliteStore {
    async fn calendar(&self, query: &CalendarQuery) -> Result<Vec<Planned>> {
        let (after, last) =
            query.after.map_or((i64::MIN, Uuid::nil()), |(at, id)| (millis(at), id));
        let rows = sqlx::query(PLANNED)
            .bind(query.user.as_ref().map(|user| user.0.clone()))
            .bind(query.workflow.as_ref().map(|name| name.0.clone()))
            .bind(millis(query.from))
            .bind(millis(query.until))
            .bind(after)
            .bind(last)
            .bind(i64::try_from(query.limit).unwrap_or(i64::MAX))
            .fetch_all(&self.readers)
            .await?;
        let mut found = Vec::with_capacity(rows.len());
        for row in &rows {
            let id: Uuid = row.try_get(1)?;
            found.push((row.try_get::<i64, _>(0)?, id, EventId(row.try_get(2)?), row.try_get(3)?));
        }
        let of = |kind: i64| found.iter().filter(move |row| row.3 == kind).map(|row| row.1);
        let runs = self.runs_by_id(of(1).map(RunId)).await?;
        let mut messages = HashMap::new();
        for id in of(2) {
            if let Some(record) = self.message_row(MessageId(id)).await? {
                messages.insert(id, record);
            }
        }
        let planned = found.into_iter().filter_map(|(at, id, event, kind)| {
            let at = jiff::Timestamp::from_millisecond(at).ok()?;
            let due = match kind {
                0 => Due::Event,
                1 => Due::Run(Box::new(Run::clone(runs.get(&RunId(id))?))),
                _ => {
                    let message = messages.remove(&id)?;
                    Due::Message {
                        message: message.id,
                        run: message.run,
                        user: message.recipient,
                        workflow: message.workflow,
                        step: message.step,
                        channel: message.channel,
                        code: message.code,
                    }
                }
            };
            Some(Planned { at, event, due })
        });
        Ok(planned.collect())
    }
}
