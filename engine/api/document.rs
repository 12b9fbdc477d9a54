//! The OpenAPI document, made from the handlers, and a page that shows it.

use std::sync::LazyLock;

use axum::http::{HeaderValue, header};
use axum::response::{Html, IntoResponse, Response};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi};

use super::{
    audit, callbacks, catalog, events, explained, inbox, letters, messages, operate, outbox, rooms,
    runs, topics, users,
};

/// Everything that is served, but the relay.
#[derive(OpenApi)]
#[openapi(
    info(title = "Nuncio", description = "A notification delivery engine."),
    paths(
        events::create, events::show, explained::event,
        users::replace, users::change, users::show, users::erase, users::bulk,
        topics::subscribe, topics::unsubscribe, topics::subscribers,
        messages::list, messages::show, explained::message, messages::retry, messages::cancel,
        letters::list, letters::redrive, audit::list, callbacks::receive,
        runs::cancel, runs::calendar,
        rooms::relay, rooms::join, rooms::leave, rooms::tell,
        catalog::workflows, catalog::reload, catalog::channels,
        outbox::show, outbox::clear, operate::live, operate::ready, operate::metrics,
        json, page,
        inbox::list::list, inbox::entry::show, inbox::entry::change, inbox::entry::erase,
        inbox::bulk::mark_all, inbox::bulk::mark_many, inbox::bulk::delete_many,
        inbox::entry::unread,
        inbox::devices::list, inbox::devices::register, inbox::devices::change,
        inbox::devices::erase,
        inbox::preferences::show, inbox::preferences::replace, inbox::preferences::change,
    ),
    modifiers(&Bearer),
)]
struct Document;

/// `api_key` for machines and `token` for end users, told apart by the path.
struct Bearer;

impl Modify for Bearer {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        use utoipa::openapi::SecurityRequirement;

        let components = document.components.get_or_insert_default();
        let bearer = |text: &str| {
            let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer);
            SecurityScheme::Http(scheme.description(Some(text)).build())
        };
        components.add_security_scheme("api_key", bearer("`nuncio key new`"));
        components.add_security_scheme("token", bearer("An end user's JSON Web Token"));
        for (path, item) in &mut document.paths.paths {
            let name = if path.starts_with("/api/") { "token" } else { "api_key" };
            let operations =
                [&mut item.get, &mut item.put, &mut item.post, &mut item.delete, &mut item.patch];
            for operation in operations.into_iter().flatten() {
                let none: [&str; 0] = [];
                operation.security.get_or_insert(vec![SecurityRequirement::new(name, none)]);
            }
        }
    }
}

/// The document as JSON.
pub fn openapi() -> &'static str {
    static TEXT: LazyLock<String> =
        LazyLock::new(|| Document::openapi().to_json().unwrap_or_default());
    &TEXT
}

#[utoipa::path(
    get, path = "/openapi.json", tag = "operation", security(()),
    responses((status = 200, description = "This document")),
)]
pub async fn json() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], openapi()).into_response()
}

#[utoipa::path(
    get, path = "/docs", tag = "operation", security(()),
    responses((status = 200, description = "This document, for people", content_type = "text/html")),
)]
pub async fn page() -> Response {
    let mut response = Html(include_str!("docs.html")).into_response();
    let policy = HeaderValue::from_static(
        "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; \
         connect-src 'self'; base-uri 'none'; frame-ancestors 'none'",
    );
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    response
}
