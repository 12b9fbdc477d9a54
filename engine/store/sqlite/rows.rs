//! Statements over many rows at once.
//!
//! Rows go in chunks of a few sizes, so that a handful of prepared statements serves every number
//! of rows.

use sqlx::query::Query;
use sqlx::sqlite::{SqliteArguments, SqliteConnection, SqliteRow};
use sqlx::{AssertSqlSafe, Sqlite};

pub(super) type Bound<'q> = Query<'q, Sqlite, SqliteArguments>;

/// Rows of one statement. A statement costs as much as a few rows do, whatever it writes; the
/// largest is below SQLite's 32,766 variables for 40 columns.
const SIZES: [usize; 14] = [128, 96, 64, 48, 32, 24, 16, 12, 8, 6, 4, 3, 2, 1];

/// `head VALUES (?,…),(?,…) tail`, for rows of `columns` values.
#[derive(Clone, Copy)]
pub(super) struct Bulk {
    pub head: &'static str,
    pub columns: usize,
    pub tail: &'static str,
}

impl Bulk {
    /// Writes all rows; answers how many the statement changed.
    pub async fn execute<'r, T>(
        self,
        connection: &mut SqliteConnection,
        rows: &'r [T],
        bind: impl Fn(Bound<'r>, &'r T) -> Bound<'r>,
    ) -> sqlx::Result<u64> {
        let mut changed = 0;
        for chunk in chunks(rows) {
            let query = chunk.iter().fold(self.query(chunk.len()), &bind);
            changed += query.execute(&mut *connection).await?.rows_affected();
        }
        Ok(changed)
    }

    /// Writes all rows and answers what the statement returns.
    pub async fn fetch<'r, T>(
        self,
        connection: &mut SqliteConnection,
        rows: &'r [T],
        bind: impl Fn(Bound<'r>, &'r T) -> Bound<'r>,
    ) -> sqlx::Result<Vec<SqliteRow>> {
        let mut fetched = Vec::new();
        for chunk in chunks(rows) {
            let query = chunk.iter().fold(self.query(chunk.len()), &bind);
            fetched.append(&mut query.fetch_all(&mut *connection).await?);
        }
        Ok(fetched)
    }

    fn query<'q>(self, rows: usize) -> Bound<'q> {
        let row_width = 2 * self.columns + 2;
        let mut sql =
            String::with_capacity(self.head.len() + self.tail.len() + 8 + rows * row_width);
        sql.push_str(self.head);
        sql.push_str(" VALUES ");
        for row in 0..rows {
            sql.push_str(if row == 0 { "(?" } else { ",(?" });
            for _ in 1..self.columns {
                sql.push_str(",?");
            }
            sql.push(')');
        }
        sql.push_str(self.tail);
        sqlx::query(AssertSqlSafe(sql))
    }
}

fn chunks<T>(mut rows: &[T]) -> impl Iterator<Item = &[T]> {
    std::iter::from_fn(move || {
        let size = SIZES.iter().find(|size| **size <= rows.len())?;
        let (chunk, rest) = rows.split_at(*size);
        rows = rest;
        Some(chunk)
    })
}

#[cfg(test)]
mod tests {
    use super::{SIZES, chunks};

    #[test]
    fn chunks_have_few_sizes_and_lose_nothing() {
        for count in 0..700 {
            let rows: Vec<usize> = (0..count).collect();
            let joined: Vec<usize> = chunks(&rows).flatten().copied().collect();
            assert_eq!(joined, rows);
            assert!(chunks(&rows).all(|chunk| SIZES.contains(&chunk.len())));
        }
    }
}
