//! Runs that wait together, and places in throttles.
//!
//! One transaction at a time, of all nodes, has to do with what is collected by one key: [`lock`]
//! says which. So one collection is open for a key, and each run joins it as it is, not as it was.
//! Who only leaves has the collection's row locked instead.

mod join;
mod pass;

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::TryStreamExt;
use jiff::Timestamp;
use serde_json::Value;
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::query::Query;
use sqlx::{AssertSqlSafe, PgConnection, Postgres, Row};
use uuid::Uuid;

use super::decode::{self, millis};
use super::locks::{Kind, Locks};
use super::{PostgresStore, plan};
use crate::model::{Collected, Item, Join, Occasion, Pass, Passage};
use crate::store::collection::{Closing, Collection, Collections, MOST_ITEM_BYTES};
use crate::store::{Plan, Result};

pub(super) use join::leave;

const COLUMNS: &str = "c.id, c.leader, c.opened_at, c.closes_at, c.count, c.min_items, c.window_ms";

#[async_trait]
impl Collections for PostgresStore {
    async fn collect(
        &self,
        occasion: &Occasion,
        at: Timestamp,
        next: Option<Timestamp>,
    ) -> Result<Collected> {
        let occasion = occasion.clone();
        let asked = occasion.clone();
        let closed = self.writer.other(move |connection| {
            let asked = asked.clone();
            Box::pin(async move { close(connection, &asked, at, next).await })
        });
        match closed.await? {
            Closed::Open { until, count } => Ok(Collected::Open { until, count }),
            Closed::Together(id) => {
                let from = "collected d JOIN run r ON r.id = d.run WHERE d.collection = $1";
                self.items(from, "d.seq", id).await
            }
            Closed::Alone => self.items("run r WHERE r.id = $1", "r.id", occasion.run.0).await,
        }
    }

    async fn pass(&self, pass: Pass) -> Result<Passage> {
        self.writer
            .other(move |connection| {
                let pass = pass.clone();
                Box::pin(async move { pass::take(connection, &pass).await })
            })
            .await
    }
}

enum Closed {
    Open { until: Timestamp, count: u64 },
    Together(i64),
    Alone,
}

/// Asks for the keys by which runs are to join in `plans`.
pub(super) async fn lock(
    connection: &mut PgConnection,
    locks: &mut Locks,
    plans: &[&Plan],
) -> sqlx::Result<()> {
    let joins: Vec<&Join> = plans.iter().flat_map(|plan| &plan.joins).collect();
    if joins.is_empty() {
        return Ok(());
    }
    let runs: Vec<Uuid> = joins.iter().map(|join| join.occasion.run.0).collect();
    let known: Vec<(Uuid, Option<String>)> =
        sqlx::query_as("SELECT id, recipient FROM run WHERE id = ANY($1)")
            .bind(runs)
            .fetch_all(connection)
            .await?;
    let mut recipients: HashMap<Uuid, Option<String>> = known.into_iter().collect();
    for run in plans.iter().flat_map(|plan| &plan.runs) {
        recipients.insert(run.id.0, run.recipient.as_ref().map(ToString::to_string));
    }
    for join in joins {
        let recipient = recipients.get(&join.occasion.run.0).cloned().flatten();
        let step = join.occasion.step.as_str();
        ask(locks, &join.tenant, step, &join.key, recipient.as_deref());
    }
    Ok(())
}

/// Less than what a collection is for: workflows, and contacts, share the locks of a key.
fn ask(locks: &mut Locks, tenant: &str, step: &str, key: &str, recipient: Option<&str>) {
    let name = [tenant, step, key, recipient.unwrap_or_default()].map(str::as_bytes);
    locks.alone(Kind::Collection, &name);
}

/// Writes what `plans` say of waiting together, except for runs that were left out.
pub(super) async fn write(
    connection: &mut PgConnection,
    plans: &[&Plan],
    left_out: impl Fn(&Uuid) -> bool,
) -> sqlx::Result<()> {
    let mut decisions = Vec::new();
    for join in plans.iter().flat_map(|plan| &plan.joins) {
        if !left_out(&join.occasion.run.0) {
            decisions.extend(join::join(connection, join).await?);
        }
    }
    plan::decisions(connection, &decisions.iter().collect::<Vec<_>>()).await?;
    for occasion in plans.iter().flat_map(|plan| &plan.closes) {
        join::finish(connection, occasion).await?;
    }
    for (run, at) in plans.iter().flat_map(|plan| &plan.leaves) {
        leave(connection, &[run.0], *at).await?;
    }
    Ok(())
}

