//! Frames from the hub and frames from the store, made into one sequence.

use axum::extract::ws::Message;

use super::{End, Session, Wire, failed};
use crate::relay::position::{Live, Position};
use crate::relay::protocol::{Encoded, resync};
use crate::store::Replay;

/// Frames that a resume gives at most; for more, the client loads the list again.
const MAX_REPLAY: usize = 1000;

/// A frame from the hub.
pub async fn live(session: &mut Session, wire: &mut Wire, frame: &Encoded) -> Result<(), End> {
    match session.position.live(frame.seq) {
        Live::Skip => Ok(()),
        Live::Send => {
            session.position.pass(frame.seq);
            session.put(wire, frame).await
        }
        Live::Gap => {
            let from = session.position.sent();
            if !replay(session, wire, from).await? {
                start_over(session, wire, "frames in between are no longer kept").await?;
            }
            Ok(())
        }
    }
}

/// `resume{epoch, seq}`: exactly what the client lacks after `seq`, or `resync`.
pub async fn resume(
    session: &mut Session,
    wire: &mut Wire,
    epoch: &str,
    seq: u64,
) -> Result<(), End> {
    if *epoch != *session.relay.epoch {
        return start_over(session, wire, "the epoch is another one").await;
    }
    if replay(session, wire, seq).await? {
        session.position.resumed(seq);
        Ok(())
    } else {
        start_over(session, wire, "what was missed is no longer kept, or too much").await
    }
}

/// Sends what the store holds after `seq` and was not sent yet. `false` if it cannot be had whole.
async fn replay(session: &mut Session, wire: &mut Wire, seq: u64) -> Result<bool, End> {
    let store = session.relay.store.clone();
    let Replay::Frames(frames) =
        store.replay(&session.user, seq, MAX_REPLAY).await.map_err(failed)?
    else {
        return Ok(false);
    };
    let lacking: Vec<_> = frames.iter().filter(|frame| session.position.lacks(frame.seq)).collect();
    for frame in lacking {
        if let Some(encoded) = Encoded::of(frame) {
            session.put(wire, &encoded).await?;
        }
    }
    if let Some(last) = frames.last() {
        session.position.pass(last.seq);
    }
    wire.flush().await?;
    Ok(true)
}

/// The client loads the list, which holds all up to the head read here; frames go on after it.
async fn start_over(session: &mut Session, wire: &mut Wire, reason: &str) -> Result<(), End> {
    let head = session.relay.store.head(&session.user).await.map_err(failed)?;
    session.position = Position::at(head);
    session.last = head;
    let frame = resync(reason, &session.relay.epoch, head);
    wire.send(Message::Text(frame)).await
}
