//! Routes that packs declare: topics and rooms.

use std::sync::Arc;

use nuncio::check::Catalog;
use nuncio::diagnostic::Source;
use nuncio::workflow::read_routes;
use serde_json::{Value, json};
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use super::client::{Client, refused};
use crate::server::{Options, Server, answer};

const ROUTES: &str = "
- path: /ws/notifications/desk/{org_id}/
  topics: \"desk_{org_id}\"
  who: org_id in token.orgs
- path: /ws/notifications/pair/{user_id}/
  topics: [\"first_{user_id}\", \"second_{user_id}\"]
  who: token.sub == user_id
- path: /ws/halls/{room_name}/
  room: \"{room_name}\"
- path: /ws/talk/{room_name}/
  room: \"{room_name}\"
  publish: true
  history: true
";

pub fn catalog() -> Arc<Catalog> {
    let (routes, problems) = read_routes(&Source::new("routes.yaml", ROUTES));
    assert_eq!(problems, []);
    Arc::new(Catalog { routes, ..Catalog::default() })
}

pub async fn server() -> Server {
    Server::with(Options { catalog: catalog(), ..Options::default() }).await
}

pub fn request(
    server: &Server,
    path: &str,
    token: &str,
) -> tokio_tungstenite::tungstenite::handshake::client::Request {
    let url = format!("ws://{}{path}?token={token}", server.address);
    url.into_client_request().expect("it is a URL")
}

pub async fn join(server: &Server, path: &str, token: &str) -> Client {
    let (socket, _) = connect_async(request(server, path, token)).await.expect("it is let in");
    Client::begin(socket).await
}

pub async fn publish(server: &Server, body: Value) -> u64 {
    let (status, said) = answer(server.machine("POST", "/v1/relay/publish").json(&body)).await;
    assert_eq!(status, 202, "{said}");
    said["seq"].as_u64().expect("it has a place")
}

#[tokio::test]
async fn a_topic_is_heard_by_those_whom_the_route_lets_in() {
    let server = server().await;
    let insider = server.token_of_orgs("9", &["12", "13"]);
    let outsider = server.token_of_orgs("9", &["14"]);
    let path = "/ws/notifications/desk/12/";
    let (status, body) = refused(request(&server, path, &outsider)).await;
    assert_eq!((status, &body["error"]["code"]), (403, &json!("NOTIF_008")));
    assert_eq!(refused(request(&server, path, "")).await.0, 401);
    assert_eq!(refused(request(&server, "/ws/notifications/none/1/", &insider)).await.0, 404);

    let mut client = join(&server, path, &insider).await;
    assert_eq!(client.status["seq"], 0);
    let data = json!({"message": "hello", "organization": {"id": 12}});
    let body = json!({"topic": "desk_12", "type": "send_notification", "data": data});
    assert_eq!(publish(&server, body.clone()).await, 1);
    let frame = client.next().await;
    assert_eq!(frame, json!({"type": "send_notification", "data": data, "seq": 1}));
    publish(&server, json!({"topic": "desk_13", "type": "other"})).await;
    client.settle().await;

    // What was missed comes after a resume, in order and once.
    client.close().await;
    for _ in 0..3 {
        publish(&server, body.clone()).await;
    }
    let mut client = join(&server, "/ws/notifications/desk/12", &insider).await;
    assert_eq!(client.status["seq"], 4);
    let epoch = client.status["epoch"].clone();
    client.send(json!({"type": "resume", "epoch": epoch, "seq": 1})).await;
    for seq in 2..=4 {
        assert_eq!(client.next().await["seq"], seq);
    }
    client.send(json!({"type": "resume", "epoch": epoch, "seq": 99})).await;
    assert_eq!(client.next().await["type"], "resync");
    client.send(json!({"type": "mark_all_read"})).await;
    assert_eq!(client.next().await["data"]["code"], "INVALID");
}

#[tokio::test]
async fn one_connection_hears_several_topics_each_with_its_own_seq() {
    let server = server().await;
    let path = "/ws/notifications/pair/7/";
    let mut client = join(&server, path, &server.token("7", None)).await;
    assert_eq!(client.status["topics"], json!({"first_7": 0, "second_7": 0}));
    for topic in ["second_7", "first_7", "second_7"] {
        publish(&server, json!({"topic": topic, "type": "t"})).await;
    }
    for (topic, seq) in [("second_7", 1), ("first_7", 1), ("second_7", 2)] {
        let frame = client.next().await;
        assert_eq!((&frame["topic"], &frame["seq"]), (&json!(topic), &json!(seq)));
    }
    client.close().await;
    publish(&server, json!({"topic": "second_7", "type": "t"})).await;
    let mut client = join(&server, path, &server.token("7", None)).await;
    let epoch = client.status["epoch"].clone();
    client.send(json!({"type": "resume", "epoch": epoch, "seq": 1})).await;
    assert_eq!(client.next().await["data"]["code"], "INVALID", "of which topic?");
    let resume = json!({"type": "resume", "epoch": epoch, "seq": 1, "topic": "second_7"});
    client.send(resume).await;
    assert_eq!(client.next().await["seq"], 2);
    assert_eq!(client.next().await["seq"], 3);
    assert_eq!(refused(request(&server, path, &server.token("8", None))).await.0, 403);
}

#[tokio::test]
async fn a_room_is_heard_by_its_members() {
    let server = server().await;
    let path = "/ws/halls/blue/";
    let token = server.token("7", None);
    assert_eq!(refused(request(&server, path, &token)).await.0, 403);
    let member = "/v1/rooms/blue/members/7";
    assert_eq!(answer(server.machine("PUT", member)).await.0, 201);
    assert_eq!(answer(server.machine("PUT", member)).await.0, 200);
    let mut client = join(&server, path, &token).await;
    let admin = server.token("1", Some("admin"));
    let mut watching = join(&server, path, &admin).await;
    let update = json!({"status": "waiting"});
    publish(&server, json!({"room": "blue", "type": "hall_update", "data": update})).await;
    let expected = json!({"type": "hall_update", "data": update, "seq": 1});
    assert_eq!(client.next().await, expected);
    assert_eq!(watching.next().await, expected);
    let tell = server.machine("POST", "/v1/rooms/blue/messages");
    assert_eq!(answer(tell.json(&json!({"type": "again"}))).await.0, 202);
    assert_eq!(client.next().await, json!({"type": "again", "data": {}, "seq": 2}));

    assert_eq!(server.machine("DELETE", member).send().await.expect("it answers").status(), 204);
    assert_eq!(client.closed().await, Some(1008), "who is no member hears no more");
    assert_eq!(refused(request(&server, path, &token)).await.0, 403);
    assert_eq!(watching.next().await["type"], "again");
    watching.settle().await;
    // Where members speak, an admin is no member.
    assert_eq!(refused(request(&server, "/ws/talk/blue/", &admin)).await.0, 403);
}

#[tokio::test]
async fn a_publication_reaches_a_user_beside_the_inbox() {
    let server = server().await;
    let mut client = Client::connect(&server, "42").await;
    server.deliver("42", "billing", "One").await;
    assert_eq!(publish(&server, json!({"user": 42, "type": "poke", "data": {"a": 1}})).await, 2);
    assert_eq!(client.next().await["type"], "new_notification");
    assert_eq!(client.next().await, json!({"type": "poke", "data": {"a": 1}, "seq": 2}));
}

#[tokio::test]
async fn what_cannot_be_published_is_told() {
    let server = server().await;
    let rows = [
        (json!({"type": "t"}), ""),
        (json!({"topic": "a", "room": "b", "type": "t"}), ""),
        (json!({"topic": 7, "type": "t"}), "/topic"),
        (json!({"topic": "a"}), "/type"),
        (json!({"topic": "a", "type": "new_notification"}), "/type"),
        (json!({"topic": "a", "type": "t", "date": {}}), "/date"),
        (json!([]), ""),
    ];
    for (body, pointer) in rows {
        let (status, problem) =
            answer(server.machine("POST", "/v1/relay/publish").json(&body)).await;
        assert_eq!(status, 400, "{body}: {problem}");
        assert_eq!(problem["errors"][0]["pointer"], pointer, "{problem}");
    }
}

#[test]
fn routes_are_checked() {
    let routes = "
- path: /elsewhere/{x}/
  topics: \"a_{x}\"
- path: /ws/{x}y/
  topics: \"a\"
- path: /ws/a/{x}/
  topics: \"a_{z}\"
";
    let (_, problems) = read_routes(&Source::new("routes.yaml", routes));
    let codes: Vec<_> = problems.iter().map(|one| (one.code, one.line)).collect();
    assert_eq!(codes, [("routes.path", 2), ("routes.path", 4), ("routes.parameter", 7)]);
}
