use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Map, Value, json};
use url::form_urlencoded;

use super::client::{Client, Node};
use super::{Done, Failure, Format, block_on};

/// Letters of one call: the bar moves, and nothing else waits long for the store.
const AT_ONCE: u64 = 2000;

/// What was given up, or is held since it may have been sent.
#[derive(Debug, Subcommand)]
pub(super) enum Deadletters {
    /// Shows them, newest first
    List(List),
    /// Sends them on their way again, each with its own key and a new budget of attempts
    #[command(
        after_help = "Example:\n  nuncio deadletters redrive --provider smtp --code attempts.exhausted --dry-run"
    )]
    Redrive(Redrive),
}

/// Which letters are meant; none of these: all.
#[derive(Debug, Args)]
struct Filter {
    /// `failed`, `unknown` or `expired`
    #[arg(long)]
    status: Option<String>,
    #[arg(long)]
    channel: Option<String>,
    #[arg(long)]
    user: Option<String>,
    #[arg(long)]
    workflow: Option<String>,
    #[arg(long)]
    provider: Option<String>,
    /// Why: a decision's code
    #[arg(long)]
    code: Option<String>,
    /// Made then or later (RFC 3339)
    #[arg(long)]
    since: Option<String>,
    /// Made before (RFC 3339)
    #[arg(long)]
    until: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct List {
    #[command(flatten)]
    filter: Filter,
    /// At most so many, up to 1,000
    #[arg(long, default_value_t = 100)]
    limit: u32,
    /// The `next` of the page before
    #[arg(long)]
    after: Option<String>,
    #[command(flatten)]
    node: Node,
}

#[derive(Debug, Args)]
pub(super) struct Redrive {
    #[command(flatten)]
    filter: Filter,
    /// Only count them, and show some
    #[arg(long)]
    dry_run: bool,
    /// Those too whose end is past
    #[arg(long)]
    expired: bool,
    #[command(flatten)]
    node: Node,
}

impl Deadletters {
    pub fn run(self, format: Format) -> Done {
        match self {
            Self::List(list) => list.run(format),
            Self::Redrive(redrive) => redrive.run(format),
        }
    }
}

impl List {
    fn run(self, format: Format) -> Done {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(self.filter.pairs());
        query.append_pair("limit", &self.limit.to_string());
        query.extend_pairs(self.after.iter().map(|after| ("after", after)));
        let path = format!("/v1/dead-letters?{}", query.finish());
        let client = self.node.client()?;
        let page = block_on(Some(1), client.get(&path))??;
        if format == Format::Json {
            println!("{page}");
            return Ok(());
        }
        for letter in page.get("results").and_then(Value::as_array).into_iter().flatten() {
            println!("{}", line(letter));
        }
        if let Some(next) = page.get("next").and_then(Value::as_str) {
            eprintln!("there are more: --after {next}");
        }
        Ok(())
    }
}

impl Redrive {
    fn run(self, format: Format) -> Done {
        let client = self.node.client()?;
        let mut order: Map<String, Value> =
            self.filter.pairs().map(|(name, value)| (name.to_owned(), value.into())).collect();
        if self.expired {
            order.insert("expired".into(), true.into());
        }
        let counted = block_on(Some(1), async {
            let mut dry = order.clone();
            dry.insert("dry_run".into(), true.into());
            client.post(PATH, &dry.into()).await
        })??;
        if self.dry_run {
            if format == Format::Json {
                println!("{counted}");
                return Ok(());
            }
            println!("{} would be sent on their way again", count(&counted));
            for letter in counted.get("sample").and_then(Value::as_array).into_iter().flatten() {
                println!("  {}", line(letter));
            }
            return Ok(());
        }
        let done = block_on(Some(1), all(&client, order, count(&counted)))??;
        match format {
            Format::Json => println!("{}", json!({ "dry_run": false, "count": done })),
            _ => println!("{done} are on their way again"),
        }
        Ok(())
    }
}

const PATH: &str = "/v1/dead-letters/redrive";

/// Asks until nothing is left. Ended in between, it goes on when it is begun again: what is on its
/// way is no dead letter.
async fn all(client: &Client, mut order: Map<String, Value>, total: u64) -> Result<u64, Failure> {
    let bar = ProgressBar::new(total);
    let style = "{bar:30} {human_pos} of {human_len}, {eta} left";
    bar.set_style(ProgressStyle::with_template(style).map_err(Failure::service)?);
    order.insert("limit".into(), AT_ONCE.into());
    let mut done = 0;
    loop {
        let answer = client.post(PATH, &order.clone().into()).await?;
        done += count(&answer);
        bar.set_position(done);
        match answer.get("next").and_then(Value::as_str) {
            Some(next) => order.insert("after".into(), next.into()),
            None => break,
        };
    }
    bar.finish_and_clear();
    Ok(done)
}

fn count(answer: &Value) -> u64 {
    answer.get("count").and_then(Value::as_u64).unwrap_or_default()
}

/// Id, when, workflow, channel, recipient, code and why.
fn line(letter: &Value) -> String {
    let fields = ["id", "created_at", "status", "workflow", "channel", "recipient", "code"];
    let text = |name: &str| letter.get(name).and_then(Value::as_str).unwrap_or("-");
    let mut line = fields.map(text).join("  ");
    line.push_str("  ");
    line.push_str(text("reason"));
    line
}

impl Filter {
    fn pairs(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let all = [
            ("status", &self.status),
            ("channel", &self.channel),
            ("user", &self.user),
            ("workflow", &self.workflow),
            ("provider", &self.provider),
            ("code", &self.code),
            ("since", &self.since),
            ("until", &self.until),
        ];
        all.into_iter().filter_map(|(name, value)| Some((name, value.as_deref()?)))
    }
}
