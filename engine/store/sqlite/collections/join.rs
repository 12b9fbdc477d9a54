use jiff::Timestamp;
use rusqlite::Connection;
use uuid::Uuid;

use super::super::decode::millis;
use super::super::rows::{Statements, only};
use super::{COLUMNS, collection, named};
use crate::model::{Decision, Join, Occasion, RunId, StepPath};
use crate::store::collection::{Collection, Joined, Role};

/// Lets a waiting run into its collection, and sets when it wakes.
pub(super) fn join(connection: &Connection, join: &Join) -> rusqlite::Result<Option<Decision>> {
    let (run, step, item) = named(&join.occasion);
    let known = "SELECT c.leader, c.closes_at FROM collected d LEFT JOIN collection c ON c.id = d.collection
                 WHERE d.run = ? AND d.step = ? AND d.item = ?";
    let known: Option<(Option<Uuid>, Option<i64>)> =
        connection.maybe(known, (run, step, item), |row| Ok((row.get(0)?, row.get(1)?)))?;
    if let Some((leader, closes_at)) = known {
        if leader == Some(run) || closes_at.is_none() {
            wake(connection, run, closes_at.unwrap_or(millis(join.at)))?;
        }
        return Ok(None);
    }
    let select = format!(
        "SELECT {COLUMNS} FROM run r JOIN collection c ON c.tenant = ?4 AND c.workflow = r.workflow
           AND c.step = ?2 AND c.who = r.who AND c.key = ?3 AND c.open = 1 WHERE r.id = ?1"
    );
    let values = (run, step, join.key.as_str(), join.tenant.as_str());
    let open = connection.maybe(&select, values, collection)?;
    let joined = Collection::join(open.map(|(_, open)| open), join);
    let Some(id) = written(connection, open.map(|(id, _)| id), &joined, join)? else {
        return Ok(None);
    };
    let id = (joined.role != Role::Alone).then_some(id);
    let insert = "INSERT INTO collected (run, step, item, collection) VALUES (?, ?, ?, ?)";
    connection.run(insert, (run, step, item, id))?;
    match joined.role {
        Role::Leader => wake(connection, run, millis(joined.collection.closes_at))?,
        Role::Alone => wake(connection, run, millis(join.at))?,
        Role::Follower(leader) => {
            wake(connection, leader.0, millis(joined.collection.closes_at))?;
            let kept =
                "UPDATE throttled SET key = x'' WHERE run = ? AND step = ? AND item = ? AND at > ?";
            connection.run(kept, (run, step, item, millis(join.at)))?;
        }
    }
    Ok(joined.decision(join))
}

/// Those that followed the run at `occasion` are finished.
pub(super) fn finish(connection: &Connection, occasion: &Occasion) -> rusqlite::Result<()> {
    let delete =
        "DELETE FROM collected WHERE run = ? AND step = ? AND item = ? RETURNING collection";
    let collection = connection.maybe(delete, named(occasion), only::<Option<i64>>)?;
    let Some(Some(id)) = collection else { return Ok(()) };
    for sql in [
        "UPDATE run SET status = 2, position = NULL, wake_at = NULL WHERE status = 0
           AND id IN (SELECT run FROM collected WHERE collection = ?1)",
        "DELETE FROM collected WHERE collection = ?1",
        "DELETE FROM collection WHERE id = ?1",
    ] {
        connection.run(sql, [id])?;
    }
    Ok(())
}

/// Takes runs that end out of their collections, and gives back the places kept for them. The
/// oldest of those that remain leads where a leader leaves; an empty collection is gone. Answers
/// where they were.
pub(in super::super) fn leave(
    connection: &Connection,
    runs: &[Uuid],
    at: Timestamp,
) -> rusqlite::Result<Vec<(RunId, StepPath)>> {
    let mut were = Vec::new();
    for run in runs {
        let left: Vec<(Option<i64>, String, u32)> = connection.all(
            "DELETE FROM collected WHERE run = ? RETURNING collection, step, item",
            [run],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
        )?;
        for (collection, step, item) in left {
            let Some(id) = collection else { continue };
            let occasion = Occasion { run: (*run).into(), step: step.into(), item };
            leave_one(connection, id, &occasion)?;
            were.push((occasion.run, occasion.step));
        }
        let kept = "UPDATE throttled SET key = x'' WHERE run = ? AND at > ?";
        connection.run(kept, (run, millis(at)))?;
    }
    Ok(were)
}

