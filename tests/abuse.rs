//! What comes too fast, too slowly, too large or too often is bounded, at a real node.

use std::time::Duration;

use serde_json::{Value, json};
use sqlx::Connection;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::harness::node::{Installation, Node, PATIENCE};

/// More than a node holds while it is attacked: an idle one has some 40 MB in a debug build.
const MOST_BYTES: u64 = 400 << 20;

/// A node with these settings of `[server]`.
async fn node(server: &str) -> Node {
    let config = format!("[server]\n{server}\n[auth]\nsecret = \"only tests know\"\n");
    Installation::empty().file("nuncio.toml", &config).run().await
}

async fn connect(node: &Node) -> TcpStream {
    let address = node.url.strip_prefix("http://").expect("an address");
    TcpStream::connect(address).await.expect("a connection")
}

/// Everything until the other side closes; what breaks ends it too.
async fn rest(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    let reading = timeout(PATIENCE, async {
        let mut piece = [0; 4096];
        while let Ok(count @ 1..) = stream.read(&mut piece).await {
            text.extend_from_slice(&piece[..count]);
        }
    });
    reading.await.expect("it is closed");
    String::from_utf8(text).expect("UTF-8")
}

fn head(node: &Node, more: &str) -> String {
    let key = &node.api_key;
    format!("POST /v1/events HTTP/1.1\r\nhost: n\r\nauthorization: Bearer {key}\r\n{more}\r\n\r\n")
}

async fn lives(node: &Node) {
    assert_eq!(node.call("GET", "/readyz", None).await.0, 200);
    let held = node.resident_bytes();
    assert!(held < MOST_BYTES, "{held} bytes");
}

#[tokio::test]
async fn headers_in_drops_are_not_waited_for() {
    let node = node("header_timeout = \"200ms\"").await;
    let mut slow = connect(&node).await;
    slow.write_all(b"GET /healthz HTTP/1.1\r\nhost:").await.expect("it is open");
    let told = rest(&mut slow).await;
    assert!(told.is_empty() || told.starts_with("HTTP/1.1 408"), "{told}");
    lives(&node).await;
}

#[tokio::test]
async fn a_body_in_drops_is_not_waited_for() {
    let node = node("body_timeout = \"200ms\"").await;
    for framing in ["content-length: 100", "transfer-encoding: chunked"] {
        let mut slow = connect(&node).await;
        let piece = if framing.contains("chunked") { "1\r\n{\r\n" } else { "{" };
        let request = head(&node, &format!("{framing}\r\nconnection: close")) + piece;
        slow.write_all(request.as_bytes()).await.expect("it is open");
        let told = rest(&mut slow).await;
        assert!(told.starts_with("HTTP/1.1 408"), "{told}");
        assert!(told.contains("body.too_slow"), "{told}");
    }
    let mut lines = connect(&node).await;
    let request = head(&node, "transfer-encoding: chunked\r\ncontent-type: application/x-ndjson");
    lines.write_all(request.as_bytes()).await.expect("it is open");
    assert!(rest(&mut lines).await.contains("body.too_slow"));
    lives(&node).await;
}

#[tokio::test]
async fn a_body_without_end_is_refused() {
    let node = node("").await;
    let mut announced = connect(&node).await;
    let request = head(&node, "content-length: 1099511627776\r\nconnection: close");
    announced.write_all(request.as_bytes()).await.expect("it is open");
    let told = rest(&mut announced).await;
    assert!(told.starts_with("HTTP/1.1 413"), "{told}");

    let (mut reading, mut writing) = connect(&node).await.into_split();
    let request = head(&node, "transfer-encoding: chunked\r\nconnection: close");
    writing.write_all(request.as_bytes()).await.expect("it is open");
    let chunk = format!("{:x}\r\n{}\r\n", 1 << 20, " ".repeat(1 << 20));
    let pouring = async {
        let mut poured = 0;
        while poured < 1000 && writing.write_all(chunk.as_bytes()).await.is_ok() {
            poured += 1;
        }
        poured
    };
    let hearing = async {
        let mut text = Vec::new();
        let _ = reading.read_to_end(&mut text).await;
        text
    };
    let (poured, heard) =
        timeout(PATIENCE, async { tokio::join!(pouring, hearing) }).await.unwrap();
    assert!(poured < 100, "{poured} MiB were taken");
    let heard = String::from_utf8_lossy(&heard);
    assert!(heard.is_empty() || heard.starts_with("HTTP/1.1 413"), "{heard}");
    lives(&node).await;
}

#[tokio::test]
async fn an_encoded_body_is_refused() {
    let node = node("").await;
    let mut stream = connect(&node).await;
    let more = "content-encoding: gzip\r\ncontent-length: 4\r\nconnection: close";
    let request = head(&node, more) + "\x1f\x08\x00\x00";
    stream.write_all(request.as_bytes()).await.expect("it is open");
    let told = rest(&mut stream).await;
    assert!(told.starts_with("HTTP/1.1 415") && told.contains("body.encoded"), "{told}");
}

