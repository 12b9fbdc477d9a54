use async_trait::async_trait;
use sqlx::{AssertSqlSafe, Row};
use uuid::Uuid;

use super::SqliteStore;
use super::decode::{self, millis};
use super::rows::Statements;
use crate::model::{Event, Match, RunId, StepPath, Version, WorkflowName};
use crate::store::joined::Joined;
use crate::store::{Concluded, Result, Waiting, Waits};

/// The versions of an event's name that waits by key bear: one seek each, however many wait.
const VERSIONS: &str = "WITH RECURSIVE found(version) AS (
    SELECT min(version) FROM awaited WHERE name = ?1 AND tenant = ?2 AND glob = 0 AND keyed = 1
    UNION ALL
    SELECT (SELECT min(version) FROM awaited WHERE name = ?1 AND tenant = ?2 AND glob = 0
      AND keyed = 1 AND version > found.version) FROM found WHERE version IS NOT NULL)
  SELECT (SELECT workflow FROM awaited WHERE name = ?1 AND tenant = ?2 AND glob = 0 AND keyed = 1
    AND version = found.version LIMIT 1), version FROM found WHERE version IS NOT NULL
  UNION SELECT workflow, version FROM awaited
    WHERE glob = 1 AND tenant = ?2 AND keyed = 1 AND ?1 GLOB name
  ORDER BY 1, 2";

#[async_trait]
impl Waits for SqliteStore {
    async fn is_awaited(&self, event: &Event) -> Result<bool> {
        let found = sqlx::query_scalar(
            "SELECT EXISTS (SELECT 1 FROM awaited WHERE name = ?1 AND tenant = ?2)
               OR EXISTS (SELECT 1 FROM awaited WHERE glob = 1 AND tenant = ?2 AND ?1 GLOB name)",
        );
        let found = found.bind(event.name.as_str()).bind(event.tenant.as_str());
        Ok(found.fetch_one(&self.readers).await?)
    }

    async fn awaiting(&self, event: &Event) -> Result<Vec<(WorkflowName, Version)>> {
        let rows: Vec<(String, String)> = sqlx::query_as(VERSIONS)
            .bind(event.name.as_str())
            .bind(event.tenant.as_str())
            .fetch_all(&self.readers)
            .await?;
        Ok(rows.into_iter().map(|(workflow, version)| (workflow.into(), version.into())).collect())
    }

    async fn waiting_by_key(
        &self,
        event: &Event,
        version: &Version,
        key: &str,
        limit: usize,
    ) -> Result<Vec<Match>> {
        let open = open("keyed = 1 AND version = ?5 AND key = ?6");
        let sql = format!("SELECT wait.run, step, item {open} ORDER BY wait.run LIMIT ?7");
        let rows: Vec<(Uuid, String, u32)> = sqlx::query_as(AssertSqlSafe(sql))
            .bind(event.name.as_str())
            .bind(event.tenant.as_str())
            .bind(event.id.0)
            .bind(millis(event.at))
            .bind(version.as_str())
            .bind(key)
            .bind(i64::try_from(limit).unwrap_or(i64::MAX))
            .fetch_all(&self.readers)
            .await?;
        let found = |(run, step, item): (Uuid, String, u32)| Match {
            run: run.into(),
            step: step.into(),
            item,
            event: event.id,
        };
        Ok(rows.into_iter().map(found).collect())
    }

    async fn waiting_by_match(
        &self,
        event: &Event,
        after: Option<RunId>,
        limit: usize,
    ) -> Result<Vec<Waiting>> {
        let open = open("keyed = 0 AND run > ?5");
        let sql = format!(
            "SELECT {}, waiting_at, round FROM run JOIN
               (SELECT wait.run AS waiting, step AS waiting_at, item AS round {open} ORDER BY wait.run LIMIT ?6)
             ON run.id = waiting ORDER BY run.id",
            decode::RUN
        );
        let rows = sqlx::query(AssertSqlSafe(sql))
            .bind(event.name.as_str())
            .bind(event.tenant.as_str())
            .bind(event.id.0)
            .bind(millis(event.at))
            .bind(after.map_or_else(Uuid::nil, |run| run.0))
            .bind(i64::try_from(limit).unwrap_or(i64::MAX))
            .fetch_all(&self.readers)
            .await?;
        let runs = decode::all(&rows, decode::run)?;
        let events = self.events_by_id(runs.iter().map(|run| run.event)).await?;
        let mut waiting = Vec::with_capacity(runs.len());
        for (run, row) in runs.into_iter().zip(&rows) {
            let Some(event) = events.get(&run.event).cloned() else { continue };
            let step: String = row.try_get("waiting_at")?;
            let item = row.try_get("round")?;
            waiting.push(Waiting { run, event, step: step.into(), item });
        }
        Ok(waiting)
    }

    async fn conclude(&self, run: RunId, step: &StepPath, item: u32) -> Result<Concluded> {
        let step = step.clone();
        let row: Option<(bool, Option<Uuid>)> = self
            .writer
            .other(move |connection| {
                let row = connection.maybe(
                    "UPDATE wait SET concluded = 1 WHERE run = ? AND step = ? AND item = ?
                     RETURNING matched, matched_by",
                    (run.0, step.as_str(), i64::from(item)),
                    |row| Ok((row.get(0)?, row.get(1)?)),
                )?;
                // What ended without a match is no longer looked up by events.
                connection.run("DELETE FROM awaited WHERE run = ?", [run.0])?;
                Ok(row)
            })
            .await?;
        Ok(match row {
            Some((true, event)) => Concluded::Matched(event.map(Into::into)),
            _ => Concluded::Unmatched,
        })
    }
}

/// The open waits that an event might end (?1 its name, ?2 its tenant, ?3 its id, ?4 its moment),
/// of those with `also`.
fn open(also: &str) -> String {
    format!(
        "FROM wait JOIN (
           SELECT run, accepted FROM awaited
             WHERE name = ?1 AND tenant = ?2 AND glob = 0 AND {also}
           UNION SELECT run, accepted FROM awaited
             WHERE glob = 1 AND tenant = ?2 AND {also} AND ?1 GLOB name) AS named
         ON wait.run = named.run
         WHERE matched = 0 AND concluded = 0
           AND ((SELECT rowid FROM event WHERE id = ?3) > accepted OR ?4 > began_at)"
    )
}
