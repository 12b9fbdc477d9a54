//! A folder to begin with.

use serde_json::json;

use crate::harness::node::Installation;

#[tokio::test]
async fn a_new_folder_is_sound_and_runs_and_is_not_written_over() {
    let installation = Installation::empty();

    let made = installation.command(&["init"]).await;
    assert_eq!(made.code, Some(0), "{made:?}");
    assert!(made.stdout.contains("workflows/hello/welcome.yaml"), "{}", made.stdout);
    let checked = installation.command(&["check", "--format", "json"]).await;
    assert_eq!((checked.code, checked.stdout.trim()), (Some(0), "[]"), "not even a warning");
    let header = std::fs::read_to_string(installation.path("workflows/hello/welcome.yaml"));
    let header = header.expect("it is there");
    let schema = header.lines().next().and_then(|line| line.split_once("$schema="));
    let schema = schema.expect("editors are told").1;
    assert!(installation.path("workflows/hello").join(schema).exists(), "{schema}");

    let node = installation.dev().await;
    node.put_user("42", json!({"first_name": "Ada", "email": "ada@example.com"})).await;
    let sample = "workflows/hello/samples/member_joined.json";
    let emitted = node.command(&["emit", "member.joined", "--data", sample]).await;
    assert_eq!(emitted.code, Some(0), "{emitted:?}");
    let held = node.outbox(1).await;
    assert_eq!(held[0]["subject"], "Welcome");
    assert_eq!(node.stop().await, Some(0));

    installation.write("workflows/hello/welcome.yaml", "mine");
    let again = installation.command(&["init"]).await;
    assert_eq!(again.code, Some(1), "{again:?}");
    assert!(again.stderr.contains("workflows/hello/welcome.yaml"), "{}", again.stderr);
    let kept = std::fs::read_to_string(installation.path("workflows/hello/welcome.yaml"));
    assert_eq!(kept.expect("it is there"), "mine");
}

#[tokio::test]
async fn a_file_that_is_there_keeps_all_others_from_being_written() {
    let installation = Installation::empty().file("shop/nuncio.toml", "# mine\n");

    let refused = installation.command(&["init", "shop"]).await;

    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(!installation.path("shop/workflows").exists());
    assert_eq!(installation.command(&["init", "other"]).await.code, Some(0));
    assert!(installation.path("other/templates/hello/welcome/email.hbs").exists());
}
