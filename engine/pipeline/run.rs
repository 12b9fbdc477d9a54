//! A run's way through its steps, as far as it goes now.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::attempt::Since;
use super::past::Ground;
use super::{Pipeline, Told, inbox};
use crate::model::{Planned, Run, Span};
use crate::plan::{self, Asked, Question, Surroundings};
use crate::store::{Plan, StoreError};
use crate::telemetry::RunDecided;
use crate::workflow::Workflow;

impl Pipeline {
    /// Takes a run on as far as it goes, with the answers that its steps ask for.
    pub(super) async fn go_far(
        &self,
        told: Told<'_>,
        run: &mut Run,
        plan: &mut Plan,
    ) -> Result<(), StoreError> {
        let mut answer = None;
        while let Some(asked) = self.go_on(told, run, plan, answer.take()) {
            answer = Some(self.answered(told, run, asked).await?);
        }
        Ok(())
    }

    /// Plans a run's next steps. Answers what the run has to know to go on, but for what our own
    /// files say; unanswered, it stays due.
    pub(super) fn go_on(
        &self,
        told: Told<'_>,
        run: &mut Run,
        plan: &mut Plan,
        mut answer: Option<plan::Answer>,
    ) -> Option<Asked> {
        loop {
            let asked = self.go_once(told, run, plan, answer.take())?;
            let Question::Written { template, data } = &asked.question else { return Some(asked) };
            answer = Some(self.written(told, run, template, data));
        }
    }

    /// What goes to an inbox at once is delivered in the same write.
    fn go_once(
        &self,
        told: Told<'_>,
        run: &mut Run,
        plan: &mut Plan,
        answer: Option<plan::Answer>,
    ) -> Option<Asked> {
        let Told { workflow, event, recipient } = told;
        let time_zone = &self.rules.time_zone;
        let around = Surroundings { workflow, event, recipient, clock: &self.clock, time_zone };
        let steps = plan::advance(around, run, answer);
        for decision in &steps.decisions {
            RunDecided { verdict: decision.verdict.as_str(), code: &decision.code }.emit();
        }
        plan.decisions.extend(steps.decisions);
        plan.stops.extend(steps.stops);
        self.emit(run, steps.events, plan);
        plan.joins.extend(steps.joins);
        plan.closes.extend(steps.closes);
        if !steps.waits.is_empty() {
            self.waits.store(true, Ordering::Relaxed);
            plan.waits.extend(steps.waits);
        }
        plan.publications.extend(steps.publications);
        if steps.messages.is_empty() {
            return steps.question;
        }
        let now = self.clock.now();
        let planned_run = Arc::new(run.clone());
        for mut message in steps.messages {
            let lasts = self.rules.expiry.filter(|_| message.expires_at.is_none());
            message.expires_at =
                message.expires_at.or(lasts.map(|Span(lasts)| self.clock.after(lasts)));
            // Whether the same was sent before is known to the store alone: not in this write.
            let at_once = message.due_at <= now && workflow.dedupe.is_none();
            if !(message.channel.is_in_app() && at_once) {
                plan.messages.push(message);
                continue;
            }
            let planned = Planned {
                message,
                run: planned_run.clone(),
                event: event.clone(),
                recipient: recipient.clone(),
            };
            self.deliver_now(workflow, planned, plan);
        }
        steps.question
    }

    fn deliver_now(&self, workflow: &Workflow, planned: Planned, plan: &mut Plan) {
        let mut message = planned.message.clone();
        let since = Since { accepted: planned.event.received_at, due: message.due_at };
        let ended = match self.prepare(workflow, planned, &Ground::default()) {
            Ok(rendered) => inbox::deliver(&rendered, self.clock.now()),
            Err(ended) => *ended,
        };
        ended.emit(&message.channel, since);
        ended.apply(&mut message, plan);
        plan.messages.push(message);
    }
}
