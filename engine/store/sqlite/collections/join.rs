use jiff::Timestamp;
use sqlx::{AssertSqlSafe, Row, SqliteConnection};
use uuid::Uuid;

use super::super::decode::{millis, shared};
use super::{COLUMNS, collection, named};
use crate::model::{Decision, Join, Occasion, RunId, StepPath};
use crate::store::collection::{Collection, Joined, Role};

/// Lets a waiting run into its collection, and sets when it wakes.
pub(super) async fn join(
    connection: &mut SqliteConnection,
    join: &Join,
) -> sqlx::Result<Option<Decision>> {
    let Occasion { run, step, .. } = &join.occasion;
    let known = "SELECT c.leader, c.closes_at FROM collected d LEFT JOIN collection c ON c.id = d.collection
                 WHERE d.run = ? AND d.step = ? AND d.item = ?";
    let known = named(sqlx::query(known), &join.occasion).fetch_optional(&mut *connection).await?;
    if let Some(known) = known {
        let leader: Option<Uuid> = known.try_get(0)?;
        let closes_at: Option<i64> = known.try_get(1)?;
        if leader == Some(run.0) || closes_at.is_none() {
            wake(connection, run.0, closes_at.unwrap_or(millis(join.at))).await?;
        }
        return Ok(None);
    }
    let select = format!(
        "SELECT {COLUMNS} FROM run r JOIN collection c ON c.tenant = ?4 AND c.workflow = r.workflow
           AND c.step = ?2 AND c.who = r.who AND c.key = ?3 AND c.open = 1 WHERE r.id = ?1"
    );
    let select = sqlx::query(AssertSqlSafe(select));
    let select = select.bind(run.0).bind(shared(&step.0)).bind(join.key.as_str());
    let select = select.bind(join.tenant.as_str());
    let open = select.fetch_optional(&mut *connection).await?;
    let open = open.as_ref().map(collection).transpose()?;
    let joined = Collection::join(open.map(|(_, open)| open), join);
    let Some(id) = written(connection, open.map(|(id, _)| id), &joined, join).await? else {
        return Ok(None);
    };
    let id = (joined.role != Role::Alone).then_some(id);
    let insert =
        sqlx::query("INSERT INTO collected (run, step, item, collection) VALUES (?, ?, ?, ?)");
    named(insert, &join.occasion).bind(id).execute(&mut *connection).await?;
    match joined.role {
        Role::Leader => wake(connection, run.0, millis(joined.collection.closes_at)).await?,
        Role::Alone => wake(connection, run.0, millis(join.at)).await?,
        Role::Follower(leader) => {
            wake(connection, leader.0, millis(joined.collection.closes_at)).await?;
            let kept =
                "UPDATE throttled SET key = x'' WHERE run = ? AND step = ? AND item = ? AND at > ?";
            let kept = named(sqlx::query(kept), &join.occasion).bind(millis(join.at));
            kept.execute(connection).await?;
        }
    }
    Ok(joined.decision(join))
}

/// Those that followed the run at `occasion` are finished.
pub(super) async fn finish(
    connection: &mut SqliteConnection,
    occasion: &Occasion,
) -> sqlx::Result<()> {
    let delete =
        "DELETE FROM collected WHERE run = ? AND step = ? AND item = ? RETURNING collection";
    let row = named(sqlx::query(delete), occasion).fetch_optional(&mut *connection).await?;
    let Some(row) = row else { return Ok(()) };
    let Some(id) = row.try_get::<Option<i64>, _>(0)? else { return Ok(()) };
    for sql in [
        "UPDATE run SET status = 2, position = NULL, wake_at = NULL WHERE status = 0
           AND id IN (SELECT run FROM collected WHERE collection = ?1)",
        "DELETE FROM collected WHERE collection = ?1",
        "DELETE FROM collection WHERE id = ?1",
    ] {
        sqlx::query(sql).bind(id).execute(&mut *connection).await?;
    }
    Ok(())
}

/// Takes runs that end out of their collections, and gives back the places kept for them. The
/// oldest of those that remain leads where a leader leaves; an empty collection is gone. Answers
/// where they were.
pub(in super::super) async fn leave(
    connection: &mut SqliteConnection,
    runs: &[Uuid],
    at: Timestamp,
) -> sqlx::Result<Vec<(RunId, StepPath)>> {
    let mut were = Vec::new();
    for run in runs {
        let left =
            sqlx::query("DELETE FROM collected WHERE run = ? RETURNING collection, step, item");
        for row in left.bind(run).fetch_all(&mut *connection).await? {
            let Some(id) = row.try_get::<Option<i64>, _>(0)? else { continue };
            let occasion = Occasion {
                run: (*run).into(),
                step: row.try_get::<&str, _>(1)?.into(),
                item: row.try_get(2)?,
            };
            leave_one(connection, id, &occasion).await?;
            were.push((occasion.run, occasion.step));
        }
        let kept = sqlx::query("UPDATE throttled SET key = x'' WHERE run = ? AND at > ?");
        kept.bind(run).bind(millis(at)).execute(&mut *connection).await?;
    }
    Ok(were)
}

