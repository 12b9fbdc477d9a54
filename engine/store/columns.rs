use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use sqlx::{Result, Row};
use uuid::Uuid;

/// A row's columns by their place, whichever database the row came from.
pub(super) trait Columns {
    fn text(&self, place: usize) -> Result<&str>;
    fn maybe_text(&self, place: usize) -> Result<Option<&str>>;
    fn number(&self, place: usize) -> Result<i64>;
    fn maybe_number(&self, place: usize) -> Result<Option<i64>>;
    fn id(&self, place: usize) -> Result<Uuid>;
    fn maybe_id(&self, place: usize) -> Result<Option<Uuid>>;
    fn truth(&self, place: usize) -> Result<bool>;
    fn bytes(&self, place: usize) -> Result<&[u8]>;
}

/// A column that holds what its table does not allow.
pub(super) fn unexpected(place: usize, found: &str) -> sqlx::Error {
    sqlx::Error::Decode(format!("column {place} holds {found}").into())
}

pub(super) fn unreadable<E: std::fmt::Display>(place: usize) -> impl Fn(E) -> sqlx::Error {
    move |error| sqlx::Error::Decode(format!("column {place}: {error}").into())
}

macro_rules! columns {
    ($($row:ty)+) => {$(
        impl Columns for $row {
            fn text(&self, place: usize) -> Result<&str> {
                self.try_get(place)
            }

            fn maybe_text(&self, place: usize) -> Result<Option<&str>> {
                self.try_get(place)
            }

            fn number(&self, place: usize) -> Result<i64> {
                self.try_get(place)
            }

            fn maybe_number(&self, place: usize) -> Result<Option<i64>> {
                self.try_get(place)
            }

            fn id(&self, place: usize) -> Result<Uuid> {
                self.try_get(place)
            }

            fn maybe_id(&self, place: usize) -> Result<Option<Uuid>> {
                self.try_get(place)
            }

            fn truth(&self, place: usize) -> Result<bool> {
                self.try_get(place)
            }

            fn bytes(&self, place: usize) -> Result<&[u8]> {
                self.try_get(place)
            }
        }
    )+};
}

columns!(PgRow SqliteRow);
