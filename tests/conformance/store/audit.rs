use nuncio::model::{AuditRecord, Deed};
use nuncio::store::AuditQuery;
use serde_json::json;

use super::scene::Scene;

fn done(scene: &Scene, who: &str, what: Deed, about: &str) -> AuditRecord {
    let (who, about) = (who.to_owned(), about.to_owned());
    AuditRecord { at: scene.now(), who, what, about, detail: json!({ "count": 3 }) }
}

pub async fn what_was_done_is_read_newest_first(scene: Scene) {
    let first = done(&scene, "key desk", Deed::MessageRetry, "m-1");
    scene.clock.set(scene.after(60));
    let second = done(&scene, "user 7", Deed::PreferencesChange, "42");
    let third = done(&scene, "key desk", Deed::LettersRedrive, "");
    for record in [&first, &second, &third] {
        scene.store.record(record.clone()).await.unwrap();
    }
    let read = async |query: AuditQuery| {
        let limit = if query.limit == 0 { 10 } else { query.limit };
        scene.store.audit(&AuditQuery { limit, ..query }).await.unwrap()
    };
    let records = |found: Vec<(i64, AuditRecord)>| {
        found.into_iter().map(|(_, record)| record).collect::<Vec<_>>()
    };
    let all = read(AuditQuery::default()).await;
    assert!(all.is_sorted_by(|a, b| a.0 > b.0));
    assert_eq!(records(all), [third.clone(), second.clone(), first.clone()]);
    let page = read(AuditQuery { limit: 2, ..AuditQuery::default() }).await;
    let before = page.last().map(|(number, _)| *number);
    let rest = read(AuditQuery { before, ..AuditQuery::default() }).await;
    assert_eq!(records(rest), std::slice::from_ref(&first));
    for (query, expected) in [
        (AuditQuery { who: Some("user 7".into()), ..AuditQuery::default() }, &second),
        (AuditQuery { what: Some(Deed::LettersRedrive), ..AuditQuery::default() }, &third),
        (AuditQuery { about: Some("m-1".into()), ..AuditQuery::default() }, &first),
    ] {
        assert_eq!(records(read(query).await), std::slice::from_ref(expected));
    }
    let since = read(AuditQuery { since: Some(scene.now()), ..AuditQuery::default() }).await;
    assert_eq!(since.len(), 2);
}
