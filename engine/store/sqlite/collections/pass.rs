use jiff::Timestamp;
use rusqlite::Connection;

use super::super::decode::millis;
use super::super::rows::{Statements, only};
use super::{named, time};
use crate::model::{Pass, Passage};
use crate::store::collection::{free_at, later};

/// Takes a place, or says when there will be one.
pub(super) fn take(connection: &Connection, pass: &Pass) -> rusqlite::Result<Passage> {
    let (run, step, item) = named(&pass.occasion);
    let known = "SELECT at FROM throttled WHERE run = ? AND step = ? AND item = ?";
    if let Some(known) = connection.maybe(known, (run, step, item), only)? {
        return Ok(passage(pass, time(known)?));
    }
    let begin = pass.at.saturating_sub(pass.window).unwrap_or(Timestamp::MIN);
    let old = "DELETE FROM throttled WHERE key = ? AND at <= ?";
    connection.run(old, (pass.key.as_slice(), millis(begin)))?;
    let last = "SELECT at FROM throttled WHERE key = ? ORDER BY at DESC LIMIT 1 OFFSET ?";
    let before = pass.limit.saturating_sub(1).cast_signed();
    let last = connection.maybe(last, (pass.key.as_slice(), before), only)?;
    let at = free_at(pass, last.map(time).transpose()?);
    if pass.limit > 0 && (at <= pass.at || pass.ahead) {
        let insert =
            "INSERT INTO throttled (run, step, item, key, at, until) VALUES (?, ?, ?, ?, ?, ?)";
        let until = millis(later(at, pass.window));
        connection.run(insert, (run, step, item, pass.key.as_slice(), millis(at), until))?;
    }
    Ok(passage(pass, at))
}

fn passage(pass: &Pass, at: Timestamp) -> Passage {
    if at <= pass.at { Passage::Free } else { Passage::From(at) }
}
