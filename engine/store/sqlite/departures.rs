//! From a lease to a provider, and from one provider to the next.

use rusqlite::Connection;

use super::decode::millis;
use super::rows::Statements;
use super::{ledger, plan};
use crate::store::{Departed, Departure, Failover};

const DEPART: &str = "UPDATE message SET status = 2, attempt = attempt + 1, provider = ?3, \
     departed_at = ?4, spent_at = coalesce(spent_at, CASE WHEN ?5 THEN ?4 END) \
     WHERE id = ?1 AND fence = ?2 AND status = 1";
const FAIL_OVER: &str = "UPDATE message SET attempt = attempt + 1, forgiven = forgiven + 1, \
     provider = ?4, departed_at = ?5 \
     WHERE id = ?1 AND fence = ?2 AND attempt = ?3 AND status = 2 AND stopping = 0";

pub(super) fn depart(
    connection: &Connection,
    all: &[&Departure],
) -> rusqlite::Result<Vec<Departed>> {
    let departed = all.iter().map(|departure| match &departure.failover {
        Some(failover) => fail_over(connection, departure, failover),
        None => depart_first(connection, departure),
    });
    departed.collect()
}

fn depart_first(connection: &Connection, departure: &Departure) -> rusqlite::Result<Departed> {
    let may = ledger::let_leave(connection, departure)?;
    if may != Departed::Left {
        return Ok(may);
    }
    let values = (
        departure.message.0,
        departure.fence.0,
        &*departure.provider.0,
        millis(departure.at),
        departure.spend.is_some(),
    );
    Ok(left(connection.run(DEPART, values)?))
}

fn fail_over(
    connection: &Connection,
    departure: &Departure,
    failover: &Failover,
) -> rusqlite::Result<Departed> {
    let values = (
        departure.message.0,
        departure.fence.0,
        failover.attempt.number,
        &*departure.provider.0,
        millis(departure.at),
    );
    let departed = left(connection.run(FAIL_OVER, values)?);
    if departed == Departed::Left {
        plan::attempts(connection, [&failover.attempt])?;
        plan::decisions(connection, &failover.decisions)?;
    }
    Ok(departed)
}

fn left(rows: usize) -> Departed {
    if rows > 0 { Departed::Left } else { Departed::Withdrawn }
}
