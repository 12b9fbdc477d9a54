use jiff::Timestamp;
use sqlx::postgres::{PgConnection, Postgres};
use sqlx::{ConnectOptions, Connection, Transaction};
use uuid::Uuid;

use super::{Settings, schema, within};
use crate::source::{Intake, MOST_BYTES, MOST_EVENTS, Rejection, SourceError, Told};
use crate::telemetry::{EventsSetAside, SourceDrained};

/// Transactions whose rows no other drain touches until the end of ours. Oldest first.
const CLAIM: &str = "
    SELECT turn FROM nuncio.outbox_turn ORDER BY turn LIMIT $1 FOR UPDATE SKIP LOCKED";

/// Their first rows: a statement of its own, since what the one before saw may have been taken
/// away by the drain that held the lock until then. Turn by turn, so that no plan reads all of a
/// large one. `size` is of a spelling with spaces, less than twice as long as the compact one that
/// `server.max_event` bounds: what is longer than that is not read.
const READ: &str = "
    WITH first AS (
        SELECT f.turn, f.seq, least(f.size, 2 * $3) AS weight FROM unnest($1) AS claimed (turn)
        CROSS JOIN LATERAL (
            SELECT turn, seq, size FROM nuncio.outbox WHERE outbox.turn = claimed.turn
            ORDER BY seq LIMIT $2
        ) AS f
        LIMIT $2
    ), light AS MATERIALIZED (
        SELECT turn, seq, sum(weight) OVER (ORDER BY turn, seq) - weight AS before FROM first
    )
    SELECT turn, seq, id, size, left(name, 300) AS name,
        CASE WHEN size <= 2 * $3 THEN data::text END AS data,
        left(key, 300) AS key, left(actor, 300) AS actor, left(tenant, 300) AS tenant,
        CASE WHEN isfinite(at)
            THEN to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')
            ELSE at::text END AS at,
        floor(extract(epoch FROM emitted_at) * 1000)::bigint AS emitted_ms
    FROM light JOIN nuncio.outbox USING (turn, seq)
    WHERE before < $4 ORDER BY turn, seq";

const SET_ASIDE: &str = "
    INSERT INTO nuncio.outbox_rejected (
        turn, seq, id, name, data, key, actor, tenant, at, size, emitted_at, code, reason
    )
    SELECT turn, seq, id, name, data, key, actor, tenant, at, size, emitted_at, code, reason
    FROM nuncio.outbox
    JOIN unnest($1::bigint[], $2::bigint[], $3::text[], $4::text[])
        AS refused (turn, seq, code, reason) USING (turn, seq)";

const TAKE_AWAY: &str = "
    DELETE FROM nuncio.outbox USING unnest($1::bigint[], $2::bigint[]) AS done (turn, seq)
    WHERE outbox.turn = done.turn AND outbox.seq = done.seq";

const END: &str = "
    DELETE FROM nuncio.outbox_turn WHERE turn = ANY($1)
        AND NOT EXISTS (SELECT FROM nuncio.outbox WHERE outbox.turn = outbox_turn.turn)";

/// A process that stands still in the middle of a batch must not hold its rows for good: the server
/// ends the session, and another drain has them. Every statement has its index; a plan made while
/// the outbox was empty must not outlive that.
const SESSION: &str = "
    SELECT set_config('idle_in_transaction_session_timeout', '30s', false),
        set_config('enable_seqscan', 'off', false)";

/// Rows that nothing leads to: after a restore into another server, a transaction there may bear
/// the number of one that is being drained.
const FIND_LOST: &str = "
    INSERT INTO nuncio.outbox_turn (turn) SELECT DISTINCT turn FROM nuncio.outbox
    WHERE NOT EXISTS (SELECT FROM nuncio.outbox_turn AS known WHERE known.turn = outbox.turn)
    ON CONFLICT DO NOTHING";

/// One connection that takes rows out of an outbox. Any number may, side by side.
pub struct Drain {
    connection: PgConnection,
}

/// Rows that nobody else has, until it is committed or dropped.
pub struct Batch<'d> {
    transaction: Transaction<'d, Postgres>,
    turns: Vec<i64>,
    rows: Vec<Row>,
    /// Of the rows, in their order, once they were accepted.
    fates: Vec<Option<Rejection>>,
}

#[derive(sqlx::FromRow)]
struct Row {
    turn: i64,
    seq: i64,
    id: Uuid,
    size: i32,
    name: String,
    /// `None`: too long to be read.
    data: Option<String>,
    key: Option<String>,
    actor: Option<String>,
    tenant: Option<String>,
    at: Option<String>,
    emitted_ms: i64,
}

impl Drain {
    /// Connects, and makes the tables where there are none.
    pub async fn open(settings: &Settings) -> Result<Self, SourceError> {
        let mut connection = within(settings.options.connect()).await?;
        schema::make(&mut connection).await?;
        within(sqlx::query(SESSION).execute(&mut connection)).await?;
        Ok(Self { connection })
    }

