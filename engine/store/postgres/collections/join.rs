use jiff::Timestamp;
use sqlx::{AssertSqlSafe, PgConnection, Row};
use uuid::Uuid;

use super::super::decode::millis;
use super::super::rows::key;
use super::{COLUMNS, collection, named};
use crate::model::{Decision, Join, Occasion, RunId, StepPath};
use crate::store::collection::{Collection, Joined, Role};

/// Lets a waiting run into its collection, and sets when it wakes.
pub(super) async fn join(
    connection: &mut PgConnection,
    join: &Join,
) -> sqlx::Result<Option<Decision>> {
    let Occasion { run, step, .. } = &join.occasion;
    let known = "SELECT c.leader, c.closes_at FROM collected d
                 LEFT JOIN collection c ON c.id = d.collection
                 WHERE d.run = $1 AND d.step = $2 AND d.item = $3";
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
        "SELECT {COLUMNS} FROM run r JOIN collection c ON c.tenant = $4 AND c.workflow = r.workflow
           AND c.step = $2 AND c.who = r.who AND c.key = $3 AND c.open
         WHERE r.id = $1 FOR UPDATE OF c"
    );
    let select = sqlx::query(AssertSqlSafe(select));
    let select = select.bind(run.0).bind(step.as_str()).bind(key(&join.key));
    let select = select.bind(join.tenant.as_str());
    let open = select.fetch_optional(&mut *connection).await?;
    let open = open.as_ref().map(collection).transpose()?;
    let joined = Collection::join(open.map(|(_, open)| open), join);
    let Some(id) = written(connection, open.map(|(id, _)| id), &joined, join).await? else {
        return Ok(None);
    };
    let id = (joined.role != Role::Alone).then_some(id);
    let insert =
        sqlx::query("INSERT INTO collected (run, step, item, collection) VALUES ($1, $2, $3, $4)");
    named(insert, &join.occasion).bind(id).execute(&mut *connection).await?;
    match joined.role {
        Role::Leader => wake(connection, run.0, millis(joined.collection.closes_at)).await?,
        Role::Alone => wake(connection, run.0, millis(join.at)).await?,
        Role::Follower(leader) => {
            wake(connection, leader.0, millis(joined.collection.closes_at)).await?;
            let kept = "UPDATE throttled SET key = ''
                        WHERE run = $1 AND step = $2 AND item = $3 AND at > $4";
            let kept = named(sqlx::query(kept), &join.occasion).bind(millis(join.at));
            kept.execute(connection).await?;
        }
    }
    Ok(joined.decision(join))
}

/// Those that followed the run at `occasion` are finished.
pub(super) async fn finish(connection: &mut PgConnection, occasion: &Occasion) -> sqlx::Result<()> {
    let delete = "DELETE FROM collected WHERE run = $1 AND step = $2 AND item = $3
                  RETURNING collection";
    let row = named(sqlx::query(delete), occasion).fetch_optional(&mut *connection).await?;
    let Some(row) = row else { return Ok(()) };
    let Some(id) = row.try_get::<Option<i64>, _>(0)? else { return Ok(()) };
    for sql in [
        "UPDATE run SET status = 2, position = NULL, wake_at = NULL WHERE status = 0
           AND id IN (SELECT run FROM collected WHERE collection = $1)",
        "DELETE FROM collected WHERE collection = $1",
        "DELETE FROM collection WHERE id = $1",
    ] {
        sqlx::query(sql).bind(id).execute(&mut *connection).await?;
    }
    Ok(())
}

/// Takes runs that end out of their collections, and gives back the places kept for them. The
/// oldest of those that remain leads where a leader leaves; an empty collection is gone. Answers
/// where they were.
pub(in super::super) async fn leave(
    connection: &mut PgConnection,
    runs: &[Uuid],
    at: Timestamp,
) -> sqlx::Result<Vec<(RunId, StepPath)>> {
    if runs.is_empty() {
        return Ok(Vec::new());
    }
    let mut were = Vec::new();
    let left = sqlx::query(
        "DELETE FROM collected WHERE run = ANY($1) RETURNING collection, run, step, item",
    );
    for row in left.bind(runs).fetch_all(&mut *connection).await? {
        let Some(id) = row.try_get::<Option<i64>, _>(0)? else { continue };
        let item: i64 = row.try_get(3)?;
        let occasion = Occasion {
            run: row.try_get::<Uuid, _>(1)?.into(),
            step: row.try_get::<&str, _>(2)?.into(),
            item: u32::try_from(item).unwrap_or_default(),
        };
        leave_one(connection, id, &occasion).await?;
        were.push((occasion.run, occasion.step));
    }
    let kept = sqlx::query("UPDATE throttled SET key = '' WHERE run = ANY($1) AND at > $2");
    kept.bind(runs).bind(millis(at)).execute(connection).await?;
    Ok(were)
}

