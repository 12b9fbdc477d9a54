//! The reference's tables, as Markdown.

use std::fmt::Write;

use super::{ARM, Construct, Field, Kind, MESSAGE, RECIPIENT, STEP, STEPS, WORKFLOW};

/// What the head of a file may say.
pub fn header() -> String {
    let mut out = table(WORKFLOW.fields);
    let _ =
        writeln!(out, "\nA recipient: {}\n\n{}", lower(RECIPIENT.about), table(RECIPIENT.fields));
    out.truncate(out.trim_end().len());
    out.push('\n');
    out
}

/// Every step with its fields.
pub fn steps() -> String {
    let mut out = format!("Every step may say:\n\n{}", table(STEP.fields));
    for step in &STEPS {
        // Writing to a String cannot fail.
        let _ = writeln!(out, "\n### {}\n\n{}", step.name, step.about);
        if !step.fields.is_empty() {
            let _ = write!(out, "\n{}", table(step.fields));
        }
        for inner in inner(step) {
            let _ = write!(out, "\n{}:\n\n{}", sentence(inner.noun), table(inner.fields));
        }
    }
    out
}

fn table(fields: &[Field]) -> String {
    let mut out = "| field | value | default | |\n| --- | --- | --- | --- |\n".to_owned();
    for Field { name, kind, required, default, about } in fields {
        let default = if *required { "required" } else { default };
        let _ = writeln!(out, "| `{name}` | {} | {default} | {about} |", words(*kind));
    }
    out
}

/// The maps of a step that have a table of their own.
fn inner(step: &Construct) -> Vec<&'static Construct> {
    match step.name {
        "wait_for" => vec![&MESSAGE],
        "branch" => vec![&ARM],
        _ => Vec::new(),
    }
}

fn words(kind: Kind) -> String {
    match kind {
        Kind::Text => "text".into(),
        Kind::Flag => "`true` or `false`".into(),
        Kind::Yes => "`true`, or nothing".into(),
        Kind::Count => "a whole number from 1".into(),
        Kind::Duration => "duration".into(),
        Kind::Expression => "expression".into(),
        Kind::Expressions => "names with expressions".into(),
        Kind::Switches => "channels with `true` or `false`".into(),
        Kind::Cron => "cron".into(),
        Kind::Zone => "IANA time zone".into(),
        Kind::Event => "event".into(),
        Kind::Words(all) => {
            all.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
        }
        Kind::Rule(_) => "`word: expression`".into(),
        Kind::Many(one) => format!("{}, or a list", words(*one)),
        Kind::List(one) => format!("a list: {}", words(*one)),
        Kind::Either(kinds) => {
            kinds.iter().map(|kind| words(*kind)).collect::<Vec<_>>().join("; or ")
        }
        Kind::Map(construct) => {
            let names: Vec<&str> = construct.names().collect();
            format!("`{{{}}}`", names.join(", "))
        }
        Kind::Own => "its fields".into(),
        Kind::Steps => "steps".into(),
    }
}

fn sentence(noun: &str) -> String {
    let mut letters = noun.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

fn lower(about: &str) -> String {
    let mut letters = about.chars();
    letters.next().map(|first| first.to_lowercase().chain(letters).collect()).unwrap_or_default()
}
