use std::collections::{BTreeMap, HashMap, HashSet};

use sqlx::PgConnection;

/// Takes places at the end of streams: how many of which. Answers each stream's head before.
///
/// The head's row is locked until the commit, so places become visible in their order and without
/// gaps, whichever node takes the next. The rows are locked in the order of their names.
pub(super) async fn take(
    connection: &mut PgConnection,
    places: &BTreeMap<String, i64>,
) -> sqlx::Result<HashMap<String, i64>> {
    if places.is_empty() {
        return Ok(HashMap::new());
    }
    let names: Vec<&str> = places.keys().map(String::as_str).collect();
    let counts: Vec<i64> = places.values().copied().collect();
    let heads: Vec<(String, i64)> = sqlx::query_as(
        "INSERT INTO stream AS known (name, head)
         SELECT name, count FROM unnest($1::text[], $2::bigint[]) AS asked (name, count)
         ON CONFLICT (name) DO UPDATE SET head = known.head + excluded.head RETURNING name, head",
    )
    .bind(names)
    .bind(counts)
    .fetch_all(connection)
    .await?;
    let before = |(name, head): (String, i64)| {
        let taken = places.get(&name).copied().unwrap_or_default();
        (name, head - taken)
    };
    Ok(heads.into_iter().map(before).collect())
}

/// Locks streams that a transaction will take places of in several statements, so that two of them
/// never wait for each other. The head of one that does not exist yet is made first.
pub(super) async fn lock(
    connection: &mut PgConnection,
    mut names: Vec<String>,
) -> sqlx::Result<()> {
    const LOCK: &str = "SELECT name FROM stream WHERE name = ANY($1) ORDER BY name FOR UPDATE";
    if names.is_empty() {
        return Ok(());
    }
    names.sort_unstable();
    names.dedup();
    let held: Vec<String> =
        sqlx::query_scalar(LOCK).bind(&names).fetch_all(&mut *connection).await?;
    let held: HashSet<String> = held.into_iter().collect();
    names.retain(|name| !held.contains(name));
    if names.is_empty() {
        return Ok(());
    }
    let make = "INSERT INTO stream (name, head) SELECT name, 0 FROM unnest($1::text[]) AS name
                ON CONFLICT DO NOTHING";
    sqlx::query(make).bind(&names).execute(&mut *connection).await?;
    sqlx::query(LOCK).bind(&names).execute(connection).await?;
    Ok(())
}

/// Locks a stream and answers its head; `None`: nothing was ever in it.
pub(super) async fn hold(connection: &mut PgConnection, name: &str) -> sqlx::Result<Option<i64>> {
    let head = sqlx::query_scalar("SELECT head FROM stream WHERE name = $1 FOR UPDATE");
    head.bind(name).fetch_optional(connection).await
}
