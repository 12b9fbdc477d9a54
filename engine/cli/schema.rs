use clap::{Args, ValueEnum};

use super::{Done, Failure};
use crate::workflow::language;

/// The JSON Schema of a kind of file, for editors.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  nuncio schema workflow > workflow.schema.json")]
pub(super) struct Schema {
    #[arg(value_enum, default_value_t = File::Workflow)]
    file: File,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum File {
    Workflow,
    /// events.yaml
    Events,
    /// types.yaml
    Types,
    /// routes.yaml
    Routes,
}

impl Schema {
    pub fn run(self) -> Done {
        let schema = match self.file {
            File::Workflow => language::Schema::Workflow,
            File::Events => language::Schema::Events,
            File::Types => language::Schema::Types,
            File::Routes => language::Schema::Routes,
        };
        let text = serde_json::to_string_pretty(&schema.to_json()).map_err(Failure::input)?;
        println!("{text}");
        Ok(())
    }
}
