use std::sync::Arc;
use std::time::Duration;

use reqwest::header::HeaderMap;
use reqwest::{Certificate, Client, ClientBuilder, Method, Proxy};

use super::resolver::Guard;
use super::{
    EgressError, MAX_HEADERS, MAX_REPLY_BYTES, MAX_REQUEST_BYTES, Policy, SetupError, Target,
};

/// Within an attempt's time, so that a dead host is told from a silent one.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Shorter than what most servers and balancers keep.
const IDLE_TIMEOUT: Duration = Duration::from_secs(50);

pub struct Request {
    pub method: Method,
    pub target: Target,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

pub struct Reply {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
    /// The body was longer than [`MAX_REPLY_BYTES`], or broke off.
    pub truncated: bool,
}

pub(super) fn build(policy: &Policy, guard: Option<Arc<Guard>>) -> Result<Client, SetupError> {
    match configure(policy, guard.clone())?.build() {
        Ok(client) => Ok(client),
        // A bare container has no certificate authorities: plain HTTP works there all the same.
        Err(why) => {
            tracing::warn!(%why, "no certificate authorities: https requests will fail");
            let none = configure(policy, guard)?.tls_certs_only(Vec::new());
            none.build().map_err(SetupError::Client)
        }
    }
}

fn configure(policy: &Policy, guard: Option<Arc<Guard>>) -> Result<ClientBuilder, SetupError> {
    let mut builder = Client::builder()
        .user_agent(concat!("nuncio/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        // The environment's proxies are not ours: `egress.proxy` is.
        .no_proxy()
        .connect_timeout(CONNECT_TIMEOUT)
        .pool_idle_timeout(IDLE_TIMEOUT)
        .http1_max_headers(MAX_HEADERS)
        .http2_max_header_list_size(super::MAX_HEADER_BYTES as u32);
    if let Some(guard) = guard {
        builder = builder.dns_resolver(guard);
    }
    if let Some(proxy) = &policy.proxy {
        builder = builder.proxy(Proxy::all(proxy.clone()).map_err(SetupError::Proxy)?);
    }
    if let Some(pem) = &policy.ca {
        let certificates = Certificate::from_pem_bundle(pem).map_err(SetupError::Certificates)?;
        builder = builder.tls_certs_merge(certificates);
    }
    Ok(builder)
}

pub(super) async fn send(
    client: &Client,
    request: Request,
    timeout: Duration,
) -> Result<Reply, EgressError> {
    if request.body.len() > MAX_REQUEST_BYTES {
        return Err(EgressError::TooLarge { limit: MAX_REQUEST_BYTES });
    }
    let mut outgoing = reqwest::Request::new(request.method, request.target.url);
    *outgoing.headers_mut() = request.headers;
    *outgoing.timeout_mut() = Some(timeout);
    if !request.body.is_empty() {
        *outgoing.body_mut() = Some(request.body.into());
    }
    let mut response = client.execute(outgoing).await?;
    let headers = std::mem::take(response.headers_mut());
    let (body, truncated) = read(&mut response).await;
    Ok(Reply { status: response.status().as_u16(), headers, body, truncated })
}

/// Once there is a status, there is an answer: a body that breaks off does not take it back.
async fn read(response: &mut reqwest::Response) -> (Vec<u8>, bool) {
    let mut body = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) => {
                let room = MAX_REPLY_BYTES - body.len();
                body.extend_from_slice(&chunk[..chunk.len().min(room)]);
                if chunk.len() > room {
                    return (body, true);
                }
            }
            Ok(None) => return (body, false),
            Err(_) => return (body, true),
        }
    }
}
