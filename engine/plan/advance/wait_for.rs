use serde_json::json;

use super::{Machine, Then};
use crate::model::{Awaited, Decision, Event, Reached, Span, Verdict, Wait};
use crate::plan::question::{Answer, Ended, Question};
use crate::plan::{Failed, position, state};
use crate::workflow::Step;
use crate::workflow::step::{self, Next, State, WaitFor};

impl Machine<'_> {
    /// Begins to wait; or, woken, asks what came and goes on accordingly.
    pub(super) fn wait_for(&mut self, step: &Step, wait: &WaitFor) -> Result<Then, Failed> {
        if !state::is_marked(self.run) {
            return self.begin_wait(step, wait);
        }
        let Some(Answer::Awaited(ended)) = self.answer.take() else {
            return Ok(Then::Ask(Question::Awaited));
        };
        let (next, block, status, code, reason, result) = match ended {
            Ended::Matched(Some(event)) => {
                let reason = format!("`{}` came: event {}", event.name, event.id);
                let result = json!({ "event": seen(&event) });
                (&wait.on_match, 0, "matched", "wait_for.matched", reason, Some(result))
            }
            Ended::Matched(None) => {
                let reason = format!("{} came", what(wait));
                (&wait.on_match, 0, "matched", "wait_for.matched", reason, None)
            }
            Ended::TimedOut => {
                let reason = format!("{} did not come in time", what(wait));
                (&wait.on_timeout, 1, "timed_out", "wait_for.timeout", reason, None)
            }
        };
        let decision = self.decision(step, Verdict::Wait, code, reason);
        self.steps.decisions.push(decision);
        state::outcome(self.run, step, status, result);
        Ok(match next {
            Next::Continue => Then::Next,
            Next::Stop => Then::Stop,
            Next::Steps(_) => Then::Enter(block),
        })
    }

    fn begin_wait(&mut self, step: &Step, wait: &WaitFor) -> Result<Then, Failed> {
        let awaited = self.awaited(step, wait)?;
        let until = wait.timeout.map(|Span(timeout)| self.around.clock.after(timeout));
        let reason = match until {
            Some(until) => format!("waits for {}, until {until}", what(wait)),
            None => format!("waits for {}", what(wait)),
        };
        let decision = self.decision(step, Verdict::Wait, "wait_for", reason);
        self.steps.decisions.push(Decision { until, ..decision });
        self.wait(step, awaited);
        state::mark(self.run);
        Ok(Then::Await(until))
    }

    /// The run stands still at this step for `awaited`.
    pub(super) fn wait(&mut self, step: &Step, awaited: Awaited) {
        self.steps.waits.push(Wait {
            run: self.run.id,
            step: step.path.clone(),
            item: self.item,
            began_at: self.now(),
            awaited,
        });
    }

    fn awaited(&self, step: &Step, wait: &WaitFor) -> Result<Awaited, Failed> {
        match &wait.awaited {
            step::Awaited::Event { on, matching } => {
                let key = match (matching, &self.run.key) {
                    (Some(_), _) => None,
                    (None, Some(key)) => Some(key.clone()),
                    (None, None) => {
                        let reason = "the run has no `key` to compare an event's with";
                        return Err(failed(step, "wait_for.key", reason.into()));
                    }
                };
                Ok(Awaited::Event {
                    on: on.clone(),
                    tenant: self.around.event.tenant.clone(),
                    workflow: self.run.workflow.clone(),
                    version: self.run.version.clone(),
                    key,
                })
            }
            step::Awaited::Message { step: id, state, .. } => {
                let steps = self.around.workflow.all_steps();
                let Some(sender) = steps.into_iter().find(|one| one.id.as_ref() == Some(id)) else {
                    return Err(failed(
                        step,
                        "wait_for.step",
                        format!("no step has the id `{id}`"),
                    ));
                };
                let workflow = self.around.workflow;
                Ok(Awaited::Message {
                    step: sender.path.clone(),
                    item: position::shared_item(workflow, self.run, &sender.path, &step.path),
                    channel: None,
                    state: match state {
                        State::Delivered => Reached::Delivered,
                        State::Seen | State::Read => Reached::Read,
                    },
                })
            }
        }
    }
}

fn failed(step: &Step, code: &'static str, reason: String) -> Failed {
    Failed { verdict: Verdict::Fail, code, reason, rule: step.place.to_string() }
}

/// What is waited for, for a reader.
fn what(wait: &WaitFor) -> String {
    match &wait.awaited {
        step::Awaited::Event { on, .. } => {
            let names: Vec<String> = on.iter().map(|on| format!("`{on}`")).collect();
            names.join(" or ")
        }
        step::Awaited::Message { step, state, .. } => {
            let state = match state {
                State::Delivered => "delivered",
                State::Seen => "seen",
                State::Read => "read",
            };
            format!("the message of `{step}`: {state}")
        }
    }
}

/// An event as later steps see it.
fn seen(event: &Event) -> serde_json::Value {
    json!({
        "id": event.id,
        "name": event.name,
        "data": event.data,
        "at": event.at,
        "actor": event.actor,
        "tenant": event.tenant,
    })
}
