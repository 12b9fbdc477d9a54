use jiff::Timestamp;
use sqlx::PgConnection;

use super::super::decode::millis;
use super::super::locks::{Kind, Locks};
use super::named;
use crate::model::{Pass, Passage};
use crate::store::collection::{free_at, later};

/// Takes a place, or says when there will be one.
pub(super) async fn take(connection: &mut PgConnection, pass: &Pass) -> sqlx::Result<Passage> {
    // What is counted here is counted by one transaction at a time, on whatever node.
    let mut locks = Locks::default();
    locks.alone(Kind::Throttle, &[pass.key.as_slice()]);
    locks.take(connection).await?;
    let known = "SELECT at FROM throttled WHERE run = $1 AND step = $2 AND item = $3";
    let known = named(sqlx::query(known), &pass.occasion).fetch_optional(&mut *connection).await?;
    if let Some(known) = known {
        return Ok(passage(pass, time(sqlx::Row::try_get(&known, 0)?)?));
    }
    let begin = pass.at.saturating_sub(pass.window).unwrap_or(Timestamp::MIN);
    let old = sqlx::query("DELETE FROM throttled WHERE key = $1 AND at <= $2");
    old.bind(pass.key.as_slice()).bind(millis(begin)).execute(&mut *connection).await?;
    let last = "SELECT at FROM throttled WHERE key = $1 ORDER BY at DESC LIMIT 1 OFFSET $2";
    let last: Option<i64> = sqlx::query_scalar(last)
        .bind(pass.key.as_slice())
        .bind(pass.limit.saturating_sub(1).cast_signed())
        .fetch_optional(&mut *connection)
        .await?;
    let at = free_at(pass, last.map(time).transpose()?);
    if pass.limit > 0 && (at <= pass.at || pass.ahead) {
        let insert = "INSERT INTO throttled (run, step, item, key, at, until)
                      VALUES ($1, $2, $3, $4, $5, $6)";
        named(sqlx::query(insert), &pass.occasion)
            .bind(pass.key.as_slice())
            .bind(millis(at))
            .bind(millis(later(at, pass.window)))
            .execute(connection)
            .await?;
    }
    Ok(passage(pass, at))
}

fn passage(pass: &Pass, at: Timestamp) -> Passage {
    if at <= pass.at { Passage::Free } else { Passage::From(at) }
}

fn time(millis: i64) -> sqlx::Result<Timestamp> {
    Timestamp::from_millisecond(millis).map_err(|error| sqlx::Error::Decode(error.into()))
}