async fn leave_one(
    connection: &mut SqliteConnection,
    id: i64,
    occasion: &Occasion,
) -> sqlx::Result<()> {
    let left = sqlx::query(
        "UPDATE collection SET count = count - 1 WHERE id = ? RETURNING leader, closes_at",
    );
    let left = left.bind(id).fetch_one(&mut *connection).await?;
    if left.try_get::<Option<Uuid>, _>(0)? != Some(occasion.run.0) {
        return Ok(());
    }
    let heir =
        sqlx::query("SELECT run, item FROM collected WHERE collection = ? ORDER BY seq LIMIT 1");
    let Some(heir) = heir.bind(id).fetch_optional(&mut *connection).await? else {
        let empty = "DELETE FROM collection WHERE id = ? AND (open = 0 OR window IS NULL)";
        sqlx::query(empty).bind(id).execute(&mut *connection).await?;
        let waits = "UPDATE collection SET leader = NULL WHERE id = ?";
        sqlx::query(waits).bind(id).execute(connection).await?;
        return Ok(());
    };
    let (run, item): (Uuid, i64) = (heir.try_get(0)?, heir.try_get(1)?);
    let leads = sqlx::query("UPDATE collection SET leader = ? WHERE id = ?");
    leads.bind(run).bind(id).execute(&mut *connection).await?;
    let place = "UPDATE OR IGNORE throttled SET run = ?4, item = ?5 WHERE run = ?1 AND step = ?2 AND item = ?3";
    named(sqlx::query(place), occasion).bind(run).bind(item).execute(&mut *connection).await?;
    wake(connection, run, left.try_get(1)?).await
}

/// The window that comes after collection `id`.
pub(super) async fn follow(
    connection: &mut SqliteConnection,
    id: i64,
    window: &Collection,
) -> sqlx::Result<()> {
    let insert = "INSERT INTO collection (tenant, workflow, step, who, key, leader, opened_at, closes_at, count, min_items, window, open)
                  SELECT tenant, workflow, step, who, key, NULL, ?2, ?3, 0, min_items, window, 1 FROM collection WHERE id = ?1";
    sqlx::query(insert)
        .bind(id)
        .bind(millis(window.opened_at))
        .bind(millis(window.closes_at))
        .execute(connection)
        .await?;
    Ok(())
}

/// Writes the collection as it is from now on; answers its id. `None`: there is no such run.
async fn written(
    connection: &mut SqliteConnection,
    open: Option<i64>,
    joined: &Joined,
    join: &Join,
) -> sqlx::Result<Option<i64>> {
    let Joined { collection, new, .. } = joined;
    if let Some(id) = open.filter(|_| !new) {
        sqlx::query("UPDATE collection SET leader = ?, closes_at = ?, count = ? WHERE id = ?")
            .bind(collection.leader.map(|run| run.0))
            .bind(millis(collection.closes_at))
            .bind(collection.count.cast_signed())
            .bind(id)
            .execute(connection)
            .await?;
        return Ok(Some(id));
    }
    if let Some(id) = open {
        for over in [
            "DELETE FROM collection WHERE id = ? AND leader IS NULL",
            "UPDATE collection SET open = 0 WHERE id = ?",
        ] {
            sqlx::query(over).bind(id).execute(&mut *connection).await?;
        }
    }
    let window = collection.window.map(|window| window.as_millis());
    let insert = "INSERT INTO collection (tenant, workflow, step, who, key, leader, opened_at, closes_at, count, min_items, window, open)
                  SELECT ?10, workflow, ?2, who, ?3, ?4, ?5, ?6, ?7, ?8, ?9, 1 FROM run WHERE id = ?1";
    let inserted = sqlx::query(insert)
        .bind(join.occasion.run.0)
        .bind(shared(&join.occasion.step.0))
        .bind(join.key.as_str())
        .bind(collection.leader.map(|run| run.0))
        .bind(millis(collection.opened_at))
        .bind(millis(collection.closes_at))
        .bind(collection.count.cast_signed())
        .bind(collection.min_items.cast_signed())
        .bind(window.and_then(|window| i64::try_from(window).ok()))
        .bind(join.tenant.as_str())
        .execute(connection)
        .await?;
    Ok((inserted.rows_affected() > 0).then(|| inserted.last_insert_rowid()))
}

/// A waiting run goes on at `at`; one that is being worked on, if its worker is lost.
async fn wake(connection: &mut SqliteConnection, run: Uuid, at: i64) -> sqlx::Result<()> {
    let wake = sqlx::query("UPDATE run SET wake_at = ? WHERE id = ? AND status IN (0, 1)");
    wake.bind(at).bind(run).execute(connection).await?;
    Ok(())
}
