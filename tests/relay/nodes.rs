//! Several nodes over one store: what is published on one is heard on all.

use std::sync::Arc;
use std::time::Duration;

use nuncio::channel::Publish;
use nuncio::clock::Clock;
use nuncio::shared::{Shared, State};
use nuncio::store::memory::MemoryStore;
use serde_json::{Value, json};

use super::client::{Client, eventually};
use super::topic::{catalog, join, publish};
use crate::harness::redis::Redis;
use crate::server::{Options, Server, answer};

type Ground = (Arc<MemoryStore>, Clock);

/// A node over `ground`, which shares what it can in `redis`.
async fn node(ground: &Ground, redis: Option<&str>) -> Server {
    let connect = |url| Shared::connect(url, "test", &ground.1).expect("a URL");
    let shared = redis.map(connect).unwrap_or_default();
    Server::with(Options {
        catalog: catalog(),
        shared,
        ground: Some(ground.clone()),
        ..Options::default()
    })
    .await
}

/// Two that hear each other. Their clock stands still, so that nothing but the bus brings frames.
async fn pair(redis: &Redis) -> (Server, Server) {
    let ground = Server::ground();
    let url = redis.url();
    let (a, b) = (node(&ground, Some(&url)).await, node(&ground, Some(&url)).await);
    let mut clients = [Client::connect(&a, "meet").await, Client::connect(&b, "meet").await];
    // Each may miss the first of the other, and is told so.
    for (from, to) in [(&a, 1), (&b, 0)] {
        let title = format!("For {to}");
        from.deliver("meet", "system", &title).await;
        while clients[to].next().await["data"]["title"] != title {}
    }
    for client in clients {
        client.close().await;
    }
    eventually(|| a.hub.connections() + b.hub.connections() == 0).await;
    (a, b)
}

async fn reached(server: &Server, state: State) {
    let mut states = server.shared.states().expect("it has a Redis");
    states.wait_for(|now| *now == state).await.expect("it is kept");
}

/// Turns the clock until it has happened.
async fn in_time<T>(clock: &Clock, happening: impl Future<Output = T>) -> T {
    let turning = async {
        loop {
            for _ in 0..100 {
                tokio::task::yield_now().await;
            }
            clock.advance(Duration::from_millis(20));
        }
    };
    tokio::select! {
        biased;
        happened = happening => happened,
        () = turning => unreachable!("it turns for ever"),
    }
}

async fn seqs(client: &mut Client, count: u64) -> Vec<u64> {
    let mut found = Vec::new();
    for _ in 0..count {
        found.push(client.next().await["seq"].as_u64().expect("it has a place"));
    }
    found
}

#[tokio::test]
async fn what_one_node_publishes_is_heard_on_all_once_and_in_order() {
    let redis = Redis::start().await;
    let (a, b) = pair(&redis).await;
    let mut clients = [Client::connect(&a, "42").await, Client::connect(&b, "42").await];
    for n in 0..50 {
        let server = if n % 3 == 0 { &b } else { &a };
        server.deliver("42", "billing", "An invoice").await;
    }
    let expected: Vec<u64> = (1..=50).collect();
    for client in &mut clients {
        assert_eq!(seqs(client, 50).await, expected);
        client.settle().await;
    }
    let [mut at_a, mut at_b] = clients;
    at_b.send(json!({"type": "mark_all_read"})).await;
    let told = at_b.next().await;
    assert_eq!((&told["type"], &told["seq"]), (&json!("bulk_update"), &json!(51)));
    assert_eq!(at_a.next().await, told);

    let insider = a.token_of_orgs("9", &["12"]);
    let mut desk = join(&b, "/ws/notifications/desk/12/", &insider).await;
    for seq in 1..=3 {
        let body = json!({"topic": "desk_12", "type": "note", "data": {"tab": "\t\n"}});
        assert_eq!(publish(&a, body).await, seq);
        let frame = desk.next().await;
        assert_eq!((&frame["data"]["tab"], &frame["seq"]), (&json!("\t\n"), &json!(seq)));
    }
}

