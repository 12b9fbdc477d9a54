use std::fmt::Write;

use super::{Diagnostic, Severity};

/// How diagnostics are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// For people; with ANSI colours where asked.
    Text { colour: bool },
    /// An array of objects.
    Json,
    /// Workflow commands of GitHub Actions, which annotate the lines of a change.
    Github,
}

/// All of them, in the order given. Text ends in a line break unless there is nothing to say.
pub fn render_all(diagnostics: &[Diagnostic], format: Format) -> String {
    match format {
        Format::Json => {
            let rows: Vec<_> = diagnostics.iter().map(Diagnostic::to_json).collect();
            format!("{:#}\n", serde_json::Value::from(rows))
        }
        Format::Text { colour } => {
            let texts: Vec<_> = diagnostics.iter().map(|one| render(one, colour)).collect();
            texts.join("\n")
        }
        Format::Github => diagnostics.iter().map(github).collect(),
    }
}

/// One of them for people: code, message, path:line:column, the line with a caret, the hint.
pub fn render(diagnostic: &Diagnostic, colour: bool) -> String {
    let (red, blue, bold, reset) = match (colour, diagnostic.severity) {
        (false, _) => ("", "", "", ""),
        (true, Severity::Error) => ("\x1b[1;31m", "\x1b[1;34m", "\x1b[1m", "\x1b[0m"),
        (true, Severity::Warning) => ("\x1b[1;33m", "\x1b[1;34m", "\x1b[1m", "\x1b[0m"),
    };
    let Diagnostic { code, message, path, line, column, excerpt, .. } = diagnostic;
    let number = line.to_string();
    let gutter = " ".repeat(number.len());
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ =
        writeln!(out, "{red}{}[{code}]{reset}{bold}: {message}{reset}", word(diagnostic.severity));
    let _ = writeln!(out, "{gutter}{blue}-->{reset} {path}:{line}:{column}");
    if !excerpt.is_empty() {
        let (shown, before, marked) = crop(excerpt, *column, width(diagnostic));
        let _ = writeln!(out, "{gutter} {blue}|{reset}");
        let _ = writeln!(out, "{blue}{number} |{reset} {shown}");
        let caret = "^".repeat(marked);
        let _ = writeln!(out, "{gutter} {blue}|{reset} {before}{red}{caret}{reset}");
    }
    if let Some(hint) = &diagnostic.hint {
        let _ = writeln!(out, "{gutter} {blue}={reset} {bold}hint{reset}: {hint}");
    }
    out
}

fn github(diagnostic: &Diagnostic) -> String {
    let Diagnostic { code, message, path, line, column, .. } = diagnostic;
    let hint = diagnostic.hint.as_deref().map(|hint| format!("\n{hint}")).unwrap_or_default();
    format!(
        "::{} file={},line={line},col={column},title={}::{}\n",
        word(diagnostic.severity),
        escape(path, true),
        escape(code, true),
        escape(&format!("{message}{hint}"), false),
    )
}

/// The runner ends a command at a line break, and a property also at `:` and `,`.
fn escape(text: &str, property: bool) -> String {
    let text = text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A");
    if property { text.replace(':', "%3A").replace(',', "%2C") } else { text }
}

fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    }
}

/// How many characters to mark: the span's part on its first line, at least one.
fn width(diagnostic: &Diagnostic) -> usize {
    let rest: String = diagnostic.excerpt.chars().skip(diagnostic.column - 1).collect();
    let marked = rest.get(..diagnostic.span.len()).unwrap_or(rest.trim_end());
    marked.chars().count().max(1)
}

/// Long lines are cut around the caret; tabs and control characters become one space each, so
/// that the caret stands under what it means.
fn crop(line: &str, column: usize, marked: usize) -> (String, String, usize) {
    const BEFORE: usize = 60;
    const SHOWN: usize = 110;
    let skipped = (column - 1).saturating_sub(BEFORE);
    let shown: String = line
        .chars()
        .skip(skipped)
        .take(SHOWN)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    let before = column - 1 - skipped;
    let marked = marked.min(shown.chars().count().saturating_sub(before)).max(1);
    (shown, " ".repeat(before), marked)
}
