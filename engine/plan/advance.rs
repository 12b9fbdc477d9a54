//! The step machine: on from where the run stands, until it has to wait, has to ask, or ends.
//!
//! It is pure. What a step wants to know of the world (what came together in a batch, whether a
//! limit is reached, what a server answers) is a [`Question`]; the pipeline finds the [`Answer`]
//! and advances again. A step that waits at its own place leaves a mark in the run's state, so
//! that it knows on waking that it has begun.

mod cancel;
mod collect;
mod delay;
mod emit;
mod fetch;
mod publish;
mod route;
mod schedule;
mod send;
mod throttle;
mod wait_for;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::position::Position;
use super::question::{Answer, Asked, Question};
use super::{Failed, state};
use crate::clock::Clock;
use crate::expression::Scope;
use crate::model::{
    Decision, Event, Join, Message, Occasion, Publication, Recipient, Run, RunStatus, Verdict, Wait,
};
use crate::store::Stop;
use crate::workflow::step::Branch;
use crate::workflow::{OnError, Step, StepKind, Workflow};

/// Steps of one advance: more is a loop that never waits.
const MOST_STEPS: usize = 10_000;

/// What a run's next steps came to.
#[derive(Clone, Debug, Default)]
pub struct Steps {
    /// To be stored, pending.
    pub messages: Vec<Message>,
    pub decisions: Vec<Decision>,
    /// Emitted: not yet held against their schema.
    pub events: Vec<Event>,
    pub stops: Vec<Stop>,
    /// What the step at the run's position has to know before it can go on. The run is due at
    /// once: whoever cannot answer leaves that to its job.
    pub question: Option<Asked>,
    /// The run waits for others; the store says when it wakes.
    pub joins: Vec<Join>,
    /// What the run waited for with others, and goes on with for all.
    pub closes: Vec<Occasion>,
    /// What the run stands still for.
    pub waits: Vec<Wait>,
    pub publications: Vec<Publication>,
}

/// What a run is taken on with. `now` and ids come from `clock`.
#[derive(Clone, Copy)]
pub struct Surroundings<'a> {
    pub workflow: &'a Workflow,
    pub event: &'a Event,
    pub recipient: &'a Recipient,
    pub clock: &'a Clock,
    /// For recipients who name none.
    pub time_zone: &'a TimeZone,
}

/// What a step means for the run.
enum Then {
    Next,
    Enter(usize),
    /// Goes on behind the step, then.
    Wait(Timestamp),
    /// Comes back to this very step, then.
    Stay(Timestamp),
    /// Comes back to this very step then, or when what it waits for comes.
    Await(Option<Timestamp>),
    Ask(Question),
    /// Comes back to this very step, when those that it waits with go on.
    Join(Box<Join>),
    Stop,
}

/// Takes `run` on; sets its status, position, `wake_at` and state. Nothing else changes.
///
/// `answer` is what the last advance asked for, and is for the step at the run's position.
pub fn advance(around: Surroundings<'_>, run: &mut Run, mut answer: Option<Answer>) -> Steps {
    let mut steps = Steps::default();
    let mut position = run.position.as_ref().and_then(Position::parse);
    let due = position.as_ref().map_or(around.clock.now(), |here| due(around, run, here));
    run.wake_at = None;
    run.status = RunStatus::Waiting;
    for _ in 0..MOST_STEPS {
        let Some(here) = position else {
            return ended(run, RunStatus::Finished, steps);
        };
        let Some(step) = here.step(around.workflow) else {
            position = left(around.workflow, here, run);
            continue;
        };
        let item = here.item(around.workflow, run);
        let answer = answer.take();
        let mut machine = Machine { around, run, item, answer, due, steps: &mut steps };
        position = match machine.take(step) {
            Ok(Then::Next) => Some(here.next()),
            Ok(Then::Enter(block)) => Some(here.enter(block)),
            Ok(Then::Stop) => return ended(run, RunStatus::Finished, steps),
            Ok(Then::Wait(until)) => {
                state::clear_mark(run);
                return waits(run, &here.next(), until, steps);
            }
            Ok(Then::Stay(until)) => return waits(run, &here, until, steps),
            Ok(Then::Await(until)) => {
                run.position = Some(here.path());
                run.wake_at = until;
                return steps;
            }
            Ok(Then::Ask(question)) => {
                steps.question = Some(Asked { step: step.path.clone(), item, question });
                return waits(run, &here, around.clock.now(), steps);
            }
            Ok(Then::Join(join)) => {
                steps.joins.push(*join);
                run.position = Some(here.path());
                return steps;
            }
            Err(failed) => {
                steps.decisions.push(failed.of_step(run, step, around.clock.now()));
                match step.on_error {
                    OnError::Fail => return ended(run, RunStatus::Failed, steps),
                    OnError::Skip => state::status(run, step, "skipped"),
                    OnError::Continue => state::status(run, step, "failed"),
                }
                Some(here.next())
            }
        };
        state::clear_mark(run);
    }
    let reason = format!("{MOST_STEPS} steps without a wait: the workflow loops");
    let now = around.clock.now();
    steps.decisions.push(Decision::of_run(run, now, Verdict::Fail, "run.loops", reason));
    ended(run, RunStatus::Failed, steps)
}

