//! Coded errors about users' files: where, what, and what to do.
//!
//! A file is read to its end and every problem is reported, not the first. [`Source`] is a file's
//! text with its lines; [`Document`] is a YAML file in which every value knows its place.

mod document;
mod format;
mod source;
mod suggest;

pub use document::{Document, Kind, Node, Scalar, Style};
pub use format::{Format, render, render_all};
pub use source::Source;
pub use suggest::did_you_mean;

use std::ops::Range;
use std::sync::Arc;

/// One problem of one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Stable: what the reference lists.
    pub code: &'static str,
    pub severity: Severity,
    /// Lower case, no full stop, names in backticks.
    pub message: String,
    /// As the user would write it, with forward slashes.
    pub path: Arc<str>,
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// In bytes of the file. Empty: a point.
    pub span: Range<usize>,
    /// The line in question, for the caret.
    pub excerpt: String,
    pub hint: Option<String>,
}

/// A set with an error is refused whole; warnings let it pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    Error,
    Warning,
}

impl Diagnostic {
    pub fn error(
        source: &Source,
        code: &'static str,
        span: Range<usize>,
        message: impl Into<String>,
    ) -> Self {
        let (line, column) = source.position(span.start);
        Self {
            code,
            severity: Severity::Error,
            message: message.into(),
            path: source.path_shared(),
            line,
            column,
            excerpt: source.line(line).to_owned(),
            span,
            hint: None,
        }
    }

    pub fn warning(
        source: &Source,
        code: &'static str,
        span: Range<usize>,
        message: impl Into<String>,
    ) -> Self {
        Self { severity: Severity::Warning, ..Self::error(source, code, span, message) }
    }

    /// About a file as a whole, or one that cannot be read.
    pub fn of_file(code: &'static str, path: &str, message: impl Into<String>) -> Self {
        Self::error(&Source::new(path, ""), code, 0..0, message)
    }

    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// "did you mean" where one of `candidates` is near to `name`.
    #[must_use]
    pub fn suggest<'a>(self, name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Self {
        match did_you_mean(name, candidates) {
            Some(near) => self.hint(format!("did you mean `{near}`?")),
            None => self,
        }
    }

    /// As machines read it: code, severity, message, path, line, column, span (bytes), hint.
    pub fn to_json(&self) -> serde_json::Value {
        serde_json::json!({
            "code": self.code,
            "severity": self.severity,
            "message": self.message,
            "path": &*self.path,
            "line": self.line,
            "column": self.column,
            "span": [self.span.start, self.span.end],
            "hint": self.hint,
        })
    }

    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

/// Puts diagnostics in the order in which a reader meets them, each once.
pub fn sort(diagnostics: &mut Vec<Diagnostic>) {
    diagnostics.sort_by(|a, b| {
        (&a.path, a.line, a.column, a.code, &a.message)
            .cmp(&(&b.path, b.line, b.column, b.code, &b.message))
    });
    diagnostics.dedup();
}
