use serde_json::{Value, json};

use super::{WORKFLOW, shop};

const BROKEN: &str = "workflow: broken
on: order.placed
category: system
recipients:
  - user: event.data.customer +
steps:
  - sned: email
  - send: email
    template: absent
";

#[tokio::test]
async fn check_tells_every_problem_with_its_place() {
    let installation = shop().file("workflows/broken.yaml", BROKEN);

    let text = installation.command(&["check"]).await;
    assert_eq!(text.code, Some(1), "{text:?}");
    for place in
        ["workflows/broken.yaml:5:", "workflows/broken.yaml:7:", "workflows/broken.yaml:9:"]
    {
        assert!(text.stdout.contains(place), "{place} in\n{}", text.stdout);
    }
    assert!(text.stdout.contains('^') || text.stdout.contains('─'), "{}", text.stdout);
    assert!(text.stdout.contains("did you mean `send`?"), "{}", text.stdout);
    assert!(!text.stdout.contains("recipients.missing"), "a consequence is no problem of its own");
    let listed = installation.command(&["check", "--format", "json"]).await;
    assert_eq!(listed.code, Some(1));
    let problems: Value = serde_json::from_str(&listed.stdout).expect("JSON");
    assert!(listed.stdout.contains("workflows/broken.yaml"), "{problems}");
    let github = installation.command(&["check", "--format", "github"]).await;
    assert_eq!(github.code, Some(1));
    let annotation = "::error file=workflows/broken.yaml,line=5,";
    assert!(github.stdout.contains(annotation), "{}", github.stdout);

    let right = shop().command(&["check"]).await;
    assert_eq!(right.code, Some(0), "{right:?}");
}

#[tokio::test]
async fn a_broken_set_is_refused_in_production_and_told_in_development() {
    let installation = shop()
        .file("workflows/broken.yaml", BROKEN)
        .file("nuncio.toml", "[auth]\nsecret = \"a secret that only tests know\"\n");

    let run = installation.command(&["run"]).await;

    assert_eq!(run.code, Some(1), "{run:?}");
    assert!(run.stderr.contains("workflows/broken.yaml:5:"), "{}", run.stderr);
    assert!(run.stderr.contains('^') || run.stderr.contains('─'), "{}", run.stderr);
    let mut node = installation.dev().await;
    assert!(node.said().contains("workflows/broken.yaml:5:"), "{}", node.said());
    let (status, _) = node.call("GET", "/healthz", None).await;
    assert_eq!(status, 200);

    // Mended, it is read again without a restart; broken again, the good set stays in force.
    std::fs::remove_file(installation.path("workflows/broken.yaml")).expect("it was there");
    node.says("read again").await;
    node.put_user("ann", json!({"email": "ann@example.org"})).await;
    node.emit("order.placed", json!({"customer": "ann"})).await;
    assert_eq!(node.outbox(1).await.len(), 1);
    installation.write("workflows/order.yaml", &WORKFLOW.replace("steps:", "stpes:"));
    node.says("what was loaded before stays in force").await;
    node.emit("order.placed", json!({"customer": "ann"})).await;
    assert_eq!(node.outbox(2).await.len(), 2);
}

#[tokio::test]
async fn workflows_that_emit_in_a_circle_are_refused() {
    let circle = "workflow: circle
on: circle.turned
category: system
recipients:
  - user: event.data.who
steps:
  - emit: { event: circle.turned, data: { who: event.data.who } }
";
    let installation = shop().file("workflows/circle.yaml", circle);

    let text = installation.command(&["check"]).await;

    assert_eq!(text.code, Some(1), "{text:?}");
    assert!(text.stdout.contains("error[emit.cycle]"), "{}", text.stdout);
    assert!(text.stdout.contains("workflows/circle.yaml:7:"), "{}", text.stdout);
}