    /// Makes rows that no transaction's row leads to ready to be claimed: how many transactions'
    /// they were. Walks over all rows, so it is for when few are left.
    pub async fn find_lost(&mut self) -> Result<u64, SourceError> {
        let found = within(sqlx::query(FIND_LOST).execute(&mut self.connection)).await?;
        Ok(found.rows_affected())
    }

    /// Claims, accepts and takes away one batch: how many rows that were.
    pub async fn once(&mut self, intake: &Intake) -> Result<usize, SourceError> {
        let mut batch = self.claim(intake.max_event).await?;
        if batch.rows.is_empty() {
            return Ok(0);
        }
        batch.accept(intake).await?;
        batch.commit().await
    }

    /// The first rows that no other drain holds, up to 1,000 and about 8 MiB; those of one
    /// transaction in their order, all before them taken. Empty: there are none.
    pub async fn claim(&mut self, max_event: usize) -> Result<Batch<'_>, SourceError> {
        let limit = i64::try_from(MOST_EVENTS).unwrap_or(i64::MAX);
        let bytes = i64::try_from(MOST_BYTES).unwrap_or(i64::MAX);
        // Twice it is still a size of PostgreSQL's.
        let max_event = i32::try_from(max_event).unwrap_or(i32::MAX).min(i32::MAX / 2);
        within(async {
            let mut transaction = self.connection.begin().await?;
            let claim = sqlx::query_scalar(CLAIM).bind(limit);
            let turns: Vec<i64> = claim.fetch_all(&mut *transaction).await?;
            let read = sqlx::query_as(READ).bind(&turns).bind(limit).bind(max_event).bind(bytes);
            let rows: Vec<Row> = if turns.is_empty() {
                Vec::new()
            } else {
                read.fetch_all(&mut *transaction).await?
            };
            Ok(Batch { transaction, turns, rows, fates: Vec::new() })
        })
        .await
    }
}

impl Batch<'_> {
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Hands the rows to the pipeline, in one call. Dropped after that, they are in the outbox
    /// still, and accepted again as duplicates of themselves.
    pub async fn accept(&mut self, intake: &Intake) -> Result<(), SourceError> {
        let told: Vec<Told> = self.rows.iter().map(Row::told).collect();
        self.fates = intake.accept(&told).await?;
        if let Some(first) = told.first() {
            let lag = intake.clock.now().duration_since(first.at);
            let lag = lag.try_into().unwrap_or_default();
            SourceDrained { source: "outbox", count: told.len() as u64, lag }.emit();
        }
        Ok(())
    }

    /// Takes the accepted rows away and sets the refused ones aside. Rows that were not handed
    /// over stay.
    pub async fn commit(self) -> Result<usize, SourceError> {
        let Self { mut transaction, turns, rows, fates } = self;
        let done = || rows.iter().zip(&fates);
        let count = done().count();
        let refused: Vec<_> =
            done().filter_map(|(row, fate)| Some((row, fate.as_ref()?))).collect();
        within(async {
            if !refused.is_empty() {
                set_aside(&mut transaction, &refused).await?;
            }
            let turn: Vec<i64> = done().map(|(row, _)| row.turn).collect();
            let seq: Vec<i64> = done().map(|(row, _)| row.seq).collect();
            sqlx::query(TAKE_AWAY).bind(turn).bind(seq).execute(&mut *transaction).await?;
            sqlx::query(END).bind(turns).execute(&mut *transaction).await?;
            transaction.commit().await
        })
        .await?;
        for (row, rejection) in refused {
            EventsSetAside { source: "outbox", id: &row.id, code: rejection.code }.emit();
        }
        Ok(count)
    }
}

async fn set_aside(
    transaction: &mut PgConnection,
    refused: &[(&Row, &Rejection)],
) -> Result<(), sqlx::Error> {
    let turn: Vec<i64> = refused.iter().map(|(row, _)| row.turn).collect();
    let seq: Vec<i64> = refused.iter().map(|(row, _)| row.seq).collect();
    let code: Vec<&str> = refused.iter().map(|(_, rejection)| rejection.code).collect();
    // PostgreSQL's texts hold every character but one.
    let reason: Vec<String> =
        refused.iter().map(|(_, rejection)| rejection.reason.replace('\0', "")).collect();
    let query = sqlx::query(SET_ASIDE).bind(turn).bind(seq).bind(code).bind(reason);
    query.execute(transaction).await.map(drop)
}

impl Row {
    fn told(&self) -> Told {
        let flaw = self.data.is_none().then(|| {
            let reason = format!("/data `data` takes about {} bytes, too many", self.size);
            Rejection::new("event.too_large", reason)
        });
        let fields = [
            ("name", Some(&self.name)),
            ("data", self.data.as_ref()),
            ("key", self.key.as_ref()),
            ("actor", self.actor.as_ref()),
            ("tenant", self.tenant.as_ref()),
            ("at", self.at.as_ref()),
        ];
        let fields =
            fields.into_iter().filter_map(|(name, text)| Some((name.into(), text?.clone())));
        let at = Timestamp::from_millisecond(self.emitted_ms).unwrap_or(Timestamp::UNIX_EPOCH);
        Told { id: self.id.to_string(), fields: fields.collect(), at, flaw }
    }
}
