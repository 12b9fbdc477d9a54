//! Providers that send nothing: they keep what they are given, and fail as they are told.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

use crate::channel::capture::Captured;
use crate::channel::{Channel, Failure, Outcome, Traits};
use crate::clock::Clock;
use crate::model::{AttemptOutcome, Entry, MessageId, Parcel, ProviderName};
use crate::workflow::case::Fault;

/// What all providers of one simulation share. Clones are one.
#[derive(Clone, Default)]
pub(super) struct Post(Arc<Mutex<Held>>);

#[derive(Default)]
struct Held {
    parcels: Vec<Captured>,
    faults: Vec<(Fault, u64)>,
}

/// One provider of one channel.
pub(super) struct Fake {
    pub name: ProviderName,
    pub traits: Traits,
    pub post: Post,
    pub clock: Clock,
}

impl Post {
    pub fn fail(&self, fault: Fault) {
        self.lock().faults.push((fault, 0));
    }

    /// In the order of their sending.
    pub fn list(&self) -> Vec<Captured> {
        self.lock().parcels.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Channel for Fake {
    fn traits(&self) -> &Traits {
        &self.traits
    }

    async fn send(&self, parcel: &Parcel, _deadline: Duration) -> Outcome {
        let now = self.clock.now();
        let mut held = self.post.lock();
        held.parcels.push(Captured::from(parcel));
        let fault = held.faults.iter_mut().find(|(fault, used)| {
            fault.channel.as_ref().is_none_or(|channel| *channel == parcel.channel)
                && fault.provider.as_ref().is_none_or(|provider| *provider == self.name)
                && fault.from.is_none_or(|from| from <= now)
                && fault.until.is_none_or(|until| now < until)
                && fault.times.is_none_or(|times| *used < times)
        });
        match fault {
            Some((fault, used)) => {
                *used += 1;
                outcome(fault)
            }
            None => Outcome::Accepted { receipt: None, detail: None },
        }
    }
}

fn outcome(fault: &Fault) -> Outcome {
    let failure = Failure::new(fault.code.clone(), fault.message.clone());
    let after = fault.after.map(|span| span.0);
    match fault.outcome {
        AttemptOutcome::Accepted => Outcome::Accepted { receipt: None, detail: None },
        AttemptOutcome::Retry => Outcome::Retry { failure, after },
        AttemptOutcome::RateLimited => Outcome::RateLimited { failure, after },
        AttemptOutcome::Unknown => Outcome::Unknown { failure },
        AttemptOutcome::InvalidRecipient => Outcome::InvalidRecipient { failure },
        AttemptOutcome::Rejected => Outcome::Rejected { failure },
        AttemptOutcome::Misconfigured => Outcome::Misconfigured { failure },
        AttemptOutcome::PluginFault => Outcome::PluginFault { failure },
    }
}

/// An inbox entry in the shape of what other channels are given.
pub(super) fn of_entry(message: MessageId, entry: Entry) -> Captured {
    Captured {
        message_id: message,
        channel: crate::model::ChannelName::IN_APP.into(),
        provider: "inbox",
        to: entry.user.to_string(),
        subject: None,
        title: Some(entry.title),
        body: entry.message,
        html: None,
        text: None,
        headers: std::collections::BTreeMap::new(),
        at: entry.created_at,
    }
}
