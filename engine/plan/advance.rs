//! The step machine: on from where the run stands, until it has to wait or ends.

use jiff::Timestamp;

use super::position::Position;
use super::{Failed, state};
use crate::clock::Clock;
use crate::expression::Scope;
use crate::model::{
    Decision, Event, Message, MessageStatus, Recipient, Run, RunStatus, Span, Verdict,
};
use crate::workflow::step::{Branch, Delay, Moment, Send};
use crate::workflow::{OnError, Step, StepKind, Workflow};

/// Steps of one advance: more is a loop that never waits.
const MOST_STEPS: usize = 10_000;

/// What a run's next steps came to.
#[derive(Clone, Debug, Default)]
pub struct Steps {
    /// To be stored, pending.
    pub messages: Vec<Message>,
    pub decisions: Vec<Decision>,
}

/// What a step means for the run.
enum Then {
    Next,
    Enter(usize),
    Wait(Timestamp),
    Stop,
}

/// Takes `run` on; sets its status, position, `wake_at` and state. Nothing else changes.
pub fn advance(
    workflow: &Workflow,
    event: &Event,
    recipient: &Recipient,
    run: &mut Run,
    clock: &Clock,
) -> Steps {
    let mut steps = Steps::default();
    let mut position = run.position.as_ref().and_then(Position::parse);
    run.wake_at = None;
    for _ in 0..MOST_STEPS {
        let Some(here) = position else {
            return ended(run, RunStatus::Finished, steps);
        };
        let Some(step) = here.step(workflow) else {
            position = here.leave();
            continue;
        };
        let mut machine = Machine { workflow, event, recipient, run, clock, steps: &mut steps };
        position = match machine.take(step) {
            Ok(Then::Next) => Some(here.next()),
            Ok(Then::Enter(block)) => Some(here.enter(block)),
            Ok(Then::Stop) => return ended(run, RunStatus::Finished, steps),
            Ok(Then::Wait(until)) => {
                run.position = Some(here.next().path());
                run.wake_at = Some(until);
                run.status = RunStatus::Waiting;
                return steps;
            }
            Err(failed) => {
                steps.decisions.push(failed.of_run(run, clock.now()));
                match step.on_error {
                    OnError::Fail => return ended(run, RunStatus::Failed, steps),
                    OnError::Skip => state::status(run, step, "skipped"),
                    OnError::Continue => state::status(run, step, "failed"),
                }
                Some(here.next())
            }
        };
    }
    let reason = format!("{MOST_STEPS} steps without a wait: the workflow loops");
    steps.decisions.push(Decision::of_run(run, clock.now(), Verdict::Fail, "run.loops", reason));
    ended(run, RunStatus::Failed, steps)
}

fn ended(run: &mut Run, status: RunStatus, steps: Steps) -> Steps {
    run.status = status;
    run.position = None;
    run.wake_at = None;
    steps
}

struct Machine<'a> {
    workflow: &'a Workflow,
    event: &'a Event,
    recipient: &'a Recipient,
    run: &'a mut Run,
    clock: &'a Clock,
    steps: &'a mut Steps,
}

impl Machine<'_> {
    fn take(&mut self, step: &Step) -> Result<Then, Failed> {
        if let Some(condition) = &step.condition
            && !condition.evaluate_bool(&self.scope())?
        {
            state::status(self.run, step, "skipped");
            return Ok(Then::Next);
        }
        match &step.kind {
            StepKind::Send(send) => self.send(step, send),
            StepKind::Delay(delay) => self.delay(step, delay),
            StepKind::Branch(branch) => self.branch(branch),
            StepKind::Set(variables) => {
                for (name, expression) in &variables.0 {
                    let value = expression.evaluate_value(&self.scope())?;
                    state::set(self.run, name, value);
                }
                Ok(Then::Next)
            }
            StepKind::Stop(_) => Ok(Then::Stop),
            other => Err(Failed {
                verdict: Verdict::Fail,
                code: "step.unsupported",
                reason: format!("this version cannot run `{}` steps", other.word()),
                rule: step.place.to_string(),
            }),
        }
    }

    fn scope(&self) -> Scope<'_> {
        Scope::new(self.event, self.clock.now()).recipient(self.recipient).run(self.run)
    }

    fn send(&mut self, step: &Step, send: &Send) -> Result<Then, Failed> {
        let now = self.clock.now();
        let lasts = send.expires.or(self.workflow.expires);
        for channel in &send.channels {
            self.steps.messages.push(Message {
                id: self.clock.id(),
                event: self.run.event,
                run: self.run.id,
                step: step.path.clone(),
                item: 0,
                channel: channel.clone(),
                recipient: self.run.recipient.clone(),
                workflow: self.run.workflow.clone(),
                category: self.workflow.category.clone(),
                priority: self.run.priority,
                status: MessageStatus::Pending,
                due_at: now,
                expires_at: lasts.map(|Span(lasts)| self.clock.after(lasts)),
                attempt: 0,
                forgiven: 0,
                provider: None,
                receipt: None,
                code: None,
                created_at: now,
            });
        }
        state::status(self.run, step, "planned");
        Ok(Then::Next)
    }

    fn delay(&mut self, step: &Step, delay: &Delay) -> Result<Then, Failed> {
        let now = self.clock.now();
        let until = match delay {
            Delay::For(Span(wait)) => self.clock.after(*wait),
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
        if until <= now {
            return Ok(Then::Next);
        }
        let reason = format!("goes on at {until}");
        self.steps.decisions.push(Decision {
            step: Some(step.path.clone()),
            rule: Some(step.place.to_string()),
            until: Some(until),
            ..Decision::of_run(self.run, now, Verdict::Wait, "delay", reason)
        });
        Ok(Then::Wait(until))
    }

    fn branch(&mut self, branch: &Branch) -> Result<Then, Failed> {
        for (block, arm) in branch.arms.iter().enumerate() {
            let holds = match &arm.condition {
                Some(condition) => condition.evaluate_bool(&self.scope())?,
                None => true,
            };
            if holds {
                return Ok(Then::Enter(block));
            }
        }
        Ok(Then::Next)
    }
}
