//! Who may leave, asked and kept for many departures at once.

use std::collections::HashMap;

use jiff::Timestamp;
use sqlx::PgConnection;
use uuid::Uuid;

use super::super::decode::millis;
use super::super::rows::each;
use super::{CLEARED, DAY, HOUR, before};
use crate::store::rounds::Round;
use crate::store::{Departed, Departure};

/// Takes out of `round` what may not leave, and keeps what the others spend.
///
/// What is asked about is behind the locks of the tick, so what is read here stays so until the
/// commit; those of one round are asked one after the other.
pub(in super::super) async fn let_leave(
    connection: &mut PgConnection,
    round: &mut Round<'_, Departure>,
    answers: &mut [Departed],
) -> sqlx::Result<()> {
    let asking: Vec<_> = round.iter().copied().filter(|(_, each)| asks(each)).collect();
    if asking.is_empty() {
        return Ok(());
    }
    let departures: Vec<&Departure> = asking.iter().map(|(_, departure)| *departure).collect();
    let mut known = Known::read(connection, &departures).await?;
    let mut leaving = Vec::new();
    for (place, departure) in asking {
        match known.ask(departure) {
            Departed::Left => {
                known.keep(departure);
                leaving.push(departure);
            }
            no => {
                answers[place] = no;
                round.retain(|(kept, _)| *kept != place);
            }
        }
    }
    keep_sent(connection, &leaving).await?;
    keep_spending(connection, &leaving).await
}

fn asks(departure: &Departure) -> bool {
    departure.once.is_some() || limited(departure)
}

fn limited(departure: &Departure) -> bool {
    departure.spend.as_ref().is_some_and(|spend| spend.limits.bind())
}

/// What decides about a round.
struct Known {
    /// Attempts of those whose lease holds.
    leased: HashMap<Uuid, i64>,
    /// By dedupe key: when it was last sent, and as which message.
    sent: HashMap<Vec<u8>, (i64, Uuid)>,
    /// By user: when what was spent left, and as which message.
    spent: HashMap<String, Vec<(i64, Uuid)>>,
}

impl Known {
    async fn read(connection: &mut PgConnection, all: &[&Departure]) -> sqlx::Result<Self> {
        let leased: Vec<(Uuid, i64)> = sqlx::query_as(
            "SELECT message.id, attempt FROM message
               JOIN unnest($1::uuid[], $2::bigint[]) AS asked (id, fence) ON message.id = asked.id
             WHERE message.fence = asked.fence AND status = 1",
        )
        .bind(each(all, |departure| departure.message.0))
        .bind(each(all, |departure| departure.fence.0))
        .fetch_all(&mut *connection)
        .await?;
        let keys: Vec<Vec<u8>> =
            all.iter().filter_map(|each| Some(each.once.as_ref()?.key.to_vec())).collect();
        let mut sent = HashMap::new();
        if !keys.is_empty() {
            let rows: Vec<(Vec<u8>, i64, Uuid)> =
                sqlx::query_as("SELECT key, at, message FROM sent WHERE key = ANY($1)")
                    .bind(keys)
                    .fetch_all(&mut *connection)
                    .await?;
            sent.extend(rows.into_iter().map(|(key, at, message)| (key, (at, message))));
        }
        let limited: Vec<&&Departure> = all.iter().filter(|each| limited(each)).collect();
        let users: Vec<&str> =
            limited.iter().filter_map(|each| Some(each.spend.as_ref()?.user.as_str())).collect();
        let mut spent: HashMap<String, Vec<(i64, Uuid)>> = HashMap::new();
        if let Some(first) = limited.iter().map(|each| each.at).min() {
            let rows: Vec<(String, i64, Uuid)> = sqlx::query_as(
                "SELECT user_id, at, message FROM spending WHERE user_id = ANY($1) AND at > $2",
            )
            .bind(users)
            .bind(millis(before(first, DAY)))
            .fetch_all(connection)
            .await?;
            for (user, at, message) in rows {
                spent.entry(user).or_default().push((at, message));
            }
        }
        Ok(Self { leased: leased.into_iter().collect(), sent, spent })
    }

