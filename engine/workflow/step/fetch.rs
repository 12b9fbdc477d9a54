use std::time::Duration;

use super::Fields;
use crate::diagnostic::Node;
use crate::expression::{Expression, Names};
use crate::model::Span;

/// Data for later steps, from an HTTP server; outbound rules apply.
#[derive(Clone, Debug, PartialEq)]
pub struct Fetch {
    pub url: Expression,
    pub method: String,
    pub headers: Vec<(String, Expression)>,
    pub body: Option<Expression>,
    /// The variable that takes the answer.
    pub into: Option<String>,
    pub timeout: Option<Span>,
    pub cache: Option<Span>,
    /// Once for each (event, workflow), not for each recipient.
    pub once: bool,
}

/// How long a server may be waited for.
const MOST: Duration = Duration::from_secs(60);

const METHODS: [(&str, &str); 5] =
    [("GET", "GET"), ("POST", "POST"), ("PUT", "PUT"), ("PATCH", "PATCH"), ("DELETE", "DELETE")];

pub(super) fn read(value: &Node, mut fields: Fields<'_, '_>) -> Option<Fetch> {
    let reader = fields.reader;
    fields.take("fetch");
    let mut fields = fields.join(value);
    let url = fields.need("url").and_then(|node| reader.expression(node, "url", Names::STEP));
    let method = fields.take("method").and_then(|node| reader.word(node, "method", &METHODS));
    let headers = fields.expressions("headers", Names::STEP);
    let body = fields.expression("body", Names::STEP);
    let into = fields.text("into");
    let timeout = fields.take("timeout");
    let timeout = timeout.and_then(|node| {
        let span = reader.span(node, "timeout")?;
        if span.0 > MOST {
            let message = format!("a server has at most {} s", MOST.as_secs());
            reader.error("fetch.timeout", node.span.clone(), message);
        }
        Some(span)
    });
    let cache = fields.take("cache").and_then(|node| reader.span_or_zero(node, "cache"));
    let once = fields.flag("once");
    fields.finish();
    let method = method.unwrap_or("GET").to_owned();
    Some(Fetch { url: url?, method, headers, body, into, timeout, cache, once })
}
