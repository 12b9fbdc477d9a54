//! The stream, read as a consumer group.

use std::time::Duration;

use nuncio::source::stream::Group;
use redis::streams::StreamPendingReply;

use super::ground::{Fate, Ground, acknowledged, add, add_number, client, keys, stream};
use crate::harness::redis::Redis;

#[tokio::test]
async fn entries_are_events_and_are_acknowledged() {
    let redis = Redis::start().await;
    let mut service = client(&redis).await;
    let ground = Ground::new().await;
    // Before anybody reads, and while somebody does.
    let first = add_number(&mut service, 1).await;
    let sources = ground.read_stream(stream(&redis, "one"));
    ground.accepted(1).await;
    let fields = [
        ("name", "book.due"),
        ("data", r#"{"n": 2}"#),
        ("key", "mine"),
        ("actor", "42"),
        ("tenant", "north"),
        ("at", "2031-05-01T10:00:00Z"),
    ];
    add(&mut service, &fields).await;
    add(&mut service, &fields).await;
    assert_eq!(ground.accepted(2).await, [1, 2]);
    acknowledged(&mut service, 3).await;
    sources.stop().await;
    let fates = ground.fates();
    assert_eq!(keys(&fates), [first.as_str(), "mine", "mine"]);
    assert_eq!(fates[2].1, Fate::Duplicate);
    let event = &fates[1].0;
    assert_eq!((event.actor.clone(), event.tenant.as_str()), (Some("42".into()), "north"));
    assert_eq!(event.at.map(|at| at.to_string()).as_deref(), Some("2031-05-01T10:00:00Z"));
    let told = fates[0].0.at.expect("a moment").as_millisecond().to_string();
    assert!(first.starts_with(&told), "{first} was told at {told}");
}

#[tokio::test]
async fn many_entries_are_few_accepts_in_order() {
    let redis = Redis::start().await;
    let mut service = client(&redis).await;
    let mut all = redis::pipe();
    for n in 0..5000 {
        let data = format!(r#"{{"n": {n}}}"#);
        all.cmd("XADD").arg("nuncio:events").arg("*").arg(&[("name", "book.due"), ("data", &data)]);
    }
    all.query_async::<Vec<String>>(&mut service).await.expect("they are added");
    let ground = Ground::new().await;
    let sources = ground.read_stream(stream(&redis, "one"));
    assert_eq!(ground.accepted(5000).await, (0..5000).collect::<Vec<_>>());
    acknowledged(&mut service, 5000).await;
    sources.stop().await;
    let calls: Vec<usize> = ground.seen.borrow().iter().map(Vec::len).collect();
    assert_eq!(calls, [100, 1000, 1000, 1000, 1000, 900]);
}

#[tokio::test]
async fn what_a_dead_consumer_read_is_recovered_and_is_no_second_event() {
    let redis = Redis::start().await;
    let mut service = client(&redis).await;
    let ground = Ground::new().await;
    let mut dead = Group::join(&stream(&redis, "dead")).await.expect("it joins");
    for n in 0..3 {
        add_number(&mut service, n).await;
    }
    assert_eq!(dead.next().await.expect("entries").len(), 3);
    drop(dead);

    let mut quick = stream(&redis, "one");
    quick.claim_after = Duration::from_millis(1);
    let mut dying = Group::join(&quick).await.expect("it joins");
    assert_eq!(dying.next().await.expect("an answer").len(), 0, "they are another's");
    let claimed = dying.left_behind().await.expect("entries");
    let told: Vec<_> = claimed.iter().map(|entry| entry.told()).collect();
    ground.intake.accept(&told).await.expect("accepted");
    drop(dying);

    quick.consumer = "two".into();
    let sources = ground.read_stream(quick);
    assert_eq!(ground.accepted_in_time(3).await, [0, 1, 2]);
    acknowledged(&mut service, 3).await;
    sources.stop().await;
    let again: Vec<_> = ground.fates().into_iter().map(|(_, fate)| fate).skip(3).collect();
    assert_eq!(again, [Fate::Duplicate; 3]);
}

#[tokio::test]
async fn two_consumers_share_the_entries() {
    let redis = Redis::start().await;
    let mut service = client(&redis).await;
    let ground = Ground::new().await;
    let both = ["one", "two"].map(|name| ground.read_stream(stream(&redis, name)));
    for n in 0..500 {
        add_number(&mut service, n).await;
    }
    let mut numbers = ground.accepted(500).await;
    acknowledged(&mut service, 500).await;
    for sources in both {
        sources.stop().await;
    }
    assert!(ground.fates().iter().all(|(_, fate)| *fate == Fate::Accepted));
    numbers.sort_unstable();
    assert_eq!(numbers, (0..500).collect::<Vec<_>>());
    // Who stopped in order left the group.
    let mut consumers = redis::cmd("XINFO");
    consumers.arg("CONSUMERS").arg("nuncio:events").arg("nuncio");
    let left: redis::streams::StreamInfoConsumersReply =
        consumers.query_async(&mut service).await.expect("redis answers");
    assert!(left.consumers.is_empty());
}

#[tokio::test]
async fn the_stream_is_trimmed_of_what_was_acknowledged_alone() {
    let redis = Redis::start().await;
    let mut service = client(&redis).await;
    let ground = Ground::new().await;
    let mut settings = stream(&redis, "one");
    settings.max_length = 10;
    let length = async |service: &mut redis::aio::MultiplexedConnection| -> usize {
        let mut length = redis::cmd("XLEN");
        length.arg("nuncio:events").query_async(service).await.expect("redis answers")
    };
    for n in 0..150 {
        add_number(&mut service, n).await;
    }
    // Its first hundred are held by another.
    let mut slow = Group::join(&stream(&redis, "slow")).await.expect("it joins");
    let held = slow.next().await.expect("entries");
    assert_eq!(held.len(), 100);
    let sources = ground.read_stream(settings);
    for n in 150..1000 {
        add_number(&mut service, n).await;
    }
    ground.accepted(900).await;
    assert_eq!(length(&mut service).await, 1000, "what is held is not removed, nor what follows");
    let told: Vec<_> = held.iter().map(|entry| entry.told()).collect();
    let fates = ground.intake.accept(&told).await.expect("accepted");
    slow.settle(&held, &fates).await.expect("acknowledged");
    for n in 1000..1010 {
        add_number(&mut service, n).await;
    }
    ground.accepted(1010).await;
    acknowledged(&mut service, 1010).await;
    // Redis removes nodes of a hundred entries.
    assert!(length(&mut service).await < 250);
    sources.stop().await;
    let mut pending = redis::cmd("XPENDING");
    pending.arg("nuncio:events").arg("nuncio");
    let pending: StreamPendingReply = pending.query_async(&mut service).await.expect("an answer");
    assert_eq!(pending.count(), 0);
}
