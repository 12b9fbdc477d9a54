//! `nuncio.watch`: a table's changes as events; and who may do what.

use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, PgConnection};

use super::ground::{Ground, data, database, run};

const TABLE: &str = "SET search_path = public;
    CREATE TABLE book (id int PRIMARY KEY, status text, note text, due timestamptz)";

async fn emitted(service: &mut PgConnection) -> Vec<(String, Value)> {
    let rows = "SELECT name, data::text FROM nuncio.outbox ORDER BY turn, seq";
    let rows: Vec<(String, String)> = sqlx::query_as(rows).fetch_all(service).await.expect("rows");
    let read = |text: &str| serde_json::from_str(text).expect("JSON");
    rows.into_iter().map(|(name, data)| (name, read(&data))).collect()
}

#[tokio::test]
async fn changes_of_a_watched_table_are_events_with_old_and_new_values() {
    let (url, mut service) = database().await;
    run(&mut service, TABLE).await;
    run(
        &mut service,
        "SELECT nuncio.watch('public.book', 'book');
        SET timezone = 'Africa/Tunis';
        INSERT INTO book VALUES (1, 'lent', '', '2030-05-01T12:00:00Z');
        UPDATE book SET status = 'late';
        UPDATE book SET status = 'late';
        DELETE FROM book",
    )
    .await;
    let row =
        |status| json!({"id": 1, "status": status, "note": "", "due": "2030-05-01T12:00:00+00:00"});
    let ground = Ground::new().await;
    let sources = ground.drain_outbox(&url);
    ground.accepted(3).await;
    sources.stop().await;
    let fates = ground.fates();
    let names: Vec<&str> = fates.iter().map(|(event, _)| event.name.as_str()).collect();
    assert_eq!(names, ["book.created", "book.updated", "book.deleted"]);
    assert_eq!(
        data(&fates),
        [
            &json!({"old": null, "new": row("lent")}),
            &json!({"old": row("lent"), "new": row("late")}),
            &json!({"old": row("late"), "new": null}),
        ]
    );
}

#[tokio::test]
async fn an_update_tells_only_of_the_named_columns() {
    let (_, mut service) = database().await;
    run(&mut service, TABLE).await;
    run(
        &mut service,
        "SELECT nuncio.watch('public.book', 'book', columns => array['status', 'due']);
        INSERT INTO book VALUES (1, 'lent', '');
        UPDATE book SET note = 'torn';
        UPDATE book SET status = NULL, note = 'mended'",
    )
    .await;
    run(&mut service, "BEGIN; UPDATE book SET status = 'lent'; ROLLBACK").await;
    let emitted = emitted(&mut service).await;
    let names: Vec<&str> = emitted.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["book.created", "book.updated"]);
    assert_eq!(emitted[1].1["new"]["status"], Value::Null);
    assert_eq!(emitted[1].1["old"]["note"], "torn");
}

#[tokio::test]
async fn watching_twice_is_watching_once_and_unwatching_ends_it() {
    let (_, mut service) = database().await;
    run(&mut service, TABLE).await;
    run(
        &mut service,
        "SELECT nuncio.watch('book', 'book', columns => array['note']);
        SELECT nuncio.watch('book', 'book', columns => array['status']);
        SELECT nuncio.watch('book', 'volume');
        INSERT INTO book VALUES (1, 'lent');
        UPDATE book SET note = 'torn';
        SELECT nuncio.unwatch('book', 'volume');
        SELECT nuncio.unwatch('book', 'volume');
        UPDATE book SET status = 'late';
        SELECT nuncio.unwatch('book');
        DELETE FROM book",
    )
    .await;
    let names: Vec<String> =
        emitted(&mut service).await.into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["book.created", "volume.created", "volume.updated", "book.updated"]);
    for (wrong, why) in [
        ("SELECT nuncio.watch('book', 'book', columns => array['stauts'])", "no column stauts"),
        ("SELECT nuncio.watch('book', '')", "a subject of 1 to 50 bytes"),
        ("SELECT nuncio.watch('boko', 'book')", "does not exist"),
        ("SELECT nuncio.emit(NULL)", "an event needs a name"),
    ] {
        let refused = sqlx::raw_sql(wrong).execute(&mut service).await.expect_err(wrong);
        assert!(refused.to_string().contains(why), "{refused}");
    }
}

/// The page's grants are all that a service's role needs.
#[tokio::test]
async fn a_service_needs_the_right_to_execute_and_no_other() {
    let (url, mut service) = database().await;
    let name = url.rsplit('/').next().expect("a database's name").to_owned();
    let page = include_str!("../../docs/reference/sources.md");
    let (_, grants) = page.split_once("```sql\nGRANT").expect("the page says which");
    let (grants, _) = grants.split_once("```").expect("the end of the block");
    let grants = format!("GRANT{grants}").replace("shop", &format!("shop_{name}"));
    let setup = format!(
        "CREATE ROLE shop_{name}; CREATE ROLE other_{name};
        GRANT CREATE ON SCHEMA public TO shop_{name}; {grants};
        SET ROLE shop_{name}; {TABLE};
        SELECT nuncio.watch('book', 'book'); INSERT INTO book VALUES (1);
        SELECT nuncio.emit('book.due', '{{\"n\": 1}}')"
    );
    sqlx::raw_sql(AssertSqlSafe(setup)).execute(&mut service).await.expect("all is allowed");
    for denied in ["SELECT * FROM nuncio.outbox", "DELETE FROM nuncio.outbox_rejected"] {
        let refused = sqlx::raw_sql(denied).execute(&mut service).await.expect_err(denied);
        assert!(refused.to_string().contains("permission denied"), "{refused}");
    }
    let other = AssertSqlSafe(format!("RESET ROLE; SET ROLE other_{name}"));
    sqlx::raw_sql(other).execute(&mut service).await.expect("it is set");
    let refused = sqlx::raw_sql("SELECT nuncio.emit('book.due')").execute(&mut service).await;
    assert!(refused.expect_err("it was not granted").to_string().contains("permission denied"));
    run(&mut service, "RESET ROLE").await;
    assert_eq!(emitted(&mut service).await.len(), 2);
}
