//! What runs wait for: written with their progress, found by the name of an event.

use std::collections::HashMap;

use rusqlite::Connection;
use uuid::Uuid;

use super::decode::millis;
use super::rows::{Statements, only};
use super::streams::Streams;
use crate::model::{Awaited, ChannelName, Event, EventId, Match, Pattern, RunId, Wait};
use crate::store::{AWAITED, Plan};

const WAIT: &str = "INSERT OR REPLACE INTO wait (run, step, item, kind, of_step, of_item, \
     of_channel, began_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)";
const NAME: &str = "INSERT OR IGNORE INTO awaited (name, tenant, glob, keyed, version, key, run, \
     workflow, accepted) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)";

/// Whether any run waits for anything. Known without a look while none does: this process writes
/// all waits.
pub(super) fn exist(connection: &Connection, streams: &mut Streams) -> rusqlite::Result<bool> {
    if let Some(known) = streams.waits {
        return Ok(known);
    }
    let found = connection.one("SELECT EXISTS (SELECT 1 FROM wait)", (), only)?;
    streams.waits = Some(found);
    Ok(found)
}

/// Writes the waits and matches of `plans`, those of `old` runs left out.
pub(super) fn write(
    connection: &Connection,
    streams: &mut Streams,
    plans: &[&Plan],
    is_old: impl Fn(RunId) -> bool,
) -> rusqlite::Result<()> {
    let all: Vec<&Wait> =
        plans.iter().flat_map(|plan| &plan.waits).filter(|wait| !is_old(wait.run)).collect();
    if !all.is_empty() {
        streams.waits = Some(true);
        let new = plans.iter().flat_map(|plan| &plan.runs).map(|run| (run.id, run.event));
        begin(connection, &all, new.collect())?;
    }
    for found in plans.iter().flat_map(|plan| &plan.matches) {
        matched(connection, found)?;
    }
    Ok(())
}

/// For a run that is made in this write (`new`), all events after its own count.
fn begin(
    connection: &Connection,
    all: &[&Wait],
    new: HashMap<RunId, EventId>,
) -> rusqlite::Result<()> {
    for wait in all {
        write_wait(connection, wait)?;
    }
    let last: i64 = connection.one("SELECT coalesce(max(rowid), 0) FROM event", (), only)?;
    let own: Vec<EventId> = all.iter().filter_map(|wait| new.get(&wait.run).copied()).collect();
    let places = places(connection, &own)?;
    for wait in all {
        let own = new.get(&wait.run).and_then(|event| places.get(&event.0));
        write_names(connection, wait, own.copied().unwrap_or(last))?;
    }
    let messages: Vec<Uuid> = all
        .iter()
        .filter(|wait| matches!(wait.awaited, Awaited::Message { .. }))
        .map(|wait| wait.run.0)
        .collect();
    wake_by_state(connection, &messages)
}

fn write_wait(connection: &Connection, wait: &Wait) -> rusqlite::Result<()> {
    let (kind, of_step, of_item, of_channel) = match &wait.awaited {
        Awaited::Event { .. } => (0, None, None, None),
        Awaited::Message { step, item, channel, state } => (
            *state as i64,
            Some(step.as_str()),
            item.map(i64::from),
            channel.as_ref().map(ChannelName::as_str),
        ),
    };
    let (run, step, item) = (wait.run.0, wait.step.as_str(), i64::from(wait.item));
    let began_at = millis(wait.began_at);
    connection.run(WAIT, (run, step, item, kind, of_step, of_item, of_channel, began_at))?;
    Ok(())
}

/// The names that a run waits for, of events that come after the row `accepted`.
fn write_names(connection: &Connection, wait: &Wait, accepted: i64) -> rusqlite::Result<()> {
    let Awaited::Event { on, tenant, workflow, version, key } = &wait.awaited else {
        return Ok(());
    };
    for pattern in on {
        let is_glob = pattern.is_glob();
        let name = if is_glob { glob(pattern) } else { pattern.as_str().to_owned() };
        connection.run(
            NAME,
            (
                name,
                tenant.as_str(),
                is_glob,
                key.is_some(),
                version.as_str(),
                key.as_deref().unwrap_or_default(),
                wait.run.0,
                workflow.as_str(),
                accepted,
            ),
        )?;
    }
    Ok(())
}

/// As SQLite's GLOB takes it: there, `?` and `[` are special too.
fn glob(pattern: &Pattern) -> String {
    pattern.as_str().replace('[', "[[]").replace('?', "[?]")
}

