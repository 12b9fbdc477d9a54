use std::io::{IsTerminal, Write};

use clap::Args;
use futures_util::StreamExt;
use serde_json::Value;

use super::client::Node;
use super::{Done, Failure, Format, block_on};

/// Shows what a node does, as it happens
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  nuncio tail --channel email --status failed\n\nA line for each; with --format json a JSON object a line."
)]
pub(super) struct Tail {
    /// Of this user alone
    #[arg(long)]
    user: Option<String>,
    #[arg(long)]
    workflow: Option<String>,
    #[arg(long)]
    channel: Option<String>,
    /// A message's state (`sent`, `failed` …), or what a step decided
    #[arg(long)]
    status: Option<String>,
    /// An event's id, its name, or a pattern of names
    #[arg(long)]
    event: Option<String>,
    /// End after so many
    #[arg(long)]
    count: Option<u64>,
    #[command(flatten)]
    node: Node,
}

impl Tail {
    pub fn run(self, format: Format) -> Done {
        let client = self.node.client()?;
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        for (name, value) in [
            ("user", &self.user),
            ("workflow", &self.workflow),
            ("channel", &self.channel),
            ("status", &self.status),
            ("event", &self.event),
        ] {
            if let Some(value) = value {
                query.append_pair(name, value);
            }
        }
        let path = format!("/v1/tail?{}", query.finish());
        let colour = std::io::stdout().is_terminal();
        let mut left = self.count;
        block_on(Some(1), async {
            let mut pieces = client.stream(&path).await?;
            let mut text = Vec::new();
            while left != Some(0) {
                let Some(piece) = pieces.next().await else {
                    return Err(Failure::Service("the node has ended the stream".into()));
                };
                text.extend_from_slice(piece.map_err(Failure::service)?.as_ref());
                while let Some(end) = text.windows(2).position(|two| two == b"\n\n") {
                    let block: Vec<u8> = text.drain(..end + 2).collect();
                    let shown = show(&String::from_utf8_lossy(&block), format, colour);
                    if shown.map_err(Failure::service)? {
                        left = left.map(|left| left.saturating_sub(1));
                        if left == Some(0) {
                            break;
                        }
                    }
                }
            }
            Ok(())
        })?
    }
}

/// Prints one server-sent event; whether it was a happening.
fn show(block: &str, format: Format, colour: bool) -> std::io::Result<bool> {
    let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(name));
    let Some(data) = field("data: ") else { return Ok(false) };
    let data: Value = serde_json::from_str(data).unwrap_or_default();
    if field("event: ") == Some("dropped") {
        eprintln!("{} more happened, and could not be shown in time", data["dropped"]);
        return Ok(false);
    }
    let mut out = std::io::stdout().lock();
    match format {
        Format::Json => writeln!(out, "{data}")?,
        _ => writeln!(out, "{}", line(&data, colour))?,
    }
    out.flush()?;
    Ok(true)
}

fn line(happening: &Value, colour: bool) -> String {
    let text = |name: &str| happening.get(name).and_then(Value::as_str).unwrap_or_default();
    let time = text("at").split_once('T').map_or("", |(_, time)| time);
    let word = match text("kind") {
        "event" => "accepted",
        _ => text("status"),
    };
    let shade = match word {
        "sent" | "delivered" => "32",
        "failed" | "fail" | "unknown" | "expired" => "31",
        "suppressed" | "drop" | "cancelled" | "cancel" => "33",
        _ => "36",
    };
    let word = format!("{word:<10}");
    let word = if colour { format!("\x1b[{shade}m{word}\x1b[0m") } else { word };
    let mut line = format!("{time:<13} {word} {}", text("name"));
    for name in ["workflow", "channel", "user", "provider", "outcome", "code"] {
        if !text(name).is_empty() {
            line.push_str("  ");
            line.push_str(text(name));
        }
    }
    if !text("until").is_empty() {
        line.push_str(&format!("  until {}", text("until")));
    }
    let id = if text("message").is_empty() { text("event") } else { text("message") };
    line.push_str(&format!("  {id}"));
    line
}
