use super::{Machine, Then};
use crate::model::{Decision, Verdict};
use crate::plan::{Failed, state};
use crate::workflow::Step;
use crate::workflow::step::Schedule;

impl Machine<'_> {
    /// Waits for the next of the moments, or is there. Those past when their turn comes are
    /// skipped and say so; one that was waited for is not past, however late the run woke.
    pub(super) fn schedule(&mut self, step: &Step, schedule: &Schedule) -> Result<Then, Failed> {
        if state::is_marked(self.run) {
            return Ok(Then::Enter(0));
        }
        let now = self.now();
        let moments = schedule.moments(schedule.at.evaluate_time(&self.scope())?);
        for moment in &moments[state::turns(self.run, &step.path).min(moments.len())..] {
            if moment.at == now {
                return Ok(Then::Enter(0));
            }
            let word = if schedule.before { "before" } else { "after" };
            let name = format!("{} {word} {}", moment.by, schedule.at.text());
            if moment.at > now {
                let reason = format!("{name}: goes on at {}", moment.at);
                let decision = self.decision(step, Verdict::Wait, "schedule", reason);
                self.steps.decisions.push(Decision { until: Some(moment.at), ..decision });
                state::mark(self.run);
                return Ok(Then::Stay(moment.at));
            }
            let reason = format!("{name} was at {}: past", moment.at);
            let decision = self.decision(step, Verdict::Skip, "schedule.past", reason);
            self.steps.decisions.push(decision);
            state::turn(self.run, &step.path);
        }
        state::rest(self.run, &step.path);
        state::status(self.run, step, "done");
        Ok(Then::Next)
    }
}
