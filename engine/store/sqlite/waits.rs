//! What runs wait for: written with their progress, found by the name of an event.

use std::collections::HashMap;

use sqlx::SqliteConnection;
use uuid::Uuid;

use super::decode::{millis, shared};
use super::rows::Bulk;
use super::streams::Streams;
use crate::model::{Awaited, Event, EventId, Match, Pattern, RunId, Wait};
use crate::store::{AWAITED, Plan};

const WAITS: Bulk = Bulk {
    head: "INSERT OR REPLACE INTO wait (run, step, item, kind, of_step, of_item, of_channel, \
           began_at)",
    columns: 8,
    tail: "",
};
const NAMES: Bulk = Bulk {
    head: "INSERT OR IGNORE INTO awaited (name, tenant, glob, keyed, version, key, run, workflow, \
           accepted)",
    columns: 9,
    tail: "",
};

/// One name that a run waits for.
struct Name<'w> {
    wait: &'w Wait,
    pattern: &'w Pattern,
    accepted: i64,
}

/// Whether any run waits for anything. Known without a look while none does: this process writes
/// all waits.
pub(super) async fn exist(
    connection: &mut SqliteConnection,
    streams: &mut Streams,
) -> sqlx::Result<bool> {
    if let Some(known) = streams.waits {
        return Ok(known);
    }
    let found = sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM wait)");
    let found = found.fetch_one(connection).await?;
    streams.waits = Some(found);
    Ok(found)
}

/// Writes the waits and matches of `plans`, those of `old` runs left out.
pub(super) async fn write(
    connection: &mut SqliteConnection,
    streams: &mut Streams,
    plans: &[&Plan],
    is_old: impl Fn(RunId) -> bool,
) -> sqlx::Result<()> {
    let all: Vec<&Wait> =
        plans.iter().flat_map(|plan| &plan.waits).filter(|wait| !is_old(wait.run)).collect();
    if !all.is_empty() {
        streams.waits = Some(true);
        let new = plans.iter().flat_map(|plan| &plan.runs).map(|run| (run.id, run.event));
        begin(connection, &all, new.collect()).await?;
    }
    for found in plans.iter().flat_map(|plan| &plan.matches) {
        matched(connection, found).await?;
    }
    Ok(())
}

/// For a run that is made in this write (`new`), all events after its own count.
async fn begin(
    connection: &mut SqliteConnection,
    all: &[&Wait],
    new: HashMap<RunId, EventId>,
) -> sqlx::Result<()> {
    WAITS
        .execute(connection, all, |query, wait| {
            let query =
                query.bind(wait.run.0).bind(shared(&wait.step.0)).bind(i64::from(wait.item));
            let query = match &wait.awaited {
                Awaited::Event { .. } => {
                    query.bind(0_i64).bind(None::<&str>).bind(None::<i64>).bind(None::<&str>)
                }
                Awaited::Message { step, item, channel, state } => query
                    .bind(*state as i64)
                    .bind(shared(&step.0))
                    .bind(item.map(i64::from))
                    .bind(channel.as_ref().map(|channel| shared(&channel.0))),
            };
            query.bind(millis(wait.began_at))
        })
        .await?;
    let last: i64 = sqlx::query_scalar("SELECT coalesce(max(rowid), 0) FROM event")
        .fetch_one(&mut *connection)
        .await?;
    let own: Vec<EventId> = all.iter().filter_map(|wait| new.get(&wait.run).copied()).collect();
    let places = places(connection, &own).await?;
    let mut names = Vec::new();
    for wait in all {
        let Awaited::Event { on, .. } = &wait.awaited else { continue };
        let own = new.get(&wait.run).and_then(|event| places.get(&event.0));
        let accepted = own.copied().unwrap_or(last);
        names.extend(on.iter().map(|pattern| Name { wait, pattern, accepted }));
    }
    NAMES.execute(connection, &names, bind_name).await?;
    let messages: Vec<Uuid> = all
        .iter()
        .filter(|wait| matches!(wait.awaited, Awaited::Message { .. }))
        .map(|wait| wait.run.0)
        .collect();
    wake_by_state(connection, &messages).await
}

