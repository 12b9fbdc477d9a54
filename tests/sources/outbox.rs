//! `nuncio.emit`, and the drain.

use std::time::Duration;

use jiff::Timestamp;
use nuncio::source::Intake;
use nuncio::source::outbox::Drain;
use sqlx::postgres::PgListener;
use sqlx::{Connection, Row};

use super::ground::{Fate, Ground, count, database, drained, emit, keys, outbox, run};

#[tokio::test]
async fn a_rolled_back_transaction_emits_nothing() {
    let (url, mut service) = database().await;
    run(&mut service, "BEGIN; SELECT nuncio.emit('book.due', '{\"n\": 1}'); ROLLBACK").await;
    assert_eq!(
        (count(&mut service, "outbox").await, count(&mut service, "outbox_turn").await),
        (0, 0)
    );
    run(
        &mut service,
        "BEGIN;
        SAVEPOINT before; SELECT nuncio.emit('book.due', '{\"n\": 2}'); ROLLBACK TO before;
        SELECT nuncio.emit('book.due', '{\"n\": 3}');
        COMMIT",
    )
    .await;
    let ground = Ground::new().await;
    let sources = ground.drain_outbox(&url);
    assert_eq!(ground.accepted(1).await, [3]);
    drained(&mut service).await;
    sources.stop().await;
}

#[tokio::test]
async fn ten_thousand_emits_of_a_transaction_are_one_drain_in_their_order() {
    let (url, mut service) = database().await;
    let mut listener = PgListener::connect(&url).await.expect("the server takes us");
    listener.listen("nuncio_outbox").await.expect("it is heard");
    let ground = Ground::new().await;
    let sources = ground.drain_outbox(&url);
    let mut transaction = service.begin().await.expect("a transaction");
    for start in (0..10_000).step_by(100) {
        emit(&mut transaction, start..start + 100).await;
    }
    transaction.commit().await.expect("it is committed");
    assert_eq!(ground.accepted(10_000).await, (0..10_000).collect::<Vec<_>>());
    drained(&mut service).await;
    sources.stop().await;

    let calls: Vec<usize> = ground.seen.borrow().iter().map(Vec::len).collect();
    assert_eq!(calls, [1000; 10]);
    // One notification, and then that of the next transaction.
    emit(&mut service, 0..1).await;
    let heard = [listener.recv().await, listener.recv().await];
    let [first, second] = heard.map(|heard| heard.expect("heard").process_id());
    assert_eq!(first, second);
    assert!(listener.next_buffered().is_none());
}

#[tokio::test]
async fn a_notification_wakes_the_drain_and_a_sweep_finds_what_nobody_told() {
    let (url, mut service) = database().await;
    let ground = Ground::new().await;
    let sources = ground.drain_outbox(&url);
    // The clock stands: no sweep comes.
    for n in 0..3 {
        emit(&mut service, n..n + 1).await;
        ground.accepted(n as usize + 1).await;
    }
    run(
        &mut service,
        "INSERT INTO nuncio.outbox_turn (turn) VALUES (1);
        INSERT INTO nuncio.outbox (turn, id, name, data, size, emitted_at)
        VALUES (1, gen_random_uuid(), 'book.due', '{\"n\": 3}', 8, now())",
    )
    .await;
    assert_eq!(ground.accepted_in_time(4).await, [0, 1, 2, 3]);
    drained(&mut service).await;
    sources.stop().await;
}

#[tokio::test]
async fn what_waited_an_hour_comes_in_order_with_the_moments_at_which_it_happened() {
    let (url, mut service) = database().await;
    let now = |row: sqlx::postgres::PgRow| {
        Timestamp::from_millisecond(row.get::<i64, _>(0)).expect("an instant")
    };
    let asked = "SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint";
    let before = now(sqlx::query(asked).fetch_one(&mut service).await.expect("an answer"));
    for n in 0..50 {
        emit(&mut service, n..n + 1).await;
    }
    let after = now(sqlx::query(asked).fetch_one(&mut service).await.expect("an answer"));
    let ground = Ground::new().await;
    ground.clock.advance(Duration::from_secs(3600));
    let sources = ground.drain_outbox(&url);
    assert_eq!(ground.accepted(50).await, (0..50).collect::<Vec<_>>());
    let moments = ground.moments();
    assert!(moments.iter().flatten().all(|at| before <= *at && *at <= after), "{moments:?}");
    assert!(moments.is_sorted());
    assert_eq!(ground.seen.borrow().len(), 1, "many transactions share an accept");
    sources.stop().await;
}

