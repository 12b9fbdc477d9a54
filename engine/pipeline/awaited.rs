//! The runs that wait for an event, found by its own job: a page in each write.

use super::Pipeline;
use crate::model::{Event, Match, RunId};
use crate::plan::{self, Waiter};
use crate::store::{AWAITED, Plan, Result, Waiting};

/// Waits ended, or runs asked, in one write.
const PAGE: usize = 500;

impl Pipeline {
    /// Ends a page of the waits that `event` ends: those by key first, then those whose own
    /// `match` decides, of the runs after `after`.
    pub(super) async fn end_waits(&self, event: &Event, after: Option<RunId>) -> Result<Plan> {
        let now = self.clock.now();
        let matches = self.by_key(event).await?;
        if matches.len() >= PAGE {
            let more = Some((now, AWAITED.to_owned()));
            return Ok(Plan { matches, more, ..Plan::default() });
        }
        let mut plan = Plan { matches, ..Plan::default() };
        let asked = self.store.waiting_by_match(event, after, PAGE).await?;
        if asked.len() == PAGE
            && let Some(last) = asked.last()
        {
            plan.more = Some((now, format!("{AWAITED} {}", last.run.id)));
        }
        for waiting in &asked {
            if self.is_met(waiting, event).await? {
                plan.matches.push(Match {
                    run: waiting.run.id,
                    step: waiting.step.clone(),
                    item: waiting.item,
                    event: event.id,
                });
            }
        }
        Ok(plan)
    }

    async fn by_key(&self, event: &Event) -> Result<Vec<Match>> {
        let mut found = Vec::new();
        for (name, version) in self.store.awaiting(event).await? {
            let workflow = match self.version(&name, &version).await {
                Ok(workflow) => workflow,
                Err(error) => {
                    tracing::warn!(%error, "runs of a workflow's version cannot be told of events");
                    continue;
                }
            };
            let Some(key) = plan::key_of(&workflow, event, self.clock.now()) else { continue };
            let room = PAGE - found.len();
            found.extend(self.store.waiting_by_key(event, &version, &key, room).await?);
            if found.len() == PAGE {
                break;
            }
        }
        Ok(found)
    }

    async fn is_met(&self, waiting: &Waiting, incoming: &Event) -> Result<bool> {
        let Waiting { run, event, step, .. } = waiting;
        let workflow = match self.workflow(run).await {
            Ok(workflow) => workflow,
            Err(error) => {
                tracing::warn!(%error, run = %run.id, "a waiting run cannot be asked");
                return Ok(false);
            }
        };
        let recipient = self.recipient(run).await?;
        let waiter = Waiter { workflow: &workflow, event, recipient: &recipient, run, step };
        Ok(plan::is_met(waiter, incoming, self.clock.now()))
    }
}
