//! Runs that wait together, and places in throttles.

mod join;
mod pass;

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::TryStreamExt;
use jiff::Timestamp;
use rusqlite::Connection;
use sqlx::sqlite::SqliteRow;
use sqlx::{AssertSqlSafe, Row};
use uuid::Uuid;

use super::decode::{self, millis};
use super::rows::{Statements, unfit};
use super::{SqliteStore, plan};
use crate::model::{Collected, Item, Occasion, Pass, Passage};
use crate::store::collection::{Closing, Collection, Collections, MOST_ITEM_BYTES};
use crate::store::{Plan, Result};

pub(super) use join::leave;

const COLUMNS: &str = "c.id, c.leader, c.opened_at, c.closes_at, c.count, c.min_items, c.window";

#[async_trait]
impl Collections for SqliteStore {
    async fn collect(
        &self,
        occasion: &Occasion,
        at: Timestamp,
        next: Option<Timestamp>,
    ) -> Result<Collected> {
        let asked = occasion.clone();
        let closed = self.writer.other(move |connection| close(connection, &asked, at, next));
        match closed.await? {
            Closed::Open { until, count } => Ok(Collected::Open { until, count }),
            Closed::Together(id) => self.items("d.collection = ?1", id).await,
            Closed::Alone => self.items("r.id = ?1", occasion.run.0).await,
        }
    }

    async fn pass(&self, pass: Pass) -> Result<Passage> {
        self.writer.other(move |connection| pass::take(connection, &pass)).await
    }
}

enum Closed {
    Open { until: Timestamp, count: u64 },
    Together(i64),
    Alone,
}

/// Writes what `plans` say of waiting together, except for runs that were left out.
pub(super) fn write(
    connection: &Connection,
    plans: &[&Plan],
    left_out: impl Fn(&Uuid) -> bool,
) -> rusqlite::Result<()> {
    let mut decisions = Vec::new();
    for join in plans.iter().flat_map(|plan| &plan.joins) {
        if !left_out(&join.occasion.run.0) {
            decisions.extend(join::join(connection, join)?);
        }
    }
    plan::decisions(connection, &decisions)?;
    for occasion in plans.iter().flat_map(|plan| &plan.closes) {
        join::finish(connection, occasion)?;
    }
    for (run, at) in plans.iter().flat_map(|plan| &plan.leaves) {
        leave(connection, &[run.0], *at)?;
    }
    Ok(())
}

fn close(
    connection: &Connection,
    occasion: &Occasion,
    at: Timestamp,
    next: Option<Timestamp>,
) -> rusqlite::Result<Closed> {
    let select = format!(
        "SELECT {COLUMNS}, c.open FROM collected d JOIN collection c ON c.id = d.collection
         WHERE d.run = ? AND d.step = ? AND d.item = ?"
    );
    let found = connection
        .maybe(&select, named(occasion), |row| Ok((collection(row)?, row.get::<_, bool>(7)?)))?;
    let Some(((id, collection), open)) = found else { return Ok(Closed::Alone) };
    let count = collection.count;
    match collection.close(at, next.filter(|_| open)) {
        Closing::NotYet(until) => Ok(Closed::Open { until, count }),
        Closing::Moves(until) => {
            let moves = "UPDATE collection SET closes_at = ? WHERE id = ?";
            connection.run(moves, (millis(until), id))?;
            Ok(Closed::Open { until, count })
        }
        Closing::Closes(following) => {
            connection.run("UPDATE collection SET open = 0 WHERE id = ? AND open = 1", [id])?;
            if let Some(following) = following.filter(|_| open) {
                join::follow(connection, id, &following)?;
            }
            Ok(Closed::Together(id))
        }
    }
}

impl SqliteStore {
    /// What the runs of `whose` brought, in the order of their coming.
    async fn items<'q, Id>(&self, whose: &'static str, id: Id) -> Result<Collected>
    where
        Id: sqlx::Encode<'q, sqlx::Sqlite> + sqlx::Type<sqlx::Sqlite> + Copy + 'q,
    {
        let (from, order) = if whose.starts_with("d.") {
            ("collected d JOIN run r ON r.id = d.run", "d.seq")
        } else {
            ("run r", "r.id")
        };
        let counted = format!(
            "SELECT total(coalesce(json_extract(r.state, '$.collected.count'), 1)) FROM {from} WHERE {whose}"
        );
        let count: f64 =
            sqlx::query_scalar(AssertSqlSafe(counted)).bind(id).fetch_one(&self.readers).await?;
        let select = format!(
            "SELECT {}, json_extract(r.state, '$.collected') AS earlier FROM {from} JOIN event e ON e.id = r.event
             WHERE {whose} ORDER BY {order}",
            decode::EVENT.split(", ").map(|column| format!("e.{column}")).collect::<Vec<_>>().join(", ")
        );
        let mut rows = sqlx::query(AssertSqlSafe(select)).bind(id).fetch(&self.readers);
        let (mut bytes, mut items) = (0, Vec::new());
        while let Some(row) = rows.try_next().await? {
            let item = self.item(&row)?;
            bytes += item.bytes();
            if !items.is_empty() && bytes > MOST_ITEM_BYTES {
                break;
            }
            items.push(item);
        }
        Ok(Collected::Closed { count: count as u64, items })
    }

    fn item(&self, row: &SqliteRow) -> Result<Item> {
        let earlier: Option<String> = row.try_get("earlier")?;
        match earlier.and_then(|text| serde_json::from_str(&text).ok()) {
            Some(earlier) => Ok(Item::Collected(earlier)),
            None => Ok(Item::Event(Arc::new(self.vault.open_event(decode::event(row)?)?))),
        }
    }
}

/// Columns in [`COLUMNS`]'s order.
fn collection(row: &rusqlite::Row<'_>) -> rusqlite::Result<(i64, Collection)> {
    let count = |column: usize| row.get::<_, i64>(column).map(i64::unsigned_abs);
    let window: Option<i64> = row.get(6)?;
    let collection = Collection {
        leader: row.get::<_, Option<Uuid>>(1)?.map(Into::into),
        opened_at: time(row.get(2)?)?,
        closes_at: time(row.get(3)?)?,
        count: count(4)?,
        min_items: count(5)?,
        window: window.map(|millis| std::time::Duration::from_millis(millis.unsigned_abs())),
    };
    Ok((row.get(0)?, collection))
}

fn time(millis: i64) -> rusqlite::Result<Timestamp> {
    Timestamp::from_millisecond(millis).map_err(unfit)
}

/// The run, the step and the item, as the tables have them.
fn named(occasion: &Occasion) -> (Uuid, &str, i64) {
    (occasion.run.0, occasion.step.as_str(), i64::from(occasion.item))
}
