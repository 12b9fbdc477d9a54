use super::{Machine, Then};
use crate::plan::{Failed, state};
use crate::store::Stop;
use crate::workflow::Step;
use crate::workflow::step::Cancel;

impl Machine<'_> {
    /// Orders other runs of the key to stop; of its own event too.
    pub(super) fn cancel(&mut self, step: &Step, cancel: &Cancel) -> Result<Then, Failed> {
        let stop = Stop {
            tenant: self.around.event.tenant.clone(),
            workflow: cancel.workflow.clone(),
            key: cancel.key.evaluate_text(&self.scope())?,
            before: self.around.clock.id(),
            except: Some(self.run.id),
            at: self.now(),
            reason: format!("cancelled by workflow `{}`", self.run.workflow),
            rule: Some(step.place.to_string()),
        };
        self.steps.stops.push(stop);
        state::status(self.run, step, "done");
        Ok(Then::Next)
    }
}
