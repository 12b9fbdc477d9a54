use std::collections::BTreeMap;

use clap::{Args, Subcommand};
use serde::Deserialize;
use serde_json::json;

use super::client::Node;
use super::{Done, Failure, Format, block_on};

/// The workflows of a node.
#[derive(Debug, Subcommand)]
pub(super) enum Workflows {
    /// Which version of each is in force, and which older ones unfinished runs still hold
    Versions(Versions),
    /// Reads the files again: a set with an error is refused whole
    Reload(Reload),
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  nuncio workflows versions --format json")]
pub(super) struct Versions {
    #[command(flatten)]
    node: Node,
}

#[derive(Debug, Args)]
pub(super) struct Reload {
    #[command(flatten)]
    node: Node,
}

/// What `GET /v1/workflows` answers.
#[derive(Deserialize)]
struct Listed {
    results: Vec<Loaded>,
    #[serde(default)]
    removed: Vec<Removed>,
}

#[derive(Deserialize)]
struct Loaded {
    workflow: String,
    version: String,
    runs: BTreeMap<String, u64>,
}

#[derive(Deserialize)]
struct Removed {
    workflow: String,
    runs: BTreeMap<String, u64>,
}

/// What `POST /v1/workflows/reload` answers.
#[derive(Deserialize)]
struct Answer {
    reloaded: bool,
    problems: Vec<Problem>,
    runs_on_older_versions: u64,
}

#[derive(Deserialize)]
struct Problem {
    code: String,
    severity: String,
    message: String,
    path: String,
    line: u64,
    column: u64,
    hint: Option<String>,
}

impl Workflows {
    pub fn run(self, format: Format) -> Done {
        match self {
            Self::Versions(versions) => versions.run(format),
            Self::Reload(reload) => reload.run(format),
        }
    }
}

impl Versions {
    fn run(self, format: Format) -> Done {
        let client = self.node.client()?;
        let answer = block_on(Some(1), client.get("/v1/workflows"))??;
        let listed: Listed = serde_json::from_value(answer).map_err(Failure::service)?;
        let current = listed.results.into_iter();
        let current = current.map(|one| (one.workflow, Some(one.version), one.runs));
        let removed = listed.removed.into_iter().map(|one| (one.workflow, None, one.runs));
        let rows: Vec<_> = current.chain(removed).collect();
        if format == Format::Json {
            let row = |(workflow, version, runs): &(String, Option<String>, BTreeMap<_, _>)| {
                let older = older(version.as_deref(), runs);
                let runs = version.as_ref().and_then(|version| runs.get(version));
                json!({
                    "workflow": workflow,
                    "version": version,
                    "runs": runs.copied().unwrap_or_default(),
                    "older": older
                        .iter()
                        .map(|(version, runs)| json!({ "version": version, "runs": runs }))
                        .collect::<Vec<_>>(),
                })
            };
            let rows: Vec<_> = rows.iter().map(row).collect();
            println!("{}", serde_json::Value::from(rows));
            return Ok(());
        }
        for (workflow, version, runs) in &rows {
            match version {
                Some(version) => {
                    let runs = runs.get(version).copied().unwrap_or_default();
                    println!("{workflow}  {}  in force, {}", short(version), counted(runs));
                }
                None => println!("{workflow}  no file any more"),
            }
            for (version, runs) in older(version.as_deref(), runs) {
                println!("{workflow}  {}  older, {}", short(&version), counted(runs));
            }
        }
        Ok(())
    }
}

impl Reload {
    fn run(self, format: Format) -> Done {
        let client = self.node.client()?;
        let answer = block_on(Some(1), client.post("/v1/workflows/reload", &json!({})))??;
        if format == Format::Json {
            println!("{answer}");
        }
        let answer: Answer = serde_json::from_value(answer).map_err(Failure::service)?;
        for Problem { code, severity, message, path, line, column, hint } in &answer.problems {
            eprintln!("{severity}[{code}]: {message}\n --> {path}:{line}:{column}");
            if let Some(hint) = hint {
                eprintln!("  = hint: {hint}");
            }
        }
        if !answer.reloaded {
            let text = "the files have errors: what was loaded before stays in force";
            return Err(Failure::Input(text.into()));
        }
        eprintln!("read again; {} on older versions", counted(answer.runs_on_older_versions));
        Ok(())
    }
}

/// What unfinished runs hold beside the version in force.
fn older(version: Option<&str>, runs: &BTreeMap<String, u64>) -> Vec<(String, u64)> {
    let older = runs.iter().filter(|(held, _)| Some(held.as_str()) != version);
    older.map(|(held, runs)| (held.clone(), *runs)).collect()
}

/// The beginning of a hash is enough for people.
fn short(version: &str) -> &str {
    version.get(..12).unwrap_or(version)
}

fn counted(runs: u64) -> String {
    match runs {
        1 => "1 unfinished run".into(),
        runs => format!("{runs} unfinished runs"),
    }
}