    fn ask(&self, departure: &Departure) -> Departed {
        let message = departure.message.0;
        let Some(attempts) = self.leased.get(&message) else { return Departed::Withdrawn };
        if let Some(once) = departure.once.as_ref().filter(|_| *attempts == 0)
            && let Some((at, by)) = self.sent.get(once.key.as_slice())
            && *at > millis(once.since)
            && *by != message
        {
            return Departed::Duplicate;
        }
        let Some(spend) = departure.spend.as_ref().filter(|spend| spend.binding) else {
            return Departed::Left;
        };
        let spent = self.spent.get(spend.user.as_str()).map_or(&[][..], Vec::as_slice);
        for (most, window) in [(spend.limits.max_per_hour, HOUR), (spend.limits.max_per_day, DAY)] {
            let Some(most) = most else { continue };
            let since = millis(before(departure.at, window));
            if spent.iter().filter(|(at, _)| *at > since).count() as u64 >= u64::from(most) {
                return Departed::OverBudget;
            }
        }
        Departed::Left
    }

    /// For those that are asked after it.
    fn keep(&mut self, departure: &Departure) {
        let (message, at) = (departure.message.0, millis(departure.at));
        if let Some(once) = &departure.once {
            self.sent.insert(once.key.to_vec(), (at, message));
        }
        if let Some(spend) = departure.spend.as_ref().filter(|spend| spend.limits.bind()) {
            let spent = self.spent.entry(spend.user.as_str().to_owned()).or_default();
            if spent.iter().all(|(_, by)| *by != message) {
                spent.push((at, message));
            }
        }
    }
}

async fn keep_sent(connection: &mut PgConnection, all: &[&Departure]) -> sqlx::Result<()> {
    // Of a key's departures the last one holds it.
    let last: HashMap<&[u8], &Departure> =
        all.iter().filter_map(|each| Some((each.once.as_ref()?.key.as_slice(), *each))).collect();
    let Some(now) = last.values().map(|departure| departure.at).max() else { return Ok(()) };
    sqlx::query(
        "DELETE FROM sent WHERE key = ANY(ARRAY(
           SELECT key FROM sent WHERE until <= $1 LIMIT $2 FOR UPDATE SKIP LOCKED))",
    )
    .bind(millis(now))
    .bind(CLEARED)
    .execute(&mut *connection)
    .await?;
    let rows: Vec<(&[u8], Timestamp, Timestamp, Uuid)> = last
        .into_iter()
        .filter_map(|(key, each)| Some((key, each.at, each.once.as_ref()?.until, each.message.0)))
        .collect();
    sqlx::query(
        "INSERT INTO sent (key, at, until, message)
         SELECT * FROM unnest($1::bytea[], $2::bigint[], $3::bigint[], $4::uuid[])
         ON CONFLICT (key) DO UPDATE
           SET at = excluded.at, until = excluded.until, message = excluded.message",
    )
    .bind(each(&rows, |(key, ..)| *key))
    .bind(each(&rows, |(_, at, ..)| millis(*at)))
    .bind(each(&rows, |(_, _, until, _)| millis(*until)))
    .bind(each(&rows, |(.., message)| *message))
    .execute(connection)
    .await?;
    Ok(())
}

async fn keep_spending(connection: &mut PgConnection, all: &[&Departure]) -> sqlx::Result<()> {
    let rows: Vec<(&str, Timestamp, Uuid)> = all
        .iter()
        .filter(|each| limited(each))
        .filter_map(|each| Some((each.spend.as_ref()?.user.as_str(), each.at, each.message.0)))
        .collect();
    let Some(last) = rows.iter().map(|(_, at, _)| *at).max() else { return Ok(()) };
    sqlx::query("DELETE FROM spending WHERE user_id = ANY($1) AND at <= $2")
        .bind(each(&rows, |(user, ..)| *user))
        .bind(millis(before(last, DAY)))
        .execute(&mut *connection)
        .await?;
    sqlx::query(
        "INSERT INTO spending (user_id, at, message)
         SELECT v.user_id, v.at, v.message
           FROM unnest($1::text[], $2::bigint[], $3::uuid[]) AS v (user_id, at, message)
           WHERE NOT EXISTS (SELECT 1 FROM spending
             WHERE spending.user_id = v.user_id AND spending.message = v.message)",
    )
    .bind(each(&rows, |(user, ..)| *user))
    .bind(each(&rows, |(_, at, _)| millis(*at)))
    .bind(each(&rows, |(.., message)| *message))
    .execute(connection)
    .await?;
    Ok(())
}
