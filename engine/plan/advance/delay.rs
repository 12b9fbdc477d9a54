use jiff::Timestamp;

use super::{Machine, Then};
use crate::model::{Decision, Span, Verdict};
use crate::plan::{Failed, state};
use crate::workflow::Step;
use crate::workflow::step::{Delay, Moment};

impl Machine<'_> {
    pub(super) fn delay(&mut self, step: &Step, delay: &Delay) -> Result<Then, Failed> {
        let until = match delay {
            Delay::For(Span(wait)) => self.around.clock.after(*wait),
            Delay::Until(moment) => moment.evaluate_time(&self.scope())?,
            Delay::Before(Moment { at, by }) => {
                let at = at.evaluate_time(&self.scope())?;
                at.saturating_sub(by.0).unwrap_or(Timestamp::MIN)
            }
            Delay::After(Moment { at, by }) => {
                let at = at.evaluate_time(&self.scope())?;
                at.saturating_add(by.0).unwrap_or(Timestamp::MAX)
            }
        };
        state::status(self.run, step, "done");
        if until <= self.now() {
            return Ok(Then::Next);
        }
        let reason = format!("goes on at {until}");
        let decision = self.decision(step, Verdict::Wait, "delay", reason);
        self.steps.decisions.push(Decision { until: Some(until), ..decision });
        Ok(Then::Wait(until))
    }
}
