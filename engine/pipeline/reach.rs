//! What a provider's answer says about the way to a recipient.

use std::time::Duration;

use super::Pipeline;
use super::attempt::Ended;
use crate::channel::Outcome;
use crate::dispatch::{Dispatched, Tried};
use crate::model::{Bounce, Device, MessageStatus, UserId, Verdict};
use crate::render::Rendered;
use crate::store::{DeviceChange, Result};

/// `last_used_at` is as old as this before it is written again.
const USED_AGAIN: Duration = Duration::from_secs(60);

impl Pipeline {
    /// Remembers an address that will never work, and that a device was reached. Before the result
    /// is written: a crash between the two repeats the attempt, and nothing is forgotten.
    pub(super) async fn learn(&self, rendered: &Rendered, dispatched: &Dispatched) {
        let Dispatched::Attempted { tried: Tried { outcome, .. }, .. } = dispatched else { return };
        let Some(user) = rendered.planned().recipient.id() else { return };
        let learnt = match outcome {
            Outcome::Accepted { .. } => self.reached(rendered, user).await,
            Outcome::InvalidRecipient { .. } => self.unreachable(rendered, user).await,
            _ => Ok(()),
        };
        if let Err(error) = learnt {
            tracing::warn!(%error, "what a provider said of an address could not be kept");
        }
    }

    async fn reached(&self, rendered: &Rendered, user: &UserId) -> Result<()> {
        let now = self.clock.now();
        let person = rendered.planned().recipient.person.as_ref();
        if person.is_some_and(|person| !person.bounces.is_empty()) {
            let bounce = Bounce::of(rendered.channel(), rendered.to());
            self.store.forget_bounce(user, &bounce).await?;
        }
        let Some(device) = device(rendered) else { return Ok(()) };
        if device.last_used_at.is_some_and(|before| now < before + USED_AGAIN) {
            return Ok(());
        }
        self.store.device_used(user, device.id, now).await
    }

    async fn unreachable(&self, rendered: &Rendered, user: &UserId) -> Result<()> {
        let now = self.clock.now();
        if let Some(device) = device(rendered) {
            let off = DeviceChange { is_active: Some(false), ..DeviceChange::default() };
            self.store.change_device(user, device.id, &off, now).await?;
        } else if !rendered.to().is_empty() {
            let bounce = Bounce::of(rendered.channel(), rendered.to());
            self.store.mark_bounced(user, &bounce, now).await?;
        }
        Ok(())
    }
}

impl Ended {
    /// A device that is gone is not the end while the user has another: the message goes back to
    /// the gates, which name that one.
    pub(super) fn or_next_device(mut self, rendered: &Rendered) -> Self {
        let gone = self.status == MessageStatus::Failed
            && self.code.as_deref() == Some("recipient.invalid")
            && device(rendered).is_some_and(|device| has_another(rendered, device));
        if gone {
            self.status = MessageStatus::Pending;
            self.due_at = self.attempt.as_ref().map(|attempt| attempt.finished_at);
            for decision in &mut self.decisions {
                if decision.code == "recipient.invalid" {
                    decision.verdict = Verdict::Retry;
                    decision.until = self.due_at;
                }
            }
        }
        self
    }
}

/// The recipient's device that the message went to.
fn device(rendered: &Rendered) -> Option<&Device> {
    let person = rendered.planned().recipient.person.as_ref()?;
    person.devices.iter().find(|device| device.token.as_str() == rendered.to())
}

fn has_another(rendered: &Rendered, gone: &Device) -> bool {
    let person = rendered.planned().recipient.person.as_ref();
    let devices = person.map(|person| person.devices.as_slice()).unwrap_or_default();
    devices.iter().any(|device| device.is_active && device.id != gone.id)
}

#[cfg(test)]
mod tests;
