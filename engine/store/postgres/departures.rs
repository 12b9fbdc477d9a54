//! From a lease to a provider, and from one provider to the next.

use std::collections::HashSet;

use sqlx::PgConnection;
use uuid::Uuid;

use super::decode::millis;
use super::rows::each;
use super::{ledger, plan};
use crate::store::rounds::{Round, rounds};
use crate::store::{Departed, Departure, Failover};

const DEPART: &str = "UPDATE message SET status = 2, attempt = attempt + 1, \
      provider = v.provider, departed_at = v.at, \
      spent_at = coalesce(spent_at, CASE WHEN v.spends THEN v.at END)
    FROM unnest($1::uuid[], $2::bigint[], $3::text[], $4::bigint[], $5::boolean[])
      AS v (id, fence, provider, at, spends)
    WHERE message.id = v.id AND message.fence = v.fence AND message.status = 1
    RETURNING message.id";
const FAIL_OVER: &str = "UPDATE message SET attempt = message.attempt + 1, \
      forgiven = forgiven + 1, provider = v.provider, departed_at = v.at
    FROM unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::text[], $5::bigint[])
      AS v (id, fence, attempt, provider, at)
    WHERE message.id = v.id AND message.fence = v.fence AND message.attempt = v.attempt
      AND message.status = 2 AND NOT stopping
    RETURNING message.id";

pub(super) async fn depart(
    connection: &mut PgConnection,
    all: &[&Departure],
) -> sqlx::Result<Vec<Departed>> {
    let mut answers = vec![Departed::Withdrawn; all.len()];
    for mut round in rounds(all, |departure| departure.message.0) {
        for (place, _) in fail_over(connection, &mut round).await? {
            answers[place] = Departed::Left;
        }
        ledger::let_leave(connection, &mut round, &mut answers).await?;
        if round.is_empty() {
            continue;
        }
        let departed: Vec<Uuid> = sqlx::query_scalar(DEPART)
            .bind(each(&round, |(_, departure)| departure.message.0))
            .bind(each(&round, |(_, departure)| departure.fence.0))
            .bind(each(&round, |(_, departure)| departure.provider.as_str()))
            .bind(each(&round, |(_, departure)| millis(departure.at)))
            .bind(each(&round, |(_, departure)| departure.spend.is_some()))
            .fetch_all(&mut *connection)
            .await?;
        let departed: HashSet<Uuid> = departed.into_iter().collect();
        for (place, _) in round.iter().filter(|(_, each)| departed.contains(&each.message.0)) {
            answers[*place] = Departed::Left;
        }
    }
    Ok(answers)
}

/// Takes those out of `round` that go from one provider to the next; answers who left.
async fn fail_over<'d>(
    connection: &mut PgConnection,
    round: &mut Round<'d, Departure>,
) -> sqlx::Result<Round<'d, Departure>> {
    let mut all: Vec<(usize, &Departure, &Failover)> = Vec::new();
    round.retain(|&(place, departure)| {
        all.extend(departure.failover.as_deref().map(|failover| (place, departure, failover)));
        departure.failover.is_none()
    });
    if all.is_empty() {
        return Ok(Vec::new());
    }
    let departed: Vec<Uuid> = sqlx::query_scalar(FAIL_OVER)
        .bind(each(&all, |(_, departure, _)| departure.message.0))
        .bind(each(&all, |(_, departure, _)| departure.fence.0))
        .bind(each(&all, |(_, _, failover)| i64::from(failover.attempt.number)))
        .bind(each(&all, |(_, departure, _)| departure.provider.as_str()))
        .bind(each(&all, |(_, departure, _)| millis(departure.at)))
        .fetch_all(&mut *connection)
        .await?;
    let departed: HashSet<Uuid> = departed.into_iter().collect();
    all.retain(|(_, departure, _)| departed.contains(&departure.message.0));
    let attempts: Vec<_> = all.iter().map(|(_, _, failover)| &failover.attempt).collect();
    plan::attempts(connection, &attempts).await?;
    let decisions: Vec<_> = all.iter().flat_map(|(_, _, failover)| &failover.decisions).collect();
    plan::decisions(connection, &decisions).await?;
    Ok(all.into_iter().map(|(place, departure, _)| (place, departure)).collect())
}
