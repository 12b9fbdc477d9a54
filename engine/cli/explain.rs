use clap::Args;
use serde_json::Value;

use super::client::Node;
use super::{Done, Format, block_on};

/// What became of an event, a run or a message, and why.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  nuncio explain 01890a5d-ac96-774b-bcce-b302099a8057")]
pub(super) struct Explain {
    /// The id of an event, a run or a message
    id: String,
    #[command(flatten)]
    node: Node,
}

impl Explain {
    pub fn run(self, format: Format) -> Done {
        let client = self.node.client()?;
        let path = format!("/v1/events/{}/explain", self.id);
        if format == Format::Json {
            let answer = block_on(Some(1), client.get(&path))??;
            println!("{}", answer.get("rows").unwrap_or(&Value::Null));
        } else {
            print!("{}", block_on(Some(1), client.text(&path))??);
        }
        Ok(())
    }
}
