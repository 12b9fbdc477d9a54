use tokio::net::TcpListener;

use super::shop;
use crate::harness::node::Installation;

#[tokio::test]
async fn a_port_that_is_taken_is_an_error_when_it_was_asked_for() {
    let taken = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let port = taken.local_addr().expect("its address").port().to_string();

    let dev = Installation::empty().command(&["dev", "--port", &port]).await;

    assert_eq!(dev.code, Some(1), "{dev:?}");
    assert!(dev.stderr.contains(&port), "{}", dev.stderr);
}

#[tokio::test]
async fn an_unknown_key_has_a_place_and_a_hint() {
    let installation = shop().file("nuncio.toml", "[engine]\ntime_zone = \"UTC\"\nworkes = 4\n");

    for command in [&["dev", "--port", "0"][..], &["run"], &["config"]] {
        let said = installation.command(command).await;
        assert_eq!(said.code, Some(1), "{said:?}");
        assert!(said.stderr.contains("nuncio.toml:3"), "{}", said.stderr);
        assert!(said.stderr.contains("workers"), "a hint: {}", said.stderr);
    }
}

#[tokio::test]
async fn exit_codes_tell_usage_from_input_and_service() {
    let installation = shop();
    let code = async |arguments: &[&str]| installation.command(arguments).await.code;

    assert_eq!(code(&["emti"]).await, Some(2));
    assert_eq!(code(&["emit"]).await, Some(2));
    assert_eq!(code(&["dev", "--port", "many"]).await, Some(2));
    assert_eq!(code(&["emit", "order.placed"]).await, Some(3), "no node is known");
    let closed = ["emit", "order.placed", "--url", "http://127.0.0.1:1"];
    assert_eq!(code(&closed).await, Some(3), "no node is there");
    assert_eq!(code(&["emit", "order.placed", "--data", "absent.json"]).await, Some(1));
    assert_eq!(code(&["emit", "order.placed", "--data", "{\"a\":"]).await, Some(1));

    let node = installation.dev().await;
    let code = async |arguments: &[&str]| node.command(arguments).await;
    let refused = code(&["emit", "order.placed", "--data", "{}"]).await;
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.stderr.contains("event.schema"), "{}", refused.stderr);
    let absent = "01890a5d-ac96-774b-bcce-b302099a8057";
    assert_eq!(code(&["explain", absent]).await.code, Some(1));
    assert_eq!(node.stop().await, Some(0));
}

#[tokio::test]
async fn an_empty_folder_starts_and_says_what_it_assumed() {
    let node = Installation::empty().dev().await;
    let (status, _) = node.call("GET", "/readyz", None).await;
    assert_eq!(status, 200);
    assert!(node.said().contains("assumed"), "{}", node.said());
}
