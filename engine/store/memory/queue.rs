use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;

use super::{MemoryStore, MessageRow, State};
use crate::model::{
    Attempt, AttemptNumber, AttemptOutcome, EventId, Fence, Frame, Message, MessageId,
    MessageStatus, RunId, RunStatus,
};
use crate::store::queue::{RetryUnknown, setback};
use crate::store::{
    Claim, Departed, Departure, DueEvent, DueMessage, DueRun, Failover, Progress, Queue, QueueName,
    Recovered, Result, Settlement, Unsent,
};

#[async_trait]
impl Queue for MemoryStore {
    async fn claim_events(&self, claim: Claim) -> Result<Vec<DueEvent>> {
        let fence = self.fence();
        let mut state = self.state();
        let claimed = state.due_events.claim(claim, fence);
        Ok(claimed.into_iter().filter_map(|id| state.due_event(id, fence)).collect())
    }

    async fn claim_runs(&self, claim: Claim) -> Result<Vec<DueRun>> {
        let fence = self.fence();
        let mut state = self.state();
        let claimed = state.due_runs.claim(claim, fence);
        Ok(claimed.into_iter().filter_map(|id| state.due_run(id, fence)).collect())
    }

    async fn claim_messages(&self, claim: Claim) -> Result<Vec<DueMessage>> {
        let fence = self.fence();
        let mut state = self.state();
        let claimed = state.due_messages.claim(claim, fence);
        Ok(claimed.into_iter().filter_map(|id| state.due_message(id, fence)).collect())
    }

    async fn depart(&self, departures: Vec<Departure>) -> Result<Vec<Departed>> {
        let mut state = self.state();
        Ok(departures.into_iter().map(|departure| state.depart(departure)).collect())
    }

    async fn settle(&self, settlements: Vec<Settlement>) -> Result<Vec<Option<Vec<Frame>>>> {
        let mut state = self.state();
        Ok(settlements.into_iter().map(|settlement| state.settle(settlement)).collect())
    }

    async fn planned(&self, progress: Vec<Progress<EventId>>) -> Result<Vec<Option<Vec<Frame>>>> {
        let mut state = self.state();
        Ok(progress.into_iter().map(|progress| state.planned(progress)).collect())
    }

    async fn advanced(&self, progress: Vec<Progress<RunId>>) -> Result<Vec<Option<Vec<Frame>>>> {
        let mut state = self.state();
        Ok(progress.into_iter().map(|progress| state.advanced(progress)).collect())
    }

    async fn unsent(&self, unsent: Vec<Unsent>) -> Result<()> {
        let mut state = self.state();
        for unsent in unsent {
            state.give_back(&unsent);
        }
        Ok(())
    }

    async fn renew(&self, queue: QueueName, fences: &[Fence], until: Timestamp) -> Result<()> {
        let mut state = self.state();
        match queue {
            QueueName::Events => state.due_events.renew(fences, until),
            QueueName::Runs => state.due_runs.renew(fences, until),
            QueueName::Messages => state.due_messages.renew(fences, until),
        }
        Ok(())
    }

    async fn next_due(&self, queue: QueueName) -> Result<Option<Timestamp>> {
        let state = self.state();
        Ok(match queue {
            QueueName::Events => state.due_events.next_due(),
            QueueName::Runs => state.due_runs.next_due(),
            QueueName::Messages => state.due_messages.next_due(),
        })
    }

    async fn recover(
        &self,
        now: Timestamp,
        everything: bool,
        retry_unknown: &RetryUnknown<'_>,
    ) -> Result<Recovered> {
        Ok(self.state().recover(now, everything, retry_unknown))
    }
}

impl State {
    fn due_event(&self, id: EventId, fence: Fence) -> Option<DueEvent> {
        let row = self.events.get(&id)?;
        Some(DueEvent {
            event: (*row.event).clone(),
            cursor: row.cursor.clone(),
            fence,
            attempt: self.due_events.claims(id),
            stopped: self.stopped_of(id),
        })
    }

    fn due_run(&mut self, id: RunId, fence: Fence) -> Option<DueRun> {
        let row = self.runs.get_mut(&id)?;
        Arc::make_mut(&mut row.run).status = RunStatus::Running;
        Some(DueRun {
            run: (*row.run).clone(),
            event: self.events.get(&row.run.event)?.event.clone(),
            fence,
            attempt: self.due_runs.claims(id),
        })
    }

