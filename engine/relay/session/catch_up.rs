//! Frames from the hub and frames from the store, made into one sequence a stream.

use axum::extract::ws::Message;

use super::{End, Session, Wire, failed};
use crate::relay::position::Live;
use crate::relay::protocol::{Encoded, resync};
use crate::store::Replay;

/// Frames that a resume gives at most; for more, the client loads the list again.
const MAX_REPLAY: usize = 1000;

/// A frame from the hub.
pub async fn live(session: &mut Session, wire: &mut Wire, frame: &Encoded) -> Result<(), End> {
    let Some(place) = session.reading.iter().position(|one| one.stream == frame.stream) else {
        return Ok(());
    };
    if frame.is_knock() {
        let admitted = session.place.admits(&session.relay, &session.claims).await;
        return if admitted.map_err(failed)? { Ok(()) } else { Err(End::Outside) };
    }
    let Some(seq) = frame.seq else { return session.put(wire, frame).await };
    let position = &mut session.reading[place].position;
    match position.live(seq) {
        Live::Skip => Ok(()),
        Live::Send if !frame.is_mark() => {
            position.pass(seq);
            session.put(wire, frame).await
        }
        Live::Send | Live::Gap => {
            let from = position.sent();
            if !replay(session, wire, place, from).await? {
                start_over(session, wire, place, "frames in between are no longer kept").await?;
            }
            Ok(())
        }
    }
}

/// `resume{epoch, seq}` of one of the streams, by its place: exactly what the client lacks after
/// `seq`, or `resync`.
pub async fn resume(
    session: &mut Session,
    wire: &mut Wire,
    place: usize,
    epoch: &str,
    seq: u64,
) -> Result<(), End> {
    if *epoch != *session.relay.epoch {
        return start_over(session, wire, place, "the epoch is another one").await;
    }
    if replay(session, wire, place, seq).await? {
        session.reading[place].position.resumed(seq);
        Ok(())
    } else {
        let reason = "what was missed is no longer kept, or too much";
        start_over(session, wire, place, reason).await
    }
}

/// Sends what the store holds after `seq` and was not sent yet. `false` if it cannot be had whole.
async fn replay(
    session: &mut Session,
    wire: &mut Wire,
    place: usize,
    seq: u64,
) -> Result<bool, End> {
    let store = session.relay.store.clone();
    let stream = session.reading[place].stream.clone();
    let Replay::Frames(frames) =
        store.stream_replay(&stream, seq, MAX_REPLAY).await.map_err(failed)?
    else {
        return Ok(false);
    };
    let position = session.reading[place].position;
    for frame in frames.iter().filter(|frame| position.lacks(frame.seq)) {
        if let Some(encoded) = Encoded::of(frame) {
            session.put(wire, &encoded).await?;
        }
    }
    if let Some(last) = frames.last() {
        session.reading[place].position.pass(last.seq);
    }
    wire.flush().await?;
    Ok(true)
}

/// The client loads the list, which holds all up to the head read here; frames go on after it.
async fn start_over(
    session: &mut Session,
    wire: &mut Wire,
    place: usize,
    reason: &str,
) -> Result<(), End> {
    let store = session.relay.store.clone();
    let head = store.stream_head(&session.reading[place].stream).await.map_err(failed)?;
    session.reading[place].start_at(head);
    let frame = resync(reason, &session.relay.epoch, head);
    wire.send(Message::Text(frame)).await
}
