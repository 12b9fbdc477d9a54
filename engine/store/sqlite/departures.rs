//! From a lease to a provider, and from one provider to the next.

use sqlx::SqliteConnection;

use super::decode::{millis, shared};
use super::queue::ids;
use super::rows::Bulk;
use super::{ledger, plan};
use crate::store::rounds::{Round, rounds};
use crate::store::{Departed, Departure, Failover};

/// The plus keeps SQLite from walking the index of all that is leased, where it has the ids.
const DEPART: Bulk = Bulk {
    head: "UPDATE message SET status = 2, attempt = attempt + 1, provider = v.column3, \
             departed_at = v.column4, \
             spent_at = coalesce(spent_at, CASE WHEN v.column5 THEN v.column4 END) FROM (",
    columns: 5,
    tail: ") AS v WHERE message.id = v.column1 AND fence = v.column2 AND +status = 1 \
           RETURNING message.id",
};
const FAIL_OVER: Bulk = Bulk {
    head: "UPDATE message SET attempt = attempt + 1, forgiven = forgiven + 1, \
             provider = v.column4, departed_at = v.column5 FROM (",
    columns: 5,
    tail: ") AS v WHERE message.id = v.column1 AND fence = v.column2 AND attempt = v.column3 \
           AND +status = 2 AND stopping = 0 RETURNING message.id",
};

pub(super) async fn depart(
    connection: &mut SqliteConnection,
    all: &[&Departure],
) -> sqlx::Result<Vec<Departed>> {
    let mut answers = vec![Departed::Withdrawn; all.len()];
    for mut round in rounds(all, |departure| departure.message.0) {
        for (place, _) in fail_over(connection, &mut round).await? {
            answers[place] = Departed::Left;
        }
        ledger::let_leave(connection, &mut round, &mut answers).await?;
        let rows = DEPART
            .fetch(connection, &round, |query, (_, departure)| {
                query
                    .bind(departure.message.0)
                    .bind(departure.fence.0)
                    .bind(shared(&departure.provider.0))
                    .bind(millis(departure.at))
                    .bind(departure.spend.is_some())
            })
            .await?;
        let departed = ids(&rows)?;
        for (place, _) in round.iter().filter(|(_, each)| departed.contains(&each.message.0)) {
            answers[*place] = Departed::Left;
        }
    }
    Ok(answers)
}

/// Takes those out of `round` that go from one provider to the next; answers who left.
async fn fail_over<'d>(
    connection: &mut SqliteConnection,
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
    let rows = FAIL_OVER
        .fetch(connection, &all, |query, (_, departure, failover)| {
            query
                .bind(departure.message.0)
                .bind(departure.fence.0)
                .bind(i64::from(failover.attempt.number))
                .bind(shared(&departure.provider.0))
                .bind(millis(departure.at))
        })
        .await?;
    let departed = ids(&rows)?;
    all.retain(|(_, departure, _)| departed.contains(&departure.message.0));
    let attempts: Vec<_> = all.iter().map(|(_, _, failover)| &failover.attempt).collect();
    plan::attempts(connection, &attempts).await?;
    let decisions: Vec<_> = all.iter().flat_map(|(_, _, failover)| &failover.decisions).collect();
    plan::decisions(connection, &decisions).await?;
    Ok(all.into_iter().map(|(place, departure, _)| (place, departure)).collect())
}