    fn due_message(&mut self, id: MessageId, fence: Fence) -> Option<DueMessage> {
        let MessageRow { message, gathers, .. } = self.messages.get_mut(&id)?;
        message.status = MessageStatus::Leased;
        Some(DueMessage {
            message: message.clone(),
            run: self.runs.get(&message.run)?.run.clone(),
            event: self.events.get(&message.event)?.event.clone(),
            fence,
            left_before: message.attempt > 0,
            claims: self.due_messages.claims(id),
            leads: gathers.is_some(),
        })
    }

    /// A lease is a message's only while it is `Leased` or `Sending`: cancelling ends it.
    fn held(&mut self, id: MessageId, fence: Fence) -> Option<&mut MessageRow> {
        if self.due_messages.holds(id, fence) { self.messages.get_mut(&id) } else { None }
    }

    fn depart(&mut self, mut departure: Departure) -> Departed {
        if let Some(failover) = departure.failover.take() {
            return self.fail_over(departure, *failover);
        }
        let row = self.held(departure.message, departure.fence);
        if row.is_none_or(|row| row.message.status != MessageStatus::Leased) {
            return Departed::Withdrawn;
        }
        if let Some(refusal) = self.refuses(&departure) {
            return refusal;
        }
        self.keep_departure(&departure);
        let Some(row) = self.messages.get_mut(&departure.message) else {
            return Departed::Withdrawn;
        };
        row.message.status = MessageStatus::Sending;
        row.message.attempt += 1;
        row.message.provider = Some(departure.provider);
        row.departed_at = Some(departure.at);
        Departed::Left
    }

    /// From one provider to the next, where the caller still holds what is `Sending`.
    fn fail_over(&mut self, departure: Departure, failover: Failover) -> Departed {
        let ended = failover.attempt.number;
        let row = self.held(departure.message, departure.fence);
        let Some(row) = row.filter(|row| row.goes_on(ended)) else { return Departed::Withdrawn };
        row.message.attempt += 1;
        row.message.forgiven += 1;
        row.message.provider = Some(departure.provider);
        row.departed_at = Some(departure.at);
        self.add_attempt(failover.attempt);
        self.add_decisions(failover.decisions);
        Departed::Left
    }

    fn settle(&mut self, settlement: Settlement) -> Option<Vec<Frame>> {
        let mut ended_unsent = settlement.ended_unsent();
        let ended_at = settlement.ended_at();
        let row = self.held(settlement.message, settlement.fence)?;
        let sending = row.message.status == MessageStatus::Sending;
        if sending && !settlement.ends_a_send() {
            return None;
        }
        let again = settlement.status == MessageStatus::Pending;
        let (status, code) = if row.stopping && again {
            ended_unsent = Some(ended_at);
            (MessageStatus::Cancelled, Some("cancelled".into()))
        } else {
            (settlement.status, settlement.code)
        };
        let message = &mut row.message;
        message.status = status;
        message.due_at = settlement.due_at.unwrap_or(message.due_at);
        message.code = code;
        row.expected = settlement.expected.or(row.expected.take());
        let message = &mut row.message;
        if let Some(attempt) = &settlement.attempt {
            message.provider = Some(attempt.provider.clone());
            message.receipt = attempt.receipt.clone().or(message.receipt.take());
        }
        // An erased recipient has no inbox.
        let entry = settlement.entry.filter(|_| message.recipient.is_some());
        self.schedule_message(settlement.message);
        match ended_unsent {
            Some(at) => self.never_sent(settlement.message, at),
            None => self.put_off(settlement.message, settlement.held),
        }
        if let Some(attempt) = settlement.attempt {
            self.add_attempt(attempt);
        }
        self.add_decisions(settlement.decisions);
        Some(entry.and_then(|entry| self.add_entry(entry)).into_iter().collect())
    }

    fn planned(&mut self, progress: Progress<EventId>) -> Option<Vec<Frame>> {
        if !self.due_events.holds(progress.id, progress.fence) {
            return None;
        }
        let mut plan = progress.plan;
        plan.leave_out(&self.stopped_of(progress.id));
        let more = plan.more.take();
        let frames = self.write(plan);
        self.plan_on(progress.id, more);
        Some(frames)
    }

