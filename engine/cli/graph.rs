use std::path::PathBuf;

use clap::Args;

use super::{Done, Failure, shown};
use crate::check;
use crate::diagnostic::Diagnostic;

/// A workflow as a Mermaid flowchart.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  nuncio graph workflows/order-paid.yaml > order-paid.mmd")]
pub(super) struct Graph {
    /// A workflow file
    file: PathBuf,
}

impl Graph {
    pub fn run(self) -> Done {
        let (workflow, problems) = check::one(&self.file);
        eprint!("{}", shown(&problems));
        match workflow {
            Some(workflow) if !problems.iter().any(Diagnostic::is_error) => {
                print!("{}", workflow.graph());
                Ok(())
            }
            _ => Err(Failure::Said),
        }
    }
}