#[tokio::test]
async fn members_of_a_room_meet_across_nodes() {
    let redis = Redis::start().await;
    let (a, b) = pair(&redis).await;
    for user in ["7", "ben"] {
        answer(a.machine("PUT", &format!("/v1/rooms/blue/members/{user}"))).await;
    }
    let mut ann = join(&a, "/ws/talk/blue/", &a.token("7", None)).await;
    ann.settle().await;
    // What A said up to here has come to B.
    let mut other = Client::connect(&b, "42").await;
    a.deliver("42", "system", "Now").await;
    other.next().await;
    other.close().await;
    let mut ben = join(&b, "/ws/talk/blue/", &b.token("ben", None)).await;
    let presence = |user: Value, on: bool| json!({"type": "presence", "data": {"room": "blue", "user_id": user, "on": on}});
    assert_eq!(ann.next().await, presence(json!("ben"), true));
    ben.send(json!({"type": "typing", "on": true})).await;
    assert_eq!(ann.next().await["type"], "typing");
    ben.send(json!({"type": "send", "message": "Hello", "ref": 1})).await;
    assert_eq!(ben.next().await["ref"], 1);
    let said = ann.next().await;
    assert_eq!((&said["data"]["message"], said.get("ref")), (&json!("Hello"), None));

    // By two connections on two nodes, a member is there until both have ended.
    let again = join(&a, "/ws/talk/blue/", &a.token("ben", None)).await;
    ann.send(json!({"type": "typing", "on": true})).await;
    assert_eq!(ben.next().await["type"], "typing");
    ben.close().await;
    eventually(|| b.hub.connections() == 0).await;
    let mut watcher = join(&b, "/ws/talk/blue/", &b.token("7", None)).await;
    watcher.send(json!({"type": "typing", "on": true})).await;
    assert_eq!(ann.next().await["type"], "typing");
    again.close().await;
    assert_eq!(ann.next().await, presence(json!("ben"), false));
    assert_eq!(watcher.next().await, presence(json!("ben"), false));

    // Who is put out on one node has to leave on the other.
    answer(a.machine("DELETE", "/v1/rooms/blue/members/7")).await;
    assert_eq!((watcher.closed().await, ann.closed().await), (Some(1008), Some(1008)));
}

#[tokio::test]
async fn a_user_is_online_wherever_they_are_connected() {
    let redis = Redis::start().await;
    let (a, b) = pair(&redis).await;
    let client = Client::connect(&b, "42").await;
    eventually(|| a.hub.presence(&"42".into()).online).await;
    client.close().await;
    eventually(|| !a.hub.presence(&"42".into()).online).await;
    assert!(a.hub.presence(&"42".into()).last_seen.is_some());
    // A node that comes later is told who is there.
    let _client = Client::connect(&b, "43").await;
    let ground = (a.store.clone(), a.clock.clone());
    let late = node(&ground, Some(&redis.url())).await;
    eventually(|| late.hub.presence(&"43".into()).online).await;
    // One that is gone from the bus takes its users with it.
    redis.crash();
    eventually(|| !late.hub.presence(&"43".into()).online).await;
    assert!(b.hub.presence(&"43".into()).online);
}

#[tokio::test]
async fn without_a_bus_the_store_tells_within_a_second() {
    let ground = Server::ground();
    let (a, b) = (node(&ground, None).await, node(&ground, None).await);
    let mut client = Client::connect(&b, "42").await;
    let began = ground.1.now();
    for seq in 1..=3 {
        a.deliver("42", "billing", "An invoice").await;
        let frame = in_time(&ground.1, client.next()).await;
        assert_eq!(frame["seq"], seq);
    }
    let took = ground.1.now().duration_since(began);
    assert!(took.as_secs() < 10, "{took}");
    // What is published here comes at once, with what was missed before it.
    a.deliver("42", "billing", "From afar").await;
    b.deliver("42", "billing", "From here").await;
    assert_eq!(seqs(&mut client, 2).await, [4, 5]);
    client.settle().await;
}

