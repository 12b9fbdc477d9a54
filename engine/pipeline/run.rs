//! A run's way through its steps, as far as it goes now.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::attempt::Since;
use super::past::Ground;
use super::{MOST_CLAIMS, Pipeline, Told, inbox};
use crate::model::{Decision, Planned, Run, RunStatus, Span, Verdict};
use crate::plan::{self, Asked, Question, Surroundings};
use crate::store::{DueRun, Plan, Progress, QueueName, StoreError};
use crate::telemetry::{Fact, RunDecided, Traced};
use crate::workflow::Workflow;

impl Pipeline {
    /// Takes a run on from where it waits.
    pub async fn advance(&self, due: DueRun) {
        let span = Traced::of_event("advance", due.event.trace.as_deref());
        span.set(Fact::Workflow, || due.run.workflow.to_string());
        span.around(self.advance_run(due)).await;
    }

    async fn advance_run(&self, due: DueRun) {
        let DueRun { mut run, event, fence, attempt } = due;
        let id = run.id;
        let mut plan = Plan::default();
        if attempt > MOST_CLAIMS {
            run.status = RunStatus::Failed;
            let reason = format!("its worker ended {MOST_CLAIMS} times");
            let now = self.clock.now();
            plan.decisions.push(Decision::of_run(
                &run,
                now,
                Verdict::Fail,
                "attempts.exhausted",
                reason,
            ));
        } else {
            match self.workflow(&run).await {
                Ok(workflow) => {
                    let recipient = match self.recipient(&run).await {
                        Ok(recipient) => recipient,
                        Err(error) => {
                            return tracing::warn!(%error, run = %id, "the recipient could not be loaded");
                        }
                    };
                    let told = Told { workflow: &workflow, event: &event, recipient: &recipient };
                    if let Err(error) = self.go_far(told, &mut run, &mut plan).await {
                        return tracing::warn!(%error, run = %id, "a run could not go on yet");
                    }
                }
                Err(error) => {
                    return tracing::warn!(%error, run = %id, "the workflow could not be loaded");
                }
            }
        }
        if run.status == RunStatus::Failed {
            plan.leaves.push((id, self.clock.now()));
        }
        let waits = !plan.waits.is_empty();
        let told = self.tail.of_plan(&event, &plan);
        let progress = Progress { id, fence, plan, run: Some(run) };
        self.save(|| self.store.advanced(vec![progress.clone()])).await;
        self.tail.tell(told);
        self.wake.tell(QueueName::Events);
        self.wake.tell(QueueName::Runs);
        self.wake.tell(QueueName::Messages);
        if waits {
            // What it waits for may be there already.
            self.wake.tell(QueueName::Runs);
        }
    }

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
