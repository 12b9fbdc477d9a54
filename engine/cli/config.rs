use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;

use super::{Done, Failure, Format};
use crate::config::{Environment, Flag, Loaded, load};

/// Where a command takes its configuration from.
#[derive(Debug, Args)]
pub(super) struct Source {
    /// Default: nuncio.toml, where there is one
    #[arg(long)]
    config: Option<PathBuf>,
}

/// What is configured, and where each value comes from.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  NUNCIO_STORE__URL=sqlite:/var/lib/nuncio.db nuncio config")]
pub(super) struct Show {
    #[command(flatten)]
    source: Source,
}

impl Source {
    pub fn load(&self) -> Result<Loaded, Failure> {
        self.with(&[])
    }

    /// All problems are said; then the command ends.
    pub fn with(&self, flags: &[Flag]) -> Result<Loaded, Failure> {
        let ours = Path::new("nuncio.toml");
        let path = self.config.as_deref().or_else(|| ours.exists().then_some(ours));
        load(path, &Environment::process(), flags).map_err(|errors| {
            for error in &errors {
                eprintln!("error[{}]: {error}", error.code);
                if let Some(hint) = &error.hint {
                    eprintln!("  hint: {hint}");
                }
            }
            Failure::Said
        })
    }
}

impl Show {
    pub fn run(self, format: Format) -> Done {
        let settings = self.source.load()?.settings;
        if format == Format::Json {
            let settings = settings.iter().map(|setting| {
                let (key, value) = (&setting.key, &setting.value);
                json!({"key": key, "value": value, "origin": setting.origin.to_string()})
            });
            println!("{}", serde_json::Value::from_iter(settings));
            return Ok(());
        }
        let width =
            settings.iter().map(|setting| setting.key.len() + setting.value.len() + 3).max();
        for setting in &settings {
            let line = format!("{} = {}", setting.key, setting.value);
            println!(
                "{line:width$}  # {}",
                setting.origin,
                width = width.unwrap_or_default().min(60)
            );
        }
        Ok(())
    }
}
