//! Asking a server for data: what a workflow's `fetch` step may do.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use reqwest::Method;
use reqwest::header::{self, HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;

use super::{Egress, EgressError, Grants, HostRule, MAX_HEADERS, Refusal, Reply, Request, Target};

/// Bytes of an answer: it is kept with the run.
pub const MAX_FETCHED_BYTES: usize = 256 << 10;
/// Redirects that a GET follows; another method follows none.
const MAX_REDIRECTS: usize = 5;
/// What belongs to the connection is the engine's.
const OWN_HEADERS: [&str; 6] =
    ["host", "content-length", "connection", "transfer-encoding", "upgrade", "te"];

/// One request. Its `Debug` shows neither headers nor body: they may hold secrets.
#[derive(Clone, PartialEq, Eq)]
pub struct Ask {
    pub method: String,
    pub url: String,
    pub headers: Vec<(String, String)>,
    pub body: Option<String>,
    pub timeout: Duration,
}

/// An answer with any status. The body is JSON where the server says so, else text.
#[derive(Clone, Debug, PartialEq)]
pub struct Fetched {
    pub status: u16,
    pub body: Value,
}

/// Whom `fetch` steps ask.
#[async_trait]
pub trait Fetch: Send + Sync {
    /// Asks once, within the request's time. The answer may have any status.
    ///
    /// # Errors
    /// What may not be reached, no answer, or one of more than [`MAX_FETCHED_BYTES`].
    async fn fetch(&self, ask: &Ask) -> Result<Fetched, EgressError>;
}

/// Reaches nothing: for a process that has no way out.
pub struct Unreachable;

#[async_trait]
impl Fetch for Unreachable {
    async fn fetch(&self, _ask: &Ask) -> Result<Fetched, EgressError> {
        Err(Refusal::new("egress.none", "nothing can be fetched here").into())
    }
}

#[async_trait]
impl Fetch for Egress {
    /// Public addresses, and what `egress.allow_private` allows; redirects are asked the same.
    async fn fetch(&self, ask: &Ask) -> Result<Fetched, EgressError> {
        let method = Method::from_bytes(ask.method.as_bytes())
            .map_err(|_| Refusal::new("egress.method", "there is no such method"))?;
        let anywhere = HostRule { host: "*".to_owned(), methods: vec![method.as_str().to_owned()] };
        let grants = Grants { hosts: vec![anywhere], settings: Vec::new() };
        let mut target = self.target(&method, &ask.url, &grants)?;
        let mut headers = headers(&ask.headers)?;
        for _ in 0..=MAX_REDIRECTS {
            let request = Request {
                method: method.clone(),
                target: target.clone(),
                headers: headers.clone(),
                body: ask.body.clone().unwrap_or_default().into_bytes(),
            };
            let reply = self.send(request, ask.timeout).await?;
            let Some(next) = location(&method, &target, &reply)? else { return fetched(reply) };
            let next = self.target(&method, next.as_str(), &grants)?;
            if next.url.origin() != target.url.origin() {
                // What was meant for one server is not told to another.
                headers.clear();
            }
            target = next;
        }
        let message = format!("more than {MAX_REDIRECTS} redirects");
        Err(Refusal::new("egress.redirects", message).into())
    }
}

fn headers(fields: &[(String, String)]) -> Result<HeaderMap, Refusal> {
    if fields.len() > MAX_HEADERS {
        return Err(Refusal::new("egress.header", "there are too many headers"));
    }
    let mut headers = HeaderMap::with_capacity(fields.len());
    for (name, value) in fields {
        let malformed =
            || Refusal::new("egress.header", format!("the header `{name}` is malformed"));
        let parsed = HeaderName::from_bytes(name.as_bytes()).map_err(|_| malformed())?;
        if OWN_HEADERS.contains(&parsed.as_str()) {
            return Err(Refusal::new("egress.header", format!("`{parsed}` is set by the engine")));
        }
        let mut value = HeaderValue::from_str(value).map_err(|_| malformed())?;
        value.set_sensitive(true);
        headers.append(parsed, value);
    }
    Ok(headers)
}

/// Where a redirect of a GET leads.
fn location(method: &Method, from: &Target, reply: &Reply) -> Result<Option<url::Url>, Refusal> {
    let redirects = matches!(reply.status, 301 | 302 | 303 | 307 | 308);
    if *method != Method::GET || !redirects {
        return Ok(None);
    }
    let to = reply.headers.get(header::LOCATION).and_then(|to| to.to_str().ok());
    let to = to.and_then(|to| from.url.join(to).ok());
    to.map(Some).ok_or_else(|| Refusal::new("egress.url", "a redirect leads nowhere"))
}

fn fetched(reply: Reply) -> Result<Fetched, EgressError> {
    if reply.truncated || reply.body.len() > MAX_FETCHED_BYTES {
        return Err(EgressError::AnswerTooLarge { limit: MAX_FETCHED_BYTES });
    }
    let kind = reply.headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let kind = kind.unwrap_or_default().split(';').next().unwrap_or_default().trim();
    let is_json = kind.eq_ignore_ascii_case("application/json")
        || kind.len() > 5 && kind.to_ascii_lowercase().ends_with("+json");
    let parsed = is_json.then(|| serde_json::from_slice(&reply.body).ok()).flatten();
    let body = parsed.unwrap_or_else(|| String::from_utf8_lossy(&reply.body).into_owned().into());
    Ok(Fetched { status: reply.status, body })
}

impl fmt::Debug for Ask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ask").field("method", &self.method).finish_non_exhaustive()
    }
}
