//! A server that is empty, that crashes, and that comes back.

use std::time::Duration;

use futures_util::future::join_all;
use nuncio::clock::Clock;
use nuncio::store::postgres::PostgresStore;
use nuncio::store::{Installation as _, QueueName, StoreError};
use sqlx::{Connection, PgConnection};

use super::installation;
use crate::conformance::store::scene::{Scene, clock};
use crate::harness::postgres::Postgres;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nodes_that_start_at_once_make_the_tables_once() {
    let url = Postgres::shared().await.database().await;
    let opened = join_all((0..4).map(|_| PostgresStore::open(&url, Clock::system()))).await;
    let epochs: Vec<_> = opened.into_iter().map(|store| store.unwrap().epoch()).collect();
    assert!(epochs.iter().all(|epoch| *epoch == epochs[0]), "one installation");
}

#[tokio::test]
async fn a_node_starts_beside_a_newer_version() {
    let url = Postgres::shared().await.database().await;
    let newer = installation(&url, clock()).await;
    let mut database = PgConnection::connect(&url).await.unwrap();
    let migrated = "INSERT INTO nuncio._sqlx_migrations
        (version, description, success, checksum, execution_time) VALUES (9999, 'x', true, '', 1)";
    sqlx::query(migrated).execute(&mut database).await.unwrap();
    let older = installation(&url, clock()).await;
    assert_eq!(older.epoch(), newer.epoch());
}

#[tokio::test]
async fn a_url_of_nothing_known_is_refused_without_its_password() {
    let sealer = crate::conformance::store::scene::sealer(&clock());
    let refused = nuncio::store::open("mysql://me:secret@db/x", clock(), sealer).await;
    let Err(error) = refused else { panic!("it opens nothing of that kind") };
    assert!(matches!(error, StoreError::Scheme(_)));
    assert!(!error.to_string().contains("secret"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_server_that_crashed_and_came_back_is_used_again() {
    let server = Postgres::start().await;
    let clock = clock();
    let store = installation(&server.database().await, clock.clone()).await;
    let scene = Scene::shared(store.clone(), clock);
    let before = scene.send("42", |_, _| {}).await;
    assert!(!store.told().await.is_empty(), "it listens");

    server.crash();
    for _ in 0..3 {
        // Well below what anything waits for that was only slow.
        let answer = tokio::time::timeout(Duration::from_secs(5), async {
            let claimed = scene.store.claim_messages(scene.claim(1)).await;
            let read = scene.store.next_due(QueueName::Messages).await;
            (claimed.map(|_| ()), read.map(|_| ()), store.tell(&[QueueName::Messages]).await)
        });
        let (claimed, read, told) = answer.await.expect("an answer at once");
        for refused in [claimed, read, told] {
            assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
        }
    }

    server.resume().await;
    assert!(!store.told().await.is_empty(), "it listens again, and may have missed something");
    let due = loop {
        match scene.store.claim_messages(scene.claim(10)).await {
            Ok(due) => break due,
            Err(StoreError::Unavailable(_)) => tokio::task::yield_now().await,
            Err(error) => panic!("{error}"),
        }
    };
    assert_eq!(due.iter().map(|due| due.message.id).collect::<Vec<_>>(), [before.id]);
    assert!(scene.depart(before.id, due[0].fence).await);
    scene.send("43", |_, _| {}).await;
}