fn bind_name<'q>(query: super::rows::Bound<'q>, name: &Name<'q>) -> super::rows::Bound<'q> {
    let Name { wait, pattern, accepted } = name;
    let Awaited::Event { tenant, workflow, version, key, .. } = &wait.awaited else {
        return query;
    };
    query
        .bind(if pattern.is_glob() { glob(pattern) } else { pattern.as_str().to_owned() })
        .bind(tenant.as_str())
        .bind(pattern.is_glob())
        .bind(key.is_some())
        .bind(shared(&version.0))
        .bind(key.as_deref().unwrap_or_default())
        .bind(wait.run.0)
        .bind(shared(&workflow.0))
        .bind(*accepted)
}

/// As SQLite's GLOB takes it: there, `?` and `[` are special too.
fn glob(pattern: &Pattern) -> String {
    pattern.as_str().replace('[', "[[]").replace('?', "[?]")
}

async fn places(
    connection: &mut SqliteConnection,
    events: &[EventId],
) -> sqlx::Result<HashMap<Uuid, i64>> {
    let rows: Vec<(Uuid, i64)> = sqlx::query_as(
        "SELECT id, rowid FROM event WHERE id IN (SELECT unhex(value) FROM json_each(?))",
    )
    .bind(hex(events.iter().map(|event| event.0)))
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().collect())
}

async fn matched(connection: &mut SqliteConnection, found: &Match) -> sqlx::Result<()> {
    let done = sqlx::query(
        "UPDATE wait SET matched = 1, matched_by = ?4
         WHERE run = ?1 AND step = ?2 AND item = ?3 AND kind = 0 AND matched = 0 AND concluded = 0",
    )
    .bind(found.run.0)
    .bind(found.step.as_str())
    .bind(i64::from(found.item))
    .bind(found.event.0)
    .execute(&mut *connection)
    .await?;
    if done.rows_affected() == 0 {
        return Ok(());
    }
    sqlx::query("DELETE FROM awaited WHERE run = ?")
        .bind(found.run.0)
        .execute(&mut *connection)
        .await?;
    wake(connection, &[found.run.0]).await
}

/// Wakes those of `runs` that wait for a state of their messages, or of their entry, that is
/// there.
pub(super) async fn wake_by_state(
    connection: &mut SqliteConnection,
    runs: &[Uuid],
) -> sqlx::Result<()> {
    if runs.is_empty() {
        return Ok(());
    }
    let holding: Vec<Uuid> = sqlx::query_scalar(
        "UPDATE wait SET matched = 1
         WHERE run IN (SELECT unhex(value) FROM json_each(?)) AND matched = 0 AND concluded = 0
         AND CASE kind
           WHEN 1 THEN EXISTS (SELECT 1 FROM message m WHERE m.run = wait.run AND m.step = of_step
             AND (of_item IS NULL OR m.item = of_item)
             AND (of_channel IS NULL OR m.channel = of_channel)
             AND (m.status IN (9, 11) OR m.status = 4 AND coalesce(m.reports, 0) = 0))
           WHEN 2 THEN EXISTS (SELECT 1 FROM inbox i WHERE i.id = wait.run
             AND i.read_at IS NOT NULL AND i.deleted_at IS NULL)
           WHEN 3 THEN NOT EXISTS (SELECT 1 FROM message m WHERE m.run = wait.run
             AND m.step = of_step AND (of_item IS NULL OR m.item = of_item)
             AND (of_channel IS NULL OR m.channel = of_channel) AND m.status IN (0, 1, 2))
           WHEN 4 THEN EXISTS (SELECT 1 FROM inbox i WHERE i.id = wait.run
             AND i.read_at IS NOT NULL AND i.deleted_at IS NULL)
             OR NOT EXISTS (SELECT 1 FROM message m WHERE m.run = wait.run
             AND m.step = of_step AND (of_item IS NULL OR m.item = of_item)
             AND (of_channel IS NULL OR m.channel = of_channel) AND m.status IN (0, 1, 2, 4, 9, 11))
           WHEN 5 THEN NOT EXISTS (SELECT 1 FROM message m WHERE m.run = wait.run
             AND m.step = of_step AND (of_item IS NULL OR m.item = of_item)
             AND (of_channel IS NULL OR m.channel = of_channel)
             AND (m.status IN (0, 1, 2) OR m.status = 4 AND m.reports = 1))
           ELSE 0 END
         RETURNING run",
    )
    .bind(hex(runs.iter().copied()))
    .fetch_all(&mut *connection)
    .await?;
    wake(connection, &holding).await
}

