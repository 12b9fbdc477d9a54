use std::io::Read;
use std::time::Duration;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Map, Value};

use super::client::{Client, Node};
use super::{Done, Failure, Format, block_on};
use crate::clock::Clock;

/// Between two looks at how far the planning of an event has come.
const POLL: Duration = Duration::from_millis(250);

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
    /// Come back when every recipient is planned, and show how far it is
    #[arg(long)]
    wait: bool,
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
        let answer = block_on(Some(1), async {
            let answer = client.post("/v1/events", &event.into()).await?;
            if self.wait {
                planned(&client, &answer).await?;
            }
            Ok::<_, Failure>(answer)
        })??;
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

/// Waits for the end of an event's planning: recipients are looked up in pages.
async fn planned(client: &Client, answer: &Value) -> Result<(), Failure> {
    let id = answer.get("id").and_then(Value::as_str).unwrap_or_default();
    let clock = Clock::system();
    let shown = ProgressBar::new_spinner();
    shown.set_style(
        ProgressStyle::with_template("{spinner} {human_pos} recipients planned, {elapsed}")
            .map_err(Failure::service)?,
    );
    loop {
        let event = client.get(&format!("/v1/events/{id}")).await?;
        shown.set_position(event.get("run_count").and_then(Value::as_u64).unwrap_or_default());
        if event.get("status").and_then(Value::as_str) != Some("waiting") {
            shown.finish();
            return Ok(());
        }
        clock.sleep(POLL).await;
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