async fn close(
    connection: &mut PgConnection,
    occasion: &Occasion,
    at: Timestamp,
    next: Option<Timestamp>,
) -> sqlx::Result<Closed> {
    lock_its(connection, occasion).await?;
    let select = format!(
        "SELECT {COLUMNS}, c.open FROM collected d JOIN collection c ON c.id = d.collection
         WHERE d.run = $1 AND d.step = $2 AND d.item = $3 FOR UPDATE OF c"
    );
    let row = named(sqlx::query(AssertSqlSafe(select)), occasion).fetch_optional(&mut *connection);
    let Some(row) = row.await? else { return Ok(Closed::Alone) };
    let (id, collection) = collection(&row)?;
    let open: bool = row.try_get(7)?;
    let count = collection.count;
    match collection.close(at, next.filter(|_| open)) {
        Closing::NotYet(until) => Ok(Closed::Open { until, count }),
        Closing::Moves(until) => {
            sqlx::query("UPDATE collection SET closes_at = $1 WHERE id = $2")
                .bind(millis(until))
                .bind(id)
                .execute(connection)
                .await?;
            Ok(Closed::Open { until, count })
        }
        Closing::Closes(following) => {
            let end = sqlx::query("UPDATE collection SET open = false WHERE id = $1 AND open");
            end.bind(id).execute(&mut *connection).await?;
            if let Some(following) = following.filter(|_| open) {
                join::follow(connection, id, &following).await?;
            }
            Ok(Closed::Together(id))
        }
    }
}

async fn lock_its(connection: &mut PgConnection, occasion: &Occasion) -> sqlx::Result<()> {
    let select = sqlx::query(
        "SELECT c.tenant, c.step, c.key, r.recipient FROM collected d
         JOIN collection c ON c.id = d.collection JOIN run r ON r.id = d.run
         WHERE d.run = $1 AND d.step = $2 AND d.item = $3",
    );
    let row = named(select, occasion).fetch_optional(&mut *connection).await?;
    let Some(row) = row else { return Ok(()) };
    let mut locks = Locks::default();
    let (tenant, step, key) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    ask(&mut locks, tenant, step, key, row.try_get(3)?);
    locks.take(connection).await
}

impl PostgresStore {
    /// What the runs of `from` brought, in the order of their coming.
    async fn items<'q, Id>(&self, from: &str, order: &str, id: Id) -> Result<Collected>
    where
        Id: sqlx::Encode<'q, Postgres> + sqlx::Type<Postgres> + Copy + Send + 'q,
    {
        // A state is read as text, by us: PostgreSQL's own JSON refuses some that is sound.
        const EARLIER: &str = "CASE WHEN strpos(r.state, '\"collected\"') > 0 THEN r.state END";
        let (from_runs, of) = from.split_once(" WHERE ").unwrap_or((from, "true"));
        let counted = format!("SELECT {EARLIER} FROM {from}");
        let mut states = sqlx::query_scalar(AssertSqlSafe(counted)).bind(id).fetch(&self.readers);
        let mut count = 0;
        while let Some(state) = states.try_next().await? {
            count += earlier(state).and_then(|earlier| earlier["count"].as_u64()).unwrap_or(1);
        }
        drop(states);
        let columns: Vec<String> =
            decode::EVENT.split(", ").map(|column| format!("e.{}", column.trim())).collect();
        let select = format!(
            "SELECT {}, {EARLIER} AS earlier FROM {from_runs} JOIN event e ON e.id = r.event
             WHERE {of} ORDER BY {order}",
            columns.join(", ")
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
        Ok(Collected::Closed { count, items })
    }

    fn item(&self, row: &PgRow) -> Result<Item> {
        let known = earlier(row.try_get("earlier")?);
        match known.and_then(|known| serde_json::from_value(known).ok()) {
            Some(earlier) => Ok(Item::Collected(earlier)),
            None => Ok(Item::Event(Arc::new(self.vault.open_event(decode::event(row)?)?))),
        }
    }
}

/// What a run had collected at an earlier step, by its state.
fn earlier(state: Option<String>) -> Option<Value> {
    let mut state: Value = serde_json::from_str(&state?).ok()?;
    state.get_mut("collected").map(Value::take).filter(|earlier| !earlier.is_null())
}

/// Columns in [`COLUMNS`]'s order.
fn collection(row: &PgRow) -> sqlx::Result<(i64, Collection)> {
    let time = |column: usize| {
        let millis: i64 = row.try_get(column)?;
        Timestamp::from_millisecond(millis).map_err(|error| sqlx::Error::Decode(error.into()))
    };
    let count = |column: usize| row.try_get::<i64, _>(column).map(i64::unsigned_abs);
    let window: Option<i64> = row.try_get(6)?;
    let collection = Collection {
        leader: row.try_get::<Option<Uuid>, _>(1)?.map(Into::into),
        opened_at: time(2)?,
        closes_at: time(3)?,
        count: count(4)?,
        min_items: count(5)?,
        window: window.map(|millis| std::time::Duration::from_millis(millis.unsigned_abs())),
    };
    Ok((row.try_get(0)?, collection))
}

type Bound<'q> = Query<'q, Postgres, PgArguments>;

/// $1 the run, $2 the step, $3 the round.
fn named<'q>(query: Bound<'q>, occasion: &'q Occasion) -> Bound<'q> {
    query.bind(occasion.run.0).bind(occasion.step.as_str()).bind(i64::from(occasion.item))
}
