use std::sync::Arc;

use super::told::{Rejection, Told};
use crate::clock::Clock;
use crate::ingest::Refusal;
use crate::pipeline::Accept;
use crate::store::StoreError;
use crate::telemetry::{EventsAccepted, EventsRefused};

/// The way from a source into the pipeline.
#[derive(Clone)]
pub struct Intake {
    pub pipeline: Arc<dyn Accept>,
    pub clock: Clock,
    /// Bytes of one event's data: `server.max_event`.
    pub max_event: usize,
}

impl Intake {
    /// Accepts events in their order, in one call. For each: `None` once it is stored and durable
    /// (or was before), or why it is to be set aside.
    ///
    /// # Errors
    /// The store is away: nothing is known of any of them, and all may be told again.
    pub async fn accept(&self, told: &[Told]) -> Result<Vec<Option<Rejection>>, StoreError> {
        let fates = match self.all(told).await {
            Err(error) if told.len() > 1 && is_about_one(&error) => {
                let mut fates = Vec::with_capacity(told.len());
                for each in told {
                    fates.extend(self.alone(each).await?);
                }
                fates
            }
            Err(error) if is_about_one(&error) => vec![Some(unstorable(&error))],
            fates => fates?,
        };
        let accepted = fates.iter().filter(|fate| fate.is_none()).count();
        // Which of the sources, `SourceDrained` tells; those known before are not told apart.
        EventsAccepted { source: "source", accepted: accepted as u64, duplicates: 0 }.emit();
        for rejection in fates.iter().flatten() {
            EventsRefused { count: 1, code: rejection.code }.emit();
        }
        Ok(fates)
    }

    async fn all(&self, told: &[Told]) -> Result<Vec<Option<Rejection>>, StoreError> {
        let mut fates = Vec::with_capacity(told.len());
        let mut events = Vec::with_capacity(told.len());
        for each in told {
            match each.read(self.max_event) {
                Ok(mut event) => {
                    // A server's clock may run ahead of ours: what it says has happened has.
                    if event.at == Some(each.at) {
                        event.at = event.at.min(Some(self.clock.now()));
                    }
                    events.push(event);
                    fates.push(None);
                }
                Err(rejection) => fates.push(Some(rejection)),
            }
        }
        if events.is_empty() {
            return Ok(fates);
        }
        let mut answers = self.pipeline.accept(events).await?.into_iter();
        for fate in fates.iter_mut().filter(|fate| fate.is_none()) {
            *fate =
                answers.next().and_then(|answer: Result<_, Refusal>| Some(answer.err()?.into()));
        }
        Ok(fates)
    }

    async fn alone(&self, told: &Told) -> Result<Vec<Option<Rejection>>, StoreError> {
        match self.all(std::slice::from_ref(told)).await {
            Err(error) if is_about_one(&error) => Ok(vec![Some(unstorable(&error))]),
            fates => fates,
        }
    }
}

/// Whether the store could not take what it was given, rather than being away.
fn is_about_one(error: &StoreError) -> bool {
    match error {
        StoreError::Unavailable(_) | StoreError::Scheme(_) | StoreError::Closed => false,
        StoreError::Unreadable { .. } | StoreError::Locked { .. } | StoreError::NoKey { .. } => {
            true
        }
    }
}

fn unstorable(error: &StoreError) -> Rejection {
    Rejection::new("event.unstorable", error.to_string())
}
