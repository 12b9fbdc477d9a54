//! The outbox of `dev`: as JSON for scripts, and as a page for people.

use std::fmt::Write;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{self, ConnectInfo, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use serde_json::Value;

use super::caller::Machine;
use super::problem::{Problem, ProblemDocument};
use super::{Api, Outbox, State};
use crate::auth::Scope;

const STYLE: &str = "body{margin:0 auto;max-width:760px;padding:24px;background:#eceff1;\
    color:#1f2933;font:15px/1.5 system-ui,sans-serif}\
    article{background:#fff;border-radius:8px;box-shadow:0 1px 3px #0003;overflow:hidden;\
    margin:0 0 20px}\
    header{padding:10px 16px;border-bottom:1px solid #e4e7eb}header b{display:block}\
    header span{color:#616e7c;font-size:13px}\
    iframe{display:block;border:0;width:100%;height:560px;background:#fff}\
    pre{margin:0;padding:12px 16px;white-space:pre-wrap;overflow-wrap:anywhere;\
    font:13px/1.5 ui-monospace,monospace}\
    details{border-top:1px solid #e4e7eb}summary{padding:8px 16px;cursor:pointer}";

/// Messages of a page: the newest.
const SHOWN: usize = 200;

#[utoipa::path(
    get, path = "/dev/outbox", tag = "dev",
    description = "`dev` only; oldest first. With `Accept: text/html` a page, newest first, that a \
        browser on this machine sees without a key.",
    responses(
        (status = 200, description = "What the capture provider holds", body = [Object]),
        (status = 404, description = "This is not `dev`", body = ProblemDocument),
    ),
)]
pub async fn show(extract::State(api): Api, request: Request) -> Result<Response, Problem> {
    let (mut parts, _) = request.into_parts();
    let wants_page = accepts_html(&parts);
    if !(wants_page && is_own_browser(&parts)) {
        Machine::from_request_parts(&mut parts, &api).await?.needs(Scope::MessagesRead)?;
    }
    let held = captured(&api)?.list();
    if !wants_page {
        return Ok(axum::Json(held).into_response());
    }
    let mut response = Html(page(&held)).into_response();
    let policy = HeaderValue::from_static(
        "default-src 'none'; style-src 'unsafe-inline'; img-src https: data:; frame-src 'self'; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    );
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    Ok(response)
}

#[utoipa::path(
    delete, path = "/dev/outbox", tag = "dev", description = "`dev` only.",
    responses(
        (status = 204, description = "It is empty"),
        (status = 404, description = "This is not `dev`", body = ProblemDocument),
    ),
)]
pub async fn clear(extract::State(api): Api, machine: Machine) -> Result<StatusCode, Problem> {
    machine.needs(Scope::MessagesWrite)?;
    captured(&api)?.clear();
    Ok(StatusCode::NO_CONTENT)
}

fn captured(api: &State) -> Result<&Arc<dyn Outbox>, Problem> {
    api.outbox.as_ref().ok_or_else(|| Problem::no_such_path("/dev/outbox"))
}

fn accepts_html(parts: &Parts) -> bool {
    let accept = parts.headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    accept.is_some_and(|accept| accept.contains("text/html"))
}

/// From this machine, and asked for by its own name: a page of elsewhere whose name was made to
/// lead here is not.
fn is_own_browser(parts: &Parts) -> bool {
    let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
    let near = peer.is_some_and(|ConnectInfo(peer)| peer.ip().to_canonical().is_loopback());
    let host = parts.headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let name = host.and_then(|host| host.parse::<axum::http::uri::Authority>().ok());
    let own = ["localhost", "127.0.0.1", "[::1]"];
    near && name.is_some_and(|name| own.contains(&name.host()))
}

/// It stands alone: nothing is loaded but a mail's own pictures, and no mail runs a script.
fn page(held: &[Value]) -> String {
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>Outbox</title>\
         <style>{STYLE}</style></head><body><h1>Outbox</h1>\n"
    );
    if held.is_empty() {
        page.push_str("<p>Nothing was sent yet.</p>\n");
    }
    for message in held.iter().rev().take(SHOWN) {
        card(&mut page, message);
    }
    page.push_str("</body></html>\n");
    page
}

fn card(page: &mut String, message: &Value) {
    let text = |name: &str| message.get(name).and_then(Value::as_str);
    let shown = |name: &str| escaped(text(name).unwrap_or_default());
    let subject = text("subject").or(text("title")).unwrap_or("(no subject)");
    // A `String` takes whatever is written.
    let _ = writeln!(
        page,
        "<article><header><b>{}</b><span>{} to {} at {}</span></header>",
        escaped(subject),
        shown("channel"),
        shown("to"),
        shown("at"),
    );
    let _ = match text("html") {
        Some(html) => write!(
            page,
            "<iframe sandbox srcdoc=\"{}\" title=\"{}\"></iframe>\n\
             <details><summary>Text</summary><pre>{}</pre></details>",
            escaped(html),
            escaped(subject),
            shown("text"),
        ),
        None => write!(page, "<pre>{}</pre>", shown("body")),
    };
    page.push_str("</article>\n");
}

fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            other => safe.push(other),
        }
    }
    safe
}
