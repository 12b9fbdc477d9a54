//! `nuncio simulate` and `nuncio test`: days in milliseconds, and nothing sent.

mod cases;
mod input;
mod others;
mod script;
mod time_line;

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

const WORKFLOW: &str = "workflow: order-paid
on: order.paid
category: order
recipients:
  - user: event.data.buyer
steps:
  - send: in_app
    template: order_paid
  - delay: 2d
  - send: email
    if: '!recipient.online'
    template: order_paid
";

/// Starts on the same event, and is nobody's business here.
const OTHER: &str = "workflow: stock
on: order.paid
recipients:
  - user: event.data.buyer
steps:
  - send: in_app
    template: order_paid
";

const EVENTS: &str = "order.paid:
  type: object
  required: [buyer]
  properties:
    buyer: { type: [string, integer] }
    total: { type: number }
    order: { type: string }
";

const USER: &str = r#"{"id": 42, "email": "ada@example.com", "time_zone": "Africa/Tunis"}"#;
const EVENT: &str = r#"{"name": "order.paid", "data": {"buyer": 42, "total": 12}}"#;
const NOON: &str = "2026-03-01T12:00:00Z";

/// A folder of files, and the program in it.
struct Shop(TempDir);

struct Ended {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Shop {
    fn open() -> Self {
        let shop = Self(tempfile::tempdir().expect("a temporary folder can be made"));
        shop.write("workflows/shop/order-paid.yaml", WORKFLOW)
            .write("workflows/shop/stock.yaml", OTHER)
            .write("workflows/shop/events.yaml", EVENTS)
            .write("workflows/shop/samples/order_paid.json", r#"{"buyer": 42, "total": 12}"#)
            .write(
                "templates/order_paid/in_app.hbs",
                "---\ntitle: Paid\n---\nWe thank you, {{recipient.id}}.\n",
            )
            .write(
                "templates/order_paid/email.hbs",
                "---\nsubject: Order paid\n---\n<p>With a thank you.</p>\n",
            )
            .write("event.json", EVENT)
            .write("user.json", USER)
    }

    fn write(self, path: &str, text: &str) -> Self {
        let path = self.0.path().join(path);
        std::fs::create_dir_all(path.parent().expect("in a folder")).expect("made");
        std::fs::write(path, text).expect("written");
        self
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn run(&self, arguments: &[&str]) -> Ended {
        let mut command = Command::new(env!("CARGO_BIN_EXE_nuncio"));
        let Output { status, stdout, stderr } =
            command.args(arguments).current_dir(self.path()).output().expect("it runs");
        let text = |bytes| String::from_utf8(bytes).expect("it prints text");
        Ended { code: status.code(), stdout: text(stdout), stderr: text(stderr) }
    }

    /// Simulates `order-paid` with the event and the user of the shop.
    fn simulate(&self, more: &[&str]) -> Ended {
        let mut arguments = vec!["simulate", "workflows/shop/order-paid.yaml"];
        arguments.extend(["--event", "event.json", "--recipient", "user.json"]);
        arguments.extend(more);
        self.run(&arguments)
    }

    /// The same, as rows.
    fn rows(&self, more: &[&str]) -> Vec<Value> {
        let ended = self.simulate(&[&["--format", "json"], more].concat());
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        serde_json::from_str(&ended.stdout).expect("it prints an array")
    }

    /// Those of them that speak of a message.
    fn messages(&self, more: &[&str]) -> Vec<Value> {
        self.rows(more).into_iter().filter(|row| row["message"].is_string()).collect()
    }
}

/// The named fields of each row, as text.
fn told(rows: &[Value], fields: &[&str]) -> Vec<String> {
    let cell = |row: &Value, field: &str| match &row[field] {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let line =
        |row: &Value| fields.iter().map(|field| cell(row, field)).collect::<Vec<_>>().join(" ");
    rows.iter().map(line).collect()
}
