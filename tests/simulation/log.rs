use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use nuncio::channel::Publish;
use nuncio::model::{
    AttemptNumber, Frame, MessageId, MessageStatus, Parcel, Presence, Stream, UserId,
};
use nuncio::store::{Departed, Departure};

use super::fate::Fates;

/// What has happened, beside what the store says: what left, what arrived, what was taken back.
pub struct Log {
    fates: Fates,
    noted: Mutex<Noted>,
}

#[derive(Default)]
pub struct Noted {
    pub departures: BTreeMap<MessageId, Vec<Leave>>,
    pub arrivals: BTreeMap<MessageId, Vec<Arrival>>,
    /// The moment at which it was taken back.
    pub cancelled: BTreeMap<MessageId, u64>,
    /// By hand, after it was given up.
    pub retried: BTreeSet<MessageId>,
    pub published: Vec<Frame>,
}

/// A message that may be handed to its provider, from that moment on.
#[derive(Clone, Copy, Debug)]
pub struct Leave {
    pub moment: u64,
    pub at: Timestamp,
    /// It counts in its recipient's budget, which had a place.
    pub binding: bool,
}

/// A message as its provider wrote it down.
#[derive(Clone, Debug)]
pub struct Arrival {
    pub attempt: AttemptNumber,
    pub key: String,
    pub body: String,
}

impl Log {
    pub fn new(fates: Fates) -> Self {
        Self { fates, noted: Mutex::default() }
    }

    pub fn departed(&self, asked: &[Departure], answers: &[Departed]) {
        for (departure, answer) in asked.iter().zip(answers) {
            let id = departure.message;
            let moment = self.fates.tick();
            self.fates.tell(|| format!("message {id} departs: {answer:?}"));
            if *answer == Departed::Left {
                let binding = departure.spend.as_ref().is_some_and(|spend| spend.binding);
                let leave = Leave { moment, at: departure.at, binding };
                self.noted().departures.entry(id).or_default().push(leave);
            }
        }
    }

    pub fn settled(&self, asked: &[(MessageId, MessageStatus)], answers: &[Option<Vec<Frame>>]) {
        for ((id, status), answer) in asked.iter().zip(answers) {
            self.fates.tick();
            let word = if answer.is_some() { "is" } else { "is too late to be" };
            self.fates.tell(|| format!("message {id} {word} {}", status.as_str()));
        }
    }

    pub fn cancelled(&self, id: MessageId, before: Option<MessageStatus>) {
        use MessageStatus::{Leased, Pending};
        if matches!(before, Some(Pending | Leased)) {
            self.stopped(&[id]);
        }
    }

    pub fn stopped(&self, ids: &[MessageId]) {
        for id in ids {
            let moment = self.fates.tick();
            self.fates.tell(|| format!("message {id} is taken back"));
            self.noted().cancelled.insert(*id, moment);
        }
    }

    pub fn retried(&self, id: MessageId, before: Option<MessageStatus>) {
        use MessageStatus::{Expired, Failed, Unknown};
        if matches!(before, Some(Failed | Unknown | Expired)) {
            self.fates.tell(|| format!("message {id} is tried again by hand"));
            self.noted().retried.insert(id);
        }
    }

    pub fn arrived(&self, parcel: &Parcel) {
        self.fates.tick();
        self.fates.tell(|| format!("message {} arrives", parcel.message));
        self.noted().arrivals.entry(parcel.message).or_default().push(Arrival {
            attempt: parcel.attempt,
            key: parcel.idempotency_key.clone(),
            body: parcel.content.body.trim().to_owned(),
        });
    }

    pub fn noted(&self) -> MutexGuard<'_, Noted> {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Publish for Log {
    fn publish(&self, frames: &[Frame]) {
        self.noted().published.extend_from_slice(frames);
    }

    fn presence(&self, _user: &UserId) -> Presence {
        Presence::default()
    }

    fn knock(&self, _stream: &Stream, _user: &UserId) {}
}