/// The runs of these messages, as far as they wait for a state.
pub(super) async fn wake_by_messages(
    connection: &mut SqliteConnection,
    messages: impl Iterator<Item = Uuid>,
) -> sqlx::Result<()> {
    let runs: Vec<Uuid> = sqlx::query_scalar(
        "SELECT DISTINCT m.run FROM message m JOIN wait ON wait.run = m.run AND kind > 0
         WHERE m.id IN (SELECT unhex(value) FROM json_each(?))",
    )
    .bind(hex(messages))
    .fetch_all(&mut *connection)
    .await?;
    wake_by_state(connection, &runs).await
}

/// A run that is being worked on asks by itself.
async fn wake(connection: &mut SqliteConnection, runs: &[Uuid]) -> sqlx::Result<()> {
    if runs.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "UPDATE run SET wake_at = (SELECT began_at FROM wait WHERE wait.run = run.id)
         WHERE status = 0 AND id IN (SELECT unhex(value) FROM json_each(?))",
    )
    .bind(hex(runs.iter().copied()))
    .execute(connection)
    .await?;
    Ok(())
}

/// Of runs that went on, or were stopped.
pub(super) async fn forget(
    connection: &mut SqliteConnection,
    runs: impl Iterator<Item = Uuid>,
) -> sqlx::Result<()> {
    let runs = hex(runs);
    for sql in [
        "DELETE FROM wait WHERE run IN (SELECT unhex(value) FROM json_each(?))",
        "DELETE FROM awaited WHERE run IN (SELECT unhex(value) FROM json_each(?))",
    ] {
        sqlx::query(sql).bind(runs.as_str()).execute(&mut *connection).await?;
    }
    Ok(())
}

/// Makes those of `events` due whose names are awaited and that have nothing else to be planned.
pub(super) async fn make_due(
    connection: &mut SqliteConnection,
    streams: &mut Streams,
    events: &[&Event],
) -> sqlx::Result<()> {
    if events.is_empty() || !exist(connection, streams).await? {
        return Ok(());
    }
    let mut names: Vec<&str> = events.iter().map(|event| event.name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    let awaited: Vec<String> = sqlx::query_scalar(
        "SELECT value FROM json_each(?) WHERE EXISTS (SELECT 1 FROM awaited WHERE name = value)
           OR EXISTS (SELECT 1 FROM awaited WHERE glob = 1 AND value GLOB name)",
    )
    .bind(serde_json::Value::from(names).to_string())
    .fetch_all(&mut *connection)
    .await?;
    if awaited.is_empty() {
        return Ok(());
    }
    let due = events.iter().filter(|event| awaited.contains(&event.name)).map(|event| event.id.0);
    sqlx::query(
        "UPDATE event SET plan_at = received_at, cursor = ?1
         WHERE plan_at IS NULL AND id IN (SELECT unhex(value) FROM json_each(?2))",
    )
    .bind(AWAITED)
    .bind(hex(due))
    .execute(connection)
    .await?;
    Ok(())
}

pub(super) fn hex(ids: impl Iterator<Item = Uuid>) -> String {
    let ids: Vec<String> = ids.map(|id| id.simple().to_string()).collect();
    serde_json::Value::from(ids).to_string()
}