fn leave_one(connection: &Connection, id: i64, occasion: &Occasion) -> rusqlite::Result<()> {
    let (leader, closes_at): (Option<Uuid>, i64) = connection.one(
        "UPDATE collection SET count = count - 1 WHERE id = ? RETURNING leader, closes_at",
        [id],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    let (left, step, item) = named(occasion);
    if leader != Some(left) {
        return Ok(());
    }
    let heir: Option<(Uuid, i64)> = connection.maybe(
        "SELECT run, item FROM collected WHERE collection = ? ORDER BY seq LIMIT 1",
        [id],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    let Some((heir, heirs_item)) = heir else {
        let empty = "DELETE FROM collection WHERE id = ? AND (open = 0 OR window IS NULL)";
        connection.run(empty, [id])?;
        let waits = "UPDATE collection SET leader = NULL WHERE id = ?";
        connection.run(waits, [id])?;
        return Ok(());
    };
    connection.run("UPDATE collection SET leader = ? WHERE id = ?", (heir, id))?;
    let place = "UPDATE OR IGNORE throttled SET run = ?4, item = ?5 WHERE run = ?1 AND step = ?2 AND item = ?3";
    connection.run(place, (left, step, item, heir, heirs_item))?;
    wake(connection, heir, closes_at)
}

/// The window that comes after collection `id`.
pub(super) fn follow(
    connection: &Connection,
    id: i64,
    window: &Collection,
) -> rusqlite::Result<()> {
    let insert = "INSERT INTO collection (tenant, workflow, step, who, key, leader, opened_at, closes_at, count, min_items, window, open)
                  SELECT tenant, workflow, step, who, key, NULL, ?2, ?3, 0, min_items, window, 1 FROM collection WHERE id = ?1";
    connection.run(insert, (id, millis(window.opened_at), millis(window.closes_at)))?;
    Ok(())
}

/// Writes the collection as it is from now on; answers its id. `None`: there is no such run.
fn written(
    connection: &Connection,
    open: Option<i64>,
    joined: &Joined,
    join: &Join,
) -> rusqlite::Result<Option<i64>> {
    let Joined { collection, new, .. } = joined;
    let leader = collection.leader.map(|run| run.0);
    let (closes_at, count) = (millis(collection.closes_at), collection.count.cast_signed());
    if let Some(id) = open.filter(|_| !new) {
        let update = "UPDATE collection SET leader = ?, closes_at = ?, count = ? WHERE id = ?";
        connection.run(update, (leader, closes_at, count, id))?;
        return Ok(Some(id));
    }
    if let Some(id) = open {
        for over in [
            "DELETE FROM collection WHERE id = ? AND leader IS NULL",
            "UPDATE collection SET open = 0 WHERE id = ?",
        ] {
            connection.run(over, [id])?;
        }
    }
    let window = collection.window.map(|window| window.as_millis());
    let insert = "INSERT INTO collection (tenant, workflow, step, who, key, leader, opened_at, closes_at, count, min_items, window, open)
                  SELECT ?10, workflow, ?2, who, ?3, ?4, ?5, ?6, ?7, ?8, ?9, 1 FROM run WHERE id = ?1";
    let inserted = connection.run(
        insert,
        (
            join.occasion.run.0,
            join.occasion.step.as_str(),
            join.key.as_str(),
            leader,
            millis(collection.opened_at),
            closes_at,
            count,
            collection.min_items.cast_signed(),
            window.and_then(|window| i64::try_from(window).ok()),
            join.tenant.as_str(),
        ),
    )?;
    Ok((inserted > 0).then(|| connection.last_insert_rowid()))
}

/// A waiting run goes on at `at`; one that is being worked on, if its worker is lost.
fn wake(connection: &Connection, run: Uuid, at: i64) -> rusqlite::Result<()> {
    let wake = "UPDATE run SET wake_at = ? WHERE id = ? AND status IN (0, 1)";
    connection.run(wake, (at, run))?;
    Ok(())
}