fn places(connection: &Connection, events: &[EventId]) -> rusqlite::Result<HashMap<Uuid, i64>> {
    let rows: Vec<(Uuid, i64)> = connection.all(
        "SELECT id, rowid FROM event WHERE id IN (SELECT unhex(value) FROM json_each(?))",
        [hex(events.iter().map(|event| event.0))],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    Ok(rows.into_iter().collect())
}

fn matched(connection: &Connection, found: &Match) -> rusqlite::Result<()> {
    let changed = connection.run(
        "UPDATE wait SET matched = 1, matched_by = ?4
         WHERE run = ?1 AND step = ?2 AND item = ?3 AND kind = 0 AND matched = 0 AND concluded = 0",
        (found.run.0, found.step.as_str(), i64::from(found.item), found.event.0),
    )?;
    if changed == 0 {
        return Ok(());
    }
    connection.run("DELETE FROM awaited WHERE run = ?", [found.run.0])?;
    wake(connection, &[found.run.0])
}

/// Wakes those of `runs` that wait for a state of their messages, or of their entry, that is
/// there.
pub(super) fn wake_by_state(connection: &Connection, runs: &[Uuid]) -> rusqlite::Result<()> {
    if runs.is_empty() {
        return Ok(());
    }
    let holding: Vec<Uuid> = connection.all(
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
        [hex(runs.iter().copied())],
        only,
    )?;
    wake(connection, &holding)
}

/// The runs of these messages, as far as they wait for a state.
pub(super) fn wake_by_messages(
    connection: &Connection,
    messages: impl Iterator<Item = Uuid>,
) -> rusqlite::Result<()> {
    let runs: Vec<Uuid> = connection.all(
        "SELECT DISTINCT m.run FROM message m JOIN wait ON wait.run = m.run AND kind > 0
         WHERE m.id IN (SELECT unhex(value) FROM json_each(?))",
        [hex(messages)],
        only,
    )?;
    wake_by_state(connection, &runs)
}

/// A run that is being worked on asks by itself.
fn wake(connection: &Connection, runs: &[Uuid]) -> rusqlite::Result<()> {
    if runs.is_empty() {
        return Ok(());
    }
    connection.run(
        "UPDATE run SET wake_at = (SELECT began_at FROM wait WHERE wait.run = run.id)
         WHERE status = 0 AND id IN (SELECT unhex(value) FROM json_each(?))",
        [hex(runs.iter().copied())],
    )?;
    Ok(())
}

/// Of runs that went on, or were stopped.
pub(super) fn forget(
    connection: &Connection,
    runs: impl Iterator<Item = Uuid>,
) -> rusqlite::Result<()> {
    let runs = hex(runs);
    for sql in [
        "DELETE FROM wait WHERE run IN (SELECT unhex(value) FROM json_each(?))",
        "DELETE FROM awaited WHERE run IN (SELECT unhex(value) FROM json_each(?))",
    ] {
        connection.run(sql, [runs.as_str()])?;
    }
    Ok(())
}

/// Makes those of `events` due whose names are awaited and that have nothing else to be planned.
pub(super) fn make_due(
    connection: &Connection,
    streams: &mut Streams,
    events: &[&Event],
) -> rusqlite::Result<()> {
    if events.is_empty() || !exist(connection, streams)? {
        return Ok(());
    }
    let mut names: Vec<&str> = events.iter().map(|event| event.name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    let awaited: Vec<String> = connection.all(
        "SELECT value FROM json_each(?) WHERE EXISTS (SELECT 1 FROM awaited WHERE name = value)
           OR EXISTS (SELECT 1 FROM awaited WHERE glob = 1 AND value GLOB name)",
        [serde_json::Value::from(names).to_string()],
        only,
    )?;
    if awaited.is_empty() {
        return Ok(());
    }
    let due = events.iter().filter(|event| awaited.contains(&event.name)).map(|event| event.id.0);
    connection.run(
        "UPDATE event SET plan_at = received_at, cursor = ?1
         WHERE plan_at IS NULL AND id IN (SELECT unhex(value) FROM json_each(?2))",
        (AWAITED, hex(due)),
    )?;
    Ok(())
}

pub(super) fn hex(ids: impl Iterator<Item = Uuid>) -> String {
    let ids: Vec<String> = ids.map(|id| id.simple().to_string()).collect();
    serde_json::Value::from(ids).to_string()
}