#[tokio::test]
async fn a_frame_that_nobody_published_is_found() {
    let redis = Redis::start().await;
    let (a, b) = pair(&redis).await;
    let mut client = Client::connect(&b, "42").await;
    a.deliver("42", "billing", "Heard").await;
    assert_eq!(client.next().await["seq"], 1);
    // The node dies between the commit and the publication.
    a.store_entry("42", "billing", "Lost", nuncio::model::Priority::Medium).await;
    client.settle().await;
    assert_eq!(in_time(&a.clock, client.next()).await["data"]["title"], "Lost");
    // With one that is missing before it, a frame waits for that one.
    for server in [&a, &b] {
        in_time(&a.clock, reached(server, State::Up)).await;
    }
    a.store_entry("42", "billing", "Lost", nuncio::model::Priority::Medium).await;
    a.deliver("42", "billing", "Heard").await;
    assert_eq!(in_time(&a.clock, seqs(&mut client, 2)).await, [3, 4]);
}

#[tokio::test]
async fn redis_may_die_and_be_flushed_in_the_middle() {
    const COUNT: u64 = 300;
    let redis = Redis::start().await;
    let clock = Clock::system();
    let ground = (Arc::new(MemoryStore::new(clock.clone())), clock);
    let url = redis.url();
    let (a, b) = (node(&ground, Some(&url)).await, node(&ground, Some(&url)).await);
    let mut client = Client::connect(&b, "42").await;
    a.deliver("42", "billing", "First").await;
    assert_eq!(client.next().await["seq"], 1);
    for n in 2..=COUNT {
        a.deliver("42", "billing", "An invoice").await;
        match n {
            50 => redis.flush().await,
            100 => redis.crash(),
            150 => reached(&b, State::Down).await,
            200 => redis.resume().await,
            250 => reached(&b, State::Up).await,
            _ => {}
        }
    }
    assert_eq!(seqs(&mut client, COUNT - 1).await, (2..=COUNT).collect::<Vec<_>>());
    client.settle().await;
    // And by the bus again.
    reached(&a, State::Up).await;
    a.deliver("42", "billing", "Last").await;
    assert_eq!(client.next().await["seq"], COUNT + 1);
}

#[tokio::test]
async fn a_stalled_redis_holds_nobody_up() {
    let redis = Redis::start().await;
    let (a, b) = pair(&redis).await;
    let mut clients = [Client::connect(&a, "42").await, Client::connect(&b, "42").await];
    redis.stall();
    // The clock stands still: whoever waited for it to move would wait for ever.
    for seq in 1..=20 {
        a.deliver("42", "billing", "An invoice").await;
        assert_eq!(clients[0].next().await["seq"], seq);
        let (status, _) = answer(a.user("42", "GET", "/api/notifications/")).await;
        assert_eq!(status, 200);
    }
    let found = in_time(&a.clock, async {
        reached(&b, State::Down).await;
        seqs(&mut clients[1], 20).await
    });
    assert_eq!(found.await, (1..=20).collect::<Vec<_>>());
    let (status, health) = answer(b.anonymous("GET", "/readyz")).await;
    let shown = (status, &health["status"], &health["redis"]);
    assert_eq!(shown, (200, &json!("degraded"), &json!("down")));

    redis.go_on();
    for server in [&a, &b] {
        in_time(&a.clock, reached(server, State::Up)).await;
    }
    let (_, health) = answer(b.anonymous("GET", "/readyz")).await;
    assert_eq!((&health["status"], &health["redis"]), (&json!("ok"), &json!("up")));
    let metrics = b.anonymous("GET", "/metrics").send().await.expect("it answers");
    let text = metrics.text().await.expect("it is text");
    assert!(text.contains("nuncio_redis_up") && text.contains("nuncio_redis_errors_total"));
    a.deliver("42", "billing", "Again").await;
    for client in &mut clients {
        assert_eq!(in_time(&a.clock, client.next()).await["seq"], 21);
    }
}
