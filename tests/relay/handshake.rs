use std::time::Duration;

use nuncio::config;
use serde_json::json;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::handshake::client::Request;

use super::client::{Client, refused, request};
use crate::server::{Options, Server, answer};

fn bare(server: &Server, path: &str) -> Request {
    let url = format!("ws://{}/ws/notifications/{path}", server.address);
    url.into_client_request().expect("it is a URL")
}

fn with(mut request: Request, header: &'static str, value: &str) -> Request {
    request.headers_mut().insert(header, value.parse().expect("it is a header"));
    request
}

#[tokio::test]
async fn a_token_comes_in_one_of_three_ways() {
    let server = Server::start().await;
    let token = server.token("42", None);
    for path in ["42", "42/"] {
        let request = with(bare(&server, path), "authorization", &format!("Bearer {token}"));
        let (socket, _) = connect_async(request).await.expect("it is let in");
        Client::begin(socket).await;
    }
    let offered = format!("nuncio.v1, bearer.{token}");
    let request = with(bare(&server, "42/"), "sec-websocket-protocol", &offered);
    let (socket, response) = connect_async(request).await.expect("it is let in");
    assert_eq!(response.headers()["sec-websocket-protocol"], "nuncio.v1");
    Client::begin(socket).await;
    Client::connect(&server, "42").await;
}

#[tokio::test]
async fn who_may_not_come_in_is_told_before_the_upgrade() {
    let server = Server::start().await;
    let old = server.token_for("42", None, Duration::ZERO);
    server.clock.advance(Duration::from_secs(60));
    for request in [bare(&server, "42/"), request(&server, "42", "x"), request(&server, "42", &old)]
    {
        let (status, body) = refused(request).await;
        assert_eq!((status, &body["error"]["code"]), (401, &json!("NOTIF_008")));
    }
    let (status, body) = refused(request(&server, "43", &server.token("42", None))).await;
    assert_eq!((status, &body["error"]["code"]), (403, &json!("NOTIF_008")));
    Client::open(&server, "43", &server.token("1", Some("admin"))).await;

    let plain = server.user("42", "GET", "/ws/notifications/42/");
    assert_eq!(answer(plain).await.0, 426);
    let plain = server.anonymous("GET", "/ws/notifications/42/").send().await;
    let plain = plain.expect("it answers");
    assert_eq!(plain.status(), 401);
    assert!(plain.headers().contains_key("www-authenticate"));
    let (status, body) = answer(server.anonymous("GET", "/ws/nothing/")).await;
    assert_eq!((status, &body["error"]["code"]), (404, &json!("NOTIF_001")));
}

#[tokio::test]
async fn pages_of_other_origins_are_kept_out() {
    let allowed_origins = vec!["https://app.example".into()];
    let server = config::Server { allowed_origins, ..Default::default() };
    let server = Server::with(Options { server, ..Options::default() }).await;
    let from =
        |origin: &str| with(request(&server, "42", &server.token("42", None)), "origin", origin);
    let own = format!("http://{}", server.address);
    for allowed in ["https://app.example", own.as_str()] {
        connect_async(from(allowed)).await.expect(allowed);
    }
    for other in ["https://evil.example", "http://app.example", "http://127.0.0.1:1", "null"] {
        let (status, body) = refused(from(other)).await;
        assert_eq!((status, &body["error"]["code"]), (403, &json!("NOTIF_008")), "{other}");
    }
}

#[tokio::test]
async fn connections_are_counted_by_user_address_and_in_all() {
    let full = |relay: config::Relay| Server::with(Options { relay, ..Options::default() });
    let limits = config::Relay::default;
    let of_user = full(config::Relay { max_connections_per_user: 2, ..limits() }).await;
    let of_address = full(config::Relay { max_connections_per_address: 2, ..limits() }).await;
    let of_all = full(config::Relay { max_connections: 2, ..limits() }).await;
    for (server, other) in [(&of_user, "42"), (&of_address, "43"), (&of_all, "43")] {
        let one = Client::connect(server, "42").await;
        let _two = Client::connect(server, other).await;
        let again = || request(server, other, &server.token(other, None));
        let (status, body) = refused(again()).await;
        assert_eq!((status, &body["error"]["code"]), (429, &json!("NOTIF_007")));
        one.close().await;
        super::client::eventually(|| server.hub.connections() == 1).await;
        connect_async(again()).await.expect("there is room again");
    }
}