async fn leave_one(
    connection: &mut PgConnection,
    id: i64,
    occasion: &Occasion,
) -> sqlx::Result<()> {
    let left = sqlx::query(
        "UPDATE collection SET count = count - 1 WHERE id = $1 RETURNING leader, closes_at",
    );
    // Gone: its leader went on with it meanwhile.
    let left = left.bind(id).fetch_optional(&mut *connection).await?;
    let Some(left) = left else { return Ok(()) };
    if left.try_get::<Option<Uuid>, _>(0)? != Some(occasion.run.0) {
        return Ok(());
    }
    let heir =
        sqlx::query("SELECT run, item FROM collected WHERE collection = $1 ORDER BY seq LIMIT 1");
    let Some(heir) = heir.bind(id).fetch_optional(&mut *connection).await? else {
        let empty = "DELETE FROM collection WHERE id = $1 AND (NOT open OR window_ms IS NULL)";
        sqlx::query(empty).bind(id).execute(&mut *connection).await?;
        let waits = "UPDATE collection SET leader = NULL WHERE id = $1";
        sqlx::query(waits).bind(id).execute(connection).await?;
        return Ok(());
    };
    let (run, item): (Uuid, i64) = (heir.try_get(0)?, heir.try_get(1)?);
    let leads = sqlx::query("UPDATE collection SET leader = $1 WHERE id = $2");
    leads.bind(run).bind(id).execute(&mut *connection).await?;
    let place =
        "UPDATE throttled SET run = $4, item = $5 WHERE run = $1 AND step = $2 AND item = $3
                 AND NOT EXISTS (SELECT FROM throttled
                                 WHERE run = $4 AND step = $2 AND item = $5)";
    named(sqlx::query(place), occasion).bind(run).bind(item).execute(&mut *connection).await?;
    wake(connection, run, left.try_get(1)?).await
}

/// The window that comes after collection `id`.
pub(super) async fn follow(
    connection: &mut PgConnection,
    id: i64,
    window: &Collection,
) -> sqlx::Result<()> {
    let insert = "INSERT INTO collection (tenant, workflow, step, who, key, leader, opened_at,
                    closes_at, count, min_items, window_ms, open)
                  SELECT tenant, workflow, step, who, key, NULL, $2, $3, 0, min_items, window_ms, true
                  FROM collection WHERE id = $1";
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
    connection: &mut PgConnection,
    open: Option<i64>,
    joined: &Joined,
    join: &Join,
) -> sqlx::Result<Option<i64>> {
    let Joined { collection, new, .. } = joined;
    if let Some(id) = open.filter(|_| !new) {
        sqlx::query("UPDATE collection SET leader = $1, closes_at = $2, count = $3 WHERE id = $4")
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
            "DELETE FROM collection WHERE id = $1 AND leader IS NULL",
            "UPDATE collection SET open = false WHERE id = $1",
        ] {
            sqlx::query(over).bind(id).execute(&mut *connection).await?;
        }
    }
    let window = collection.window.map(|window| window.as_millis());
    let insert = "INSERT INTO collection (tenant, workflow, step, who, key, leader, opened_at,
                    closes_at, count, min_items, window_ms, open)
                  SELECT $10, workflow, $2, who, $3, $4, $5, $6, $7, $8, $9, true FROM run
                  WHERE id = $1 RETURNING id";
    sqlx::query_scalar(insert)
        .bind(join.occasion.run.0)
        .bind(join.occasion.step.as_str())
        .bind(key(&join.key))
        .bind(collection.leader.map(|run| run.0))
        .bind(millis(collection.opened_at))
        .bind(millis(collection.closes_at))
        .bind(collection.count.cast_signed())
        .bind(collection.min_items.cast_signed())
        .bind(window.and_then(|window| i64::try_from(window).ok()))
        .bind(join.tenant.as_str())
        .fetch_optional(connection)
        .await
}

/// A waiting run goes on at `at`; one that is being worked on, if its worker is lost.
async fn wake(connection: &mut PgConnection, run: Uuid, at: i64) -> sqlx::Result<()> {
    let wake = sqlx::query("UPDATE run SET wake_at = $1 WHERE id = $2 AND status IN (0, 1)");
    wake.bind(at).bind(run).execute(connection).await?;
    Ok(())
}
