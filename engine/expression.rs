//! Conditions and values in workflow files: CEL, compiled once.
//!
//! The `cel` crate has no meter, so an expression is bounded by its shape: at most
//! [`MAX_NODES`] nodes, [`MAX_DEPTH`] deep, two nested comprehensions, lists of [`MAX_ITEMS`].
//! Nothing is copied for an evaluation: what an expression sees is read in place, by reference.
//! A missing field is an error unless the expression asks `has(…)`; RFC 3339 text is taken where
//! a timestamp is expected.

mod compile;
mod fault;
mod moment;
mod names;
mod object;
mod scope;
#[cfg(test)]
mod tests;
mod value;

use std::ops::Range;
use std::sync::Arc;

use cel::common::value::CowVal;
use cel::{Context, IdedExpr, Value};
use jiff::Timestamp;

pub use names::{Names, Reference};
pub use scope::Scope;

/// Nodes of one expression, those that macros add left out.
pub const MAX_NODES: usize = 1_000;
pub const MAX_DEPTH: usize = 32;
pub const MAX_COMPREHENSIONS: usize = 2;
/// Items of one list that an expression reads.
pub const MAX_ITEMS: usize = 10_000;
/// Bytes of one expression's text.
pub const MAX_TEXT: usize = 16 << 10;

/// A compiled expression. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Expression(Arc<Compiled>);

#[derive(Debug)]
struct Compiled {
    text: String,
    place: Arc<str>,
    tree: IdedExpr,
    references: Vec<Reference>,
    /// `true` and `false` are answered without asking anybody.
    constant: Option<bool>,
}

/// What is wrong with an expression's text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// `expression.syntax`, `.name`, `.field`, `.function`, `.size`, `.depth`, `.nesting`.
    pub code: &'static str,
    pub message: String,
    /// In bytes of the expression.
    pub span: Range<usize>,
    /// A name that is not known, and those that are: for a suggestion. Empty elsewhere.
    pub name: String,
    pub candidates: Vec<String>,
}

impl Problem {
    fn new(code: &'static str, message: String, span: Range<usize>) -> Self {
        Self { code, message, span, name: String::new(), candidates: Vec::new() }
    }
}

/// Why an evaluation gave no value. Holds no value of the data that it met.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ExpressionError {
    pub message: String,
    /// `path:line` of the expression.
    pub place: Arc<str>,
}

impl Expression {
    /// Compiles `text`, which may use `names` and stands at `place` (`path:line`).
    ///
    /// # Errors
    /// Every problem found, in the order of the text.
    pub fn compile(
        text: &str,
        place: impl Into<Arc<str>>,
        names: &[&str],
    ) -> Result<Self, Vec<Problem>> {
        compile::compile(text, place.into(), names).map(|compiled| Self(Arc::new(compiled)))
    }

    /// As written.
    pub fn text(&self) -> &str {
        &self.0.text
    }

    /// `path:line`, as decisions name their rule.
    pub fn place(&self) -> &Arc<str> {
        &self.0.place
    }

    /// The paths under the known names that it reads (`event.data.x`).
    pub fn references(&self) -> &[Reference] {
        &self.0.references
    }

    /// # Errors
    /// A missing field, an operation on the wrong types, or a value that is no boolean.
    pub fn evaluate_bool(&self, scope: &Scope<'_>) -> Result<bool, ExpressionError> {
        match self.0.constant {
            Some(constant) => Ok(constant),
            None => self.evaluate(scope, value::to_bool),
        }
    }

    /// Text; an integer is its decimal text, so that ids may be either.
    ///
    /// # Errors
    /// As [`Self::evaluate_bool`].
    pub fn evaluate_text(&self, scope: &Scope<'_>) -> Result<String, ExpressionError> {
        self.evaluate(scope, value::to_text)
    }

    /// A timestamp, or RFC 3339 text. Text without an offset is local time in the recipient's
    /// zone (UTC where there is none).
    ///
    /// # Errors
    /// As [`Self::evaluate_bool`].
    pub fn evaluate_time(&self, scope: &Scope<'_>) -> Result<Timestamp, ExpressionError> {
        self.evaluate(scope, |found| moment::to_timestamp(found, scope.zone()))
    }

    /// # Errors
    /// As [`Self::evaluate_bool`]; bytes and types have no JSON.
    pub fn evaluate_value(&self, scope: &Scope<'_>) -> Result<serde_json::Value, ExpressionError> {
        self.evaluate(scope, value::to_json)
    }

    fn evaluate<T>(
        &self,
        scope: &Scope<'_>,
        read: impl FnOnce(&CowVal<'_, '_>) -> Result<T, String>,
    ) -> Result<T, ExpressionError> {
        let mut context = Context::with_env(compile::environment());
        context.set_variable_resolver(scope);
        Value::resolve_val(&self.0.tree, &context)
            .map_err(fault::explain)
            .and_then(|found| read(&found))
            .map_err(|message| ExpressionError { message, place: Arc::clone(&self.0.place) })
    }
}

/// Two expressions are the same where their text and their place are.
impl PartialEq for Expression {
    fn eq(&self, other: &Self) -> bool {
        self.0.text == other.0.text && self.0.place == other.0.place
    }
}
