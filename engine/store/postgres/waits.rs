//! What runs wait for: written with their progress, found by the name of an event.
//!
//! Nodes write side by side, so two orders make that nothing is missed:
//! - A wait for events has their names locked alone, and the acceptance of an event has its name
//!   locked with others ([`lock`]), before either looks. So an event was accepted before the wait
//!   began, and its number says so, or its acceptance finds the wait and makes it due.
//! - A wait for a state is written, and then locks the rows whose state it looks at. So what
//!   changes one of them was committed before the look, or is written after the wait can be found.

use std::collections::{BTreeMap, HashMap};

use sqlx::PgConnection;
use uuid::Uuid;

use super::decode::millis;
use super::locks::{Kind, Locks};
use super::rows::{each, key};
use crate::model::{Awaited, Event, EventId, Match, Pattern, RunId, Wait};
use crate::store::{AWAITED, Plan};

/// One name that a run waits for.
struct Name<'w> {
    wait: &'w Wait,
    pattern: &'w Pattern,
    accepted: i64,
}

/// Asks for the names of `events`, which are to be accepted, and of those that `plans` wait for.
pub(super) fn lock<'p>(
    locks: &mut Locks,
    plans: impl Iterator<Item = &'p Plan>,
    events: impl Iterator<Item = &'p Event>,
) {
    for event in events {
        locks.shared(Kind::EventName, &[event.name.as_bytes()]);
        locks.shared(Kind::EventGlob, &[]);
    }
    for wait in plans.flat_map(|plan| &plan.waits) {
        let Awaited::Event { on, .. } = &wait.awaited else { continue };
        for pattern in on {
            if pattern.is_glob() {
                locks.alone(Kind::EventGlob, &[]);
            } else {
                locks.alone(Kind::EventName, &[pattern.as_str().as_bytes()]);
            }
        }
    }
}

/// Writes the waits and matches of `plans`, those of `old` runs left out.
pub(super) async fn write(
    connection: &mut PgConnection,
    plans: &[&Plan],
    is_old: impl Fn(RunId) -> bool,
) -> sqlx::Result<()> {
    let all = plans.iter().flat_map(|plan| &plan.waits).filter(|wait| !is_old(wait.run));
    // One a run: the last.
    let all: BTreeMap<RunId, &Wait> = all.map(|wait| (wait.run, wait)).collect();
    if !all.is_empty() {
        let all: Vec<&Wait> = all.into_values().collect();
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
    connection: &mut PgConnection,
    all: &[&Wait],
    new: HashMap<RunId, EventId>,
) -> sqlx::Result<()> {
    insert(connection, all).await?;
    let own: Vec<Uuid> =
        all.iter().filter_map(|wait| new.get(&wait.run)).map(|event| event.0).collect();
    // The last number that was given: of events with these names, none below it is still to come.
    let places: Vec<(Option<Uuid>, i64)> = sqlx::query_as(
        "SELECT NULL, CASE WHEN is_called THEN last_value ELSE 0 END FROM event_seq_seq
         UNION ALL SELECT id, seq FROM event WHERE id = ANY($1)",
    )
    .bind(own)
    .fetch_all(&mut *connection)
    .await?;
    let places: HashMap<Option<Uuid>, i64> = places.into_iter().collect();
    let last = places.get(&None).copied().unwrap_or_default();
    let mut names = Vec::new();
    for wait in all {
        let Awaited::Event { on, .. } = &wait.awaited else { continue };
        let own = new.get(&wait.run).and_then(|event| places.get(&Some(event.0)));
        let accepted = own.copied().unwrap_or(last);
        names.extend(on.iter().map(|pattern| Name { wait, pattern, accepted }));
    }
    insert_names(connection, &names).await?;
    let by_state = all.iter().filter(|wait| matches!(wait.awaited, Awaited::Message { .. }));
    let by_state: Vec<Uuid> = by_state.map(|wait| wait.run.0).collect();
    if by_state.is_empty() {
        return Ok(());
    }
    for sql in [
        "SELECT FROM message WHERE run = ANY($1) ORDER BY id FOR NO KEY UPDATE",
        "SELECT FROM inbox WHERE id = ANY($1) ORDER BY id FOR NO KEY UPDATE",
    ] {
        sqlx::query(sql).bind(&by_state).execute(&mut *connection).await?;
    }
    wake_by_state(connection, &by_state).await
}

async fn insert(connection: &mut PgConnection, all: &[&Wait]) -> sqlx::Result<()> {
    let message = |wait: &&'_ Wait| match &wait.awaited {
        Awaited::Event { .. } => (0, None, None, None),
        Awaited::Message { step, item, channel, state } => (
            *state as i64,
            Some(step.to_string()),
            item.map(i64::from),
            channel.as_ref().map(ToString::to_string),
        ),
    };
    sqlx::query(
        "INSERT INTO wait (run, step, item, kind, of_step, of_item, of_channel, began_at)
         SELECT * FROM unnest($1::uuid[], $2::text[], $3::bigint[], $4::bigint[], $5::text[],
           $6::bigint[], $7::text[], $8::bigint[])
         ON CONFLICT (run) DO UPDATE SET step = excluded.step, item = excluded.item,
           kind = excluded.kind, of_step = excluded.of_step, of_item = excluded.of_item,
           of_channel = excluded.of_channel, began_at = excluded.began_at, matched = false,
           matched_by = NULL, concluded = false",
    )
    .bind(each(all, |wait| wait.run.0))
    .bind(each(all, |wait| wait.step.as_str()))
    .bind(each(all, |wait| i64::from(wait.item)))
    .bind(each(all, |wait| message(wait).0))
    .bind(each(all, |wait| message(wait).1))
    .bind(each(all, |wait| message(wait).2))
    .bind(each(all, |wait| message(wait).3))
    .bind(each(all, |wait| millis(wait.began_at)))
    .execute(connection)
    .await?;
    Ok(())
}

