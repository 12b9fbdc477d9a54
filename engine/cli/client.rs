use std::path::PathBuf;
use std::time::Duration;

use futures_util::{Stream, StreamExt};
use serde_json::Value;

use super::Failure;
use crate::config::Environment;

/// How a command talks to a running node.
#[derive(Debug, clap::Args)]
pub(super) struct Node {
    /// The node's address. Default: NUNCIO_URL, else that of `nuncio dev` in this folder
    #[arg(long)]
    url: Option<String>,
    /// The folder where `nuncio dev` keeps its data
    #[arg(long, value_name = "DIR", default_value = ".nuncio")]
    dev: PathBuf,
}

/// A node's API with a key for it.
pub(super) struct Client {
    http: reqwest::Client,
    url: String,
    key: Option<String>,
}

impl Node {
    /// Flags first, then NUNCIO_URL and NUNCIO_API_KEY, then the development node's `dev.env`.
    pub fn client(&self) -> Result<Client, Failure> {
        let environment = Environment::process();
        let own = super::dev::read_env(&self.dev.join("dev.env"));
        let setting = |name: &str| {
            environment.get(name).map(str::to_owned).or_else(|| own.get(name).cloned())
        };
        let url = self.url.clone().or_else(|| setting("NUNCIO_URL")).ok_or_else(|| {
            Failure::Service(
                "no node is known: start `nuncio dev` here, or set NUNCIO_URL and NUNCIO_API_KEY"
                    .into(),
            )
        })?;
        crate::egress::use_ring();
        let http = reqwest::Client::builder()
            .timeout(Duration::from_secs(30))
            .build()
            .map_err(Failure::service)?;
        let url = url.trim_end_matches('/').to_owned();
        Ok(Client { http, url, key: setting("NUNCIO_API_KEY") })
    }
}

impl Client {
    pub async fn get(&self, path: &str) -> Result<Value, Failure> {
        self.send(self.http.get(format!("{}{path}", self.url))).await
    }

    /// The answer as text for people.
    pub async fn text(&self, path: &str) -> Result<String, Failure> {
        let request = self.http.get(format!("{}{path}", self.url));
        self.body(request.header("accept", "text/plain")).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        self.send(self.http.post(format!("{}{path}", self.url)).json(body)).await
    }

    /// An answer that has no end, piece by piece.
    pub async fn stream(
        &self,
        path: &str,
    ) -> Result<impl Stream<Item = reqwest::Result<impl AsRef<[u8]>>> + Unpin, Failure> {
        let request = self.http.get(format!("{}{path}", self.url)).timeout(Duration::MAX);
        Ok(self.reply(request).await?.bytes_stream().boxed())
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Result<Value, Failure> {
        serde_json::from_str(&self.body(request).await?).map_err(Failure::service)
    }

    async fn body(&self, request: reqwest::RequestBuilder) -> Result<String, Failure> {
        self.reply(request).await?.text().await.map_err(Failure::service)
    }

    async fn reply(
        &self,
        mut request: reqwest::RequestBuilder,
    ) -> Result<reqwest::Response, Failure> {
        if let Some(key) = &self.key {
            request = request.bearer_auth(key);
        }
        let reply = request.send().await.map_err(|error| {
            Failure::Service(format!("{} cannot be reached: {error}", self.url))
        })?;
        let status = reply.status();
        if status.is_success() {
            return Ok(reply);
        }
        let body = reply.text().await.map_err(Failure::service)?;
        Err(refused(status.as_u16(), &body))
    }
}

/// A problem document in words: what the user sent is wrong (1), or the service (3).
fn refused(status: u16, body: &str) -> Failure {
    let problem: Value = serde_json::from_str(body).unwrap_or_default();
    let word = |field: &str| problem.get(field).and_then(Value::as_str);
    let mut text = word("detail").or(word("title")).unwrap_or("the service refused").to_owned();
    let code = word("code").unwrap_or("http");
    text.push_str(&format!(" ({code}, {status})"));
    for error in problem.get("errors").and_then(Value::as_array).into_iter().flatten() {
        let field = |name: &str| error.get(name).and_then(Value::as_str).unwrap_or_default();
        text.push_str(&format!("\n  {} {}", field("pointer"), field("detail")));
    }
    match status {
        400 | 404 | 409 | 413 | 422 => Failure::Input(text),
        _ => Failure::Service(text),
    }
}