/// When the run was to go on: earlier than now where nobody was there to do it.
fn due(around: Surroundings<'_>, run: &Run, here: &Position) -> Timestamp {
    let now = around.clock.now();
    // What ended a wait came at a moment that is not known here.
    let waited = matches!(
        here.step(around.workflow).map(|step| &step.kind),
        Some(StepKind::WaitFor(_) | StepKind::Route(_))
    );
    run.wake_at.filter(|_| !waited).map_or(now, |due| due.min(now))
}

fn waits(run: &mut Run, at: &Position, until: Timestamp, steps: Steps) -> Steps {
    run.position = Some(at.path());
    run.wake_at = Some(until);
    steps
}

fn ended(run: &mut Run, status: RunStatus, steps: Steps) -> Steps {
    state::clear_mark(run);
    run.status = status;
    run.position = None;
    run.wake_at = None;
    steps
}

/// From behind the last step of a block: on behind the step that holds it, or round again where
/// that is a loop.
fn left(workflow: &Workflow, here: Position, run: &mut Run) -> Option<Position> {
    let outer = here.outer()?;
    match outer.step(workflow).map(|step| &step.kind) {
        Some(StepKind::Schedule(_)) => {
            state::turn(run, &outer.path());
            Some(outer)
        }
        _ => Some(outer.next()),
    }
}

struct Machine<'a> {
    around: Surroundings<'a>,
    run: &'a mut Run,
    /// The index of the loops around the step; 0 outside of any.
    item: u32,
    /// For the first step alone.
    answer: Option<Answer>,
    /// When these steps should have been taken.
    due: Timestamp,
    steps: &'a mut Steps,
}

impl Machine<'_> {
    fn take(&mut self, step: &Step) -> Result<Then, Failed> {
        // Asked when the step begins, not again when it wakes.
        if !state::has_begun(self.run, &step.path)
            && let Some(condition) = &step.condition
            && !condition.evaluate_bool(&self.scope())?
        {
            state::status(self.run, step, "skipped");
            return Ok(Then::Next);
        }
        match &step.kind {
            StepKind::Send(send) => self.send(step, send),
            StepKind::Delay(delay) => self.delay(step, delay),
            StepKind::Schedule(schedule) => self.schedule(step, schedule),
            StepKind::Batch(batch) => self.batch(step, batch),
            StepKind::Digest(digest) => self.digest(step, digest),
            StepKind::Throttle(throttle) => self.throttle(step, throttle),
            StepKind::Branch(branch) => self.branch(branch),
            StepKind::Emit(emit) => self.emit(step, emit),
            StepKind::Cancel(cancel) => self.cancel(step, cancel),
            StepKind::WaitFor(wait) => self.wait_for(step, wait),
            StepKind::Route(route) => self.route(step, route),
            StepKind::Publish(publish) => self.publish(step, publish),
            StepKind::Fetch(fetch) => self.fetch(step, fetch),
            StepKind::Set(variables) => {
                for (name, expression) in &variables.0 {
                    let value = expression.evaluate_value(&self.scope())?;
                    state::set(self.run, name, value);
                }
                state::status(self.run, step, "done");
                Ok(Then::Next)
            }
            StepKind::Stop(_) => Ok(Then::Stop),
        }
    }

    fn scope(&self) -> Scope<'_> {
        let Surroundings { event, recipient, clock, .. } = self.around;
        Scope::new(event, clock.now()).recipient(recipient).run(self.run)
    }

    fn now(&self) -> Timestamp {
        self.around.clock.now()
    }

    /// A record of this step of the run.
    fn decision(
        &self,
        step: &Step,
        verdict: Verdict,
        code: &'static str,
        reason: impl Into<String>,
    ) -> Decision {
        Decision {
            step: Some(step.path.clone()),
            rule: Some(step.place.to_string()),
            ..Decision::of_run(self.run, self.now(), verdict, code, reason)
        }
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
