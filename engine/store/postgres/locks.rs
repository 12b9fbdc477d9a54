//! Locks on what has no row to be locked: names that are waited for, keys that no collection is
//! open for yet.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};
use sqlx::PgConnection;

/// A server has room for a few thousand of these locks in all: names share slots, and one
/// transaction takes no more than there are.
const SLOTS: u64 = 1024;

/// What is locked.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    EventName = 1,
    EventGlob,
    Collection,
    Throttle,
    /// A user's budget.
    Spending,
    /// A dedupe key.
    Sent,
    Gather,
    Devices,
    DeviceToken,
}

/// Locks that a transaction takes all at once, before it writes, and holds until its end. They are
/// taken in one order on every node, so that no two transactions wait for each other.
#[derive(Default)]
pub(super) struct Locks(BTreeMap<i64, bool>);

impl Locks {
    /// Others may have it too, as long as nobody has it alone.
    pub fn shared(&mut self, kind: Kind, name: &[&[u8]]) {
        self.0.entry(slot(kind, name)).or_insert(false);
    }

    pub fn alone(&mut self, kind: Kind, name: &[&[u8]]) {
        self.0.insert(slot(kind, name), true);
    }

    pub async fn take(self, connection: &mut PgConnection) -> sqlx::Result<()> {
        if self.0.is_empty() {
            return Ok(());
        }
        let (slots, alone): (Vec<i64>, Vec<bool>) = self.0.into_iter().unzip();
        sqlx::query(
            "SELECT CASE WHEN alone THEN pg_advisory_xact_lock(slot)
               ELSE pg_advisory_xact_lock_shared(slot) END
             FROM unnest($1::bigint[], $2::boolean[]) AS asked (slot, alone)",
        )
        .bind(slots)
        .bind(alone)
        .execute(connection)
        .await?;
        Ok(())
    }
}

/// The same on every node and in every version: nodes of two versions work side by side.
fn slot(kind: Kind, name: &[&[u8]]) -> i64 {
    let mut hash = Sha256::new();
    for part in name {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    let digest: [u8; 32] = hash.finalize().into();
    let first = digest.iter().take(8).fold(0, |sum, byte| sum << 8 | u64::from(*byte));
    (kind as i64) << 32 | (first % SLOTS).cast_signed()
}
