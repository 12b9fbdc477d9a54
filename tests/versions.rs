//! A run keeps the version it began with, and a deploy says so.

use serde_json::{Value, json};

use crate::harness::node::Installation;

const WORKFLOW: &str = "workflow: order
on: order.placed
category: system
recipients:
  - user: event.data.customer
steps:
  - delay: 1d
  - send: in_app
    template: order
";

#[tokio::test]
async fn a_deploy_tells_what_runs_hold_and_the_command_lists_it() {
    let installation = Installation::empty()
        .file("workflows/order.yaml", WORKFLOW)
        .file("templates/order/in_app.hbs", "---\ntitle: Order\n---\nThank you.\n")
        .file("nuncio.toml", "[auth]\nsecret = \"a secret that only tests know\"\n");
    let node = installation.run().await;
    node.put_user("ann", json!({"email": "ann@example.org"})).await;
    for _ in 0..2 {
        node.emit("order.placed", json!({"customer": "ann"})).await;
    }
    let (_, before) = node.call("GET", "/v1/workflows", None).await;
    let first = before["results"][0]["version"].as_str().expect("a version").to_owned();

    installation.write("workflows/order.yaml", &WORKFLOW.replace("1d", "2d"));
    let (status, report) = node.call("POST", "/v1/workflows/reload", Some(json!({}))).await;
    let report_wanted = json!({"reloaded": true, "problems": [], "runs_on_older_versions": 2});
    assert_eq!((status, report), (200, report_wanted));
    node.emit("order.placed", json!({"customer": "ann"})).await;

    let listed = node.command(&["workflows", "versions", "--format", "json"]).await;
    assert_eq!(listed.code, Some(0), "{listed:?}");
    let rows: Value = serde_json::from_str(&listed.stdout).expect("JSON");
    assert_eq!((&rows[0]["workflow"], &rows[0]["runs"]), (&json!("order"), &json!(1)));
    assert_ne!(rows[0]["version"], json!(first));
    assert_eq!(rows[0]["older"], json!([{"version": first, "runs": 2}]));
    let shown = node.command(&["workflows", "versions"]).await.stdout;
    assert!(shown.contains(&format!("{}  older, 2 unfinished runs", &first[..12])), "{shown}");

    // A broken set is refused whole; what was in force stays, and its problems are told.
    installation.write("workflows/order.yaml", &WORKFLOW.replace("steps:", "stpes:"));
    let (status, report) = node.call("POST", "/v1/workflows/reload", Some(json!({}))).await;
    assert_eq!((status, &report["reloaded"]), (200, &json!(false)));
    assert_eq!(report["problems"][0]["path"], "workflows/order.yaml");
    let refused = node.command(&["workflows", "reload"]).await;
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.stderr.contains("workflows/order.yaml:6:1"), "{}", refused.stderr);

    // A file that is gone leaves its runs behind, and a start says so.
    std::fs::remove_file(installation.path("workflows/order.yaml")).expect("it was there");
    let reloaded = node.command(&["workflows", "reload"]).await;
    assert_eq!(reloaded.code, Some(0), "{reloaded:?}");
    assert!(reloaded.stderr.contains("3 unfinished runs on older versions"), "{reloaded:?}");
    let gone = node.command(&["workflows", "versions"]).await.stdout;
    assert!(gone.contains("order  no file any more"), "{gone}");
    let key = node.api_key.clone();
    assert_eq!(node.stop().await, Some(0));
    let mut again = installation.run_with(&key).await;
    again.says("unfinished runs").await;
    assert!(again.said().contains("3 unfinished runs hold older versions"), "{}", again.said());
    assert_eq!(again.stop().await, Some(0));
}

#[tokio::test]
async fn a_key_that_may_only_read_cannot_reload() {
    let installation = Installation::empty()
        .file("nuncio.toml", "[auth]\nsecret = \"a secret that only tests know\"\n");
    let new = ["key", "new", "--name", "reader", "--scopes", "admin:read"];
    let key = installation.command(&new).await;
    let node = installation.run_with(key.stdout.trim()).await;

    let (status, _) = node.call("GET", "/v1/workflows", None).await;
    assert_eq!(status, 200);
    let (status, problem) = node.call("POST", "/v1/workflows/reload", Some(json!({}))).await;
    assert_eq!((status, &problem["code"]), (403, &json!("forbidden")));
    assert_eq!(node.command(&["workflows", "reload"]).await.code, Some(3));
}