    fn advanced(&mut self, progress: Progress<RunId>) -> Option<Vec<Frame>> {
        if !self.due_runs.holds(progress.id, progress.fence) {
            return None;
        }
        self.forget_waits(&[progress.id]);
        let run = Arc::make_mut(&mut self.runs.get_mut(&progress.id)?.run);
        match progress.run {
            Some(new) => {
                run.status = new.status;
                run.position = new.position;
                run.wake_at = new.wake_at;
                run.state = new.state;
            }
            None => run.status = RunStatus::Waiting,
        }
        self.schedule_run(progress.id);
        Some(self.write(progress.plan))
    }

    fn give_back(&mut self, unsent: &Unsent) {
        match *unsent {
            Unsent::Event(id, fence) if self.due_events.holds(id, fence) => {
                self.due_events.unclaim(id);
            }
            Unsent::Run(id, fence) if self.due_runs.holds(id, fence) => {
                self.due_runs.unclaim(id);
                self.wait_again(id);
            }
            Unsent::Message(id, fence) => {
                let Some(MessageRow { message, departed_at, .. }) = self.held(id, fence) else {
                    return;
                };
                if message.status == MessageStatus::Sending {
                    message.attempt -= 1;
                    *departed_at = None;
                }
                message.status = MessageStatus::Pending;
                self.due_messages.unclaim(id);
                self.place_message(id);
            }
            Unsent::Event(..) | Unsent::Run(..) => {}
        }
    }

    fn wait_again(&mut self, id: RunId) {
        if let Some(row) = self.runs.get_mut(&id) {
            Arc::make_mut(&mut row.run).status = RunStatus::Waiting;
        }
    }

    fn recover(
        &mut self,
        now: Timestamp,
        everything: bool,
        retry_unknown: &RetryUnknown<'_>,
    ) -> Recovered {
        let mut recovered = Recovered::default();
        for id in self.due_events.ended(now, everything) {
            self.due_events.release(id);
            recovered.released += 1;
        }
        for id in self.due_runs.ended(now, everything) {
            self.due_runs.release(id);
            self.wait_again(id);
            recovered.released += 1;
        }
        for id in self.due_messages.ended(now, everything) {
            let Some(row) = self.messages.get_mut(&id) else { continue };
            if row.message.status == MessageStatus::Sending {
                row.crashed(now, retry_unknown);
                recovered.unknown += 1;
            } else {
                row.message.status = MessageStatus::Pending;
                let back = setback(self.due_messages.claims(id), id);
                let until = back.and_then(|back| now.saturating_add(back).ok());
                row.message.due_at = row.message.due_at.max(until.unwrap_or(Timestamp::MIN));
                recovered.released += 1;
            }
            self.place_message(id);
        }
        self.forget_windows(now);
        recovered
    }
}

impl MessageRow {
    /// Whether it may go to another provider, once this attempt of its has ended.
    fn goes_on(&self, ended: AttemptNumber) -> bool {
        let Message { status, attempt, .. } = self.message;
        status == MessageStatus::Sending && attempt == ended && !self.stopping
    }

    /// It was with a provider when its worker was lost: nobody knows whether it was sent.
    fn crashed(&mut self, now: Timestamp, retry_unknown: &RetryUnknown<'_>) {
        let Message { channel, provider, .. } = &self.message;
        // `depart` names a provider before a message is ever `Sending`.
        let Some(provider) = provider.clone() else { return };
        let retried = retry_unknown(channel, &provider) && !self.stopping;
        self.attempts.push(Attempt {
            message: self.message.id,
            number: self.message.attempt,
            provider,
            started_at: self.departed_at.unwrap_or(now),
            finished_at: now,
            outcome: AttemptOutcome::Unknown,
            code: Some("crash".into()),
            detail: None,
            receipt: None,
        });
        if retried {
            self.message.status = MessageStatus::Pending;
            self.message.due_at = now;
        } else {
            self.message.status = MessageStatus::Unknown;
            self.message.code = Some("crash".into());
        }
    }
}