async fn insert_names(connection: &mut PgConnection, names: &[Name<'_>]) -> sqlx::Result<()> {
    let mut rows = Vec::with_capacity(names.len());
    for Name { wait, pattern, accepted } in names {
        if let Awaited::Event { tenant, workflow, version, key: by, .. } = &wait.awaited {
            let name = if pattern.is_glob() { like(pattern) } else { pattern.to_string() };
            rows.push((name, pattern, tenant, workflow, version, by, wait.run.0, *accepted));
        }
    }
    if rows.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "INSERT INTO awaited (name, tenant, glob, keyed, version, key, run, workflow, accepted)
         SELECT * FROM unnest($1::text[], $2::text[], $3::boolean[], $4::boolean[], $5::text[],
           $6::text[], $7::uuid[], $8::text[], $9::bigint[]) ON CONFLICT DO NOTHING",
    )
    .bind(each(&rows, |row| row.0.as_str()))
    .bind(each(&rows, |row| row.2.as_str()))
    .bind(each(&rows, |row| row.1.is_glob()))
    .bind(each(&rows, |row| row.5.is_some()))
    .bind(each(&rows, |row| row.4.as_str()))
    .bind(each(&rows, |row| key(row.5.as_deref().unwrap_or_default())))
    .bind(each(&rows, |row| row.6))
    .bind(each(&rows, |row| row.3.as_str()))
    .bind(each(&rows, |row| row.7))
    .execute(connection)
    .await?;
    Ok(())
}

/// As LIKE takes it: there, `%`, `_` and `\` are special.
fn like(pattern: &Pattern) -> String {
    let plain = pattern.as_str().replace('\\', r"\\").replace('%', r"\%").replace('_', r"\_");
    plain.replace('*', "%")
}

