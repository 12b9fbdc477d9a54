use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use url::Url;

use crate::channel::wasm::bindings::nuncio::channel::http::{
    Auth, Error, Host, Part, Request, Response,
};
use crate::channel::wasm::bindings::nuncio::channel::types::FieldResult;
use crate::channel::wasm::instance::State;
use crate::channel::wasm::secret::{Unusable, Vault};
use crate::egress::{
    self, EgressError, HeaderMap, HeaderName, HeaderValue, MAX_HEADER_BYTES, MAX_HEADERS,
    MAX_REQUEST_BYTES, Method, Refusal, Reply,
};
use crate::telemetry::{self, Fact, Traced};

/// About the connection, not the message: they are the client's to set.
const REFUSED_HEADERS: [&str; 10] = [
    "connection",
    "content-length",
    "expect",
    "host",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "proxy-authorization",
];

impl Host for State {
    async fn send(&mut self, request: Request) -> wasmtime::Result<Result<Response, Error>> {
        if !self.count_call() {
            let limit = self.rights.limits.outbound_calls;
            return Ok(Err(Error::Budget(format!("a send may make {limit} requests"))));
        }
        let mut timeout = self.time_left();
        if request.timeout_ms > 0 {
            timeout = timeout.min(Duration::from_millis(request.timeout_ms.into()));
        }
        let mut outgoing = match self.outgoing(request) {
            Ok(outgoing) => outgoing,
            Err(error) => return Ok(Err(error)),
        };
        // True while the call runs: it may be cut off at any moment.
        let before = std::mem::replace(&mut self.may_have_arrived, true);
        let span = Traced::call("http");
        span.set(Fact::Method, || outgoing.method.to_string());
        if let Some(value) = span.inside(telemetry::propagated)
            && let Ok(value) = HeaderValue::from_str(&value)
        {
            outgoing.headers.insert("traceparent", value);
        }
        let result = span.around(self.rights.egress.send(outgoing, timeout)).await;
        match &result {
            Ok(reply) => span.set(Fact::Status, || i64::from(reply.status)),
            Err(_) => span.failed("no answer"),
        }
        self.may_have_arrived =
            before || result.as_ref().err().is_none_or(EgressError::may_have_arrived);
        Ok(result.map(Response::from).map_err(Error::from))
    }
}

impl State {
    fn outgoing(&self, request: Request) -> Result<egress::Request, Error> {
        let method = Method::from_bytes(request.method.as_bytes())
            .map_err(|_| forbidden("egress.method", "there is no such method"))?;
        let mut headers = headers(&request.headers)?;
        let url = place(&self.rights.vault, request.url, request.auth, &mut headers)?;
        let target = self
            .rights
            .egress
            .target(&method, &url, &self.rights.grants)
            .map_err(|refusal| Error::from(EgressError::from(refusal)))?;
        Ok(egress::Request { method, target, headers, body: body(request.body)? })
    }
}

fn headers(fields: &[FieldResult]) -> Result<HeaderMap, Error> {
    let bytes: usize = fields.iter().map(|field| field.name.len() + field.value.len()).sum();
    if fields.len() > MAX_HEADERS || bytes > MAX_HEADER_BYTES {
        return Err(forbidden("egress.header", "there are too many headers"));
    }
    let mut headers = HeaderMap::with_capacity(fields.len() + 1);
    for field in fields {
        let name = HeaderName::from_bytes(field.name.as_bytes());
        let value = HeaderValue::from_str(&field.value);
        let (Ok(name), Ok(value)) = (name, value) else {
            return Err(forbidden("egress.header", "a header's name or value is malformed"));
        };
        may_be_set(&name)?;
        headers.append(name, value);
    }
    Ok(headers)
}

fn may_be_set(name: &HeaderName) -> Result<(), Error> {
    match REFUSED_HEADERS.contains(&name.as_str()) {
        true => Err(forbidden("egress.header", &format!("`{name}` is set by the engine"))),
        false => Ok(()),
    }
}

