//! Statements of the connection that writes, and the rows that they return.

use std::error::Error;
use std::ops::Range;

use rusqlite::types::{Type, ValueRef};
use rusqlite::{Connection, OptionalExtension, Params, Result};
use uuid::Uuid;

use crate::store::columns::{self, Columns};

/// Statements by their text, each prepared once.
pub(super) trait Statements {
    /// Answers how many rows were changed.
    fn run(&self, sql: &str, values: impl Params) -> Result<usize>;

    /// Every row that is returned.
    fn all<T>(
        &self,
        sql: &str,
        values: impl Params,
        read: impl FnMut(&rusqlite::Row<'_>) -> Result<T>,
    ) -> Result<Vec<T>>;

    /// The first row, if any is returned.
    fn maybe<T>(
        &self,
        sql: &str,
        values: impl Params,
        read: impl FnOnce(&rusqlite::Row<'_>) -> Result<T>,
    ) -> Result<Option<T>>;

    /// The first row of a statement that always returns one.
    fn one<T>(
        &self,
        sql: &str,
        values: impl Params,
        read: impl FnOnce(&rusqlite::Row<'_>) -> Result<T>,
    ) -> Result<T>;
}

impl Statements for Connection {
    fn run(&self, sql: &str, values: impl Params) -> Result<usize> {
        self.prepare_cached(sql)?.execute(values)
    }

    fn all<T>(
        &self,
        sql: &str,
        values: impl Params,
        read: impl FnMut(&rusqlite::Row<'_>) -> Result<T>,
    ) -> Result<Vec<T>> {
        self.prepare_cached(sql)?.query_map(values, read)?.collect()
    }

    fn maybe<T>(
        &self,
        sql: &str,
        values: impl Params,
        read: impl FnOnce(&rusqlite::Row<'_>) -> Result<T>,
    ) -> Result<Option<T>> {
        self.one(sql, values, read).optional()
    }

    fn one<T>(
        &self,
        sql: &str,
        values: impl Params,
        read: impl FnOnce(&rusqlite::Row<'_>) -> Result<T>,
    ) -> Result<T> {
        self.prepare_cached(sql)?.query_row(values, read)
    }
}

/// Reads a row of one column.
pub(super) fn only<T: rusqlite::types::FromSql>(row: &rusqlite::Row<'_>) -> Result<T> {
    row.get(0)
}

/// What is no value for a column, or no noun in a row, fails its transaction.
pub(super) fn unfit(error: impl Into<Box<dyn Error + Send + Sync>>) -> rusqlite::Error {
    rusqlite::Error::ToSqlConversionFailure(error.into())
}

/// A row that left the connection: its numbers, and its texts and blobs in one piece, so that
/// whoever asked for it can read it on a thread that nobody waits for.
pub(super) struct Row {
    cells: Box<[Cell]>,
    bytes: Vec<u8>,
}

enum Cell {
    Null,
    Number(i64),
    Bytes(Range<usize>),
}

impl Row {
    pub fn read(row: &rusqlite::Row<'_>) -> Result<Self> {
        let columns = row.as_ref().column_count();
        let mut bytes = Vec::with_capacity(512);
        let mut cells = Vec::with_capacity(columns);
        for place in 0..columns {
            cells.push(match row.get_ref(place)? {
                ValueRef::Null => Cell::Null,
                ValueRef::Integer(number) => Cell::Number(number),
                ValueRef::Text(read) | ValueRef::Blob(read) => {
                    let begin = bytes.len();
                    bytes.extend_from_slice(read);
                    Cell::Bytes(begin..bytes.len())
                }
                ValueRef::Real(_) => {
                    return Err(rusqlite::Error::InvalidColumnType(
                        place,
                        String::new(),
                        Type::Real,
                    ));
                }
            });
        }
        Ok(Self { cells: cells.into(), bytes })
    }

    fn cell(&self, place: usize) -> sqlx::Result<&Cell> {
        let columns = self.cells.len();
        self.cells
            .get(place)
            .ok_or(sqlx::Error::ColumnIndexOutOfBounds { index: place, len: columns })
    }

    fn maybe_bytes(&self, place: usize) -> sqlx::Result<Option<&[u8]>> {
        match self.cell(place)? {
            Cell::Null => Ok(None),
            Cell::Bytes(range) => Ok(self.bytes.get(range.clone())),
            Cell::Number(_) => Err(columns::unexpected(place, "a number")),
        }
    }
}

impl Columns for Row {
    fn text(&self, place: usize) -> sqlx::Result<&str> {
        self.maybe_text(place)?.ok_or_else(|| columns::unexpected(place, "nothing"))
    }

    fn maybe_text(&self, place: usize) -> sqlx::Result<Option<&str>> {
        let bytes = self.maybe_bytes(place)?;
        bytes.map(std::str::from_utf8).transpose().map_err(columns::unreadable(place))
    }

    fn number(&self, place: usize) -> sqlx::Result<i64> {
        self.maybe_number(place)?.ok_or_else(|| columns::unexpected(place, "nothing"))
    }

    fn maybe_number(&self, place: usize) -> sqlx::Result<Option<i64>> {
        match self.cell(place)? {
            Cell::Null => Ok(None),
            Cell::Number(number) => Ok(Some(*number)),
            Cell::Bytes(_) => Err(columns::unexpected(place, "a text")),
        }
    }

    fn id(&self, place: usize) -> sqlx::Result<Uuid> {
        self.maybe_id(place)?.ok_or_else(|| columns::unexpected(place, "nothing"))
    }

    fn maybe_id(&self, place: usize) -> sqlx::Result<Option<Uuid>> {
        let bytes = self.maybe_bytes(place)?;
        bytes.map(Uuid::from_slice).transpose().map_err(columns::unreadable(place))
    }

    fn truth(&self, place: usize) -> sqlx::Result<bool> {
        Ok(self.number(place)? != 0)
    }

    fn bytes(&self, place: usize) -> sqlx::Result<&[u8]> {
        self.maybe_bytes(place)?.ok_or_else(|| columns::unexpected(place, "nothing"))
    }
}
