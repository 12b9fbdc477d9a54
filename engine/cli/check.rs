use std::io::IsTerminal;
use std::path::PathBuf;

use clap::Args;

use super::{Done, Failure, Format};
use crate::{check, diagnostic, node};

/// Every problem of every workflow and template, with its place.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  nuncio check --format github")]
pub(super) struct Check {
    /// The folder that holds workflows/ and templates/
    #[arg(default_value = ".")]
    dir: PathBuf,
}

impl Check {
    pub fn run(self, format: Format) -> Done {
        let channels = node::known_channels();
        let mut loaded = check::load(&self.dir, &channels);
        let (_, tests) = check::cases(&self.dir, loaded.catalog.as_deref(), &channels);
        loaded.diagnostics.extend(tests);
        diagnostic::sort(&mut loaded.diagnostics);
        let format = match format {
            Format::Text | Format::Html => {
                diagnostic::Format::Text { colour: std::io::stdout().is_terminal() }
            }
            Format::Json => diagnostic::Format::Json,
            Format::Github => diagnostic::Format::Github,
        };
        print!("{}", diagnostic::render_all(&loaded.diagnostics, format));
        let errors = loaded.diagnostics.iter().filter(|problem| problem.is_error()).count();
        eprintln!("{}: {}", self.dir.display(), loaded.summary());
        match errors {
            0 => Ok(()),
            _ => Err(Failure::Said),
        }
    }
}