#[tokio::test]
async fn two_drains_share_the_rows_without_doubles_and_keep_each_order() {
    let (url, mut service) = database().await;
    let ground = Ground::new().await;
    let both = [ground.drain_outbox(&url), ground.drain_outbox(&url)];
    for turn in 0..40 {
        emit(&mut service, turn * 100..(turn + 1) * 100).await;
    }
    let mut numbers = ground.accepted(4000).await;
    drained(&mut service).await;
    for sources in both {
        sources.stop().await;
    }
    assert!(ground.fates().iter().all(|(_, fate)| *fate == Fate::Accepted));
    for turn in 0..40 {
        let of_turn = numbers.iter().filter(|number| **number / 100 == turn);
        assert!(of_turn.is_sorted());
    }
    numbers.sort_unstable();
    assert_eq!(numbers, (0..4000).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_drain_leaves_what_another_holds() {
    let (url, mut service) = database().await;
    let ground = Ground::new().await;
    let mut first = Drain::open(&outbox(&url)).await.expect("it opens");
    let mut second = Drain::open(&outbox(&url)).await.expect("it opens");
    emit(&mut service, 0..1500).await;
    let mut held = first.claim(1000).await.expect("rows");
    assert_eq!(held.len(), 1000);
    assert!(second.claim(1000).await.expect("an answer").is_empty());
    emit(&mut service, 1500..1501).await;
    assert_eq!(second.once(&ground.intake).await.expect("it drains"), 1);
    held.accept(&ground.intake).await.expect("accepted");
    assert_eq!(held.commit().await.expect("committed"), 1000);
    assert_eq!(second.once(&ground.intake).await.expect("it drains"), 500);
    let expected: Vec<i64> = [1500].into_iter().chain(0..1500).collect();
    assert_eq!(ground.accepted(1501).await, expected);
    assert_eq!(
        (count(&mut service, "outbox").await, count(&mut service, "outbox_turn").await),
        (0, 0)
    );
}

#[tokio::test]
async fn a_drain_that_dies_after_the_accept_leaves_duplicates_and_no_second_event() {
    let (url, mut service) = database().await;
    let ground = Ground::new().await;
    run(
        &mut service,
        "SELECT nuncio.emit('book.due', '{\"n\": 0}', key => 'mine');
        SELECT nuncio.emit('book.due', '{\"n\": 1}')",
    )
    .await;
    let mut dying = Drain::open(&outbox(&url)).await.expect("it opens");
    let mut batch = dying.claim(1000).await.expect("rows");
    batch.accept(&ground.intake).await.expect("accepted");
    drop(batch);
    drop(dying);
    let sources = ground.drain_outbox(&url);
    drained(&mut service).await;
    sources.stop().await;
    let fates = ground.fates();
    let expected = [Fate::Accepted, Fate::Accepted, Fate::Duplicate, Fate::Duplicate];
    assert_eq!(fates.iter().map(|(_, fate)| *fate).collect::<Vec<_>>(), expected);
    let keys = keys(&fates);
    assert_eq!((keys[0], keys[1]), (keys[2], keys[3]));
    assert_eq!(keys[0], "mine");
    assert_eq!(count(&mut service, "outbox_rejected").await, 0);
}

#[tokio::test]
async fn the_key_of_an_emit_without_one_is_the_id_that_it_returned() {
    let (url, mut service) = database().await;
    let ground = Ground::new().await;
    let emit = "SELECT nuncio.emit('book.due', '{\"n\": 1}', actor => '42', tenant => 'north',
        at => '2031-05-01T10:00:00+02')";
    let id: uuid::Uuid = sqlx::query_scalar(emit).fetch_one(&mut service).await.expect("an id");
    let sources = ground.drain_outbox(&url);
    ground.accepted(1).await;
    sources.stop().await;
    let (event, _) = ground.fates().remove(0);
    assert_eq!(event.idempotency_key, Some(id.to_string()));
    assert_eq!((event.actor, event.tenant.as_str()), (Some("42".into()), "north"));
    assert_eq!(event.at.map(|at| at.to_string()).as_deref(), Some("2031-05-01T08:00:00Z"));
}

#[tokio::test]
async fn rows_that_a_restore_left_without_their_transaction_are_found() {
    let (url, mut service) = database().await;
    emit(&mut service, 0..3).await;
    run(&mut service, "DELETE FROM nuncio.outbox_turn").await;
    emit(&mut service, 3..4).await;
    let ground = Ground::new().await;
    let sources = ground.drain_outbox(&url);
    assert_eq!(ground.accepted(4).await, [3, 0, 1, 2]);
    drained(&mut service).await;
    sources.stop().await;
}

#[tokio::test]
async fn a_batch_holds_no_more_than_some_megabytes() {
    let (url, mut service) = database().await;
    run(
        &mut service,
        "SELECT nuncio.emit('book.due', jsonb_build_object('n', n, 'x', repeat('x', 190000)))
        FROM generate_series(0, 99) AS n",
    )
    .await;
    let ground = Ground::new().await;
    let wide = Intake { max_event: 200_000, ..ground.intake.clone() };
    let mut drain = Drain::open(&outbox(&url)).await.expect("it opens");
    while drain.once(&wide).await.expect("it drains") > 0 {}
    assert_eq!(ground.accepted(100).await, (0..100).collect::<Vec<_>>());
    let largest = ground.seen.borrow().iter().map(Vec::len).max();
    assert!(largest.is_some_and(|largest| (40..50).contains(&largest)), "{largest:?}");
}
