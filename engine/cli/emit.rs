use std::io::Read;

use clap::Args;
use serde_json::{Map, Value};

use super::client::Node;
use super::{Done, Failure, Format, block_on};

/// Sends an event to a node.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  nuncio emit order.placed --data '{\"order_id\": 7}' --key order-7"
)]
pub(super) struct Emit {
    /// The event's name
    name: String,
    /// The event's data: a file, `@file`, `-` for stdin, or the JSON object itself
    #[arg(long, default_value = "{}")]
    data: String,
    /// The idempotency key: the same event twice counts once
    #[arg(long)]
    key: Option<String>,
    /// The id of the user who did it
    #[arg(long)]
    actor: Option<String>,
    #[arg(long)]
    tenant: Option<String>,
    /// When it happened (RFC 3339); in the future, the event waits until then
    #[arg(long)]
    at: Option<String>,
    #[command(flatten)]
    node: Node,
}

impl Emit {
    pub fn run(self, format: Format) -> Done {
        let mut event = Map::new();
        event.insert("data".into(), data(&self.data)?);
        event.insert("name".into(), self.name.into());
        let optional = [
            ("idempotency_key", self.key),
            ("actor", self.actor),
            ("tenant", self.tenant),
            ("at", self.at),
        ];
        for (field, value) in optional {
            if let Some(value) = value {
                event.insert(field.into(), value.into());
            }
        }
        let client = self.node.client()?;
        let answer = block_on(Some(1), client.post("/v1/events", &event.into()))??;
        if format == Format::Json {
            println!("{answer}");
        } else {
            let field = |name: &str| answer.get(name).and_then(Value::as_str).unwrap_or_default();
            println!("{} {}", field("id"), field("status"));
            eprintln!("see what becomes of it: nuncio explain {}", field("id"));
        }
        Ok(())
    }
}

fn data(given: &str) -> Result<Value, Failure> {
    let (text, from) = if given.trim_start().starts_with(['{', '[']) {
        (given.to_owned(), "--data".to_owned())
    } else if given == "-" {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).map_err(Failure::input)?;
        (text, "stdin".to_owned())
    } else {
        let path = given.strip_prefix('@').unwrap_or(given);
        let text = std::fs::read_to_string(path)
            .map_err(|error| Failure::Input(format!("{path}: {error}")))?;
        (text, path.to_owned())
    };
    serde_json::from_str(&text).map_err(|error| {
        Failure::Input(format!("{from}:{}:{}: {error}", error.line(), error.column()))
    })
}
