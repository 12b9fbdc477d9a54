use serde_json::{Value, json};

use super::{Clinic, for_the_patient};
use crate::harness::sink::Answer;

fn printed(stdout: &str) -> Value {
    serde_json::from_str(stdout).expect("JSON")
}

#[tokio::test]
async fn dead_letters_are_redriven_under_their_own_key() {
    let clinic = Clinic::open().await;
    let node = clinic.node().await;
    clinic.sink.answer_always(Answer::status(500));
    let event = node.emit("appointment.booked", for_the_patient()).await;
    let failed = |rows: &[Value]| rows.iter().any(|row| row["decision"] == "fail");
    node.explained(&event, failed).await;
    let before = clinic.sink.count();

    let listed = node.command(&["deadletters", "list", "--format", "json"]).await;
    let letters = printed(&listed.stdout)["results"].clone();
    let letter = &letters[0];
    assert_eq!(
        (letters.as_array().map(Vec::len), &letter["channel"]),
        (Some(1), &json!("webhook"))
    );
    assert_eq!(letter["code"], "attempts.exhausted");
    assert!(letter["reason"].as_str().is_some_and(|why| why.contains("500")), "{letter}");
    let id = letter["id"].as_str().expect("an id").to_owned();

    clinic.sink.answer_always(Answer::status(204));
    let order = ["deadletters", "redrive", "--provider", "hook", "--format", "json"];
    let dry = node.command(&[&order[..], &["--dry-run"]].concat()).await;
    let dry = printed(&dry.stdout);
    assert_eq!((&dry["count"], &dry["sample"][0]["id"]), (&json!(1), &json!(id)));
    assert_eq!(clinic.sink.count(), before, "a dry run sends nothing");
    let done = node.command(&order).await;
    assert_eq!(printed(&done.stdout)["count"], 1, "{done:?}");

    clinic.sink.reached(before + 1).await;
    assert_eq!(clinic.sink.by_id(), [(id.clone(), before + 1)].into(), "always the same key");
    let sent = |rows: &[Value]| rows.last().is_some_and(|row| row["outcome"] == "accepted");
    let rows = node.explained(&id, sent).await;
    let redriven = rows.iter().find(|row| row["code"] == "redriven").expect("it is on record");
    let reason = redriven["reason"].as_str().expect("text");
    assert!(reason.starts_with("redriven by key "), "{reason}");
    let (_, message) = node.call("GET", &format!("/v1/messages/{id}"), None).await;
    assert_eq!((&message["status"], &message["attempt"]), (&json!("sent"), &json!(6)));
    let again = node.command(&order).await;
    assert_eq!(printed(&again.stdout)["count"], 0);
}

#[tokio::test]
async fn a_user_is_found_without_reading_all_messages() {
    let clinic = Clinic::open().await;
    let node = clinic.node().await;
    node.kill().await;
    let file = clinic.installation.path(".nuncio/nuncio.db");
    let url = format!("sqlite:{}", file.display());
    let pool = sqlx::SqlitePool::connect(&url).await.expect("it opens");
    for (filter, index) in [
        ("recipient = '42' ORDER BY id DESC LIMIT 9", "message_user"),
        ("status IN (3, 5) AND id > x'00' ORDER BY id LIMIT 9", "message_dead"),
        ("status IN (3, 5) AND status = 5 ORDER BY id DESC LIMIT 9", "message_dead"),
        ("status = 8 ORDER BY id DESC LIMIT 9", "message_expired"),
        ("receipt = 'q' AND provider = 'p' AND reports IS NOT NULL", "message_reported"),
    ] {
        let sql = format!("EXPLAIN QUERY PLAN SELECT channel FROM message WHERE 1 AND {filter}");
        let plan: Vec<(i64, i64, i64, String)> =
            sqlx::query_as(sqlx::AssertSqlSafe(sql)).fetch_all(&pool).await.expect("it plans");
        assert!(plan[0].3.contains(index), "{filter}: {plan:?}");
        assert!(plan.iter().all(|step| !step.3.contains("TEMP B-TREE")), "{filter}: {plan:?}");
    }
}
