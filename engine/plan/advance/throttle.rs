use jiff::Timestamp;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::{Machine, Then};
use crate::model::{Collected, Decision, Join, Pass, Passage, Verdict};
use crate::plan::question::{Answer, Question};
use crate::plan::{Failed, state};
use crate::workflow::Step;
use crate::workflow::step::{Excess, Throttle};

impl Machine<'_> {
    pub(super) fn throttle(&mut self, step: &Step, throttle: &Throttle) -> Result<Then, Failed> {
        match self.answer.take() {
            Some(Answer::Throttle(Passage::Free)) => Ok(self.passes(step, throttle)),
            Some(Answer::Throttle(Passage::From(until))) => self.exceeds(step, throttle, until),
            Some(Answer::Collected(Collected::Open { until, .. })) => Ok(Then::Stay(until)),
            Some(Answer::Collected(Collected::Closed { count, items })) => {
                self.went_on(step, count, &items);
                Ok(Then::Next)
            }
            _ => Ok(Then::Ask(Question::Throttle(self.pass(step, throttle)?))),
        }
    }

    fn passes(&mut self, step: &Step, throttle: &Throttle) -> Then {
        match throttle.excess {
            Excess::Batch if state::is_marked(self.run) => {
                return Then::Ask(Question::Collected { next: None });
            }
            Excess::Batch => self.alone(step),
            Excess::Skip | Excess::Defer => state::status(self.run, step, "done"),
        }
        Then::Next
    }

    fn exceeds(
        &mut self,
        step: &Step,
        throttle: &Throttle,
        until: Timestamp,
    ) -> Result<Then, Failed> {
        let Throttle { limit, window, excess, .. } = throttle;
        let reason = format!("{limit} within {window} have passed");
        if *excess == Excess::Skip {
            let decision = self.decision(step, Verdict::Skip, "throttle.limit", reason);
            self.steps.decisions.push(decision);
            return Ok(Then::Stop);
        }
        let decision = self.decision(step, Verdict::Hold, "throttle.limit", reason);
        if *excess == Excess::Batch && !state::is_marked(self.run) {
            let key = throttle.key.as_ref();
            return self.join(step, key, decision, |join| Join { closes_at: until, ..join });
        }
        self.steps.decisions.push(Decision { until: Some(until), ..decision });
        state::mark(self.run);
        Ok(Then::Stay(until))
    }

    fn pass(&self, step: &Step, throttle: &Throttle) -> Result<Pass, Failed> {
        let key = throttle.key.as_ref().map(|key| key.evaluate_text(&self.scope())).transpose()?;
        let whose = match key {
            Some(key) => json!(["key", key]),
            None => json!(["recipient", self.run.recipient, self.run.contact]),
        };
        let tenant = &self.around.event.tenant;
        let counted = json!([tenant, self.run.workflow, step.path, whose]);
        Ok(Pass {
            occasion: self.occasion(step),
            key: Sha256::digest(counted.to_string()).into(),
            limit: throttle.limit,
            window: throttle.window.0,
            at: self.now(),
            ahead: throttle.excess != Excess::Skip,
        })
    }
}