fn body(parts: Vec<Part>) -> Result<Vec<u8>, Error> {
    let mut body = Vec::new();
    for part in parts {
        match part {
            Part::Bytes(bytes) if body.is_empty() => body = bytes,
            Part::Bytes(bytes) => body.extend(bytes),
            Part::Attachment(_) => {
                return Err(forbidden("egress.attachment", "there is no such attachment"));
            }
        }
        if body.len() > MAX_REQUEST_BYTES {
            return Err(Error::TooLarge(MAX_REQUEST_BYTES as u64));
        }
    }
    Ok(body)
}

/// Puts secrets where the plugin wants them, if they may go there. Returns the URL to ask.
fn place(vault: &Vault, url: String, auth: Auth, headers: &mut HeaderMap) -> Result<String, Error> {
    let host = match &auth {
        Auth::None => return Ok(url),
        _ => Url::parse(&url).ok().and_then(|url| url.host_str().map(str::to_owned)),
    };
    let host = host.ok_or_else(|| forbidden("egress.url", "the address has no host"))?;
    let secret = |name: &str, placement: &str| {
        vault.place(name, placement, &host).map_err(|why| unusable(name, why))
    };
    match auth {
        Auth::None => {}
        Auth::Bearer(name) => {
            set(headers, "authorization", &format!("Bearer {}", secret(&name, "bearer")?))?;
        }
        Auth::Basic((user, password)) => {
            let pair = format!("{}:{}", secret(&user, "basic")?, secret(&password, "basic")?);
            set(headers, "authorization", &format!("Basic {}", STANDARD.encode(pair)))?;
        }
        Auth::Header((header, prefix, name)) => {
            set(headers, &header, &format!("{prefix}{}", secret(&name, "header")?))?;
        }
        Auth::Query((parameter, name)) => {
            let mut url =
                Url::parse(&url).map_err(|why| forbidden("egress.url", &why.to_string()))?;
            url.query_pairs_mut().append_pair(&parameter, secret(&name, "query")?);
            return Ok(url.into());
        }
        Auth::Path(name) => {
            return Ok(url.replace(&format!("{{{name}}}"), secret(&name, "path")?));
        }
        Auth::Oauth2(_) | Auth::AwsSigv4(_) | Auth::Other(_) => {
            return Err(forbidden("egress.auth", "this engine does not know that way to log in"));
        }
    }
    Ok(url)
}

fn set(headers: &mut HeaderMap, name: &str, value: &str) -> Result<(), Error> {
    let malformed = || forbidden("egress.header", "a secret cannot be a header's value");
    let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| malformed())?;
    may_be_set(&name)?;
    let mut value = HeaderValue::from_str(value).map_err(|_| malformed())?;
    value.set_sensitive(true);
    headers.insert(name, value);
    Ok(())
}

fn unusable(name: &str, why: Unusable) -> Error {
    forbidden("egress.secret", &format!("the secret `{name}` is {}", why.word()))
}

fn forbidden(code: &str, why: &str) -> Error {
    Error::Forbidden(format!("{code}: {why}"))
}

impl From<EgressError> for Error {
    fn from(error: EgressError) -> Self {
        match error {
            EgressError::Refused(Refusal { code, message }) => forbidden(code, &message),
            EgressError::TooLarge { limit } | EgressError::AnswerTooLarge { limit } => {
                Self::TooLarge(limit as u64)
            }
            EgressError::Dns => Self::Dns(error.to_string()),
            EgressError::Connect { .. } => Self::Connect(error.to_string()),
            EgressError::Tls { .. } => Self::Tls(error.to_string()),
            EgressError::TimeoutBeforeSend => Self::TimeoutBeforeSend,
            EgressError::TimeoutAfterSend => Self::TimeoutAfterSend,
            EgressError::Broken { .. } => Self::Other(error.to_string()),
        }
    }
}

impl From<Reply> for Response {
    fn from(reply: Reply) -> Self {
        let mut room = MAX_HEADER_BYTES;
        let fields = reply.headers.iter().take(MAX_HEADERS).map_while(|(name, value)| {
            let value = value.to_str().ok()?;
            room = room.checked_sub(name.as_str().len() + value.len())?;
            Some(FieldResult { name: name.as_str().into(), value: value.into() })
        });
        Self {
            status: reply.status,
            headers: fields.collect(),
            body: reply.body,
            truncated: reply.truncated,
        }
    }
}
