use std::collections::HashMap;

use rusqlite::Connection;

use super::rows::Statements;
use crate::model::UserId;

/// Heads kept in memory; past this the map is emptied and read anew.
const KEPT: usize = 100_000;

/// The last `seq` of each user's stream, kept by the one writer so that a new entry costs no
/// query. The rows are the truth: after a rollback everything is forgotten and read again.
#[derive(Default)]
pub(super) struct Streams {
    heads: HashMap<UserId, u64>,
    /// Whether any run waits for anything; `None`: to be looked up.
    pub waits: Option<bool>,
}

impl Streams {
    /// Makes sure that the heads of `users` are known.
    pub fn load<'u>(
        &mut self,
        connection: &Connection,
        users: impl Iterator<Item = &'u UserId>,
    ) -> rusqlite::Result<()> {
        let mut missing: Vec<&str> = users
            .filter(|user| !self.heads.contains_key(user.as_str()))
            .map(UserId::as_str)
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        missing.sort_unstable();
        missing.dedup();
        if self.heads.len() + missing.len() > KEPT {
            self.heads.clear();
        }
        let ids = serde_json::Value::from(missing).to_string();
        let rows: Vec<(String, i64)> = connection.all(
            "SELECT value, max(
               coalesce((SELECT head FROM stream WHERE name = 'user:' || value), 0),
               coalesce((SELECT max(seq) FROM inbox WHERE user = value), 0),
               coalesce((SELECT max(seq) FROM frame WHERE user = value), 0))
             FROM json_each(?)",
            [ids],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )?;
        for (user, head) in rows {
            self.heads.insert(UserId::from(user), u64::try_from(head).unwrap_or_default());
        }
        Ok(())
    }

    /// The next place in the user's stream, whose head was loaded.
    pub fn next(&mut self, user: &UserId) -> u64 {
        let head = match self.heads.get_mut(user.as_str()) {
            Some(head) => head,
            None => self.heads.entry(user.clone()).or_default(),
        };
        *head += 1;
        *head
    }

    pub fn forget(&mut self) {
        self.heads.clear();
    }
}
