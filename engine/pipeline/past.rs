//! What a due message has to know of others: loaded for its gates, and told to its departure.

use std::sync::Arc;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::Pipeline;
use crate::gate::{self, Likeness, Past};
use crate::model::{Event, Planned, Run, StepPath};
use crate::plan;
use crate::store::{Asking, Gathered, Once, Result, Spend, Spending};
use crate::workflow::Workflow;
use crate::workflow::step::WhenHeld;

/// Of one message that fell due.
#[derive(Default)]
pub(super) struct Ground {
    pub left_before: bool,
    pub past: Past,
    pub spend: Option<Spend>,
    pub once: Option<Once>,
    /// The words of a message that tells of others too.
    pub told: Option<Told>,
}

/// The last of those that were gathered, with all of them in its run's `collected`.
pub(super) struct Told {
    pub run: Arc<Run>,
    pub event: Arc<Event>,
    pub workflow: Arc<Workflow>,
    pub step: StepPath,
}

impl Pipeline {
    /// Reads nothing for a message without limits, dedupe key and others to tell of.
    pub(super) async fn ground(
        &self,
        workflow: &Arc<Workflow>,
        planned: &Planned,
        left_before: bool,
        leads: bool,
    ) -> Result<Ground> {
        let mut ground = Ground { left_before, ..Ground::default() };
        if leads {
            ground.told = Some(self.told(workflow, planned).await?);
        }
        self.likeness(workflow, planned, &mut ground).await?;
        self.spending(workflow, planned, &mut ground).await?;
        Ok(ground)
    }

    async fn likeness(
        &self,
        workflow: &Workflow,
        planned: &Planned,
        ground: &mut Ground,
    ) -> Result<()> {
        let now = self.clock.now();
        let key = match gate::dedupe_key(workflow, planned, now) {
            Ok(Some(key)) => key,
            Ok(None) => return Ok(()),
            Err(error) => {
                ground.past.likeness = Likeness::Failed(error);
                return Ok(());
            }
        };
        let window = workflow.dedupe.as_ref().map(|dedupe| dedupe.window.0).unwrap_or_default();
        let once = Once {
            key: digest(planned, &key),
            since: now.saturating_sub(window).unwrap_or(jiff::Timestamp::MIN),
            until: self.clock.after(window),
        };
        if !ground.left_before
            && let Some((message, at)) = self.store.sent_like(&once).await?
        {
            ground.past.likeness = Likeness::Sent { message, at };
        }
        ground.once = Some(once);
        Ok(())
    }

    async fn spending(
        &self,
        workflow: &Workflow,
        planned: &Planned,
        ground: &mut Ground,
    ) -> Result<()> {
        let message = &planned.message;
        let interrupts = self.traits(&message.channel).is_some_and(|traits| traits.interrupts);
        let (true, Some(user)) = (interrupts, planned.recipient.id()) else { return Ok(()) };
        let limits = gate::limits(planned, &self.rules.gates);
        let ignored = plan::send_step(workflow, &message.step)
            .is_some_and(|step| step.over_limit == WhenHeld::Ignore);
        let binding = !ground.left_before && !ignored && !gate::is_critical(workflow, message);
        ground.spend = Some(Spend { user: user.clone(), limits, binding });
        if limits.bind() && !ground.left_before && !ignored {
            let asking = Asking {
                user: user.clone(),
                message: message.id,
                priority: message.priority,
                now: self.clock.now(),
            };
            let Spending { at, ahead } = self.store.spending(&asking).await?;
            ground.past.spent = at;
            ground.past.ahead = ahead;
        }
        Ok(())
    }

    async fn told(&self, workflow: &Arc<Workflow>, leader: &Planned) -> Result<Told> {
        let now = self.clock.now();
        let mut all = self.store.gathered(leader.message.id).await?;
        // What could not leave in time is not told late by another.
        all.retain(|one| one.message.expires_at.is_none_or(|end| end > now));
        all.push(Gathered {
            message: leader.message.clone(),
            run: leader.run.clone(),
            event: leader.event.clone(),
        });
        all.sort_by_key(|one| one.message.id);
        let items: Vec<Value> = all.iter().map(|one| item(&one.event)).collect();
        let Some(Gathered { message, run, event }) = all.pop() else {
            let (run, event) = (leader.run.clone(), leader.event.clone());
            let step = leader.message.step.clone();
            return Ok(Told { run, event, workflow: workflow.clone(), step });
        };
        let workflow = self.workflow(&run).await?;
        let mut run = (*run).clone();
        if !run.state.is_object() {
            run.state = json!({});
        }
        run.state["collected"] = json!({ "count": items.len(), "items": items });
        Ok(Told { run: Arc::new(run), event, workflow, step: message.step })
    }
}

/// An event as a template sees it among others.
fn item(event: &Event) -> Value {
    json!({
        "id": event.id.to_string(),
        "name": event.name,
        "data": event.data,
        "at": event.at.to_string(),
        "actor": event.actor.as_ref().map(|actor| actor.as_str()),
    })
}

/// Workflow, recipient, channel and key as one; each with its length, so that none runs into the
/// next.
fn digest(planned: &Planned, key: &str) -> [u8; 32] {
    let message = &planned.message;
    let who = match (&message.recipient, &planned.run.contact) {
        (Some(user), _) => format!("user {user}"),
        (None, Some(contact)) => format!("contact {contact}"),
        (None, None) => String::new(),
    };
    let mut digest = Sha256::new();
    for part in [message.workflow.as_str(), &who, message.channel.as_str(), key] {
        digest.update(part.len().to_be_bytes());
        digest.update(part);
    }
    digest.finalize().into()
}
