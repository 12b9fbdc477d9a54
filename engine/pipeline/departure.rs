//! The write before a provider hears of a message.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

use super::Pipeline;
use super::attempt::{self, Ended};
use crate::dispatch::{Depart, Leaving, Tried};
use crate::render::Rendered;
use crate::store::{Departed, Departure, Held, StoreError};

/// A permit not used by then goes back to the gates (docs/reference/gates.md).
const PERMIT_LASTS: Duration = Duration::from_secs(60);

/// The way out of the store for one rendered message.
pub(super) struct Exit<'a> {
    pub pipeline: &'a Pipeline,
    pub rendered: &'a Rendered,
    /// The first departure; its provider and time are filled in.
    pub departure: Departure,
    /// What becomes of a message that may not leave, though the caller still holds it.
    pub back: Option<Ended>,
}

#[async_trait]
impl Depart for Exit<'_> {
    type Error = StoreError;

    async fn depart(&mut self, leaving: Leaving<'_>) -> Result<bool, StoreError> {
        let Leaving { provider, at, after } = leaving;
        if lapsed(self.rendered, at) {
            self.back = Some(Ended::lapsed(at));
            return Ok(false);
        }
        let departure = Departure { provider: provider.clone(), at, ..self.departure.clone() };
        match after {
            None => self.pipeline.depart(departure, &mut self.back).await,
            Some(tried) => self.fail_over(departure, tried).await,
        }
    }
}

impl Exit<'_> {
    /// Whether the message may go on to another provider, which `departure` names. That there was
    /// one before is written with it.
    async fn fail_over(&self, departure: Departure, tried: &Tried) -> Result<bool, StoreError> {
        let failover = attempt::failover(self.rendered, tried, &departure.provider);
        let attempt = failover.attempt.clone();
        let failover = Some(Box::new(failover));
        // Its budget was spent by the first departure.
        let departure = Departure { spend: None, once: None, failover, ..departure };
        let departed = self.pipeline.store.depart(vec![departure]).await?;
        let left = departed.first() == Some(&Departed::Left);
        if left {
            attempt::emit(self.rendered.channel(), &attempt);
        }
        Ok(left)
    }
}

impl Pipeline {
    /// Whether the message may be handed over. What the store refuses, though the caller still
    /// holds it, goes `back` to the gates, which find the reason there.
    pub(super) async fn depart(
        &self,
        departure: Departure,
        back: &mut Option<Ended>,
    ) -> Result<bool, StoreError> {
        let at = departure.at;
        match self.store.depart(vec![departure]).await?.first() {
            Some(Departed::Left) => return Ok(true),
            Some(Departed::Withdrawn) | None => {}
            Some(Departed::Duplicate) => *back = Some(Ended::lapsed(at)),
            Some(Departed::OverBudget) => {
                let held = Some(Held { gathers: None });
                *back = Some(Ended { held, ..Ended::lapsed(at) });
            }
        }
        Ok(false)
    }
}

/// Whether the gates have to be asked again before the message may leave at `at`.
fn lapsed(rendered: &Rendered, at: Timestamp) -> bool {
    let expires_at = rendered.planned().message.expires_at;
    at > rendered.granted_at() + PERMIT_LASTS || expires_at.is_some_and(|end| end <= at)
}