#[tokio::test]
async fn an_array_of_a_million_is_refused() {
    let node = node("").await;
    let array = |count: usize| format!("[{}]", vec!["{\"name\":\"a\"}"; count].join(","));
    // Past what is read and dropped, a client that reads late may only see that it is closed.
    let million = array(1_000_000);
    let (mut reading, mut writing) = connect(&node).await.into_split();
    let request = head(&node, &format!("content-length: {}\r\nconnection: close", million.len()));
    let writing = async {
        let sent = writing.write_all((request + &million).as_bytes()).await;
        drop(sent);
    };
    let hearing = async {
        let mut text = Vec::new();
        let _ = reading.read_to_end(&mut text).await;
        text
    };
    let (_, heard) = timeout(PATIENCE, async { tokio::join!(writing, hearing) }).await.unwrap();
    let heard = String::from_utf8_lossy(&heard);
    assert!(heard.is_empty() || heard.starts_with("HTTP/1.1 413"), "{heard}");
    for count in [700_000, 150_000] {
        let (status, problem) =
            node.send("POST", "/v1/events", &node.api_key, Some(array(count))).await;
        assert_eq!((status, &problem["code"]), (413, &json!("body.too_large")), "{count}");
    }
    lives(&node).await;
}

#[tokio::test]
async fn a_flood_is_told_to_come_again_and_nothing_is_half_stored() {
    const CALLS: usize = 1000;
    let node = node("max_intake = 1048576").await;
    // Another holds the database's only right to write: accepts wait, as at a disk that is slow.
    let file = node.path(".").join("nuncio.db");
    let url = format!("sqlite:{}", file.display());
    let mut other = sqlx::SqliteConnection::connect(&url).await.expect("it opens");
    sqlx::query("BEGIN IMMEDIATE").execute(&mut other).await.expect("it is free");
    let calls = (0..CALLS).map(|_| {
        let event = json!({"name": "order.placed", "data": {"text": "x".repeat(1000)}});
        node.call("POST", "/v1/events", Some(event))
    });
    let mut calls: futures_util::stream::FuturesUnordered<_> = calls.collect();
    let mut statuses = std::collections::BTreeMap::<u16, usize>::new();
    let mut next = async || futures_util::StreamExt::next(&mut calls).await;
    // 128 of 8 KiB each fit; all others hear so while nothing can be written.
    for _ in 0..CALLS - 128 {
        let (status, problem): (u16, Value) = next().await.expect("an answer");
        assert_eq!((status, &problem["code"]), (429, &json!("overloaded")));
        *statuses.entry(status).or_default() += 1;
    }
    let held = node.resident_bytes();
    assert!(held < MOST_BYTES, "{held} bytes");
    sqlx::query("ROLLBACK").execute(&mut other).await.expect("it gives it back");
    while let Some((status, _)) = next().await {
        *statuses.entry(status).or_default() += 1;
    }
    assert_eq!(statuses, [(202, 128), (429, CALLS - 128)].into());
    let stored: i64 = sqlx::query_scalar("SELECT count(*) FROM event")
        .fetch_one(&mut other)
        .await
        .expect("it reads");
    assert_eq!(stored, 128);
}

#[tokio::test]
async fn one_connection_too_many_is_told_so() {
    let node = node("max_connections = 20").await;
    let mut held = Vec::new();
    for _ in 0..20 {
        let mut stream = connect(&node).await;
        stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: n\r\n\r\n").await.expect("it is open");
        let mut piece = [0; 12];
        timeout(PATIENCE, stream.read_exact(&mut piece)).await.expect("in time").expect("answers");
        assert_eq!(&piece, b"HTTP/1.1 200");
        held.push(stream);
    }
    let told = rest(&mut connect(&node).await).await;
    assert!(told.starts_with("HTTP/1.1 503") && told.contains("retry-after: 1"), "{told}");
    let (_, body) = told.split_once("\r\n\r\n").expect("a body");
    let length = format!("content-length: {}", body.len());
    assert!(told.contains(&length), "{told}");
    let problem: Value = serde_json::from_str(body).expect("JSON");
    assert_eq!(problem["code"], "connections");
    held.pop();
    // The place is free once the node has seen the end of it.
    let answered = timeout(PATIENCE, async {
        loop {
            let mut stream = connect(&node).await;
            let request = b"GET /healthz HTTP/1.1\r\nhost: n\r\nconnection: close\r\n\r\n";
            let _ = stream.write_all(request).await;
            if rest(&mut stream).await.starts_with("HTTP/1.1 200") {
                return;
            }
        }
    });
    answered.await.expect("a place comes free");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_idle_connections_leave_room_for_work() {
    const MANY: usize = 10_000;
    let (_, hard) = nix::sys::resource::getrlimit(nix::sys::resource::Resource::RLIMIT_NOFILE)
        .expect("it is told");
    nix::sys::resource::setrlimit(nix::sys::resource::Resource::RLIMIT_NOFILE, hard, hard)
        .expect("up to the hard limit");
    assert!(hard > MANY as u64 + 2000, "this machine allows {hard} open files");
    let node = node("").await;
    let mut held = Vec::with_capacity(MANY);
    for _ in 0..MANY {
        let mut stream = connect(&node).await;
        stream.write_all(b"GET /healthz HTTP/1.1\r\n").await.expect("it is open");
        held.push(stream);
    }
    let event = json!({"name": "order.placed", "data": {}});
    let answer = timeout(Duration::from_secs(10), node.call("POST", "/v1/events", Some(event)));
    assert_eq!(answer.await.expect("an answer soon").0, 202);
    lives(&node).await;
}
