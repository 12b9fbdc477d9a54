use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::{OPEN, SECRET, clinic};
use crate::harness::node::Node;

const LIST: &str = "/api/notifications/";
const TOKEN: &str = "device-token-of-a-tamarind";

/// Files of the store that hold `text`, the write-ahead log included.
fn holding(data: &Path, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(data).expect("a folder").flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with("nuncio.db") {
            let bytes = fs::read(entry.path()).expect("a file");
            if bytes.windows(text.len()).any(|window| window == text.as_bytes()) {
                found.push(name);
            }
        }
    }
    found
}

async fn titles(node: &Node, token: &str, query: &str) -> Vec<String> {
    let (status, page) = node.send("GET", &format!("{LIST}?{query}"), token, None).await;
    assert_eq!(status, 200, "{page}");
    let results = page["results"].as_array().expect("a list");
    results.iter().map(|one| one["title"].as_str().expect("text").to_owned()).collect()
}

#[tokio::test]
async fn what_is_sensitive_is_on_no_disk_and_in_no_log_and_its_owner_reads_it() {
    let clinic = clinic();
    clinic.write("nuncio.toml", "[telemetry]\nlog = \"debug\"\n");
    let node = clinic.dev().await;
    node.put_user("42", json!({"email": "ada@example.org", "phone": "+21620000001"})).await;
    let token = node.token("42").await;
    let device = json!({"device_token": TOKEN, "device_type": "ios"}).to_string();
    let (status, _) = node.send("POST", &format!("{LIST}devices/"), &token, Some(device)).await;
    assert_eq!(status, 201);
    let (mut socket, _) = node.connect("42").await;

    let guest = json!({"email": format!("{SECRET}@example.org")});
    let data = json!({"user": 42, "finding": SECRET, "guest": guest});
    let event = node.emit("result.ready", data.clone()).await;
    let told = socket.frame().await;
    assert_eq!(told["data"]["title"], format!("About {SECRET}"));
    node.emit("notice.ready", json!({"user": 42, "finding": OPEN})).await;
    node.outbox(7).await;

    let (_, shown) = node.call("GET", &format!("/v1/events/{event}"), None).await;
    assert_eq!(shown["data"], data, "{shown}");
    let mut all = titles(&node, &token, "").await;
    all.sort();
    assert_eq!(all, [format!("About {SECRET}"), format!("About {OPEN}")]);
    assert!(titles(&node, &token, &format!("search={SECRET}")).await.is_empty());
    assert_eq!(titles(&node, &token, "search=letter").await, [format!("About {SECRET}")]);
    let rows = node.explained(&event, |rows: &[Value]| rows.len() >= 6).await;
    assert!(!json!(rows).to_string().contains(SECRET), "{rows:?}");

    let data = clinic.path(".nuncio");
    let running = node.said();
    assert!(running.contains("DEBUG"), "the logs say much: {running}");
    for (hidden, why) in [(SECRET, "a finding"), (TOKEN, "a device's token")] {
        assert_eq!(holding(&data, hidden), [""; 0], "{why}");
        assert!(!running.contains(hidden), "{why}: {running}");
    }
    assert!(!holding(&data, OPEN).is_empty(), "what is not sensitive is there to be found");
    node.kill().await;
    assert_eq!(holding(&data, SECRET), [""; 0], "after a crash");

    let again = clinic.dev().await;
    assert_eq!(titles(&again, &token, "search=letter").await, [format!("About {SECRET}")]);
    let (_, shown) = again.call("GET", &format!("/v1/events/{event}"), None).await;
    assert_eq!(shown["data"]["finding"], SECRET, "the key is kept from start to start");
}

#[tokio::test]
async fn the_key_of_a_laptop_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt;

    let clinic = clinic();
    let node = clinic.dev().await;
    let key = clinic.path(".nuncio/encryption.key");
    let mode = fs::metadata(&key).expect("the key is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let first = fs::read_to_string(&key).expect("it is text");
    assert!(first.trim().len() >= 32, "it is long enough");
    assert_eq!(node.stop().await, Some(0));
    let node = clinic.dev().await;
    assert_eq!(fs::read_to_string(&key).expect("it is text"), first);
    assert!(!node.said().contains(first.trim()));
}
