//! What a template is shown with.

use std::path::Path;

use serde_json::{Map, Value};

use crate::clock::Clock;
use crate::diagnostic::{Diagnostic, Source};

/// Bytes of one sample.
const MAX_BYTES: u64 = 1 << 20;

/// The names of a context: `event`, `recipient`, `run` … `shown` is the path as the user reads it.
pub(super) fn read(file: &Path, shown: &str) -> Result<Value, Box<Diagnostic>> {
    let problem = |code, message: String| Box::new(Diagnostic::of_file(code, shown, message));
    let large = std::fs::metadata(file).is_ok_and(|found| found.len() > MAX_BYTES);
    if large {
        return Err(problem("sample.size", format!("the file is larger than {MAX_BYTES} bytes")));
    }
    let text = std::fs::read_to_string(file).map_err(|error| {
        let told = problem("sample.missing", format!("the sample cannot be read: {error}"));
        Box::new(told.hint("write what the template sees into it, or name another with `--data`"))
    })?;
    let source = Source::new(shown, text);
    match serde_json::from_str(source.text()) {
        Ok(names @ Value::Object(_)) => Ok(names),
        Ok(_) => {
            let message = "a sample is an object with `event`, `recipient` and what else is read";
            Err(Box::new(Diagnostic::error(&source, "sample.shape", 0..0, message)))
        }
        Err(error) => {
            let at = source.offset(error.line(), error.column());
            let message = format!("not well formed: {error}");
            Err(Box::new(Diagnostic::error(&source, "sample.syntax", at..at, message)))
        }
    }
}

/// What every message has, where the sample leaves it out.
pub(super) fn complete(names: &mut Value, clock: &Clock) {
    let Some(names) = names.as_object_mut() else {
        return;
    };
    for name in ["event", "recipient", "run", "vars", "steps"] {
        names.entry(name).or_insert_with(|| Map::new().into());
    }
    let at = names["event"].get("at").cloned();
    names.entry("now").or_insert_with(|| at.unwrap_or_else(|| clock.now().to_string().into()));
}