async fn matched(connection: &mut PgConnection, found: &Match) -> sqlx::Result<()> {
    let done = sqlx::query(
        "UPDATE wait SET matched = true, matched_by = $4
         WHERE run = $1 AND step = $2 AND item = $3 AND kind = 0
           AND NOT matched AND NOT concluded",
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
    sqlx::query("DELETE FROM awaited WHERE run = $1")
        .bind(found.run.0)
        .execute(&mut *connection)
        .await?;
    wake(connection, &[found.run.0]).await
}

/// Wakes those of `runs` that wait for a state of their messages, or of their entry, that is
/// there.
pub(super) async fn wake_by_state(
    connection: &mut PgConnection,
    runs: &[Uuid],
) -> sqlx::Result<()> {
    if runs.is_empty() {
        return Ok(());
    }
    let holding: Vec<Uuid> = sqlx::query_scalar(
        "UPDATE wait SET matched = true
         WHERE run = ANY($1) AND NOT matched AND NOT concluded
         AND CASE kind
           WHEN 1 THEN EXISTS (SELECT FROM message m WHERE m.run = wait.run AND m.step = of_step
             AND (of_item IS NULL OR m.item = of_item)
             AND (of_channel IS NULL OR m.channel = of_channel)
             AND (m.status IN (9, 11) OR m.status = 4 AND m.reports IS NOT TRUE))
           WHEN 2 THEN EXISTS (SELECT FROM inbox i WHERE i.id = wait.run
             AND i.read_at IS NOT NULL AND i.deleted_at IS NULL)
           WHEN 3 THEN NOT EXISTS (SELECT FROM message m WHERE m.run = wait.run
             AND m.step = of_step AND (of_item IS NULL OR m.item = of_item)
             AND (of_channel IS NULL OR m.channel = of_channel) AND m.status IN (0, 1, 2))
           WHEN 4 THEN EXISTS (SELECT FROM inbox i WHERE i.id = wait.run
             AND i.read_at IS NOT NULL AND i.deleted_at IS NULL)
             OR NOT EXISTS (SELECT FROM message m WHERE m.run = wait.run
             AND m.step = of_step AND (of_item IS NULL OR m.item = of_item)
             AND (of_channel IS NULL OR m.channel = of_channel) AND m.status IN (0, 1, 2, 4, 9, 11))
           WHEN 5 THEN NOT EXISTS (SELECT FROM message m WHERE m.run = wait.run
             AND m.step = of_step AND (of_item IS NULL OR m.item = of_item)
             AND (of_channel IS NULL OR m.channel = of_channel)
             AND (m.status IN (0, 1, 2) OR m.status = 4 AND m.reports IS TRUE))
           ELSE false END
         RETURNING run",
    )
    .bind(runs)
    .fetch_all(&mut *connection)
    .await?;
    wake(connection, &holding).await
}

/// The runs of these messages, as far as they wait for a state. To be asked after the messages
/// were written.
pub(super) async fn wake_by_messages(
    connection: &mut PgConnection,
    messages: impl Iterator<Item = Uuid>,
) -> sqlx::Result<()> {
    let messages: Vec<Uuid> = messages.collect();
    if messages.is_empty() {
        return Ok(());
    }
    // While nobody waits, the first condition spares the look at the messages.
    let runs: Vec<Uuid> = sqlx::query_scalar(
        "SELECT DISTINCT m.run FROM message m JOIN wait ON wait.run = m.run AND kind > 0
         WHERE EXISTS (SELECT FROM wait WHERE kind > 0) AND m.id = ANY($1)",
    )
    .bind(messages)
    .fetch_all(&mut *connection)
    .await?;
    wake_by_state(connection, &runs).await
}

/// A run that is being worked on asks by itself.
async fn wake(connection: &mut PgConnection, runs: &[Uuid]) -> sqlx::Result<()> {
    if runs.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "UPDATE run SET wake_at = wait.began_at FROM wait
         WHERE wait.run = run.id AND run.status = 0 AND run.id = ANY($1)",
    )
    .bind(runs)
    .execute(connection)
    .await?;
    Ok(())
}

/// Of runs that went on, or were stopped.
pub(super) async fn forget(
    connection: &mut PgConnection,
    runs: impl Iterator<Item = Uuid>,
) -> sqlx::Result<()> {
    let runs: Vec<Uuid> = runs.collect();
    if runs.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "WITH over AS (DELETE FROM wait WHERE run = ANY($1) RETURNING run)
         DELETE FROM awaited WHERE run IN (SELECT run FROM over)",
    )
    .bind(runs)
    .execute(connection)
    .await?;
    Ok(())
}

/// Makes those of `events` due whose names are awaited and that have nothing else to be planned.
pub(super) async fn make_due(connection: &mut PgConnection, events: &[&Event]) -> sqlx::Result<()> {
    if events.is_empty() {
        return Ok(());
    }
    let mut names: Vec<&str> = events.iter().map(|event| event.name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    let awaited: Vec<String> = sqlx::query_scalar(
        "SELECT said.name FROM unnest($1::text[]) AS said (name)
         WHERE EXISTS (SELECT FROM awaited a WHERE a.name = said.name)
           OR EXISTS (SELECT FROM awaited a WHERE a.glob AND said.name LIKE a.name)",
    )
    .bind(names)
    .fetch_all(&mut *connection)
    .await?;
    if awaited.is_empty() {
        return Ok(());
    }
    let due = events.iter().filter(|event| awaited.contains(&event.name)).map(|event| event.id.0);
    sqlx::query(
        "UPDATE event SET plan_at = received_at, cursor = $1
         WHERE plan_at IS NULL AND id = ANY($2)",
    )
    .bind(AWAITED)
    .bind(due.collect::<Vec<_>>())
    .execute(connection)
    .await?;
    Ok(())
}
