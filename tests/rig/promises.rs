use std::collections::{BTreeMap, BTreeSet};

use super::ground::MESSAGES;
use super::http::HTTP;
use super::journal::{Journal, Kept, Written};
use super::mail::SMTP;
use super::poster::key_of;
use super::reader::WEB_SOCKET;
use super::stand::Rig;

const SENT: i64 = 4;

/// Everything that is otherwise than promised, once the nodes have ended; the counts go to the
/// scene's line.
pub async fn broken(rig: &mut Rig) -> Vec<String> {
    let journal = &rig.ground.journal;
    let state = rig.poster.state();
    let mut broken = state.complaints.clone();
    let leases = journal.leases().await;
    let left = journal.left().await;
    if leases + left > 0 {
        broken.push(format!("{left} things are left to do, {leases} leases are held"));
    }
    let events = journal.events().await;
    events_are_kept(&state.accepted, &events, &mut broken);
    let messages = journal.messages().await;
    for message in &messages {
        is_on_record(message, &mut broken);
    }
    let sinks = [(HTTP, "webhook"), (SMTP, "email")];
    let mut repeated = 0;
    for (sink, channel) in sinks {
        let arrived = rig.receipts.of(sink);
        let sent: Vec<_> = messages.iter().filter(|one| one.channel == channel).collect();
        let mut lost = Vec::new();
        repeated += arrivals_are_accounted_for(&arrived, &sent, &mut lost);
        if !rig.line.forgets {
            broken.extend(lost);
        }
    }
    if !rig.line.forgets {
        apps_heard_everything(rig, &messages, &mut broken).await;
    }
    if let Journal::Sqlite(path) = &rig.ground.journal {
        broken.extend(file_is_sound(path).await);
    }
    let arrivals = |sink| rig.receipts.of(sink).values().sum();
    let line = &mut rig.line;
    line.accepted = state.accepted.len();
    (line.lost, line.refused) = (state.lost, state.refused);
    line.messages = messages.len();
    line.arrivals = [arrivals(HTTP), arrivals(SMTP), arrivals(WEB_SOCKET)];
    line.repeated = repeated;
    line.unknown = messages.iter().map(|message| message.unknown).sum();
    line.leases = leases;
    broken
}

/// Every 202 is there under its id, once, with its run and its messages; and nothing else is.
fn events_are_kept(accepted: &BTreeMap<usize, String>, events: &[Kept], broken: &mut Vec<String>) {
    let mut by_key: BTreeMap<&str, &Kept> = BTreeMap::new();
    for event in events {
        if let Some(other) = by_key.insert(&event.key, event) {
            broken.push(format!("one key, two events: {event:?}, {other:?}"));
        }
        if (event.runs, event.messages) != (1, MESSAGES) {
            broken.push(format!("one run and {MESSAGES} messages: {event:?}"));
        }
    }
    for (number, id) in accepted {
        match by_key.get(key_of(*number).as_str()) {
            Some(event) if event.id == *id => {}
            found => broken.push(format!("event {number} was accepted as {id}, and is {found:?}")),
        }
    }
    if by_key.len() != accepted.len() {
        let (kept, accepted) = (by_key.len(), accepted.len());
        broken.push(format!("{kept} events are kept, {accepted} were accepted"));
    }
}

/// Sent, accepted once, and the other attempts numbered without gaps.
fn is_on_record(message: &Written, broken: &mut Vec<String>) {
    if message.status != SENT || message.accepted != 1 || message.highest != message.attempts {
        broken.push(format!("not sent, or not on record: {message:?}"));
    }
}

/// Answers how many arrivals were repetitions; each has an attempt of unknown outcome.
fn arrivals_are_accounted_for(
    arrived: &BTreeMap<String, usize>,
    sent: &[&Written],
    broken: &mut Vec<String>,
) -> usize {
    let mut repeated = 0;
    for message in sent {
        let times = arrived.get(&message.id).copied().unwrap_or_default();
        if times == 0 {
            broken.push(format!("sent, and never arrived: {message:?}"));
        }
        if times > 1 + message.unknown {
            broken.push(format!("arrived {times} times: {message:?}"));
        }
        repeated += times.saturating_sub(1);
    }
    let known: BTreeSet<&str> = sent.iter().map(|message| message.id.as_str()).collect();
    let strange = arrived.keys().filter(|id| !known.contains(id.as_str()));
    broken.extend(strange.map(|id| format!("{id} arrived, and is no message")));
    repeated
}

/// Each entry once, in the order of a stream that counts from 1.
async fn apps_heard_everything(rig: &Rig, messages: &[Written], broken: &mut Vec<String>) {
    for (user, entries, last) in rig.ground.journal.streams().await {
        if entries != last {
            broken.push(format!("{user} has {entries} entries, the last is {last}"));
        }
    }
    let heard = rig.receipts.of(WEB_SOCKET);
    for (id, times) in heard.iter().filter(|(_, times)| **times > 1) {
        broken.push(format!("entry {id} was heard {times} times"));
    }
    let readers = rig.readers.len();
    let listening: BTreeSet<_> = (0..readers).map(super::poster::user).collect();
    let theirs = messages.iter().filter(|message| {
        let user = message.user.as_ref();
        message.channel == "in_app" && user.is_some_and(|user| listening.contains(user))
    });
    for message in theirs.filter(|message| !heard.contains_key(&message.run)) {
        broken.push(format!("in the inbox, and never heard: {message:?}"));
    }
    for reader in &rig.readers {
        broken.extend(reader.heard().complaints);
    }
}

async fn file_is_sound(path: &std::path::Path) -> Option<String> {
    use sqlx::Connection;
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path).read_only(true);
    let mut connection =
        sqlx::SqliteConnection::connect_with(&options).await.expect("the file opens");
    let checked: String = sqlx::query_scalar("PRAGMA integrity_check")
        .fetch_one(&mut connection)
        .await
        .expect("it is checked");
    (checked != "ok").then(|| format!("the file is broken: {checked}"))
}
